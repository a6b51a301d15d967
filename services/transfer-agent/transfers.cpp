#include "services/transfer-agent/transfers.hpp"

#include <spdlog/spdlog.h>

#include <thread>

#include "services/transfer-agent/receive_side.hpp"
#include "services/transfer-agent/send_side.hpp"

namespace lockstep::transfer {

namespace {

Result<const transport::Party*> peer_of(const transport::Directory& directory,
                                        const std::string& name) {
  const auto* peer = directory.find(name);
  if (peer == nullptr || peer->role != transport::Role::transfer_agent || peer->bulk.empty()) {
    return make_error(ErrorCode::not_found, "the site has no such transfer-agent", name);
  }
  return peer;
}

}  // namespace

Result<void> Transfers::may_begin(const Job& job) {
  LOCKSTEP_CHECK(epochs_.admit(job.epoch));
  LOCKSTEP_TRY(const auto dropped, book_.tombstone(job.run));
  if (dropped)
    return make_error(ErrorCode::pin_dropped, "the run was dropped: " + *dropped, job.run);
  return {};
}

Result<Transferred> Transfers::one(const LinkWhenReady& link, const Job& job, Part part,
                                   std::stop_token stop, ProgressBoard& board) {
  if (part == Part::send) return send_one(agent_, book_, records_, link, job, stop, board);
  return receive_one(agent_, book_, records_, link, job, stop, board);
}

Result<message::Body> Transfers::carry_out(const message::Envelope& instruction, Part part,
                                           std::stop_token stop, ProgressBoard& board) {
  LOCKSTEP_TRY(const auto* const peer,
               peer_of(directory_, instruction.body.at("peer").get<std::string>()));
  LOCKSTEP_CHECK(check_clusters(instruction.body, part, agent_.cluster, peer->cluster));
  const auto jobs = jobs_of(instruction, agent_.clock.utc());
  for (const auto& job : jobs) LOCKSTEP_CHECK(may_begin(job));

  std::stop_source all;
  const std::stop_callback pass_on(stop, [&] { all.request_stop(); });
  std::mutex guard;
  std::optional<Error> first_error;
  std::vector<std::optional<Transferred>> done(jobs.size());
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      threads.emplace_back([&, i] {
        const auto kind =
            part == Part::send ? stream::Opening::Kind::push : stream::Opening::Kind::fetch;
        const auto link = stream::make_dial(dialling_, peer->bulk, peer->public_key,
                                            opening_of(jobs[i], kind), agent_.clock);
        auto result =
            one([&]() -> stream::Link& { return *link; }, jobs[i], part, all.get_token(), board);
        const std::scoped_lock lock(guard);
        if (result) {
          done[i] = std::move(*result);
          return;
        }
        if (!first_error) {
          first_error = std::move(result).error();
          if (first_error->where.empty()) first_error->where = jobs[i].set_name();
        }
        all.request_stop();
      });
    }
  }
  if (first_error) return *first_error;
  std::vector<Transferred> sets;
  for (auto& set : done) sets.push_back(std::move(*set));
  return body_of(sets);
}

void Transfers::arrived(std::unique_ptr<stream::Arrival> arrival) {
  const std::string run = arrival->opening().transfer;
  const std::shared_ptr<stream::Arrival> shared = std::move(arrival);
  tasks_.start(run, [this, shared](Tasks::Id, std::stop_token stop) { answer(*shared, stop); });
}

void Transfers::answer(stream::Arrival& arrival, std::stop_token stop) {
  const stream::Opening& opening = arrival.opening();
  const std::string slot = opening.transfer +
                           (opening.kind == stream::Opening::Kind::push ? "/push/" : "/fetch/") +
                           opening.set;
  {
    std::unique_lock lock(guard_);
    if (!changed_.wait(lock, stop, [&] { return !answering_.contains(slot); })) return;
    answering_.insert(slot);
  }
  if (auto done = answer_alone(arrival, stop); !done) {
    spdlog::warn("the stream of {}/{} of run {} from {} failed: {}", opening.service, opening.set,
                 opening.transfer, opening.peer.empty() ? "a peer" : opening.peer,
                 done.error().text());
  }
  const std::scoped_lock lock(guard_);
  answering_.erase(slot);
  changed_.notify_all();
}

Result<void> Transfers::answer_alone(stream::Arrival& arrival, std::stop_token stop) {
  const stream::Opening& opening = arrival.opening();
  const Part part = opening.kind == stream::Opening::Kind::push ? Part::receive : Part::send;
  std::unique_ptr<stream::Link> link;
  const auto accept = [&]() -> stream::Link& {
    link = arrival.accept();
    return *link;
  };
  ProgressBoard board;  // whoever gave the instruction reports progress
  const auto work = [&]() -> Result<Transferred> {
    LOCKSTEP_TRY(const Job job, job_of(opening, directory_));
    LOCKSTEP_CHECK(may_begin(job));
    return one(accept, job, part, stop, board);
  };
  auto result = work();
  if (!result) {
    if (!link) arrival.refuse(result.error());
    return result.error();
  }
  spdlog::info("{} {}/{} of run {}: {} entries, {} bytes, {} on the wire",
               part == Part::send ? "sent" : "received", opening.service, opening.set,
               opening.transfer, result->summary.entries, result->summary.bytes,
               result->bytes_sent);
  return {};
}

}  // namespace lockstep::transfer
