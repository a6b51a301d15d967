// The receiving half of the files component: stagings and versions of a set in its store
// (kept.hpp), and giving a version back.
//
// Where a version goes on restore: `place` is the set's root, and `path` below it the entry that is
// given back, with all it holds; directories above it that are missing are made with their own
// metadata. It is built beside its place and renamed, so that it is never seen in part.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "common/component/component.hpp"
#include "common/component/gives_at_once.hpp"
#include "common/component/target.hpp"
#include "common/components/files/kept.hpp"

namespace lockstep::files {

class FileTarget final : public component::Target, public component::GivesAtOnce {
 public:
  explicit FileTarget(const component::Surroundings& surroundings);

  Result<void> check(const component::DataSet& target, std::uint64_t bytes_expected) override;
  Result<std::unique_ptr<component::Staging>> stage(
      const component::Context& context, const component::StageRequest& request) override;
  Result<std::optional<component::Version>> find(const component::Context& context,
                                                 const component::DataSet& target) override;
  Result<std::vector<component::Version>> list(const component::DataSet& target) override;
  std::string path_of(const component::Version& version) const override;
  bool is_within_reach(const component::DataSet& target,
                       const component::Version& version) const override;
  Result<void> check_version(const component::Version& version) override;
  Result<RestoreResult> restore(const component::Context& context,
                                const component::Version& version, const component::Place& place,
                                const std::string& path, bool replace) override;
  Result<bool> give_at_once(const component::Context& context, const component::Version& version,
                            const component::Place& place) override;
  Result<void> drop(const component::Context& context, const component::Version& version) override;

 private:
  Result<Kept> open_kept(const component::DataSet& target);
  std::shared_ptr<std::mutex> guard(const Kept& kept);

  os::Disk& disk_;
  std::string scratch_;
  std::mutex mutex_;                                           // of guards_
  std::map<std::string, std::shared_ptr<std::mutex>> guards_;  // by directory of versions
};

}  // namespace lockstep::files
