// Writer: makes and changes a tree in HDFS, with many files on their way at once: closing a file
// may take half a second of waiting (dfs.client.block.write.locateFollowingBlock.initial.delay.ms),
// and nobody should wait for one before the next begins.
//
// Calls return as soon as the work is handed over; what fails later is the error of a later call,
// the latest drain()'s. Small files are held until they are sent, and sent again where a connection
// breaks; of large ones 8 MiB are under way. In all about 64 MiB.
//
// Thread rule: one thread.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>

#include "common/component/target.hpp"
#include "common/components/hdfs/body.hpp"
#include "common/components/hdfs/crew.hpp"
#include "common/components/hdfs/metadata.hpp"
#include "common/components/hdfs/reader.hpp"
#include "common/components/hdfs/webhdfs.hpp"

namespace lockstep::hdfs {

class Writer {
 public:
  // Below `root` (absolute). `base`: the state from which patched files take what is not written
  // ("/d/.snapshot/x"); empty: nothing is patched.
  // `carried`: where files to adopt lie (Action::adopt); empty: there are none.
  Writer(WebHdfs& hdfs, std::string root, std::string base, std::string carried = {});
  // What is on its way is given up.
  ~Writer();
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  // As of component::Staging.
  Result<void> begin(const component::Entry& entry, component::Action action);
  Result<void> write(std::uint64_t offset, std::span<const std::byte> data);
  Result<void> finish();
  Result<std::size_t> read_back(std::uint64_t offset, std::span<std::byte> into);
  Result<void> remove(const std::string& path);
  Result<void> leave_directory(const component::Entry& directory);

  // Waits until all that was handed over is done; nothing may be begun.
  Result<void> drain();

 private:
  // The regular file that was begun.
  struct File {
    component::Entry entry;
    Wanted wanted;
    component::Action action = component::Action::create;
    std::uint64_t position = 0;    // what of it has been composed
    std::unique_ptr<Reader> base;  // Action::patch: where the rest comes from
    std::uint64_t base_size = 0;
    std::string whole;           // of a small file
    std::shared_ptr<Body> body;  // of a large one: it is on its way
    std::string tail;            // the last bytes composed, for read_back
  };
  // A directory in which something is on its way.
  struct Busy {
    std::size_t running = 0;
    std::optional<component::Entry> leave;  // to be done when nothing runs any more
  };

  std::string whole_path(const std::string& path) const { return join(root_, path); }
  Result<void> check_entry(const component::Entry& entry) const;
  Result<void> failure();  // of a job
  void fail(Error error);
  Result<void> make_directory(const component::Entry& entry);
  Result<void> open_base(File& file);
  Result<void> adopt(const component::Entry& entry, const Wanted& wanted);
  Result<void> compose(std::span<const std::byte> data);
  Result<void> compose_until(std::uint64_t offset);
  Result<void> upload(const component::Entry& entry, const Wanted& wanted,
                      const WebHdfs::Content& content);

  // Hands a job for `path` over, once no other of that path runs and there is room. `inside`: it
  // changes the directory that it lies in.
  Result<void> hand_over(const std::string& path, bool inside, std::size_t bytes,
                         std::function<Result<void>()> job);
  void ended(const std::string& path, bool inside, std::size_t bytes);
  void start_leave(const component::Entry& directory);  // under the lock
  void wait_below(const std::string& path);

  WebHdfs& hdfs_;
  std::string root_;
  std::string base_;
  std::string carried_;
  std::optional<File> file_;

  std::mutex mutex_;
  std::condition_variable moved_;
  std::optional<Error> error_;            // the first
  std::multiset<std::string> running_;    // paths of jobs
  std::size_t held_ = 0;                  // bytes of small files under way
  std::map<std::string, Busy> busy_;      // by path
  std::set<std::shared_ptr<Body>> sent_;  // bodies under way
  bool ending_ = false;

  Crew crew_;  // last: its threads end before what they use
};

// Whether what an engine brought to `path` is the entry's content: by its size and checksum.
// Errors: stream-digest, target-write, unreachable.
Result<void> check_brought(WebHdfs& hdfs, const std::string& path, const component::Entry& entry);

}  // namespace lockstep::hdfs
