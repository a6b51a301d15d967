#!/usr/bin/python3
"""Drills, and a control device that lost every file."""
import glob
import json
import os
import shutil
import sqlite3
import unittest

from harness import Site, SiteTest
from two_halves import POLICY, Service, TwoHalves


class DrillAndRecover(SiteTest):
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
        self.site.apply(POLICY.format(north=self.site.north))
        return self.site.run("orders")["point"]

    def assert_no_copy_is_left(self):
        self.assertEqual(glob.glob(os.path.join(self.site.south, "drill-*")), [])

    def test_a_drill_brings_a_point_up_runs_the_check_on_it_and_cleans_up(self):
        point = self.begin()
        check = "test \"$LOCKSTEP_SERVICE\" = orders && ls invoices && sqlite3 ledger 'SELECT count(*) FROM invoice' && echo fine"
        done = self.site.json("drill", "orders", "--check", check)
        self.assertEqual((done["outcome"], done["point"]), ("good", point))
        self.assertIn("fine", done["said"])
        self.assertGreater(done["recovery_ns"], 0)
        self.assert_no_copy_is_left()
        # A check that fails is told as that, and so is one that does not end.
        failed = self.site.cli("drill", "orders", "--check", "echo broken; exit 7", "--json", ok=(1,))
        self.assertEqual((json.loads(failed.stdout)["outcome"], json.loads(failed.stdout)["exit_status"]), ("check-failed", 7))
        late = self.site.cli("drill", "orders", "--check", "sleep 60", "--timeout", "500ms", "--json", ok=(1,))
        self.assertEqual(json.loads(late.stdout)["outcome"], "check-timed-out")
        # What the check did to its copy is nobody else's.
        self.site.json("drill", "orders", "--check", "rm -rf invoices/* && sqlite3 ledger 'DELETE FROM invoice'")
        self.assert_point_is_as_it_says(point)
        self.assertEqual([one["outcome"] for one in self.site.json("drill", "orders")],
                         ["good", "check-timed-out", "check-failed", "good"])
        self.assert_no_copy_is_left()

    def test_a_drill_whose_agent_dies_is_cleaned_up_and_recorded(self):
        self.begin()
        self.site.down()
        self.site.environment["LOCKSTEP_FAILPOINT"] = "drill.restored"
        Site.up(self.site)
        self.site.cli("drill", "orders", "--check", "true", ok=None)
        self.assertIn("ended with 137", self.site.logs(20))
        self.site.down()
        del self.site.environment["LOCKSTEP_FAILPOINT"]
        Site.up(self.site)
        self.assertEqual(self.site.json("drill", "orders")[0]["outcome"], "interrupted")
        self.assert_no_copy_is_left()

    def lose_control(self):
        self.site.down()
        kept = ("south-transfer", "south-snapshot")      # the other half's, on this machine
        for path in glob.glob(os.path.join(self.site.base, "var/*")):
            if not os.path.basename(path).startswith(kept) and os.path.basename(path) != "log":
                shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
        Site.up(self.site)

    def test_a_control_device_that_lost_every_file_is_rebuilt_from_south_and_promotes(self):
        point = self.begin()
        before = self.site.json("policy", "show", "orders")["policy"]
        self.lose_control()
        self.assertEqual(self.site.json("policy", "list"), [])
        done = self.site.json("recover", "--from", "south")
        self.assertEqual([(one["service"], one["version"], one["rebuilt"]) for one in done["policies"]], [("orders", 1, True)])
        self.assertEqual(self.site.json("policy", "show", "orders")["policy"], before)
        self.assertFalse(self.site.json("recover", "--from", "south")["policies"][0]["rebuilt"])
        self.site.wait_until("the catalog", lambda: self.site.json("points", "orders"))
        self.assertEqual(self.site.json("points", "orders")[0]["id"], point)
        # The identity comes from the two clusters, and they agree with it on the next one.
        self.site.wait_until("the identity", lambda: self.site.client()["decided"])
        newest = self.site.run("orders")["point"]
        self.service.crash("north")
        self.site.kill_north()
        self.assertEqual(self.site.json("promote", "south", "--yes")["services"][0]["point"], newest)
        with sqlite3.connect(os.path.join(self.site.south, "orders/ledger.db")) as db:
            self.assertGreater(db.execute("SELECT count(*) FROM invoice").fetchone()[0], 0)

    def test_with_north_dead_too_south_takes_over_by_a_persons_word_alone(self):
        point = self.begin()
        self.service.crash("north")
        self.site.kill_north()
        self.lose_control()
        done = self.site.json("recover", "--from", "south")
        self.assertIsNone(done["identity"])
        self.assertTrue(done["policies"][0]["rebuilt"])
        refused = self.site.cli("promote", "south", "--yes", ok=None)
        self.assertEqual(refused.returncode, 4, refused.stderr)
        self.assertIn("--force-alone", refused.stderr)
        done = self.site.json("promote", "south", "--force-alone", "--yes")
        self.assertEqual(done["services"][0]["point"], point)
        self.assertTrue(done["decision"]["alone"])
        self.assertEqual(self.site.client()["application"], "south")


if __name__ == "__main__":
    unittest.main()
