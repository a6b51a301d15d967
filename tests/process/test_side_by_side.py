#!/usr/bin/python3
"""Several services side by side; one is killed, the other's point, moment and skew are untouched."""
import os
import subprocess
import unittest

from harness import LOCKSTEP, SiteTest


class SideBySide(SiteTest):
    def test_a_run_that_dies_leaves_another_services_run_alone(self):
        for name, count in (("large", 60), ("small", 2)):
            home = os.path.join(self.site.north, name)
            os.makedirs(home)
            for i in range(count):
                with open(os.path.join(home, str(i)), "wb") as handle:
                    handle.write(os.urandom(1 << 20))
            self.site.hook("slow", "sleep 2\n")
        self.site.up()
        for name in ("large", "small"):
            self.site.apply(f"service: {name}\nconsistency: bounded\nattempts: 1\n"
                            + ("bandwidth: 4MB\n" if name == "large" else "")
                            + f"data_sets:\n  - {{name: {name}, component: files, path: {self.site.north}/{name}}}\n", name=name)
        with subprocess.Popen([LOCKSTEP, "run", "large", "--wait", "-c", self.site.config], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True) as waiting:
            small = self.site.run("small")
            self.assertIsNone(waiting.poll(), "the large run should still be under way")
            runs = self.site.json("runs", "large")
            self.site.cli("abort", runs[0]["run"])
            waiting.communicate(timeout=60)
            self.assertNotEqual(waiting.returncode, 0)
        point = next(p for p in self.site.json("points", "small"))
        self.assertEqual(point["id"], small["point"])
        self.assertEqual(point["moment"], small["moment"])
        self.assertLess(point["skew_ns"], 1_000_000_000)
        self.assert_point_is_as_it_says(point["id"])
        self.assertEqual(self.site.json("points", "large"), [])
        self.assertEqual(self.site.json("runs", "large")[0]["state"], "aborted")
        self.assert_nothing_is_left(("large", "small"))


if __name__ == "__main__":
    unittest.main()
