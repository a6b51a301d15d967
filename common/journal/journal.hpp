// Journal: the one SQLite file in which a service keeps what it must not forget (docs/journal.md).
//
// WAL, synchronous=FULL, EXCLUSIVE locking, one connection, STRICT tables, BEGIN IMMEDIATE always,
// migrations by user_version inside one transaction. Intent stands in it before an effect, done
// after it. Every journal also holds the outbox of events and the stored replies.
//
// Thread rule: any thread; transactions are serialised by a mutex inside. A function given to
// transact() must not call back into the journal other than through its argument.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/clock/clock.hpp"
#include "common/error/error.hpp"
#include "common/message/envelope.hpp"

namespace SQLite {
class Database;
}
namespace lockstep::os {
class Disk;
}

namespace lockstep::journal {

// SQL that takes user_version from n to n+1, for n = 0, 1, ... in order.
using Migrations = std::vector<std::string>;

struct Event {
  std::string source;          // the service's name
  std::string incarnation;     // UUIDv7, made with the journal file
  std::uint64_t sequence = 0;  // from 1, without gaps
  std::string type;            // "point.sealed"; schemas/events/<type>.json holds its data
  std::string subject;         // what it is about: a service, a run, a cluster
  UtcNanos time;
  message::Body data;
};

struct ReplyKey {
  std::string run;
  std::string step;
  int attempt = 0;
};

struct StoredReply {
  bool ok = false;
  message::Body body;  // of done, or error_body()
};

// How long transactions took that were committed, since the journal was opened: to say whether the
// disk under it is slow.
struct WriteTimes {
  static constexpr std::array<Nanos, 8> kBounds{
      Nanos{500'000},   milliseconds(1),   milliseconds(5),   milliseconds(10),
      milliseconds(50), milliseconds(100), milliseconds(500), seconds(1)};
  std::array<std::uint64_t, kBounds.size() + 1> counts{};  // up to each bound; then the longer ones
  Nanos total{0};
};

// What a transaction may do. SQL through database(); SQLite::Exception is caught by transact().
class Transaction {
 public:
  virtual ~Transaction() = default;
  virtual SQLite::Database& database() = 0;
  virtual void emit(const std::string& type, const std::string& subject, message::Body data) = 0;
  virtual void store_reply(const ReplyKey& key, const StoredReply& reply) = 0;
};

class Journal {
 public:
  virtual ~Journal() = default;

  // BEGIN IMMEDIATE, `work`, COMMIT; on an error of `work` ROLLBACK and that error. An error of
  // writing (journal-write) is final: the process must end and recover. journal-full: the
  // transaction was rolled back whole. `failpoint` names the place (os::failpoint is passed before
  // and after the commit, as "<failpoint>.before" and ".after").
  virtual Result<void> transact(const char* failpoint,
                                const std::function<Result<void>(Transaction&)>& work) = 0;
  // Reads without a write transaction.
  virtual Result<void> read(const std::function<Result<void>(SQLite::Database&)>& work) = 0;

  virtual Result<std::optional<StoredReply>> find_reply(const ReplyKey& key) = 0;

  virtual const std::string& incarnation() const = 0;
  virtual Result<std::vector<Event>> events_after(std::uint64_t sequence, std::size_t limit) = 0;
  virtual std::uint64_t first_event() const = 0;  // lowest kept sequence; 0: none
  virtual std::uint64_t last_event() const = 0;

  virtual WriteTimes write_times() const = 0;
};

struct OpenOptions {
  std::string path;    // made if missing, mode 0600; its directory must exist
  std::string source;  // the service's name, for events
  std::uint32_t application_id = 0x4c534a31;  // "LSJ1"
  Migrations migrations;                      // the service's own tables
  std::size_t keep_events = 100000;
  // Where the file lies on another disk than the kernel's: that disk, which outlives the journal,
  // and the name of the registered VFS by which SQLite reaches it.
  os::Disk* disk = nullptr;
  std::string vfs;
};

// quick_check first; a corrupt file is set aside (renamed *.corrupt-<time>) and the error is
// journal-corrupt: calling open again makes a new one. journal-newer: a newer version wrote it.
Result<std::unique_ptr<Journal>> open(const OpenOptions& options, const Clock& clock);

}  // namespace lockstep::journal
