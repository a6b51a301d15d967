#!/usr/bin/python3
"""The main job on real file systems: points of a living service, by push and by pull."""
import os
import subprocess
import unittest

from harness import FULL, SANITIZER_LOGS, Ledger, SiteTest, ledger_check

POLICY = """service: orders
mode: {mode}
consistency: {consistency}
max_skew: 2s
data_sets:
  - {{name: invoices, component: files, path: {north}/orders/invoices{fence}}}
  - {{name: ledger, component: sqlite, path: {north}/orders/ledger.db, refers_to: [invoices]}}
"""
POINTS = 20 if FULL else 2 if SANITIZER_LOGS else 5


class MainJob(SiteTest):
    def points_under_load(self, mode, consistency, count, add_only=False):
        ledger = Ledger(os.path.join(self.site.north, "orders"), self.site, add_only=add_only)
        self.addCleanup(ledger.stop)
        ledger.start()
        self.site.up()
        fence = ", fence: {hook: orders-pause}" if consistency == "fenced" else ""
        self.site.apply(POLICY.format(mode=mode, consistency=consistency, north=self.site.north, fence=fence))
        for _ in range(count):
            point = self.site.run("orders")["point"]
            where = self.restore(point)
            found = ledger_check.check(os.path.join(where, "invoices"), os.path.join(where, "ledger"), add_only)
            self.assertEqual(found["problems"], [])
            self.assertGreater(found["rows"], 0)
            self.assert_point_is_as_it_says(point)
            self.assertTrue(ledger.running(), ledger.last_words())
        self.assertEqual(len(self.site.json("points", "orders")), count)
        self.assert_nothing_is_left()
        return ledger

    def test_fenced_by_push_has_no_violation(self):
        self.points_under_load("push", "fenced", POINTS)

    def test_fenced_by_pull_has_no_violation(self):
        self.points_under_load("pull", "fenced", POINTS)

    def test_ordered_has_no_violation_for_a_writer_that_only_adds(self):
        self.points_under_load("push", "ordered", POINTS, add_only=True)

    def test_a_quiet_tree_with_everything_in_it_is_restored_equal(self):
        home = os.path.join(self.site.north, "papers")
        os.makedirs(os.path.join(home, "a/b/empty"))
        for name, data in (("a/one", b"1" * 70000), ("a/b/two", b""), ("a/-dash", b"x"), ("big", os.urandom(3 << 20))):
            with open(os.path.join(home, name), "wb") as handle:
                handle.write(data)
        with open(os.path.join(os.fsencode(home), b"bad\xff\nname"), "wb") as handle:
            handle.write(b"bytes")
        with open(os.path.join(home, "sparse"), "wb") as handle:
            handle.seek(5 << 20)
            handle.write(b"end")
        os.link(os.path.join(home, "a/one"), os.path.join(home, "a/b/again"))
        os.symlink("../nowhere", os.path.join(home, "a/link"))
        os.mkfifo(os.path.join(home, "a/fifo"))
        os.mknod(os.path.join(home, "a/null"), 0o020666, os.makedev(1, 3))
        os.setxattr(os.path.join(home, "a/one"), "user.colour", b"blue\0\xff")
        subprocess.run(["setfacl", "-m", "u:1234:rw", os.path.join(home, "a/b/two")], check=True)
        subprocess.run(["setfacl", "-d", "-m", "g:77:r", os.path.join(home, "a")], check=True)
        os.chown(os.path.join(home, "big"), 1000, 2000)
        os.chmod(os.path.join(home, "big"), 0o6755)
        os.utime(os.path.join(home, "a/one"), ns=(1, 1_234_567_890_123_456_789))
        self.site.up()
        self.site.apply(f"service: papers\nmode: push\nconsistency: bounded\ndata_sets:\n"
                        f"  - {{name: papers, component: files, path: {home}}}\n")
        first = self.site.run("papers")["point"]
        self.assert_same_tree(home, os.path.join(self.restore(first), "papers"))
        self.assert_point_is_as_it_says(first)
        # Second generation: changes of every kind.
        os.rename(os.path.join(home, "a/b"), os.path.join(home, "moved"))
        os.unlink(os.path.join(home, "a/fifo"))
        with open(os.path.join(home, "big"), "r+b") as handle:
            handle.seek(1_500_000)
            handle.write(b"changed")
        os.chmod(os.path.join(home, "a/-dash"), 0o600)
        os.unlink(os.path.join(home, "a/link"))
        os.makedirs(os.path.join(home, "a/link/now/a/directory"))
        second = self.site.run("papers")["point"]
        self.assert_same_tree(home, os.path.join(self.restore(second), "papers"))
        self.assert_point_is_as_it_says(second)
        self.assert_point_is_as_it_says(first)
        self.assert_nothing_is_left(("papers",))


class MainJobXfs(MainJob):
    north_fs = south_fs = "xfs"


class MainJobExt4(MainJob):
    north_fs = south_fs = "ext4"


class MainJobAcross(MainJob):
    north_fs, south_fs = "btrfs", "ext4"


if __name__ == "__main__":
    unittest.main()
