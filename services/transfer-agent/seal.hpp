// Sealing: the one record that makes a recovery point exist, or the tombstone that refuses it.
#pragma once

#include <optional>

#include "services/transfer-agent/agent.hpp"
#include "services/transfer-agent/book.hpp"
#include "services/transfer-agent/epoch.hpp"
#include "services/transfer-agent/record.hpp"
#include "services/transfer-agent/record_store.hpp"

namespace lockstep::transfer {

// Thread rule: any thread.
class Sealer {
 public:
  Sealer(const Agent& agent, Book& book, const RecordStore& records, EpochKeeper& epochs,
         const signing::SigningKey& key)
      : agent_(agent), book_(book), records_(records), epochs_(epochs), key_(key) {}

  // The body of point.seal.done: sealed, or refused for ever. Asked again it answers the same. The
  // reply is stored in the transaction that ends the sealing. Errors are those of not being able to
  // look or to write; nothing is decided then.
  Result<message::Body> seal(const message::Envelope& envelope);

  // After a start: seals that were under way are looked up in the world.
  Result<void> recover();

 private:
  Result<message::Body> decide(const message::Envelope& envelope);
  Result<message::Body> seal_under_old(const message::Envelope& envelope, const Error& why);
  Result<message::Body> refuse(const message::Envelope& envelope, const std::string& why);
  Result<message::Body> publish(const message::Envelope& envelope, const message::Body& record);
  Result<std::optional<KeptSet>> kept_set(const std::string& run, const std::string& service,
                                          const message::Body& set);
  Result<void> finish(const message::Body& record, const journal::ReplyKey* reply);

  const Agent& agent_;
  Book& book_;
  const RecordStore& records_;
  EpochKeeper& epochs_;
  const signing::SigningKey& key_;
};

}  // namespace lockstep::transfer
