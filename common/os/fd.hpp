// Fd: owns a file descriptor.
#pragma once

#include <utility>

namespace lockstep::os {

class Fd {
 public:
  Fd() = default;
  explicit Fd(int number) : number_(number) {}
  Fd(Fd&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      reset();
      number_ = std::exchange(other.number_, -1);
    }
    return *this;
  }
  ~Fd() { reset(); }

  int get() const { return number_; }
  explicit operator bool() const { return number_ >= 0; }
  int release() { return std::exchange(number_, -1); }
  // Closes it. What close(2) reports is of no use after a successful fsync, and not to be relied on
  // before one: whoever needs the data calls Disk::fsync.
  void reset();

 private:
  int number_ = -1;
};

}  // namespace lockstep::os
