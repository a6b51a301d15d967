"""A service with a data set in HDFS between two real clusters: what its application does, and what has to hold."""
import os
import time

from service import BOUNDED, HadoopService  # it finds the modules below
from harness import point_check
from hdfs_tree import Hdfs, Refused, shown

FILES = 100
POLICY = BOUNDED + """\
  - {{name: trail, component: hdfs, path: {path}, allow_snapshot: true, to: {{path: {to}}}}}
  - {{name: invoices, component: files, path: {north}/orders/invoices}}
  - {{name: ledger, component: sqlite, path: {north}/orders/ledger.db}}
"""
NAMES = ["a%b", "a+b", "a b", "a;b", "é", "aé", "日本", "a'b\"c", "x?y", "#h", "a&b=c", "100%25", "*", "line\nbreak", "\U0001f600"]


class HdfsService(HadoopService):
    def setUp(self):
        super().setUp()
        self.north, self.south = (Hdfs(self.clusters[name].url) for name in ("north", "south"))
        own = f"/service-{os.getpid()}-{self.id().rsplit('.', maxsplit=1)[-1]}"
        self.path, self.to = own + "/trail", own + "/kept"
        self.addCleanup(self.clear, own)

    def clear(self, own):
        for hdfs in (self.north, self.south):
            hdfs.remove_with_snapshots(own, self.path, self.to)
            hdfs.close()

    def policy(self, mode="push", path=None):
        return POLICY.format(mode=mode, path=path or self.path, to=self.to, north=self.site.north)

    # --- what the application does
    def fill(self):
        hdfs, at = self.north, self.path
        for i in range(FILES):
            hdfs.put(f"{at}/days/{i % 10}/file-{i}", b"entry %d\n" % i * (i % 50))
        for name in NAMES:
            hdfs.put(f"{at}/names/{name}", name.encode())
        hdfs.put(at + "/large", os.urandom(5_000_000), blocksize=1 << 20)
        for name in ("appended", "truncated", "rewritten"):
            hdfs.put(f"{at}/{name}", os.urandom(300_000))
        hdfs.put(at + "/both", b"before", permission="600")
        hdfs.mkdir(at + "/empty/directory")
        hdfs.call("PUT", at + "/days/1/file-1", "SETOWNER", owner="alice", group="accounting")
        hdfs.call("PUT", at + "/days/1", "SETPERMISSION", permission="1770")
        hdfs.call("PUT", at + "/days/2", "SETACL", aclspec="user::rwx,user:bob:r-x,group::r-x,mask::r-x,other::---,"
                  "default:user::rwx,default:user:bob:rwx,default:group::r-x,default:mask::rwx,default:other::---")
        hdfs.put(at + "/days/2/inherits", b"x")
        hdfs.call("PUT", at + "/large", "SETXATTR", xattr__name="user.colour", xattr__value="0x00ff", flag="CREATE")
        hdfs.call("PUT", at, "SETXATTR", xattr__name="user.root", flag="CREATE")
        hdfs.call("PUT", at + "/both", "SETTIMES", modificationtime=1234567890123, accesstime=-1)

    def change(self, generation):
        hdfs, at, mark = self.north, self.path, b"generation %d" % generation
        hdfs.rename(f"{at}/days", f"{at}/days-{generation}")          # a directory
        hdfs.rename(f"{at}/days-{generation}", f"{at}/days")          # and back
        hdfs.rename(f"{at}/days/{generation}", f"{at}/moved-{generation}")
        hdfs.rename(f"{at}/moved-{generation}/file-{generation + 20}", f"{at}/out-{generation}")
        hdfs.put(f"{at}/moved-{generation}/new", mark)
        hdfs.append(at + "/appended", mark * 10_000)
        self.truncate(at + "/truncated", 100_000 + generation)
        hdfs.put(at + "/rewritten", os.urandom(300_000))
        hdfs.remove(at + "/both")
        if generation % 2:
            hdfs.put(at + "/both/is/a/directory", mark)
        else:
            hdfs.put(at + "/both", b"before")
        hdfs.remove(f"{at}/days/7/file-{10 * generation + 7}")
        hdfs.put(f"{at}/days/7/file-{10 * generation + 7}", mark)     # deleted and made again
        hdfs.remove(f"{at}/days/8/file-{10 * generation + 8}")
        hdfs.call("PUT", f"{at}/days/9", "SETPERMISSION", permission=f"75{generation}")
        hdfs.call("PUT", at + "/large", "SETXATTR", xattr__name="user.colour", xattr__value=f"0x0{generation}", flag="REPLACE")
        hdfs.remove(f"{at}/names/{NAMES[generation]}")

    def truncate(self, path, length):
        self.north.truncate(path, length)
        self.add_when_truncated(path)

    def add_when_truncated(self, path):
        """Inside a block it goes on for a while after the answer: the file is closed when it may be appended to."""
        deadline = time.monotonic() + 60
        while True:
            try:
                return self.north.append(path, b"+")
            except Refused as refused:
                self.assertLess(time.monotonic(), deadline, refused)
                time.sleep(0.05)

    # --- what has to hold
    def kept(self, point):
        return f"{self.to}/.snapshot/lockstep-point.orders.trail.{point}"

    def assert_point(self, point, expected):
        self.assertEqual(shown(self.south, self.kept(point)), expected)
        _, problems = point_check.check_record(self.site.record(point), True, self.clusters["south"].url)
        self.assertEqual(problems, [])

    # --- tools
    def is_there(self, path):
        try:
            return bool(self.south.status(path))
        except Refused:
            return False
