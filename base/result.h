// Result<T>: a value, or an Error that the caller handles. One code per distinct reaction; detail is in `context`.
//
// An `ErrorCode` of the protocol is an answer to a client and lives in protocol/; an `Error` is a failure of something
// that this process attempted. Its context is written for the operator: what, where, which values.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace kurier {

enum class Failure {
  kMalformed,     // bytes or text that do not follow their format
  kInvalid,       // well formed, but not allowed: a configuration value, an impossible combination
  kNotFound,
  kExists,
  kInUse,         // an address or a directory that another process holds
  kPermission,
  kNoSpace,
  kIo,            // the disk or the network failed
  kCorrupt,       // stored data that does not fit its checksum or its neighbours
  kUnsupported,   // written by a newer version, or a feature that is not there
  kOutOfRange,    // an offset outside the log
  kClosed,        // the peer went away, or we are shutting down
  kTimeout,
  kCancelled,
  kExhausted,     // a limit that protects this process was reached
};

[[nodiscard]] const char* to_string(Failure failure);

// A lack that may pass: a full disk, too many open files. What was refused for it may be tried again.
[[nodiscard]] constexpr bool is_passing(Failure failure) {
  return failure == Failure::kNoSpace || failure == Failure::kExhausted;
}

struct Error {
  Failure failure;
  std::string context;

  // The same failure seen from further out: "opening x: no such file".
  [[nodiscard]] Error within(std::string_view where) const {
    return Error{failure, std::string(where) + ": " + context};
  }
};

template <class T>
using Result = std::expected<T, Error>;

[[nodiscard]] inline std::unexpected<Error> fail(Failure failure, std::string context) {
  return std::unexpected(Error{failure, std::move(context)});
}

// The Error of a failed system call, from errno: "pwritev /data/t-0/0.log: No space left on device".
[[nodiscard]] Error error_from_errno(int error_number, std::string_view what);

}  // namespace kurier

#define KURIER_CONCAT_INNER(a, b) a##b
#define KURIER_CONCAT(a, b) KURIER_CONCAT_INNER(a, b)

// TRY(expression): returns the error of a Result<void> to the caller.
#define TRY(expression)                                               \
  do {                                                                \
    auto&& try_result_ = (expression);                                \
    if (!try_result_) return std::unexpected(try_result_.error());    \
  } while (false)

// TRY_ASSIGN(auto x, expression): x = the value, or returns the error to the caller.
#define TRY_ASSIGN(target, expression)                                                                     \
  auto&& KURIER_CONCAT(try_assign_, __LINE__) = (expression);                                              \
  if (!KURIER_CONCAT(try_assign_, __LINE__))                                                               \
    return std::unexpected(std::move(KURIER_CONCAT(try_assign_, __LINE__)).error());                       \
  target = *std::move(KURIER_CONCAT(try_assign_, __LINE__))
