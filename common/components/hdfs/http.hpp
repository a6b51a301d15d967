// Http: requests over kept connections, by libcurl. What an answer means is webhdfs.hpp's business.
//
// Each request in flight has a handle of its own, with its own connections; handles are kept for
// the next. Redirects are never followed: a body that was piped cannot be sent again.
//
// Of https:// addresses the server's certificate must be signed by who is trusted and name the host
// of the address; there is no way round it.
//
// Thread rule: any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "common/clock/moment.hpp"
#include "common/error/result.hpp"

namespace lockstep::hdfs {

struct Answer {
  long status = 0;
  std::string body;
  std::string challenge;  // of WWW-Authenticate
};

// No answer came.
struct Lost {
  std::string why;         // "Connection refused"
  bool unreached = true;   // nothing was sent: the request had no effect
  bool untrusted = false;  // and never will be: the server's certificate does not stand the check
};

class Http {
 public:
  // `ca`: a file of certificates (PEM) that may sign the servers'; empty: those of the system.
  explicit Http(std::string ca);
  ~Http();
  Http(const Http&) = delete;
  Http& operator=(const Http&) = delete;

  // `method` GET, PUT, POST or DELETE, without a body. An answer of more than 256 MiB is lost.
  Expected<Answer, Lost> send(const std::string& method, const std::string& url, Nanos timeout);

  // GET of bytes as they come: `take` is given what a 200 brings, piece by piece, may wait, and
  // returns false to end it (lost then); the body of any other answer is in the answer.
  using Take = std::function<bool(std::span<const std::byte>)>;
  Expected<Answer, Lost> stream(const std::string& url, const Take& take);

  // PUT of `size` bytes, which `fill` gives piece by piece: it returns how many it wrote, at least
  // one, or nothing to give up. It may wait.
  using Fill = std::function<std::size_t(std::span<std::byte>)>;
  Expected<Answer, Lost> put(const std::string& url, std::uint64_t size, const Fill& fill);

 private:
  struct Line;  // a handle with its connections
  std::unique_ptr<Line> take_line();
  void give_back(std::unique_ptr<Line> line);

  const std::string ca_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Line>> idle_;
};

}  // namespace lockstep::hdfs
