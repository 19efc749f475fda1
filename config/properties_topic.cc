// What can be configured for a topic, in the order of Apache Kafka's definition; the columns are
// those of TopicProperty. And our own properties.
#include "config/properties.h"

namespace kurier::config {
using namespace columns;

static constexpr TopicProperty kTopicRows[] = {
    // clang-format off
    {"segment.bytes", kInt, "1073741824", "[1048576,...]", "log.segment.bytes", kPublic,
     "The size of a segment file, in bytes."},
    {"segment.ms", kLong, "604800000", "[1,...]", "log.roll.ms,log.roll.hours", kPublic,
     "The longest time before a new segment, in milliseconds."},
    {"segment.jitter.ms", kLong, "0", "[0,...]", "log.roll.jitter.ms,log.roll.jitter.hours", kPublic,
     "The random time by which segments are begun earlier, at most, in milliseconds."},
    {"segment.index.bytes", kInt, "10485760", "[4,...]", "log.index.size.max.bytes", kPublic,
     "The size of an offset index, in bytes."},
    {"flush.messages", kLong, "9223372036854775807", "[1,...]", "log.flush.interval.messages", kPublic,
     "Records after which the log is synced to disk; 1: before each is acknowledged."},
    {"flush.ms", kLong, "9223372036854775807", "[0,...]", "log.flush.interval.ms,log.flush.scheduler.interval.ms",
     kPublic, "The longest time before the log is synced to disk, in milliseconds."},
    {"retention.bytes", kLong, "-1", "", "log.retention.bytes", kPublic,
     "How large a partition may become before old segments are deleted, in bytes; -1: no limit."},
    {"retention.ms", kLong, "604800000", "[-1,...]", "log.retention.ms,log.retention.minutes,log.retention.hours",
     kPublic, "How long records are kept, in milliseconds; -1: for ever."},
    {"max.message.bytes", kInt, "1048588", "[0,...]", "message.max.bytes", kPublic,
     "The largest record batch that is accepted, as sent, in bytes."},
    {"max.decompressed.message.bytes", kInt, "2147483639", "[1,...,2147483639]", "max.decompressed.message.bytes",
     kPublic, "The largest size to which a batch may be decompressed, in bytes."},
    {"index.interval.bytes", kInt, "4096", "[0,...]", "log.index.interval.bytes", kPublic,
     "Bytes of the log between two entries of its offset index."},
    {"delete.retention.ms", kLong, "86400000", "[0,...]", "log.cleaner.delete.retention.ms", kPublic,
     "How long delete markers are kept in a compacted log, in milliseconds."},
    {"min.compaction.lag.ms", kLong, "0", "[0,...]", "log.cleaner.min.compaction.lag.ms", kPublic,
     "How long a record stays uncompacted at least, in milliseconds."},
    {"max.compaction.lag.ms", kLong, "9223372036854775807", "[1,...]", "log.cleaner.max.compaction.lag.ms", kPublic,
     "How long a record stays uncompacted at most, in milliseconds."},
    {"file.delete.delay.ms", kLong, "60000", "[0,...]", "log.segment.delete.delay.ms", kPublic,
     "How long a deleted segment's files stay on disk, in milliseconds."},
    {"min.cleanable.dirty.ratio", kDouble, "0.5", "[0,...,1]", "log.cleaner.min.cleanable.ratio", kPublic,
     "From which share of uncompacted bytes on the log is compacted."},
    {"cleanup.policy", kList, "delete", "[compact, delete]", "log.cleanup.policy", kPublic,
     "What happens to old segments: delete, compact, both or none."},
    {"unclean.leader.election.enable", kBoolean, "false", "", "unclean.leader.election.enable", kPublic,
     "Whether a replica outside the ISR may become leader, which can lose records."},
    {"min.insync.replicas", kInt, "1", "[1,...]", "min.insync.replicas", kPublic,
     "Replicas in the ISR without which acks=all is refused."},
    {"compression.type", kString, "producer", "[uncompressed, zstd, lz4, snappy, gzip, producer]", "compression.type",
     kPublic, "The codec of the log; producer: as sent."},
    {"compression.gzip.level", kInt, "-1", "[1,...,9] or -1", "compression.gzip.level", kPublic,
     "The level of gzip, 1 to 9; -1: the library's default."},
    {"compression.lz4.level", kInt, "9", "[1,...,17]", "compression.lz4.level", kPublic, "The level of lz4, 1 to 17."},
    {"compression.zstd.level", kInt, "3", "[-131072,...,22]", "compression.zstd.level", kPublic,
     "The level of zstd, up to 22."},
    {"preallocate", kBoolean, "false", "", "log.preallocate", kPublic,
     "Gives a segment its full size when it is created."},
    {"message.timestamp.type", kString, "CreateTime", "[CreateTime, LogAppendTime]", "log.message.timestamp.type",
     kPublic, "Whose time records carry: the producer's (CreateTime) or the broker's (LogAppendTime)."},
    {"message.timestamp.before.max.ms", kLong, "9223372036854775807", "[0,...]", "log.message.timestamp.before.max.ms",
     kPublic, "How far a producer's time may lie in the past, in milliseconds."},
    {"message.timestamp.after.max.ms", kLong, "3600000", "[0,...]", "log.message.timestamp.after.max.ms", kPublic,
     "How far a producer's time may lie in the future, in milliseconds."},
    {"leader.replication.throttled.replicas", kList, "", "[partitionId]:[brokerId],[partitionId]:[brokerId],...", "",
     kPublic, "Replicas whose sending is throttled: partition:broker, comma-separated; *: all.",
     kNoEffect, kSingle},
    {"follower.replication.throttled.replicas", kList, "", "[partitionId]:[brokerId],[partitionId]:[brokerId],...", "",
     kPublic, "Replicas whose fetching is throttled: partition:broker, comma-separated; *: all.",
     kNoEffect, kSingle},
    {"remote.storage.enable", kBoolean, "false", "", "", kPublic, "Moves old segments to a remote store.",
     kRefused, kRemote},
    {"local.retention.ms", kLong, "-2", "[-2,...]", "log.local.retention.ms", kPublic,
     "How long a segment is kept here after it was copied, in milliseconds; -2: as long as retention.ms."},
    {"local.retention.bytes", kLong, "-2", "[-2,...]", "log.local.retention.bytes", kPublic,
     "How many bytes of a partition are kept here after they were copied; -2: as retention.bytes."},
    {"remote.log.copy.disable", kBoolean, "false", "", "", kPublic, "Copies nothing more to the remote store.", kNoEffect,
     kRemote},
    {"remote.copy.lag.ms", kLong, "0", "[-1,...]", "log.remote.copy.lag.ms", kPublic,
     "How old a segment must be before it is copied, in milliseconds."},
    {"remote.copy.lag.bytes", kLong, "-1", "[-1,...]", "log.remote.copy.lag.bytes", kPublic,
     "How far a segment must lie behind the log's end before it is copied, in bytes."},
    {"remote.log.delete.on.disable", kBoolean, "false", "", "", kPublic,
     "Deletes what is in the remote store when remote.storage.enable is switched off.",
     kNoEffect, kRemote},
    {"errors.deadletterqueue.group.enable", kBoolean, "false", "", "", kPublic,
     "Allows share groups to write undeliverable records to this topic.",
     kNoEffect, kShare},
    {"internal.segment.bytes", kInt, kNoDefault, "", "", kInternal, "The size of a segment file in tests, in bytes."},
    // clang-format on
};
const std::span<const TopicProperty> kTopicProperties = kTopicRows;

static constexpr Property kOwnRows[] = {
    // clang-format off
    {"kurier.state.dir", kString, kNoDefault, "non-empty string", kReadOnly, kPublic, kWorks, "",
     "Where kurier keeps what is not Kafka's and can be rebuilt; by default the first log directory + .kurier."},
    {"kurier.shards", kInt, "0", "[0,...,256]", kReadOnly, kPublic, kWorks, "",
     "Threads that serve connections and partitions; 0: one a core."},
    // clang-format on
};
const std::span<const Property> kOwnProperties = kOwnRows;

}  // namespace kurier::config
