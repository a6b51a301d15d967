// WebHdfs: one cluster's HDFS by WebHDFS, an operation a function.
//
// What may come right by itself (a connection that broke, a NameNode that restarts, stands by or is
// in safe mode) is tried again until it does, for at most the settings' patience. Of several
// NameNodes the one that served last is asked first; whatever may come right by itself is a reason
// to ask the next at once, for only one is active and the one that was may be dead. All are asked
// before an operation gives up, and its failure says what each of them answered. A NameNode that is
// asked by TLS cannot lead to a DataNode without. Operations that
// are not the same when done twice (a snapshot's creation, a rename) look before they try again.
// What this relies on of the protocol: Hadoop's WebHDFS document, and docs/components/hdfs.md for
// what was found by trying.
//
// Thread rule: any thread; as many requests go on at once as there are callers.
#pragma once

#include <atomic>
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
#include "common/components/hdfs/tries.hpp"

namespace lockstep::hdfs {

class WebHdfs {
 public:
  WebHdfs(Settings settings, const Clock& clock);

  const Settings& settings() const { return settings_; }
  // The address of the NameNode that served last.
  const std::string& namenode() const { return settings_.namenodes[serving_.load()]; }

  // Paths are absolute.
  Reply<Status> status(const std::string& path) { return status(path, settings_.patience); }
  Reply<Status> status(const std::string& path, Nanos patience);
  // Up to some hundred entries after the name `after` ("": from the first), in the NameNode's
  // order, which is not bytewise for names beyond ASCII.
  Reply<Page> list(const std::string& path, const std::string& after);
  Reply<std::vector<std::string>> acl(const std::string& path);
  Reply<std::vector<component::Xattr>> xattrs(const std::string& path);

  // Gives `take` the `length` bytes from `offset` on, in order, as they come on one connection; it
  // may wait, and returns false to have no more. What breaks on its way is asked for again from
  // where it had come to; patience begins anew with each byte. Requires that the file has them.
  Reply<void> stream(const std::string& path, std::uint64_t offset, std::uint64_t length,
                     const Http::Take& take);

  // The checksum that HDFS keeps of the file (sums.hpp).
  Reply<std::string> checksum(const std::string& path);
  // The bytes of all files in the directory, before replication. Of a large one it takes the
  // NameNode a while.
  Reply<std::uint64_t> content_length(const std::string& path);

  // From Hadoop 3.3 on. A NameNode before that refuses it (other).
  Reply<QuotaLeft> quota_left(const std::string& path);

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
  // Error: exists (one has that name), snapshot (the directory is not snapshottable), lost (it may
  // have been made). `patience` instead of the settings': writers may be waiting.
  Reply<void> create_snapshot(const std::string& directory, const std::string& name,
                              Nanos patience);
  Reply<void> remove_snapshot(const std::string& directory, const std::string& name);
  // From one to the other; "" is the directory as it is now.
  Reply<std::vector<Difference>> differences(const std::string& directory, const std::string& from,
                                             const std::string& to);

  // dfs.namenode.snapshot.capture.openfiles; nothing: no NameNode tells.
  std::optional<bool> captures_open_files();
  // Bytes that the cluster has left, before replication; nothing: no NameNode tells.
  std::optional<std::uint64_t> remaining_space();

  struct NameNode {
    std::string address;
    std::string state;     // "active", "standby", "observer" or, in words, why it does not tell
    bool answers = false;  // it is there, whether it tells or not
  };
  // As each of them tells it by its JMX now, in the settings' order; all are asked at once, and
  // waited for two seconds at most.
  std::vector<NameNode> namenodes();

  // Of the bean FSNamesystemState (Hadoop's Metrics document).
  struct Gauges {
    std::string state;  // "Operational", "safeMode"
    std::uint64_t live_datanodes = 0;
    std::uint64_t dead_datanodes = 0;
    std::uint64_t remaining_bytes = 0;  // before replication
  };
  // As the NameNode of that index in the settings tells them now; nothing: it does not, within two
  // seconds.
  std::optional<Gauges> gauges(std::size_t namenode);

 private:
  // A NameNode answers in milliseconds; one that collects garbage, in seconds.
  static constexpr Nanos kAnswerTime = seconds(60);
  MonoNanos deadline(Nanos patience) const { return clock_.mono() + patience; }
  Tries tries(Nanos patience) const {
    return {clock_, settings_.namenodes, serving_.load(), deadline(patience)};
  }
  // One try, at the NameNode whose turn it is.
  Reply<std::string> ask(Tries& tries, const char* method, const std::string& path,
                         const char* operation, Query query, Nanos answer_time = kAnswerTime);
  // Until it succeeds, fails for good, or patience ends.
  Reply<std::string> call(const char* method, const std::string& path, const char* operation,
                          Query query, Nanos patience, Nanos answer_time = kAnswerTime);
  Reply<std::string> call(const char* method, const std::string& path, const char* operation,
                          Query query) {
    return call(method, path, operation, std::move(query), settings_.patience);
  }
  Reply<void> done(Reply<std::string> answer);
  // The address of the DataNode that a NameNode's answer leads to.
  Reply<std::string> datanode(const std::string& body) const;
  // The address of a bean of its JMX below a NameNode's own.
  std::string jmx(const char* bean) const;
  // What the first NameNode that answers says at this address below its own.
  std::optional<std::string> told(const std::string& below);

  Settings settings_;
  const Clock& clock_;
  std::atomic<std::size_t> serving_{0};  // of settings_.namenodes
  Http http_;
};

}  // namespace lockstep::hdfs
