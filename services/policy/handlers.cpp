#include "services/policy/handlers.hpp"

#include <spdlog/spdlog.h>

#include "common/message/bytes.hpp"
#include "services/policy/site_check.hpp"

namespace lockstep::policy_service {

namespace {

using message::Body;
using transport::Request;
using transport::Role;

constexpr std::size_t kMaxFindings = 200;

Actor actor_of(const Request& request) { return {request.peer().name, request.peer().public_key}; }

Body findings_body(const std::vector<policy::Finding>& findings) {
  Body out = Body::array();
  for (const auto& finding : findings) {
    if (out.size() == kMaxFindings) break;
    out.push_back({{"warning", finding.warning},
                   {"where", message::text_or_bytes(finding.where)},
                   {"what", message::text_or_bytes(finding.what)},
                   {"hint", message::text_or_bytes(finding.hint)}});
  }
  return out;
}

// The first finding that refuses, the others in its hint.
Error refusal(const Verdict& verdict, const std::string& file) {
  std::size_t first = 0;
  while (verdict.findings[first].warning) ++first;
  const auto& finding = verdict.findings[first];
  const auto code = first < verdict.own ? ErrorCode::policy_invalid : ErrorCode::policy_conflict;
  std::string hint = finding.hint.empty() ? std::string{error_info(code).hint} : finding.hint;
  for (std::size_t i = first + 1; i < verdict.findings.size() && i < kMaxFindings; ++i) {
    const auto& other = verdict.findings[i];
    if (other.warning) continue;
    hint += "\nalso " + other.where + ": " + other.what;
  }
  return make_error(code, finding.what, file + ": " + finding.where, std::move(hint));
}

Result<std::vector<policy::Policy>> others_in_force(const Book& book, const std::string& service) {
  LOCKSTEP_TRY(const auto entries, book.all());
  std::vector<policy::Policy> out;
  for (const auto& entry : entries) {
    if (entry.service == service) continue;
    LOCKSTEP_TRY(auto policy, policy::from_body(entry.body));
    out.push_back(std::move(policy));
  }
  return out;
}

Result<Body> apply(const Surroundings& around, const Request& request) {
  const Body& body = request.body();
  const auto yaml = body.at("yaml").get<std::string>();
  const auto file = message::bytes_of(body.at("file"));
  const bool dry_run = body.at("dry_run").get<bool>();
  LOCKSTEP_TRY(const auto wanted, policy::parse(yaml, file));
  LOCKSTEP_TRY(const auto others, others_in_force(around.book, wanted.service));
  const Verdict verdict = judge(wanted, others, around.site);

  Book::Applied applied;
  if (dry_run) {
    if (const auto now = around.book.find(wanted.service)) {
      applied = {now->version, now->yaml != yaml};
    } else {
      applied = {0, true};
    }
  } else {
    if (refuses(verdict.findings)) return refusal(verdict, file);
    LOCKSTEP_TRY(applied, around.book.apply(wanted, yaml, file, actor_of(request)));
    if (applied.changed) {
      spdlog::info("{}: version {} applied by {}", wanted.service, applied.version,
                   request.peer().name);
    }
    around.changed();
  }
  return Body{{"service", wanted.service},
              {"version", applied.version},
              {"changed", applied.changed},
              {"findings", findings_body(verdict.findings)}};
}

// From a recovery point's record, which holds what was applied but not its text.
Result<Body> recover(const Surroundings& around, const Request& request) {
  const Body& body = request.body();
  LOCKSTEP_TRY(const auto wanted, policy::from_body(body.at("policy")));
  LOCKSTEP_TRY(const auto others, others_in_force(around.book, wanted.service));
  const std::string from = "the record of point " + body.at("point").get<std::string>();
  const Verdict verdict = judge(wanted, others, around.site);
  if (refuses(verdict.findings)) return refusal(verdict, from);
  const std::string text = "# Rebuilt from " + from + "; the text as it was applied is lost.\n" +
                           message::showable(body.at("policy")).dump(2) + "\n";
  LOCKSTEP_TRY(const auto applied, around.book.recover(wanted, body.at("version").get<int>(), text,
                                                       from, actor_of(request)));
  if (applied.changed) {
    spdlog::info("{}: version {} rebuilt from {} by {}", wanted.service, applied.version, from,
                 request.peer().name);
  }
  around.changed();
  return Body{
      {"service", wanted.service}, {"version", applied.version}, {"changed", applied.changed}};
}

Result<Body> list(const Surroundings& around) {
  LOCKSTEP_TRY(const auto entries, around.book.all());
  Body policies = Body::array();
  for (const auto& entry : entries) {
    policies.push_back({{"service", entry.service},
                        {"version", entry.version},
                        {"paused", entry.paused},
                        {"applied_at", to_rfc3339(entry.applied_at)}});
  }
  return Body{{"policies", std::move(policies)}};
}

Result<Body> all(const Surroundings& around) {
  LOCKSTEP_TRY(const auto entries, around.book.all());
  Body policies = Body::array();
  for (const auto& entry : entries) {
    policies.push_back({{"service", entry.service},
                        {"version", entry.version},
                        {"paused", entry.paused},
                        {"policy", entry.body}});
  }
  return Body{{"policies", std::move(policies)}};
}

Result<Body> show(const Surroundings& around, const Request& request) {
  LOCKSTEP_TRY(const auto entry, around.book.find(request.body().at("service").get<std::string>()));
  return Body{{"service", entry.service}, {"version", entry.version},
              {"paused", entry.paused},   {"applied_at", to_rfc3339(entry.applied_at)},
              {"yaml", entry.yaml},       {"policy", entry.body}};
}

using Change = std::function<Result<void>(const std::string& service, const Actor& actor)>;

Result<Body> change(const Surroundings& around, const Request& request, const Change& work) {
  const auto service = request.body().at("service").get<std::string>();
  LOCKSTEP_CHECK(work(service, actor_of(request)));
  spdlog::info("{}: {} by {}", service, request.envelope().type, request.peer().name);
  around.changed();
  return Body{{"service", service}};
}

void answer(const Surroundings& around, const Request& request, Result<Body> result) {
  if (result) {
    request.done(std::move(result).value());
    return;
  }
  request.failed(result.error());
  if (result.error().code == ErrorCode::journal_write) around.fail(result.error());
}

}  // namespace

void serve(transport::Server& server, Surroundings around) {
  const std::set<Role> users{Role::user};
  const std::set<Role> readers{Role::user, Role::scheduler, Role::health_monitor, Role::gateway};
  server.on("policy.apply", users,
            [around](Request request) { answer(around, request, apply(around, request)); });
  server.on("policy.recover", users,
            [around](Request request) { answer(around, request, recover(around, request)); });
  server.on("policy.list", users,
            [around](Request request) { answer(around, request, list(around)); });
  server.on("policy.all", readers,
            [around](Request request) { answer(around, request, all(around)); });
  server.on("policy.show", users,
            [around](Request request) { answer(around, request, show(around, request)); });
  server.on("policy.remove", users, [around](Request request) {
    answer(around, request,
           change(around, request, [around](const auto& service, const auto& actor) {
             return around.book.remove(service, actor);
           }));
  });
  for (const bool paused : {true, false}) {
    server.on(paused ? "policy.pause" : "policy.resume", users, [around, paused](Request request) {
      answer(around, request, change(around, request, [&](const auto& service, const auto& actor) {
               return around.book.set_paused(service, paused, actor);
             }));
    });
  }
}

Body snapshot(const Book& book) {
  Body policies = Body::array();
  if (const auto entries = book.all()) {
    for (const auto& entry : *entries) {
      policies.push_back(
          {{"service", entry.service}, {"version", entry.version}, {"paused", entry.paused}});
    }
  }
  return {{"policies", std::move(policies)}};
}

}  // namespace lockstep::policy_service
