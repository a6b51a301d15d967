#!/usr/bin/python3
"""Generations of incremental points of a directory of HDFS with 10,000 entries (--full: 100,000 too). The clusters run
already: `hadoop.py start`, or `scripts/test hadoop`, which does all."""
import os
import unittest

from hdfs_service import HdfsService  # it finds the modules below
from harness import FULL
from trees import Trees

ENTRIES, MANY = 10_000, 100_000
FOLDERS = 50                 # all of the same size
CHANGED = range(2, 92, 3)    # of a folder, where there is a change for each


class Generations(HdfsService):
    def setUp(self):
        super().setUp()
        self.trees = {name: Trees(cluster) for name, cluster in self.clusters.items()}
        for trees in self.trees.values():
            self.addCleanup(trees.close)

    # --- what the application does
    def crowd(self, folder):
        return f"{self.path}/crowd/{folder:02}"

    def fill_crowd(self, entries):
        """Files with content where it is changed later, empty ones as markers are, and directories, a third and more."""
        trees = self.trees["north"]
        for folder in range(FOLDERS):
            for i in range(1, entries // FOLDERS):
                if i % 3 == 0:
                    trees.mkdir(f"{self.crowd(folder)}/directory-{i}")
                else:
                    trees.put(f"{self.crowd(folder)}/file-{i}", os.urandom(2000) if i in CHANGED else b"")
        trees.wait()

    def change_crowd(self, generation):
        """Of a folder for each kind of change: what else is in it stays."""
        north, first = self.north, 10 * generation
        north.rename(self.crowd(first), f"{self.path}/crowd/renamed-{generation}")               # a whole folder
        north.rename(self.crowd(first + 1), f"{self.crowd(first + 2)}/directory-3/moved")        # deeper
        for i in CHANGED:
            mark = b"%d of generation %d\n" % (i, generation)
            north.append(f"{self.crowd(first + 3)}/file-{i}", mark)
            north.truncate(f"{self.crowd(first + 4)}/file-{i}", i % 7)
            north.put(f"{self.crowd(first + 5)}/file-{i}", mark)                                  # rewritten
            north.remove(f"{self.crowd(first + 6)}/file-{i}")
            north.remove(f"{self.crowd(first + 7)}/file-{i}")                                     # and its name is given again
            if i % 2:
                north.put(f"{self.crowd(first + 7)}/file-{i}", mark)
            else:
                north.mkdir(f"{self.crowd(first + 7)}/file-{i}/now/a/directory")
            north.rename(f"{self.crowd(first + 8)}/file-{i}", f"{self.crowd(first + 9)}/from-beside-{i}")
        for i in CHANGED:
            self.add_when_truncated(f"{self.crowd(first + 4)}/file-{i}")

    # --- what has to hold
    def assert_kept(self, point, expected):
        found = self.trees["south"].read(self.kept(point))
        differs = sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))
        self.assertFalse(differs[:10], f"{len(differs)}, the first: {[(found.get(one), expected.get(one)) for one in differs[:3]]}")

    def generations(self, modes, entries):
        self.fill()
        self.fill_crowd(entries)
        self.site.up()
        seen, before = {}, ""
        for generation, mode in enumerate(modes):
            if generation:
                self.change(generation)
                self.change_crowd(generation)
            self.site.apply(self.policy(mode))
            expected = self.trees["north"].read(self.path)
            self.assertGreater(len(expected), entries)
            point = self.site.run("orders", timeout=3000)["point"]
            self.assert_kept(point, expected)
            certified = self.certificate_of(point, "trail")
            with self.subTest(generation=generation, mode=mode):
                self.assertEqual(certified["method"], "hdfs-snapshot")
                self.assertTrue(certified["one_instant"])
                self.assertEqual(certified["base"] or "", before)
                if generation:    # of the crowd's 3 MB nothing that stayed: what was written, and files that moved
                    self.assertLess(certified["bytes_sent"], 1_800_000)
            seen[point], before = expected, point
        for point, expected in seen.items():    # no later one changed an earlier one
            self.assert_kept(point, expected)
        self.site.cli("verify", before, timeout=3000)
        self.wait_for_drops(self.north, self.path)
        self.assertEqual(self.south.snapshots(self.to), sorted(f"lockstep-point.orders.trail.{point}" for point in seen))

    def test_a_first_copy_and_three_generations_by_push_and_pull_in_turns_are_each_the_directory_as_it_was(self):
        self.generations(["push", "pull", "push", "pull"], MANY if FULL else ENTRIES)

    @unittest.skipUnless(FULL, "--full: each all by itself")
    def test_three_generations_by_push(self):
        self.generations(["push"] * 4, ENTRIES)

    @unittest.skipUnless(FULL, "--full: each all by itself")
    def test_three_generations_by_pull(self):
        self.generations(["pull"] * 4, ENTRIES)


if __name__ == "__main__":
    unittest.main()
