// Links: which path was the first name of an inode that has several, in memory that does not grow
// with their number: beyond a limit they lie in a scratch database.
//
// Thread rule: one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "common/error/error.hpp"

namespace lockstep::files {

class Links {
 public:
  // `scratch`: a directory for the database, made only when it is needed.
  explicit Links(std::string scratch, std::size_t bytes_in_memory = std::size_t{16} << 20);
  ~Links();

  // The first path that was told for `inode`; nothing where `path` is the first. `links` is the
  // number of names the inode has: after that many it is forgotten. Error: io.
  Result<std::optional<std::string>> first(std::uint64_t inode, std::uint64_t links,
                                           const std::string& path);

 private:
  struct Known {
    std::string path;
    std::uint64_t left = 0;  // names that have not been seen
  };
  class Database;

  std::string scratch_;
  std::size_t limit_;
  std::size_t used_ = 0;
  std::unordered_map<std::uint64_t, Known> known_;
  std::unique_ptr<Database> database_;
};

}  // namespace lockstep::files
