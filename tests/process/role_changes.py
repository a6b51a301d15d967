"""Runs, promotions, failbacks and switchovers of one site, one after the other, each while something happens to
it; and what has to be true when that is over. By sites whose services are processes of the test (by_hand.py)."""
import contextlib
import glob
import json
import os
import random
import shutil
import sqlite3
import subprocess
import tempfile
import time

from by_hand import ByHand
from failpoints import Failpoints
from harness import point_check, tree_compare

TERMINAL = ("complete", "failed", "aborted", "missed")
POLICY = """service: orders
mode: {mode}
consistency: fenced
max_skew: 10s
max_lateness: 60s
stall: 12s
data_sets:
  - {{name: invoices, component: files, path: {north}/orders/invoices, fence: {{hook: pause, timeout: 20s}}}}
  - {{name: ledger, component: sqlite, path: {north}/orders/ledger.db, refers_to: [invoices], fence: {{timeout: 20s}}}}
retention: {{last: 3}}
"""


class OneMachine(Failpoints, ByHand):
    """A site whose services are told where to die or to stop; without a gateway."""

    def __init__(self, north, south):
        super().__init__(north, south)
        self.prepare_failpoints()
        self.programs.pop("gateway", None)


def nothing(_asked):
    """An undisturbed act."""


class Roles:
    """The application is stopped while roles change, as --stopped says: what it had is compared whole."""

    def __init__(self, site, disks, mode, seed):
        self.site, self.mode, self.random = site, mode, random.Random(seed)
        self.now, self.other = "north", "south"
        self.diverged = None    # what the superseded primary wrote and nobody carried over
        self.count = 0
        self.changed = lambda: None     # called when the roles have changed, before anything else is done
        self.copy = os.path.join(disks.base, "expected")
        self.paused = os.path.join(site.base, "paused")
        site.hook("pause", f"if [ \"$1\" = pause ]; then : > '{self.paused}'; else rm -f '{self.paused}'; fi\n")
        os.makedirs(os.path.join(self.home("north"), "invoices/deep"))
        with sqlite3.connect(os.path.join(self.home("north"), "ledger.db")) as db:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b)")
            db.executemany("INSERT INTO t VALUES(?, randomblob(700))", [(i,) for i in range(200)])
        for i in range(20):
            self.write_file(f"{i:03}", 500 + i)

    def begin(self):
        self.site.up()
        self.until("the sites know each other", lambda: self.client()["decided"] and self.seen() is None)
        self.site.apply(POLICY.format(mode=self.mode, north=self.site.north))
        self.carried()

    # -- data --------------------------------------------------------------------------------------------
    def root(self, cluster):
        return getattr(self.site, cluster)

    def home(self, cluster):
        return os.path.join(self.root(cluster), "orders")

    def write_file(self, name, size):
        path = os.path.join(self.home(self.now), "invoices", name)
        with open(path, "wb") as handle:
            handle.write(self.random.randbytes(size))

    def write(self):
        self.count += 1
        self.write_file(f"{self.random.randrange(20):03}", 3000)
        self.write_file(f"deep/{self.count}", 400)
        self.write_file("bulk", 1 << 20)
        with sqlite3.connect(os.path.join(self.home(self.now), "ledger.db")) as db:
            db.execute("INSERT INTO t(b) VALUES(?)", (f"row {self.count}",))
        db.close()

    def keep_copy(self):
        shutil.rmtree(self.copy, ignore_errors=True)
        os.makedirs(self.copy)
        subprocess.run(["cp", "-a", os.path.join(self.home(self.now), "invoices"), self.copy], check=True)
        # Whoever looks at the database last takes its -wal away, in the middle of a copy by name.
        with contextlib.closing(sqlite3.connect(os.path.join(self.home(self.now), "ledger.db"))) as db, \
                contextlib.closing(sqlite3.connect(os.path.join(self.copy, "ledger.db"))) as copy:
            db.backup(copy)

    @staticmethod
    def rows(path):
        db = sqlite3.connect(path)
        try:
            return db.execute("SELECT a, b FROM t ORDER BY a").fetchall()
        finally:
            db.close()

    def differences(self, invoices, ledger):
        """From the copy."""
        out = tree_compare.compare(os.path.join(self.copy, "invoices"), invoices, [".lockstep"])["differences"]
        if os.path.isdir(ledger):
            ledger = glob.glob(os.path.join(ledger, "*.db"))[0]
        return out + ([] if self.rows(os.path.join(self.copy, "ledger.db")) == self.rows(ledger) else ["the database differs"])

    # -- asking ------------------------------------------------------------------------------------------
    def client(self):
        return self.site.json("client")

    def start(self, *words):
        return subprocess.Popen(self.site.command_of(*words), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    @staticmethod
    def end(asked, seconds=180):
        try:
            return asked.communicate(timeout=seconds)[0]
        except subprocess.TimeoutExpired:
            asked.kill()
            asked.communicate()
            return f"did not end in {seconds} s"

    def until(self, what, look, seconds=120):
        """`look` may fail while somebody is away."""
        deadline, last = time.monotonic() + seconds, ""
        while True:
            try:
                if look():
                    return
            except (AssertionError, json.JSONDecodeError, KeyError, TypeError, subprocess.TimeoutExpired) as problem:
                last = str(problem)[:2000]
            if time.monotonic() > deadline:
                raise AssertionError(f"waited for: {what}; {last}")
            time.sleep(0.2)

    def runs(self):
        return self.site.json("runs", "orders", "--limit", "20")

    # -- acts: `happens` is given the command that was started ---------------------------------------------
    def run(self, happens):
        self.write()
        asked = self.start("run", "orders", "--wait")
        happens(asked)
        self.end(asked)
        self.converged()

    def promotion(self, happens):
        assert self.diverged is None
        self.diverged = f"diverged-{self.count}"
        self.write_file(self.diverged, 100)
        self.change(["promote", self.other, "--yes"], happens)

    def failback(self, happens):
        gone, self.diverged = self.diverged, None
        self.write()
        self.keep_copy()
        self.change(["failback", self.other, "--stopped", "--yes"], happens)
        held = [one for hold in self.site.json("holds") if hold["reason"] == "divergent" and hold["cluster"] == self.now
                for one in glob.glob(os.path.join(self.home(self.now), ".lockstep/pins/orders/invoices", hold["run"] + "*", "**", gone),
                                     recursive=True)
                + glob.glob(os.path.join(self.root(self.now), ".lockstep/pins/orders/invoices", hold["run"] + "*", "**", gone),
                            recursive=True)]
        assert held, f"{gone} is not kept aside"

    def switchover(self, happens):
        self.write()
        self.keep_copy()
        self.change(["switchover", self.other, "--stopped", "--yes"], happens)

    def change(self, words, happens):
        asked = self.start(*words)
        happens(asked)
        said = [self.end(asked)]

        def there():
            # Applications may have been sent there, and the command have ended all the same before its last step.
            if self.client()["application"] == self.other and not self.open_changes():
                return True
            said.append(self.site.cli(*words, ok=None).stderr)
            return False
        try:
            self.until("the change of roles, repeated", there)
        except AssertionError as problem:
            raise AssertionError(f"{problem}\n" + "\n".join(said[-6:])) from problem
        self.changed()
        self.now, self.other = self.other, self.now
        different = self.differences(os.path.join(self.home(self.now), "invoices"), os.path.join(self.home(self.now), "ledger.db"))
        assert not different, f"what became live differs: {different}"
        self.converged()

    def prepare(self, act):
        """What has to come before it, undisturbed."""
        if act == "failback" and self.diverged is None:
            self.promotion(nothing)
        if act in ("promotion", "switchover") and self.diverged is not None:
            self.failback(nothing)

    def act(self, name, happens):
        getattr(self, name)(happens)

    # -- what has to be true afterwards ----------------------------------------------------------------------
    def converged(self):
        self.until("one primary, seen by all", lambda: self.seen() is None)
        self.until("no change of roles is open", lambda: not self.open_changes(), 20)
        self.until("every run ends", lambda: all(run["state"] in TERMINAL for run in self.runs()))
        self.carried()
        deadline = time.monotonic() + 60
        while (left := self.leftovers()) and time.monotonic() < deadline:
            time.sleep(0.3)
        assert not left, left
        for cluster in (self.now, self.other):      # what a person does once nobody misses it
            for path in glob.glob(os.path.join(self.home(cluster), "*.before-*")):
                subprocess.run(["rm", "-rf", path], check=True)

    def seen(self):
        """None, or what is not as it should be."""
        shown = self.client()
        found = {one["name"]: (one["identity"], one["epoch"], one["health"]) for one in shown["clusters"]}
        number = shown["decided"]["number"]
        wanted = {self.now: ("primary", number, "healthy"), self.other: ("secondary", number, "healthy")}
        if (found, shown["application"], shown["decided"]["primary"]) != (wanted, self.now, self.now):
            return found
        return "clash" if shown["clashes"] or shown["two_primaries"] else None

    def open_changes(self):
        """Of a copy: the journal's one connection is the service's."""
        with tempfile.TemporaryDirectory() as place:
            for name in glob.glob(os.path.join(self.site.base, "var/health-monitor.db*")):
                shutil.copy(name, place)
            db = sqlite3.connect(os.path.join(place, "health-monitor.db"))
            try:
                return db.execute("SELECT count(*) FROM promotion WHERE open = 1").fetchone()[0]
            finally:
                db.close()

    def carried(self):
        """The next run completes, and its point is the data."""
        done = []

        def complete():
            done.append(self.site.cli("run", "orders", "--wait", "--json", ok=None, timeout=200))
            return done[-1].returncode == 0
        try:
            self.until("a run that completes", complete, 60)
        except AssertionError as problem:
            raise AssertionError(f"{problem}: {[one.stdout + one.stderr for one in done[-3:]]}") from problem
        point = json.loads(done[-1].stdout)["point"]
        self.keep_copy()
        record = glob.glob(os.path.join(self.root(self.other), ".lockstep/points/*", point + ".json"))
        assert len(record) == 1, f"{point}: {record}"
        problems = point_check.check_record(record[0], True)[1]
        to = os.path.join(self.root(self.other), "restored")
        try:
            self.site.cli("restore", point, "--to", to)
            problems += self.differences(os.path.join(to, "invoices"), os.path.join(to, "ledger"))
        finally:
            shutil.rmtree(to, ignore_errors=True)
        assert not problems, problems

    def leftovers(self):
        out = ["a fence stands"] if os.path.exists(self.paused) else []
        holds = self.site.json("holds")
        for cluster in (self.now, self.other):
            def each(pattern, root=self.root(cluster)):
                return glob.glob(os.path.join(root, ".lockstep", pattern)) + glob.glob(os.path.join(root, "*/.lockstep", pattern))

            held = {(one["service"], one["set"], one["run"]) for one in holds if one["cluster"] == cluster}
            pins = {(*path.split(os.sep)[-3:-1], os.path.basename(path).split(".")[0]) for path in each("pins/*/*/*")}
            out += [f"{cluster}: a pin without a hold: {pin}" for pin in pins - held]
            out += [f"{cluster}: a hold without a pin: {pin}" for pin in held - pins]
            out += [f"{cluster}: a hold of a run: {one}" for one in holds
                    if one["cluster"] == cluster and one["reason"] not in ("base", "divergent")]
            points = {os.path.basename(path)[:-5] for path in each("points/*/*.json")}
            out += [f"staging: {path}" for path in each("staging/*/*/*")]
            out += [f"a part: {path}" for path in each("points/*/*.part")]
            out += [f"a version without a point: {path}" for path in each("versions/*/*/*")
                    if os.path.basename(path).split(".")[0] not in points]
            out += [f"half promoted: {path}" for pattern in ("*.promoted-*", ".lockstep-restore*", "*.lockstep-restore*")
                    for path in glob.glob(os.path.join(self.home(cluster), pattern))]
        return out
