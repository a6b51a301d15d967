#include "services/gateway/picture.hpp"

#include <spdlog/spdlog.h>

namespace lockstep::gateway {

namespace {

using message::Body;

constexpr Nanos kStatusEvery = seconds(5);
constexpr Nanos kPointsEvery = seconds(60);
constexpr Nanos kPingsEvery = seconds(15);
constexpr std::size_t kMostRuns = 8;
constexpr Nanos kSoon = milliseconds(300);
constexpr transport::RequestOptions kPatience{seconds(2), seconds(8), seconds(15)};

}  // namespace

Picture::Picture(service::Surroundings& here) : here_(here) {
  for (const auto& [name, party] : here.directory.parties) {
    if (party.role == transport::Role::scheduler) scheduler_ = name;
    if (party.role == transport::Role::health_monitor) health_monitor_ = name;
  }
}

Picture::~Picture() {
  for (const auto timer :
       {status_timer_, points_timer_, pings_timer_, status_soon_, points_soon_, client_soon_}) {
    here_.reactor.cancel(timer);
  }
}

void Picture::start() {
  status_timer_ = here_.reactor.every(kStatusEvery, [this] {
    ask_status();
    ask_client();
  });
  points_timer_ = here_.reactor.every(kPointsEvery, [this] { ask_points(); });
  pings_timer_ = here_.reactor.every(kPingsEvery, [this] { ask_pings(); });
  ask_status();
  ask_client();
  ask_points();
  ask_pings();
}

void Picture::changed(const journal::Event& event) {
  const auto soon = [this](transport::Reactor::TimerId& timer, auto ask) {
    if (timer != 0) return;
    timer = here_.reactor.after(kSoon, [this, &timer, ask] {
      timer = 0;
      (this->*ask)();
    });
  };
  if (event.type.starts_with("run.") || event.type.starts_with("policy.") ||
      event.type.starts_with("point.")) {
    soon(status_soon_, &Picture::ask_status);
  }
  if (event.type.starts_with("point.")) soon(points_soon_, &Picture::ask_points);
  for (const char* about : {"cluster.", "fault.", "client.", "identity.", "promotion."}) {
    if (event.type.starts_with(about)) soon(client_soon_, &Picture::ask_client);
  }
}

std::shared_ptr<const Shown> Picture::now() const {
  const std::lock_guard lock(mutex_);
  return shown_;
}

void Picture::show(const std::function<void(Shown&)>& change) {
  auto next = std::make_shared<Shown>(*now());
  change(*next);
  const std::lock_guard lock(mutex_);
  shown_ = std::move(next);
}

void Picture::ask_status() {
  if (asking_status_ || scheduler_.empty()) return;
  asking_status_ = true;
  message::Envelope envelope;
  envelope.type = "status";
  here_.client.request(
      scheduler_, std::move(envelope), kPatience, {}, [this](const Result<Body>& answer) {
        asking_status_ = false;
        if (!answer && now()->reachable) {
          spdlog::warn("the scheduler's state is not known: {}", answer.error().text());
        }
        if (answer) ask_runs((*answer)["services"]);
        show([&](Shown& shown) {
          shown.reachable = static_cast<bool>(answer);
          if (!answer) return;
          shown.status = *answer;
          shown.status_at = here_.clock.utc();
        });
      });
}

void Picture::ask_client() {
  if (asking_client_ || health_monitor_.empty()) return;
  asking_client_ = true;
  message::Envelope envelope;
  envelope.type = "client.show";
  here_.client.request(
      health_monitor_, std::move(envelope), kPatience, {}, [this](const Result<Body>& answer) {
        asking_client_ = false;
        if (!answer && now()->client_known) {
          spdlog::warn("the clusters' health is not known: {}", answer.error().text());
        }
        show([&](Shown& shown) {
          shown.client_known = static_cast<bool>(answer);
          if (answer) shown.client = *answer;
        });
      });
}

void Picture::ask_runs(const Body& services) {
  struct Asked {
    std::size_t left = 0;
    Body runs = Body::array();
  };
  const auto asked = std::make_shared<Asked>();
  const auto finish = [this, asked] {
    if (asked->left == 0) show([&](Shown& shown) { shown.runs = asked->runs; });
  };
  for (const auto& service : services) {
    const auto running = service.find("running");
    if (running == service.end() || asked->left == kMostRuns) continue;
    ++asked->left;
    message::Envelope envelope;
    envelope.type = "run.show";
    envelope.body = {{"run", (*running)["run"]}};
    here_.client.request(scheduler_, std::move(envelope), kPatience, {},
                         [asked, finish](const Result<Body>& answer) {
                           --asked->left;
                           if (answer) asked->runs.push_back((*answer)["run"]);
                           finish();
                         });
  }
  finish();
}

void Picture::ask_pings() {
  if (asking_pings_) return;
  struct Asked {
    std::size_t left = 0;
    std::map<std::string, Body> pings;
  };
  const auto asked = std::make_shared<Asked>();
  for (const auto& [name, party] : here_.directory.parties) {
    if (party.endpoint.empty()) continue;
    asking_pings_ = true;
    ++asked->left;
    message::Envelope envelope;
    envelope.type = "ping";
    here_.client.request(name, std::move(envelope), kPatience, {},
                         [this, asked, who = name](const Result<Body>& answer) {
                           asked->pings[who] = answer ? *answer : Body{};
                           if (--asked->left > 0) return;
                           asking_pings_ = false;
                           show([&](Shown& shown) { shown.pings = std::move(asked->pings); });
                         });
  }
}

void Picture::ask_points() {
  if (asking_points_ || scheduler_.empty()) return;
  asking_points_ = true;
  message::Envelope envelope;
  envelope.type = "point.catalog";
  here_.client.request(
      scheduler_, std::move(envelope), kPatience, {}, [this](const Result<Body>& answer) {
        asking_points_ = false;
        if (!answer) {
          // The newest ones are in the status all the same.
          spdlog::warn("the catalog of points is not known: {}", answer.error().text());
          return;
        }
        show([&](Shown& shown) { shown.points = (*answer)["points"]; });
      });
}

}  // namespace lockstep::gateway
