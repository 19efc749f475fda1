#include "broker/partition_log.h"

#include "coordinator/runtime/batch_builder.h"

namespace kurier::broker {

using protocol::ErrorCode;

std::expected<coordinator::RecordLog::Appended, ErrorCode> PartitionLog::append(
    LeaderEpoch epoch, std::span<const coordinator::CoordinatorRecord> records,
    const std::optional<coordinator::TransactionOfAppend>& transaction) {
  if (partition_->is_offline() || partition_->leader().leader_epoch() != epoch)
    return std::unexpected(ErrorCode::kNotLeaderOrFollower);
  const Timestamp now = ports_.clock.wall();
  Bytes batch = coordinator::build_batch(records, transaction, now);
  if (batch.size() > static_cast<std::size_t>(partition_->config().max_message_bytes))
    return std::unexpected(ErrorCode::kMessageTooLarge);
  const Partition::Appended appended = partition_->append(batch, true, now, storage::AppendOrigin::kCoordinator);
  if (appended.error != ErrorCode::kNone) return std::unexpected(appended.error);
  return Appended{appended.result.first_offset, appended.result.last_offset + 1,
                  protocol::RecordBatchView::parse_header(batch)->crc()};
}

Task<Result<Bytes>> PartitionLog::read(Offset from, std::size_t bytes_max) {
  auto found = partition_->log().read(from, bytes_max, partition_->log().log_end_offset(), true);
  if (!found) co_return std::unexpected(found.error());
  if (found->slice.size_bytes == 0) co_return Bytes{};
  const auto done = std::make_shared<Event<Result<Bytes>>>();
  reads_.run([done, slice = std::move(found->slice), &executor = ports_.executor] {
    Bytes bytes(slice.size_bytes);
    const Result<std::size_t> count = slice.file->read_at(slice.position, bytes);
    if (count) bytes.resize(*count);
    Result<Bytes> result = count ? Result<Bytes>(std::move(bytes)) : std::unexpected(count.error());
    if (result && result->empty()) result = fail(Failure::kCorrupt, slice.file->path() + " is shorter than it was");
    executor.post([done, result = std::move(result)]() mutable { done->set(std::move(result)); });
  });
  co_return co_await *done;
}

void PartitionLog::observe(coordinator::RecordLogObserver* observer) {
  if (observer == nullptr) return partition_->on_high_watermark(nullptr);
  partition_->on_high_watermark([observer](Offset high_watermark) { observer->committed_to(high_watermark); });
}

}  // namespace kurier::broker
