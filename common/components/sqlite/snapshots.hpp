// The component's Snapshots: arming, and finding and dropping what was pinned.
#pragma once

#include <memory>

#include "common/component/component.hpp"

namespace lockstep::sqlite {

std::unique_ptr<component::Snapshots> make_snapshots(const component::Surroundings& surroundings);

}  // namespace lockstep::sqlite
