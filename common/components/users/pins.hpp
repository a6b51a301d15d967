// Pinning user data: the directory is read from the moment on, by a thread of its own, so that no
// fence waits for it; settle() waits for the end and makes a document of what was read.
#pragma once

#include <memory>

#include "common/components/users/users.hpp"

namespace lockstep::user_data {

// Requires an `open` that is not empty.
std::unique_ptr<component::Snapshots> make_pins(const component::Surroundings& surroundings,
                                                OpenStore open);

}  // namespace lockstep::user_data
