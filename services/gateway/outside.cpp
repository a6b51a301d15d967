#include "services/gateway/outside.hpp"

#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include "common/message/bytes.hpp"
#include "common/os/whole_file.hpp"
#include "common/service/identity_site.hpp"
#include "common/service/log.hpp"
#include "services/gateway/page.hpp"

namespace lockstep::gateway {

namespace {

constexpr Nanos kAgain = seconds(10);
constexpr const char* kPlain = "text/plain; charset=utf-8";

Result<std::string> read_token(os::Disk& disk, const std::string& path) {
  const auto status = disk.stat_at(os::kCwd, path);
  if (!status) {
    return from_errno(ErrorCode::key_unreadable, status.error().number, "read the token", path);
  }
  if ((status->st_mode & 0077) != 0) {
    return make_error(ErrorCode::key_mode, "others may read the token", path,
                      "chmod 0600 the file");
  }
  LOCKSTEP_TRY(std::string token, os::read_whole(disk, path, ErrorCode::key_unreadable));
  while (!token.empty() && (token.back() == '\n' || token.back() == '\r')) token.pop_back();
  if (token.size() < 16) {
    return make_error(ErrorCode::key_unreadable, "a token has at least 16 characters", path,
                      "such as `openssl rand -hex 24` makes");
  }
  return token;
}

// The cluster that applications are to use; empty: none, or not known yet.
std::string application(const Shown& shown) {
  return shown.client.is_object() ? shown.client.at("application").get<std::string>()
                                  : std::string{};
}

Answer no(const std::string& text) {
  Answer answer{kPlain, text};
  answer.status = "503 Service Unavailable";
  return answer;
}

}  // namespace

Outside::Outside(service::Surroundings& here, const Picture& picture, const Metrics& metrics,
                 const Feed& feed, const ReplayCounts& replays)
    : here_(here), picture_(picture), metrics_(metrics), feed_(feed), replays_(replays) {}

Outside::~Outside() { here_.reactor.cancel(again_); }

Result<void> Outside::start() {
  const config::Gateway& wish = *here_.site.gateway;
  if (wish.http.empty()) return {};
  if (!wish.token_file.empty()) {
    LOCKSTEP_TRY(token_, read_token(here_.disk, wish.token_file));
  }
  listen();
  return {};
}

void Outside::listen() {
  const std::string& address = here_.site.gateway->http;
  auto http = Http::listen(address, token_, answers());
  if (http) {
    http_ = std::move(http).value();
    spdlog::info("status page and metrics at http://{}/", address);
    return;
  }
  if (!told_) service::log_error(http.error());
  told_ = true;
  again_ = here_.reactor.after(kAgain, [this] { listen(); });
}

Answers Outside::answers() const {
  Answers all{
      {"/", [this] { return page(*picture_.now(), here_.clock.utc()); }},
      {"/metrics",
       [this] {
         return Answer{"text/plain; version=0.0.4; charset=utf-8",
                       metrics_.text(*picture_.now(), here_.clock.utc(), feed_, replays_)};
       }},
      {"/status.json",
       [this] {
         return Answer{"application/json", message::showable(picture_.now()->status).dump() + "\n"};
       }},
      {"/health", [] {
         return Answer{kPlain, "ok\n"};
       }}};
  if (service::health_monitor_of(here_.site).empty()) return all;
  all["/client.json"] = [this] {
    return Answer{"application/json", message::showable(picture_.now()->client).dump() + "\n"};
  };
  all["/client"] = [this] {
    const std::string cluster = application(*picture_.now());
    return cluster.empty() ? no("none\n") : Answer{kPlain, cluster + "\n"};
  };
  // What a load balancer asks of each of its servers.
  for (const auto& [name, cluster] : here_.site.clusters) {
    all["/client/" + name] = [this, name = name] {
      const bool here = application(*picture_.now()) == name;
      return here ? Answer{kPlain, "use it\n"} : no("do not use it\n");
    };
  }
  return all;
}

}  // namespace lockstep::gateway
