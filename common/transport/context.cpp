#include "common/transport/context.hpp"

#include <zmq.h>

#include <cstdlib>
#include <mutex>

#include "common/transport/zap.hpp"

namespace lockstep::transport {

namespace {
std::mutex context_mutex;
}

Context::Context() : context_(::zmq_ctx_new()) {
  if (context_ == nullptr) std::abort();  // no memory or descriptors for a first context
}

Context::~Context() {
  // Sockets in use elsewhere are none any more; the handler's own ends its thread by ETERM.
  ::zmq_ctx_shutdown(context_);
  zap_.reset();
  while (::zmq_ctx_term(context_) != 0 && errno == EINTR) {
  }
}

Result<void> Context::allow(const std::string& domain,
                            std::map<std::string, std::string> names_by_key) {
  const std::lock_guard lock(context_mutex);
  if (!zap_) {
    LOCKSTEP_TRY(zap_, ZapHandler::start(context_));
  }
  zap_->allow(domain, std::move(names_by_key));
  return {};
}

std::shared_ptr<Context> process_context() {
  static std::weak_ptr<Context> current;
  const std::lock_guard lock(context_mutex);
  auto held = current.lock();
  if (!held) {
    held = std::make_shared<Context>();
    current = held;
  }
  return held;
}

}  // namespace lockstep::transport
