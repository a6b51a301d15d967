// The identity epoch as this agent holds it: a command under an older one is refused, a newer one
// is kept before anything is done under it.
//
// Publishing (a record comes, a record goes) and raising the epoch exclude each other: publish()
// holds the lock from its check to the end of the publishing.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>

#include "common/journal/journal.hpp"
#include "common/message/envelope.hpp"

namespace lockstep::transfer {

// Thread rule: any thread.
class EpochKeeper {
 public:
  // What the journal holds, or `first` where it holds none.
  static Result<std::unique_ptr<EpochKeeper>> load(journal::Journal& journal,
                                                   const message::Epoch& first);

  message::Epoch current() const;

  // A registrar whose record of the identity was lost takes no command until it has learned what is
  // decided.
  void set_known(bool known) { known_ = known; }
  bool known() const { return known_; }

  // Errors: unreachable, epoch-old (also where it contradicts), or what the journal said. A
  // newer epoch is kept when this returns; whoever publishes is waited for. A command under no
  // epoch passes: it is given under the one held.
  Result<void> admit(const message::Epoch& given);
  // The same for what this site has decided itself, known or not.
  Result<void> raise(const message::Epoch& decided);

  // Runs `work` if `under` is still the epoch held, and no raise until it ends. Error: epoch-old,
  // or the work's.
  Result<void> publish(const message::Epoch& under, const std::function<Result<void>()>& work);

 private:
  EpochKeeper(journal::Journal& journal, message::Epoch held)
      : journal_(journal), held_(std::move(held)) {}

  journal::Journal& journal_;
  std::atomic<bool> known_ = true;
  std::mutex publishing_;     // taken first
  mutable std::mutex guard_;  // of held_
  message::Epoch held_;
};

}  // namespace lockstep::transfer
