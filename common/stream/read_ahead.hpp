// ReadAhead: what a cursor lists, in its order, ahead of who takes it; with the content of small
// files, read by several threads, so that a disk's or a server's answers are waited for together
// and not one after the other.
//
// Thread rule: one thread takes; the object's own threads end with it.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <thread>
#include <vector>

#include "common/component/source.hpp"
#include "common/stream/bytes.hpp"

namespace lockstep::stream {

// What reading all of a file gave; nothing where nobody read it.
using WholeContent = std::optional<Result<std::span<const std::byte>>>;

class ReadAhead {
 public:
  using List = std::function<Result<std::optional<component::Change>>()>;
  enum class Content { of_small_files, of_none };
  // Of a regular file that is not empty.
  using SumOf = std::function<Result<std::string>(const component::Entry&)>;

  struct Item {
    component::Change change;
    // Of regular files of one leaf at most. Holds until the next next().
    WholeContent content;
    Result<std::string> sum = std::string();  // as `sum_of` told it; "" where there is none
  };

  // `list` gives the next of the listing, nothing at its end; a thread of this object's calls it.
  // `moved` is called from any of them for each entry listed and each file read. They and `source`
  // must outlive the object. `sum_of` is asked from several of them, where it is given.
  ReadAhead(component::Source& source, List list, Content content, std::stop_token stop,
            std::function<void()> moved = {}, SumOf sum_of = {});
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;
  ~ReadAhead();

  // The next, or nothing at the end. Errors: those of `list`, once what came before was taken;
  // cancelled.
  Result<std::optional<Item>> next();

 private:
  struct Listed {
    component::Change change;
    bool small = false;  // its content is read, to `at` of the batch's
    std::size_t at = 0;
    std::size_t length = 0;
    std::optional<Error> error;  // of reading it
    bool summed = false;         // its checksum is asked for
    Result<std::string> sum = std::string();
  };
  // Handed from thread to thread as one, so that a file costs no wake-up of its own.
  struct Batch {
    std::vector<Listed> listed;
    std::size_t bytes = 0;       // of the contents
    bool to_read = false;        // there is something to read or to ask
    Buffer content;              // at least so many
    std::optional<Error> error;  // what ended the listing, after these
    bool last = false;
    enum class State { listed, claimed, ready } state = State::listed;
  };

  void walk(const std::stop_token& stop);
  std::unique_ptr<Batch> list_some(const std::stop_token& stop);
  void read(const std::stop_token& stop);
  void look_at(Batch& batch, Listed& listed);
  void read_small(Batch& batch, Listed& listed);

  component::Source& source_;
  const List list_;
  const Content content_;
  const std::stop_token stop_;
  const std::function<void()> moved_;
  const SumOf sum_of_;

  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<std::unique_ptr<Batch>> batches_;  // in order
  std::vector<std::unique_ptr<Batch>> spare_;   // their memory is used again

  std::unique_ptr<Batch> taken_;  // of next() alone
  std::size_t at_ = 0;
  std::vector<std::jthread> threads_;
};

}  // namespace lockstep::stream
