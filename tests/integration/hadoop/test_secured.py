#!/usr/bin/python3
"""What a user is told whose cluster wants Kerberos. The other cluster is of hadoop.py, which runs already; the NameNode
that wants it and its Kerberos server are started here, and gone at the end."""
import os
import time
import unittest

from service import BOUNDED, HadoopService  # it finds the modules below
from harness import FULL
from hdfs_tree import Hdfs
from secured import Secured

POLICY = BOUNDED + """\
  - {{name: trail, component: hdfs, path: {path}, allow_snapshot: true, to: {{path: {path}-kept}}}}
attempts: 1
deadline: 1m
"""


@unittest.skipUnless(FULL, "a NameNode and a Kerberos server more; the short tier has the client's unit test of the same")
class WantsKerberos(HadoopService):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.secured = Secured("south")
        cls.addClassCleanup(cls.secured.wipe)
        cls.secured.start()

    def stand_for(self, name):
        """Of the site's two clusters the one that wants Kerberos."""
        self.secured.name = name
        type(self).clusters = {**self.clusters, name: self.secured}

    def setUp(self):
        before = self.clusters
        self.addCleanup(setattr, type(self), "clusters", before)
        self.open = before["north"].url
        self.stand_for("north" if "source" in self._testMethodName else "south")
        super().setUp()
        self.path = f"/secured-{os.getpid()}"
        self.hdfs = Hdfs(self.open)
        self.addCleanup(self.hdfs.close)
        self.hdfs.put(self.path + "/file", b"x")
        self.addCleanup(self.hdfs.remove, self.path)

    def assert_refused(self):
        self.site.up()
        self.site.apply(POLICY.format(mode="push", path=self.path))
        refused = self.site.cli("run", "orders", "--wait", ok=None)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("asks for Kerberos", refused.stdout + refused.stderr)
        self.assertEqual(self.site.json("points", "orders"), [])

    def test_a_source_that_wants_kerberos_is_refused_by_name(self):
        self.assert_refused()

    def test_a_target_that_wants_kerberos_is_refused_by_name_and_no_pin_stays(self):
        self.assert_refused()
        deadline = time.monotonic() + 60
        while self.hdfs.snapshots(self.path):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.2)


if __name__ == "__main__":
    unittest.main()
