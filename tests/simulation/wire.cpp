#include "tests/simulation/wire.hpp"

namespace lockstep::simulation {

void Wire::carry(std::function<void()> arrival) {
  const int copies = world_.mishap(repeat) ? 2 : 1;
  for (int copy = 0; copy < copies; ++copy) {
    if (world_.mishap(loss)) continue;
    world_.after(world_.between(50'000, latest), arrival);
  }
}

void Wire::send(const Letter& letter) {
  const auto to = agents.find(letter.ask.key.agent);
  if (to == agents.end()) {
    world_.violated("a letter to nobody: " + letter.text());
    return;
  }
  carry([agent = to->second, letter] { agent->receive(letter); });
}

void Wire::answer(const Reply& reply) {
  carry([this, reply] { to_control(reply); });
}

}  // namespace lockstep::simulation
