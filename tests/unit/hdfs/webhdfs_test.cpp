// The client against a server that answers what a NameNode in trouble answers: classes of errors
// that a healthy cluster does not show. What a NameNode in health does is tests/integration/hadoop.
#include "common/components/hdfs/webhdfs.hpp"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <mutex>
#include <thread>

using namespace lockstep;
using namespace lockstep::hdfs;

namespace {

// Answers each request with the next line of a script: "200 BODY", "401 ...", "drop", or "cut
// BODY": a 200 that breaks after its first half.
class Server {
 public:
  explicit Server(std::vector<std::string> script) : script_(std::move(script)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM, 0);
    ::sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ::socklen_t size = sizeof address;
    REQUIRE(::bind(listener_, reinterpret_cast<::sockaddr*>(&address), size) == 0);
    REQUIRE(::listen(listener_, 16) == 0);
    REQUIRE(::getsockname(listener_, reinterpret_cast<::sockaddr*>(&address), &size) == 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~Server() {
    ending_ = true;
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  std::vector<std::string> asked() {
    const std::lock_guard lock(mutex_);
    return asked_;
  }

 private:
  void serve() {
    while (!ending_) {
      const int peer = ::accept(listener_, nullptr, nullptr);
      if (peer < 0) return;
      std::string request(65536, '\0');
      const auto got = ::read(peer, request.data(), request.size());
      request.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
      std::string answer = "drop";
      {
        const std::lock_guard lock(mutex_);
        asked_.push_back(request);
        if (at_ < script_.size()) answer = script_[at_++];
      }
      if (answer != "drop") {
        const std::string body = answer.substr(4);
        const std::string challenge =
            answer.starts_with("401") ? "WWW-Authenticate: Negotiate\r\n" : "";
        const bool cut = answer.starts_with("cut");
        const std::string whole =
            "HTTP/1.1 " + (cut ? "200" : answer.substr(0, 3)) + " X\r\n" + challenge +
            "Connection: close\r\nContent-Length: " + std::to_string(body.size() * (cut ? 2 : 1)) +
            "\r\n\r\n" + body;
        (void)!::write(peer, whole.data(), whole.size());
      }
      ::shutdown(peer, SHUT_WR);
      ::close(peer);
    }
  }

  std::vector<std::string> script_;
  std::size_t at_ = 0;
  std::vector<std::string> asked_;
  std::mutex mutex_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<bool> ending_ = false;
  std::thread thread_;
};

std::string remote(const char* exception, const char* message = "x") {
  return std::string(R"({"RemoteException":{"exception":")") + exception + R"(","message":")" +
         message + R"("}})";
}

const char* const kStatus =
    R"(200 {"FileStatus":{"type":"DIRECTORY","permission":"755","owner":"o","group":"g",)"
    R"("pathSuffix":"","fileId":7,"modificationTime":5}})";

struct Asked {
  explicit Asked(std::vector<std::string> script, Nanos patience = seconds(30))
      : server(std::move(script)), hdfs({{server.url()}, "u", 2, patience, ""}, *clock) {}
  std::unique_ptr<Clock> clock = make_system_clock();
  Server server;
  WebHdfs hdfs;
};

Http::Take taking(std::string& into) {
  return [&into](std::span<const std::byte> bytes) {
    into.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return true;
  };
}

}  // namespace

TEST_CASE("webhdfs: what comes right by itself is tried again, other failures are not") {
  Asked good({"drop", "403 " + remote("StandbyException"), "403 " + remote("RetriableException"),
              "403 " + remote("SafeModeException"), "503 <html>", kStatus});
  const auto status = good.hdfs.status("/d");
  REQUIRE(status);
  CHECK(status->file_id == 7);
  CHECK(good.server.asked().size() == 6);
  CHECK(good.server.asked().front().find("GET /webhdfs/v1/d?op=GETFILESTATUS&user.name=u") == 0);

  Asked denied({"403 " + remote("AccessControlException"), kStatus});
  CHECK(denied.hdfs.status("/d").error().trouble == Trouble::denied);
  CHECK(denied.server.asked().size() == 1);
}

namespace {

struct Pair {
  Pair(std::vector<std::string> of_first, std::vector<std::string> of_second,
       Nanos patience = seconds(30))
      : first(std::move(of_first)),
        second(std::move(of_second)),
        hdfs({{first.url(), second.url()}, "u", 2, patience, ""}, *clock) {}
  std::unique_ptr<Clock> clock = make_system_clock();
  Server first, second;
  WebHdfs hdfs;
};

const std::string kStandby = "403 " + remote("StandbyException");

}  // namespace

TEST_CASE("webhdfs: of several NameNodes the active one is found, and found again after it died") {
  Pair pair({kStandby, kStatus}, {kStatus, kStatus, "drop"});
  const MonoNanos begin = pair.clock->mono();
  REQUIRE(pair.hdfs.status("/d"));  // the first stands by
  REQUIRE(pair.hdfs.status("/d"));  // and is not asked again
  CHECK(pair.first.asked().size() == 1);
  CHECK(pair.hdfs.namenode() == pair.second.url());
  REQUIRE(pair.hdfs.status("/d"));  // the second dies
  CHECK(pair.second.asked().size() == 3);
  CHECK(pair.first.asked().size() == 2);
  CHECK(pair.hdfs.namenode() == pair.first.url());
  // Going to the other one takes no pause.
  CHECK(pair.clock->mono() - begin < milliseconds(50));
}

TEST_CASE("webhdfs: while no NameNode is active each is asked again, until one is") {
  Pair pair({"403 " + remote("SafeModeException"), kStandby, kStandby, kStatus},
            {kStandby, "403 " + remote("RetriableException"), "drop"});
  REQUIRE(pair.hdfs.status("/d"));
  CHECK(pair.first.asked().size() == 4);
  CHECK(pair.second.asked().size() == 3);
}

TEST_CASE("webhdfs: a failure names every NameNode and what it said, however short the patience") {
  Pair pair({kStandby}, {"403 " + remote("SafeModeException", "Name node is in safe mode")},
            Nanos{});
  const auto status = pair.hdfs.status("/d");
  REQUIRE_FALSE(status);
  CHECK(status.error().text == "none of the NameNodes serves (" + host_of(pair.first.url()) +
                                   ": StandbyException: x; " + host_of(pair.second.url()) +
                                   ": SafeModeException: Name node is in safe mode)");
  Pair denied({kStandby}, {"403 " + remote("AccessControlException")});
  CHECK(denied.hdfs.status("/d").error().text == "AccessControlException: x");
}

TEST_CASE("webhdfs: a snapshot whose answer was lost by a NameNode that died is in doubt") {
  const std::string exists = "403 " + remote("SnapshotException",
                                             "Failed to add snapshot: there is already a snapshot "
                                             "with the same name");
  Pair made({"drop"}, {exists});
  CHECK(made.hdfs.create_snapshot("/d", "s", seconds(5)));
  Pair unknown({"drop"}, {kStandby}, seconds(30));
  CHECK(unknown.hdfs.create_snapshot("/d", "s", Nanos{}).error().trouble == Trouble::lost);
}

TEST_CASE("webhdfs: a DataNode in trouble is tried again after a pause, at the same NameNode") {
  Server datanode({"drop", "403 " + remote("IOException"), "200 1234"});
  const std::string located = "200 {\"Location\":\"" + datanode.url() + "/x\"}";
  Pair pair({kStandby}, {located, located, located});
  std::string got;
  const MonoNanos begin = pair.clock->mono();
  REQUIRE(pair.hdfs.stream("/f", 0, 4, taking(got)));
  CHECK(got == "1234");
  CHECK(pair.clock->mono() - begin >= milliseconds(150));
  CHECK(pair.first.asked().size() == 1);
  CHECK(pair.second.asked().size() == 3);
}

TEST_CASE("webhdfs: each NameNode's own state is told, and what asks one of them asks the next") {
  const auto jmx = [](const char* state) {
    return std::string(R"(200 {"beans":[{"name":"x"},{"State":")") + state +
           R"(","CapacityRemaining":7}]})";
  };
  Pair pair({jmx("standby"), "drop", "drop"}, {"503 <html>", jmx("active"), jmx("active")});
  auto states = pair.hdfs.namenodes();
  REQUIRE(states.size() == 2);
  CHECK(states[0].address == host_of(pair.first.url()));
  CHECK(states[0].state == "standby");
  CHECK(states[1].state == "its JMX does not tell: HTTP status 503");
  CHECK(pair.hdfs.remaining_space() == 7);
  states = pair.hdfs.namenodes();
  CHECK_FALSE(states[0].state.empty());
  CHECK(states[1].state == "active");
}

TEST_CASE("webhdfs: a certificate file that is none, and a server that speaks no TLS, are named") {
  const std::unique_ptr<Clock> clock = make_system_clock();
  Server plain({kStatus, kStatus});
  const std::string tls = "https" + plain.url().substr(4);
  WebHdfs without({{tls}, "u", 2, Nanos{}, "/nowhere/ca.pem"}, *clock);
  auto status = without.status("/d");
  REQUIRE_FALSE(status);
  CHECK(status.error().trouble == Trouble::untrusted);
  CHECK(status.error().text.find("/nowhere/ca.pem") != std::string::npos);
  WebHdfs speaks_none({{tls}, "u", 2, Nanos{}, ""}, *clock);
  status = speaks_none.status("/d");
  REQUIRE_FALSE(status);
  CHECK(status.error().trouble == Trouble::unreached);
}

TEST_CASE("webhdfs: patience ends") {
  Asked never({"403 " + remote("StandbyException"), "403 " + remote("StandbyException")},
              milliseconds(70));
  const auto status = never.hdfs.status("/d");
  REQUIRE_FALSE(status);
  CHECK(may_pass(status.error()));
}

TEST_CASE("webhdfs: a cluster that asks for Kerberos is named") {
  Asked kerberos({"401 <html>Authentication required</html>"});
  const auto status = kerberos.hdfs.status("/d");
  REQUIRE_FALSE(status);
  CHECK(status.error().trouble == Trouble::kerberos);
  CHECK(kerberos.server.asked().size() == 1);
}

TEST_CASE("webhdfs: what changes something carries the header that CSRF protection wants") {
  Asked one({R"(200 {"boolean":true})"});
  REQUIRE(one.hdfs.make_directory("/d"));
  CHECK(one.server.asked().front().find("\r\nX-XSRF-HEADER: ") != std::string::npos);
  CHECK(one.server.asked().front().starts_with("PUT "));
}

TEST_CASE("webhdfs: a snapshot whose answer was lost is found made, one of another's is not ours") {
  const std::string exists = "403 " + remote("SnapshotException",
                                             "Failed to add snapshot: there is already a snapshot "
                                             "with the same name");
  Asked lost({"drop", exists});
  CHECK(lost.hdfs.create_snapshot("/d", "s", seconds(5)));
  Asked others({exists});
  CHECK(others.hdfs.create_snapshot("/d", "s", seconds(5)).error().trouble == Trouble::exists);
}

TEST_CASE("webhdfs: a rename whose answer was lost is found done") {
  Asked lost(
      {"drop", R"(200 {"boolean":false})", "404 " + remote("FileNotFoundException"), kStatus});
  CHECK(lost.hdfs.rename("/a", "/b"));
  Asked taken({R"(200 {"boolean":false})", kStatus});
  CHECK(taken.hdfs.rename("/a", "/b").error().trouble == Trouble::exists);
}

TEST_CASE("webhdfs: content that is shorter than was said is no content") {
  Asked datanode({"200 1234"});
  Asked namenode({"200 {\"Location\":\"" + datanode.server.url() + "/x\"}"});
  std::string got;
  const auto read = namenode.hdfs.stream("/f", 0, 8, taking(got));
  REQUIRE_FALSE(read);
  CHECK(read.error().text.find("shorter") != std::string::npos);
}

TEST_CASE("webhdfs: what breaks on its way is asked for again from where it had come to") {
  Asked datanode({"cut 1234", "200 5678"});
  const std::string located = "200 {\"Location\":\"" + datanode.server.url() + "/x\"}";
  Asked namenode({located, located});
  std::string got;
  REQUIRE(namenode.hdfs.stream("/f", 100, 8, taking(got)));
  CHECK(got == "12345678");
  const auto asked = namenode.server.asked();
  REQUIRE(asked.size() == 2);
  CHECK(asked[0].find("offset=100&length=8") != std::string::npos);
  CHECK(asked[1].find("offset=104&length=4") != std::string::npos);
}

TEST_CASE("webhdfs: who wants no more is given no more") {
  Asked datanode({"200 12345678"});
  Asked namenode({"200 {\"Location\":\"" + datanode.server.url() + "/x\"}"});
  CHECK(namenode.hdfs.stream("/f", 0, 8, [](std::span<const std::byte>) { return false; }));
  CHECK(namenode.server.asked().size() == 1);
}
