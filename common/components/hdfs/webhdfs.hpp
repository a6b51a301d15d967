// WebHdfs: one cluster's HDFS by WebHDFS, an operation a function.
//
// What may come right by itself (a connection that broke, a NameNode that restarts, stands by or is
// in safe mode) is tried again until it does, for at most the settings' patience. Operations that
// are not the same when done twice (a snapshot's creation, a rename) look before they try again.
// What this relies on of the protocol: Hadoop's WebHDFS document, and docs/components/hdfs.md for
// what was found by trying.
//
// Thread rule: any thread; as many requests go on at once as there are callers.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "common/clock/clock.hpp"
#include "common/components/hdfs/address.hpp"
#include "common/components/hdfs/answers.hpp"
#include "common/components/hdfs/http.hpp"
#include "common/components/hdfs/settings.hpp"

namespace lockstep::hdfs {

class WebHdfs {
 public:
  WebHdfs(Settings settings, const Clock& clock);

  const Settings& settings() const { return settings_; }

  // Paths are absolute.
  Reply<Status> status(const std::string& path) { return status(path, settings_.patience); }
  Reply<Status> status(const std::string& path, Nanos patience);
  // Up to some hundred entries after the name `after` ("": from the first), in the NameNode's
  // order, which is not bytewise for names beyond ASCII.
  Reply<Page> list(const std::string& path, const std::string& after);
  Reply<std::vector<std::string>> acl(const std::string& path);
  Reply<std::vector<component::Xattr>> xattrs(const std::string& path);

  // Fills `into` from `offset`; requires that the file has so many bytes there (else other).
  Reply<void> read(const std::string& path, std::uint64_t offset, std::span<std::byte> into);

  struct Creation {
    std::uint32_t mode = 0644;
    std::uint32_t replication = 0;  // 0: the cluster's default
    std::uint64_t block_size = 0;   // 0: the cluster's default
  };
  // Makes the file, or replaces the file that is there (exists: a directory is). The directories
  // above are made. `content` is asked for the body of each try; a body that can be given only once
  // returns an empty function the second time, which ends the tries.
  using Content = std::function<Http::Fill()>;
  Reply<void> create(const std::string& path, const Creation& creation, std::uint64_t size,
                     const Content& content);

  Reply<void> make_directory(const std::string& path);  // with those above it; exists: a file is
  Reply<void> remove(const std::string& path);  // with all it holds; of what is gone: success
  // Error: missing (`from`), exists (`to`, or its parent is missing).
  Reply<void> rename(const std::string& from, const std::string& to);

  Reply<void> set_owner(const std::string& path, const std::string& owner,
                        const std::string& group);
  Reply<void> set_mode(const std::string& path, std::uint32_t mode);
  Reply<void> set_modified(const std::string& path, std::int64_t milliseconds);
  Reply<void> set_replication(const std::string& path, std::uint32_t count);
  Reply<void> set_acl(const std::string& path, const std::string& whole);
  Reply<void> remove_acl(const std::string& path);
  Reply<void> set_xattr(const std::string& path, const component::Xattr& xattr, bool is_there);
  Reply<void> remove_xattr(const std::string& path, const std::string& name);

  Reply<void> allow_snapshots(const std::string& directory);
  // Error: exists (one has that name), snapshot (the directory is not snapshottable). `patience`
  // instead of the settings': writers may be waiting.
  Reply<void> create_snapshot(const std::string& directory, const std::string& name,
                              Nanos patience);
  Reply<void> remove_snapshot(const std::string& directory, const std::string& name);
  // From one to the other; "" is the directory as it is now.
  Reply<std::vector<Difference>> differences(const std::string& directory, const std::string& from,
                                             const std::string& to);

  // dfs.namenode.snapshot.capture.openfiles; nothing: the NameNode does not tell.
  std::optional<bool> captures_open_files();
  // Bytes that the cluster has left, before replication; nothing: the NameNode does not tell.
  std::optional<std::uint64_t> remaining_space();

  // Waits until a time for another try has come; false: `until` has passed.
  bool pause(int tries, MonoNanos until) const;
  MonoNanos deadline(Nanos patience) const { return clock_.mono() + patience; }

 private:
  std::string url(const std::string& path, const char* operation, Query query) const;
  // One try.
  Reply<std::string> ask(const char* method, const std::string& url);
  // Until it succeeds, fails for good, or patience ends.
  Reply<std::string> call(const char* method, const std::string& path, const char* operation,
                          Query query, Nanos patience);
  Reply<std::string> call(const char* method, const std::string& path, const char* operation,
                          Query query) {
    return call(method, path, operation, std::move(query), settings_.patience);
  }
  Reply<void> done(Reply<std::string> answer);

  Settings settings_;
  const Clock& clock_;
  Http http_;
};

// Whether another try may end otherwise.
inline bool may_pass(const Failure& failure) {
  return failure.trouble == Trouble::lost || failure.trouble == Trouble::unreached ||
         failure.trouble == Trouble::wait;
}

}  // namespace lockstep::hdfs
