#include "common/components/hdfs/hdfs.hpp"

#include "common/components/hdfs/crew.hpp"
#include "common/components/hdfs/distcp.hpp"
#include "common/components/hdfs/pins.hpp"
#include "common/components/hdfs/source.hpp"
#include "common/components/hdfs/target.hpp"

namespace lockstep::hdfs {

namespace {

class Hdfs final : public component::Component {
 public:
  Hdfs(const component::Surroundings& surroundings, const Settings& settings,
       const std::map<std::string, Settings>& clusters)
      : hdfs_(settings, surroundings.clock),
        crew_(settings.connections),
        snapshots_(make_hdfs_snapshots(hdfs_, surroundings.clock)),
        sources_(hdfs_, crew_),
        target_(hdfs_, crew_, surroundings.clock) {
    if (!settings.distcp) return;
    distcp_ =
        std::make_unique<DistCp>(settings, clusters, surroundings.processes, surroundings.clock);
  }

  const std::string& kind() const override { return kind_; }
  bool tree_shaped() const override { return true; }
  bool places_are_paths() const override { return false; }
  component::Snapshots* snapshots() override { return snapshots_.get(); }
  component::Sources* sources() override { return &sources_; }
  component::Target* target() override { return &target_; }
  component::Carries* carries() override { return distcp_.get(); }

  component::Health health(const component::DataSet& set) override {
    const std::string& directory = set.place.location;
    auto status = hdfs_.status(directory, seconds(2));
    if (!status) {
      return {false, to_error(status.error(), ErrorCode::io, "look at", directory).text()};
    }
    if (status->kind != Status::Kind::directory) return {false, directory + " is no directory"};
    return {true, directory + " answers at " + hdfs_.namenode() +
                      (status->snapshottable ? "" : ", but snapshots of it are not allowed")};
  }

  std::optional<component::Health> store_health() override {
    const std::vector<WebHdfs::NameNode> nodes = hdfs_.namenodes();
    // Which of several is active, and which could not take over.
    std::string roles = "; NameNodes:";
    std::size_t active = nodes.size();
    bool tells_not = false;
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      const std::string& state = nodes[i].state;
      roles += (i > 0 ? ", " : " ") + nodes[i].address + " " + state;
      if (state == "active") active = i;
      tells_not = tells_not || (nodes[i].answers && state != "standby" && state != "observer");
    }
    // A transfer waits for what comes right by itself, and so does this.
    const auto trouble = [&](const std::string& what) {
      return component::Health{false, what + roles, hdfs_.settings().patience};
    };
    if (active == nodes.size()) {
      if (tells_not && hdfs_.status("/", seconds(2))) {  // /jmx is closed to us, WebHDFS is not
        return component::Health{true, "WebHDFS answers" + roles};
      }
      return trouble("no NameNode is active");
    }
    const std::string at = "HDFS at " + nodes[active].address;
    const auto gauges = hdfs_.gauges(active);
    if (!gauges) return component::Health{true, at + " is active" + roles};
    if (gauges->state != "Operational") return trouble(at + " is in safe mode");
    if (gauges->live_datanodes == 0) return trouble(at + " has no DataNode");
    if (gauges->remaining_bytes == 0) return component::Health{false, at + " is full"};
    return component::Health{
        true, at + ": " + std::to_string(gauges->live_datanodes) + " DataNodes live, " +
                  std::to_string(gauges->dead_datanodes) + " dead, " +
                  std::to_string(gauges->remaining_bytes >> 20U) + " MiB left" + roles +
                  (distcp_ ? distcp_->yarn_words() : "")};
  }

 private:
  const std::string kind_ = "hdfs";
  WebHdfs hdfs_;
  Crew crew_;
  std::unique_ptr<component::Snapshots> snapshots_;
  HdfsSources sources_;
  HdfsTarget target_;
  std::unique_ptr<DistCp> distcp_;  // nothing: lockstep.yaml names no YARN
};

}  // namespace

std::unique_ptr<component::Component> make_hdfs(const component::Surroundings& surroundings,
                                                const Settings& settings,
                                                const std::map<std::string, Settings>& clusters) {
  return std::make_unique<Hdfs>(surroundings, settings, clusters);
}

}  // namespace lockstep::hdfs
