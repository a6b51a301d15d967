"""A service with a data set in HBase, and others, between two real clusters: what its application does, and what has
to hold."""
import os
import time

from service import HadoopService  # it finds the modules below
from harness import FULL, point_check
from hdfs_tree import Hdfs
from tables import Tables

ROWS = 20000 if FULL else 2000
POLICY = """service: orders
mode: {mode}
consistency: bounded
max_skew: 2m
max_lateness: 2m
data_sets:
  - {{name: lines, component: hbase, path: /{space}/*}}
  - {{name: trail, component: hdfs, path: {path}, allow_snapshot: true}}
  - {{name: invoices, component: files, path: {north}/orders/invoices}}
  - {{name: ledger, component: sqlite, path: {north}/orders/ledger.db}}
"""


class HBaseService(HadoopService):
    with_hbase = True

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.tables = {name: Tables(cluster) for name, cluster in cls.clusters.items()}

    @classmethod
    def tearDownClass(cls):
        for tables in cls.tables.values():
            tables.close()
        super().tearDownClass()

    def setUp(self):
        super().setUp()
        self.north, self.south = self.tables["north"], self.tables["south"]
        self.space = f"s{os.getpid()}_" + "".join(word[0] for word in self.id().rsplit(".", maxsplit=1)[-1].split("_"))
        self.path = f"/hbase-service-{self.space}/trail"
        self.restored = []
        self.addCleanup(self.clear)

    def clear(self):
        for name, tables in self.tables.items():
            for one in tables.ask("snapshots").split():
                if one.startswith("lockstep-"):
                    tables.ask("delete-snapshot", one.partition("=")[0])
            for space in (self.space, *self.restored):
                tables.ask("clear", space)
            hdfs = Hdfs(self.clusters[name].url)
            for snapshot in hdfs.snapshots(self.path):
                hdfs.call("DELETE", self.path, "DELETESNAPSHOT", snapshotname=snapshot)
            hdfs.remove(os.path.dirname(self.path))
            hdfs.close()

    def policy(self, mode="push"):
        return POLICY.format(mode=mode, space=self.space, path=self.path, north=self.site.north)

    def fill(self, rows=ROWS):
        self.north.ask("create", self.space + ":lines", 4)
        self.north.ask("create", self.space + ":heads", 1)
        self.north.ask("put", self.space + ":lines", 0, rows, 1000)
        self.north.ask("put", self.space + ":heads", 0, 100, 100)
        hdfs = Hdfs(self.clusters["north"].url)
        hdfs.put(self.path + "/file", os.urandom(100_000))
        hdfs.close()

    # --- what has to hold
    def seen(self, tables, space, prefix=""):
        return {name: (tables.ask("digest", f"{space}:{prefix}{name}"), tables.ask("describe", f"{space}:{prefix}{name}"))
                for name in ("lines", "heads")}

    def snapshots(self, tables, kind):
        """Names of our snapshots; none may go by itself."""
        found = [one.rpartition("=") for one in tables.ask("snapshots").split() if one.startswith(kind + ".orders.lines.")]
        self.assertEqual([name for name, _, ttl in found if ttl != "0"], [])
        return {name for name, _, _ in found}

    def expected_snapshots(self, kind, runs):
        return {f"{kind}.orders.lines.{run}.{self.space}.{table}" for run in runs for table in ("lines", "heads")}

    def assert_point(self, point, expected):
        space = f"r{len(self.restored)}_{self.space}"
        self.restored.append(space)
        self.site.json("restore", point, "--to", "/" + space, "--set", "lines")
        self.assertEqual(self.seen(self.south, space, f"lines.{self.space}."), expected)
        _, problems = point_check.check_record(self.site.record(point), True, self.clusters["south"].url)
        self.assertEqual(problems, [])
        self.site.cli("verify", point)

    def wait_for_pins(self):
        """Pins of earlier points are let go a moment after the run; those that HBase made when nobody waited for them any
        more are looked for every minute."""
        deadline = time.monotonic() + 150
        while True:
            held = self.expected_snapshots("lockstep-pin", {hold["run"] for hold in self.site.json("holds") if hold["set"] == "lines"})
            found = self.snapshots(self.north, "lockstep-pin")
            if found == held or time.monotonic() > deadline:
                self.assertEqual(found, held)
                return
            time.sleep(0.2)

    def nothing_staged(self):
        hdfs = Hdfs(self.clusters["south"].url)
        listed = hdfs.json("GET", "/hbase/.lockstep", "LISTSTATUS")["FileStatuses"]["FileStatus"]
        hdfs.close()
        self.assertEqual([one["pathSuffix"] for one in listed if one["pathSuffix"].startswith("orders.lines.")], [])
