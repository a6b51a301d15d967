// Context: the process's one ZeroMQ context, and the ZAP handler that decides which keys may
// connect.
//
// Whoever holds a socket holds the context too; when the last holder lets go, what sockets still
// send within their linger is waited for, and the context ends. Destroy sockets before their
// holder.
//
// Thread rule: any thread; each socket belongs to one thread.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "common/error/error.hpp"

namespace lockstep::transport {

class ZapHandler;

class Context {
 public:
  Context();
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  void* raw() const { return context_; }

  // From now on the server sockets of ZAP domain `domain` let in these keys (Z85 to party name) and
  // no others. Starts the handler where none runs: without one libzmq lets in every key, so this
  // comes before the first server socket is bound.
  Result<void> allow(const std::string& domain, std::map<std::string, std::string> names_by_key);

 private:
  void* context_;
  std::unique_ptr<ZapHandler> zap_;
};

// The one of this process, made at first use.
std::shared_ptr<Context> process_context();

}  // namespace lockstep::transport
