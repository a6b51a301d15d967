#include "common/components/hdfs/job_words.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string_view>

#include "common/components/hdfs/hex.hpp"
#include "common/components/hdfs/java_flags.hpp"

namespace lockstep::hdfs {

namespace {

using nlohmann::json;

constexpr std::size_t kLongestReason = 400;
constexpr std::string_view kCause = "Caused by: ";
constexpr std::string_view kTaskError = "Error: ";

bool says(const std::string& text, const char* words) {
  return text.find(words) != std::string::npos;
}

// 16 hexadecimal digits: a name that stands for a longer one.
std::string short_digest(const std::string& text) {
  std::array<char, EVP_MAX_MD_SIZE> made{};
  EVP_Digest(text.data(), text.size(), reinterpret_cast<unsigned char*>(made.data()), nullptr,
             EVP_sha256(), nullptr);
  return to_hex({made.data(), 8});
}

std::string text_in(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// Java with the classes of the settings; a class and its arguments follow.
std::vector<std::string> java_command(const JobSettings& settings) {
  std::vector<std::string> out{settings.java, "-XX:+UseSerialGC"};
  const auto& flags = java_flags();
  out.insert(out.end(), flags.begin(), flags.end());
  out.insert(out.end(), {"-cp", settings.classpath});
  return out;
}

}  // namespace

JobTags job_tags(const component::SetId& id, const component::Context& context,
                 const std::string& place) {
  const std::string set = short_digest(id.service + "/" + id.set);
  return {"lockstep." + context.run + "." + std::to_string(context.attempt) + "." + set,
          "lockstep-run." + context.run + "." + set, "lockstep-place." + short_digest(place)};
}

std::string property(const char* key, const std::string& value) {
  return std::string("-D") + key + "=" + value;
}

std::vector<std::string> job_command(const JobSettings& settings, const char* main_class,
                                     const std::string& tags, const std::string& name) {
  std::vector<std::string> out = java_command(settings);
  out.insert(out.end(), {main_class, property("mapreduce.job.name", name)});
  if (settings.resourcemanagers.empty()) {
    // One map after the other, its default: nobody would try again where two write one file.
    out.push_back(property("mapreduce.framework.name", "local"));
    return out;
  }
  out.insert(out.end(),
             {property("mapreduce.framework.name", "yarn"),
              property("yarn.resourcemanager.connect.max-wait.ms", "20000"),
              property("yarn.resourcemanager.connect.retry-interval.ms", "1000"),
              property("ipc.client.connect.max.retries", "1"), property("mapreduce.job.tags", tags),
              property("mapreduce.job.queuename", settings.queue)});
  return out;
}

std::vector<std::string> kill_command(const JobSettings& settings, const std::string& id) {
  std::vector<std::string> out = java_command(settings);
  out.insert(out.end(),
             {"org.apache.hadoop.yarn.client.cli.ApplicationCLI", "application", "-kill", id});
  return out;
}

std::string reason_of(const std::string& output) {
  std::istringstream lines(output);
  std::string reason;
  std::string last;
  std::string cause;
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line.front() == '\t' || line.front() == ' ') continue;
    last = line;
    for (const std::string_view said : {kCause, kTaskError}) {
      if (line.starts_with(said)) cause = line.substr(said.size());
    }
    const std::size_t colon = line.find(": ");
    const std::string head = line.substr(0, colon);
    const bool named = head.find(' ') == std::string::npos && head.find('.') != std::string::npos;
    if (named && (head.ends_with("Exception") || head.ends_with("Error"))) reason = line;
  }
  if (reason.ends_with(": NA") && !cause.empty()) reason = cause;  // as ExportSnapshot ends
  if (reason.empty()) reason = last;
  if (reason.size() > kLongestReason) reason = reason.substr(0, kLongestReason) + "...";
  return reason.empty() ? "it said nothing" : reason;
}

Error launch_error(const std::string& act, const std::string& output, const std::string& where) {
  const std::string what = act + ": " + reason_of(output);
  // Not from all that was said: what was tried again is told of, too.
  if (says(what, "AccessControlException")) {
    return make_error(
        ErrorCode::permission, what, where,
        "the user that lockstep.yaml names needs the right to submit to the queue, and to "
        "write");
  }
  if (says(what, "ConnectException") || says(what, "UnknownHostException") ||
      says(what, "NoRouteToHostException")) {
    return make_error(
        ErrorCode::unreachable, what, where,
        "are both clusters' NameNodes and YARN up, and does the job's `classpath` begin "
        "with Hadoop's configuration?");
  }
  return make_error(ErrorCode::carry_failed, what, where);
}

bool Job::has_tag(const std::string& tag) const {
  return ("," + tags + ",").find("," + tag + ",") != std::string::npos;
}

std::string words_of(const Job& job) {
  std::string why = job.diagnostics;
  while (!why.empty() && why.back() == '\n') why.pop_back();
  for (std::size_t at = why.find('\n'); at != std::string::npos; at = why.find('\n', at)) {
    why.replace(at, 1, "; ");
  }
  if (why.size() > kLongestReason) why = why.substr(0, kLongestReason) + "...";
  const std::string end = job.state == "KILLED" ? "been killed" : "failed";
  return end + (why.empty() ? "" : ": " + why);
}

JobFiles staging_of(const std::string& id, const std::string& user) {
  JobFiles files;
  files.above = "/tmp/hadoop-yarn/staging/" + user + "/.staging";
  files.directory = files.above + "/job" + id.substr(std::min(id.find('_'), id.size()));
  files.configuration = files.directory + "/job.xml";
  return files;
}

std::string path_in(const std::string& address) {
  const std::size_t host = address.find("://");
  if (host == std::string::npos) return address;
  const std::size_t path = address.find('/', host + 3);
  return path == std::string::npos ? "/" : address.substr(path);
}

Reply<std::string> read_nodes(const std::string& body) {
  const json parsed = json::parse(body, nullptr, false);
  const auto told = parsed.is_object() ? parsed.find("clusterMetrics") : parsed.end();
  if (!parsed.is_object() || told == parsed.end() || !told->is_object()) {
    return Failure{Trouble::other, "the ResourceManager's answer holds no metrics"};
  }
  const auto count = [&](const char* key) {
    const auto found = told->find(key);
    return found != told->end() && found->is_number_integer() ? found->dump() : "unknown";
  };
  return count("activeNodes") + " nodes live, " + count("lostNodes") + " lost, " +
         count("unhealthyNodes") + " unhealthy";
}

Reply<std::vector<Job>> read_jobs(const std::string& body) {
  const json parsed = json::parse(body, nullptr, false);
  const auto apps = parsed.is_object() ? parsed.find("apps") : parsed.end();
  if (!parsed.is_object() || apps == parsed.end()) {
    return Failure{Trouble::other, "the ResourceManager's answer holds no list of applications"};
  }
  std::vector<Job> out;
  if (!apps->is_object() || !apps->contains("app") || !apps->at("app").is_array()) return out;
  for (const json& app : apps->at("app")) {
    Job job;
    job.id = text_in(app, "id");
    job.state = text_in(app, "state");
    job.final_status = text_in(app, "finalStatus");
    job.diagnostics = text_in(app, "diagnostics");
    job.tags = text_in(app, "applicationTags");
    if (app.contains("progress") && app.at("progress").is_number()) {
      job.progress = app.at("progress").get<double>();
    }
    if (app.contains("startedTime") && app.at("startedTime").is_number_integer()) {
      job.started_ms = app.at("startedTime").get<std::int64_t>();
    }
    if (!job.id.empty()) out.push_back(std::move(job));
  }
  std::sort(out.begin(), out.end(),
            [](const Job& a, const Job& b) { return a.started_ms < b.started_ms; });
  return out;
}

}  // namespace lockstep::hdfs
