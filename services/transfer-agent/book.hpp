// Book: the transfer-agent's own tables in its journal (docs/journal.md), one function a fact.
//
// What is done in one transaction together with a reply or an event takes the Transaction; the rest
// makes its own. Thread rule: any thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/component/data_set.hpp"
#include "common/journal/journal.hpp"
#include "common/stream/resume_log.hpp"

namespace lockstep::transfer {

journal::Migrations migrations();

// What this side sent of one set: the base of later transfers, once transfer.keep says so.
struct Sent {
  std::string run;
  component::Version version;  // the pin's
  std::string manifest;
};

// What this side receives, or has received, of one set.
struct Received {
  std::string run;
  component::DataSet target;
  std::string base;         // the run whose version it starts from; empty: none
  int staging_attempt = 1;  // whose staging it is: a later attempt goes on with it
  std::string manifest;
  std::optional<component::Version> version;  // sealed
  std::string root;
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;
};

// An act on a record that is under way: looked up in the world at the next start.
struct Unfinished {
  std::string run;
  std::string service;
};

class Book {
 public:
  explicit Book(journal::Journal& journal) : journal_(journal) {}

  // Tombstones: a run that was dropped or refused. `why` is a sentence.
  Result<std::optional<std::string>> tombstone(const std::string& run);
  static void bury(journal::Transaction& transaction, const std::string& run,
                   const std::string& service, const std::string& why, UtcNanos at);

  Result<void> put_sent(const Sent& sent);
  Result<std::optional<Sent>> find_sent(const std::string& run, const std::string& set);
  // Of the service's runs before `run` (their ids are ordered by time).
  Result<std::vector<Sent>> sent_before(const std::string& service, const std::string& run);
  Result<std::vector<Sent>> sent_of(const std::string& run);
  static void forget_sent(journal::Transaction& transaction, const std::string& run,
                          const std::string& set);

  Result<void> put_received(const Received& received);
  Result<std::optional<Received>> find_received(const std::string& run, const std::string& set);
  Result<std::vector<Received>> received_of(const std::string& run);
  Result<std::vector<Received>> all_received();
  static void forget_received(journal::Transaction& transaction, const std::string& run);

  // `seal`: a record is being written; `delete`: a record and its versions are being removed.
  static void begin(journal::Transaction& transaction, const char* act, const Unfinished& what);
  static void end(journal::Transaction& transaction, const char* act, const std::string& run);
  Result<std::vector<Unfinished>> unfinished(const char* act);

  struct Verified {
    UtcNanos at;
    bool ok = false;
  };
  static void put_verified(journal::Transaction& transaction, const std::string& point,
                           const Verified& verified);
  static void forget_verified(journal::Transaction& transaction, const std::string& point);
  Result<std::optional<Verified>> find_verified(const std::string& point);

 private:
  Result<std::vector<Sent>> select_sent(const std::string& where, const std::string& value,
                                        const std::string& other);
  Result<std::vector<Received>> select_received(const std::string& where,
                                                const std::vector<std::string>& values);

  journal::Journal& journal_;
};

// How far a receiver has come, for the stream.
class JournalResumeLog final : public stream::ResumeLog {
 public:
  JournalResumeLog(journal::Journal& journal, std::string run, std::string set)
      : journal_(journal), run_(std::move(run)), set_(std::move(set)) {}

  Result<std::optional<stream::ResumeRow>> load() override;
  Result<void> save(const stream::ResumeRow& row) override;
  Result<void> clear() override;

 private:
  journal::Journal& journal_;
  std::string run_;
  std::string set_;
};

}  // namespace lockstep::transfer
