// Apache Kafka's log, but for one defect of its cleaner that kurier does not copy (docs/decisions/0004-cleaner.md): asked for the
// aborted transactions of a range, it also tells of those whose marker lies before the range in the same segment. A cleaning
// that begins behind such a marker takes the same producer's next transaction for the aborted one, and leaves its keys out of
// the map. PassedMarker.java shows what that leads to.
import java.io.IOException;
import java.lang.reflect.Field;
import java.util.List;
import java.util.Optional;
import org.apache.kafka.common.message.AbortedTxn;
import org.apache.kafka.storage.internals.log.LocalLog;
import org.apache.kafka.storage.internals.log.LogOffsetsListener;
import org.apache.kafka.storage.internals.log.UnifiedLog;
import org.apache.kafka.storage.log.metrics.BrokerTopicStats;

final class MendedLog extends UnifiedLog {
    boolean passedMarker = false;

    private MendedLog(UnifiedLog log, LocalLog local) throws IOException {
        super(log.logStartOffset(), local, new BrokerTopicStats(), 600_000, log.leaderEpochCache(), log.producerStateManager(),
                Optional.empty(), false, LogOffsetsListener.NO_OP_OFFSETS_LISTENER);
    }

    // Takes the place of `log`, which is not to be used any more.
    static MendedLog of(UnifiedLog log) throws IOException, ReflectiveOperationException {
        Field local = UnifiedLog.class.getDeclaredField("localLog");
        local.setAccessible(true);
        return new MendedLog(log, (LocalLog) local.get(log));
    }

    @Override
    public List<AbortedTxn> collectAbortedTransactions(long startOffset, long upperBoundOffset) {
        List<AbortedTxn> all = super.collectAbortedTransactions(startOffset, upperBoundOffset);
        List<AbortedTxn> inRange = all.stream().filter(each -> each.lastOffset() >= startOffset).toList();
        passedMarker |= inRange.size() < all.size();
        return inRange;
    }
}
