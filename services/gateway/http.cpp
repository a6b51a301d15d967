#include "services/gateway/http.hpp"

#include <CivetServer.h>
#include <arpa/inet.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <vector>

namespace lockstep::gateway {

namespace {

std::string from_base64(const std::string& text) {
  std::vector<unsigned char> out(text.size() + 3);
  const int size = ::EVP_DecodeBlock(
      out.data(), static_cast<const unsigned char*>(static_cast<const void*>(text.data())),
      static_cast<int>(text.size()));
  if (size < 0) return {};
  auto length = static_cast<std::size_t>(size);
  for (auto it = text.rbegin(); it != text.rend() && *it == '=' && length > 0; ++it) --length;
  return {out.begin(), out.begin() + static_cast<std::ptrdiff_t>(length)};
}

// In a time that does not tell how much of it was right.
bool same(const std::string& left, const std::string& right) {
  return left.size() == right.size() &&
         ::CRYPTO_memcmp(left.data(), right.data(), left.size()) == 0;
}

// "127.evil.example" is a name like any other.
bool is_this_machine(std::string host) {
  if (host == "[::1]" || host.starts_with("[::1]:")) return true;
  host = host.substr(0, host.rfind(':'));
  ::in_addr address{};
  return host == "localhost" ||
         (host.starts_with("127.") && ::inet_pton(AF_INET, host.c_str(), &address) == 1);
}

class Handler final : public CivetHandler {
 public:
  Handler(std::string token, Answers answers)
      : token_(std::move(token)), answers_(std::move(answers)) {}

  bool handleGet(CivetServer* /*server*/, ::mg_connection* connection) override {
    const auto header = [connection](const char* name) {
      const char* text = ::mg_get_header(connection, name);
      return std::string(text == nullptr ? "" : text);
    };
    if (!may_ask(token_, header("Host"), header("Authorization"))) {
      refuse(connection);
      return true;
    }
    const char* path = ::mg_get_request_info(connection)->local_uri;
    const auto found = answers_.find(path == nullptr ? "" : path);
    if (found == answers_.end()) {
      say(connection,
          {"text/plain; charset=utf-8", "not here\n", Answer{}.policy, "404 Not Found"});
    } else {
      say(connection, found->second());
    }
    return true;
  }
  bool handlePost(CivetServer* /*server*/, ::mg_connection* connection) override {
    return only_get(connection);
  }
  bool handlePut(CivetServer* /*server*/, ::mg_connection* connection) override {
    return only_get(connection);
  }
  bool handleDelete(CivetServer* /*server*/, ::mg_connection* connection) override {
    return only_get(connection);
  }
  bool handleOptions(CivetServer* /*server*/, ::mg_connection* connection) override {
    return only_get(connection);
  }
  bool handlePatch(CivetServer* /*server*/, ::mg_connection* connection) override {
    return only_get(connection);
  }

 private:
  static bool only_get(::mg_connection* connection) {
    say(connection,
        {"text/plain; charset=utf-8", "only GET\n", Answer{}.policy, "405 Method Not Allowed"},
        "Allow: GET\r\n");
    return true;
  }

  void refuse(::mg_connection* connection) const {
    if (token_.empty()) {
      say(connection, {"text/plain; charset=utf-8", "without a token this is for its own machine\n",
                       Answer{}.policy, "403 Forbidden"});
    } else {
      say(connection,
          {"text/plain; charset=utf-8", "show the token\n", Answer{}.policy, "401 Unauthorized"},
          "WWW-Authenticate: Basic realm=\"lockstep\"\r\n");
    }
  }

  static void say(::mg_connection* connection, const Answer& answer, const char* more = "") {
    const std::string head = "HTTP/1.1 " + answer.status + "\r\nContent-Type: " + answer.type +
                             "\r\nContent-Length: " + std::to_string(answer.text.size()) +
                             "\r\nContent-Security-Policy: " + answer.policy +
                             "\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer"
                             "\r\nCache-Control: no-store\r\nConnection: close\r\n" +
                             more + "\r\n";
    ::mg_write(connection, head.data(), head.size());
    ::mg_write(connection, answer.text.data(), answer.text.size());
  }

  const std::string token_;
  const Answers answers_;
};

class Civet final : public Http {
 public:
  Civet(const std::vector<std::string>& options, std::string token, Answers answers)
      : handler_(std::move(token), std::move(answers)), server_(options) {
    server_.addHandler("**", handler_);
  }

 private:
  Handler handler_;
  CivetServer server_;
};

}  // namespace

bool may_ask(const std::string& token, const std::string& host, const std::string& authorization) {
  if (token.empty()) return is_this_machine(host);
  constexpr std::string_view kBearer = "Bearer ";
  constexpr std::string_view kBasic = "Basic ";
  if (authorization.starts_with(kBearer)) return same(authorization.substr(kBearer.size()), token);
  if (!authorization.starts_with(kBasic)) return false;
  const std::string pair = from_base64(authorization.substr(kBasic.size()));
  const auto colon = pair.find(':');
  return colon != std::string::npos && same(pair.substr(colon + 1), token);
}

Result<std::unique_ptr<Http>> Http::listen(const std::string& address, const std::string& token,
                                           Answers answers) {
  try {
    return std::unique_ptr<Http>(std::make_unique<Civet>(
        std::vector<std::string>{"listening_ports", address, "num_threads", "8",
                                 "request_timeout_ms", "5000", "max_request_size", "16384"},
        token, std::move(answers)));
  } catch (const CivetException&) {
    return make_error(ErrorCode::transport, "cannot listen for HTTP", address,
                      "see whether another process has the port, or choose another `http`");
  }
}

}  // namespace lockstep::gateway
