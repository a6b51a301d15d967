#!/usr/bin/python3
"""The engine `distcp` between two real clusters with YARN: `hadoop.py start`, `hadoop.py yarn`, or `scripts/test hadoop`."""
import glob
import json
import os
import struct
import unittest

from hdfs_service import HdfsService  # it finds the modules below
from yarn_service import YarnService
from harness import FULL
from hdfs_sum import crc32c
from hdfs_tree import Refused, shown


class DistCp(YarnService, HdfsService):
    distcp = {"from": "1MiB"}

    def policy(self, mode="push", path=None, engine="distcp"):
        return super().policy(mode, path).replace("allow_snapshot: true", f"allow_snapshot: true, engine: {engine}")

    def assert_nothing_left(self):
        self.wait_for_drops(self.north, self.path)
        above = os.path.dirname(self.to)
        self.assertEqual([one["pathSuffix"] for one in self.south.list(above) if one["pathSuffix"].startswith(".")], [])
        self.assert_no_jobs_left("hdfs")

    def carried_and_then_changed(self, mode):
        """A first copy by DistCp, then what changed by the stream; both are whole, and told by whom."""
        self.fill()
        self.join()
        self.site.up()
        self.site.apply(self.policy(mode))
        first = self.site.run("orders")["point"]
        was = shown(self.north, self.path)
        self.assert_point(first, was)
        how = self.carried_how(first, "trail")
        self.assertRegex(how, r"DistCp carried the content \(\d+ .*application_\d+_\d+, `engine: distcp`\)")
        self.assertIn("but for 1 files that the stream carried", how)
        self.assertEqual(len(self.jobs("north" if mode == "push" else "south")), 1)
        certified = self.certificate_of(first, "trail")
        self.assertLess(certified["bytes_sent"], 300_000 + 400 * certified["entries"])   # the one file, and what each entry is
        self.site.cli("verify", first)
        self.assert_nothing_left()
        self.north.append(self.path + "/large", b"more")
        points, before = {first: was}, first
        for generation in (1, 2):
            self.change(generation)
            point = self.site.run("orders")["point"]
            points[point] = shown(self.north, self.path)
            certified = self.certificate_of(point, "trail")
            self.assertEqual(certified["base"], before)
            self.assertNotIn("DistCp", " ".join(certified["caveats"]))
            self.assertLess(certified["bytes_sent"], 1_500_000)   # of a large file what was appended, or nothing
            before = point
        for point, expected in points.items():
            self.assert_point(point, expected)
            self.site.cli("verify", point)
        place = os.path.dirname(self.to) + "/restored"
        self.site.json("restore", before, "--to", place, "--set", "trail")
        self.assertEqual(shown(self.south, place + "/trail"), points[before])

    def join(self):
        """A file with blocks of unequal length, which no copy has: its bytes travel by the stream."""
        for part in ("one", "two"):
            self.north.put(f"{self.path}/joined-{part}", os.urandom(100_000), blocksize=1 << 20)
        self.north.call("POST", self.path + "/joined-one", "CONCAT", sources=self.path + "/joined-two")

    def test_carried_by_push_and_what_changed_by_the_stream(self):
        self.carried_and_then_changed("push")

    @unittest.skipUnless(FULL, "--full")
    def test_carried_by_pull_and_what_changed_by_the_stream(self):
        self.carried_and_then_changed("pull")

    def test_content_that_changed_with_hdfs_own_checksums_is_found_by_verify(self):
        content = os.urandom(700_000)
        self.north.put(self.path + "/a", content)
        self.site.up()
        self.site.apply(self.policy())
        point = self.site.run("orders")["point"]
        self.site.cli("verify", point)
        block = self.block_of("south", content)
        changed = bytes([content[0] ^ 1]) + content[1:512]
        with open(block, "r+b") as handle:
            handle.write(changed)
        meta, = glob.glob(block + "_*.meta")
        with open(meta, "r+b") as handle:   # u16 version, u8 type, u32 bytes a CRC, then the CRCs
            handle.seek(7)
            handle.write(struct.pack(">I", crc32c(changed)))
        self.assertEqual(self.south.read(self.kept(point) + "/a", len(content))[:512], changed)   # HDFS finds it good
        refused = self.site.cli("verify", point, ok=None)
        self.assertNotEqual(refused.returncode, 0, refused.stdout)
        self.assertIn("/a has other content", refused.stdout + refused.stderr)

    def block_of(self, cluster, content):
        for path in glob.glob(self.clusters[cluster].home + "/data/datanode*/current/BP-*/current/finalized/**/blk_*", recursive=True):
            if os.path.getsize(path) == len(content) and not path.endswith(".meta"):
                with open(path, "rb") as handle:
                    if handle.read() == content:
                        return path
        raise AssertionError("no DataNode has the block")

    @unittest.skipUnless(FULL, "--full")
    def test_after_a_promotion_what_was_carried_is_a_base_and_only_what_changed_travels(self):
        self.fill()
        self.site.up()
        self.site.apply(self.policy())
        first = self.site.run("orders")["point"]
        self.site.json("promote", "south", "--yes")
        self.south.append(self.to + "/appended", b"more" * 10_000)
        self.south.call("PUT", self.to + "/large", "SETPERMISSION", permission="600")
        expected = shown(self.south, self.to)
        second = self.site.run("orders")["point"]
        self.assertEqual(shown(self.north, f"{self.path}/.snapshot/lockstep-point.orders.trail.{second}"), expected)
        certified = json.loads(self.site.cli("point", "show", second, "--json").stdout)["certificate"]["sets"]
        trail = next(one for one in certified if one["name"] == "trail")
        self.assertEqual(trail["base"], first)
        self.assertLess(trail["bytes_sent"], 500_000)   # of 6 MB
        self.site.cli("verify", second)

    @unittest.skipUnless(FULL, "--full")
    def test_auto_streams_what_is_small_and_says_why(self):
        self.north.put(self.path + "/a", b"x" * 1000)
        self.site.up()
        self.site.apply(self.policy(engine="auto"))
        point = self.site.run("orders")["point"]
        self.assert_point(point, shown(self.north, self.path))
        self.assertIn("`engine: auto` uses DistCp from 1048576 bytes on, and this is 1000 bytes", self.carried_how(point, "trail"))
        self.assertEqual(self.jobs("north"), [])

    # --- disturbed
    def disturbed(self, mode, disturb, begun):
        for i in range(8):
            self.north.put(f"{self.path}/deep/{i}/large", os.urandom(3_000_000), blocksize=1 << 20)
        self.north.put(self.path + "/small", b"x")
        self.site.up()
        self.site.apply(self.policy(mode))
        point = self.run_disturbed(begun, disturb)["point"]
        self.assert_point(point, shown(self.north, self.path))
        self.site.cli("verify", point)
        self.assert_nothing_left()
        return point

    @unittest.skipUnless(FULL, "the receiver's, which drives a pull, is in the short tier")
    def test_a_job_is_adopted_by_the_sender_that_starts_again(self):
        point = self.disturbed("push", lambda: self.kill("north-transfer"), lambda: self.running("north"))
        self.assertEqual(len(self.jobs("north")), 1)
        self.assertIn(self.jobs("north")[0]["id"], self.carried_how(point, "trail"))

    def test_a_job_is_adopted_by_the_receiver_that_starts_again(self):
        self.disturbed("pull", lambda: self.kill("south-transfer"), lambda: self.running("south"))
        self.assertEqual(len(self.jobs("south")), 1)

    def test_a_job_that_somebody_kills_is_made_up_for(self):
        self.disturbed("push", lambda: self.end_job("north", "hdfs"), lambda: self.running("north"))

    def adopting(self):
        try:
            return any(one["pathSuffix"] == "deep" for one in self.south.list(self.to))
        except Refused:  # it is not there yet
            return False

    @unittest.skipUnless(FULL, "--full")
    def test_a_receiver_that_dies_while_it_adopts_goes_on_with_what_was_brought(self):
        self.join()
        self.disturbed("push", lambda: self.kill("south-transfer"), self.adopting)
        self.assertEqual(len(self.jobs("north")), 1)

    @unittest.skipUnless(FULL, "--full")
    def test_a_sender_that_dies_while_files_are_adopted_goes_on_with_what_was_brought(self):
        self.join()
        self.disturbed("push", lambda: self.kill("north-transfer"), self.adopting)
        self.assertEqual(len(self.jobs("north")), 1)


if __name__ == "__main__":
    unittest.main()
