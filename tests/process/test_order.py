#!/usr/bin/python3
"""The proof that the ledger's checker, and so the other tests, can fail: without a fence and with the
pins forced apart the violations are there."""
import os
import unittest

from harness import Ledger, SiteTest, ledger_check


class ForcedApart(SiteTest):
    def test_without_a_fence_and_with_pins_apart_the_checker_finds_violations(self):
        ledger = Ledger(os.path.join(self.site.north, "orders"), self.site)
        self.addCleanup(ledger.stop)
        ledger.start()
        self.site.up()
        # `ordered` with the references turned round: the files are pinned before the rows that refer to them.
        self.site.apply(f"""service: orders
mode: push
consistency: ordered
max_skew: 10s
data_sets:
  - {{name: invoices, component: files, path: {self.site.north}/orders/invoices, refers_to: [ledger]}}
  - {{name: ledger, component: sqlite, path: {self.site.north}/orders/ledger.db, fence: none}}
""")
        violations = 0
        for _ in range(3):
            point = self.site.run("orders")["point"]
            where = self.restore(point)
            violations += ledger_check.check(os.path.join(where, "invoices"), os.path.join(where, "ledger"), False)["violations"]
            self.assert_point_is_as_it_says(point)   # it is what its certificate says: no more was promised
        self.assertGreater(violations, 0)


if __name__ == "__main__":
    unittest.main()
