// KURIER_CHECK: an invariant that stays on in release. It prints file, line, what was expected and the values, then aborts.
//
// The prefix keeps it apart from the test framework's CHECK. For what cannot happen. What comes from the network, the disk or the environment is handled with `Result` instead.
#pragma once

#include <sstream>
#include <string>

namespace kurier::detail {
[[noreturn]] void check_failed(const char* file, int line, const char* expected, const std::string& values);

template <class Left, class Right>
[[noreturn]] void check_compare_failed(const char* file, int line, const char* expected, const Left& left,
                                       const Right& right) {
  std::ostringstream values;
  values << left << " against " << right;
  check_failed(file, line, expected, values.str());
}
}  // namespace kurier::detail

#define KURIER_CHECK(condition)                                                     \
  (__builtin_expect(static_cast<bool>(condition), 1)                           \
       ? static_cast<void>(0)                                                  \
       : ::kurier::detail::check_failed(__FILE__, __LINE__, #condition, {}))

#define KURIER_CHECK_MESSAGE(condition, message)                                      \
  (__builtin_expect(static_cast<bool>(condition), 1)                           \
       ? static_cast<void>(0)                                                  \
       : ::kurier::detail::check_failed(__FILE__, __LINE__, #condition, message))

#define KURIER_CHECK_COMPARE(left, op, right)                                                                   \
  do {                                                                                                          \
    const auto& check_left_ = (left);                                                                           \
    const auto& check_right_ = (right);                                                                         \
    if (__builtin_expect(!(check_left_ op check_right_), 0)) {                                                  \
      ::kurier::detail::check_compare_failed(__FILE__, __LINE__, #left " " #op " " #right, check_left_,         \
                                             check_right_);                                                     \
    }                                                                                                           \
  } while (false)

