#include "services/health-monitor/agreement.hpp"

#include <spdlog/spdlog.h>

#include "common/message/uuid.hpp"
#include "common/service/identity_body.hpp"

namespace lockstep::health {

using identity::Proposal;
using message::Body;
using service::body_of;

namespace {

constexpr int kTries = 5;
constexpr Nanos kBetweenTries = milliseconds(200);
constexpr Nanos kMomentMore = milliseconds(300);
// A site that is there answers in milliseconds; one that is not must not hold up a promotion.
constexpr transport::RequestOptions kPatience{seconds(1), seconds(3), seconds(5)};

}  // namespace

struct Agreement::Try {
  identity::Decision wanted;
  Done done;
  int number = 0;
  std::uint64_t round = 1;
  std::optional<Proposal> proposal;
  std::map<std::string, std::string> troubles;  // of this try: site -> why it said nothing
};

void Agreement::propose(const identity::Decision& wanted, Done done) {
  auto attempt = std::make_shared<Try>();
  attempt->wanted = wanted;
  attempt->done = std::move(done);
  if (wanted.alone) {
    tell(attempt, wanted);
    return;
  }
  begin(attempt);
}

void Agreement::begin(const TryPtr& attempt) {
  const auto newest = site_.current();
  if (!newest) {
    attempt->done(make_error(ErrorCode::unreachable,
                             "the control device does not know the identity epoch yet"));
    return;
  }
  for (const auto& held : site_.record().decided) {
    if (held.number != attempt->wanted.number) continue;
    if (held.promotion == attempt->wanted.promotion) {
      tell(attempt, held);
    } else {
      attempt->done(make_error(
          ErrorCode::guard,
          "another promotion was decided under identity epoch " + std::to_string(held.number),
          held.primary));
    }
    return;
  }
  ++attempt->number;
  attempt->troubles.clear();
  const identity::Ballot ballot{attempt->round, message::make_uuid7(here_.clock.utc())};
  attempt->proposal.emplace(attempt->wanted, *newest, ballot);
  ask_promises(attempt);
}

void Agreement::ask(const TryPtr& attempt, const std::string& site, const std::string& type,
                    const Body& body) {
  message::Envelope envelope;
  envelope.type = type;
  envelope.body = body;
  // An answer to a try that was given up is not counted: the token is its name.
  const std::string token = attempt->proposal->ballot().token;
  here_.client.request(site_.others().at(site), std::move(envelope), kPatience, {},
                       [this, attempt, site, token, type](const Result<Body>& end) {
                         if (!attempt->proposal || attempt->proposal->ballot().token != token)
                           return;
                         Proposal& proposal = *attempt->proposal;
                         if (!end) {
                           attempt->troubles[site] = end.error().what;
                           proposal.silent(site);
                         } else {
                           const auto answer = service::answer_from(*end);
                           if (!answer.known) {
                             attempt->troubles[site] = "it has lost its record and does not vote";
                           }
                           if (type == "identity.prepare") {
                             proposal.promised(answer);
                           } else {
                             proposal.accepted(answer);
                           }
                         }
                         look(attempt);
                       });
}

void Agreement::ask_promises(const TryPtr& attempt) {
  const Proposal& proposal = *attempt->proposal;
  const Body body{{"after", body_of(proposal.after())}, {"ballot", body_of(proposal.ballot())}};
  const auto own = site_.prepare(proposal.after(), proposal.ballot());
  if (!own) {
    attempt->done(own.error());
    return;
  }
  for (const auto& [site, party] : site_.others()) ask(attempt, site, "identity.prepare", body);
  attempt->proposal->promised(*own);
  look(attempt);
}

void Agreement::ask_acceptances(const TryPtr& attempt) {
  const Proposal& proposal = *attempt->proposal;
  const Body body{{"after", body_of(proposal.after())},
                  {"ballot", body_of(proposal.ballot())},
                  {"decision", body_of(proposal.decision())}};
  const auto own = site_.accept(proposal.after(), proposal.ballot(), proposal.decision());
  if (!own) {
    attempt->done(own.error());
    return;
  }
  for (const auto& [site, party] : site_.others()) ask(attempt, site, "identity.accept", body);
  attempt->proposal->accepted(*own);
}

// After every answer. Each phase is entered once: its messages change the phase before the next
// look.
void Agreement::look(const TryPtr& attempt) {
  Proposal& proposal = *attempt->proposal;
  switch (proposal.phase()) {
    case Proposal::Phase::promises:
      return;
    case Proposal::Phase::accepting:
      if (attempt->round == 0) return;  // asked already
      attempt->round = 0;
      ask_acceptances(attempt);
      return;
    case Proposal::Phase::decided: {
      const identity::Decision decided = proposal.decision();
      attempt->proposal.reset();
      tell(attempt, decided);
      return;
    }
    case Proposal::Phase::overtaken: {
      const identity::Decision decided = proposal.overtaken_by();
      attempt->proposal.reset();
      tell(attempt, decided);
      return;
    }
    case Proposal::Phase::outbid: {
      const std::uint64_t next = std::max(proposal.highest_round(), proposal.ballot().round) + 1;
      std::string troubles;
      for (const auto& [site, why] : attempt->troubles) troubles += "; " + site + ": " + why;
      attempt->proposal.reset();
      if (attempt->number >= kTries || attempt->troubles.size() >= 2) {
        attempt->done(make_error(
            ErrorCode::guard, "two of the three sites have to agree, and they did not" + troubles));
        return;
      }
      attempt->round = next;
      here_.reactor.after(kBetweenTries, [this, attempt] { begin(attempt); });
      return;
    }
  }
}

// This site first; then the others. The old primary may be gone: once the new primary's site has
// taken it the others have a moment more, and who learns later refuses older commands from then on.
void Agreement::tell(const TryPtr& attempt, const identity::Decision& decision) {
  site_.decide(decision, [this, attempt, decision](const Result<identity::Taken>& taken) {
    if (!taken) {
      attempt->done(taken.error());
      return;
    }
    const auto ended = std::make_shared<bool>(false);
    const auto end = [attempt, decision, ended] {
      if (std::exchange(*ended, true)) return;
      if (decision.promotion != attempt->wanted.promotion) {
        attempt->done(make_error(
            ErrorCode::guard,
            "another promotion was decided under identity epoch " + std::to_string(decision.number),
            decision.primary));
        return;
      }
      attempt->done(decision);
    };
    const auto left = std::make_shared<std::size_t>(site_.others().size());
    for (const auto& [site, party] : site_.others()) {
      message::Envelope envelope;
      envelope.type = "identity.decide";
      envelope.body = {{"decision", body_of(decision)}};
      here_.client.request(party, std::move(envelope), kPatience, {},
                           [this, decision, left, name = site, end](const Result<Body>& answer) {
                             if (!answer) {
                               spdlog::warn("{} was not told of the decision: {}", name,
                                            answer.error().text());
                             }
                             if (--*left == 0) return end();
                             if (answer && name == decision.primary)
                               here_.reactor.after(kMomentMore, end);
                           });
    }
  });
}

}  // namespace lockstep::health
