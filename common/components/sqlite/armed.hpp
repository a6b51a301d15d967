// Armed: one database, opened and checked for one run, up to its settled pin.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "common/component/component.hpp"
#include "common/components/sqlite/fence.hpp"
#include "common/components/sqlite/live.hpp"

namespace lockstep::sqlite {

inline constexpr const char* kByReflink = "sqlite-reflink";
inline constexpr const char* kByReading = "sqlite-read-transaction";

class ArmedDatabase final : public component::Armed {
 public:
  // What arming found out and opened.
  struct Found {
    component::Context context;
    component::DataSet set;
    std::string hold;
    Seen seen;
    bool wal = false;
    std::uint32_t page_size = 0;
    component::Estimate estimate;
  };
  ArmedDatabase(const component::Surroundings& surroundings, Found found, Database database);

  const component::Estimate& estimate() const override { return found_.estimate; }
  Result<Interval> raise_fence(Nanos timeout) override;
  Result<component::Pinned> pin() override;
  Result<component::FenceEnd> lower_fence() override;
  Result<component::Version> settle(const component::Context& context) override;

 private:
  const std::string& path() const { return found_.set.place.location; }
  bool by_reflink() const { return found_.estimate.method == kByReflink; }
  component::Version version() const;
  Result<void> still_there() const;
  Result<Interval> pin_by_reflink();
  Result<Interval> pin_by_reading();

  component::Surroundings surroundings_;
  Found found_;
  Fence fence_;
  std::optional<Database> reader_;  // the pin, where it is a read transaction
  bool pinned_ = false;
  bool reading_stalls_ = false;  // that transaction holds up writers (a rollback journal)
};

}  // namespace lockstep::sqlite
