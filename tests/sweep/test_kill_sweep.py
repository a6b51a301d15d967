#!/usr/bin/python3
"""The kill sweep: every failpoint of every service, killed once in a push and once in a pull of real
processes. The failpoints are those that an undisturbed round of the same acts passed, so that the list
is the programs' own. docs/reliability.md says what is held against what comes out.

    LOCKSTEP_SEED=N            the same choice and the same data again
    LOCKSTEP_SWEEP=WORD,...    only the deaths whose line holds one of the words
    LOCKSTEP_TEST_FULL=1       all of them, not a third
"""
import os
import random
import sys
import time
import unittest

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
from deaths import FULL, ONLY, SEED, asked_for, die, say, sweep_both_modes  # noqa: E402
from outbox import Watch  # noqa: E402
from reviver import Reviver  # noqa: E402
from sweep_site import new_site, protocol  # noqa: E402

TERMINAL = ("complete", "failed", "aborted", "missed")
# In transfers some passings lie in the middle: enough data for several packs and several credits.
BULK, SMALL = 24 << 20, 1 << 20


class Acts:
    """What is done while somebody dies. Each returns its problems, empty where all is as it should."""

    def __init__(self, site):
        self.site = site

    def run(self, bulk):
        self.site.change_data(bulk)
        before = {run["run"] for run in self.site.runs("orders")}
        self.begin("orders", before)
        runs = self.wait("orders", before)
        out = [problem for run in runs[1:] for problem in self.failed_run_problems(run)]
        if runs[0]["state"] != "complete":
            return out + [f"the last run is {runs[0]['state']}: {runs[0].get('error')}"]
        return out + self.site.point_problems(runs[0]["point"])

    def abort(self, _bulk):
        before = {run["run"] for run in self.site.runs("slow")}
        self.begin("slow", before)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            run = self.site.runs("slow")[0]
            if run["run"] not in before and run["state"] in ("transfer", *TERMINAL):
                break
            time.sleep(0.05)
        try:
            self.site.ask("scheduler", "run.abort", {"run": run["run"]})
        except protocol.Failed as failed:
            if failed.error["code"] != "guard":  # it had ended, or the first try was heard
                raise
        runs = self.wait("slow", before)
        wrong = [run for run in runs if run["state"] not in ("aborted", "failed")]
        return [f"a run that was aborted is {run['state']}" for run in wrong]

    def apply(self, _bulk):
        self.site.rpo += 1
        text = self.site.policy("orders")
        self.site.ask("policy", "policy.apply", {"yaml": text, "file": "orders.yaml", "dry_run": False})
        return [] if self.site.ask("policy", "policy.show", {"service": "orders"})["yaml"] == text else ["another policy stands"]

    def begin(self, service, before):
        try:
            self.site.ask("scheduler", "run.start", {"service": service, "wait": False, "dry_run": False})
        except protocol.Failed as failed:
            # The scheduler died after it had begun the run and before it said so.
            if failed.error["code"] != "run-busy" or {run["run"] for run in self.site.runs(service)} <= before:
                raise

    def wait(self, service, before, seconds=150):
        """The new runs, newest first, when all have ended."""
        deadline = time.monotonic() + seconds
        while True:
            runs = [run for run in self.site.runs(service) if run["run"] not in before]
            if runs and all(run["state"] in TERMINAL for run in runs):
                return runs
            if time.monotonic() > deadline:
                raise AssertionError(f"runs that do not end: {[(r['run'], r['state'], r.get('error')) for r in runs]}")
            time.sleep(0.1)

    def failed_run_problems(self, run):
        code = run.get("error", {}).get("code", "")
        if run["state"] != "failed" or code in ("", "internal"):
            return [f"an earlier run is {run['state']} for no named reason: {run.get('error')}"]
        if "transfer" in self.site.steps(run["run"]) and code != "pin-lost":
            return [f"a run that was committed failed: {run.get('error')}"]
        return []


class Sweep:
    """One mode on one site; a site that a death has left wrong is replaced."""

    def __init__(self, mode):
        self.mode, self.random = mode, random.Random(f"{SEED}{mode}")
        self.site = self.reviver = self.acts = self.watch = None

    def open(self):
        self.site = new_site(self.mode, SEED)
        self.acts = Acts(self.site)
        self.watch = Watch(self.site.ask, list(self.site.programs))
        self.reviver = Reviver(self.site)
        self.reviver.start()
        for _ in range(3):  # a base, and points to prune
            assert not self.acts.run(SMALL)

    def close(self):
        """The problems that only the journals tell."""
        self.reviver.stop()
        self.site.down()
        problems = self.site.journals_problems()
        self.site.close()
        self.site.disks.close()
        return problems

    def enumerate(self):
        """[(act, service, failpoint, passings)] of an undisturbed round."""
        found, deaths = set(), []
        for act in ("run", "abort", "apply"):
            self.site.leftovers_in_the_end()
            self.site.passed()
            problems = self.act(act, BULK)
            assert not problems, problems
            for (service, failpoint), passings in sorted(self.site.passed().items()):
                if (service, failpoint) not in found:
                    found.add((service, failpoint))
                    deaths.append((act, service, failpoint, passings))
        return deaths

    def kill(self, act, service, failpoint, passing):
        self.reviver.died.clear()
        bulk = BULK if failpoint.startswith(("stream", "transfer.", "files-", "sqlite.seal", "manifest")) else SMALL
        self.site.arm_death(service, failpoint, passing)
        problems = self.act(act, bulk)
        if not self.site.death_was_met(service):  # it is not passed as often at every time
            self.site.arm_death(service, failpoint, 1)
            problems += self.act(act, bulk)
        met = self.site.death_was_met(service)
        self.site.disarm(service)
        died = [(name, status) for name, status in self.reviver.died if (name, status) != (service, -9)]
        problems += [f"{name} ended too, with {status}" for name, status in died]
        return met, problems + self.watch.problems()

    def act(self, act, bulk):
        return getattr(self.acts, act)(bulk) + self.site.leftovers_in_the_end()

    def run(self):
        self.open()
        deaths = self.enumerate()
        chosen = [(act, service, failpoint, self.random.randint(1, passings))
                  for act, service, failpoint, passings in deaths]
        everything = len(chosen)
        if ONLY:
            chosen = asked_for(self.mode, chosen)
        elif not FULL:
            chosen = sorted(self.random.sample(chosen, (everything + 2) // 3), key=chosen.index)
        say(f"{self.mode}: {everything} failpoints, {len(chosen)} deaths")
        failures, unmet = die(self, chosen)
        problems = self.close()
        if problems:
            failures.append((f"{self.mode}: journals in the end", problems, ""))
        return {"failpoints": everything, "deaths": len(chosen), "unmet": unmet, "failures": failures}


@unittest.skipIf(os.geteuid() != 0, "needs root for loop devices and mounts")
class KillSweep(unittest.TestCase):
    def test_whoever_dies_wherever_nothing_is_lost_done_twice_or_left_behind(self):
        sweep_both_modes(self, lambda mode, _part: Sweep(mode).run(), lambda deaths: 1 + deaths // 20)


if __name__ == "__main__":
    unittest.main()
