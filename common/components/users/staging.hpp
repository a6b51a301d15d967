// Staging: one attempt at receiving a document of user data.
#pragma once

#include <optional>
#include <string>

#include "common/component/target.hpp"
#include "common/components/users/hold.hpp"
#include "common/os/durable.hpp"

namespace lockstep::user_data {

class DocumentStaging final : public component::Staging {
 public:
  // `hold` is the staging's directory, which exists; `kept` the directory that the version will
  // have. Where `kept` exists the version was sealed before, and what comes again is let pass.
  DocumentStaging(os::Disk& disk, component::Context context, component::SetId id, std::string hold,
                  std::string kept, std::optional<Native> base);

  Result<void> begin(const component::Entry& entry, component::Action action) override;
  Result<void> write(std::uint64_t offset, std::span<const std::byte> data) override;
  Result<void> finish() override;
  Result<std::size_t> read_back(std::uint64_t offset, std::span<std::byte> into) override;
  Result<void> remove(const std::string& path) override;
  Result<void> leave_directory(const component::Entry& directory) override;
  Result<void> checkpoint() override;
  Result<component::Version> seal() override;
  Result<void> abandon() override;

 private:
  std::string file() const { return hold_ + "/" + kDocument; }
  bool sealed() const { return os::exists(disk_, kept_); }
  Result<void> start_from_base();

  os::Disk& disk_;
  component::Context context_;
  component::SetId id_;
  std::string hold_;
  std::string kept_;
  std::optional<Native> base_;
  os::Fd open_;                            // the staged file, from begin() on
  std::optional<component::Entry> entry_;  // begun and not finished
};

// What a document may be at most: it is held in memory where it is applied.
inline constexpr std::uint64_t kMostBytes = 64ULL << 20;
// The document of a version. Errors: version-missing, source-read.
Result<std::string> read_document(os::Disk& disk, const Native& native);

}  // namespace lockstep::user_data
