#!/usr/bin/python3
"""Three sites in network namespaces: each pair of them cut, and all three, at each phase of a run, a promotion, a
failback and a switchover; healed, everything converges. role_changes.py says what that is.

    LOCKSTEP_SEED=N            the same choice again
    LOCKSTEP_CUTS=WORD,...     only the cuts whose line holds one of the words
    LOCKSTEP_TEST_FULL=1       all of them
"""
import contextlib
import os
import random
import time
import unittest

from failpoints import Failpoints
from harness import FULL, Disks, SiteTest
from many_hosts import ManyHosts
from namespaces import Hosts
from role_changes import Roles

SEED = int(os.environ.get("LOCKSTEP_SEED") or random.randrange(1 << 30))
ONLY = [word for word in os.environ.get("LOCKSTEP_CUTS", "").split(",") if word]
SHORT = 8       # of the whole grid, in the short tier, by push and by pull each
MOST_FAILURES = 6
PARTIES = {  # party: (program, host, port)
    "policy": ("policy", "control", 7401), "scheduler": ("scheduler", "control", 7411),
    "health-monitor": ("health-monitor", "control", 7451),
    "north-snapshot": ("snapshot-agent", "north", 7421), "north-transfer": ("transfer-agent", "north", 7431),
    "south-snapshot": ("snapshot-agent", "south", 7421), "south-transfer": ("transfer-agent", "south", 7431)}
DECIDED = ["decided", "isolated", "stood-down", "activated", "identified", "switched"]
PHASES = {
    "run": [("scheduler", f"scheduler.run.{phase}.after") for phase in
            ("arm", "raise", "pin", "lower", "commit", "transfer", "seal", "keep", "complete")],
    "promotion": [("health-monitor", f"promotion.{stage}.after") for stage in ["planned", *DECIDED]]
    + [("registrar", "activate.staged"), ("registrar", "activate.aside")],
    "failback": [("health-monitor", f"promotion.{stage}.after") for stage in
                 ["planned", "confirmed", "set-aside", "caught-up", "stopped", "carried", *DECIDED]],
    "switchover": [("health-monitor", f"promotion.{stage}.after") for stage in
                   ["planned", "confirmed", "caught-up", "stopped", "carried", *DECIDED]]}
CUTS = {"control from the primary": [("control", "now")], "control from the secondary": [("control", "other")],
        "the clusters": [("now", "other")], "all three": [("control", "now"), ("control", "other"), ("now", "other")]}


class ThreeSites(Failpoints, ManyHosts):
    def __init__(self, hosts, north, south):
        super().__init__(hosts, north, south, parties=PARTIES)
        self.prepare_failpoints()


class Cuts(SiteTest):
    mode = "push"

    def setUp(self):
        self.addCleanup(self.assert_no_sanitizer_reports, self.sanitizer_reports())
        self.open = contextlib.ExitStack()
        self.addCleanup(lambda: self.open.close())  # pylint: disable=unnecessary-lambda

    def open_site(self):
        """A new one, in place of the one that there was."""
        self.open.close()
        self.disks = Disks()
        self.open.callback(self.disks.close)
        self.hosts = Hosts(["control", "north", "south"])
        self.open.callback(self.hosts.close)
        self.site = ThreeSites(self.hosts, self.disks.make("north", "btrfs"), self.disks.make("south", "btrfs"))
        self.open.callback(self.site.close)
        self.roles = Roles(self.site, self.disks, self.mode, SEED)
        self.roles.begin()

    def cut_at(self, service, cut, span):
        """What happens to an act: it is stopped at the place, cut, goes on, and is healed a while later."""
        name = {"registrar": self.roles.other + "-transfer"}.get(service, service)
        pairs = [tuple(getattr(self.roles, end, end) for end in pair) for pair in CUTS[cut]]
        met = []

        def happens(asked):
            deadline = time.monotonic() + 60
            while not (stopped := self.site.is_stopped(name)) and asked.poll() is None and time.monotonic() < deadline:
                time.sleep(0.02)
            met.append(stopped or self.site.is_stopped(name))
            for pair in pairs:
                self.hosts.cut_pair(*pair)
            self.site.disarm(name)
            self.site.goes_on(name)
            time.sleep(span)
            for pair in pairs:
                self.hosts.heal_pair(*pair)
        return name, happens, met

    def test_each_cut_at_each_phase_heals_and_everything_converges(self):
        draw = random.Random(f"{SEED}{self.mode}")
        grid = [(act, *phase, cut) for act, phases in PHASES.items() for phase in phases for cut in CUTS]
        line = {one: f"{self.mode} {one[0]} {one[2]}: {one[3]}" for one in grid}
        chosen = [one for one in grid if any(word in line[one] for word in ONLY)] if ONLY else grid
        if not FULL and not ONLY:
            # Of each act something, whatever the seed.
            chosen = [draw.choice([one for one in grid if one[0] == act]) for act in PHASES]
            chosen += draw.sample([one for one in grid if one not in chosen], SHORT - len(chosen))
        chosen.sort(key=lambda one: list(PHASES).index(one[0]))
        print(f"LOCKSTEP_SEED={SEED}: {len(chosen)} of {len(grid)} cuts", flush=True)
        self.open_site()
        unmet, failures = [], []
        for one in chosen:
            begun, span = time.monotonic(), draw.uniform(1, 15 if FULL else 6)
            try:
                met = self.cut(one, span)
            except AssertionError as problem:
                failures.append(f"{line[one]} for {span:.1f} s: {problem}")
                print(f"FAILED {failures[-1]}\n{self.site.logs(25)}"
                      f"again: LOCKSTEP_SEED={SEED} LOCKSTEP_CUTS='{line[one]}'", flush=True)
                if len(failures) == MOST_FAILURES:
                    break
                self.open_site()
                continue
            if not met:
                unmet.append(line[one])
            print(f"{line[one]} for {span:.1f} s: ok in {time.monotonic() - begun:.1f} s", flush=True)
        self.assertEqual(failures, [])
        self.assertEqual(unmet, [])

    def test_applications_are_sent_to_no_cluster_before_its_data_are_live(self):
        """The registrar of the one that takes over hears nothing of the decision, which the other two sites make."""
        self.open_site()
        roles = self.roles
        self.site.arm_stop("south-transfer", "identity.record.before")
        asked = roles.start("promote", "south", "--yes")
        roles.until("south's registrar is stopped", lambda: self.site.is_stopped("south-transfer"), 20)
        roles.until("it is decided", lambda: roles.client()["decided"]["primary"] == "south", 20)
        used = set()
        for _ in range(30):     # some looks of the clients
            used.add(roles.client()["application"])
            time.sleep(0.2)
        self.assertIsNone(asked.poll())
        self.assertNotIn("south", used)
        self.site.goes_on("south-transfer")
        self.assertEqual(roles.end(asked) and asked.returncode, 0)
        roles.now, roles.other = "south", "north"
        roles.converged()

    def cut(self, one, span):
        """Whether the phase was met."""
        act, service, failpoint, cut = one
        self.roles.prepare(act)
        name, happens, met = self.cut_at(service, cut, span)
        self.site.arm_stop(name, failpoint)
        self.roles.act(act, happens)
        ended = [name for name, service in self.site.services.items() if service.poll() is not None]
        self.assertEqual(ended, [])
        return all(met)


class CutsByPull(Cuts):
    mode = "pull"
    test_applications_are_sent_to_no_cluster_before_its_data_are_live = None


if __name__ == "__main__":
    unittest.main()
