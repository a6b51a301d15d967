#include "common/message/log_scope.hpp"

#include <utility>

namespace lockstep::message {

namespace {
thread_local std::string current_run;
thread_local std::string current_step;
}  // namespace

LogScope::LogScope(std::string run, std::string step)
    : outer_run_(std::exchange(current_run, std::move(run))),
      outer_step_(std::exchange(current_step, std::move(step))) {}

LogScope::~LogScope() {
  current_run = std::move(outer_run_);
  current_step = std::move(outer_step_);
}

const std::string& LogScope::run() { return current_run; }
const std::string& LogScope::step() { return current_step; }

}  // namespace lockstep::message
