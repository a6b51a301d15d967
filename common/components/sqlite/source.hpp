// Source: a version of a database, read as one regular file.
#pragma once

#include <memory>

#include "common/component/source.hpp"
#include "common/os/disk.hpp"

namespace lockstep::sqlite {

std::unique_ptr<component::Sources> make_sources(os::Disk& disk);

}  // namespace lockstep::sqlite
