// PartitionView: what one coordinator partition knows: a view of its log in a KeyValueStore, and over it what the store has
// not got yet.
//
// The log is the truth. The store has, with every write, the position in the log up to which the view reflects it; a view
// that the log does not bear out (`reason_to_discard`) is erased and made anew by replay. Two layers lie over the store:
// what has changed since (unsaved), and what is on its way to it (saving, which waits until it is committed and the log is
// durable so far). So reading sees all, the memory holds little, and a view never has what the log may lose, be it to another
// leader or in a power cut: a log that has grown again to where the view is would seem to bear it out.
// Everything on the partition's shard; what may block runs on the pool, one work at a time in the order given.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/executor.h"
#include "base/key_value_store.h"
#include "base/task.h"
#include "coordinator/runtime/record_log.h"
#include "coordinator/view/view_values.h"

namespace kurier::coordinator {

// What is known of a log when its view is opened.
struct LogFacts {
  Offset log_start_offset;
  Offset log_end_offset;
  std::optional<Offset> cleaned_to;
  std::optional<LeaderEpoch> epoch;  // of the record before the view's offset, as the epoch cache has it
  Uuid log_directory_id;
  std::optional<std::uint32_t> crc =
      {};  // of the batch that ends before the view's offset; none: compaction has taken it
};
// Why the view must not be used; none: it may.
[[nodiscard]] std::optional<std::string> reason_to_discard(const StoredPosition& stored, const LogFacts& log);

struct BytesLess {
  using is_transparent = void;
  bool operator()(ByteView left, ByteView right) const { return std::ranges::lexicographical_compare(left, right); }
};

class PartitionView final : public std::enable_shared_from_this<PartitionView> {
 public:
  struct Ports {
    const Clock& clock;
    Timers& timers;
    Executor& executor;
    WorkPool& pool;  // one thread
    // On the pool, whenever a view is opened. An error: there is no store, everything is kept in memory.
    std::function<Result<KeyValueStore*>()> open_store;
    // Takes what a view that is closed has to save: to do it when the log is durable up to `end` and nothing else works on the
    // view, or to drop it. Null: the pool does it, nothing that is committed is ever lost.
    std::function<void(Offset end, std::move_only_function<void()> save)> save_last = {};
  };
  struct Options {
    std::string name;  // for the log
    TopicId topic_id;
    PartitionIndex partition;
    Uuid log_directory_id;
    bool distrust = false;  // discards what is there
    std::size_t unsaved_bytes_max = 1 << 20;
    std::int64_t unsaved_records_max = 200'000;  // of the log: what a start after a crash replays, and no cleaner takes
    std::chrono::milliseconds unsaved_time_max = std::chrono::seconds(30);
  };
  PartitionView(Ports ports, Options options);

  // Opens the view of `log`, which outlives this until `close`. The offset from which the log has to be replayed into it.
  // An error: what is there is wrong and could not be erased; nothing may be answered.
  static Task<Result<Offset>> begin(std::shared_ptr<PartitionView> self, RecordLog& log);
  // While replaying: when a lot has come, it is saved first.
  static Task<void> make_room(std::shared_ptr<PartitionView> self);
  // What has been put and erased is everything before this position.
  void reflects(ViewPosition position);
  // The view must not go on from its position, since it has missed something of the log. What is stored stays as it is.
  void missed_something();
  void committed_to(Offset high_watermark);
  // Hands over what is committed and not saved (Ports::save_last), and forgets the log. Nothing is called afterwards.
  void close();

  using Visit = KeyValueStore::Visit;
  [[nodiscard]] std::optional<Bytes> get(ByteView key) const;
  void scan(ByteView prefix, ByteView from, const Visit& visit) const;
  void scan(ByteView prefix, const Visit& visit) const { scan(prefix, prefix, visit); }
  void put(Bytes key, Bytes value) { change(std::move(key), std::move(value)); }
  void erase(Bytes key) { change(std::move(key), std::nullopt); }

  // Something could not be read: what was concluded since is wrong.
  void reading_failed(const Error& error) const;
  [[nodiscard]] bool is_sound() const { return !reading_failed_; }

  [[nodiscard]] std::optional<ViewPosition> saved() const { return saved_; }
  [[nodiscard]] std::size_t unsaved_bytes() const { return unsaved_bytes_; }
  // False: what has changed is more than can be saved at this pace. Who can wait does so.
  [[nodiscard]] bool has_room() const { return !saves_ || unsaved_bytes_ < options_.unsaved_bytes_max; }

 private:
  using Changes = std::map<Bytes, std::optional<Bytes>, BytesLess>;
  struct Layer {
    Changes changes;
    ViewPosition position;
  };
  struct Opened;
  class Memory;

  [[nodiscard]] static Opened open(const Ports& ports, const Bytes& prefix);
  [[nodiscard]] Bytes stored_key(ByteView key) const;
  [[nodiscard]] LogFacts facts(const StoredPosition& stored) const;
  static Task<std::optional<std::string>> examine(std::shared_ptr<PartitionView> self, const StoredPosition& stored);
  void change(Bytes key, std::optional<Bytes> value);
  void keep_in_memory(const Error& error);
  [[nodiscard]] bool has_much_to_save() const;
  void save();
  void save_if_committed();
  void log_is_flushed(bool is_durable);
  void write_saving();
  void room_is_made(bool has_room);
  Result<void> write(const Layer& layer);
  void is_saved(const Result<void>& result);
  void arm();

  Ports ports_;
  const Options options_;
  const Bytes prefix_;
  RecordLog* log_ = nullptr;
  KeyValueStore* store_ = nullptr;
  bool saves_ = false;  // false: all that changes stays in memory
  bool closed_ = false;
  Changes unsaved_;
  std::size_t unsaved_bytes_ = 0;
  ViewPosition position_;  // of unsaved_
  Offset unsaved_from_{0};
  std::shared_ptr<const Layer> saving_;
  bool flushing_ = false;  // saving_ waits until the log is durable so far
  bool writing_ = false;  // saving_ is at the pool
  std::optional<ViewPosition> saved_;  // durable
  Offset committed_{0};
  TimerId timer_ = 0;
  std::vector<Event<bool>*> waiting_for_room_;
  mutable bool reading_failed_ = false;
  bool write_failed_ = false;  // used on the pool alone
};

}  // namespace kurier::coordinator
