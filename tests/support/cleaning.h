// A cleaning from beginning to end on one thread, as the broker does it over several.
#pragma once

#include <optional>

#include "storage/log.h"

namespace kurier::test {

struct Cleaned {
  Offset cleaned_to;
  storage::CleaningStats stats;
  std::size_t groups = 0;
};

// Cleans whatever is cleanable, whether it is due or not; none if nothing is dirty.
inline Result<std::optional<Cleaned>> clean(storage::Log& log, FileSystem& files, Timestamp now,
                                            Offset last_stable_offset, storage::CleaningLimits limits = {},
                                            std::uint64_t slice_bytes = UINT64_MAX) {
  TRY_ASSIGN(const storage::CleanerAssessment assessment, log.assess_cleaning(last_stable_offset, now));
  if (assessment.cleanable_bytes == 0) return std::nullopt;
  TRY_ASSIGN(storage::CleaningJob job, log.begin_cleaning(assessment, now));
  storage::Cleaning cleaning(std::move(job), limits);
  Cleaned result;
  while (true) {
    TRY_ASSIGN(const auto progress, cleaning.run(slice_bytes));
    if (progress == storage::Cleaning::Progress::kFinished) break;
    if (progress == storage::Cleaning::Progress::kMore) continue;
    ++result.groups;
    TRY_ASSIGN(const bool fits, log.offer_cleaned(cleaning.take_group()));
    if (!fits) return fail(Failure::kCancelled, "the log has changed");
    TRY(files.sync_directory(log.directory()));
    TRY_ASSIGN(const auto old, log.take_cleaned());
    TRY(files.sync_directory(log.directory()));
    TRY(log.settle_cleaned());
    TRY(files.sync_directory(log.directory()));
    for (const std::string& path : old) TRY(files.remove(path));
  }
  result.cleaned_to = cleaning.cleaned_to();
  result.stats = cleaning.stats();
  log.cleaning_has_reached(result.cleaned_to);
  return result;
}

}  // namespace kurier::test
