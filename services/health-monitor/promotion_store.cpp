#include "services/health-monitor/promotion_store.hpp"

#include <SQLiteCpp/Column.h>
#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Statement.h>

#include "common/service/identity_body.hpp"

namespace lockstep::health {

using message::Body;

const char* const kPromotionTable = R"sql(
CREATE TABLE promotion (
  promotion TEXT PRIMARY KEY, open INTEGER NOT NULL, job TEXT NOT NULL) STRICT;
)sql";

namespace {

Body body_of(const Job& job) {
  Body services = Body::array();
  for (const auto& one : job.services) {
    services.push_back({{"service", one.service},
                        {"point", one.point},
                        {"moment", one.moment},
                        {"sets", one.sets}});
  }
  return {{"wanted", service::body_of(job.wanted)},
          {"old", job.old},
          {"stage", static_cast<int>(job.stage)},
          {"services", std::move(services)},
          {"confirmed", job.confirmed},
          {"isolation", job.isolation},
          {"runs", job.runs}};
}

Job job_from(const Body& body) {
  Job job;
  job.wanted = service::decision_from(body.at("wanted"));
  job.old = body.at("old").get<std::string>();
  job.stage = static_cast<Stage>(body.at("stage").get<int>());
  for (const Body& one : body.at("services")) {
    job.services.push_back({one.at("service").get<std::string>(),
                            one.at("point").get<std::string>(), one.at("moment").get<std::string>(),
                            one.at("sets")});
  }
  job.confirmed = body.at("confirmed").get<bool>();
  job.isolation = body.at("isolation").get<std::string>();
  body.at("runs").get_to(job.runs);
  return job;
}

}  // namespace

const char* stage_name(Stage stage) {
  switch (stage) {
    case Stage::planned:
      return "planned";
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
    case Stage::complete:
      return "complete";
  }
  return "";
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
        put.bind(3, body_of(job).dump(-1, ' ', false, Body::error_handler_t::replace));
        put.exec();
        transaction.emit("promotion.stage", job.wanted.primary,
                         {{"promotion", job.wanted.promotion},
                          {"cluster", job.wanted.primary},
                          {"stage", given_up ? "given-up" : stage_name(job.stage)},
                          {"by", job.wanted.by}});
        return {};
      });
}

}  // namespace lockstep::health
