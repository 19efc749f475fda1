#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace kurier::detail {

void check_failed(const char* file, int line, const char* expected, const std::string& values) {
  std::fprintf(stderr, "%s:%d: this cannot happen: expected %s%s%s\n", file, line, expected,
               values.empty() ? "" : ", got ", values.c_str());
  std::fflush(stderr);
  std::abort();
}

}  // namespace kurier::detail
