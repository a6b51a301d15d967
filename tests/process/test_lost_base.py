#!/usr/bin/python3
"""What a later transfer builds on is gone: everything is carried, or the run fails, as the policy says."""
import contextlib
import glob
import json
import os
import sqlite3
import subprocess
import unittest

from harness import SiteTest, point_check

POLICY = """service: orders
mode: {mode}
consistency: bounded
max_skew: 1m
data_sets:
  - {{name: invoices, component: files, path: {north}/orders/invoices, on_base_lost: {lost}}}
{more}"""


MOVED = """service: orders
mode: {mode}
consistency: bounded
max_skew: 1m
data_sets:
  - {{name: invoices, component: files, path: {north}/orders/invoices, on_base_lost: fail, to: {{path: {place}/invoices}}}}
  - {{name: book, component: sqlite, path: {north}/orders/book.db, on_base_lost: fail, to: {{path: {place}/book.db}}}}
"""


class LostBase(SiteTest):
    def setUp(self):
        super().setUp()
        self.tree = os.path.join(self.site.north, "orders/invoices")
        os.makedirs(self.tree)
        self.write("one", 100_000)
        self.site.up()

    def write(self, name, size):
        with open(os.path.join(self.tree, name), "wb") as handle:
            handle.write(os.urandom(size))

    def apply(self, lost, mode="push", more=""):
        self.site.apply(POLICY.format(mode=mode, north=self.site.north, lost=lost, more=more))

    def assert_backed_up(self, with_base):
        """A run succeeds; the point is as the tree is."""
        self.write("two", 1000)
        point = self.site.run("orders")["point"]
        self.assert_point_is_as_it_says(point)
        self.assert_same_tree(self.tree, self.restored(point))
        with open(self.site.record(point), encoding="utf-8") as handle:
            sets = json.load(handle)["certificate"]["sets"]
        self.assertEqual(bool(next(one for one in sets if one["name"] == "invoices")["base"]), with_base)
        return point

    def restored(self, point):
        to = os.path.join(self.disks.base, "restored-" + point)
        self.site.json("restore", point, "--to", to, "--set", "invoices")
        return os.path.join(to, "invoices")

    def assert_refused(self, why):
        refused = self.site.cli("run", "orders", "--wait", ok=None)
        self.assertNotEqual(refused.returncode, 0, refused.stdout)
        said = refused.stdout + refused.stderr
        self.assertIn("base-lost", said)
        self.assertIn(why, said)
        self.assertIn("on_base_lost: full", said)

    def remove_pin(self):
        pins = [pin for pin in glob.glob(f"{self.site.north}/orders/.lockstep/pins/orders/invoices/*") if os.path.isdir(pin)]
        self.assertEqual(len(pins), 1, pins)
        subprocess.run(["btrfs", "subvolume", "delete", pins[0]], check=True, capture_output=True)

    def remove_version(self, point):
        link = f"{self.site.south}/orders/.lockstep/versions/orders/invoices/{point}"
        subprocess.run(["btrfs", "subvolume", "delete", os.path.realpath(link)], check=True, capture_output=True)
        os.unlink(link)

    def remove_manifest(self, cluster, point):
        os.unlink(f"{cluster}/.lockstep/manifests/orders/invoices/{point}.manifest")

    def test_a_run_whose_base_is_lost_fails_where_the_policy_says_so_and_carries_everything_where_not(self):
        for mode in ("push", "pull"):
            with self.subTest(mode=mode):
                self.apply("fail", mode)
                self.assert_backed_up(with_base=mode == "pull")    # the first has none to lose
                newest = self.assert_backed_up(with_base=True)
                for lose, why in ((lambda _: self.remove_pin(), "of the sender its pin is gone"),
                                  (self.remove_version, "of the receiver its version is gone"),
                                  (lambda point: self.remove_manifest(self.site.north, point), "of the sender its manifest is gone"),
                                  (lambda point: self.remove_manifest(self.site.south, point), "of the receiver its manifest is gone")):
                    before = len(self.site.json("points", "orders"))
                    lose(newest)
                    self.assert_refused(why)
                    self.assert_refused(why)    # and again: nothing was taken for a base
                    self.assertEqual(len(self.site.json("points", "orders")), before)
                    self.apply("full", mode)
                    point = self.site.run("orders")["point"]
                    self.assert_point_is_as_it_says(point)
                    self.apply("fail", mode)
                    newest = self.assert_backed_up(with_base=True)

    def test_a_data_set_that_is_new_in_the_policy_has_no_base_to_lose(self):
        self.apply("fail")
        self.assert_backed_up(with_base=False)
        os.makedirs(os.path.join(self.site.north, "orders/papers"))
        self.apply("fail", more=f"  - {{name: papers, component: files, path: {self.site.north}/orders/papers, on_base_lost: fail}}\n")
        self.assert_backed_up(with_base=True)

    def test_a_set_that_is_to_be_kept_elsewhere_is_whole_there_and_older_points_stay_what_they_are(self):
        """Beside, on other file systems, and back; a directory and a database, of which nothing changed meanwhile."""
        book = os.path.join(self.site.north, "orders/book.db")
        with contextlib.closing(sqlite3.connect(book)) as database:
            database.execute("CREATE TABLE lines (text)")
            database.commit()
        south, other, third = self.site.south, self.disks.make("other", "ext4"), self.disks.make("third", "ext4")
        seen = []
        for number, (place, shares) in enumerate(((south + "/orders", False), (south + "/elsewhere", True), (other + "/orders", False),
                                                  (third + "/orders", False), (south + "/orders", False))):
            mode = ("push", "pull")[number % 2]
            self.site.apply(MOVED.format(mode=mode, north=self.site.north, place=place))
            for based in (shares, True):
                point = self.site.run("orders")["point"]
                with open(self.site.record(point), encoding="utf-8") as handle:
                    sets = json.load(handle)["certificate"]["sets"]
                self.assertEqual([bool(one["base"]) for one in sets], [based, based], (place, sets))
                with contextlib.closing(sqlite3.connect(book)) as database:
                    lines = database.execute("SELECT count(*) FROM lines").fetchone()[0]
                    if based:
                        database.execute("INSERT INTO lines VALUES (?)", (place,))
                        database.commit()
                seen.append((point, sorted(os.listdir(self.tree)), lines))
                if based:
                    self.write(f"file-{len(seen)}", 100_000)
        # What nobody asks for any more goes at a start, at each of the places.
        self.site.down()
        left = [f"{place}/.lockstep/staging/orders/invoices/01930000-0000-7000-8000-000000000000.1"
                for place in (south + "/orders", south + "/elsewhere", other + "/orders", third + "/orders")]
        for staging in left:
            os.makedirs(staging)
        self.site.up()
        self.assertEqual([staging for staging in left if os.path.exists(staging)], [])
        for point, expected, lines in seen:
            self.assert_point_is_as_it_says(point)
            self.site.cli("verify", point)
            restored = os.path.dirname(self.restored(point))
            self.site.json("restore", point, "--to", restored + "-book", "--set", "book")
            self.assertEqual(sorted(os.listdir(restored + "/invoices")), expected)
            with contextlib.closing(sqlite3.connect(glob.glob(restored + "-book/*")[0])) as database:
                self.assertEqual(database.execute("SELECT count(*) FROM lines").fetchall(), [(lines,)])

    def test_after_a_promotion_the_old_primarys_pin_is_the_base_and_a_new_data_set_has_none_to_lose(self):
        self.apply("fail")
        first = self.assert_backed_up(with_base=False)
        self.site.json("promote", "south", "--yes")
        os.makedirs(os.path.join(self.site.south, "orders/papers"))
        with open(os.path.join(self.site.south, "orders/invoices/three"), "wb") as handle:
            handle.write(os.urandom(1000))
        self.apply("fail", more=f"  - {{name: papers, component: files, path: {self.site.north}/orders/papers, on_base_lost: fail}}\n")
        point = self.site.run("orders")["point"]
        record = f"{self.site.north}/.lockstep/points/orders/{point}.json"
        self.assertEqual(point_check.check_record(record, True)[1], [])
        with open(record, encoding="utf-8") as handle:
            bases = {one["name"]: one["base"] for one in json.load(handle)["certificate"]["sets"]}
        self.assertEqual(bases, {"invoices": first, "papers": None})


if __name__ == "__main__":
    unittest.main()
