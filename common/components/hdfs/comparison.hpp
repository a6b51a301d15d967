// Comparison: whether what an engine brought is what the source has, by HDFS's own checksums.
//
// Thread rule: the function shares nothing but what it is handed.
#pragma once

#include <string>
#include <vector>

#include "common/component/data_set.hpp"
#include "common/components/hdfs/crew.hpp"
#include "common/components/hdfs/webhdfs.hpp"

namespace lockstep::hdfs {

struct Comparison {
  // Regular files that are not empty, relative to the root: those that are not there, and those
  // whose checksum is another, cannot be told, or could not be made again from the content.
  std::vector<std::string> missing;
  std::vector<std::string> different;
  std::size_t told = 0;  // bytes of their names
  // One of them; empty: all are the same.
  std::string other() const {
    if (!different.empty()) return different.front();
    return missing.empty() ? std::string() : missing.front();
  }
  bool too_many = false;  // more than may be told (component::kMostExcepted); then not all of them
};

// The checksum of the first of these paths that is there. Requires one.
Reply<std::string> checksum_at(WebHdfs& hdfs, const std::vector<std::string>& paths);

// A file, and where it may lie in each store: the first that is there counts.
struct Twin {
  std::string name;
  std::vector<std::string> from;
  std::vector<std::string> to;
};
// Adds to `found` what is not the same. Error: carry-failed.
Result<void> compare_twins(std::vector<Twin> twins, WebHdfs& from, WebHdfs& to, Crew& crew,
                           Comparison& found);

// Of the files below `root` in `from`, each as it lies below `brought` in `to`, or, where it is not
// there any more, below `place`. Errors: source-read, carry-failed, cancelled, deadline.
Result<Comparison> compare_brought(const component::Context& context, const Clock& clock,
                                   WebHdfs& from, const std::string& root, WebHdfs& to,
                                   const std::string& brought, const std::string& place,
                                   Crew& crew);

}  // namespace lockstep::hdfs
