// One random case for CleanerCases.java: the steps of its script.
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import java.util.Set;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.CompressionType;
import org.apache.kafka.common.record.internal.ControlRecordType;
import org.apache.kafka.common.record.internal.EndTransactionMarker;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.MemoryRecordsBuilder;
import org.apache.kafka.common.record.internal.RecordBatch;
import org.apache.kafka.common.record.internal.SimpleRecord;

final class CaseGenerator {
    // What a case has beside keys that are overwritten.
    enum Feature {
        CODECS, TOMBSTONES, HEADERS, IDEMPOTENT, TRANSACTIONS, APPEND_TIME, GAPS, SMALL_MAP, MIN_LAG, MAX_LAG, NULL_KEYS,
        SMALL_INDEX, FAR_OFFSETS, LARGE_BATCHES, LOG_START, TRUNCATION, RESTART, DIRTY_RATIO, ODD_TIMES, EXPIRY
    }

    private static final class Producer {
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

    final Random random;
    final Set<Feature> features;
    final List<String> steps = new ArrayList<>();
    final List<Producer> producers = new ArrayList<>();
    final List<Long> bases = new ArrayList<>();
    long now = 1_700_000_000_000L;
    long offset = 0;
    long start = 0;
    final int keys;
    int leaderEpoch = 0;

    CaseGenerator(Random random, Set<Feature> features) {
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
            // A start that finds the log's end in a gap begins the next segment where the records end: not the cleaner's.
            boolean truncated = has(Feature.TRUNCATION) && oneIn(2) && truncate();
            if (has(Feature.RESTART) && oneIn(2) && !truncated) steps.add("restart " + now);
            if (has(Feature.EXPIRY) && oneIn(2)) {
                now += CleanerCases.PRODUCER_EXPIRATION_MS / 2;
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
    }

    void set(String name, Object value) {
        steps.add("set " + name + " " + value);
    }

    void settings() {
        set("segment.bytes", has(Feature.LARGE_BATCHES) ? between(20_000, 60_000) : between(1_500, 12_000));
        set("segment.index.bytes", has(Feature.SMALL_INDEX) ? between(24, 120) : 10_485_760);
        set("index.interval.bytes", oneIn(2) ? between(0, 600) : 4096);
        set("delete.retention.ms", oneIn(3) ? 0 : between(1, 1_000_000));
        set("min.compaction.lag.ms", has(Feature.MIN_LAG) ? between(1, 20_000) : 0);
        set("max.compaction.lag.ms", has(Feature.MAX_LAG) ? between(20_001, 200_000) : Long.MAX_VALUE);
        set("min.cleanable.dirty.ratio", (has(Feature.DIRTY_RATIO) || has(Feature.MAX_LAG)) && !has(Feature.CODECS) ? random.nextDouble() : 0.0);
        // Retention moves the log's start to where a truncation could not tell.
        boolean both = has(Feature.LOG_START) && !has(Feature.TRUNCATION) && oneIn(2);
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
    boolean truncate() {
        List<Long> possible = bases.stream().filter(base -> base >= start && base < offset).toList();
        if (possible.isEmpty()) return false;
        offset = possible.get(possible.size() * between(50, 99) / 100);
        bases.removeIf(base -> base >= offset);
        steps.add("truncate " + now + " " + offset);
        return true;
    }
}
