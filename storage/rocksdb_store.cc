#include "storage/rocksdb_store.h"

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include <algorithm>

#include "base/check.h"
#include "base/log.h"

namespace kurier::storage {
namespace {

rocksdb::Slice slice(ByteView bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
ByteView view(const rocksdb::Slice& slice) { return as_bytes({slice.data(), slice.size()}); }

std::unexpected<Error> failed(const char* doing, const rocksdb::Status& status) {
  const Failure failure = status.IsCorruption() ? Failure::kCorrupt
                          : status.IsNoSpace()  ? Failure::kNoSpace
                                                : Failure::kIo;
  return fail(failure, std::string(doing) + " the views: " + status.ToString());
}

// What goes wrong is told by the calls; the rest is of no use at night.
class NoLog final : public rocksdb::Logger {
 public:
  NoLog() : Logger(rocksdb::InfoLogLevel::FATAL_LEVEL) {}
  void Logv(const char*, va_list) override {}
  using Logger::Logv;
};

rocksdb::Options small_database() {
  constexpr std::size_t kMebibyte = 1 << 20;
  rocksdb::Options options;
  options.create_if_missing = true;
  options.info_log = std::make_shared<NoLog>();
  options.write_buffer_size = kMebibyte;
  options.max_write_buffer_number = 3;
  options.target_file_size_base = 8 * kMebibyte;
  options.max_bytes_for_level_base = 32 * kMebibyte;
  options.compression = rocksdb::kLZ4Compression;
  options.max_open_files = 64;
  options.max_background_jobs = 2;
  options.max_manifest_file_size = kMebibyte;
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  options.skip_stats_update_on_db_open = true;
  options.skip_checking_sst_file_sizes_on_db_open = true;
  options.max_file_opening_threads = 1;  // 13 files at most are opened at once, and a thread costs more than a file
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = rocksdb::NewLRUCache(8 * kMebibyte, 0);
  table.cache_index_and_filter_blocks = true;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  // In pieces: the first lookup after a start would read whole ones, a megabyte for a million keys.
  table.index_type = rocksdb::BlockBasedTableOptions::kTwoLevelIndexSearch;
  table.partition_filters = true;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

// The partitions' logs have it all.
rocksdb::WriteOptions without_log() {
  rocksdb::WriteOptions options;
  options.disableWAL = true;
  return options;
}

// RocksDB makes one at each start and keeps those of earlier ones until something is flushed. Nothing is ever in them.
void remove_logs(FileSystem& files, const std::string& path) {
  const auto entries = files.list(path);
  if (!entries) return;  // there is no database yet, or its opening says what is wrong
  for (const FileSystem::Entry& entry : *entries) {
    if (entry.name.ends_with(".log")) static_cast<void>(files.remove(path + "/" + entry.name));
  }
}

}  // namespace

struct RocksDbStore::Database {
  std::unique_ptr<rocksdb::DB> db;
};

RocksDbStore::RocksDbStore(std::unique_ptr<Database> database) : database_(std::move(database)) {}
RocksDbStore::~RocksDbStore() = default;

Result<std::unique_ptr<RocksDbStore>> RocksDbStore::open(FileSystem& files, const std::string& path) {
  remove_logs(files, path);
  const rocksdb::Options options = small_database();
  rocksdb::DB* db = nullptr;
  rocksdb::Status status = rocksdb::DB::Open(options, path, &db);
  // InvalidArgument: it is of another format. A path that is missing: one of its files is.
  if (status.IsCorruption() || status.IsInvalidArgument() || status.IsNotSupported() || status.IsNotFound() ||
      status.IsPathNotFound()) {
    LOG_WARN("{} cannot be opened, it is made anew from the logs: {}", path, status.ToString());
    TRY(files.remove_tree(path));
    status = rocksdb::DB::Open(options, path, &db);
  }
  if (!status.ok()) return failed("opening", status);
  auto database = std::make_unique<Database>();
  database->db.reset(db);
  return std::unique_ptr<RocksDbStore>(new RocksDbStore(std::move(database)));
}

Result<std::optional<Bytes>> RocksDbStore::get(ByteView key) const {
  rocksdb::PinnableSlice value;
  rocksdb::DB& db = *database_->db;
  const rocksdb::Status status = db.Get({}, db.DefaultColumnFamily(), slice(key), &value);
  if (status.IsNotFound()) return std::nullopt;
  if (!status.ok()) return failed("reading", status);
  return to_bytes(view(value));
}

Result<void> RocksDbStore::scan(ByteView prefix, ByteView from, const Visit& visit) const {
  const std::optional<Bytes> end = end_of_prefix(prefix);
  rocksdb::Slice bound;
  rocksdb::ReadOptions options;
  if (end) {
    bound = slice(*end);
    options.iterate_upper_bound = &bound;
  }
  const std::unique_ptr<rocksdb::Iterator> at(database_->db->NewIterator(options));
  const bool begins_inside = std::ranges::lexicographical_compare(prefix, from);
  for (at->Seek(slice(begins_inside ? from : prefix)); at->Valid(); at->Next()) {
    if (!visit(view(at->key()), view(at->value()))) return {};
  }
  if (!at->status().ok()) return failed("reading", at->status());
  return {};
}

Result<void> RocksDbStore::write(std::span<const Change> changes) {
  rocksdb::WriteBatch batch;
  for (const Change& change : changes) {
    const rocksdb::Status status =
        change.value ? batch.Put(slice(change.key), slice(*change.value)) : batch.Delete(slice(change.key));
    if (!status.ok()) return failed("writing", status);
  }
  const rocksdb::Status status = database_->db->Write(without_log(), &batch);
  return status.ok() ? Result<void>{} : failed("writing", status);
}

Result<void> RocksDbStore::erase_prefix(ByteView prefix) {
  const std::optional<Bytes> end = end_of_prefix(prefix);
  KURIER_CHECK(end.has_value());
  rocksdb::DB& db = *database_->db;
  const rocksdb::Status status = db.DeleteRange(without_log(), db.DefaultColumnFamily(), slice(prefix), slice(*end));
  return status.ok() ? Result<void>{} : failed("writing", status);
}

Result<void> RocksDbStore::flush() {
  const rocksdb::Status status = database_->db->Flush({});
  return status.ok() ? Result<void>{} : failed("flushing", status);
}

}  // namespace kurier::storage
