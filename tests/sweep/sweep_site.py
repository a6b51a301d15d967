"""The site that the sweep kills: two clusters on btrfs, a fenced service of files and a database whose
oldest point is pruned at every run, and a slow one whose run is aborted in the middle of its transfer.
Each service lists the failpoints that it passes, and can be told to die at one."""
import glob
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time

sys.path[:0] = [os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "process")]
from by_hand import ByHand  # noqa: E402
from failpoints import Failpoints  # noqa: E402
from harness import Disks, point_check, tree_compare  # noqa: E402
from remains import remains  # noqa: E402
import client as protocol  # noqa: E402

WINDOW = 16 << 20
ORDERS = """service: orders
mode: {mode}
consistency: fenced
max_skew: 10s
max_lateness: 60s
rpo: {rpo}h
stall: 30s
before: {{run: ["/bin/true"]}}
after: {{run: ["/bin/true"]}}
data_sets:
  - {{name: invoices, component: files, path: {north}/orders/invoices, fence: {{hook: pause, timeout: 20s}}}}
  - {{name: ledger, component: sqlite, path: {north}/orders/ledger.db, refers_to: [invoices]}}
retention: {{last: 2}}
"""
SLOW = """service: slow
mode: {mode}
consistency: bounded
max_skew: 10s
max_lateness: 60s
attempts: 1
bandwidth: 1MB
data_sets:
  - {{name: slow, component: files, path: {north}/slow}}
"""


class SweepSite(Failpoints, ByHand):
    def __init__(self, disks, mode, seed, file_system="btrfs"):
        super().__init__(disks.make("north", file_system, 2 << 30), disks.make("south", file_system, 2 << 30))
        self.disks, self.mode, self.random, self.rpo = disks, mode, random.Random(seed), 1
        self.prepare_failpoints()
        self.paused = os.path.join(self.base, "paused")
        self.hook("pause", f"if [ \"$1\" = pause ]; then : > '{self.paused}'; else rm -f '{self.paused}'; fi\n")
        self.client = protocol.Client(self.config, "user")
        self.invoices = os.path.join(self.north, "orders/invoices")
        self.db = os.path.join(self.north, "orders/ledger.db")
        self.make_data()

    # -- data ----------------------------------------------------------------------------------------
    def make_data(self):
        os.makedirs(os.path.join(self.invoices, "deep/er"))
        os.makedirs(os.path.join(self.north, "slow"))
        for i in range(30):
            self.write(os.path.join(self.invoices, "deep" if i % 2 else "", f"{i:03}"), 500 + i)
        self.write(os.path.join(self.north, "slow/large"), 8 << 20)
        with sqlite3.connect(self.db) as db:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b)")
            db.executemany("INSERT INTO t VALUES(?, randomblob(700))", [(i,) for i in range(400)])

    def write(self, path, size):
        with open(path, "wb") as handle:
            handle.write(self.random.randbytes(size))

    def change_data(self, bulk):
        """`bulk`: bytes that are new, incompressible, and so have to travel."""
        self.write(os.path.join(self.invoices, f"{self.random.randrange(30):03}.new"), 3000)
        self.write(os.path.join(self.invoices, "deep/er/bulk"), bulk)
        with sqlite3.connect(self.db) as db:
            db.executemany("UPDATE t SET b = randomblob(700) WHERE a = ?",
                           [(self.random.randrange(400),) for _ in range(20)])

    # -- policies --------------------------------------------------------------------------------------
    def policy(self, service):
        return (ORDERS if service == "orders" else SLOW).format(mode=self.mode, north=self.north, rpo=self.rpo)

    # -- asking ----------------------------------------------------------------------------------------
    def ask(self, to, type_, body=None, seconds=60):
        """Until somebody answers: a service may be dead for a while."""
        return self.client.call(to, type_, body or {}, silence=0.5, timeout=seconds)

    def runs(self, service):
        """Newest first. A successor is there from the instant at which its predecessor has ended."""
        return self.ask("scheduler", "run.list", {"service": service, "limit": 8})["runs"]

    def steps(self, run):
        return {step["step"] for step in self.ask("scheduler", "run.show", {"run": run})["run"]["steps"]}

    # -- what has to be true -----------------------------------------------------------------------------
    def point_problems(self, point):
        """The point checked by its record, restored, and held against the data it was made of."""
        records = glob.glob(os.path.join(self.south, ".lockstep/points/*", point + ".json"))
        if len(records) != 1:
            return [f"{len(records)} records of the point {point}"]
        record, problems = point_check.check_record(records[0], True)
        to = tempfile.mkdtemp(prefix="restored-", dir=self.disks.base)
        try:
            where = self.restore_to(point, to)
            problems += tree_compare.compare(self.invoices, os.path.join(where, "invoices"), [".lockstep"])["differences"]
            problems += self.database_problems(os.path.join(where, "ledger"))
        finally:
            shutil.rmtree(to, ignore_errors=True)
        for one in record["certificate"]["sets"]:
            if one["bytes_resent"] > WINDOW + WINDOW // 4:
                problems.append(f"{one['name']}: {one['bytes_resent']} bytes were sent again")
        return problems

    def restore_to(self, point, to):
        """Where an agent dies between putting a set in its place and writing that down, the repeated
        message finds the place taken and is refused: then to another place."""
        for where in (os.path.join(to, "set"), os.path.join(to, "again")):
            try:
                self.ask("south-transfer", "point.restore",
                         {"id": point, "to": where, "in_place": False, "replace": False, "sets": [], "path": ""})
                return where
            except protocol.Failed as failed:
                if failed.error["code"] != "place-not-empty":
                    raise
        raise AssertionError("a new place was not empty")

    def database_problems(self, restored):
        def rows(path):
            with sqlite3.connect(path) as db:
                return db.execute("SELECT a, b FROM t ORDER BY a").fetchall()
        if os.path.isdir(restored):
            restored = glob.glob(os.path.join(restored, "*.db"))[0]
        return [] if rows(self.db) == rows(restored) else ["the database differs"]

    def leftovers(self):
        """What must not be there when no run is at work."""
        out = []
        if os.path.exists(self.paused):
            out.append("a fence stands")
        guards = subprocess.run(["pgrep", "-f", "lockstep-fence-guard " + self.base], capture_output=True, text=True, check=False)
        if guards.stdout.strip():
            out.append("a guard lives: " + guards.stdout.strip())
        try:
            with sqlite3.connect(self.db, timeout=0, isolation_level=None) as db:
                db.execute("BEGIN IMMEDIATE")
                db.execute("ROLLBACK")
        except sqlite3.OperationalError as error:
            out.append(f"the database is held: {error}")
        holds = self.ask("north-snapshot", "snapshot.holds")["holds"]
        return out + remains(self.north, self.south, ["orders"], holds, 2)

    def leftovers_in_the_end(self, seconds=40):
        """Messages to an agent that was away are repeated after a while: what is left then."""
        deadline = time.monotonic() + seconds
        while True:
            left = self.leftovers()
            if not left or time.monotonic() > deadline:
                return left
            time.sleep(0.25)

    def journals_problems(self):
        """Read when all services have ended."""
        out = []
        for path, queries in (("north-snapshot", ["SELECT run, name FROM fences"]),
                              ("south-transfer", ["SELECT act, run FROM unfinished"]),
                              ("north-transfer", ["SELECT act, run FROM unfinished"])):
            with sqlite3.connect(os.path.join(self.base, "var", path + ".db")) as db:
                for query in queries:
                    out += [f"{path}: {query}: {row}" for row in db.execute(query).fetchall()]
        return out

    def close(self):
        self.client.context.destroy(linger=0)
        super().close()


def new_site(mode, seed, file_system="btrfs"):
    disks = Disks()
    try:
        site = SweepSite(disks, mode, seed, file_system)
        site.up()
        for service in ("orders", "slow"):
            site.apply(site.policy(service), name=service)
        return site
    except BaseException:
        disks.close()
        raise
