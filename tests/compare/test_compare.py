#!/usr/bin/python3
"""The comparator sees what it is trusted to see: each planted defect alone is found, and nothing else."""
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import compare  # noqa: E402


class Comparator(unittest.TestCase):
    def setUp(self):
        self.base = tempfile.mkdtemp(prefix="lockstep-compare-")
        self.addCleanup(shutil.rmtree, self.base)
        self.left, self.right = os.path.join(self.base, "left"), os.path.join(self.base, "right")
        os.makedirs(os.path.join(self.left, "dir/sub"))
        self.write("dir/a", b"0123456789" * 1000)
        self.write("dir/b", b"b")
        os.link(self.path("dir/b"), self.path("dir/sub/b2"))
        os.symlink("../a", self.path("dir/sub/link"))
        os.mkfifo(self.path("fifo"))
        with socket.socket(socket.AF_UNIX) as s:
            os.chdir(self.left)
            s.bind("sock")
        with open(self.path("sparse"), "wb") as handle:
            handle.seek(8 << 20)
            handle.write(b"end")
        self.write(os.fsdecode(b"bad\xff\nname"), b"x")
        os.setxattr(self.path("dir/a"), "user.colour", b"blue")
        subprocess.run(["cp", "-a", "--sparse=always", self.left, self.right], check=True)

    def path(self, name, side=None):
        return os.path.join(side or self.left, name)

    def write(self, name, data):
        with open(self.path(name), "wb") as handle:
            handle.write(data)

    def differences(self):
        return compare.compare(self.left, self.right, [".lockstep"])["differences"]

    def keeping_times(self, name, change):
        path = self.path(name, self.right)
        before = os.lstat(path)
        parent = os.stat(os.path.dirname(path))
        change(path)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns), follow_symlinks=False)
        os.utime(os.path.dirname(path), ns=(parent.st_atime_ns, parent.st_mtime_ns))

    def one(self, text):
        found = self.differences()
        self.assertEqual(len(found), 1, found)
        self.assertIn(text, found[0])

    def test_a_faithful_copy_has_no_differences(self):
        self.assertEqual(self.differences(), [])

    def test_one_byte(self):
        def flip(path):
            with open(path, "r+b") as handle:
                handle.seek(4321)
                handle.write(b"X")
        self.keeping_times("dir/a", flip)
        self.one("content differs at byte 4321")

    def test_one_mtime_by_a_nanosecond(self):
        path = self.path("dir/a", self.right)
        at = os.stat(path)
        os.utime(path, ns=(at.st_atime_ns, at.st_mtime_ns + 1))
        self.one("mtime")

    def test_a_directorys_mtime(self):
        path = self.path("dir/sub", self.right)
        at = os.stat(path)
        os.utime(path, ns=(at.st_atime_ns, at.st_mtime_ns - 1000))
        self.one("mtime")

    def test_one_xattr(self):
        os.setxattr(self.path("dir/a", self.right), "user.colour", b"blus")
        self.one("xattrs")

    def test_one_acl(self):
        subprocess.run(["setfacl", "-m", "u:1234:r", self.path("dir/sub", self.right)], check=True)
        self.assertTrue(any("xattrs" in line for line in self.differences()))

    def test_one_hard_link_made_a_copy(self):
        def split(path):
            os.unlink(path)
            shutil.copy2(self.path("dir/b", self.right), path)
        self.keeping_times("dir/sub/b2", split)
        found = self.differences()
        self.assertEqual(len(found), 2, found)
        self.assertTrue(all("hard links" in line for line in found))

    def test_one_symlink_target(self):
        def retarget(path):
            os.unlink(path)
            os.symlink("../b", path)
        self.keeping_times("dir/sub/link", retarget)
        self.one("target")

    def test_one_mode(self):
        os.chmod(self.path("dir/b", self.right), 0o600)
        found = self.differences()
        self.assertTrue(found and all("mode" in line for line in found), found)

    @unittest.skipUnless(os.geteuid() == 0, "only root can change an owner")
    def test_one_owner(self):
        os.chown(self.path("fifo", self.right), 1234, -1)
        self.one("owner")

    def test_a_hole_filled(self):
        def fill(path):
            with open(path, "r+b") as handle:
                handle.write(b"\0" * (1 << 20))
                os.fsync(handle.fileno())
        self.keeping_times("sparse", fill)
        self.one("holes")

    def test_a_missing_and_a_further_entry(self):
        self.keeping_times("fifo", lambda path: None)
        os.rename(self.path("fifo", self.right), self.path("fifo2", self.right))
        found = self.differences()
        self.assertTrue(any("only on the left" in line for line in found))
        self.assertTrue(any("only on the right" in line for line in found))

    def test_a_kind(self):
        def turn(path):
            os.unlink(path)
            with open(path, "wb"):
                pass
            os.chmod(path, 0o644)
        self.keeping_times("fifo", turn)
        self.one("fifo against file")


if __name__ == "__main__":
    unittest.main()
