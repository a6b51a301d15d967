#!/usr/bin/python3
"""Pairs of different kinds: a directory of files that is kept in HDFS, and one of HDFS that is kept as files, by push
and by pull, incrementally, taken over and the other way round. The clusters run already: `hadoop.py start`."""
import glob
import json
import os
import shutil
import socket
import subprocess
import time
import unittest

from service import BOUNDED, ROOT, HadoopService
from harness import point_check
from hdfs_tree import Hdfs, HdfsTree, shown

COMPARE = os.path.join(ROOT, "tests/compare/compare.py")
POLICY = BOUNDED + """\
  - {{name: papers, component: files, path: {papers}, allow_snapshot: true, to: {{component: hdfs, path: {to}}}}}
  - {{name: trail, component: hdfs, path: {trail}, allow_snapshot: true, to: {{component: files, path: {kept}}}}}
"""


class Pairs(HadoopService):
    def setUp(self):
        super().setUp()
        self.north, self.south = (Hdfs(self.clusters[name].url) for name in ("north", "south"))
        self.own = f"/pairs-{os.getpid()}-{self.id().rsplit('.', maxsplit=1)[-1]}"
        self.to, self.trail = self.own + "/papers", self.own + "/trail"
        self.papers = os.path.join(self.site.north, "orders/papers")
        self.kept = os.path.join(self.site.south, "orders/trail")
        self.addCleanup(self.clear)

    def clear(self):
        for hdfs in (self.north, self.south):
            hdfs.remove_with_snapshots(self.own, self.to, self.trail)
            hdfs.close()

    def policy(self, mode):
        return POLICY.format(mode=mode, papers=self.papers, to=self.to, trail=self.trail, kept=self.kept)

    def write(self, path, data):
        os.makedirs(os.path.dirname(os.path.join(self.papers, path)), exist_ok=True)
        with open(os.path.join(self.papers, path), "wb") as handle:
            handle.write(data)

    def fill(self):
        """Whatever a file system may hold and HDFS has no place for."""
        for i in range(60):
            self.write(f"days/{i % 5}/file-{i}", b"paper %d\n" % i * (i % 30))
        self.write("large", os.urandom(3_000_000))
        self.write("names/a b%c+d?\xe9\n", b"name")
        at = lambda path: os.path.join(self.papers, path)  # noqa: E731
        os.symlink("days/1/file-1", at("link"))
        os.symlink("nowhere", at("dangling"))
        os.lchown(at("dangling"), 5, 6)
        os.link(at("days/1/file-6"), at("second name"))
        os.mkfifo(at("fifo"), 0o640)
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(at("socket"))
        os.mknod(at("null"), 0o20666, os.makedev(1, 3))
        os.makedirs(at("empty/directory"))
        with open(at("sparse"), "wb") as handle:
            handle.truncate(1_000_000)
            handle.seek(500_000)
            handle.write(b"in the middle")
        os.chown(at("days/2/file-2"), 1234, 4321)
        os.chmod(at("days/2/file-2"), 0o4751)
        os.chmod(at("days/3"), 0o3770)
        os.setxattr(at("days/3/file-3"), "user.colour", b"\0\xff")
        os.setxattr(at("days"), "trusted.kept", b"yes")
        os.utime(at("days/4/file-4"), ns=(1, 1_234_567_890_123_456_789))
        os.utime(at("empty"), ns=(1, 999))
        hdfs, trail = self.north, self.trail
        for i in range(40):
            hdfs.put(f"{trail}/days/{i % 4}/file-{i}", b"entry %d\n" % i * i)
        hdfs.put(trail + "/large", os.urandom(2_000_000), blocksize=1 << 20)
        hdfs.call("PUT", trail + "/days/1/file-1", "SETOWNER", owner="alice", group="accounting")
        hdfs.call("PUT", trail + "/days/1", "SETPERMISSION", permission="1770")
        hdfs.call("PUT", trail + "/days/2", "SETACL", aclspec="user::rwx,user:bob:r-x,group::r-x,mask::r-x,other::---,"
                  "default:user::rwx,default:group::r-x,default:other::---")
        hdfs.call("PUT", trail + "/large", "SETXATTR", xattr__name="user.colour", xattr__value="0x00ff", flag="CREATE")

    def change(self, number):
        at = lambda path: os.path.join(self.papers, path)  # noqa: E731
        self.write(f"days/0/new-{number}", b"new")
        with open(at("large"), "r+b") as handle:
            handle.seek(1_000_000)
            handle.write(b"%d" % number * 100)
        os.remove(at(f"days/1/file-{number * 5 + 6}"))
        os.rename(at(f"days/2/file-{number * 5 + 7}"), at(f"moved-{number}"))
        os.remove(at("link"))
        os.symlink(f"days/{number}", at("link"))
        if number == 1:     # a first name that goes, a file that becomes a link, and what was none that becomes a file or directory
            os.remove(at("days/1/file-6"))
            os.remove(at("days/4/file-9"))
            os.symlink("../1/file-1", at("days/4/file-9"))
            for path in ("fifo", "null"):
                os.remove(at(path))
            self.write("fifo", b"a file now")
            self.write("null/inside", b"")
            os.setxattr(at("days/3"), "user.new", b"1")
            os.removexattr(at("days"), "trusted.kept")
        os.chmod(at("days/3/file-8"), 0o600 + number)
        os.lchown(at("dangling"), 50 + number, 6)
        self.north.put(f"{self.trail}/days/0/new-{number}", b"new")
        self.north.append(self.trail + "/large", b"more" * 1000)
        self.north.remove(f"{self.trail}/days/1/file-{number * 4 + 5}")
        self.north.rename(f"{self.trail}/days/2/file-{number * 4 + 6}", f"{self.trail}/moved-{number}")

    # --- what has to hold
    def copy(self, name):
        """The directory as it is, by a tool that is none of Lockstep's."""
        to = os.path.join(self.site.north, name)
        subprocess.run(["cp", "-a", "--sparse=always", self.papers, to], check=True)
        self.addCleanup(shutil.rmtree, to, True)
        return to

    def assert_equal_trees(self, left, right):
        compared = subprocess.run([COMPARE, "--no-holes", left, right], capture_output=True, text=True, check=False)
        self.assertEqual(compared.returncode, 0, compared.stdout + compared.stderr)

    def assert_point(self, point, record, cluster):
        _, problems = point_check.check_record(record, True, self.clusters[cluster].url)
        self.assertEqual(problems, [])
        self.site.cli("verify", point)

    def digest_of(self, hdfs, root):
        return HdfsTree(hdfs, root).digest().hex()

    def roots(self, point):
        with open(self.site.record(point), encoding="utf-8") as handle:
            return {one["name"]: one for one in json.load(handle)["sets"]}

    def run_and_check(self):
        tree = point_check.Tree(self.papers).digest().hex()
        trail = self.digest_of(self.north, self.trail)
        point = self.site.run("orders")["point"]
        self.assert_point(point, self.site.record(point), "south")
        snapshot = f"{self.to}/.snapshot/lockstep-point.orders.papers.{point}"
        self.assertEqual(self.digest_of(self.south, snapshot), tree)
        self.assertEqual(point_check.Tree(self.place_of(point)).digest().hex(), trail)
        return point

    def place_of(self, point):
        return os.path.join(self.site.south, ".lockstep", self.roots(point)["trail"]["path"])

    def two_generations(self, mode):
        self.fill()
        self.site.up()
        self.site.apply(self.policy(mode))
        first = self.run_and_check()
        self.change(1)
        second = self.run_and_check()
        for name in ("papers", "trail"):
            certified = self.certificate_of(second, name)
            self.assertEqual(certified["base"], first)
            self.assertLess(certified["bytes_sent"], 1_000_000, name)
        self.assert_point(first, self.site.record(first), "south")
        return first, second

    def test_files_and_hdfs_are_kept_as_one_another_by_pull(self):
        self.two_generations("pull")

    def test_files_go_to_hdfs_and_back_and_are_equal_and_so_is_hdfs_kept_as_files(self):
        first, second = self.two_generations("push")
        # Hadoop's own programs read what stands there: a file is a file.
        self.assertEqual(self.south.read(self.to + "/days/0/new-1", 3), b"new")
        # Given back: of papers in HDFS, of trail in a directory.
        place = self.own + "/restored"
        self.addCleanup(self.south.remove, place)
        self.site.json("restore", first, "--to", place, "--set", "papers")
        snapshot = f"{self.to}/.snapshot/lockstep-point.orders.papers.{first}"
        self.assertEqual(self.digest_of(self.south, place + "/papers"), self.digest_of(self.south, snapshot))
        back = os.path.join(self.site.south, "restored")
        self.site.json("restore", first, "--to", back, "--set", "trail")
        self.assertEqual(point_check.Tree(back + "/trail").digest(), point_check.Tree(self.place_of(first)).digest())

        # Taken over: papers live in HDFS now, trail as files. What was there before comes back as it was.
        as_it_was = self.copy("as-it-was")
        trail = shown(self.north, self.trail)
        self.site.json("promote", "south", "--yes")
        self.assertEqual(point_check.Tree(self.kept).digest().hex(), self.roots(second)["trail"]["root"])
        self.south.put(self.to + "/of-south", b"south")
        self.south.append(self.to + "/days/0/file-5", b"more")
        with open(os.path.join(self.kept, "of-south"), "w", encoding="utf-8") as handle:
            handle.write("south")
        third = self.site.run("orders")["point"]
        self.site.cli("verify", third)
        record = glob.glob(os.path.join(self.site.north, ".lockstep/points/*", third + ".json"))[0]
        self.assert_point(third, record, "north")
        # Home again: the directory has all that it had, and what came to it.
        self.site.json("failback", "--stopped", "--yes")
        with open(os.path.join(self.papers, "of-south"), "rb") as handle:
            self.assertEqual(handle.read(), b"south")
        self.assertEqual(os.getxattr(os.path.join(self.papers, "of-south"), "user.lockstep.hdfs.owner"), b"hdfs")
        with open(os.path.join(self.papers, "days/0/file-5"), "rb") as handle:
            self.assertTrue(handle.read().endswith(b"more"))
        os.remove(os.path.join(self.papers, "of-south"))
        for tree in (as_it_was, self.papers):
            os.remove(os.path.join(tree, "days/0/file-5"))
            for path in ("", "days/0"):    # their times changed with what was removed
                os.utime(os.path.join(tree, path), ns=(0, 0))
        self.assert_equal_trees(as_it_was, self.papers)
        now = shown(self.north, self.trail)
        self.assertEqual(self.north.read(self.trail + "/of-south", 5), b"south")
        self.assertIn("of-south", now)
        for path in ("", "of-south"):    # a directory that was changed as files has a time of theirs
            now.pop(path)
            trail.pop(path, None)
        self.assertEqual(now, trail)
        self.change(2)
        self.run_and_check()

    def test_what_hdfs_cannot_hold_is_said_with_its_name(self):
        self.fill()
        self.write("10:30", b"a name with a colon")
        self.site.up()
        self.site.apply(self.policy("push"))
        refused = self.site.cli("run", "orders", "--wait", ok=None)
        self.assertNotEqual(refused.returncode, 0)
        said = refused.stdout + refused.stderr
        self.assertIn("/10:30", said)
        self.assertIn("not-supported", said)
        os.remove(os.path.join(self.papers, "10:30"))
        time.sleep(1)
        self.run_and_check()


if __name__ == "__main__":
    unittest.main()
