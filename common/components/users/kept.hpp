// Reading versions of user data, and keeping them: a version is one regular file, the root entry.
#pragma once

#include <memory>

#include "common/component/source.hpp"
#include "common/component/target.hpp"
#include "common/os/disk.hpp"

namespace lockstep::user_data {

std::unique_ptr<component::Sources> make_sources(os::Disk& disk);
std::unique_ptr<component::Target> make_target(os::Disk& disk);

}  // namespace lockstep::user_data
