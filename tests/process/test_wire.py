#!/usr/bin/python3
"""What goes over the wire in a run: instructions read by a tap between scheduler and agents."""
import os
import unittest

from harness import SiteTest
from wiretap import serve_tapped

MARK = b"this-is-bulk-and-not-control"


class Wire(SiteTest):
    def setUp(self):
        super().setUp()
        for name in ("docs", "more"):
            home = os.path.join(self.site.north, name)
            os.makedirs(home)
            for i in range(40):
                with open(os.path.join(home, str(i)), "wb") as handle:
                    handle.write(MARK * 20000)
        self.tap = serve_tapped(self, {"north-snapshot", "north-transfer", "south-snapshot", "south-transfer"})

    def policy(self, mode):
        return (f"service: papers\nmode: {mode}\nconsistency: bounded\nmax_skew: 10s\ndata_sets:\n"
                f"  - {{name: docs, component: files, path: {self.site.north}/docs}}\n"
                f"  - {{name: more, component: files, path: {self.site.north}/more}}\n")

    def check_run(self, mode):
        self.site.apply(self.policy(mode))
        before = len(self.tap.requests())
        outcome = self.site.run("papers")
        # An attempt that a busy machine made miss its moment is followed by another, with a moment of its own.
        requests = [(agent, envelope) for agent, envelope in self.tap.requests()[before:]
                    if envelope["body"].get("moment", outcome["moment"]) == outcome["moment"]]
        kinds = [envelope["type"] for _, envelope in requests]
        transfer = "instruction." + mode
        other = "instruction.pull" if mode == "push" else "instruction.push"
        self.assertIn("instruction.snapshot", kinds)
        self.assertIn(transfer, kinds)
        self.assertNotIn(other, kinds)
        self.assertLess(kinds.index("instruction.snapshot"), kinds.index(transfer))
        for agent, envelope in requests:
            if not envelope["type"].startswith("instruction."):
                continue
            self.assertEqual([one["name"] for one in envelope["body"]["sets"]], ["docs", "more"])
            self.assertEqual(envelope["body"]["moment"], outcome["moment"])
            self.assertEqual(envelope["run"], outcome["run"])
            self.assertEqual(envelope["epoch"]["number"], 1)
            self.assertEqual(agent, {"instruction.snapshot": "north-snapshot", "instruction.push": "north-transfer",
                                     "instruction.pull": "south-transfer"}[envelope["type"]])
        self.assert_point_is_as_it_says(outcome["point"])

    def test_snapshot_goes_to_the_primary_first_then_push_to_it_and_pull_to_the_secondary(self):
        self.check_run("push")
        self.check_run("pull")
        # 44 MB were carried twice; nothing of them passed the control device.
        self.assertFalse(any(MARK in frame for frame in self.tap.raw))
        self.assertLess(self.tap.raw_bytes, 1 << 20)


if __name__ == "__main__":
    unittest.main()
