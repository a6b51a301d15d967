// Transfers: instructions carried out, a stream for each data set, and the peers' streams answered.
//
// Thread rule: any thread.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <set>

#include "common/stream/bulk.hpp"
#include "services/transfer-agent/agent.hpp"
#include "services/transfer-agent/book.hpp"
#include "services/transfer-agent/epoch.hpp"
#include "services/transfer-agent/job.hpp"
#include "services/transfer-agent/record_store.hpp"
#include "services/transfer-agent/tasks.hpp"

namespace lockstep::transfer {

class Transfers {
 public:
  // All that is handed in outlives it. `dialling`: how a bulk socket to a peer is made.
  Transfers(const Agent& agent, Book& book, const RecordStore& records, EpochKeeper& epochs,
            const transport::Directory& directory, Tasks& tasks, stream::Wire dialling)
      : agent_(agent),
        book_(book),
        records_(records),
        epochs_(epochs),
        directory_(directory),
        tasks_(tasks),
        dialling_(std::move(dialling)) {}

  // Carries an instruction out; blocks until every set is there, or one has failed and the others
  // have been stopped. The first failure is the error, with its set named. `part`: push sends, pull
  // receives.
  Result<message::Body> carry_out(const message::Envelope& instruction, Part part,
                                  std::stop_token stop, ProgressBoard& board);

  // A peer opened a stream. Returns at once; the work is a task of the run.
  void arrived(std::unique_ptr<stream::Arrival> arrival);

 private:
  Result<void> may_begin(const Job& job);
  Result<Transferred> one(const LinkWhenReady& link, const Job& job, Part part,
                          std::stop_token stop, ProgressBoard& board);
  void answer(stream::Arrival& arrival, std::stop_token stop);
  Result<void> answer_alone(stream::Arrival& arrival, std::stop_token stop);

  const Agent& agent_;
  Book& book_;
  const RecordStore& records_;
  EpochKeeper& epochs_;
  const transport::Directory& directory_;
  Tasks& tasks_;
  const stream::Wire dialling_;

  // Which arrived streams are being answered, so that a peer that opens one again is not answered
  // twice at the same time.
  std::mutex guard_;
  std::condition_variable_any changed_;
  std::set<std::string> answering_;
};

}  // namespace lockstep::transfer
