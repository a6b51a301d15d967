#include "common/components/hbase/hbase.hpp"

#include <nlohmann/json.hpp>

#include "common/components/hbase/bridge.hpp"
#include "common/components/hbase/export.hpp"
#include "common/components/hbase/pins.hpp"
#include "common/components/hbase/source.hpp"
#include "common/components/hbase/target.hpp"

namespace lockstep::hbase {

namespace {

// A master that takes over from another, a region server that is restarted, a helper that starts.
constexpr Nanos kMayLast = seconds(30);

class HBase final : public component::Component {
 public:
  HBase(const component::Surroundings& surroundings, const Settings& settings,
        const std::map<std::string, Settings>& clusters)
      : bridge_(surroundings, settings),
        files_(hdfs_of(settings), surroundings.clock),
        snapshots_(make_hbase_snapshots({bridge_, files_}, surroundings.clock)),
        sources_({bridge_, files_}),
        target_({bridge_, files_}) {
    bridge_.start_ahead();
    if (!settings.exportsnapshot) return;
    export_ = std::make_unique<ExportSnapshot>(settings, bridge_, clusters, surroundings);
  }

  const std::string& kind() const override { return kind_; }
  bool tree_shaped() const override { return true; }
  bool places_are_paths() const override { return false; }
  component::Snapshots* snapshots() override { return snapshots_.get(); }
  component::Sources* sources() override { return &sources_; }
  component::Target* target() override { return &target_; }
  component::Carries* carries() override { return export_.get(); }

  // Which tables there are is looked up when they are armed: of a place nothing is asked beyond
  // what store_health() asks.
  component::Health health(const component::DataSet& set) override {
    return {true, set.place.location + ", tables of HBase"};
  }

  std::optional<component::Health> store_health() override {
    auto about = bridge_.ask({{"op", "about"}}, seconds(5));
    if (!about) {
      return component::Health{
          false, to_error(about.error(), ErrorCode::io, "ask HBase's master", "").text(), kMayLast};
    }
    const int servers = about->value("servers", 0);
    if (servers == 0) return component::Health{false, "HBase has no region server", kMayLast};
    return component::Health{true, "HBase " + about->value("version", "") + ": " +
                                       std::to_string(servers) + " region servers live, " +
                                       std::to_string(about->value("dead", 0)) + " dead" +
                                       (export_ ? export_->yarn_words() : "")};
  }

 private:
  const std::string kind_ = "hbase";
  Bridge bridge_;
  hdfs::WebHdfs files_;
  std::unique_ptr<component::Snapshots> snapshots_;
  HBaseSources sources_;
  HBaseTarget target_;
  std::unique_ptr<ExportSnapshot> export_;
};

}  // namespace

std::unique_ptr<component::Component> make_hbase(const component::Surroundings& surroundings,
                                                 const Settings& settings,
                                                 const std::map<std::string, Settings>& clusters) {
  return std::make_unique<HBase>(surroundings, settings, clusters);
}

}  // namespace lockstep::hbase
