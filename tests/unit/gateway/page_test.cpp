#include "services/gateway/page.hpp"

#include <catch2/catch.hpp>

namespace lockstep::gateway {
namespace {

using message::Body;

const UtcNanos kNow = parse_rfc3339("2026-11-21T12:00:00Z").value();

Body point(const char* moment) {
  return {{"id", "0193a5f0-1234-7abc-8def-000000000001"},
          {"service", "orders"},
          {"moment", moment},
          {"sealed_at", moment},
          {"mode", "push"},
          {"consistency", "fenced"},
          {"skew_ns", 1000},
          {"lateness_ns", 1000},
          {"digest", "00"},
          {"entries", 3},
          {"bytes", 5000},
          {"sets", {"files"}}};
}

Shown shown() {
  Shown out;
  out.reachable = true;
  out.status_at = kNow;
  out.status = {
      {"site", "here"},
      {"epoch", {{"number", 1}, {"promotion", ""}}},
      {"clusters", Body::array({{{"name", "north"}, {"identity", "primary"}},
                                {{"name", "south"}, {"identity", "secondary"}}})},
      {"agents",
       Body::array(
           {{{"name", "north-snapshot"}, {"reachable", true}, {"since", "2026-11-21T00:00:00Z"}}})},
      {"services", Body::array({{{"service", "orders"},
                                 {"mode", "push"},
                                 {"paused", false},
                                 {"rpo_ns", 3'600'000'000'000},
                                 {"rpo_met", true},
                                 {"newest_point", point("2026-11-21T11:30:00Z")}}})}};
  out.points = Body::array({point("2026-11-21T11:30:00Z"), point("2026-11-21T10:30:00Z")});
  return out;
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_CASE("the page says that all is well only where it is known to be") {
  CHECK(has(page(shown(), kNow).text, "verdict good"));
  Shown late = shown();
  late.status["services"][0]["rpo_met"] = false;
  CHECK(has(page(late, kNow).text, "1 of 1 services without a recovery point"));
  late.status["services"][0]["paused"] = true;
  CHECK_FALSE(has(page(late, kNow).text, "verdict bad"));
  for (const char* away : {"policy", "health-monitor"}) {
    Shown half = shown();
    half.pings = {{away, Body{}}, {"scheduler", Body::object()}};
    CHECK(has(page(half, kNow).text, "verdict warn"));
    CHECK(has(page(half, kNow).text, away));
    half.pings[away] = Body::object();
    CHECK(has(page(half, kNow).text, "verdict good"));
  }
  // It says no "apply a policy" to whoever has applied all of them.
  Shown forgetful = shown();
  forgetful.status["services"] = Body::array();
  forgetful.pings = {{"policy", Body{}}};
  CHECK(has(page(forgetful, kNow).text, "nothing is backed up"));
  CHECK(has(page(forgetful, kNow).text, "verdict bad"));
  Shown silent = shown();
  silent.reachable = false;
  CHECK(has(page(silent, kNow).text, "does not answer"));
  Shown away = shown();
  away.status["agents"][0]["reachable"] = false;
  CHECK(has(page(away, kNow).text, "cannot be reached"));
  CHECK(has(page(Shown{}, kNow).text, "has not answered yet"));
}

TEST_CASE(
    "a fault of the primary is told with what would be lost and the command, and nothing else is") {
  Shown one = shown();
  one.client_known = true;
  one.client = Body::parse(R"({"application": "north", "two_primaries": false, "decided": null,
    "clashes": [], "prompt": null, "clusters": [
      {"name": "north", "identity": "primary", "epoch": 1, "health": "healthy", "reason": "",
       "since": "2026-11-21T00:00:00Z", "agents": [], "stores": []},
      {"name": "south", "identity": "secondary", "epoch": 1, "health": "degraded",
       "reason": "south-snapshot is <silent>", "since": "2026-11-21T00:00:00Z", "agents": [],
       "stores": []}]})");
  const std::string text = page(one, kNow).text;
  CHECK(has(text, "used by applications"));
  CHECK(has(text, "<span class=\"chip good\">healthy</span>"));
  CHECK(has(text, "south-snapshot is &lt;silent&gt;"));
  CHECK(has(text, "verdict good"));
  CHECK_FALSE(has(text, "To take over"));
  CHECK_FALSE(has(text, "as last heard"));

  one.client["prompt"] = Body::parse(R"({"cluster": "north", "health": "failed",
    "reason": "the root <cannot> be written", "since": "2026-11-21T11:00:00Z",
    "command": "lockstep promote south", "services": [
      {"service": "orders", "moment": "2026-11-21T10:30:00Z"}, {"service": "bills"}]})");
  one.client_known = false;
  const std::string fault = page(one, kNow).text;
  CHECK(has(fault, "verdict bad"));
  CHECK(has(fault, "the root &lt;cannot&gt; be written"));
  CHECK(has(fault, "<code>lockstep promote south</code>"));
  CHECK(has(fault, "orders: what was written after 2026-11-21T10:30:00 UTC would be lost"));
  CHECK(has(fault, "bills: no point; all of it would be lost"));
  CHECK(has(fault, "as last heard"));
}

TEST_CASE("drills stand beside the points, and one that is overdue is said first") {
  CHECK_FALSE(has(page(shown(), kNow).text, "Last good drill"));
  Shown one = shown();
  Body& drill = one.status["services"][0]["drill"];
  drill = Body::parse(R"({"max_age_ns": 1296000000000000, "met": true,
    "last": {"drill": "x", "point": "0193a5f0-1234-7abc-8def-000000000001", "outcome": "good",
             "ended_at": "2026-11-18T12:00:00Z", "recovery_ns": 120000000}})");
  drill["last_good"] = drill["last"];
  std::string text = page(one, kNow).text;
  CHECK(has(text, "Last good drill"));
  CHECK(has(
      text,
      "<td data-of=\"Last good drill: \">3 d ago<small>up in 120.0 ms, within 15 d</small></td>"));
  CHECK(has(text, "<circle class=drilled"));
  CHECK(has(text, "drilled at 2026-11-18T12:00:00Z: good, up in 120.0 ms"));
  CHECK(has(text, "verdict good"));

  drill["last"] = {{"drill", "y"},
                   {"point", "z"},
                   {"outcome", "check-failed"},
                   {"ended_at", "2026-11-20T12:00:00Z"}};
  drill["met"] = false;
  text = page(one, kNow).text;
  CHECK(has(text, "<span class=\"chip warn\">last: check-failed</span>"));
  CHECK(has(text, "<span class=\"chip bad\">overdue</span>"));
  CHECK(has(text, "verdict warn\">1 of 1 services without a good drill"));
  one.status["services"][0]["paused"] = true;
  CHECK_FALSE(has(page(one, kNow).text, "overdue"));
  drill = {{"max_age_ns", 1000}, {"met", false}};
  CHECK(has(page(one, kNow).text, "no good one yet"));
}

TEST_CASE("clocks are told for each part, or once where all go by one") {
  CHECK_FALSE(has(page(shown(), kNow).text, "class=clock"));
  Shown one = shown();
  const Body clock = Body::parse(R"({"boot_id": "a", "synchronised": true, "error_ns": 800000,
                                     "source": "192.0.2.1", "fit": true})");
  one.status["clock"] = clock;
  one.status["agents"][0]["clock"] = clock;
  CHECK(has(page(one, kNow).text, "all on one host, by one clock"));
  CHECK_FALSE(has(page(one, kNow).text, "192.0.2.1"));

  one.status["agents"][0]["clock"]["boot_id"] = "b";
  std::string text = page(one, kNow).text;
  CHECK(has(text, "control device<span class=clock>clock 192.0.2.1 ± 800 µs</span>"));
  CHECK(has(text, "north-snapshot<span class=clock>"));
  CHECK(has(text, "verdict good"));

  one.status["agents"][0]["clock"]["fit"] = false;
  one.status["agents"][0]["clock"]["synchronised"] = false;
  one.status["agents"][0]["clock"]["reason"] = "it follows <nobody>";
  text = page(one, kNow).text;
  CHECK(has(text, "clock 192.0.2.1, not synchronised <span class=\"chip bad\">unfit</span>"));
  CHECK(has(text, "it follows &lt;nobody&gt;"));
  CHECK(has(text, "verdict warn\">The clock of north-snapshot cannot serve"));
}

TEST_CASE("user data that was not applied is told with the reason") {
  Shown one = shown();
  one.status["users"] = {{"ended_at", "2026-11-21T11:00:00Z"}, {"how", "push"}};
  CHECK(has(page(one, kNow).text, "verdict good"));
  one.status["users"]["error"] = {
      {"what", "it would remove <3>"}, {"where", "south"}, {"hint", ""}};
  const std::string text = page(one, kNow).text;
  CHECK(has(text, "verdict warn\">User data was not applied"));
  CHECK(has(text, "it would remove &lt;3&gt;"));
}

TEST_CASE("whatever stands in an error or a name, it is text on the page") {
  Shown hostile = shown();
  const std::string bad = "<script>alert(1)</script>\"'&\xff";
  Body run{{"run", bad},
           {"service", "orders"},
           {"moment", "2026-11-21T11:59:00Z"},
           {"error", {{"what", bad}, {"where", bad}, {"hint", bad}}}};
  hostile.status["services"][0]["last_failure"] = run;
  hostile.status["site"] = bad;
  hostile.status["clusters"][0]["name"] = bad;
  const std::string text = page(hostile, kNow).text;
  CHECK_FALSE(has(text, "<script>alert"));
  CHECK(has(text, "&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;"));
  CHECK(has(text, "\\xff"));
}

TEST_CASE("a failure that a good point has followed is no failure any more") {
  Shown one = shown();
  one.status["services"][0]["last_failure"] = {
      {"run", "x"}, {"service", "orders"}, {"moment", "2026-11-21T11:00:00Z"}};
  CHECK_FALSE(has(page(one, kNow).text, "lockstep explain"));
  one.status["services"][0]["last_failure"]["moment"] = "2026-11-21T11:45:00Z";
  CHECK(has(page(one, kNow).text, "lockstep explain"));
}

TEST_CASE(
    "without a token only requests for this machine are answered, with one only who shows it") {
  CHECK(may_ask("", "127.0.0.1:9480", ""));
  CHECK(may_ask("", "localhost:9480", ""));
  CHECK(may_ask("", "[::1]:9480", ""));
  CHECK_FALSE(may_ask("", "evil.example:9480", ""));
  CHECK_FALSE(may_ask("", "127.evil.example:9480", ""));
  CHECK_FALSE(may_ask("", "[::1].evil.example", ""));
  CHECK_FALSE(may_ask("", "", ""));
  CHECK(may_ask("secret", "any", "Bearer secret"));
  CHECK(may_ask("secret", "any", "Basic eDpzZWNyZXQ="));
  CHECK_FALSE(may_ask("secret", "localhost", ""));
  CHECK_FALSE(may_ask("secret", "any", "Bearer secre"));
  CHECK_FALSE(may_ask("secret", "any", "Basic c2VjcmV0"));
  CHECK_FALSE(may_ask("secret", "any", "Basic \x01\x02"));
}

}  // namespace
}  // namespace lockstep::gateway
