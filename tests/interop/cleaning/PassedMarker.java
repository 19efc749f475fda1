// The case of CleanerCases.java that shows MendedLog's defect, written by hand: a deleted key comes back.
//
// The map has room for three keys, so that the first round ends behind an abort marker and before the tombstone of a committed
// transaction of the same producer. The second round takes that for aborted, and leaves the older value; the tombstone goes
// when its time has come, and what it has deleted is the latest value again.
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.ControlRecordType;
import org.apache.kafka.common.record.internal.EndTransactionMarker;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.MemoryRecordsBuilder;
import org.apache.kafka.common.record.internal.RecordBatch;
import org.apache.kafka.common.record.internal.SimpleRecord;

final class PassedMarker {
    static final String NAME = "passed-marker";
    // What Apache Kafka's own cleaner leaves beside what is left otherwise.
    static final String COMES_BACK = "0 deleted=value";

    private static final long PRODUCER = 200;
    private static final long NOW = 1_700_000_000_000L;

    private final List<String> steps = new ArrayList<>(List.of("set segment.bytes 100000", "set segment.index.bytes 10485760",
            "set index.interval.bytes 0", "set delete.retention.ms 0", "set min.compaction.lag.ms 0",
            "set max.compaction.lag.ms " + Long.MAX_VALUE, "set min.cleanable.dirty.ratio 0.0", "set cleanup.policy compact",
            "set map.bytes " + 4 * 24, "set load.factor 0.75", "set buffer.bytes 65536"));
    private long offset = 0;
    private int sequence = 0;

    static List<String> script() {
        PassedMarker one = new PassedMarker();
        one.append(false, "deleted", "value");
        one.append(true, "aborted", "value");
        one.mark(ControlRecordType.ABORT);
        one.append(false, "a", "value");
        one.append(false, "b", "value");
        one.append(true, "deleted", null);
        one.mark(ControlRecordType.COMMIT);
        one.clean();
        one.append(false, "c", "value");
        one.clean();
        return one.steps;
    }

    private void append(boolean transactional, String key, String value) {
        MemoryRecordsBuilder builder = MemoryRecords.builder(ByteBuffer.allocate(256), RecordBatch.MAGIC_VALUE_V2, Compression.NONE,
                TimestampType.CREATE_TIME, offset, NOW, transactional ? PRODUCER : RecordBatch.NO_PRODUCER_ID,
                transactional ? (short) 0 : RecordBatch.NO_PRODUCER_EPOCH, transactional ? sequence++ : RecordBatch.NO_SEQUENCE,
                transactional, 0);
        builder.appendWithOffset(offset++, new SimpleRecord(NOW, key.getBytes(), value == null ? null : value.getBytes()));
        append(builder.build());
    }

    private void mark(ControlRecordType type) {
        append(MemoryRecords.withEndTransactionMarker(offset++, NOW, 0, PRODUCER, (short) 0, new EndTransactionMarker(type, 0)));
    }

    private void append(MemoryRecords records) {
        byte[] bytes = new byte[records.sizeInBytes()];
        records.buffer().duplicate().get(bytes);
        steps.add("append " + NOW + " " + HexFormat.of().formatHex(bytes));
    }

    private void clean() {
        steps.add("roll " + NOW);
        steps.add("clean " + NOW);
    }
}
