// PartitionLog: a coordinator's RecordLog over a partition that this node leads. On the partition's shard.
#pragma once

#include <memory>

#include "broker/partition.h"
#include "coordinator/runtime/record_log.h"

namespace kurier::broker {

class PartitionLog final : public coordinator::RecordLog {
 public:
  // `reads`: where the disk is read.
  PartitionLog(PartitionPorts ports, std::shared_ptr<Partition> partition, WorkPool& reads)
      : ports_(ports), partition_(std::move(partition)), reads_(reads) {}

  std::expected<Appended, protocol::ErrorCode> append(
      LeaderEpoch epoch, std::span<const coordinator::CoordinatorRecord> records,
      const std::optional<coordinator::TransactionOfAppend>& transaction) override;
  Task<Result<Bytes>> read(Offset from, std::size_t bytes_max) override;
  [[nodiscard]] Offset log_start_offset() const override { return partition_->log().log_start_offset(); }
  [[nodiscard]] Offset high_watermark() const override { return partition_->leader().high_watermark(); }
  [[nodiscard]] Offset log_end_offset() const override { return partition_->log().log_end_offset(); }
  [[nodiscard]] std::optional<LeaderEpoch> epoch_at(Offset offset) const override {
    return partition_->log().epoch_at(offset);
  }
  [[nodiscard]] std::optional<Offset> cleaned_to() const override { return partition_->log().cleaned_to(); }
  void never_clean_beyond(std::optional<Offset> bound) override { partition_->log().never_clean_beyond(bound); }
  void flush_to(Offset end, std::move_only_function<void(bool)> done) override {
    partition_->flush_to(end, std::move(done));
  }
  void observe(coordinator::RecordLogObserver* observer) override;

 private:
  PartitionPorts ports_;
  std::shared_ptr<Partition> partition_;
  WorkPool& reads_;
};

}  // namespace kurier::broker
