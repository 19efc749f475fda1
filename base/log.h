// Logging for the operator. LOG_INFO("opened {} in {} ms", path, ms): fmt's notation, formatted only if the level is on.
//
// The library behind it stays in log.cc; this header sees only fmt.
#pragma once

#include <fmt/core.h>

#include <string_view>

namespace kurier::log {

enum class Level { kDebug, kInfo, kWarn, kError, kNothing };  // kNothing: for set_level, where failures are planted

void set_level(Level level);
[[nodiscard]] bool enabled(Level level);
void write(Level level, std::string_view message);
void flush();

}  // namespace kurier::log

#define KURIER_LOG(level, ...)                                                        \
  do {                                                                                \
    if (::kurier::log::enabled(level)) ::kurier::log::write(level, fmt::format(__VA_ARGS__)); \
  } while (false)
#define LOG_DEBUG(...) KURIER_LOG(::kurier::log::Level::kDebug, __VA_ARGS__)
#define LOG_INFO(...) KURIER_LOG(::kurier::log::Level::kInfo, __VA_ARGS__)
#define LOG_WARN(...) KURIER_LOG(::kurier::log::Level::kWarn, __VA_ARGS__)
#define LOG_ERROR(...) KURIER_LOG(::kurier::log::Level::kError, __VA_ARGS__)
