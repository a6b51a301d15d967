// journal_child JOURNAL EFFECT: one piece of work: intent, the file EFFECT, done. A failpoint
// (work.intent.after, effect.made, work.done.before, ...) may end it anywhere.
#include <cstdio>
#include <fstream>

#include "common/os/failpoint.hpp"
#include "tests/unit/journal/work_journal.hpp"

using namespace lockstep;

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const auto clock = make_system_clock();
  auto journal = journal::open(test::work_options(argv[1]), *clock);
  if (!journal) {
    std::puts(journal.error().text().c_str());
    return 1;
  }
  const auto step = [&](const char* failpoint, const std::string& state) {
    auto done = (*journal)->transact(failpoint, [&](journal::Transaction& transaction) {
      return test::set_state(transaction, "one", state);
    });
    return done.has_value();
  };
  if (!step("work.intent", "intent")) return 1;
  std::ofstream(argv[2]) << "effect";
  os::failpoint("effect.made");
  if (!step("work.done", "done")) return 1;
  return 0;
}
