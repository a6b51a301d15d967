// Documents that people write: policies, lockstep.yaml, and scenarios.
#include <algorithm>
#include <cctype>

#include "common/config/site.hpp"
#include "common/policy/policy.hpp"
#include "services/cli/inject/scenario.hpp"
#include "tests/fuzz/target.hpp"

namespace lockstep::fuzz {

void must_tell_place(const Error& error, std::string_view file) {
  must_tell(error);
  const std::string start = std::string(file) + ":";
  must(error.where.starts_with(start), "an error of a document names it: " + error.text());
  const std::string_view place = std::string_view(error.where).substr(start.size());
  const auto colon = place.find(':');
  const auto number = [](std::string_view text) {
    return !text.empty() && text.front() != '0' &&
           std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c); });
  };
  must(colon != std::string_view::npos && number(place.substr(0, colon)) &&
           number(place.substr(colon + 1)),
       "an error of a document has line and column: " + error.text());
}

void policy(std::string_view input) {
  const auto read = policy::parse(std::string(input), "policy.yaml");
  if (!read) return must_tell_place(read.error(), "policy.yaml");
  const message::Body told = policy::to_body(*read);
  const auto fits = message::check_schema("policy", told);
  must(fits.has_value(), "a policy that is accepted can be sent");
  const auto again = policy::from_body(told);
  must(again && policy::to_body(*again) == told, "a policy survives being sent");
  const auto findings = policy::check(*read);
  for (const auto& finding : findings) must(!finding.what.empty(), "a finding says what");
  policy::Layout layout;
  layout.roots = {{"north", "/srv/n"}, {"south", "/srv/s"}};
  layout.primary = "north";
  policy::check_together({*read, *again}, layout);
  const UtcNanos now{1'700'000'000'000'000'000};
  const auto next = policy::next_moment(read->schedule, now);
  if (!next) return must_tell(next.error());
  must(!*next || **next > now, "the next moment is yet to come");
}

void site(std::string_view input) {
  const auto read = config::parse_site(input, "/etc/lockstep/lockstep.yaml", "lockstep.yaml");
  if (!read) return must_tell_place(read.error(), "lockstep.yaml");
  must(read->clusters.size() == 2, "a site has two clusters");
  for (const auto& [name, cluster] : read->clusters) {
    must(read->registrar(name) != nullptr, "each cluster has a registrar");
    for (const auto& agent : cluster.agents) {
      const config::Cluster* of = nullptr;
      must(read->find_agent(agent.name, &of) != nullptr && of == &cluster,
           "an agent is found by its name");
    }
  }
}

namespace {

// Every step stands in the document, and repeats hold no more than it has.
std::size_t count_steps(const std::vector<cli::inject::Step>& steps) {
  std::size_t count = steps.size();
  for (const auto& step : steps) {
    must(step.where.starts_with("scenario.yaml:"), "a step says where it stands: " + step.where);
    if (const auto* repeat = std::get_if<cli::inject::Repeat>(&step.act)) {
      must(repeat->times >= 0, "nothing is repeated less than not at all");
      count += count_steps(repeat->steps);
    }
  }
  return count;
}

}  // namespace

void scenario(std::string_view input) {
  const auto read = cli::inject::parse_scenario(input, "scenario.yaml");
  if (!read) return must_tell_place(read.error(), "scenario.yaml");
  must(!read->title.empty(), "a scenario has a title");
  must(count_steps(read->steps) <= input.size(), "a scenario has no more steps than its document");
}

}  // namespace lockstep::fuzz
