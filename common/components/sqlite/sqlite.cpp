#include "common/components/sqlite/sqlite.hpp"

#include "common/components/sqlite/live.hpp"
#include "common/components/sqlite/snapshots.hpp"
#include "common/components/sqlite/source.hpp"
#include "common/components/sqlite/target.hpp"

namespace lockstep::sqlite {

namespace {

class Sqlite final : public component::Component {
 public:
  explicit Sqlite(const component::Surroundings& surroundings)
      : at_(surroundings),
        snapshots_(make_snapshots(surroundings)),
        sources_(make_sources(surroundings.disk)),
        target_(make_target(surroundings)) {}

  const std::string& kind() const override { return kind_; }
  bool tree_shaped() const override { return false; }
  component::Snapshots* snapshots() override { return snapshots_.get(); }
  component::Sources* sources() override { return sources_.get(); }
  component::Target* target() override { return target_.get(); }

  component::Health health(const component::DataSet& set) override {
    const auto looked = look(set.place.location);
    if (!looked) return {false, looked.error().text()};
    return {true, "opened and read " + set.place.location};
  }

 private:
  Result<void> look(const std::string& path) {
    LOCKSTEP_CHECK(check_location(path));
    LOCKSTEP_CHECK(look_at(at_.disk, path));
    LOCKSTEP_TRY(Database database, open_live(at_.disk, path));
    database.on_busy(patience(at_.clock, seconds(1), {}));
    LOCKSTEP_CHECK(uses_wal(database));
    if (database.read_only()) {
      return make_error(ErrorCode::permission, "the database may not be written", path);
    }
    return {};
  }

  const std::string kind_ = kKind;
  component::Surroundings at_;
  std::unique_ptr<component::Snapshots> snapshots_;
  std::unique_ptr<component::Sources> sources_;
  std::unique_ptr<component::Target> target_;
};

}  // namespace

std::unique_ptr<component::Component> make_sqlite(const component::Surroundings& surroundings) {
  return std::make_unique<Sqlite>(surroundings);
}

}  // namespace lockstep::sqlite
