// Kept: where the versions and stagings of one data set lie on the secondary, and which trees are
// still needed.
//
//   <store>/versions/<service>/<set>/<run>           a symbolic link to .trees/<name>: the version
//   <store>/versions/<service>/<set>/.trees/<name>   content: <run>.<attempt>.<form>
//   <store>/staging/<service>/<set>/<run>.<attempt>  says that the trees of that name are being
//                                                    received; holds the scratch files
//
// A version exists when its link leads to a tree, and the link is made last. Versions of the same
// content share a tree. A tree to which no link leads and that no staging claims is garbage,
// whatever died when. (Trees do not move between directories: a read-only subvolume cannot, nor can
// another user's directory that its owner may not write in.)
//
// Thread rule: none of its own; target.hpp serialises what changes.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/component/data_set.hpp"
#include "common/components/files/native.hpp"
#include "common/os/disk.hpp"

namespace lockstep::files {

// How a tree is kept, and how a new one starts from it.
inline constexpr const char* kSubvolume = "subvolume";
inline constexpr const char* kReflinkTree = "reflink-tree";
inline constexpr const char* kLinkFarm = "link-farm";
// Native::form of what is not sealed.
inline constexpr const char* kStaging = "staging";

class Kept {
 public:
  Kept(os::Disk& disk, std::string store, component::SetId id);

  const std::string& versions() const { return versions_; }
  const std::string& stagings() const { return stagings_; }
  std::string link(const std::string& run) const;
  std::string tree(const std::string& name) const;
  std::string staging(const std::string& run, int attempt) const;

  // Makes the directories.
  Result<void> make();

  // The sealed version of a run. Error: target-write (it cannot be looked at).
  Result<std::optional<component::Version>> find(const std::string& run) const;
  // Sealed ones, then stagings (form kStaging), then links that lead nowhere (kStaging too).
  Result<std::vector<component::Version>> list() const;
  // Whose staging a directory in stagings() is; nothing where it is none of ours.
  static std::optional<std::string> run_of_staging(const std::string& name);

  // Lets `run` be a version with the content of the tree `tree_name`. Durable when it returns.
  Result<void> refer(const std::string& run, const std::string& tree_name);
  // Takes the version's name away (durably) and removes trees that no version refers to.
  Result<void> forget(const std::string& run);
  // Removes the stagings of runs that are sealed, the trees that no version refers to and no
  // staging claims, and what an interrupted removal left.
  Result<void> collect();

  // The names in a directory, or none where it is not there.
  Result<std::vector<std::string>> names_in(const std::string& directory) const;
  // The tree that the version's name leads to, whether it is there or not.
  Result<std::optional<std::string>> tree_name_of(const std::string& run) const;

 private:
  Result<void> remove_sealed_stagings();
  component::Version version(const std::string& run, Native native) const;

  os::Disk& disk_;
  component::SetId id_;
  std::string versions_;
  std::string trees_;
  std::string stagings_;
};

// What identifies a tree, wherever on its file system it is moved: a subvolume's UUID, else the
// inode of its root (device numbers change between boots).
Result<std::string> identity_of(os::Disk& disk, int root, const std::string& form,
                                const std::string& where);

}  // namespace lockstep::files
