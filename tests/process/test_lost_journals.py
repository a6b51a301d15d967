#!/usr/bin/python3
"""A journal or a record that is lost leaves nothing behind for ever; and what a run tells of its
progress."""
import glob
import os
import pty
import subprocess
import time
import unittest

import harness
from harness import SiteTest


class Lost(SiteTest):

    def setUp(self):
        super().setUp()
        self.home = os.path.join(self.site.north, "data")
        os.makedirs(self.home)
        for i in range(24):
            with open(os.path.join(self.home, f"{i:03}"), "wb") as handle:
                handle.write(os.urandom(500_000))
        self.site.up()
        self.apply()

    def apply(self, extra=""):
        self.site.apply(f"service: orders\nconsistency: bounded\nmax_skew: 30s\nattempts: 1\n{extra}"
                        f"data_sets:\n  - {{name: data, component: files, path: {self.home}}}\n")

    def wait_for(self, what, seconds=120):
        deadline = time.monotonic() + seconds
        while not what():
            if time.monotonic() > deadline:
                raise AssertionError(self.site.cli("runs", ok=None).stdout + self.site.logs(30))
            time.sleep(0.3)

    def change(self):
        for i in range(0, 24, 2):
            with open(os.path.join(self.home, f"{i:03}"), "wb") as handle:
                handle.write(os.urandom(500_000))

    def lose(self, service):
        self.site.down()
        found = glob.glob(os.path.join(self.site.base, "var", service + ".db*"))
        self.assertTrue(found)
        for path in found:
            os.unlink(path)
        self.site.up()

    def traces(self, root, run):
        return [path for path in glob.glob(os.path.join(root, "**", ".lockstep", "**", "*" + run + "*"), recursive=True)]

    def assert_works(self):
        point = self.site.run("orders")["point"]
        self.assert_point_is_as_it_says(point)
        self.assert_same_tree(self.home, os.path.join(self.restore(point), "data"))
        return point

    def test_the_schedulers_journal_is_lost_while_a_run_is_in_flight(self):
        first = self.site.run("orders")["point"]
        self.change()
        self.apply("bandwidth: 100kB\n")
        run = self.site.json("run", "orders")["run"]
        self.wait_for(lambda: self.site.json("run", "show", run)["state"] == "transfer")
        self.wait_for(lambda: self.traces(self.site.south, run))
        self.assertEqual({hold["run"] for hold in self.site.json("holds")}, {first, run})
        self.lose("scheduler")
        self.wait_for(lambda: {hold["run"] for hold in self.site.json("holds")} == {first})
        self.wait_for(lambda: not self.traces(self.site.south, run) and not self.traces(self.site.north, run))
        self.assert_nothing_is_left()
        self.apply()
        self.assert_works()

    def test_the_schedulers_journal_is_lost_and_points_keep_their_base(self):
        first = self.site.run("orders")["point"]
        self.lose("scheduler")
        self.assertEqual([point["id"] for point in self.site.json("points", "orders")], [first])
        self.assertEqual({hold["run"] for hold in self.site.json("holds")}, {first})
        self.change()
        self.assert_works()

    def test_the_snapshot_agents_journal_is_lost_and_no_pin_stays_that_nothing_holds(self):
        self.site.run("orders")
        pins = os.path.join(self.site.north, "**/.lockstep/pins/orders/data/*")
        self.assertTrue(glob.glob(pins, recursive=True))
        self.lose("north-snapshot")
        self.assertEqual(self.site.json("holds"), [])
        self.assertEqual(glob.glob(pins, recursive=True), [])
        self.change()
        self.assert_works()

    def test_a_point_whose_record_is_damaged_can_be_deleted_with_all_that_it_named(self):
        first = self.site.run("orders")["point"]
        self.change()
        second = self.assert_works()
        with open(self.site.record(first), "w", encoding="utf-8") as handle:
            handle.write("{ this is no record")
        self.assertEqual([point["id"] for point in self.site.json("points", "orders", "--from", "south")], [second])
        self.assertEqual(self.site.json("point", "delete", first), {"id": first})
        self.assertEqual(self.traces(self.site.south, first), [])
        self.assertEqual(self.site.cli("point", "delete", first, ok=(1,)).returncode, 1)
        self.assert_point_is_as_it_says(second)
        self.change()
        self.assert_works()

    def test_progress_has_rate_and_remaining_time_in_a_pipe_on_a_terminal_and_in_json(self):
        self.apply("bandwidth: 700kB\ncompress: false\n")
        command = [harness.LOCKSTEP, "run", "orders", "--wait", "-c", self.site.config]
        ours, theirs = pty.openpty()
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, env=self.site.environment) as process:
            os.close(theirs)
            seen = []

            def known():
                rows = self.site.json("runs", "orders")
                sets = rows[0].get("progress", {}).get("sets", []) if rows else []
                seen.extend(one for one in sets if rows[0]["state"] == "transfer" and "bytes_expected" in one)
                return bool(seen) or process.poll() is not None

            self.wait_for(known)
            text = b""
            try:
                while chunk := os.read(ours, 65536):
                    text += chunk
            except OSError:  # EIO: the other side is closed
                pass
            os.close(ours)
            self.assertEqual(process.wait(timeout=120), 0)
        self.assertTrue(seen)
        self.assertEqual(seen[-1]["bytes_expected"], 24 * 500_000)
        self.assertNotIn("at_most", seen[-1])
        self.assertIn(b"\r", text)
        self.assertRegex(text.decode(), r"entries, .*/s of .* %, .* left")

        self.change()
        piped = self.site.cli("run", "orders", "--wait").stderr
        self.assertNotIn("\r", piped)
        self.assertRegex(piped, r"orders: transfer.* entries, .*/s")
        self.assertNotIn("\x1b", piped)


if __name__ == "__main__":
    unittest.main()
