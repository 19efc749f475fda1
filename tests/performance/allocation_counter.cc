#include "tests/performance/allocation_counter.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define KURIER_HAS_OTHER_ALLOCATOR
#endif
#endif

namespace kurier::performance {
namespace {

constexpr std::size_t kRememberedMax = 400;
constexpr int kFramesMax = 24;

struct Remembered {
  std::size_t bytes = 0;
  int frames = 0;
  std::array<void*, kFramesMax> stack;
};

thread_local bool counts = false;
thread_local Allocations allocations;
bool remembers = false;
std::size_t remembered_count = 0;
std::array<Remembered, kRememberedMax> remembered;

[[maybe_unused]] void count(std::size_t bytes) {
  if (!counts) return;
  counts = false;  // a stack may allocate
  ++allocations.count;
  allocations.bytes += bytes;
  if (remembers && remembered_count < kRememberedMax) {
    Remembered& one = remembered[remembered_count++];
    one.bytes = bytes;
    one.frames = ::backtrace(one.stack.data(), kFramesMax);
  }
  counts = true;
}

// The addresses of all stacks as the symbolizer wants them: where the calls were, from the beginning of the program.
std::string addresses() {
  std::string text;
  for (const Remembered& one : std::span(remembered).first(remembered_count)) {
    for (void* const frame : std::span(one.stack).first(static_cast<std::size_t>(one.frames))) {
      Dl_info info{};
      const bool is_known = ::dladdr(frame, &info) != 0;
      const auto base = reinterpret_cast<std::uintptr_t>(info.dli_fbase);
      std::array<char, 32> number{};
      std::snprintf(number.data(), number.size(), " 0x%zx",
                    is_known ? reinterpret_cast<std::uintptr_t>(frame) - base - 1 : 0);
      text += number.data();
    }
  }
  return text;
}

// "function at file:line" of a line of the symbolizer's; empty for what is the library's or the test's own.
std::string place_of(std::string_view line) {
  for (const std::string_view foreign : {"/usr/", "/tests/performance/", "??"}) {
    if (line.find(foreign) != std::string_view::npos) return {};
  }
  const std::size_t at = line.rfind(" at /");
  const std::size_t root = std::min({line.find("/base/"), line.find("/broker/"), line.find("/storage/"),
                                     line.find("/protocol/"), line.find("/replication/")});
  if (at == std::string_view::npos || root == std::string_view::npos) return {};
  std::string_view function = line.substr(0, line.find('('));
  if (function.find_first_not_of(' ') == std::string_view::npos) {  // "(inlined by)"
    const std::size_t name = line.find(") ") + 2;
    function = line.substr(name, line.find('(', name) - name);
  }
  return std::string(function) + " " + std::string(line.substr(root + 1, line.rfind(':') - root - 1));
}

}  // namespace

bool is_counting_possible() {
#ifdef KURIER_HAS_OTHER_ALLOCATOR
  return false;
#else
  return true;
#endif
}

void start_counting(bool remember) {
  if (remember) {
    std::array<void*, 2> first;
    ::backtrace(first.data(), 2);  // loads its library
    remembered_count = 0;
  }
  remembers = remember;
  allocations = {};
  counts = true;
}

Allocations stop_counting() {
  counts = false;
  return allocations;
}

std::string description_of_remembered() {
  constexpr std::size_t kPlacesMax = 4;
  const std::string command =
      "llvm-symbolizer-19 --pretty-print --obj=/proc/" + std::to_string(::getpid()) + "/exe" + addresses();
  const std::unique_ptr<FILE, int (*)(FILE*)> output(::popen(command.c_str(), "r"), &::pclose);
  if (!output) return "the symbolizer does not run\n";
  std::vector<std::vector<std::string>> places(remembered_count);
  std::size_t stack = 0;
  int frame = -1;
  std::array<char, 16384> line{};
  while (stack < remembered_count && std::fgets(line.data(), line.size(), output.get()) != nullptr) {
    const std::string_view text(line.data());
    if (text.size() < 2) continue;
    if (!text.starts_with(" (inlined by)") && ++frame == remembered[stack].frames) ++stack, frame = 0;
    if (stack == remembered_count) break;
    std::string place = place_of(text);
    if (!place.empty() && places[stack].size() < kPlacesMax) places[stack].push_back(std::move(place));
  }
  std::string text;
  for (std::size_t i = 0; i < remembered_count; ++i) {
    text += "  " + std::to_string(remembered[i].bytes) + " bytes";
    for (const std::string& place : places[i]) text += " < " + place;
    text += "\n";
  }
  return text;
}

}  // namespace kurier::performance

#ifndef KURIER_HAS_OTHER_ALLOCATOR

// glibc's own entries behind the names that are replaced. operator new calls malloc.
extern "C" {
// NOLINTBEGIN(bugprone-reserved-identifier): their names.
void* __libc_malloc(std::size_t bytes);
void* __libc_calloc(std::size_t count, std::size_t bytes);
void* __libc_realloc(void* memory, std::size_t bytes);
// NOLINTEND(bugprone-reserved-identifier)

void* malloc(std::size_t bytes) {
  kurier::performance::count(bytes);
  return __libc_malloc(bytes);
}
void* calloc(std::size_t count, std::size_t bytes) {
  kurier::performance::count(count * bytes);
  return __libc_calloc(count, bytes);
}
void* realloc(void* memory, std::size_t bytes) {
  kurier::performance::count(bytes);
  return __libc_realloc(memory, bytes);
}
}

#endif
