// ZapHandler: answers libzmq's question "may this key connect?" (ZAP, RFC 27) from allow-lists.
//
// A thread of its own, so that a busy service still answers handshakes. Whoever is let in gets its
// party's name as User-Id, which the server reads from each message.
//
// Thread rule: allow() from any thread; destroy it after zmq_ctx_shutdown.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "common/error/error.hpp"

namespace lockstep::transport {

class ZapHandler {
 public:
  using Names = std::map<std::string, std::string>;  // Z85 public key to party name

  static Result<std::unique_ptr<ZapHandler>> start(void* context);
  ~ZapHandler();

  void allow(const std::string& domain, Names names_by_key);

 private:
  explicit ZapHandler(void* socket);
  void serve(void* socket);
  // The party's name; empty: refused.
  std::string find(const std::string& domain, const std::string& key) const;

  mutable std::mutex mutex_;
  std::map<std::string, Names> domains_;
  std::thread thread_;
};

}  // namespace lockstep::transport
