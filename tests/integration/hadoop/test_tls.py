#!/usr/bin/python3
"""A backup to and from an HDFS that is reached by TLS, and what a user is told whose certificates do not fit. The other
cluster is of hadoop.py, which runs already; the one with TLS is started here, and gone at the end."""
import os
import unittest

from service import BOUNDED, HadoopService  # it finds the modules below
from harness import FULL, point_check
from hdfs_tree import Hdfs, shown
from tls import Tls

POLICY = BOUNDED + """\
  - {{name: trail, component: hdfs, path: {path}, allow_snapshot: true, to: {{path: {to}}}}}
attempts: 1
deadline: 2m
"""


@unittest.skipUnless(FULL, "an HDFS more; the short tier has the client's unit tests of what is refused")
class OverTls(HadoopService):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.tls = Tls("south")
        cls.addClassCleanup(cls.tls.wipe)
        cls.tls.start()
        cls.clusters = {**cls.clusters, "south": cls.tls}

    def setUp(self):
        self.tls.urls, self.tls.settings = [self.tls.secure_url], {"ca": self.tls.ca}
        self.adjust()
        super().setUp()
        self.north, self.south = (Hdfs(self.clusters[name].url) for name in ("north", "south"))
        own = f"/tls-{os.getpid()}"
        self.path, self.to = own + "/trail", own + "/kept"
        self.addCleanup(self.clear, own)
        self.north.put(self.path + "/large", os.urandom(9_000_000), blocksize=4 << 20)
        for i in range(30):
            self.north.put(f"{self.path}/a b%{i}", b"%d" % i * i)

    def adjust(self):
        """How the cluster is named in lockstep.yaml, by the test's name."""
        if "of_another_ca" in self._testMethodName:
            self.tls.settings = {"ca": self.tls.wrong_ca}
        elif "of_no_ca_of_the_system" in self._testMethodName:
            self.tls.settings = {}
        elif "another_name" in self._testMethodName:
            self.tls.urls = [f"https://localhost:{self.tls.https}"]

    def clear(self, own):
        for hdfs in (self.north, self.south):
            hdfs.remove_with_snapshots(own, self.path, self.to)
            hdfs.close()

    def run_it(self, **options):
        self.site.up()
        self.site.apply(POLICY.format(mode="push", path=self.path, to=self.to))
        return self.site.cli("run", "orders", "--wait", **options)

    def assert_refused(self, *words):
        refused = self.run_it(ok=None)
        told = refused.stdout + refused.stderr
        self.assertNotEqual(refused.returncode, 0)
        for word in words:
            self.assertIn(word, told)
        self.assertEqual(self.site.json("points", "orders"), [])

    def test_a_set_is_carried_read_again_and_carried_back(self):
        self.run_it()
        first = self.site.json("points", "orders")[0]["id"]
        expected = shown(self.north, self.path)
        self.assertEqual(shown(self.south, f"{self.to}/.snapshot/lockstep-point.orders.trail.{first}"), expected)
        _, problems = point_check.check_record(self.site.record(first), True, self.tls.url)
        self.assertEqual(problems, [])
        self.site.cli("verify", first)
        self.site.json("promote", "south", "--yes")
        self.south.put(self.to + "/of-south", os.urandom(3_000_000))
        expected = shown(self.south, self.to)
        second = self.site.run("orders")["point"]
        self.assertEqual(shown(self.north, f"{self.path}/.snapshot/lockstep-point.orders.trail.{second}"), expected)

    def test_a_certificate_of_another_ca_is_refused(self):
        self.assert_refused("certificate", f"127.0.0.1:{self.tls.https}", "`ca`")

    def test_a_certificate_of_no_ca_of_the_system_is_refused(self):
        self.assert_refused("certificate", f"127.0.0.1:{self.tls.https}", "`ca`")

    def test_a_certificate_of_another_name_is_refused(self):
        self.assert_refused("localhost", "matches target host name", "`ca`")


if __name__ == "__main__":
    unittest.main()
