// Performs a script of CleanerCases.java with Apache Kafka's log, cleaner and cleaner manager.
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.utils.Time;
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

final class ApacheCleaner {
    private static final class Clock implements Time {
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
    private static final class Now implements Scheduler {
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

    final Path directory;
    final Path logs;
    final String name;
    final boolean mended;
    final Map<String, String> settings = new HashMap<>();
    final Clock time = new Clock();
    final Now scheduler = new Now();
    final LogDirFailureChannel failures = new LogDirFailureChannel(10);
    final ConcurrentHashMap<TopicPartition, UnifiedLog> pool = new ConcurrentHashMap<>();
    LogCleanerManager manager;
    UnifiedLog log;
    final Map<Long, Long> times = new HashMap<>();  // of the segments' files, by base offset
    final StringBuilder trace = new StringBuilder();
    long start = 0;
    long recovered = 0;

    // In `directory`/`name`. `mended`: see MendedLog.
    ApacheCleaner(Path directory, String name, boolean mended) {
        this.directory = directory;
        this.logs = directory.resolve(name);
        this.name = name;
        this.mended = mended;
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
            setTimes(step[0]);
            trace.append(number).append(' ').append(step[0]).append(':');
            for (LogSegment segment : log.logSegments()) trace.append(' ').append(segment.baseOffset());
            trace.append(" to ").append(log.logEndOffset()).append('\n');
        }
        Files.writeString(directory.resolve("trace." + name), trace);
        close();
        manager.removeMetrics();
        scheduler.shutdown();
    }

    // Files have the script's times too: of the last append, or when the segment began.
    void setTimes(String step) {
        for (LogSegment segment : log.logSegments()) {
            long base = segment.baseOffset();
            boolean written = !times.containsKey(base) || step.equals("append") && segment == log.activeSegment();
            if (step.equals("clean")) times.put(base, segment.lastModified());
            if (written) times.put(base, time.now);
            if (written || !step.equals("append")) segment.log().file().setLastModified(times.get(base));
        }
        times.keySet().retainAll(log.logSegments().stream().map(LogSegment::baseOffset).toList());
    }

    LogConfig config() {
        Map<String, String> all = new HashMap<>(settings);
        for (String ours : List.of("map.bytes", "load.factor", "buffer.bytes", "codecs")) all.remove(ours);
        all.put("internal.segment.bytes", all.remove("segment.bytes"));
        return new LogConfig(all);
    }

    void open() throws Exception {
        Files.createDirectories(logs.resolve(CleanerCases.PARTITION.toString()));
        log = UnifiedLog.create(logs.resolve(CleanerCases.PARTITION.toString()).toFile(), config(), start, recovered, scheduler,
                new BrokerTopicStats(), time, 900_000, new ProducerStateManagerConfig(CleanerCases.PRODUCER_EXPIRATION_MS, false), 600_000,
                failures, true, Optional.empty());
        if (mended) log = MendedLog.of(log);
        log.updateHighWatermark(log.logEndOffset());
        pool.put(CleanerCases.PARTITION, log);
        if (manager == null) manager = new LogCleanerManager(List.of(logs.toFile()), pool, failures);
    }

    void close() throws Exception {
        if (log instanceof MendedLog mendedLog && mendedLog.passedMarker) Files.write(directory.resolve("passed-marker"), new byte[0]);
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
        if (sealed) manager.maybeTruncateCheckpoint(logs.toFile(), CleanerCases.PARTITION, log.activeSegment().baseOffset());
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
            manager.doneCleaning(CleanerCases.PARTITION, logs.toFile(), end);
            rounds.append(end).append('\n');
        }
        rounds.append("cleaned to ").append(manager.allCleanerCheckpoints().getOrDefault(CleanerCases.PARTITION, -1L)).append(" of ")
                .append(log.logStartOffset()).append(" to ").append(log.logEndOffset()).append('\n');
        Path kept = Files.createDirectories(directory.resolve(String.format("%s.%04d", name, number)));
        Files.writeString(kept.resolve("rounds"), rounds);
        // The indexes of the active segment are mapped and larger than what is in them.
        Set<String> active = Set.of(log.activeSegment().offsetIndexFile().getName(), log.activeSegment().timeIndexFile().getName());
        try (Stream<Path> found = Files.list(logs.resolve(CleanerCases.PARTITION.toString()))) {
            for (Path each : found.toList()) {
                String name = each.getFileName().toString();
                if (!name.endsWith(".deleted") && !active.contains(name)) Files.copy(each, kept.resolve(name));
            }
        }
        Path checkpoint = logs.resolve("cleaner-offset-checkpoint");
        if (Files.size(checkpoint) > 0) Files.copy(checkpoint, kept.resolve("cleaner-offset-checkpoint"));
    }
}
