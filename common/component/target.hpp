// Target: how a component receives a data set on the secondary, keeps versions of it and gives them
// back. A version is hidden, immutable and durable, named for its run; nothing here is ever a live
// path except where restore() and promote() are told to make one.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/component/data_set.hpp"
#include "common/component/entry.hpp"

namespace lockstep::component {

// How an entry comes to be in the staging tree.
enum class Action : std::uint8_t {
  create = 1,    // whatever has that path is replaced; content follows in full
  patch = 2,     // the base's content stays; only the extents that follow are overwritten
  metadata = 3,  // the content stays as in the base; only metadata is set
  adopt = 4,     // what has that path is replaced by what an engine brought (carries.hpp), whose
                 // checksum must be the entry's `sum`; nothing is written
};

// One attempt's staging: starts as the base's content (or empty), receives changes in manifest
// order, and is sealed into a version. Applying an operation twice gives the same result, so that a
// resumed transfer may repeat the last ones. Destroying it keeps it on disk for resumption;
// abandon() removes it.
// Thread rule: one thread.
class Staging {
 public:
  virtual ~Staging() = default;

  // Begins an entry; for a regular file, writes follow until finish(). For a directory, finish()
  // follows at once, and its own metadata is set by leave_directory(). After a restart in the
  // middle of a file the transfer goes on with it by Action::patch, whatever it was begun with:
  // what the staging holds of the file stays. Errors: target-write, no-space, stream-hostile (a
  // path that leads out of the staging tree). A hard_link is begun again whenever its first name
  // was: that may have become another file.
  virtual Result<void> begin(const Entry& entry, Action action) = 0;
  // `entry` will be begun soon, after others: what that needs may be made ready meanwhile, on other
  // threads. Only a hint; what is told may yet not come.
  virtual void expect(const Entry& entry) { (void)entry; }

  // Bytes of the entry begun. `data` may be kept only until the call returns.
  virtual Result<void> write(std::uint64_t offset, std::span<const std::byte> data) = 0;
  // Ends the entry: size, holes, owner, mode, xattrs, times, in the order that keeps them.
  virtual Result<void> finish() = 0;

  // Reads back what the staging holds of the entry begun (for digests of patched blocks). Returns
  // how many bytes, fewer only at the end of the file.
  virtual Result<std::size_t> read_back(std::uint64_t offset, std::span<std::byte> into) = 0;

  // Removes the path with all it holds; of one that is gone already: success.
  virtual Result<void> remove(const std::string& path) = 0;

  // Every change inside `directory` has been made: set its own metadata (last, for each change in
  // it moved its times). Called deepest first, for every directory that was begun, or in which
  // anything was begun or removed.
  virtual Result<void> leave_directory(const Entry& directory) = 0;

  // What has been applied so far survives a power loss when this returns (syncfs(2)). After an
  // error the staging must be abandoned, never tried again.
  virtual Result<void> checkpoint() = 0;

  // Makes everything durable and turns the staging into the version named for the run. Where
  // nothing was applied and a base was given, the version may stand for the same content as the
  // base. Done again after a crash it finds the version made.
  virtual Result<Version> seal() = 0;

  virtual Result<void> abandon() = 0;

  // Where an engine of the store's own may bring files that Action::adopt then takes, in the
  // store's words; this attempt's alone. Empty: it cannot adopt.
  virtual std::string carried_to() const { return {}; }

  // What was found when the staging was begun that a person should hear of, as sentences for the
  // log and the certificate: that somebody had changed what nobody may, and that it was undone.
  virtual std::vector<std::string> caveats() const { return {}; }
};

struct StageRequest {
  DataSet target;               // the pair's secondary side
  std::optional<Version> base;  // a kept version to start from
  bool resume = false;          // continue the staging of an earlier process of this attempt
};

// Thread rule: any thread.
class Target {
 public:
  virtual ~Target() = default;

  // Checks the place (file system, rights, free space for `bytes_expected`, 0 = unknown). Errors:
  // wrong-filesystem, permission, no-space, not-supported, target-overlaps.
  virtual Result<void> check(const DataSet& target, std::uint64_t bytes_expected) = 0;

  // Prepares the staging of this run and attempt; without `resume`, what an earlier attempt left is
  // removed first. With `resume` and nothing to resume: resume-refused.
  virtual Result<std::unique_ptr<Staging>> stage(const Context& context,
                                                 const StageRequest& request) = 0;

  // The sealed version named for context.run, if there is one.
  virtual Result<std::optional<Version>> find(const Context& context, const DataSet& target) = 0;

  // Whether a staging may start from a pin that this store itself had made and sent while its
  // cluster was the primary: not where it may hold other content by now than what was sent.
  virtual bool may_start_from(const Version& pin) const {
    (void)pin;
    return true;
  }

  // Whether `version` is kept where a staging of `target` can start from it: a policy may name
  // another place by now than when it was made.
  virtual bool is_within_reach(const DataSet& target, const Version& version) const {
    (void)target, (void)version;
    return true;
  }

  // Every version and every staging of the set in the store, for "nothing is left behind".
  virtual Result<std::vector<Version>> list(const DataSet& target) = 0;

  // Where the version's content lies, as an absolute path that a person can look at: a directory
  // for a tree, a file for a database. It stands in the point's record (docs/point-format.md).
  // Empty where the content is in no file system of this host.
  virtual std::string path_of(const Version& version) const {
    (void)version;
    return {};
  }

  // A component's own check of a sealed version (SQLite: integrity_check). Digests are checked by
  // the caller through Source.
  virtual Result<void> check_version(const Version& version) = 0;

  // Gives the version back at `place`: a new place, or, with `replace`, in place of what is there
  // (what is there is moved aside to a name that is returned and never deleted). `path` limits a
  // tree to one entry and what it holds, which appears as `path` below the place (directories above
  // it that are missing are made); empty means all. Errors: place-not-empty, not-found, no-space.
  struct RestoreResult {
    std::uint64_t entries = 0;
    std::uint64_t bytes = 0;
    std::string moved_aside;  // where what was there lies now, if anything was
  };
  virtual Result<RestoreResult> restore(const Context& context, const Version& version,
                                        const Place& place, const std::string& path,
                                        bool replace) = 0;

  // Removes a version or a staging; of one that is gone already: success. Data that another version
  // shares stays.
  virtual Result<void> drop(const Context& context, const Version& version) = 0;
};

}  // namespace lockstep::component
