#include "services/cli/session.hpp"

#include <cstdlib>
#include <filesystem>

#include "common/config/reader.hpp"
#include "common/message/uuid.hpp"

namespace lockstep::cli {

Result<std::string> config_file(const Options& options) {
  if (!options.config.empty()) return options.config;
  const char* named = std::getenv("LOCKSTEP_CONFIG");
  if (named != nullptr && *named != '\0') return std::string{named};
  return make_error(ErrorCode::usage, "no configuration file is named", {},
                    "add -c FILE, or set LOCKSTEP_CONFIG; `lockstep init DIR --local` makes one");
}

Result<void> check_id(const std::string& id) {
  if (message::is_uuid(id)) return {};
  return make_error(ErrorCode::usage, "not the id of a run or a point", id,
                    "`lockstep runs` and `lockstep points` list them");
}

Result<void> check_name(const std::string& name) {
  if (config::is_name(name)) return {};
  return make_error(ErrorCode::usage, "not the name of a service", name,
                    "small letters, digits and `-`; `lockstep policy list` shows them");
}

Result<Session> Session::open(const Options& options) {
  LOCKSTEP_TRY(const std::string file, config_file(options));
  LOCKSTEP_TRY(auto site, config::load_site(file));
  if (options.as.empty() && site.users.empty()) {
    return make_error(ErrorCode::usage, "the site names no user", file,
                      "add one under `users`, or name a party with --as");
  }
  LOCKSTEP_TRY(auto directory,
               site.directory(options.as.empty() ? site.users.front() : options.as));
  Session session;
  session.site_ = std::make_unique<config::Site>(std::move(site));
  session.directory_ = std::make_unique<transport::Directory>(std::move(directory));
  session.clock_ = make_system_clock();
  session.caller_ = transport::make_caller(*session.directory_, *session.clock_);
  return session;
}

Result<Body> Session::call(const std::string& to, const std::string& type, Body body,
                           Patience patience, const transport::Client::OnStage& on_stage) const {
  message::Envelope envelope;
  envelope.type = type;
  envelope.body = std::move(body);
  transport::RequestOptions wait;
  if (patience == Patience::probe) {
    wait = {seconds(1), seconds(1), seconds(1)};
  } else if (patience == Patience::short_) {
    wait = {seconds(1), seconds(8), seconds(30)};
  } else {
    wait = {seconds(2), seconds(60), seconds(std::int64_t{30} * 86400)};
  }
  // A socket that nobody made need not be waited for.
  const auto* party = directory_->find(to);
  if (party != nullptr && party->endpoint.starts_with("ipc://")) {
    std::error_code error;
    if (!std::filesystem::exists(party->endpoint.substr(6), error)) {
      return make_error(ErrorCode::unreachable, "`" + to + "` is not up", party->endpoint,
                        "`lockstep up` starts this host's services");
    }
  }
  return caller_->call(to, std::move(envelope), wait, on_stage);
}

std::vector<std::string> Session::registrars() const {
  std::vector<std::string> out;
  for (const bool primary : {false, true}) {
    for (const auto& [name, cluster] : site_->clusters) {
      if (cluster.initially_primary != primary) continue;
      if (const auto* agent = site_->registrar(name)) out.push_back(agent->name);
    }
  }
  return out;
}

Result<Body> Session::call_registrar(const std::string& type, const Body& body, Patience patience,
                                     const transport::Client::OnStage& on_stage) const {
  const auto names = registrars();
  Result<Body> first = make_error(ErrorCode::internal, "the site has no registrar");
  for (std::size_t i = 0; i < names.size(); ++i) {
    auto answer = call(names[i], type, body, patience, on_stage);
    if (answer || answer.error().code != ErrorCode::point_missing) return answer;
    if (i == 0) first = std::move(answer);
  }
  return first;
}

}  // namespace lockstep::cli
