// The files component: a directory tree with all its metadata.
//
// Pinned by pins.hpp, read by source.hpp, received and kept by target.hpp.
#pragma once

#include <memory>

#include "common/component/component.hpp"

namespace lockstep::files {

// `surroundings` and what it refers to must outlive the component.
std::unique_ptr<component::Component> make_files(const component::Surroundings& surroundings);

}  // namespace lockstep::files
