#!/usr/bin/python3
"""A service whose data sets lie in HBase, in HDFS, in files and in a database, between two real clusters.
The clusters run already: `hadoop.py start` and `hadoop.py hbase`, or `scripts/test hadoop`, which does all."""
import json
import os
import signal
import time
import unittest

from hbase_service import ROWS, HBaseService  # it finds the modules below
import world
from harness import FULL
from hdfs_tree import Hdfs


class HBase(HBaseService):
    def generations(self, modes):
        self.fill()
        self.site.up()
        seen = {}
        for generation, mode in enumerate(modes):
            self.site.apply(self.policy(mode))
            if generation == 1:    # new rows, changed rows, and some that go
                self.north.ask("put", self.space + ":lines", ROWS, 40, 1000)
                self.north.ask("put", self.space + ":heads", 50, 10, 100)
                self.north.ask("remove", self.space + ":lines", 5, 20)
            if generation == 2:    # every HFile of one table is another one now
                self.north.ask("put", self.space + ":lines", 2 * ROWS, 10, 1000)
                self.north.ask("flush", self.space + ":lines")
                before = int(self.north.ask("files", self.space + ":lines"))
                self.assertGreater(before, 4)
                self.north.ask("compact", self.space + ":lines")
                deadline = time.monotonic() + 300
                while int(self.north.ask("files", self.space + ":lines")) >= before:
                    self.assertLess(time.monotonic(), deadline)
                    time.sleep(0.2)
            expected = self.seen(self.north, self.space)
            point = self.site.run("orders")["point"]
            seen[point] = expected
            with self.subTest(point=point, generation=generation):
                certified = self.certificate_of(point, "lines")
                self.assertEqual(certified["method"], "hbase-snapshot")
                self.assertFalse(certified["one_instant"])
                self.assertIn(f"{self.space}:heads, {self.space}:lines", " ".join(certified["caveats"]))
                self.assertEqual(bool(certified["base"]), generation > 0)
                if generation == 0:
                    self.assertGreater(certified["bytes_sent"], ROWS * 1000)
                if generation == 1:    # the new HFiles, and the manifests
                    self.assertLess(certified["bytes_sent"], ROWS * 1000 // 8)
                    self.assertGreater(certified["bytes_sent"], 40 * 1000)
                self.assert_point(point, expected)
        self.assertEqual(len({json.dumps(one) for one in seen.values()}), 3)
        self.wait_for_pins()
        self.nothing_staged()
        self.assertEqual(self.snapshots(self.south, "lockstep-point"), self.expected_snapshots("lockstep-point", seen))
        return seen

    def test_three_generations_by_push_and_pull_in_turns(self):
        seen = self.generations(("push", "pull", "push"))
        points = list(seen)
        # Given back once, they are tables of their own, and are not written over.
        refused = self.site.cli("restore", points[0], "--to", "/" + self.restored[0], "--set", "lines", ok=None)
        self.assertIn("place-not-empty", refused.stderr)
        # A point that goes takes its snapshots along, and nothing of another's.
        self.site.json("point", "delete", points[0])
        self.assertEqual(self.snapshots(self.south, "lockstep-point"), self.expected_snapshots("lockstep-point", points[1:]))
        self.assert_point(points[1], seen[points[1]])
        # The other cluster takes over: its tables have the names of the primary's.
        self.site.json("promote", "south", "--yes")
        self.assertEqual(self.seen(self.south, self.space), seen[points[2]])

    def asides(self, tables):
        return [one.partition("=")[0] for one in tables.ask("snapshots").split() if one.startswith("lockstep-before.orders.lines.")]

    @unittest.skipUnless(FULL, "with --full")
    def test_the_other_cluster_is_backed_up_the_other_way_and_the_first_becomes_the_primary_again(self):
        self.fill()
        self.site.up()
        self.site.apply(self.policy())
        first = self.site.run("orders")["point"]
        was = self.seen(self.north, self.space)
        self.north.ask("put", self.space + ":heads", 500, 7, 100)     # nobody carries this over
        diverged = self.seen(self.north, self.space)
        self.site.json("promote", "south", "--yes")
        self.assertEqual(self.seen(self.south, self.space), was)

        def work(number):
            self.south.ask("put", self.space + ":lines", (2 + number) * ROWS, 40, 1000)
            self.south.ask("remove", self.space + ":lines", 5 * number, 20)
        for number in (1, 2):
            work(number)
            expected = self.seen(self.south, self.space)
            point = self.site.run("orders")["point"]
            space = f"n{number}_{self.space}"
            self.restored.append(space)
            self.site.json("restore", point, "--to", "/" + space, "--set", "lines")
            self.assertEqual(self.seen(self.north, space, f"lines.{self.space}."), expected)
            self.site.cli("verify", point)
            shown = json.loads(self.site.cli("point", "show", point, "--json").stdout)["certificate"]["sets"]
            lines = next(one for one in shown if one["name"] == "lines")
            with self.subTest(number=number):
                self.assertTrue(lines["base"])
                if number == 1:    # later HBase may make one file of several, and that travels whole
                    self.assertLess(lines["bytes_sent"], ROWS * 1000 // 8)
        self.assertEqual(self.seen(self.north, self.space), diverged)    # nobody touches them before it is the primary

        # Back: what South wrote is carried, and what diverged is kept.
        work(3)
        carried = self.seen(self.south, self.space)
        done = self.site.json("failback", "--stopped", "--yes")
        self.assertEqual(self.seen(self.north, self.space), carried)
        kept = self.asides(self.north)
        self.assertEqual(len(kept), 2, kept)
        self.restored.append("kept_" + self.space)
        for name in kept:
            table = name.rpartition(".")[2]
            self.north.ask("clone", f"kept_{self.space}:{table}", name)
        self.assertEqual(self.seen(self.north, "kept_" + self.space), diverged)
        told = next(one for one in done["divergent"][0]["sets"] if one["name"] == "lines")
        self.assertEqual(told["base"], first)
        self.assertTrue([one for one in told["entries"] if one["what"] == "written" and f"/{self.space}/heads/" in one["path"]])
        self.assertFalse([one for one in told["entries"] if one["what"] == "written" and f"data/{self.space}/lines/" in one["path"]])
        self.north.ask("put", self.space + ":heads", 700, 5, 100)
        expected = self.seen(self.north, self.space)
        last = self.site.run("orders")["point"]
        self.assert_point(last, expected)
        self.assertTrue(self.certificate_of(last, "lines")["base"])
        self.assert_point(first, was)

    @unittest.skipUnless(FULL, "--full: all by itself")
    def test_three_generations_by_pull(self):
        self.generations(("pull",) * 3)

    def test_what_was_written_before_the_request_is_in_the_point_and_every_row_is_whole(self):
        self.fill()
        table = self.space + ":lines"
        self.north.ask("remove", table, 0, ROWS)
        self.site.up()
        self.site.apply(self.policy())
        self.north.ask("begin", table)
        deadline = time.monotonic() + 120
        while int(self.north.ask("written")) < 200:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)
        before = int(self.north.ask("written"))
        points = [self.site.run("orders")["point"] for _ in range(2)]
        after = int(self.north.ask("end"))
        self.assertGreater(after, before)
        for point in points:
            space = f"r{len(self.restored)}_{self.space}"
            self.restored.append(space)
            self.site.json("restore", point, "--to", "/" + space, "--set", "lines")
            rows = int(self.south.ask("whole", f"{space}:lines.{self.space}.lines", before))
            self.assertGreaterEqual(rows, before)
            self.assertIn("each region shows some instant", " ".join(self.certificate_of(point, "lines")["caveats"]))

    @unittest.skipUnless(FULL, "the agents' deaths are in the short tier: test_deaths.py")
    def test_helpers_and_the_receiving_agent_killed_leave_nothing_and_the_next_point_is_whole(self):
        self.fill()
        self.site.up()
        self.site.apply(self.policy() + "bandwidth: 2MB\n")
        first = self.site.run("orders")["point"]
        was = self.seen(self.north, self.space)
        for pid in self.helpers():    # the agents start others
            os.kill(pid, signal.SIGKILL)
        self.north.ask("put", self.space + ":lines", 2 * ROWS, ROWS * 4, 1000)
        expected = self.seen(self.north, self.space)
        self.run_disturbed(self.staged, lambda: self.kill("south-transfer"))
        second = next(point["id"] for point in self.site.json("points", "orders") if point["id"] != first)
        self.assert_point(second, expected)
        self.assert_point(first, was)
        self.wait_for_pins()
        self.nothing_staged()
        self.assertEqual(self.snapshots(self.south, "lockstep-point"), self.expected_snapshots("lockstep-point", [first, second]))

    def test_what_is_wrong_is_said_before_anything_is_done(self):
        self.fill()
        self.site.up()
        for bad, said in ((f"path: /{self.space}/*", f"path: /{self.space}"), (f"path: /{self.space}/*", f"path: /{self.space}/*, to: {{path: /x/y}}"),
                          (f"path: /{self.space}/*", f"path: /{self.space}/*, exclude: [x]"),
                          (f"path: /{self.space}/*", f"path: /{self.space}/*, to: {{component: files}}")):
            answer = self.site.apply(self.policy().replace(bad, said), ok=None)
            self.assertEqual(answer.returncode, 2, said + answer.stdout + answer.stderr)
        fenced = self.policy().replace("consistency: bounded\n", "consistency: fenced\n")
        self.assertNotEqual(self.site.apply(fenced, ok=None).returncode, 0)
        self.site.apply(self.policy().replace(f"/{self.space}/*", f'"/{self.space}/lines,nonesuch*"'))
        point = self.site.run("orders")["point"]
        self.assertEqual(self.snapshots(self.south, "lockstep-point"),
                         {f"lockstep-point.orders.lines.{point}.{self.space}.lines"})
        self.site.apply(self.policy().replace(f"/{self.space}/*", f"/{self.space}/nonesuch"))
        refused = self.site.cli("run", "orders", "--wait", ok=None)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("no table has such a name", refused.stdout + refused.stderr)
        self.assertEqual(self.snapshots(self.north, "lockstep-pin"),
                         {f"lockstep-pin.orders.lines.{point}.{self.space}.lines"})  # the base

    # --- tools
    def helpers(self):
        """The agents' Java programs, by what the kernel says of their command lines."""
        found = []
        agents = set(world.processes_of(self.site.config).values())
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{name}/cmdline", encoding="utf-8", errors="replace") as handle:
                    line = handle.read()
                with open(f"/proc/{name}/stat", encoding="utf-8") as handle:
                    parent = int(handle.read().rpartition(")")[2].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
            if "LockstepHBase.java" in line and parent in agents:
                found.append(int(name))
        self.assertEqual(len(found), 4)
        return found

    def staged(self):
        hdfs = Hdfs(self.clusters["south"].url)
        try:
            return any("orders.lines." in str(one) for one in
                       hdfs.json("GET", "/hbase/.lockstep", "LISTSTATUS")["FileStatuses"]["FileStatus"])
        finally:
            hdfs.close()


if __name__ == "__main__":
    unittest.main()
