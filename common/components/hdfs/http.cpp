#include "common/components/hdfs/http.hpp"

#include <curl/curl.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace lockstep::hdfs {

namespace {

constexpr std::size_t kMostBody = std::size_t{256} << 20U;
constexpr long kConnectSeconds = 10;
// A transfer that moves nothing for so long is dead. Not for put(): what it sends may be waited
// for.
constexpr long kStallSeconds = 60;

// libcurl wants to be initialised once, before threads are made that use it.
struct Library {
  Library() { ::curl_global_init(CURL_GLOBAL_DEFAULT); }
};

struct Sink {
  CURL* handle = nullptr;
  Answer answer;
  const Http::Take* take = nullptr;
  bool overflow = false;
};

std::size_t take_body(char* data, std::size_t one, std::size_t count, void* user) {
  auto& sink = *static_cast<Sink*>(user);
  const std::size_t size = one * count;
  long status = 0;
  ::curl_easy_getinfo(sink.handle, CURLINFO_RESPONSE_CODE, &status);
  if (sink.take != nullptr && status == 200) {
    return (*sink.take)(std::as_bytes(std::span(data, size))) ? size : 0;
  }
  if (sink.answer.body.size() + size > kMostBody) {
    sink.overflow = true;
    return 0;
  }
  sink.answer.body.append(data, size);
  return size;
}

std::size_t take_header(char* data, std::size_t one, std::size_t count, void* user) {
  auto& sink = *static_cast<Sink*>(user);
  const std::string_view line(data, one * count);
  constexpr std::string_view kChallenge = "www-authenticate:";
  const bool challenge =
      line.size() > kChallenge.size() &&
      std::equal(kChallenge.begin(), kChallenge.end(), line.begin(), [](char a, char b) {
        return a == (b >= 'A' && b <= 'Z' ? static_cast<char>(b - 'A' + 'a') : b);
      });
  if (challenge) sink.answer.challenge += line.substr(kChallenge.size());
  return one * count;
}

struct Spring {
  const Http::Fill* fill;
  std::uint64_t left;
};

std::size_t give_body(char* data, std::size_t one, std::size_t count, void* user) {
  auto& spring = *static_cast<Spring*>(user);
  const std::size_t room =
      static_cast<std::size_t>(std::min<std::uint64_t>(one * count, spring.left));
  if (room == 0) return 0;
  const std::size_t given = (*spring.fill)(std::as_writable_bytes(std::span(data, room)));
  if (given == 0) return CURL_READFUNC_ABORT;
  spring.left -= given;
  return given;
}

Lost lost(CURLcode code, const char* text) {
  const bool untrusted = code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE;
  // Only where no connection came to be is it certain that nothing was asked.
  const bool unreached = untrusted || code == CURLE_COULDNT_CONNECT ||
                         code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_SSL_CONNECT_ERROR;
  return {*text != '\0' ? text : ::curl_easy_strerror(code), unreached, untrusted};
}

}  // namespace

struct Http::Line {
  CURL* handle = nullptr;
  curl_slist* headers = nullptr;
  std::array<char, CURL_ERROR_SIZE> error{};

  Line() : handle(::curl_easy_init()) {
    // With CSRF protection on, whatever is no GET needs this header; its value is not looked at.
    headers = ::curl_slist_append(headers, "X-XSRF-HEADER: lockstep");
    // Waiting for "100 Continue" costs a second where a server does not say it.
    headers = ::curl_slist_append(headers, "Expect:");
    headers = ::curl_slist_append(headers, "Content-Type: application/octet-stream");
    headers = ::curl_slist_append(headers, "Accept: application/json, */*");
  }
  ~Line() {
    ::curl_slist_free_all(headers);
    ::curl_easy_cleanup(handle);
  }
  Line(const Line&) = delete;
  Line& operator=(const Line&) = delete;

  void prepare(const std::string& method, const std::string& url, const std::string& ca,
               Sink& sink) {
    ::curl_easy_reset(handle);  // keeps the connections
    error.fill('\0');
    sink.handle = handle;
    ::curl_easy_setopt(handle, CURLOPT_URL, url.c_str());
    ::curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, method.c_str());
    ::curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers);
    // Protection against CSRF may demand the header of whoever says what he is; logs tell it.
    ::curl_easy_setopt(handle, CURLOPT_USERAGENT, "lockstep");
    ::curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
    ::curl_easy_setopt(handle, CURLOPT_PATH_AS_IS, 1L);
    ::curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
    ::curl_easy_setopt(handle, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
    ::curl_easy_setopt(handle, CURLOPT_SSL_VERIFYPEER, 1L);
    ::curl_easy_setopt(handle, CURLOPT_SSL_VERIFYHOST, 2L);
    if (!ca.empty()) {
      ::curl_easy_setopt(handle, CURLOPT_CAINFO, ca.c_str());
      ::curl_easy_setopt(handle, CURLOPT_CAPATH, nullptr);  // nobody else's beside it
    }
    ::curl_easy_setopt(handle, CURLOPT_NOPROXY, "*");
    ::curl_easy_setopt(handle, CURLOPT_TCP_KEEPALIVE, 1L);
    ::curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
    ::curl_easy_setopt(handle, CURLOPT_BUFFERSIZE, 512L << 10U);
    ::curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, error.data());
    ::curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, &take_body);
    ::curl_easy_setopt(handle, CURLOPT_WRITEDATA, &sink);
    ::curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, &take_header);
    ::curl_easy_setopt(handle, CURLOPT_HEADERDATA, &sink);
  }

  Expected<Answer, Lost> perform(Sink& sink) {
    const CURLcode code = ::curl_easy_perform(handle);
    if (sink.overflow) return Lost{"the answer is longer than what was asked for", false};
    if (code != CURLE_OK) return lost(code, error.data());
    ::curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &sink.answer.status);
    return std::move(sink.answer);
  }
};

Http::Http(std::string ca) : ca_(std::move(ca)) { static const Library library; }
Http::~Http() = default;

std::unique_ptr<Http::Line> Http::take_line() {
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      auto line = std::move(idle_.back());
      idle_.pop_back();
      return line;
    }
  }
  return std::make_unique<Line>();
}

void Http::give_back(std::unique_ptr<Line> line) {
  const std::lock_guard lock(mutex_);
  idle_.push_back(std::move(line));
}

Expected<Answer, Lost> Http::send(const std::string& method, const std::string& url,
                                  Nanos timeout) {
  auto line = take_line();
  Sink sink;
  line->prepare(method, url, ca_, sink);
  ::curl_easy_setopt(line->handle, CURLOPT_TIMEOUT_MS,
                     static_cast<long>(std::max<std::int64_t>(timeout.count / 1'000'000, 1)));
  if (method == "PUT" || method == "POST") {
    ::curl_easy_setopt(line->handle, CURLOPT_POSTFIELDS, "");  // Content-Length: 0
    ::curl_easy_setopt(line->handle, CURLOPT_POSTFIELDSIZE, 0L);
  }
  auto answer = line->perform(sink);
  give_back(std::move(line));
  return answer;
}

Expected<Answer, Lost> Http::stream(const std::string& url, const Take& take) {
  auto line = take_line();
  Sink sink;
  sink.take = &take;
  line->prepare("GET", url, ca_, sink);
  ::curl_easy_setopt(line->handle, CURLOPT_LOW_SPEED_LIMIT, 1L);
  ::curl_easy_setopt(line->handle, CURLOPT_LOW_SPEED_TIME, kStallSeconds);
  auto answer = line->perform(sink);
  give_back(std::move(line));
  return answer;
}

Expected<Answer, Lost> Http::put(const std::string& url, std::uint64_t size, const Fill& fill) {
  auto line = take_line();
  Sink sink;
  Spring spring{&fill, size};
  line->prepare("PUT", url, ca_, sink);
  ::curl_easy_setopt(line->handle, CURLOPT_UPLOAD, 1L);
  ::curl_easy_setopt(line->handle, CURLOPT_UPLOAD_BUFFERSIZE, 1L << 20U);
  ::curl_easy_setopt(line->handle, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(size));
  ::curl_easy_setopt(line->handle, CURLOPT_READFUNCTION, &give_body);
  ::curl_easy_setopt(line->handle, CURLOPT_READDATA, &spring);
  auto answer = line->perform(sink);
  give_back(std::move(line));
  return answer;
}

}  // namespace lockstep::hdfs
