// Addresses in lockstep.yaml: what services bind and connect to. A wrong one is reported, and
// empty.
//
// Thread rule: pure functions.
#pragma once

#include <string>

namespace lockstep::config {

class Value;

// A TCP port, 1 to 65535, without a leading 0.
bool is_port(const std::string& text);

// `text` behind "ipc://", against the directory `base`.
std::string ipc_endpoint(const Value& value, const std::string& text, const std::string& base);

// `text` as tcp://HOST:PORT, which is the form it has to have.
std::string tcp_endpoint(const Value& value, const std::string& text);

// ADDRESS:PORT. An address, not a name: what is bound must not depend on who answers for a name.
std::string host_and_port(const Value& value);
bool is_loopback(const std::string& address);

}  // namespace lockstep::config
