#!/usr/bin/python3
"""Failing surroundings: a clear error, nothing partial visible, nothing left behind, and the next run
works."""
import json
import os
import shutil
import sqlite3
import subprocess
import unittest

from harness import SiteTest


class Surroundings(SiteTest):
    south_size = 1 << 30

    def setUp(self):
        super().setUp()
        self.home = os.path.join(self.site.north, "data")
        os.makedirs(self.home)
        for i in range(50):
            with open(os.path.join(self.home, f"{i:03}"), "wb") as handle:
                handle.write(os.urandom(20000))
        self.db = os.path.join(self.site.north, "book.db")
        with sqlite3.connect(self.db) as db:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("CREATE TABLE t(a, b)")
            db.executemany("INSERT INTO t VALUES(?, randomblob(500))", [(i,) for i in range(500)])
        self.site.up()
        self.apply()

    def apply(self, extra=""):
        self.site.apply(f"""service: orders
mode: push
consistency: bounded
max_skew: 10s
attempts: 1
stall: 20s
data_sets:
  - {{name: data, component: files, path: {self.home}}}
  - {{name: book, component: sqlite, path: {self.db}}}
{extra}""")

    def assert_fails(self, code, *words):
        done = self.site.cli("run", "orders", "--wait", *words, ok=(1, 3, 4))
        self.assertIn(code, done.stderr)
        self.assertNotIn("Traceback", done.stderr)
        self.assertEqual(self.site.records(), self.before)
        self.assert_nothing_is_left()
        return done.stderr

    def assert_works_again(self):
        point = self.site.run("orders")["point"]
        self.assert_point_is_as_it_says(point)
        self.assert_same_tree(self.home, os.path.join(self.restore(point), "data"))

    def first_point(self):
        self.site.run("orders")
        self.before = self.site.records()
        self.assertEqual(len(self.before), 1)

    def test_a_set_that_is_missing(self):
        self.first_point()
        os.rename(self.home, self.home + ".away")
        self.assertIn(self.home, self.assert_fails("set-missing"))
        os.rename(self.home + ".away", self.home)
        self.assert_works_again()

    def test_a_database_that_is_not_one(self):
        self.first_point()
        os.rename(self.db, self.db + ".away")
        for tail in ("-wal", "-shm"):
            if os.path.exists(self.db + tail):
                os.rename(self.db + tail, self.db + ".away" + tail)
        with open(self.db, "wb") as handle:
            handle.write(b"this is not a database at all, but long enough to look like one" * 100)
        self.assertIn(self.db, self.assert_fails("sqlite-not-a-database"))
        os.rename(self.db + ".away", self.db)
        for tail in ("-wal", "-shm"):
            if os.path.exists(self.db + ".away" + tail):
                os.rename(self.db + ".away" + tail, self.db + tail)
        self.assert_works_again()

    def test_the_secondarys_disk_is_full(self):
        self.first_point()
        with open(os.path.join(self.home, "large"), "wb") as handle:
            for _ in range(200):
                handle.write(os.urandom(1 << 20))
        ballast = os.path.join(self.site.south, "ballast")
        subprocess.run(["dd", "if=/dev/zero", "of=" + ballast, "bs=1M", "status=none"], check=False, stderr=subprocess.DEVNULL)
        os.truncate(ballast, max(0, os.path.getsize(ballast) - (60 << 20)))
        os.sync()
        self.assert_fails("no-space")
        os.unlink(ballast)
        os.sync()
        self.assert_works_again()

    def test_a_policy_that_claims_anothers_data(self):
        self.first_point()
        done = self.site.apply(f"service: thief\ndata_sets:\n  - {{name: inner, component: files, path: {self.home}/sub}}\n",
                               ok=(2, 3), name="thief")
        self.assertIn("policy-conflict", done.stderr)
        self.assertIn("orders", done.stderr)

    def test_exit_statuses_and_messages(self):
        self.before = []
        self.assertIn("policy-unknown", self.site.cli("run", "nobody", "--wait", ok=(1,)).stderr)
        self.assertIn("point-missing", self.site.cli("verify", "01936f3a-5b00-7000-8000-000000000001", ok=(1,)).stderr)
        self.site.cli("frobnicate", ok=(2,))
        self.site.down()
        self.assertIn("unreachable", self.site.cli("points", ok=(4,)).stderr)

    def test_a_point_whose_data_was_damaged_does_not_verify(self):
        self.first_point()
        with open(self.before[0], encoding="utf-8") as handle:
            record = json.load(handle)
        self.assertTrue(self.site.json("verify", record["id"])["ok"])
        tree = next(one["path"] for one in record["sets"] if one["name"] == "data")
        subprocess.run(["btrfs", "property", "set", tree, "ro", "false"], check=False, stderr=subprocess.DEVNULL)
        with open(os.path.join(tree, "007"), "r+b") as handle:
            at = os.fstat(handle.fileno())
            handle.seek(10000)
            handle.write(b"!")
        os.utime(os.path.join(tree, "007"), ns=(at.st_atime_ns, at.st_mtime_ns))
        done = self.site.cli("verify", record["id"], "--json", ok=(1,))
        self.assertIn("007", done.stdout + done.stderr)

    def test_restore_refuses_a_place_that_is_not_empty(self):
        self.first_point()
        with open(self.before[0], encoding="utf-8") as handle:
            point = json.load(handle)["id"]
        where = os.path.join(self.disks.base, "taken")
        os.makedirs(os.path.join(where, "data"))
        with open(os.path.join(where, "data", "mine"), "wb"):
            pass
        self.assertIn("place-not-empty", self.site.cli("restore", point, "--to", where, ok=(3,)).stderr)
        self.assertTrue(os.path.exists(os.path.join(where, "data", "mine")))
        shutil.rmtree(where)


if __name__ == "__main__":
    unittest.main()
