#include "base/result.h"

#include <cerrno>
#include <system_error>

namespace kurier {

const char* to_string(Failure failure) {
  switch (failure) {
    case Failure::kMalformed: return "malformed";
    case Failure::kInvalid: return "invalid";
    case Failure::kNotFound: return "not found";
    case Failure::kExists: return "exists";
    case Failure::kInUse: return "in use";
    case Failure::kPermission: return "permission denied";
    case Failure::kNoSpace: return "no space";
    case Failure::kIo: return "i/o error";
    case Failure::kCorrupt: return "corrupt";
    case Failure::kUnsupported: return "unsupported";
    case Failure::kOutOfRange: return "out of range";
    case Failure::kClosed: return "closed";
    case Failure::kTimeout: return "timed out";
    case Failure::kCancelled: return "cancelled";
    case Failure::kExhausted: return "limit reached";
  }
  return "unknown";
}

namespace {
Failure failure_from_errno(int error_number) {
  switch (error_number) {
    case ENOENT: case ENOTDIR: return Failure::kNotFound;
    case EEXIST: return Failure::kExists;
    case EADDRINUSE: case EBUSY: return Failure::kInUse;
    case EACCES: case EPERM: case EROFS: return Failure::kPermission;
    case ENOSPC: case EDQUOT: return Failure::kNoSpace;
    case ECONNRESET: case EPIPE: case ENOTCONN: case ECONNABORTED: return Failure::kClosed;
    case ETIMEDOUT: return Failure::kTimeout;
    case ECANCELED: return Failure::kCancelled;
    case EMFILE: case ENFILE: case ENOMEM: return Failure::kExhausted;
    default: return Failure::kIo;
  }
}
}  // namespace

Error error_from_errno(int error_number, std::string_view what) {
  return Error{failure_from_errno(error_number),
               std::string(what) + ": " + std::generic_category().message(error_number)};
}

}  // namespace kurier
