#include "common/config/addresses.hpp"

#include <arpa/inet.h>

#include <filesystem>

#include "common/config/reader.hpp"

namespace lockstep::config {

namespace {

// sockaddr_un holds 108 bytes with the NUL at the end (unix(7)).
constexpr std::size_t kMaxSocketPath = 107;

}  // namespace

bool is_port(const std::string& text) {
  return !text.empty() && text.size() <= 5 && text.front() != '0' &&
         text.find_first_not_of("0123456789") == std::string::npos && std::stol(text) <= 65535;
}

std::string ipc_endpoint(const Value& value, const std::string& text, const std::string& base) {
  if (text.empty() || text.front() == '@' || text.front() == '*') {
    value.problem(ErrorCode::config_bad_value, "expected a path after ipc://",
                  "abstract names have no owner and no mode, so anybody could bind them");
    return {};
  }
  const std::string path = (std::filesystem::path{base} / text).lexically_normal().string();
  if (path.size() > kMaxSocketPath) {
    value.problem(ErrorCode::config_bad_value,
                  "the socket's path has " + std::to_string(path.size()) +
                      " bytes; the kernel allows " + std::to_string(kMaxSocketPath),
                  "choose a shorter directory, such as one under /run");
    return {};
  }
  return "ipc://" + path;
}

std::string tcp_endpoint(const Value& value, const std::string& text) {
  const auto colon = text.rfind(':');
  const std::string host = text.substr(6, colon < 6 ? 0 : colon - 6);
  const std::string port = colon < 6 ? "" : text.substr(colon + 1);
  if (host.empty() || host == "*" || !is_port(port)) {
    value.problem(ErrorCode::config_bad_value, "expected tcp://HOST:PORT, found `" + text + "`",
                  host == "*" ? "name the address: the other services connect to the same one"
                              : "the port is a number from 1 to 65535");
    return {};
  }
  return text;
}

std::string host_and_port(const Value& value) {
  const auto text = value.text();
  if (!text) return {};
  const auto colon = text->rfind(':');
  std::string host = colon == std::string::npos ? "" : text->substr(0, colon);
  const std::string port = colon == std::string::npos ? "" : text->substr(colon + 1);
  if (host.starts_with("[") && host.ends_with("]")) host = host.substr(1, host.size() - 2);
  ::in6_addr address{};
  const bool known = ::inet_pton(AF_INET, host.c_str(), &address) == 1 ||
                     ::inet_pton(AF_INET6, host.c_str(), &address) == 1;
  if (is_port(port) && known) return *text;
  value.problem(ErrorCode::config_bad_value, "expected ADDRESS:PORT, found `" + *text + "`",
                "such as 127.0.0.1:9480");
  return {};
}

bool is_loopback(const std::string& address) {
  return address.starts_with("127.") || address.starts_with("[::1]:");
}

}  // namespace lockstep::config
