// Segment: one .log file with its indexes. The last segment of a log is active: the only one that grows.
//
// Owned by Log and used on the partition's shard; readers hold the file open through the slices that they were given.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/transport.h"
#include "protocol/record_batch.h"
#include "storage/index_file.h"
#include "storage/log_config.h"
#include "storage/producer_state.h"

namespace kurier::storage {

// "00000000000000000042" + suffix, in `directory`.
[[nodiscard]] std::string segment_path(const std::string& directory, Offset base_offset, std::string_view suffix);
inline constexpr std::string_view kLogSuffix = ".log";
inline constexpr std::string_view kIndexSuffix = ".index";
inline constexpr std::string_view kTimeIndexSuffix = ".timeindex";
inline constexpr std::string_view kTransactionIndexSuffix = ".txnindex";
inline constexpr std::string_view kSnapshotSuffix = ".snapshot";
inline constexpr std::string_view kDeletedSuffix = ".deleted";
inline constexpr std::string_view kCleanedSuffix = ".cleaned";
inline constexpr std::string_view kSwapSuffix = ".swap";

class Segment {
 public:
  struct Found {  // file sizes as listed; none: no such file
    std::uint64_t log_bytes = 0;
    std::optional<std::uint64_t> index_bytes;
    std::optional<std::uint64_t> time_index_bytes;
    std::optional<std::uint64_t> transaction_index_bytes;
    Timestamp modified{-1};
  };
  // `suffix`: what its files' names end with while they are not in the log's place: .cleaned, .swap.
  Segment(FileSystem& files, std::string directory, Offset base_offset, const Found& found, Timestamp created,
          std::string_view suffix = "");

  [[nodiscard]] Offset base_offset() const { return base_offset_; }
  [[nodiscard]] std::uint64_t size_bytes() const { return size_bytes_; }
  [[nodiscard]] Timestamp created() const { return created_; }
  [[nodiscard]] Timestamp modified() const { return modified_; }
  [[nodiscard]] const std::string& directory() const { return directory_; }

  // Appends whole batches with one write, and tells the indexes of them.
  Result<void> append(ByteView batches, const LogConfig& config);
  // The same in two steps, for who looks at each batch anyway: each is then to be indexed, with where it begins.
  Result<void> append_unindexed(ByteView batches, const LogConfig& config);
  Result<void> index(const protocol::RecordBatchView& batch, std::uint64_t position, const LogConfig& config);
  Result<std::shared_ptr<const File>> file();

  struct Position {
    std::uint64_t position = 0;
    std::size_t batch_bytes = 0;
    Offset base_offset;
    Offset last_offset;
  };
  // The first batch whose last offset is at least `offset`; none if the segment ends before.
  Result<std::optional<Position>> find(Offset offset);

  // Calls `visit` with the header view of each batch from `position` on (`full`: with its payload, crc checked by the
  // caller), until it returns false or the valid batches end. Returns where they end.
  using Visit = std::function<Result<bool>(const protocol::RecordBatchView&, std::uint64_t position)>;
  Result<std::uint64_t> scan(std::uint64_t position, bool full, const Visit& visit);

  // Reads every batch, checks crc and order, cuts what does not fit at the end, writes the indexes anew.
  // The number of bytes that were cut.
  Result<std::uint64_t> recover(const LogConfig& config, const Visit& seen);
  // False if an index is missing or cannot belong to this log file.
  Result<bool> indexes_fit();

  Result<Offset> next_offset();  // reads the tail from the last index entry
  Result<TimeIndex::Entry> max_timestamp();
  Result<std::optional<Timestamp>> first_batch_timestamp();

  Result<void> truncate_to(Offset offset);
  // The segment ends here: the last time index entry, and the indexes to their files.
  Result<void> seal();
  // Gives the descriptors back, until they are needed again.
  void close_files() {
    file_.reset();
    offset_index_.entries().close();
    time_index_.entries().close();
  }
  [[nodiscard]] bool index_is_full(const LogConfig& config) const;

  Result<void> append_aborted(const AbortedTransaction& aborted);
  Result<std::vector<AbortedTransaction>> aborted_transactions();
  Result<void> clear_transaction_index();
  Result<void> sync_transaction_index();
  [[nodiscard]] bool has_transaction_index() const { return has_transaction_index_; }

  // What an fsync of this segment has to cover. May be used on another thread.
  Result<std::vector<std::shared_ptr<File>>> files_to_sync(bool with_indexes);
  Result<void> sync_indexes();
  // Whoever had them to sync may have failed unheard.
  void sync_indexes_again();
  // The paths of its files that exist, for deletion.
  [[nodiscard]] std::vector<std::string> paths() const;
  // Renames its files to end with `suffix`; open ones stay open.
  Result<void> change_suffix(std::string_view suffix);
  void modified_is(Timestamp modified) { modified_ = modified; }
  OffsetIndex& offset_index() { return offset_index_; }
  TimeIndex& time_index() { return time_index_; }

 private:
  struct Recent {
    Offset last_offset;
    Offset base_offset;
    std::uint64_t position;
    std::size_t batch_bytes;
  };
  [[nodiscard]] std::string path(std::string_view kind) const;
  Result<void> open_file();
  Result<void> load_max_timestamp();
  Result<void> truncate_transaction_index(Offset offset);
  Result<void> take_unsynced_indexes(std::vector<std::shared_ptr<File>>& taken);
  void remember(const protocol::RecordBatchView& batch, std::uint64_t position);
  Result<std::optional<Position>> find_behind_last(Offset offset);

  FileSystem& files_;
  std::string directory_;
  std::string suffix_;
  Offset base_offset_;
  std::uint64_t size_bytes_;
  Timestamp created_;
  Timestamp modified_;
  std::shared_ptr<File> file_;
  OffsetIndex offset_index_;
  TimeIndex time_index_;
  bool has_transaction_index_;
  bool is_reserved_ = false;  // disk space beyond its end
  bool has_unsynced_cut_ = false;  // of an append that failed
  std::uint64_t reserved_end_ = 0;
  std::uint64_t bytes_since_index_entry_ = 0;
  std::optional<TimeIndex::Entry> max_timestamp_;  // none: not loaded yet
  std::optional<Timestamp> first_batch_timestamp_;
  std::deque<Recent> recent_;  // the last batches appended, so that readers at the tail need no index
  struct Behind {
    Offset offset;
    std::uint64_t position = 0;  // 0: nothing was found yet
  };
  Behind behind_last_found_;  // the batch that the last search has found
};

}  // namespace kurier::storage
