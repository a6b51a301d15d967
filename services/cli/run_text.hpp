// A run, shown to people.
#pragma once

#include <string>

#include "common/message/envelope.hpp"

namespace lockstep::cli {

std::string state_text(const std::string& state);
std::string error_text(const message::Body& error);  // the body of an error, on one line
std::string run_text(const message::Body& run);      // with its steps, several lines

}  // namespace lockstep::cli
