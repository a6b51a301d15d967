#include "common/components/users/users.hpp"

#include "common/component/user_capture.hpp"
#include "common/components/users/kept.hpp"
#include "common/components/users/pins.hpp"

namespace lockstep::user_data {

namespace {

class Users final : public component::Component {
 public:
  Users(const component::Surroundings& surroundings, const OpenStore& open)
      : open_(open),
        pins_(open ? make_pins(surroundings, open) : nullptr),
        sources_(make_sources(surroundings.disk)),
        target_(make_target(surroundings.disk)) {}

  const std::string& kind() const override { return kind_; }
  bool tree_shaped() const override { return false; }
  component::Snapshots* snapshots() override { return pins_.get(); }
  component::Sources* sources() override { return sources_.get(); }
  component::Target* target() override { return target_.get(); }

  component::Health health(const component::DataSet& /*set*/) override {
    if (!open_) return {true, "this agent reaches no directory"};
    const auto looked = open_()->probe();
    if (!looked) return {false, looked.error().text()};
    return {true, "the directory answers"};
  }

 private:
  const std::string kind_ = component::kUserData;
  OpenStore open_;
  std::unique_ptr<component::Snapshots> pins_;
  std::unique_ptr<component::Sources> sources_;
  std::unique_ptr<component::Target> target_;
};

}  // namespace

std::unique_ptr<component::Component> make_users(const component::Surroundings& surroundings,
                                                 OpenStore open) {
  return std::make_unique<Users>(surroundings, open);
}

}  // namespace lockstep::user_data
