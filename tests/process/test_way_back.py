#!/usr/bin/python3
"""The way back: failback and switchover under a living service. No write is lost, what diverged is kept aside
and named, only what changed travels; checked by the causal ledger out, back and out again."""
import os
import sqlite3
import subprocess
import time
import unittest

from harness import FULL, Site, SiteTest, ledger_check
from two_halves import POLICY, Service, TwoHalves


class WayBack(SiteTest):
    mode = "push"

    def setUp(self):
        super().setUp()
        self.site.close()
        self.site = TwoHalves(os.path.join(self.disks.base, "north"), os.path.join(self.disks.base, "south"))
        self.addCleanup(self.site.close)
        self.service = Service(self.site)
        self.addCleanup(self.service.close)

    def begin(self):
        self.service.start("north")
        self.site.up()
        self.site.apply(POLICY.format(north=self.site.north).replace("mode: push", "mode: " + self.mode))
        return self.site.run("orders")["point"]

    def assert_causal(self, cluster):
        """Of a service that is stopped, or of what it left when it was killed."""
        home = self.service.homes[cluster]
        with sqlite3.connect(os.path.join(home, "ledger.db")) as db:   # its own recovery
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        found = ledger_check.check(os.path.join(home, "invoices"), os.path.join(home, "ledger.db"), False)
        self.assertEqual(found["problems"], [])
        return found["rows"]

    def assert_exchanged(self, command, old, new):
        """What the old primary had when it was stopped is what the new one began with."""
        before = os.path.join(self.service.state, "before")
        self.site.hook("start-writers", f"[ \"$1\" = {new} ] || exit 9\nrm -rf '{before}'\n"
                                        f"cp -a '{self.service.homes[new]}' '{before}'\nexec '{self.service.run_it}' start \"$1\"\n")
        done = self.site.json(command, "--yes")
        self.assertEqual((done["how"], done["old"], done["decision"]["primary"], done["old_primary"]),
                         (command, old, new, "confirmed"))
        self.assertEqual(self.site.client()["application"], new)
        home = self.service.homes[old]
        self.assert_same_tree(os.path.join(home, "invoices"), os.path.join(before, "invoices"))
        with sqlite3.connect(os.path.join(before, "ledger.db")) as db:
            rows = set(db.execute("SELECT worker, id, version FROM invoice"))
        self.assertEqual(self.service.rows(old), rows)
        self.assertGreater(len(rows), 0)
        return done

    def sent(self, point):
        sets = self.site.json("point", "show", point)["certificate"]["sets"]
        return {one["name"]: (one["base"], one["bytes_sent"], one["bytes"]) for one in sets}

    def test_out_back_and_out_again_loses_no_write(self):
        first = self.begin()
        # A file that never changes is the bulk: it is not to travel back.
        with open(os.path.join(self.service.homes["north"], "invoices/bulk"), "wb") as handle:
            handle.write(os.urandom(24 << 20))
        point = self.site.run("orders")["point"]
        self.assertNotEqual(first, point)
        diverged = os.path.join(self.service.homes["north"], "invoices/diverged")
        time.sleep(0.5)
        with open(diverged, "w", encoding="utf-8") as handle:
            handle.write("written after the last point")
        self.service.crash("north")
        self.site.kill_north()
        done = self.site.json("promote", "south", "--yes")
        self.assertEqual(done["services"][0]["point"], point)
        self.assertTrue(os.path.exists(os.path.join(self.service.state, "south")), done["started"])
        time.sleep(1)

        # North is back; a switchover would lose what it had written.
        self.site.start_north()
        self.site.wait_until("north stands down", lambda: [(one["identity"], one["epoch"], one["health"])
                                                           for one in self.site.client()["clusters"]][0] ==
                             ("secondary", 2, "healthy"))
        refused = self.site.cli("switchover", "--yes", ok=(3,)).stderr
        self.assertIn("failback", refused)
        done = self.assert_exchanged("failback", "south", "north")
        self.assert_causal("south")
        sets = {one["name"]: one for one in done["divergent"][0]["sets"]}
        self.assertIn({"path": "diverged", "what": "written"}, sets["invoices"]["entries"])
        self.assertEqual(sets["invoices"]["base"], point)
        with open(os.path.join(sets["invoices"]["path"], "diverged"), encoding="utf-8") as handle:
            self.assertEqual(handle.read(), "written after the last point")
        self.assertFalse(os.path.exists(diverged))
        held = [hold for hold in self.site.json("holds") if hold["reason"] == "divergent"]
        self.assertEqual({hold["set"] for hold in held}, {"invoices", "ledger"})

        # In reverse only what changed had travelled, from the point that both sides had.
        points = [one["id"] for one in self.site.json("points", "orders", "--from", "north")]
        base, sent, size = self.sent(points[-1])["invoices"]
        self.assertEqual(base, point)
        self.assertGreater(size, 24 << 20)
        self.assertLess(sent, 12 << 20)

        # And out again, planned: north's runs go on from what was carried back.
        time.sleep(1)
        forward = self.site.run("orders")["point"]
        base, sent, _ = self.sent(forward)["invoices"]
        self.assertEqual(base, points[0])
        self.assertLess(sent, 12 << 20)
        self.assert_point_is_as_it_says(forward)
        self.assert_exchanged("switchover", "north", "south")
        self.assert_causal("north")
        time.sleep(1)
        self.service.stop("south")
        self.assert_causal("south")
        decided = self.site.client()["decided"]
        self.assertEqual((decided["number"], decided["primary"]), (4, "south"))
        kept = os.path.join(sets["invoices"]["path"], "diverged")
        self.assertTrue(os.path.exists(kept))

        # No run ends that hold; a person does, and no other one.
        run = held[0]["run"]
        base = next(hold["run"] for hold in self.site.json("holds") if hold["reason"] == "base")
        self.assertIn("is no divergence", self.site.cli("holds", "--end", base, "--yes", ok=(3,)).stderr)
        self.assertIn("--yes", self.site.cli("holds", "--end", run, ok=(3,)).stderr)
        self.assertTrue(os.path.exists(kept))
        ended = self.site.json("holds", "--end", run, "--yes")
        self.assertEqual({(hold["run"], hold["set"], hold["reason"]) for hold in ended},
                         {(run, "invoices", "divergent"), (run, "ledger", "divergent")})
        self.site.wait_until("it is gone", lambda: not os.path.exists(sets["invoices"]["path"]), 30)
        self.assertNotIn(run, [hold["run"] for hold in self.site.json("holds")])
        self.assertEqual(self.site.json("holds", "--end", run, "--yes"), [])     # ended before
        self.site.cli("holds", "--end", "01936f3a-5b2e-7c4a-9d10-3f2b6a7c8d01", "--yes", ok=(1,))
        self.assertTrue(os.path.exists(os.path.join(self.site.north, "orders/invoices")))

    def test_a_change_of_roles_that_fails_before_its_decision_lets_the_service_go_on(self):
        self.begin()
        self.site.hook("stop-writers", "[ \"$1\" = north ] || exit 0\nexit 1\n")
        failed = self.site.cli("switchover", "--yes", ok=None)
        self.assertIn("could not be stopped", failed.stderr)
        self.assertEqual(self.site.client()["decided"]["number"], 1)
        self.site.wait_until("both are seen", lambda: self.site.client()["application"] == "north")
        before = self.service.rows("north")
        self.site.wait_until("the service writes", lambda: self.service.rows("north") != before)
        os.unlink(os.path.join(self.site.base, "hooks/stop-writers"))
        self.assertIn("--stopped", self.site.cli("switchover", "--yes", ok=(3,)).stderr)
        self.service.stop("north")
        self.site.hook("start-writers", "exit 0\n")
        done = self.site.json("switchover", "south", "--stopped", "--yes")
        self.assertEqual(done["old_primary"], "confirmed")
        self.assert_causal("south")

    PLACES = ["promotion.stopped.after", "promotion.carried.before"]
    ALL_PLACES = PLACES + ["promotion.planned.after", "promotion.confirmed.after", "promotion.caught-up.after",
                           "promotion.carried.after", "promotion.decided.before", "promotion.decided.after",
                           "activate.staged", "activate.aside", "promotion.activated.after", "promotion.identified.after",
                           "promotion.switched.after", "promotion.complete.before"]

    def test_a_switchover_killed_anywhere_goes_on_and_loses_no_write(self):
        self.service.close()
        self.service = Service(self.site, words="--add-only")
        self.addCleanup(self.service.close)
        self.begin()
        now, other = "north", "south"
        for place in self.ALL_PLACES if FULL else self.PLACES:
            with self.subTest(place):
                self.site.down()
                self.site.environment["LOCKSTEP_FAILPOINT"] = place
                Site.up(self.site)
                self.site.wait_until("both are seen", lambda n=now: self.site.client()["application"] == n)
                try:
                    self.site.cli("switchover", other, "--yes", ok=None, timeout=20)
                except subprocess.TimeoutExpired:
                    pass
                self.site.down()
                del self.site.environment["LOCKSTEP_FAILPOINT"]
                Site.up(self.site)

                def there(cluster=other):
                    self.site.cli("switchover", cluster, "--yes", ok=None)
                    return self.site.client()["application"] == cluster
                self.site.wait_until("the end", there, 180)
                self.service.stop(other)
                begun = self.service.rows(now)
                self.assertGreater(len(begun), 0)
                self.assert_causal(now)
                self.assert_causal(other)
                self.assertEqual(begun - self.service.rows(other), set())     # nothing is ever deleted here
                self.service.start(other)
                now, other = other, now


class WayBackByPull(WayBack):
    mode = "pull"
    north_fs, south_fs = "ext4", "xfs"

    test_a_change_of_roles_that_fails_before_its_decision_lets_the_service_go_on = None
    test_a_switchover_killed_anywhere_goes_on_and_loses_no_write = None


if __name__ == "__main__":
    unittest.main()
