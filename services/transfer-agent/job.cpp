#include "services/transfer-agent/job.hpp"

#include <fmt/format.h>

#include "common/message/bytes.hpp"
#include "common/message/uuid.hpp"

namespace lockstep::transfer {

using message::Body;

std::vector<Job> jobs_of(const message::Envelope& envelope, UtcNanos now) {
  std::vector<Job> jobs;
  for (const auto& set : envelope.body.at("sets")) {
    Job job;
    job.run = envelope.run;
    job.attempt = envelope.attempt;
    job.driven_here = true;
    job.epoch = envelope.epoch;
    job.instruction = envelope.body;
    job.instruction["sets"] = Body::array({set});
    if (envelope.deadline) job.deadline = *envelope.deadline - now;
    jobs.push_back(std::move(job));
  }
  return jobs;
}

Result<void> check_clusters(const Body& instruction, Part part, const std::string& mine,
                            const std::string& peers) {
  for (const auto& set : instruction.at("sets")) {
    const auto from = set.at("from").at("cluster").get<std::string>();
    const auto to = set.at("to").at("cluster").get<std::string>();
    const std::string& own = part == Part::send ? from : to;
    const std::string& other = part == Part::send ? to : from;
    if (own != mine || other != peers) {
      return make_error(ErrorCode::identity_wrong,
                        fmt::format("the set goes from {} to {}; this agent is of {} and would {} "
                                    "it, its peer is of {}",
                                    from, to, mine, part == Part::send ? "send" : "receive", peers),
                        set.at("name").get<std::string>());
    }
  }
  return {};
}

stream::Opening opening_of(const Job& job, stream::Opening::Kind kind) {
  stream::Opening opening;
  opening.kind = kind;
  opening.transfer = job.run;
  opening.service = job.service();
  opening.set = job.set_name();
  opening.attempt = job.attempt;
  opening.epoch = job.epoch.number;
  opening.body = message::pack_body({{"promotion", job.epoch.promotion},
                                     {"deadline_ns", job.deadline.count},
                                     {"instruction", job.instruction}});
  return opening;
}

namespace {

Error malformed(const std::string& what) {
  return make_error(ErrorCode::stream_hostile, "the opening of a stream " + what);
}

}  // namespace

Result<Job> job_of(const stream::Opening& opening, const transport::Directory& directory) {
  auto body = message::unpack_body(opening.body);
  if (!body || !body->is_object() || !body->contains("instruction") ||
      !body->contains("promotion") || !(*body)["promotion"].is_string() ||
      !body->contains("deadline_ns") || !(*body)["deadline_ns"].is_number_integer()) {
    return malformed("lacks what every opening has");
  }
  Job job;
  job.instruction = (*body)["instruction"];
  if (auto fits = message::check_schema("instruction.push", job.instruction); !fits) {
    return malformed("holds no instruction: " + fits.error().text());
  }
  job.run = opening.transfer;
  job.attempt = opening.attempt;
  job.epoch = {opening.epoch, (*body)["promotion"].get<std::string>()};
  job.deadline = {(*body)["deadline_ns"].get<std::int64_t>()};
  if (!message::is_uuid(job.run) || job.instruction.at("sets").size() != 1 ||
      job.service() != opening.service || job.set_name() != opening.set) {
    return malformed("says one thing in its head and another in its body");
  }
  // On plain text there are no keys: the name in the instruction has to do.
  if (!opening.peer.empty()) {
    const auto* peer = directory.find(opening.peer);
    if (peer == nullptr || peer->role != transport::Role::transfer_agent) {
      return malformed("comes from " + opening.peer + ", which is no transfer-agent");
    }
    const bool pushed = opening.kind == stream::Opening::Kind::push;
    LOCKSTEP_CHECK(check_clusters(job.instruction, pushed ? Part::receive : Part::send,
                                  directory.me().cluster, peer->cluster));
  }
  return job;
}

service::SetProgress shown(const stream::Progress& progress) {
  service::SetProgress out{progress.entries, progress.bytes};
  if (progress.expected) {
    out.bytes_expected = progress.expected->bytes;
    out.at_most = progress.expected->at_most;
  }
  return out;
}

Body body_of(const std::vector<Transferred>& sets) {
  Body out = Body::array();
  for (const auto& set : sets) {
    Body caveats = Body::array();
    for (const auto& caveat : set.caveats) caveats.push_back(message::text_or_bytes(caveat));
    Body row{{"name", set.set},
             {"root", stream::to_hex(set.summary.root)},
             {"entries", set.summary.entries},
             {"bytes", set.summary.bytes},
             {"bytes_sent", set.bytes_sent},
             {"bytes_resent", set.bytes_resent},
             {"caveats", std::move(caveats)}};
    if (set.base) row["base"] = *set.base;
    out.push_back(std::move(row));
  }
  return {{"sets", std::move(out)}};
}

}  // namespace lockstep::transfer
