// Http: GET requests of browsers and of Prometheus, answered from what the caller hands over; on
// threads of its own (civetweb's).
//
// Without a token it is for this machine alone: requests whose Host is not an address of it or
// `localhost` are refused, so that no page of elsewhere can read it through a browser. With a token
// it is asked for as `Authorization: Bearer TOKEN`, or as the password of any user (Basic).
//
// Thread rule: construct and destroy on one thread; the answers are called from several at once.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "common/error/error.hpp"

namespace lockstep::gateway {

struct Answer {
  std::string type;  // of the content
  std::string text;
  std::string policy = "default-src 'none'; frame-ancestors 'none'";  // Content-Security-Policy
  std::string status = "200 OK";
};
// Path ("/metrics") to what is answered.
using Answers = std::map<std::string, std::function<Answer()>>;

class Http {
 public:
  // `address`: "127.0.0.1:9480". `token`: empty where none is asked for. Error: transport.
  static Result<std::unique_ptr<Http>> listen(const std::string& address, const std::string& token,
                                              Answers answers);
  virtual ~Http() = default;
};

// Whether the request may be answered. Pure. `token` empty: by its Host alone.
bool may_ask(const std::string& token, const std::string& host, const std::string& authorization);

}  // namespace lockstep::gateway
