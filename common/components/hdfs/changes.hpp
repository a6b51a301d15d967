// Changes: where one state of a directory may differ from another, from the NameNode's snapshot
// difference: it costs what changed, for each path named is looked at again in the newer state, and
// what lies below a directory that was made or moved is listed.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/components/hdfs/listing.hpp"

namespace lockstep::hdfs {

// A path to look at; with `below`, all that it holds.
struct Touched {
  std::string path;
  bool below = false;
};
// In manifest order, none inside one with `below`. Pure.
std::vector<Touched> touched_by(std::vector<Difference> differences);

class Changes final : public component::ChangeCursor {
 public:
  // `root`: the newer state's path. `mark` goes into Native::generation of each file that is named
  // as modified: what its time and size say of it is not believed.
  Changes(WebHdfs& hdfs, Crew& crew, std::string root, std::vector<Touched> touched,
          std::uint64_t mark, ErrorCode side);

  Result<std::optional<component::Change>> next() override;

 private:
  Result<void> describe();

  WebHdfs& hdfs_;
  Crew& crew_;
  std::string root_;
  std::vector<Touched> touched_;
  std::uint64_t mark_;
  ErrorCode side_;
  std::size_t position_ = 0;
  std::vector<std::optional<component::Entry>> entries_;  // of touched_ from `described_` on
  std::size_t described_ = 0;
  std::unique_ptr<Listing> below_;
};

}  // namespace lockstep::hdfs
