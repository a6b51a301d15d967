#include "services/gateway/page.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <map>

#include "services/gateway/page_parts.hpp"

namespace lockstep::gateway {

namespace {

using message::Body;
using PointsOf = std::map<std::string, std::vector<const Body*>>;

constexpr const char* kStyle = R"css(
:root{color-scheme:light dark;--bg:#f6f7f9;--card:#fff;--ink:#1b2330;--dim:#667085;--line:#e3e7ee;
--good:#12805c;--goodbg:#e3f5ec;--warn:#a15c00;--warnbg:#fdf0d9;--bad:#c0362c;--badbg:#fde8e6;--accent:#3558d4;--unread:#98a2b3}
@media(prefers-color-scheme:dark){:root{--bg:#10141b;--card:#181e28;--ink:#e7ebf2;--dim:#93a0b4;--line:#2a3342;
--good:#4cc79a;--goodbg:#12352a;--warn:#f0b255;--warnbg:#3a2a10;--bad:#ff8278;--badbg:#43201d;--accent:#8ea6ff;--unread:#66748a}}
*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:1180px;margin:0 auto;padding:28px 20px 60px}h1{font-size:22px;margin:0}h2{font-size:15px;margin:32px 0 10px;color:var(--dim);font-weight:600}
header{display:flex;justify-content:space-between;align-items:baseline;gap:16px;flex-wrap:wrap}.dim{color:var(--dim)}
.verdict{margin:18px 0;padding:14px 18px;border-radius:12px;font-weight:600;font-size:17px}.verdict.good{background:var(--goodbg);color:var(--good)}
.verdict.bad{background:var(--badbg);color:var(--bad)}.verdict.warn{background:var(--warnbg);color:var(--warn)}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(260px,1fr));gap:14px;align-items:start}
.card{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:14px 18px}.card h3{margin:0 0 6px;font-size:17px}
.chip{display:inline-block;border-radius:999px;padding:1px 10px;font-size:13px;font-weight:600;white-space:nowrap}.chip.good{background:var(--goodbg);color:var(--good)}
.chip.bad{background:var(--badbg);color:var(--bad)}.chip.warn{background:var(--warnbg);color:var(--warn)}.chip.plain{border:1px solid var(--line);color:var(--dim)}
.agents{margin:8px 0 0;padding:0;list-style:none;font-size:14px}.dot{display:inline-block;width:9px;height:9px;border-radius:9px;margin-right:8px}
.dot.good{background:var(--good)}.dot.bad{background:var(--bad)}.scroll{overflow-x:auto;background:var(--card);border:1px solid var(--line);border-radius:12px}
table{border-collapse:collapse;width:100%}th{font-size:12.5px;text-align:left;color:var(--dim);font-weight:600}th,td{padding:10px 14px;border-top:1px solid var(--line);vertical-align:middle}
thead th{border-top:0}td small{display:block;color:var(--dim);font-size:12.5px;line-height:1.35}td.name{font-weight:600}td.name small{font-weight:400}
svg{width:320px;height:34px;display:block}svg .good{fill:var(--good)}svg .unread{fill:var(--unread)}svg .bad{fill:var(--bad)}
svg .within{fill:var(--goodbg)}svg .axis{stroke:var(--line);fill:none}.key{margin:8px 2px;font-size:12.5px;color:var(--dim)}
.key i{display:inline-block;width:9px;height:9px;border-radius:2px;margin:0 5px 0 14px}.key .good{background:var(--good)}.key .unread{background:var(--unread)}
.key .bad{background:var(--bad)}.key .within{background:var(--goodbg)}progress{width:160px;height:9px;accent-color:var(--accent)}
.failure{border-left:4px solid var(--bad);margin-top:10px}code{font:13px ui-monospace,monospace;background:var(--bg);border:1px solid var(--line);border-radius:6px;padding:1px 6px}
footer{margin-top:36px;font-size:13px;color:var(--dim)}a{color:var(--accent)}
)css";

constexpr const char* kScript = R"js(
setInterval(async()=>{if(document.hidden)return;try{
const answer=await fetch(location.href,{cache:"no-store"});if(!answer.ok)throw 0;
const next=new DOMParser().parseFromString(await answer.text(),"text/html").querySelector("main");
const old=document.querySelector("main");if(next&&old.outerHTML!==next.outerHTML)old.replaceWith(next);
document.title=document.title.replace(/^\(no answer\) /,"")}catch(problem){
if(!document.title.startsWith("(no answer) "))document.title="(no answer) "+document.title}},5000);
)js";

// As Content-Security-Policy names what may stand inline.
std::string hash_of(const char* text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  ::EVP_Digest(text, std::char_traits<char>::length(text), digest.data(), &size, ::EVP_sha256(),
               nullptr);
  std::array<unsigned char, 2 * EVP_MAX_MD_SIZE> base64{};
  const int length = ::EVP_EncodeBlock(base64.data(), digest.data(), static_cast<int>(size));
  return "'sha256-" + std::string(base64.data(), base64.data() + length) + "'";
}

const std::string& content_policy() {
  static const std::string policy =
      "default-src 'none'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
      "frame-ancestors 'none'; style-src " +
      hash_of(kStyle) + "; script-src " + hash_of(kScript);
  return policy;
}

std::string chip(const char* kind, const std::string& text) {
  return fmt::format("<span class=\"chip {}\">{}</span>", kind, text);
}

bool has_rpo(const Body& service) { return service.value("rpo_ns", std::int64_t{0}) > 0; }
bool misses(const Body& service) {
  return has_rpo(service) && !service.value("rpo_met", false) && !service.value("paused", false);
}

// A failure that no good point has followed.
bool fails(const Body& service) {
  const auto failure = service.find("last_failure");
  if (failure == service.end()) return false;
  const auto point = service.find("newest_point");
  if (point == service.end()) return true;
  const auto failed = parse_rfc3339(failure->value("moment", ""));
  const auto good = parse_rfc3339(point->value("moment", ""));
  return failed && good && *failed > *good;
}

// The fault prompt of the health-monitor; nothing where there is none.
const Body* fault_of(const Shown& shown) {
  if (!shown.client.is_object()) return nullptr;
  const Body& prompt = shown.client["prompt"];
  return prompt.is_object() ? &prompt : nullptr;
}

std::string verdict(const Shown& shown, UtcNanos now) {
  const auto say = [](const char* kind, const std::string& text) {
    return fmt::format("<p class=\"verdict {}\">{}</p>", kind, text);
  };
  if (!shown.status.is_object()) return say("warn", "The scheduler has not answered yet.");
  if (!shown.reachable) {
    return say("bad", "The scheduler does not answer. What stands below is " +
                          span_words(now - shown.status_at) + " old.");
  }
  const Body& services = shown.status["services"];
  const Body* fault = fault_of(shown);
  if (fault != nullptr) {
    return say("bad", "The primary " + text_at(*fault, "cluster") + " is " +
                          text_at(*fault, "health") + ": " + text_at(*fault, "reason"));
  }
  std::size_t missed = 0;
  std::size_t failing = 0;
  std::size_t without = 0;
  for (const auto& service : services) {
    missed += misses(service) ? 1 : 0;
    failing += fails(service) ? 1 : 0;
    without += has_rpo(service) ? 0 : 1;
  }
  std::size_t away = 0;
  for (const auto& agent : shown.status["agents"]) {
    away += agent.value("reachable", false) ? 0 : 1;
  }
  const std::string of = fmt::format("{} of {} services", missed, services.size());
  if (missed > 0) return say("bad", of + " without a recovery point as new as their policy asks.");
  if (away > 0) return say("warn", fmt::format("{} agents cannot be reached.", away));
  if (failing > 0) return say("warn", fmt::format("The last run of {} services failed.", failing));
  if (services.empty()) return say("warn", "No service yet: lockstep policy apply FILE.");
  if (without == services.size())
    return say("good", "All agents are reachable; no policy states an RPO.");
  return say("good", "Every service has a recovery point as new as its policy asks.");
}

// What the health-monitor sees of one cluster.
std::string health_of(const Shown& shown, const std::string& cluster) {
  if (!shown.client.is_object()) return {};
  std::string out;
  for (const auto& seen : shown.client["clusters"]) {
    if (seen.value("name", "") != cluster) continue;
    const std::string health = seen.value("health", "");
    const char* kind = health == "healthy" ? "good" : health == "degraded" ? "warn" : "bad";
    out += "<div>" + chip(kind, escaped(health)) + " <span class=dim>since " +
           text_at(seen, "since").substr(0, 19) + "</span></div>";
    if (const auto why = text_at(seen, "reason"); !why.empty()) out += "<div>" + why + "</div>";
  }
  if (!shown.client_known) out += "<div class=dim>as last heard: no answer now</div>";
  return out;
}

// What would be lost, and the command that takes over. Nothing happens by itself.
std::string fault(const Shown& shown) {
  const Body* prompt = fault_of(shown);
  if (prompt == nullptr) return {};
  std::string lost;
  for (const auto& service : (*prompt)["services"]) {
    const std::string moment = text_at(service, "moment");
    lost += "<li>" + text_at(service, "service") +
            (moment.empty()
                 ? ": no point; all of it would be lost"
                 : ": what was written after " + moment.substr(0, 19) + " UTC would be lost");
  }
  return fmt::format(
      "<section class=\"card failure\"><h3>{} is {} since {} UTC</h3><ul>{}</ul><p>To take over: "
      "<code>{}</code></p></section>",
      text_at(*prompt, "cluster"), text_at(*prompt, "health"),
      text_at(*prompt, "since").substr(0, 19), lost, text_at(*prompt, "command"));
}

std::string clusters(const Shown& shown) {
  const Body& status = shown.status;
  std::string out = "<div class=cards>";
  for (const auto& cluster : status["clusters"]) {
    const std::string name = text_at(cluster, "name");
    const bool primary = cluster.value("identity", "") == "primary";
    const bool used = shown.client.is_object() &&
                      shown.client.value("application", "") == cluster.value("name", "");
    out += fmt::format("<section class=card><h3>{} {}{}</h3>{}</section>", name,
                       chip(primary ? "good" : "plain", text_at(cluster, "identity")),
                       used ? " " + chip("plain", "used by applications") : "",
                       health_of(shown, cluster.value("name", "")));
  }
  std::string agents;
  for (const auto& agent : status["agents"]) {
    const bool there = agent.value("reachable", false);
    agents += fmt::format(
        "<li><span class=\"dot {}\"></span>{}{}</li>", there ? "good" : "bad",
        text_at(agent, "name"),
        there ? "" : " <span class=dim>not reachable since " + text_at(agent, "since") + "</span>");
  }
  return out + "<section class=card><h3>Agents</h3><ul class=agents>" + agents +
         "</ul></section></div>";
}

std::string step_row(const Body& step) {
  std::string progress;
  if (const auto said = step.find("progress"); said != step.end() && said->contains("sets")) {
    std::uint64_t done = 0;
    std::uint64_t expected = 0;
    for (const auto& set : (*said)["sets"]) {
      done += set.value("bytes", std::uint64_t{0});
      expected += set.value("bytes_expected", std::uint64_t{0});
    }
    if (expected > 0) {
      progress =
          fmt::format("<progress max={} value={}></progress> ", expected, std::min(done, expected));
    }
    progress += size_words(done) + (expected > 0 ? " of " + size_words(expected) : "");
  }
  const std::string state = step.value("state", "");
  const char* kind = state == "done" ? "good" : state == "failed" ? "bad" : "warn";
  return fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>", text_at(step, "step"),
                     text_at(step, "agent"), chip(kind, escaped(state)), progress);
}

std::string running(const Shown& shown) {
  std::string out;
  for (const auto& run : shown.runs) {
    out += fmt::format(
        "<h2>Running: {} <span class=dim>{}, moment {}</span></h2><div class=scroll><table>"
        "<thead><tr><th>Step<th>Agent<th>State<th>Progress</thead><tbody>",
        text_at(run, "service"), text_at(run, "state"), text_at(run, "moment"));
    if (const auto steps = run.find("steps"); steps != run.end()) {
      for (const auto& step : *steps) out += step_row(step);
    }
    out += "</tbody></table></div>";
  }
  return out;
}

std::string service_state(const Body& service) {
  if (const auto run = service.find("running"); run != service.end()) {
    return chip("warn", text_at(*run, "state"));
  }
  if (service.value("paused", false)) return chip("plain", "paused");
  return fails(service) ? chip("bad", "last run failed") : "";
}

std::string rpo_cell(const Body& service) {
  if (!has_rpo(service)) return "<span class=dim>not stated</span>";
  const Nanos rpo{service.value("rpo_ns", std::int64_t{0})};
  return (service.value("rpo_met", false) ? chip("good", "met") : chip("bad", "missed")) +
         "<small>within " + span_words(rpo) + "</small>";
}

std::string service_row(const Body& service, const PointsOf& all, UtcNanos now) {
  const auto point = service.find("newest_point");
  std::string newest = "<span class=dim>none</span>";
  if (point != service.end()) {
    const auto age = age_of(*point, "moment", now);
    newest = (age ? span_words(*age) + " ago" : "") + "<small>" +
             size_words(point->value("bytes", std::uint64_t{0})) + ", skew " +
             span_words({point->value("skew_ns", std::int64_t{0})}) + "</small>";
  }
  std::vector<const Body*> points;
  if (const auto found = all.find(service.value("service", "")); found != all.end()) {
    points = found->second;
  } else if (point != service.end()) {
    points.push_back(&*point);
  }
  const std::string next = text_at(service, "next_moment");
  return fmt::format(
      "<tr><td "
      "class=name>{}<small>{}{}</small></td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
      text_at(service, "service"), text_at(service, "mode"),
      next.empty() ? ", by hand" : ", next " + next.substr(0, 10) + " " + next.substr(11, 5),
      service_state(service), newest, rpo_cell(service),
      timeline(points, now, {service.value("rpo_ns", std::int64_t{0})}));
}

std::string services(const Shown& shown, UtcNanos now) {
  const Body& list = shown.status["services"];
  if (list.empty()) return {};
  // Many services: fewer points of each, so that the page stays small.
  const std::size_t most = list.size() > 200 ? 12 : list.size() > 50 ? 24 : 80;
  PointsOf points;
  for (const auto& point : shown.points) {
    auto& own = points[point.value("service", "")];
    if (own.size() < most) own.push_back(&point);
  }
  // What needs somebody comes first.
  std::vector<const Body*> rows;
  for (const auto& service : list) rows.push_back(&service);
  std::stable_sort(rows.begin(), rows.end(), [](const Body* left, const Body* right) {
    const auto rank = [](const Body& one) { return misses(one) ? 0 : fails(one) ? 1 : 2; };
    return rank(*left) < rank(*right);
  });
  std::string out =
      "<h2>Services</h2><div class=scroll><table><thead><tr><th>Service<th>State<th>Newest point"
      "<th>RPO<th>Recovery points, now at the right</thead><tbody>";
  for (const Body* service : rows) out += service_row(*service, points, now);
  return out +
         "</tbody></table></div><p class=key><i class=good></i>verified<i class=unread></i>not "
         "verified yet<i class=bad></i>damaged<i class=within></i>within the RPO; the higher, the "
         "larger</p>";
}

std::string failures(const Body& status) {
  std::string out;
  for (const auto& service : status["services"]) {
    if (!fails(service)) continue;
    const Body& run = service["last_failure"];
    std::string why;
    if (const auto error = run.find("error"); error != run.end()) {
      why = fmt::format("{} <span class=dim>{}</span><br>{}", text_at(*error, "what"),
                        text_at(*error, "where"), text_at(*error, "hint"));
    }
    out += fmt::format(
        "<section class=\"card failure\"><h3>{}</h3>{}<p><code>lockstep explain "
        "{}</code></p></section>",
        text_at(service, "service"), why, text_at(run, "run"));
  }
  return out.empty() ? out : "<h2>Failures since the newest point</h2>" + out;
}

}  // namespace

Answer page(const Shown& shown, UtcNanos now) {
  std::string body = verdict(shown, now);
  std::string site = "Lockstep";
  if (shown.status.is_object()) {
    site = text_at(shown.status, "site");
    body += fault(shown) + clusters(shown) + running(shown) + services(shown, now) +
            failures(shown.status);
  }
  const std::string epoch =
      shown.status.is_object() ? fmt::format("identity epoch {}, ", shown.status["epoch"].value(
                                                                        "number", std::uint64_t{0}))
                               : "";
  std::string text = fmt::format(
      "<!DOCTYPE html><html lang=en><head><meta charset=utf-8><title>{0} · Lockstep</title>"
      "<meta name=viewport content=\"width=device-width\"><noscript><meta http-equiv=refresh "
      "content=15></noscript><style>{1}</style></head><body><main><header><h1>{0}</h1>"
      "<span class=dim>{2}as of {3} UTC</span></header>{4}<footer>Read-only. "
      "<a href=/metrics>metrics</a> · <a href=/status.json>JSON</a></footer></main>"
      "<script>{5}</script></body></html>\n",
      site, kStyle, epoch, to_rfc3339(now).substr(0, 19), body, kScript);
  return {"text/html; charset=utf-8", std::move(text), content_policy()};
}

}  // namespace lockstep::gateway
