// Kept: the newest events of every service, durably, each as the bytes in which it travels on the
// feed; so a replay is the same bytes again.
//
// Of a source only its present incarnation is kept, without a hole: what came before one is
// removed.
//
// Thread rule: the reactor's thread.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "common/journal/journal.hpp"
#include "common/transport/events.hpp"

namespace lockstep::gateway {

journal::Migrations migrations();

// One event that has come, in the order of its source.
struct Arrival {
  std::string source;
  std::string incarnation;
  std::uint64_t sequence = 0;
  bool after_gap = false;  // events before it were missed for good
  std::string topic;       // "<type>/<subject>"
  std::string bytes;       // MessagePack of schemas/event.json
};
Arrival arrival_of(const journal::Event& event, bool after_gap);

class Kept {
 public:
  // `limit`: events kept of each source. Errors: of reading the journal.
  static Result<Kept> load(journal::Journal& journal, std::uint64_t limit);

  // All of them in one transaction. Error: journal-write, journal-full.
  Result<void> add(const std::vector<Arrival>& arrivals);
  // Events of `source` after `sequence`, oldest first: at most `limit`, of at most `bytes` together
  // (but at least one, where there is one).
  Result<std::vector<std::string>> after(const std::string& source, std::uint64_t sequence,
                                         std::size_t limit, std::size_t bytes) const;

  // By source; one of which nothing was ever kept is not there.
  const std::map<std::string, transport::KeptEvents>& sources() const { return sources_; }

 private:
  Kept(journal::Journal& journal, std::uint64_t limit) : journal_(&journal), limit_(limit) {}

  journal::Journal* journal_;
  std::uint64_t limit_;
  std::map<std::string, transport::KeptEvents> sources_;
};

}  // namespace lockstep::gateway
