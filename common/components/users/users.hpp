// The component of user data: what a cluster's directory held at a run's moment, as the document of
// docs/users.md. A version is one file. It is pinned beside a service's data sets, never by a
// policy's own list, and nothing of it is ever a live place: `lockstep users apply --point` takes
// it into a directory.
#pragma once

#include <functional>
#include <memory>

#include "common/component/component.hpp"
#include "common/users/store.hpp"

namespace lockstep::user_data {

// A connection of its own to the cluster's directory. Any thread.
using OpenStore = std::function<std::unique_ptr<users::Store>()>;

// Without `open` it pins nothing: of an agent that does not reach the directory.
std::unique_ptr<component::Component> make_users(const component::Surroundings& surroundings,
                                                 OpenStore open = {});

}  // namespace lockstep::user_data
