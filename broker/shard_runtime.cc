#include "broker/shard_runtime.h"

#include <utility>

namespace kurier::broker {

void CheckpointWriter::begin_round(CheckpointKinds kinds, Written written) {
  wanted_.add(kinds);
  if (written) waiting_.push_back(std::move(written));
  if (round_runs_ || !wanted_.any()) return;
  round_runs_ = true;
  const auto round = std::make_shared<Round>(std::vector<DirectoryOffsets>(directories_.all().size()), shards_.size(),
                                             std::exchange(wanted_, {}), std::exchange(waiting_, {}));
  Executor& home = *shards_.front().reactor;
  for (const ShardRuntime& shard : shards_) {
    shard.reactor->post([this, &shard, &home, round] {
      auto own = std::make_shared<std::vector<DirectoryOffsets>>(directories_.all().size());
      shard.logs->collect_offsets(*own);
      home.post([this, round, own] {
        for (std::size_t i = 0; i < own->size(); ++i) {
          round->offsets[i].recovery_points.merge((*own)[i].recovery_points);
          round->offsets[i].log_start_offsets.merge((*own)[i].log_start_offsets);
          round->offsets[i].high_watermarks.merge((*own)[i].high_watermarks);
          round->offsets[i].cleaner_offsets.merge((*own)[i].cleaner_offsets);
        }
        if (--round->shards_left == 0) gathered(round);
      });
    });
  }
}

void CheckpointWriter::gathered(const std::shared_ptr<Round>& round) {
  pool_.run([this, round, &home = *shards_.front().reactor] {
    const bool all_written = directories_.write_checkpoints(round->offsets, round->kinds);
    home.post([this, round, all_written] {
      round_runs_ = false;
      for (Written& written : round->written) written(all_written);
      begin_round({});
    });
  });
}

void CheckpointWriter::write_now() {
  std::vector<DirectoryOffsets> offsets(directories_.all().size());
  for (const ShardRuntime& shard : shards_) shard.logs->collect_offsets(offsets);
  directories_.write_checkpoints(offsets, {true, true, true, true});
}

}  // namespace kurier::broker
