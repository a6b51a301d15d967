// Target: receiving a database and keeping versions of it.
#pragma once

#include <memory>

#include "common/component/component.hpp"

namespace lockstep::sqlite {

std::unique_ptr<component::Target> make_target(const component::Surroundings& surroundings);

}  // namespace lockstep::sqlite
