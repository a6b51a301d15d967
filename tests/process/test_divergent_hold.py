#!/usr/bin/python3
"""`lockstep holds --end RUN`, whose agent dies at any place of it, and is repeated: nothing is left half ended."""
import glob
import json
import os
import subprocess
import sys
import unittest

from harness import ROOT, SiteTest
from role_changes import OneMachine, Roles, nothing

sys.path[:0] = [os.path.join(ROOT, "tests/sweep")]
from reviver import Reviver  # noqa: E402

# Around the commit that ends the hold, then around what is removed of each set, and the commit that says so.
PLACES = ["release.before", "release.after", "drop-intent.after", "files.pin.dropped", "sqlite.hold.emptied",
          "drop-done.before", "drop-done.after"]


class DivergentHold(SiteTest):
    def setUp(self):
        super().setUp()
        self.site.close()
        self.site = OneMachine(os.path.join(self.disks.base, "north"), os.path.join(self.disks.base, "south"))
        self.addCleanup(self.site.close)

    def pins(self, run):
        return [path for root in (self.site.north, self.site.south)
                for path in glob.glob(os.path.join(root, "**/.lockstep/pins/*/*", run + "*"), recursive=True)]

    def holds(self, reason):
        return {(one["agent"], one["run"], one["set"]) for one in self.site.json("holds") if one["reason"] == reason}

    def events(self, source):
        return [json.loads(line) for line in self.site.cli("events", "--since", "2020-01-01T00:00:00Z", "--source", source,
                                                           "--json").stdout.splitlines()]

    def test_an_agent_killed_anywhere_while_a_divergent_hold_ends_finishes_it_and_touches_no_other(self):
        roles = Roles(self.site, self.disks, "push", 1)
        roles.begin()
        # One hold for each place: what a primary had written that was superseded, again and again.
        for _ in PLACES:
            if roles.diverged is None:
                roles.promotion(nothing)
            roles.failback(nothing)
        held = self.holds("divergent")
        runs = sorted({run for _, run, _ in held})
        self.assertEqual((len(runs), len(held)), (len(PLACES), 2 * len(PLACES)))
        bases = self.holds("base")
        self.assertTrue(bases)
        reviver = Reviver(self.site)
        reviver.start()
        self.addCleanup(reviver.stop)
        for run, place in zip(runs, PLACES):
            with self.subTest(place):
                self.assertEqual(len(self.pins(run)) > 0, True)
                agent = next(one for one, of, _ in held if of == run)
                self.site.arm_death(agent, place, 1)
                reviver.died.clear()
                try:
                    self.site.cli("holds", "--end", run, "--yes", ok=None, timeout=40)
                except subprocess.TimeoutExpired:
                    pass
                roles.until("it died there", lambda a=agent: self.site.death_was_met(a), 30)
                roles.until("the same command succeeds", lambda r=run: self.site.json("holds", "--end", r, "--yes") is not None)
                roles.until("what it kept is gone", lambda r=run: not self.pins(r), 30)
                self.assertEqual([name for name, _ in reviver.died], [agent])
                held = {one for one in held if one[1] != run}
                self.assertEqual(self.holds("divergent"), held)
                self.assertEqual(self.holds("base"), bases)
                for other in {of for _, of, _ in held}:
                    self.assertTrue(self.pins(other))
                dropped = [one for one in self.events(agent)
                           if one["type"] == "pin.dropped" and one["data"]["run"] == run]
                self.assertEqual(sorted(one["data"]["set"] for one in dropped), ["invoices", "ledger"])
        self.assertEqual(held, set())
        roles.write()
        roles.converged()   # runs go on; the point is restored and compared


if __name__ == "__main__":
    unittest.main()
