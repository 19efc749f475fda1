// A TCP connection over loopback between two threads of this program, and descriptors that close themselves.
#pragma once

#include <unistd.h>

#include <utility>

#include "base/result.h"

namespace kurier::bench {

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  [[nodiscard]] int number() const { return number_; }

 private:
  int number_;
};

// Two ends of a TCP connection over loopback, without Nagle's delay, as brokers and clients have it.
Result<std::pair<Descriptor, Descriptor>> connect_loopback();

}  // namespace kurier::bench
