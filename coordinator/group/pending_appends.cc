#include "coordinator/group/pending_appends.h"

namespace kurier::coordinator {

protocol::ErrorCode answer_for_append_error(protocol::ErrorCode error) {
  using protocol::ErrorCode;
  switch (error) {
    case ErrorCode::kUnknownTopicOrPartition:
    case ErrorCode::kNotEnoughReplicas:
    case ErrorCode::kRequestTimedOut: return ErrorCode::kCoordinatorNotAvailable;
    case ErrorCode::kNotLeaderOrFollower:
    case ErrorCode::kKafkaStorageError: return ErrorCode::kNotCoordinator;
    case ErrorCode::kMessageTooLarge:
    case ErrorCode::kRecordListTooLarge:
    case ErrorCode::kInvalidFetchSize: return ErrorCode::kUnknownServerError;
    case ErrorCode::kNetworkException: return ErrorCode::kCoordinatorLoadInProgress;
    default: return error;
  }
}

}  // namespace kurier::coordinator
