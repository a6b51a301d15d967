#include "common/components/hdfs/hdfs.hpp"

#include "common/components/hdfs/crew.hpp"
#include "common/components/hdfs/pins.hpp"
#include "common/components/hdfs/source.hpp"
#include "common/components/hdfs/target.hpp"

namespace lockstep::hdfs {

namespace {

class Hdfs final : public component::Component {
 public:
  Hdfs(const Clock& clock, const Settings& settings)
      : hdfs_(settings, clock),
        crew_(settings.connections),
        snapshots_(make_hdfs_snapshots(hdfs_, clock)),
        sources_(hdfs_, crew_),
        target_(hdfs_, crew_, clock) {}

  const std::string& kind() const override { return kind_; }
  bool tree_shaped() const override { return true; }
  bool places_are_paths() const override { return false; }
  component::Snapshots* snapshots() override { return snapshots_.get(); }
  component::Sources* sources() override { return &sources_; }
  component::Target* target() override { return &target_; }

  component::Health health(const component::DataSet& set) override {
    const std::string& directory = set.place.location;
    auto status = hdfs_.status(directory, seconds(2));
    if (!status) {
      return {false, to_error(status.error(), ErrorCode::io, "look at", directory).text()};
    }
    if (status->kind != Status::Kind::directory) return {false, directory + " is no directory"};
    const auto left = hdfs_.remaining_space();
    if (left && *left == 0) return {false, "HDFS at " + hdfs_.namenode() + " is full"};
    return {true, directory + " answers at " + hdfs_.namenode() +
                      (status->snapshottable ? "" : ", but snapshots of it are not allowed") +
                      roles()};
  }

 private:
  // Of several NameNodes which is active, and which could not take over.
  std::string roles() {
    if (hdfs_.settings().namenodes.size() == 1) return {};
    std::string out;
    for (const WebHdfs::NameNode& one : hdfs_.namenodes()) {
      out += (out.empty() ? "; NameNodes: " : ", ") + one.address + " " + one.state;
    }
    return out;
  }

  const std::string kind_ = "hdfs";
  WebHdfs hdfs_;
  Crew crew_;
  std::unique_ptr<component::Snapshots> snapshots_;
  HdfsSources sources_;
  HdfsTarget target_;
};

}  // namespace

std::unique_ptr<component::Component> make_hdfs(const component::Surroundings& surroundings,
                                                const Settings& settings) {
  return std::make_unique<Hdfs>(surroundings.clock, settings);
}

}  // namespace lockstep::hdfs
