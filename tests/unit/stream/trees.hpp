// Trees for tests of the stream, the ground they stand on, and the root that the independent
// checker finds for them.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <optional>
#include <random>
#include <string>

#include "tests/support/scratch.hpp"

namespace lockstep::test {

namespace fs = std::filesystem;

// btrfs on a loop device, where pins and versions are cheap; else the machine's own /tmp.
struct Ground {
  Ground() {
    if (mount.mounted()) {
      top = mount.path();
      return;
    }
    plain.emplace();
    top = plain->path();
    std::cerr << "no loop device may be mounted: on /tmp instead of btrfs\n";
  }
  LoopMount mount{"btrfs", "3G"};
  std::optional<Scratch> plain;
  std::string top;
};

inline std::string random_bytes(std::size_t size, unsigned seed) {
  std::mt19937_64 engine(seed);
  std::string out(size, '\0');
  for (std::size_t i = 0; i + 8 <= size; i += 8) {
    const std::uint64_t word = engine();
    std::memcpy(out.data() + i, &word, 8);
  }
  return out;
}

inline void write(const std::string& path, const std::string& bytes) {
  fs::create_directories(fs::path(path).parent_path());
  std::ofstream(path, std::ios::binary) << bytes;
}

inline void overwrite(const std::string& path, std::uint64_t offset, const std::string& bytes) {
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(static_cast<std::streamoff>(offset));
  file << bytes;
}

// A tree with everything that is carried.
inline void make_tree(const std::string& root) {
  write(root + "/empty", "");
  write(root + "/a/small", "hello");
  write(root + "/a-b/after a", "order of components");
  write(root + "/exact", random_bytes(65536, 1));
  write(root + "/one more", random_bytes(65537, 2));
  write(root + "/big", random_bytes(5'300'001, 3));
  write(root + "/\xff\xfe not utf-8", "bytes");
  for (int i = 0; i < 300; ++i)
    write(root + "/many/" + std::to_string(i % 7) + "/f" + std::to_string(i),
          random_bytes(static_cast<std::size_t>(i) * 40, static_cast<unsigned>(i)));
  write(root + "/links/first", "linked");
  fs::create_hard_link(root + "/links/first", root + "/links/second");
  fs::create_hard_link(root + "/links/first", root + "/zz third");
  fs::create_symlink("../no/where", root + "/links/symbolic");
  ::mkfifo((root + "/fifo").c_str(), 0640);
  fs::create_directories(root + "/empty directory");
  ::chmod((root + "/empty directory").c_str(), 02751);
  ::setxattr((root + "/a/small").c_str(), "user.note", "v\0w", 3, 0);
  {
    std::ofstream sparse(root + "/sparse", std::ios::binary);
    sparse.seekp(3 << 20);
    sparse << random_bytes(100'000, 9);
  }
  fs::resize_file(root + "/sparse", 9 << 20);
  const timespec times[2] = {{1, 5}, {-7, 123456789}};
  ::utimensat(AT_FDCWD, (root + "/a/small").c_str(), times, 0);
}

inline std::string python_root(const std::string& path) {
  const std::string command =
      std::string("/usr/bin/python3 ") + LOCKSTEP_SOURCE_DIR + "/tests/compare/point.py --root '" +
      path + "' > /tmp/lockstep-root.$$ && cat /tmp/lockstep-root.$$; rm -f /tmp/lockstep-root.$$";
  FILE* pipe = ::popen(command.c_str(), "r");
  char line[256] = {};
  const bool got = pipe != nullptr && ::fgets(line, sizeof line, pipe) != nullptr;
  if (pipe != nullptr) ::pclose(pipe);
  return got ? std::string(line).substr(0, 64) : "";
}

}  // namespace lockstep::test
