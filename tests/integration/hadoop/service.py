"""What tests of a service on two real Hadoop clusters share: a site whose lockstep.yaml names them, the service's
files and database, and a run that is disturbed while it goes on."""
import json
import os
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
sys.path[:0] = [HERE] + [os.path.join(ROOT, folder) for folder in ("tests/process", "tests/compare", "bench")]
import by_hand  # noqa: E402
import failpoints  # noqa: E402
import hadoop  # noqa: E402
import lockstep_yaml  # noqa: E402
import world  # noqa: E402
from harness import LOCKSTEP, SiteTest  # noqa: E402

BOUNDED = """service: orders
mode: {mode}
consistency: bounded
max_skew: 1m
max_lateness: 1m
data_sets:
"""    # a policy's head


class StoppableSite(failpoints.Failpoints, by_hand.ByHand):
    """Its services are processes of the test, which stop where they are told to."""

    def __init__(self, north, south):
        super().__init__(north, south)
        self.prepare_failpoints()


class HadoopService(SiteTest):
    with_hbase = False
    distcp = exportsnapshot = None    # settings of the engine, as lockstep_yaml.name_clusters() takes them

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.clusters = {name: hadoop.Cluster(name) for name in hadoop.BASE}
        for cluster in cls.clusters.values():
            command = "hbase" if cls.with_hbase else "start"
            if not (cluster.serves_hbase() if cls.with_hbase else cluster.serves()):
                raise AssertionError(f"{cluster.name} is not up; start it with tests/integration/hadoop/hadoop.py {command}")

    def setUp(self):
        super().setUp()
        lockstep_yaml.name_clusters(self.site.config, self.clusters.values(), self.with_hbase, self.distcp, self.exportsnapshot)
        home = os.path.join(self.site.north, "orders")
        os.makedirs(home + "/invoices")
        with open(home + "/invoices/one", "w", encoding="utf-8") as handle:
            handle.write("invoice")
        subprocess.run(["sqlite3", home + "/ledger.db", "PRAGMA journal_mode=WAL; CREATE TABLE t(x); INSERT INTO t VALUES (1)"],
                       check=True, capture_output=True)

    def lockstep(self, *words):
        return [LOCKSTEP, *words, "-c", self.site.config]

    def outcome_disturbed(self, begun, disturb, service="orders"):
        """A run, disturbed once begun() is true of it, to its end: its exit status, and what it printed."""
        with subprocess.Popen(self.lockstep("run", service, "--wait", "--json"), stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True) as run:
            try:
                deadline = time.monotonic() + 200
                while not begun():
                    self.assertIsNone(run.poll(), "the run ended before it could be disturbed")
                    self.assertLess(time.monotonic(), deadline)
                    time.sleep(0.01)
                disturb()
                out, error = run.communicate(timeout=400)
            finally:    # it may be waiting for somebody who was stopped
                run.kill()
        return run.returncode, out, error

    def run_disturbed(self, *words, **options):
        """The same of a run that succeeds all the same: what it printed, read."""
        status, out, error = self.outcome_disturbed(*words, **options)
        self.assertEqual(status, 0, out + error + self.site.logs(12))
        return json.loads(out)

    def wait_for_drops(self, hdfs, path, seconds=30):
        """Pins of earlier points of the set `trail`, which lies there, are let go a moment after the run."""
        deadline = time.monotonic() + seconds
        while True:
            held = {f"lockstep-pin.orders.trail.{hold['run']}" for hold in self.site.json("holds") if hold["set"] == "trail"}
            left = set(hdfs.snapshots(path)) - held
            if not left:
                return
            self.assertLess(time.monotonic(), deadline, f"pins without a hold: {left}")
            time.sleep(0.3)

    def assert_not_staged(self, hdfs, path):
        """Nothing is being received there: the directory shows its newest point."""
        marks = [one["value"] for one in hdfs.json("GET", path, "GETXATTRS", encoding="text")["XAttrs"] if one["name"] == "user.lockstep.attempt"]
        newest = max(name for name in hdfs.snapshots(path) if name.startswith("lockstep-point."))
        self.assertEqual([mark.strip('"').rpartition(".")[0].replace("/", ".") for mark in marks], [newest.removeprefix("lockstep-point.")])

    def certificate_of(self, point, name):
        with open(self.site.record(point), encoding="utf-8") as handle:
            sets = json.load(handle)["certificate"]["sets"]
        return next(one for one in sets if one["name"] == name)

    def kill(self, name):
        """`lockstep up` starts it again."""
        os.kill(world.processes_of(self.site.config)[name], signal.SIGKILL)
