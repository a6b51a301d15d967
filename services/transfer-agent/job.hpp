// What one transfer of one data set is told, whoever asked for it: the scheduler by an instruction,
// or the peer's transfer-agent by the opening of its stream (which carries the instruction on, with
// that one set).
//
// Thread rule: values and pure functions.
#pragma once

#include <functional>
#include <string>

#include "common/component/data_set.hpp"
#include "common/message/envelope.hpp"
#include "common/service/progress.hpp"
#include "common/stream/channel.hpp"
#include "common/stream/send.hpp"
#include "common/transport/peer.hpp"

namespace lockstep::transfer {

struct Job {
  std::string run;
  int attempt = 1;
  message::Epoch epoch;
  message::Body instruction;        // of instruction.push or .pull, limited to one set
  Nanos deadline = seconds(86400);  // for the whole transfer, from its start
  bool driven_here = false;         // the instruction was this agent's, not the peer's

  const message::Body& set() const { return instruction.at("sets").front(); }
  std::string service() const { return instruction.at("service").get<std::string>(); }
  std::string set_name() const { return set().at("name").get<std::string>(); }
  Nanos stall() const { return {instruction.at("stall_ns").get<std::int64_t>()}; }
};

// The jobs of an instruction, a set each.
std::vector<Job> jobs_of(const message::Envelope& envelope, UtcNanos now);

// May this agent, of cluster `mine`, do its part with a peer of cluster `peers`? A sender's cluster
// holds every set's `from`, a receiver's every `to`. Error: identity-wrong.
enum class Part { send, receive };
Result<void> check_clusters(const message::Body& instruction, Part part, const std::string& mine,
                            const std::string& peers);

// What is said when a stream is opened for the job, and what a peer's opening asks for. Errors of
// the second: stream-hostile (it is malformed, or who sent it is no transfer-agent of the site),
// identity-wrong.
stream::Opening opening_of(const Job& job, stream::Opening::Kind kind);
Result<Job> job_of(const stream::Opening& opening, const transport::Directory& directory);

using service::ProgressBoard;
// As the board shows it.
service::SetProgress shown(const stream::Progress& progress);

// The way to the peer, asked for once when all that can fail on this side alone has been done: so
// that the peer of an arriving stream is refused with the reason, and not left waiting.
using LinkWhenReady = std::function<stream::Link&()>;

// What came of one set.
struct Transferred {
  std::string set;
  stream::ManifestSummary summary;
  std::uint64_t bytes_sent = 0;
  std::uint64_t bytes_resent = 0;
  std::optional<std::string> base;  // the run, where both sides had it
  std::vector<std::string> caveats;
};
message::Body body_of(const std::vector<Transferred>& sets);

}  // namespace lockstep::transfer
