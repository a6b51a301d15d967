#include "services/health-monitor/promotion_store.hpp"

#include <SQLiteCpp/Column.h>
#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Statement.h>

#include "common/message/bytes.hpp"
#include "common/service/identity_body.hpp"

namespace lockstep::health {

using message::Body;

const char* const kPromotionTable = R"sql(
CREATE TABLE promotion (
  promotion TEXT PRIMARY KEY, open INTEGER NOT NULL, job TEXT NOT NULL) STRICT;
)sql";

namespace {

constexpr Stage kStages[] = {
    Stage::planned,    Stage::confirmed, Stage::set_aside, Stage::caught_up,  Stage::stopped,
    Stage::carried,    Stage::decided,   Stage::isolated,  Stage::stood_down, Stage::activated,
    Stage::identified, Stage::switched,  Stage::complete};
constexpr How kHows[] = {How::promotion, How::failback, How::switchover};

Body body_of(const Job& job) {
  Body services = Body::array();
  for (const auto& one : job.services) {
    services.push_back({{"service", one.service},
                        {"point", one.point},
                        {"moment", one.moment},
                        {"sets", one.sets},
                        {"aside", one.aside}});
  }
  return {{"how", how_name(job.how)},
          {"wanted", service::body_of(job.wanted)},
          {"old", job.old},
          {"stage", stage_name(job.stage)},
          {"services", std::move(services)},
          {"word", job.word},
          {"confirmed", job.confirmed},
          {"isolation", job.isolation},
          {"runs", job.runs},
          {"divergent", job.divergent},
          {"started", job.started}};
}

Job job_from(const Body& body) {
  Job job;
  for (const How how : kHows) {
    if (body.at("how") == how_name(how)) job.how = how;
  }
  job.wanted = service::decision_from(body.at("wanted"));
  job.old = body.at("old").get<std::string>();
  for (const Stage stage : kStages) {
    if (body.at("stage") == stage_name(stage)) job.stage = stage;
  }
  for (const Body& one : body.at("services")) {
    job.services.push_back({one.at("service").get<std::string>(),
                            one.at("point").get<std::string>(), one.at("moment").get<std::string>(),
                            one.at("sets"), one.at("aside").get<std::string>()});
  }
  job.word = body.at("word").get<bool>();
  job.confirmed = body.at("confirmed").get<bool>();
  job.isolation = body.at("isolation").get<std::string>();
  body.at("runs").get_to(job.runs);
  job.divergent = body.at("divergent");
  job.started = body.at("started").get<std::string>();
  return job;
}

}  // namespace

const char* how_name(How how) {
  switch (how) {
    case How::promotion:
      return "promotion";
    case How::failback:
      return "failback";
    case How::switchover:
      return "switchover";
  }
  return "";
}

const char* stage_name(Stage stage) {
  switch (stage) {
    case Stage::planned:
      return "planned";
    case Stage::confirmed:
      return "confirmed";
    case Stage::set_aside:
      return "set-aside";
    case Stage::caught_up:
      return "caught-up";
    case Stage::stopped:
      return "stopped";
    case Stage::carried:
      return "carried";
    case Stage::decided:
      return "decided";
    case Stage::isolated:
      return "isolated";
    case Stage::stood_down:
      return "stood-down";
    case Stage::activated:
      return "activated";
    case Stage::identified:
      return "identified";
    case Stage::switched:
      return "switched";
    case Stage::complete:
      return "complete";
  }
  return "";
}

Result<bool> may_have_diverged(journal::Journal& journal, const std::string& cluster,
                               const identity::Decision& newest) {
  bool diverged = false;
  bool knows_newest = newest.number == 1;
  LOCKSTEP_CHECK(journal.read([&](SQLite::Database& database) -> Result<void> {
    SQLite::Statement query(database, "SELECT job FROM promotion ORDER BY promotion");
    while (query.executeStep()) {
      const Job job = job_from(Body::parse(query.getColumn(0).getString()));
      if (job.stage < Stage::decided) continue;
      knows_newest = knows_newest || job.wanted.promotion == newest.promotion;
      if (job.wanted.primary == cluster) diverged = false;
      if (job.old == cluster) diverged = job.how == How::promotion;
    }
    return {};
  }));
  return diverged || !knows_newest;
}

Result<bool> is_complete(journal::Journal& journal, const std::string& promotion) {
  bool complete = false;
  LOCKSTEP_CHECK(journal.read([&](SQLite::Database& database) -> Result<void> {
    SQLite::Statement query(database, "SELECT job FROM promotion WHERE promotion = ?");
    query.bind(1, promotion);
    if (query.executeStep()) {
      complete = job_from(Body::parse(query.getColumn(0).getString())).stage == Stage::complete;
    }
    return {};
  }));
  return complete;
}

Result<std::optional<Job>> open_job(journal::Journal& journal) {
  std::optional<Job> job;
  LOCKSTEP_CHECK(journal.read([&](SQLite::Database& database) -> Result<void> {
    SQLite::Statement query(database,
                            "SELECT job FROM promotion WHERE open = 1 ORDER BY promotion DESC");
    if (query.executeStep()) job = job_from(Body::parse(query.getColumn(0).getString()));
    return {};
  }));
  return job;
}

Result<void> keep_job(journal::Journal& journal, const Job& job, bool given_up) {
  const std::string failpoint = std::string("promotion.") + stage_name(job.stage);
  return journal.transact(
      failpoint.c_str(), [&](journal::Transaction& transaction) -> Result<void> {
        SQLite::Statement put(transaction.database(),
                              "INSERT INTO promotion VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET"
                              " open = excluded.open, job = excluded.job");
        put.bind(1, job.wanted.promotion);
        put.bind(2, job.stage == Stage::complete || given_up ? 0 : 1);
        put.bind(3, message::showable(body_of(job)).dump());
        put.exec();
        transaction.emit("promotion.stage", job.wanted.primary,
                         {{"how", how_name(job.how)},
                          {"promotion", job.wanted.promotion},
                          {"cluster", job.wanted.primary},
                          {"stage", given_up ? "given-up" : stage_name(job.stage)},
                          {"by", job.wanted.by}});
        return {};
      });
}

}  // namespace lockstep::health
