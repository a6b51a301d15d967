#!/usr/bin/python3
"""Runs whose moments come faster than they end."""
import os
import time
import unittest

from harness import Ledger, SiteTest
from two_halves import POLICY


class CloseRuns(SiteTest):
    def test_a_run_that_may_transfer_is_not_forgotten_when_the_next_one_begins(self):
        ledger = Ledger(os.path.join(self.site.north, "orders"), self.site)
        self.addCleanup(ledger.stop)
        ledger.start()
        self.site.up()
        self.site.apply(POLICY.format(north=self.site.north).replace("mode: push", "mode: push\nschedule: {every: 1s}"))
        self.wait_until_points(5)
        self.site.cli("policy", "pause", "orders")
        newest = self.site.json("points", "orders")[0]["id"]
        self.assert_point_is_as_it_says(newest)

    def wait_until_points(self, wanted):
        deadline = time.monotonic() + 120
        while len(self.site.json("points", "orders")) < wanted:
            self.assertLess(time.monotonic(), deadline, self.site.logs(20))
            time.sleep(0.3)


if __name__ == "__main__":
    unittest.main()
