#include "common/service/identity_site.hpp"

#include <SQLiteCpp/Column.h>
#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Statement.h>
#include <spdlog/spdlog.h>

#include "common/message/uuid.hpp"
#include "common/service/identity_body.hpp"
#include "common/service/log.hpp"

namespace lockstep::service {

using identity::Decision;
using identity::Record;
using message::Body;
using transport::Request;
using transport::Role;

const char* const kIdentityTable = R"sql(
CREATE TABLE identity_record (
  only_row INTEGER PRIMARY KEY CHECK (only_row = 1), record TEXT NOT NULL) STRICT;
)sql";

namespace {

constexpr Nanos kWhileUnknown = milliseconds(250);
constexpr Nanos kWhileKnown = seconds(5);

void answer(const Request& request, const Result<Body>& result) {
  if (result) {
    request.done(result.value());
  } else {
    request.failed(result.error());
  }
}

const char* taken_name(identity::Taken taken) {
  switch (taken) {
    case identity::Taken::fresh:
      return "fresh";
    case identity::Taken::held:
      return "held";
    case identity::Taken::behind:
      return "behind";
    case identity::Taken::clash:
      return "clash";
  }
  return "";
}

}  // namespace

std::string health_monitor_of(const config::Site& site) {
  for (const auto& service : site.control) {
    if (service.name == transport::role_name(Role::health_monitor)) return service.name;
  }
  return {};
}

Decision first_decision(const config::Site& site) {
  Decision first{1, site.first_promotion, {}, {}, {}, false};
  for (const auto& [name, cluster] : site.clusters) {
    if (cluster.initially_primary) first.primary = name;
  }
  return first;
}

Result<std::unique_ptr<IdentitySite>> IdentitySite::load(Surroundings& here, const std::string& own,
                                                         Raise raise) {
  std::unique_ptr<IdentitySite> site(new IdentitySite(here, std::move(raise)));
  site->first_ = first_decision(here.site);
  if (own != kControlSite) site->others_[kControlSite] = health_monitor_of(here.site);
  for (const auto& [name, cluster] : here.site.clusters) {
    if (name == own) continue;
    if (const auto* registrar = here.site.registrar(name)) site->others_[name] = registrar->name;
  }
  LOCKSTEP_CHECK(here.journal.read([&](SQLite::Database& database) -> Result<void> {
    SQLite::Statement query(database, "SELECT record FROM identity_record");
    if (query.executeStep()) site->stored_ = query.getColumn(0).getString();
    return {};
  }));
  if (!site->stored_.empty()) {
    site->record_ = record_from(Body::parse(site->stored_));
    return site;
  }
  LOCKSTEP_CHECK(site->keep(identity::begin_record(own, message::make_uuid7(here.clock.utc()))));
  return site;
}

IdentitySite::~IdentitySite() {
  if (timer_) here_.reactor.cancel(*timer_);
}

std::optional<Decision> IdentitySite::current() const {
  if (!record_.known || record_.last() == nullptr) return std::nullopt;
  return *record_.last();
}

// Durable, with the events of what is new in it; then it is the record.
Result<void> IdentitySite::keep(Record next) {
  std::string text = body_of(next).dump();
  if (text == stored_) return {};
  const bool decided = next.number() > record_.number();
  const bool clash = next.clashes.size() > record_.clashes.size();
  auto kept = here_.journal.transact(
      "identity.record", [&](journal::Transaction& transaction) -> Result<void> {
        SQLite::Statement put(transaction.database(),
                              "INSERT INTO identity_record (only_row, record) VALUES (1, ?)"
                              " ON CONFLICT DO UPDATE SET record = excluded.record");
        put.bind(1, text);
        put.exec();
        if (decided) {
          transaction.emit("identity.decided", next.last()->primary, body_of(*next.last()));
        }
        if (clash) {
          transaction.emit("identity.clash", next.clashes.back().primary,
                           body_of(next.clashes.back()));
        }
        return {};
      });
  if (!kept) {
    if (kept.error().code == ErrorCode::journal_write) here_.fail(kept.error());
    return kept;
  }
  if (decided) {
    spdlog::info("identity epoch {}: {} is the primary (promotion {})", next.last()->number,
                 next.last()->primary, next.last()->promotion);
  }
  if (clash) {
    spdlog::error(
        "two promotions were made under identity epoch {}: {} is held here, {} elsewhere; promote "
        "the cluster that is to be the primary",
        next.clashes.back().number, next.last()->promotion, next.clashes.back().promotion);
  }
  record_ = std::move(next);
  stored_ = std::move(text);
  here_.events.flush();
  return {};
}

void IdentitySite::raise_newest(const Done& done) {
  const auto newest = current();
  if (!newest || newest->number <= raised_) {
    done({});
    return;
  }
  raise_(*newest, [this, number = newest->number, done](const Result<void>& end) {
    if (end && number > raised_) {
      raised_ = number;
      if (on_change) on_change();
    }
    if (!end) log_error(end.error());
    done(end);
  });
}

Result<identity::Answer> IdentitySite::prepare(const Decision& after,
                                               const identity::Ballot& ballot) {
  Record next = record_;
  auto given = identity::prepare(next, after, ballot);
  LOCKSTEP_CHECK(keep(std::move(next)));
  raise_newest([](const Result<void>&) {});
  return given;
}

Result<identity::Answer> IdentitySite::accept(const Decision& after, const identity::Ballot& ballot,
                                              const Decision& decision) {
  Record next = record_;
  auto given = identity::accept(next, after, ballot, decision);
  LOCKSTEP_CHECK(keep(std::move(next)));
  raise_newest([](const Result<void>&) {});
  return given;
}

void IdentitySite::decide(const Decision& decision,
                          std::function<void(Result<identity::Taken>)> done) {
  Record next = record_;
  const auto taken = identity::decide(next, decision);
  if (auto kept = keep(std::move(next)); !kept) {
    done(kept.error());
    return;
  }
  raise_newest([taken, done = std::move(done)](const Result<void>& raised) {
    if (raised) {
      done(taken);
    } else {
      done(raised.error());
    }
  });
}

Result<void> IdentitySite::activate(const std::string& promotion) {
  const auto newest = current();
  if (!newest || newest->promotion != promotion || newest->primary != record_.site) {
    return make_error(ErrorCode::identity_wrong,
                      "the newest promotion decided is another one, or of another cluster",
                      promotion);
  }
  Record next = record_;
  next.active = promotion;
  return keep(std::move(next));
}

std::optional<Decision> IdentitySite::if_forced() const {
  Record next = record_;
  identity::force_known(next, first_);
  return next.last() == nullptr ? std::nullopt : std::optional<Decision>(*next.last());
}

Result<void> IdentitySite::force_known() {
  Record next = record_;
  identity::force_known(next, first_);
  LOCKSTEP_CHECK(keep(std::move(next)));
  raise_newest([](const Result<void>&) {});
  return {};
}

void IdentitySite::serve() {
  auto& server = here_.server;
  const std::set<Role> proposer{Role::health_monitor};
  server.on("identity.prepare", proposer, [this](const Request& request) {
    const Body& body = request.body();
    const auto given = prepare(decision_from(body.at("after")), ballot_from(body.at("ballot")));
    answer(request, given ? Result<Body>(body_of(*given)) : given.error());
  });
  server.on("identity.accept", proposer, [this](const Request& request) {
    const Body& body = request.body();
    const auto given = accept(decision_from(body.at("after")), ballot_from(body.at("ballot")),
                              decision_from(body.at("decision")));
    answer(request, given ? Result<Body>(body_of(*given)) : given.error());
  });
  server.on("identity.decide", proposer, [this](const Request& request) {
    decide(decision_from(request.body().at("decision")), [request](
                                                             const Result<identity::Taken>& taken) {
      answer(request, taken ? Result<Body>(Body{{"taken", taken_name(*taken)}}) : taken.error());
    });
  });
  server.on("identity.learn", {Role::health_monitor, Role::transfer_agent},
            [this](const Request& request) {
              const std::string site = request.body().at("site");
              const auto other = others_.find(site);
              if (other == others_.end() || other->second != request.peer().name) {
                request.failed(make_error(ErrorCode::role_refused,
                                          "only the sites of the identity teach each other",
                                          request.peer().name));
                return;
              }
              Record next = record_;
              const auto lesson = identity::teach(next, site, request.body().at("incarnation"));
              const auto kept = keep(std::move(next));
              answer(request, kept ? Result<Body>(body_of(lesson)) : kept.error());
            });
  server.on("identity.activate", proposer, [this](const Request& request) {
    const auto activated = activate(request.body().at("promotion"));
    answer(request, activated ? Result<Body>(Body::object()) : activated.error());
  });
  server.on("identity.show", transport::all_roles(), [this](const Request& request) {
    const auto newest = current();
    Body history = Body::array();
    for (const auto& one : record_.decided) history.push_back(body_of(one));
    Body clashes = Body::array();
    for (const auto& one : record_.clashes) clashes.push_back(body_of(one));
    request.done({{"site", record_.site},
                  {"known", record_.known},
                  {"active", record_.is_active()},
                  {"decided", newest ? body_of(*newest) : Body(nullptr)},
                  {"history", std::move(history)},
                  {"clashes", std::move(clashes)}});
  });
  raise_newest([](const Result<void>&) {});
  ask_others();
}

void IdentitySite::ask_others() {
  for (const auto& [site, party] : others_) {
    if (!party.empty() && !asked_.contains(site)) ask(site, party);
  }
  timer_ = here_.reactor.after(record_.known ? kWhileKnown : kWhileUnknown, [this] {
    timer_.reset();
    ask_others();
  });
}

void IdentitySite::ask(const std::string& site, const std::string& party) {
  asked_.insert(site);
  message::Envelope envelope;
  envelope.type = "identity.learn";
  envelope.body = {{"site", record_.site}, {"incarnation", record_.incarnation}};
  const transport::RequestOptions options{seconds(1), seconds(2), seconds(3)};
  here_.client.request(party, std::move(envelope), options, {},
                       [this, site](const Result<Body>& end) {
                         asked_.erase(site);
                         if (!end) return;
                         const auto lesson = lesson_from(*end);
                         if (lesson.site != site) return;
                         Record next = record_;
                         std::vector<std::string> others;
                         for (const auto& [name, party_name] : others_) others.push_back(name);
                         identity::learn(next, lesson, others, first_);
                         if (auto kept = keep(std::move(next)); !kept) {
                           log_error(kept.error());
                           return;
                         }
                         raise_newest([](const Result<void>&) {});
                       });
}

}  // namespace lockstep::service
