// LogScope: for which run and step a thread works at the moment, so that every line it logs says so
// (common/service/log.hpp adds them). A server sets it around each handler.
//
// Thread rule: made and destroyed on one thread, in nested order.
#pragma once

#include <string>

namespace lockstep::message {

class LogScope {
 public:
  LogScope(std::string run, std::string step);
  ~LogScope();
  LogScope(const LogScope&) = delete;
  LogScope& operator=(const LogScope&) = delete;

  // Of the calling thread; empty outside any scope.
  static const std::string& run();
  static const std::string& step();

 private:
  std::string outer_run_;
  std::string outer_step_;
};

}  // namespace lockstep::message
