// A directory of its own for a test, gone at its end; and a file system in an image file.
#pragma once

#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <string>

namespace lockstep::test {

class Scratch {
 public:
  explicit Scratch(const std::string& under = "/tmp") {
    std::string pattern = under + "/lockstep-test-XXXXXX";
    path_ = ::mkdtemp(pattern.data());
  }
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// Mounts a new file system of `kind` ("btrfs", "xfs") over a loop device; `mounted()` is false
// where this process may not, and the test then says so and ends.
class LoopMount {
 public:
  LoopMount(const std::string& kind, const std::string& size, const std::string& options = "")
      : image_(scratch_ / "image"), point_(scratch_ / "mount") {
    std::filesystem::create_directory(point_);
    const std::string quiet = " >/dev/null 2>&1";
    const std::string option = options.empty() ? "" : " -o " + options;
    mounted_ = ::geteuid() == 0 && ::system(("truncate -s " + size + " " + image_ + " && mkfs." +
                                             kind + " -q " + image_ + quiet + " && mount -o loop " +
                                             option + " " + image_ + " " + point_ + quiet)
                                                .c_str()) == 0;
  }
  ~LoopMount() {
    if (mounted_ && ::system(("umount " + point_ + " || umount -l " + point_).c_str()) != 0) {
      // The scratch directory then stays, with the mount in it for a person to see.
    }
  }

  bool mounted() const { return mounted_; }
  const std::string& path() const { return point_; }

 private:
  Scratch scratch_{std::filesystem::exists("/dev/shm") ? "/dev/shm" : "/tmp"};
  std::string image_;
  std::string point_;
  bool mounted_ = false;
};

}  // namespace lockstep::test
