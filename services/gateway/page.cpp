#include "services/gateway/page.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>

#include "services/gateway/page_parts.hpp"
#include "services/gateway/page_services.hpp"

namespace lockstep::gateway {

namespace {

using message::Body;

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
.agents li{display:flex;flex-wrap:wrap;align-items:baseline;column-gap:2px}.clock{margin-left:auto;color:var(--dim);font-size:12.5px}
.why{flex-basis:100%;margin-left:17px;color:var(--dim);font-size:12.5px}
.dot.good{background:var(--good)}.dot.bad{background:var(--bad)}.scroll{overflow-x:auto;background:var(--card);border:1px solid var(--line);border-radius:12px}
table{border-collapse:collapse;width:100%}th{font-size:12.5px;text-align:left;color:var(--dim);font-weight:600}th,td{padding:10px 14px;border-top:1px solid var(--line);vertical-align:middle}
thead th{border-top:0}td small{display:block;white-space:nowrap;color:var(--dim);font-size:12.5px;line-height:1.35}td.name{font-weight:600}td.name small{font-weight:400}
svg{width:290px;height:40px;display:block}svg .drilled{fill:var(--accent)}svg .good{fill:var(--good)}svg .unread{fill:var(--unread)}svg .bad{fill:var(--bad)}
svg .within{fill:var(--goodbg)}svg .axis{stroke:var(--line);fill:none}.key{margin:8px 2px;font-size:12.5px;color:var(--dim)}
.key i{display:inline-block;width:9px;height:9px;border-radius:2px;margin:0 5px 0 14px}.key .good{background:var(--good)}.key .unread{background:var(--unread)}
.key .bad{background:var(--bad)}.key .drilled{background:var(--accent);border-radius:9px}.key .within{background:var(--goodbg)}progress{width:160px;height:9px;accent-color:var(--accent)}
.failure{border-left:4px solid var(--bad);margin-top:10px}code{font:13px ui-monospace,monospace;background:var(--bg);border:1px solid var(--line);border-radius:6px;padding:1px 6px}
.services th:last-child,.services td:last-child{width:1%}
@media(max-width:640px){.services thead,.services td:empty{display:none}.services tr{display:block;padding:8px 0;border-top:1px solid var(--line)}
.services tr:first-child{border-top:0}.services td,.services td:last-child{display:block;width:auto;border:0;padding:3px 14px}
.services td[data-of]::before{content:attr(data-of);color:var(--dim)}.services svg{max-width:100%}}
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

// The fault prompt of the health-monitor; nothing where there is none.
const Body* fault_of(const Shown& shown) {
  if (!shown.client.is_object()) return nullptr;
  const Body& prompt = shown.client["prompt"];
  return prompt.is_object() ? &prompt : nullptr;
}

// Whose clocks runs over several hosts may not be compared by, in words.
std::string unfit_clocks(const Body& status) {
  const auto unfit = [](const Body& part) {
    const auto clock = part.find("clock");
    return clock != part.end() && !clock->value("fit", true);
  };
  std::string out = unfit(status) ? "the control device" : "";
  for (const auto& agent : status["agents"]) {
    if (unfit(agent)) out += (out.empty() ? "" : ", ") + text_at(agent, "name");
  }
  return out;
}

// The last time that user data was to be applied, where it was not.
const Body* users_failed(const Body& status) {
  const auto users = status.find("users");
  return users != status.end() && users->contains("error") ? &*users : nullptr;
}

// A service of the control device that did not answer the last time it was asked.
bool is_silent(const Shown& shown, const char* service) {
  const auto ping = shown.pings.find(service);
  return ping != shown.pings.end() && !ping->second.is_object();
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
  // A scheduler that was started meanwhile knows no policy, and what it does not know it does not
  // miss.
  if (services.empty() && is_silent(shown, "policy")) {
    return say("bad",
               "The policy service does not answer, and the scheduler knows no policy: "
               "nothing is backed up.");
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
  if (is_silent(shown, "health-monitor")) {
    return say("warn",
               "The health-monitor does not answer: nobody watches the clusters, and no "
               "promotion is possible.");
  }
  if (is_silent(shown, "policy")) {
    return say("warn",
               "The policy service does not answer: no policy can be changed, and a "
               "scheduler that is started now knows none.");
  }
  if (failing > 0) return say("warn", fmt::format("The last run of {} services failed.", failing));
  if (const auto unfit = unfit_clocks(shown.status); !unfit.empty()) {
    return say("warn",
               "The clock of " + unfit + " cannot serve: runs over several hosts are refused.");
  }
  if (const auto late = std::count_if(services.begin(), services.end(), drill_overdue); late > 0) {
    return say("warn", fmt::format("{} of {} services without a good drill for as long as their "
                                   "policy lets it be.",
                                   late, services.size()));
  }
  if (const Body* users = users_failed(shown.status); users != nullptr) {
    return say("warn", "User data was not applied to the secondary.");
  }
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

// Nobody's clock can differ where all of them were started with one boot of one host.
bool one_clock(const Body& status) {
  const auto own = status.find("clock");
  if (own == status.end()) return false;
  return std::all_of(status["agents"].begin(), status["agents"].end(), [&](const Body& agent) {
    const auto clock = agent.find("clock");
    return clock == agent.end() || clock->value("boot_id", "") == own->value("boot_id", "");
  });
}

// Of the control device or an agent: what it follows and what it may be wrong by.
std::string clock_of(const Body& part) {
  const auto clock = part.find("clock");
  if (clock == part.end()) return {};
  std::string text = "clock " + text_at(*clock, "source");
  text += clock->value("synchronised", false)
              ? " ± " + span_words({clock->value("error_ns", std::int64_t{0})})
              : ", not synchronised";
  if (clock->value("fit", true)) return "<span class=clock>" + text + "</span>";
  return "<span class=clock>" + text + " " + chip("bad", "unfit") + "</span><div class=why>" +
         text_at(*clock, "reason") + "</div>";
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
  const bool one = one_clock(status);
  std::string agents;
  if (!one && status.contains("clock")) {
    agents += "<li><span class=\"dot good\"></span>control device" + clock_of(status) + "</li>";
  }
  for (const auto& agent : status["agents"]) {
    const bool there = agent.value("reachable", false);
    agents += fmt::format(
        "<li><span class=\"dot {}\"></span>{}{}{}</li>", there ? "good" : "bad",
        text_at(agent, "name"), one ? "" : clock_of(agent),
        there ? "" : "<span class=why>not reachable since " + text_at(agent, "since") + "</span>");
  }
  if (one) agents += "<li class=dim>all on one host, by one clock</li>";
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
  if (const Body* users = users_failed(status)) {
    const Body& error = (*users)["error"];
    out += fmt::format(
        "<section class=\"card failure\"><h3>User data, {} UTC</h3>{} <span "
        "class=dim>{}</span><br>{}"
        "<p><code>lockstep users diff</code></p></section>",
        text_at(*users, "ended_at").substr(0, 19), text_at(error, "what"), text_at(error, "where"),
        text_at(error, "hint"));
  }
  return out.empty() ? out : "<h2>Failures</h2>" + out;
}

}  // namespace

Answer page(const Shown& shown, UtcNanos now) {
  std::string body = verdict(shown, now);
  std::string site = "Lockstep";
  if (shown.status.is_object()) {
    site = text_at(shown.status, "site");
    body += fault(shown) + clusters(shown) + running(shown) + services_table(shown, now) +
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
