#!/usr/bin/python3
"""Taking over: north dies, a user promotes south; killed anywhere and repeated, the end is the same."""
import json
import os
import re
import sqlite3
import subprocess
import unittest

from harness import FULL, LOCKSTEP, Ledger, Site, SiteTest, ledger_check
from two_halves import POLICY, TwoHalves
import client as wire  # tests/protocol

class TakingOver(SiteTest):
    def setUp(self):
        super().setUp()
        self.site.close()
        self.site = TwoHalves(os.path.join(self.disks.base, "north"), os.path.join(self.disks.base, "south"))
        self.addCleanup(self.site.close)

    def backed_up(self):
        ledger = Ledger(os.path.join(self.site.north, "orders"), self.site)
        self.addCleanup(ledger.stop)
        ledger.start()
        self.site.up()
        self.site.apply(POLICY.format(north=self.site.north))
        self.site.run("orders")
        return ledger, self.site.run("orders")["point"]

    def assert_live_at_south(self, point):
        live = os.path.join(self.site.south, "orders")
        found = ledger_check.check(os.path.join(live, "invoices"), os.path.join(live, "ledger.db"), False)
        self.assertEqual(found["problems"], [])
        self.assertGreater(found["rows"], 0)
        where = self.restore(point)
        self.assert_same_tree(os.path.join(where, "invoices"), os.path.join(live, "invoices"))
        with open(os.path.join(where, "ledger"), "rb") as one, open(os.path.join(live, "ledger.db"), "rb") as other:
            self.assertEqual(one.read(), other.read())
        left = [name for name in os.listdir(live) if ".promoted-" in name or name.startswith(".lockstep-restore")]
        self.assertEqual(left, [])

    def send_old(self, type_, body, run):
        """A command under the first epoch, as a scheduler that was cut off would give it."""
        with open(self.site.config, encoding="utf-8") as handle:
            first = re.search(r"first_promotion: (\S+)", handle.read()).group(1)
        with wire.Client(self.site.config, "scheduler") as scheduler:
            return scheduler.call("south-transfer", type_, body, run=run, step="late", attempt=1,
                                  epoch={"number": 1, "promotion": first})

    def test_north_dies_and_south_takes_over(self):
        ledger, point = self.backed_up()
        self.assertEqual(self.site.client()["application"], "north")
        self.site.wait_until("both healthy", lambda: [one["health"] for one in self.site.client()["clusters"]] == ["healthy"] * 2)
        waiting = subprocess.Popen([LOCKSTEP, "client", "--wait-change", "--json", "-c", self.site.config],
                                   stdout=subprocess.PIPE, text=True)
        ledger.stop()
        self.site.kill_north()
        self.site.wait_until("the prompt", lambda: self.site.client()["prompt"] and
                             self.site.client()["prompt"]["services"][0].get("point") == point)
        prompt = self.site.client()["prompt"]
        self.assertEqual((prompt["cluster"], prompt["health"], prompt["command"]), ("north", "unreachable", "lockstep promote south"))
        self.assertEqual(prompt["services"][0]["point"], point)
        self.assertEqual(self.site.client()["application"], "north")    # no fault changes it
        self.assertIn("lockstep promote south", self.site.cli("status").stdout)

        plan = self.site.json("promote", "south", "--dry-run")
        self.assertEqual(plan["services"][0]["point"], point)
        self.assertEqual(self.site.client()["decided"]["number"], 1)
        self.assertEqual(self.site.cli("promote", "south", ok=(3,)).returncode, 3)   # not confirmed

        done = self.site.json("promote", "south", "--yes")
        self.assertEqual(done["old_primary"], "unconfirmed")
        self.assertEqual(done["decision"]["number"], 2)
        self.assertFalse(done["decision"]["alone"])
        self.assertEqual(self.site.client()["application"], "south")
        # In between neither claims to be it, which a look may catch: then applications wait.
        self.assertIn(json.loads(waiting.communicate(timeout=60)[0])["application"], ("", "south"))
        self.assert_live_at_south(point)

        # The application goes on there: the live copy is its own, and the point is not touched by it.
        with sqlite3.connect(os.path.join(self.site.south, "orders/ledger.db")) as db:
            db.execute("CREATE TABLE at_south(a)")
        self.assert_point_is_as_it_says(point)
        with self.assertRaises(wire.Failed) as refused:
            self.send_old("transfer.drop", {"service": "orders", "sets": []}, point)
        self.assertIn("epoch-old", str(refused.exception))
        self.assertEqual(len(self.site.records()), 2)
        self.assertEqual(self.site.cli("promote", "south", "--yes", ok=(3,)).returncode, 3)   # it is already

        # The old primary is back: it learns, and shows that it is none any more.
        self.site.start_north()
        self.site.wait_until("north stands down", lambda: [(one["identity"], one["epoch"], one["health"])
                                                           for one in self.site.client()["clusters"]][0] ==
                             ("secondary", 2, "healthy"))
        self.assertEqual(self.site.client()["application"], "south")

    def test_a_hook_that_stops_the_old_primary_confirms_it(self):
        self.site.hook("isolate", 'echo "$1" > "$(dirname "$0")/../isolated"\n')
        _, point = self.backed_up()
        done = self.site.json("promote", "south", "--yes")
        self.assertEqual(done["old_primary"], "confirmed")
        with open(os.path.join(self.site.base, "isolated"), encoding="utf-8") as handle:
            self.assertEqual(handle.read(), "north\n")
        self.assert_live_at_south(point)

    def test_the_control_device_alone_does_not_decide(self):
        self.backed_up()
        self.site.kill_north()
        # South's registrar answers, but has lost its record: it does not vote before it has learned from both.
        self.site.down()
        for tail in ("", "-wal", "-shm"):
            path = os.path.join(self.site.base, "var/south-transfer.db" + tail)
            if os.path.exists(path):
                os.unlink(path)
        Site.up(self.site)
        done = self.site.cli("promote", "south", "--yes", ok=None)
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertIn("two of the three sites", done.stderr)
        self.assertEqual(self.site.client()["decided"]["number"], 1)
        # North is back, teaches it, and it is as before.
        self.site.start_north()
        self.site.wait_until("south knows again", lambda: self.site.cli("promote", "south", "--yes", ok=None).returncode == 0)
        self.assertEqual(self.site.client()["application"], "south")

    PLACES = ["promotion.decided.before", "activate.staged", "activate.aside", "activate.live",
              "promotion.activated.after"]
    ALL_PLACES = PLACES + ["promotion.planned.after", "promotion.decided.after", "promotion.isolated.after",
                           "promotion.stood-down.before", "promotion.stood-down.after", "activate.staged_row.after",
                           "activate.done.before", "activate.done.after", "promotion.activated.before",
                           "promotion.identified.after", "promotion.complete.before", "identity.record.before:3",
                           "identity.record.after:4"]

    def test_killed_anywhere_and_repeated_the_end_is_the_same(self):
        ledger, point = self.backed_up()
        ledger.stop()
        places = self.ALL_PLACES if FULL else self.PLACES
        # Something is in the way at south, which is moved aside and never lost.
        mine = os.path.join(self.site.south, "orders/invoices/mine")
        os.makedirs(os.path.dirname(mine))
        with open(mine, "w", encoding="utf-8") as handle:
            handle.write("mine")
        self.site.down()
        for place in places:
            with self.subTest(place):
                self.site.environment["LOCKSTEP_FAILPOINT"] = place
                Site.up(self.site)
                self.site.wait_until("known", lambda: self.site.client()["decided"])
                asking = subprocess.Popen([LOCKSTEP, "promote", "south", "--yes", "-c", self.site.config],
                                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                try:
                    asking.wait(8 if not FULL else 15)
                except subprocess.TimeoutExpired:
                    asking.kill()
                asking.communicate()
                self.site.down()
        del self.site.environment["LOCKSTEP_FAILPOINT"]
        Site.up(self.site)
        self.site.wait_until("the end", lambda: self.site.cli("promote", "south", "--yes", ok=None) and
                             self.site.client()["application"] == "south", 120)
        self.assert_live_at_south(point)
        aside = [name for name in os.listdir(os.path.join(self.site.south, "orders")) if ".before-" in name]
        self.assertEqual(len(aside), 1, aside)
        self.assertTrue(os.path.exists(os.path.join(self.site.south, "orders", aside[0], "mine")))
        decided = self.site.client()["decided"]
        self.assertEqual((decided["number"], decided["primary"]), (2, "south"))


if __name__ == "__main__":
    unittest.main()
