// Logging of a service: spdlog's default logger, to stderr, as text or as JSON lines.
//
// A JSON line is {"time", "level", "service", "run", "step", "text"}; run and step are those of the
// calling thread's message::LogScope and are left out where there is none. Bytes that are not UTF-8
// are shown by the rule of docs/protocol.md.
//
// Thread rule: set it up once, before other threads start; then log from any thread.
#pragma once

#include <string>

#include "common/error/error.hpp"

namespace lockstep::service {

// `format`: "text" or "json"; `level`: "trace", "debug", "info", "warning", "error". Error:
// config-bad-value.
Result<void> set_up_log(const std::string& service, const std::string& format,
                        const std::string& level);

// One line at level error: the error's text, then its advice.
void log_error(const Error& error);

}  // namespace lockstep::service
