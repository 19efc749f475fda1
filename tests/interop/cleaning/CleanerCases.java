// Compacted logs for compare_cleaners.py: random cases, what Apache Kafka's own cleaner makes of them, and a comparison with
// what kurier's has made.
//
//   generate DIRECTORY SEED COUNT   a directory a case, with a `script`: one step a line
//   clean DIRECTORY                 performs every script in DIRECTORY/<case>/kafka; what is there after each `clean` step is
//                                   kept in DIRECTORY/<case>/kafka.<step>
//   compare DIRECTORY               kafka.<step> with kurier.<step> of every case: a line "ok" or "FAILED" for each, then what was seen
//
// Steps: set NAME VALUE; append NOW HEX; roll NOW; start NOW OFFSET (the log's start moves); truncate NOW OFFSET; expire NOW
// (producers); retain NOW (old segments go); restart NOW; clean NOW (again and again until nothing is due).
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.CompressionType;
import org.apache.kafka.common.record.internal.ControlRecordType;
import org.apache.kafka.common.record.internal.EndTransactionMarker;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.MemoryRecordsBuilder;
import org.apache.kafka.common.record.internal.MutableRecordBatch;
import org.apache.kafka.common.record.internal.RecordBatch;
import org.apache.kafka.common.record.internal.SimpleRecord;
import org.apache.kafka.common.utils.Time;
import org.apache.kafka.common.utils.internals.BufferSupplier;
import org.apache.kafka.server.util.Scheduler;
import org.apache.kafka.storage.internals.log.Cleaner;
import org.apache.kafka.storage.internals.log.LogCleanerManager;
import org.apache.kafka.storage.internals.log.LogConfig;
import org.apache.kafka.storage.internals.log.LogDirFailureChannel;
import org.apache.kafka.storage.internals.log.LogSegment;
import org.apache.kafka.storage.internals.log.LogStartOffsetIncrementReason;
import org.apache.kafka.storage.internals.log.LogToClean;
import org.apache.kafka.storage.internals.log.PreCleanStats;
import org.apache.kafka.storage.internals.log.ProducerStateManagerConfig;
import org.apache.kafka.storage.internals.log.SkimpyOffsetMap;
import org.apache.kafka.storage.internals.log.UnifiedLog;
import org.apache.kafka.storage.internals.utils.Throttler;
import org.apache.kafka.storage.log.metrics.BrokerTopicStats;

public class CleanerCases {
    static final String TOPIC = "cleaned";
    static final TopicPartition PARTITION = new TopicPartition(TOPIC, 0);
    static final int PRODUCER_EXPIRATION_MS = 86_400_000;

    // What a case has beside keys that are overwritten. The first cases have one each, those behind them any.
    enum Feature {
        CODECS, TOMBSTONES, HEADERS, IDEMPOTENT, TRANSACTIONS, APPEND_TIME, GAPS, SMALL_MAP, MIN_LAG, MAX_LAG, NULL_KEYS,
        SMALL_INDEX, FAR_OFFSETS, LARGE_BATCHES, LOG_START, TRUNCATION, RESTART, DIRTY_RATIO, ODD_TIMES, EXPIRY
    }

    public static void main(String[] arguments) throws Exception {
        Path directory = Path.of(arguments[1]);
        switch (arguments[0]) {
            case "generate" -> generate(directory, Long.parseLong(arguments[2]), Integer.parseInt(arguments[3]));
            case "clean" -> {
                try {
                    for (Path each : cases(directory)) new Apache(each).perform();
                } catch (Throwable failed) {  // threads are left that would keep the program running
                    failed.printStackTrace();
                    System.exit(1);
                }
            }
            case "compare" -> new Comparison().compare(directory);
            default -> throw new IllegalArgumentException(arguments[0]);
        }
        System.exit(0);
    }

    static List<Path> cases(Path directory) throws IOException {
        try (Stream<Path> found = Files.list(directory)) {
            return found.filter(each -> Files.exists(each.resolve("script"))).sorted().toList();
        }
    }

    static void generate(Path directory, long seed, int count) throws IOException {
        Feature[] all = Feature.values();
        for (int i = 0; i < count; ++i) {
            Random random = new Random(seed * 1_000_003 + i);
            EnumSet<Feature> features = EnumSet.noneOf(Feature.class);
            String name;
            if (i < all.length) {
                features.add(all[i]);
                name = String.format("%04d-%s", i, all[i].name().toLowerCase());
            } else {
                for (Feature feature : all) {
                    if (random.nextInt(3) == 0) features.add(feature);
                }
                name = String.format("%04d-random", i);
            }
            // Not the cleaner's: what is open where the log's start moves into a transaction; and the time of an empty segment's
            // file, which kurier knows until the next start only.
            if (features.contains(Feature.TRANSACTIONS)) features.remove(Feature.LOG_START);
            if (features.contains(Feature.MIN_LAG)) features.remove(Feature.RESTART);
            // Where a log ends that was truncated inside a batch or a gap, or where a segment begins (Apache Kafka keeps that one,
            // empty): here segments begin only where a step says so.
            if (features.contains(Feature.TRUNCATION))
                features.removeAll(EnumSet.of(Feature.GAPS, Feature.FAR_OFFSETS, Feature.MAX_LAG, Feature.ODD_TIMES, Feature.SMALL_INDEX));
            Path to = Files.createDirectories(directory.resolve(name));
            Files.write(to.resolve("script"), new Generator(random, features).script());
        }
    }

    static final class Producer {
        final long id;
        final boolean transactional;
        short epoch = 0;
        int sequence = 0;
        boolean open = false;

        Producer(long id, boolean transactional) {
            this.id = id;
            this.transactional = transactional;
        }
    }

    static final class Generator {
        final Random random;
        final Set<Feature> features;
        final List<String> steps = new ArrayList<>();
        final List<Producer> producers = new ArrayList<>();
        final List<Long> bases = new ArrayList<>();
        final Set<Long> rolled = new TreeSet<>(Set.of(0L));
        long now = 1_700_000_000_000L;
        long offset = 0;
        long start = 0;
        final int keys;
        int leaderEpoch = 0;

        Generator(Random random, Set<Feature> features) {
            this.random = random;
            this.features = features;
            this.keys = between(3, 60);
        }

        boolean has(Feature feature) {
            return features.contains(feature);
        }

        int between(int low, int high) {
            return low + random.nextInt(high - low + 1);
        }

        boolean oneIn(int count) {
            return random.nextInt(count) == 0;
        }

        List<String> script() {
            settings();
            for (int i = 0; i < 3; ++i) {
                if (has(Feature.IDEMPOTENT)) producers.add(new Producer(100 + i, false));
                if (has(Feature.TRANSACTIONS)) producers.add(new Producer(200 + i, true));
            }
            int rounds = between(3, 6);
            for (int round = 0; round < rounds; ++round) {
                write(between(5, 50));
                if (has(Feature.LOG_START) && oneIn(2)) moveStart();
                if (has(Feature.TRUNCATION) && oneIn(2)) truncate();
                if (has(Feature.RESTART) && oneIn(2)) steps.add("restart " + now);
                if (has(Feature.EXPIRY) && oneIn(2)) {
                    now += PRODUCER_EXPIRATION_MS / 2;
                    steps.add("expire " + now);
                }
                if (!oneIn(4)) roll();
                now += oneIn(3) ? between(0, 500_000) : between(0, 5_000);
                steps.add("clean " + now);
                if (has(Feature.LOG_START)) steps.add("retain " + now);
            }
            // What only waits for its delete horizon goes now, if something dirty lies behind it.
            now += 2_000_000;
            write(3);
            roll();
            steps.add("clean " + now);
            steps.add("restart " + now);
            steps.add("clean " + now);
            return steps;
        }

        void roll() {
            steps.add("roll " + now);
            rolled.add(offset);
        }

        void set(String name, Object value) {
            steps.add("set " + name + " " + value);
        }

        void settings() {
            set("segment.bytes", has(Feature.TRUNCATION) ? 1 << 20 : has(Feature.LARGE_BATCHES) ? between(20_000, 60_000) : between(1_500, 12_000));
            set("segment.index.bytes", has(Feature.SMALL_INDEX) ? between(24, 120) : 10_485_760);
            set("index.interval.bytes", oneIn(2) ? between(0, 600) : 4096);
            set("delete.retention.ms", oneIn(3) ? 0 : between(1, 1_000_000));
            set("min.compaction.lag.ms", has(Feature.MIN_LAG) ? between(1, 20_000) : 0);
            set("max.compaction.lag.ms", has(Feature.MAX_LAG) ? between(20_001, 200_000) : Long.MAX_VALUE);
            set("min.cleanable.dirty.ratio", (has(Feature.DIRTY_RATIO) || has(Feature.MAX_LAG)) && !has(Feature.CODECS) ? random.nextDouble() : 0.0);
            boolean both = has(Feature.LOG_START) && oneIn(2);
            set("cleanup.policy", both ? "compact,delete" : "compact");
            if (both) set("retention.bytes", between(1_000, 20_000));
            set("map.bytes", has(Feature.SMALL_MAP) ? between(5 * 24, keys * 24 + 48) : 1 << 16);
            set("load.factor", oneIn(2) ? 0.9 : 0.75);
            if (has(Feature.CODECS)) set("codecs", "any");
            set("buffer.bytes", oneIn(2) ? between(100, 2_000) : 65_536);
        }

        void write(int batches) {
            for (int i = 0; i < batches; ++i) {
                now += between(0, 200);
                if (oneIn(40)) ++leaderEpoch;
                // Wider than an index can span. Behind others kurier's segments begin where the records before them end.
                if (has(Feature.FAR_OFFSETS) && oneIn(15)) offset += (1L << 31) + between(1, Integer.MAX_VALUE - 1);
                Producer producer = !producers.isEmpty() && !oneIn(4) ? producers.get(random.nextInt(producers.size())) : null;
                if (producer != null && producer.transactional && (producer.open ? oneIn(3) : oneIn(30))) {
                    mark(producer);
                } else {
                    append(batch(producer));
                }
                if (oneIn(10)) roll();
            }
            for (Producer producer : producers) {
                if (producer.open && !oneIn(4)) mark(producer);
            }
        }

        void append(MemoryRecords records) {
            bases.add(records.batches().iterator().next().baseOffset());
            ByteBuffer buffer = records.buffer().duplicate();
            byte[] bytes = new byte[buffer.remaining()];
            buffer.get(bytes);
            steps.add("append " + now + " " + HexFormat.of().formatHex(bytes));
        }

        void mark(Producer producer) {
            ControlRecordType type = oneIn(2) ? ControlRecordType.ABORT : ControlRecordType.COMMIT;
            append(MemoryRecords.withEndTransactionMarker(offset, now, leaderEpoch, producer.id, producer.epoch,
                    new EndTransactionMarker(type, 0)));
            ++offset;
            producer.open = false;
            if (oneIn(3)) {
                ++producer.epoch;
                producer.sequence = 0;
            }
        }

        MemoryRecords batch(Producer producer) {
            CompressionType codec = CompressionType.NONE;
            if (has(Feature.CODECS)) codec = CompressionType.forId(random.nextInt(5));
            boolean appendTime = has(Feature.APPEND_TIME) && !oneIn(3);
            long pid = producer == null ? RecordBatch.NO_PRODUCER_ID : producer.id;
            short epoch = producer == null ? RecordBatch.NO_PRODUCER_EPOCH : producer.epoch;
            int sequence = producer == null ? RecordBatch.NO_SEQUENCE : producer.sequence;
            long base = offset;
            MemoryRecordsBuilder builder = MemoryRecords.builder(ByteBuffer.allocate(1024), RecordBatch.MAGIC_VALUE_V2,
                    Compression.of(codec).build(), appendTime ? TimestampType.LOG_APPEND_TIME : TimestampType.CREATE_TIME, base,
                    now, pid, epoch, sequence, producer != null && producer.transactional, leaderEpoch);
            int count = between(1, 8);
            int values = has(Feature.LARGE_BATCHES) && oneIn(4) ? 2_000 : 120;
            for (int i = 0; i < count; ++i) {
                // As of a batch that another cleaner has been through.
                if (has(Feature.GAPS) && oneIn(5)) offset += between(1, 5);
                builder.appendWithOffset(offset++, record(values));
            }
            if (has(Feature.GAPS) && oneIn(5)) {
                offset += between(1, 5);
                builder.overrideLastOffset(offset - 1);
            }
            if (producer != null) {
                producer.sequence += (int) (offset - base);
                producer.open = producer.transactional;
            }
            return builder.build();
        }

        SimpleRecord record(int values) {
            long timestamp = now - between(0, 100);
            if (has(Feature.ODD_TIMES)) {
                timestamp = switch (random.nextInt(8)) {
                    case 0 -> 0;
                    case 1 -> now + between(0, Integer.MAX_VALUE - 1);
                    case 2 -> now - between(0, Integer.MAX_VALUE - 1);
                    case 3 -> 1;
                    default -> timestamp;
                };
            }
            byte[] key = ("key-" + random.nextInt(keys)).getBytes();
            if (oneIn(keys)) key = new byte[0];
            if (has(Feature.NULL_KEYS) && oneIn(6)) key = null;
            byte[] value = new byte[random.nextInt(values + 1)];
            if (oneIn(2)) {
                random.nextBytes(value);
            } else {
                Arrays.fill(value, (byte) 'v');
            }
            if (has(Feature.TOMBSTONES) && oneIn(4)) value = null;
            Header[] headers = new Header[has(Feature.HEADERS) ? between(0, 3) : 0];
            for (int i = 0; i < headers.length; ++i)
                headers[i] = new RecordHeader("h" + random.nextInt(3), oneIn(3) ? null : new byte[random.nextInt(9)]);
            return new SimpleRecord(timestamp, key, value, headers);
        }

        void moveStart() {
            start += (offset - start) * random.nextInt(100) / 100;
            steps.add("start " + now + " " + start);
        }

        // Producers' sequences go on as if nothing had been lost; a follower does not mind.
        void truncate() {
            List<Long> possible = bases.stream().filter(base -> base >= start && base < offset && !rolled.contains(base)).toList();
            if (possible.isEmpty()) return;
            offset = possible.get(possible.size() * between(50, 99) / 100);
            bases.removeIf(base -> base >= offset);
            steps.add("truncate " + now + " " + offset);
        }
    }

    static final class Clock implements Time {
        long now = 0;

        @Override
        public long milliseconds() {
            return now;
        }

        @Override
        public long nanoseconds() {
            return System.nanoTime();
        }

        @Override
        public void sleep(long ms) {
            throw new IllegalStateException("nothing here sleeps");
        }
    }

    // What is to be done at once is done; what later, never: nothing is deleted but by name.
    static final class Now implements Scheduler {
        final ScheduledThreadPoolExecutor executor = new ScheduledThreadPoolExecutor(1);

        @Override
        public void startup() {}

        @Override
        public void shutdown() {
            executor.shutdownNow();
        }

        @Override
        public ScheduledFuture<?> schedule(String name, Runnable task, long delay, long period) {
            if (delay == 0 && period < 0) task.run();
            return executor.schedule(() -> {}, 1, TimeUnit.DAYS);
        }

        @Override
        public void resizeThreadPool(int size) {}
    }

    // Performs a script with Apache Kafka's log, cleaner and cleaner manager.
    static final class Apache {
        final Path directory;
        final Path logs;
        final Map<String, String> settings = new HashMap<>();
        final Clock time = new Clock();
        final Now scheduler = new Now();
        final LogDirFailureChannel failures = new LogDirFailureChannel(10);
        final ConcurrentHashMap<TopicPartition, UnifiedLog> pool = new ConcurrentHashMap<>();
        LogCleanerManager manager;
        UnifiedLog log;
        final StringBuilder trace = new StringBuilder();
        long start = 0;
        long recovered = 0;

        Apache(Path directory) {
            this.directory = directory;
            this.logs = directory.resolve("kafka");
        }

        void perform() throws Exception {
            int number = 0;
            for (String line : Files.readAllLines(directory.resolve("script"))) {
                ++number;
                String[] step = line.split(" ");
                if (step[0].equals("set")) {
                    settings.put(step[1], step[2]);
                    continue;
                }
                time.now = Long.parseLong(step[1]);
                if (log == null) open();
                try {
                    perform(step, number);
                } catch (IllegalArgumentException refused) {
                    // A cleaned segment may have more index entries than its sources: Apache Kafka's cleaner gives up then.
                    if (!step[0].equals("clean") || !refused.getMessage().contains("full")) throw refused;
                    break;
                }
                // Files have the script's time too.
                log.activeSegment().log().file().setLastModified(time.now);
                trace.append(number).append(' ').append(step[0]).append(':');
                for (LogSegment segment : log.logSegments()) trace.append(' ').append(segment.baseOffset());
                trace.append(" to ").append(log.logEndOffset()).append('\n');
            }
            Files.writeString(directory.resolve("trace.kafka"), trace);
            close();
            manager.removeMetrics();
            scheduler.shutdown();
        }

        LogConfig config() {
            Map<String, String> all = new HashMap<>(settings);
            for (String ours : List.of("map.bytes", "load.factor", "buffer.bytes", "codecs")) all.remove(ours);
            all.put("internal.segment.bytes", all.remove("segment.bytes"));
            return new LogConfig(all);
        }

        void open() throws Exception {
            Files.createDirectories(logs.resolve(PARTITION.toString()));
            log = UnifiedLog.create(logs.resolve(PARTITION.toString()).toFile(), config(), start, recovered, scheduler,
                    new BrokerTopicStats(), time, 900_000, new ProducerStateManagerConfig(PRODUCER_EXPIRATION_MS, false), 600_000,
                    failures, true, Optional.empty());
            log.updateHighWatermark(log.logEndOffset());
            pool.put(PARTITION, log);
            if (manager == null) manager = new LogCleanerManager(List.of(logs.toFile()), pool, failures);
        }

        void close() {
            log.prepareActiveSegmentForClose();
            log.close();
        }

        void perform(String[] step, int number) throws Exception {
            switch (step[0]) {
                case "append" -> {
                    MemoryRecords records = MemoryRecords.readableRecords(ByteBuffer.wrap(HexFormat.of().parseHex(step[2])));
                    log.appendAsFollower(records, Integer.MAX_VALUE);
                    log.updateHighWatermark(log.logEndOffset());
                }
                case "roll" -> {
                    if (log.activeSegment().size() > 0) log.roll();
                }
                case "start" -> log.maybeIncrementLogStartOffset(Math.min(Long.parseLong(step[2]), log.highWatermark()),
                        LogStartOffsetIncrementReason.ClientRecordDeletion);
                case "truncate" -> truncate(Math.max(Long.parseLong(step[2]), log.logStartOffset()));
                case "expire" -> log.removeExpiredProducers(time.now);
                case "retain" -> log.deleteOldSegments();
                case "restart" -> {
                    start = log.logStartOffset();
                    recovered = log.logEndOffset();
                    close();
                    open();
                }
                case "clean" -> clean(number);
                default -> throw new IllegalArgumentException(step[0]);
            }
        }

        // As its log manager does it.
        void truncate(long offset) throws Exception {
            boolean sealed = offset < log.activeSegment().baseOffset();
            log.truncateTo(offset);
            if (sealed) manager.maybeTruncateCheckpoint(logs.toFile(), PARTITION, log.activeSegment().baseOffset());
            log.updateHighWatermark(log.logEndOffset());
        }

        void clean(int number) throws Exception {
            Cleaner cleaner = new Cleaner(0, new SkimpyOffsetMap(Integer.parseInt(settings.get("map.bytes"))),
                    Integer.parseInt(settings.get("buffer.bytes")), 10_000_000, Double.parseDouble(settings.get("load.factor")),
                    new Throttler(Double.MAX_VALUE, 300, "none", "none", Time.SYSTEM), time, partition -> {});
            StringBuilder rounds = new StringBuilder();
            for (int i = 0; i < 1000; ++i) {
                Optional<LogToClean> due = manager.grabFilthiestCompactedLog(time, new PreCleanStats());
                if (due.isEmpty()) break;
                long end = cleaner.clean(due.get()).getKey();
                manager.doneCleaning(PARTITION, logs.toFile(), end);
                rounds.append(end).append('\n');
            }
            rounds.append("cleaned to ").append(manager.allCleanerCheckpoints().getOrDefault(PARTITION, -1L)).append(" of ")
                    .append(log.logStartOffset()).append(" to ").append(log.logEndOffset()).append('\n');
            Path kept = Files.createDirectories(directory.resolve(String.format("kafka.%04d", number)));
            Files.writeString(kept.resolve("rounds"), rounds);
            // The indexes of the active segment are mapped and larger than what is in them.
            Set<String> active = Set.of(log.activeSegment().offsetIndexFile().getName(), log.activeSegment().timeIndexFile().getName());
            try (Stream<Path> found = Files.list(logs.resolve(PARTITION.toString()))) {
                for (Path each : found.toList()) {
                    String name = each.getFileName().toString();
                    if (!name.endsWith(".deleted") && !active.contains(name)) Files.copy(each, kept.resolve(name));
                }
            }
            Path checkpoint = logs.resolve("cleaner-offset-checkpoint");
            if (Files.size(checkpoint) > 0) Files.copy(checkpoint, kept.resolve("cleaner-offset-checkpoint"));
        }
    }

    static final class Different extends Exception {
        Different(String what) {
            super(what);
        }
    }

    static final class Comparison {
        final Map<String, Integer> seen = new TreeMap<>();

        void compare(Path directory) throws IOException {
            for (Path each : cases(directory)) {
                try {
                    compareCase(each);
                    System.out.println("ok\t" + each.getFileName());
                } catch (Different | IOException | RuntimeException different) {
                    System.out.println("FAILED\t" + each.getFileName() + "\t" + different);
                }
            }
            seen.forEach((what, count) -> System.out.println("seen\t" + what + "\t" + count));
        }

        void saw(String what) {
            seen.merge(what, 1, Integer::sum);
        }

        void compareCase(Path directory) throws IOException, Different {
            Set<String> steps = new TreeSet<>();
            try (Stream<Path> found = Files.list(directory)) {
                found.map(each -> each.getFileName().toString()).filter(name -> name.matches("kafka\\.\\d+"))
                        .forEach(name -> steps.add(name.substring(name.indexOf('.'))));
            }
            List<String> theirs = Files.readAllLines(directory.resolve("trace.kafka"));
            List<String> ours = Files.readAllLines(directory.resolve("trace.kurier"));
            if (steps.isEmpty() && theirs.size() == ours.size()) throw new Different("nothing was cleaned");
            if (theirs.size() < ours.size()) saw("logs that Apache Kafka cannot clean");
            // How segments are merged depends on their sizes, and those on the compressors.
            boolean codecs = Files.readString(directory.resolve("script")).contains("\nset codecs ");
            for (int i = 0; i < theirs.size() && !codecs; ++i) {
                if (theirs.get(i).contains("clean") || theirs.get(i).equals(ours.get(i))) continue;
                throw new Different("segments " + theirs.get(i) + " but kurier " + ours.get(i) + "\nbefore that " + theirs.get(Math.max(i - 1, 0)));
            }
            for (String step : steps) {
                try {
                    compareStep(directory.resolve("kafka" + step), directory.resolve("kurier" + step), snapshots(theirs, step), codecs);
                } catch (Different different) {
                    throw new Different("step " + step + ": " + different.getMessage());
                }
            }
        }

        // Of producers' snapshots those count that a cleaner may touch: a start and a truncation keep others than Apache Kafka's.
        Set<String> names(Path directory, boolean snapshots) throws IOException {
            Set<String> names = new TreeSet<>();
            try (Stream<Path> found = Files.list(directory)) {
                for (Path each : found.toList()) {
                    // A truncation may leave an empty index behind.
                    boolean empty = each.toString().endsWith(".txnindex") && Files.size(each) == 0;
                    if (!empty) names.add(each.getFileName().toString());
                }
            }
            if (!snapshots) names.removeIf(name -> name.endsWith(".snapshot"));
            return names;
        }

        static boolean snapshots(List<String> trace, String step) {
            return trace.stream().takeWhile(line -> Integer.parseInt(line.split(" ")[0]) <= Integer.parseInt(step.substring(1)))
                    .noneMatch(line -> line.matches("\\d+ (restart|truncate|start|retain).*"));
        }

        void compareStep(Path kafka, Path kurier, boolean snapshots, boolean codecs) throws IOException, Different {
            String rounds = Files.readString(kafka.resolve("rounds"));
            if (!rounds.equals(Files.readString(kurier.resolve("rounds"))))
                throw new Different("cleaned to\n" + rounds + "but kurier\n" + Files.readString(kurier.resolve("rounds")));
            if (rounds.lines().count() > 2) saw("several rounds");
            if (rounds.lines().count() == 1) saw("nothing due");
            Set<String> names = names(kafka, snapshots);
            Set<String> missing = new TreeSet<>(names);
            Set<String> more = names(kurier, snapshots);
            missing.removeAll(more);
            more.removeAll(names);
            if (codecs && (!missing.isEmpty() || !more.isEmpty())) {
                compareBatches("all segments", allBatches(kafka), allBatches(kurier));
                saw("logs that were merged differently because they were compressed differently");
                return;
            }
            if (!missing.isEmpty() || !more.isEmpty()) throw new Different("without " + missing + " but with " + more);
            Map<String, Boolean> same = new HashMap<>();
            for (String name : names) {
                if (name.endsWith(".log")) {
                    same.put(name.replace(".log", ""), compareBatches(name, batches(kafka.resolve(name)), batches(kurier.resolve(name))));
                }
            }
            for (String name : names) {
                byte[] ours = Files.readAllBytes(kurier.resolve(name));
                byte[] theirs = trimmed(name, Files.readAllBytes(kafka.resolve(name)));
                boolean isIndex = name.endsWith("index") && !name.endsWith(".txnindex");
                if (name.endsWith(".log") || name.endsWith(".snapshot")) continue;
                if (isIndex && !same.get(name.substring(0, name.indexOf('.')))) {
                    saw("indexes of segments that were compressed differently");
                    continue;
                }
                if (isIndex && !snapshots && !Arrays.equals(ours, theirs)) {
                    // Of a segment that grew on: how much it has had since its last entry is counted anew after a start.
                    saw("indexes of logs that were opened again, truncated or cut");
                    continue;
                }
                if (!Arrays.equals(ours, theirs)) throw new Different(name + ": " + hex(theirs) + " but kurier " + hex(ours));
                saw("files " + name.replaceAll("\\d+", ""));
            }
        }

        // Apache Kafka does not always cut off what it has mapped in advance.
        static byte[] trimmed(String name, byte[] bytes) {
            int entry = name.endsWith(".index") ? 8 : name.endsWith(".timeindex") ? 12 : bytes.length;
            int length = bytes.length;
            while (bytes.length > 1_000_000 && length >= entry && isZero(bytes, length - entry, length)) length -= entry;
            return Arrays.copyOf(bytes, length);
        }

        static boolean isZero(byte[] bytes, int from, int to) {
            for (int i = from; i < to; ++i) {
                if (bytes[i] != 0) return false;
            }
            return true;
        }

        static String hex(byte[] bytes) {
            return HexFormat.of().formatHex(bytes, 0, Math.min(bytes.length, 240));
        }

        static List<MutableRecordBatch> batches(Path path) throws IOException {
            List<MutableRecordBatch> batches = new ArrayList<>();
            MemoryRecords.readableRecords(ByteBuffer.wrap(Files.readAllBytes(path))).batches().forEach(batches::add);
            return batches;
        }

        static byte[] bytes(MutableRecordBatch batch) {
            ByteBuffer buffer = ByteBuffer.allocate(batch.sizeInBytes());
            batch.writeTo(buffer);
            return buffer.array();
        }

        static byte[] decompressed(MutableRecordBatch batch, byte[] bytes) throws IOException {
            ByteBuffer payload = ByteBuffer.wrap(bytes, 61, bytes.length - 61).slice();
            if (!batch.isCompressed() || batch.countOrNull() == 0) return Arrays.copyOfRange(bytes, 61, bytes.length);
            try (InputStream in = Compression.of(batch.compressionType()).build().wrapForInput(payload, batch.magic(),
                    BufferSupplier.NO_CACHING)) {
                return in.readAllBytes();
            }
        }

        List<MutableRecordBatch> allBatches(Path directory) throws IOException {
            List<MutableRecordBatch> all = new ArrayList<>();
            for (String name : names(directory, false)) {
                if (name.endsWith(".log")) all.addAll(batches(directory.resolve(name)));
            }
            return all;
        }

        // Whether all bytes are the same.
        boolean compareBatches(String where, List<MutableRecordBatch> theirs, List<MutableRecordBatch> ours) throws IOException, Different {
            boolean same = true;
            for (int i = 0; i < Math.max(theirs.size(), ours.size()); ++i) {
                if (i >= theirs.size() || i >= ours.size()) {
                    List<MutableRecordBatch> longer = i >= theirs.size() ? ours : theirs;
                    throw new Different(where + ": only " + (i >= theirs.size() ? "kurier" : "Apache Kafka") + " has " + longer.get(i));
                }
                byte[] theirBytes = bytes(theirs.get(i));
                byte[] ourBytes = bytes(ours.get(i));
                note(theirs.get(i));
                if (Arrays.equals(theirBytes, ourBytes)) continue;
                same = false;
                boolean compressed = theirs.get(i).isCompressed();
                if (!ours.get(i).isValid() || !compressed || !headersAgree(theirBytes, ourBytes)
                        || !Arrays.equals(decompressed(theirs.get(i), theirBytes), decompressed(ours.get(i), ourBytes)))
                    throw new Different(where + ": batch " + theirs.get(i) + "\n" + hex(theirBytes) + "\nbut kurier "
                            + ours.get(i) + "\n" + hex(ourBytes));
                saw("batches compressed differently");
            }
            return same;
        }

        // But for length and checksum.
        static boolean headersAgree(byte[] theirs, byte[] ours) {
            return Arrays.equals(theirs, 0, 8, ours, 0, 8) && Arrays.equals(theirs, 12, 17, ours, 12, 17)
                    && Arrays.equals(theirs, 21, 61, ours, 21, 61);
        }

        void note(MutableRecordBatch batch) {
            saw("batches");
            if (batch.countOrNull() == 0) saw(batch.isControlBatch() ? "empty markers" : "empty batches");
            if (batch.deleteHorizonMs().isPresent()) saw(batch.isControlBatch() ? "markers with a horizon" : "batches with a horizon");
            if (batch.isCompressed()) saw("batches of " + batch.compressionType());
            if (batch.countOrNull() < batch.lastOffset() - batch.baseOffset() + 1) saw("batches that have lost records");
        }
    }
}
