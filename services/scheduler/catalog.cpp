#include "services/scheduler/catalog.hpp"

#include <memory>

#include "common/service/log.hpp"

namespace lockstep::scheduler {
namespace {

constexpr Nanos kAskAgain = seconds(5);
constexpr Nanos kPatience = seconds(10);

}  // namespace

void Catalog::rebuild() {
  for (const auto& [cluster, details] : here_.site.clusters) rebuild(cluster);
}

void Catalog::rebuild(const std::string& cluster) {
  refresh(cluster, kPatience, [this, cluster](const Result<void>& done) {
    if (!done) here_.reactor.after(kAskAgain, [this, cluster] { rebuild(cluster); });
  });
}

void Catalog::refresh(const std::string& cluster, Nanos patience, Then then) {
  const config::Agent* registrar = here_.site.registrar(cluster);
  if (registrar == nullptr) {
    then(make_error(ErrorCode::not_found, "the cluster has no registrar", cluster));
    return;
  }
  message::Envelope envelope;
  envelope.type = "point.list";
  envelope.epoch = here_.epoch();
  transport::RequestOptions options;
  options.silence = seconds(1);
  options.stall = patience;
  options.deadline = patience;
  here_.client.request(registrar->name, std::move(envelope), options, {},
                       [this, cluster, then = std::move(then)](const Result<message::Body>& end) {
                         if (!end) {
                           then(end.error());
                           return;
                         }
                         std::vector<message::Body> points;
                         for (const message::Body& point : end.value().at("points"))
                           points.push_back(point);
                         const auto kept = store_.replace_points(cluster, points);
                         if (!kept && kept.error().code == ErrorCode::journal_write)
                           here_.fail(kept.error());
                         then(kept);
                       });
}

void Catalog::refresh_all(Nanos patience, std::function<void()> then) {
  const auto left = std::make_shared<std::size_t>(here_.site.clusters.size());
  for (const auto& [cluster, details] : here_.site.clusters) {
    refresh(cluster, patience, [left, then](const Result<void>&) {
      if (--*left == 0) then();
    });
  }
}

}  // namespace lockstep::scheduler
