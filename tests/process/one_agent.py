"""One agent: a snapshot-agent alone on a file system of its own, told what to do by its messages."""
import glob
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import unittest

from harness import BIN, LOCKSTEP, ROOT, Disks

sys.path[:0] = [os.path.join(ROOT, "tests/protocol")]
import client as protocol  # noqa: E402

AGENT = "north-snapshot"
SECOND = 1_000_000_000


def wait_for(what, condition, seconds=10.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError("it did not come: " + what)


class Run:
    """One run, as the scheduler leads it."""

    def __init__(self, test, sets, service="orders", lease=60, run=None):
        self.test, self.sets, self.service, self.lease = test, sets, service, lease
        self.run = run or protocol.uuid7()
        self.attempts = {}

    def send(self, type_, step, body, attempt=None, **options):
        self.attempts[step] = attempt or self.attempts.get(step, 0) + 1
        return self.test.client.call(AGENT, type_, body, run=self.run, step=step, attempt=self.attempts[step],
                                     epoch=self.test.epoch, **options)

    def names(self):
        return [one["name"] for one in self.sets]

    def arm(self, **options):
        return self.send("instruction.snapshot", "arm",
                         {"service": self.service, "moment": protocol.instant(), "consistency": "fenced",
                          "policy_version": 1, "lease_ns": int(self.lease * SECOND), "sets": self.sets}, **options)

    def up(self, names=None):
        fenced = [one["name"] for one in self.sets if one["fence"]["kind"] != "none"]
        return self.send("snapshot.raise", "raise", {"service": self.service, "sets": names or fenced,
                                                     "at": protocol.instant()})

    def pin(self, names=None, step="pin", **options):
        return self.send("snapshot.pin", step, {"service": self.service, "sets": names or self.names(),
                                                "at": protocol.instant()}, **options)

    def lower(self):
        return self.send("snapshot.lower", "lower", {"service": self.service})

    def commit(self, **options):
        return self.send("snapshot.commit", "commit", {"service": self.service}, **options)

    def keep(self):
        return self.send("snapshot.keep", "keep", {"service": self.service, "sets": self.sets})

    def drop(self):
        return self.send("snapshot.drop", "drop", {"service": self.service, "sets": self.sets})

    @staticmethod
    def free_for(act):
        """Whether no step of the agent's own kept it from `act`."""
        try:
            act()
        except protocol.Failed as failed:
            if failed.error["code"] != "run-busy":
                raise
            return False
        return True

    def refused(self, code, act):
        with self.test.assertRaises(protocol.Failed) as caught:
            act()
        self.test.assertEqual(caught.exception.error["code"], code, caught.exception)


class AgentTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0:
            raise unittest.SkipTest("needs root for loop devices and cgroups")

    def setUp(self):
        self.disks = Disks()
        self.addCleanup(self.disks.close)
        self.home = self.disks.make("north", "btrfs")
        self.base = tempfile.mkdtemp(prefix="lockstep-agent-")
        self.addCleanup(subprocess.run, ["rm", "-rf", self.base], check=False)
        subprocess.run([LOCKSTEP, "init", self.base, "--local"], check=True, capture_output=True)
        self.config = os.path.join(self.base, "lockstep.yaml")
        self.client = protocol.Client(self.config, "scheduler")
        self.addCleanup(self.client.context.destroy, linger=0)
        self.epoch = {"number": 1, "promotion": self.client.site.text["first_promotion"]}
        self.agent = None
        self.addCleanup(self.stop)
        self.files = os.path.join(self.home, "invoices")
        os.makedirs(self.files)
        for i in range(20):
            with open(os.path.join(self.files, f"{i:03}"), "w", encoding="utf-8") as handle:
                handle.write(f"invoice {i}\n")
        self.db = os.path.join(self.home, "ledger.db")
        with sqlite3.connect(self.db) as db:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("CREATE TABLE t(a)")
            db.executemany("INSERT INTO t VALUES(?)", [(i,) for i in range(100)])
        self.hook_log = os.path.join(self.base, "hook.log")
        self.hook("pause", "")
        self.start()

    def hook(self, name, body):
        os.makedirs(os.path.join(self.base, "hooks"), exist_ok=True)
        path = os.path.join(self.base, "hooks", name)
        with open(path, "w", encoding="utf-8") as handle:
            handle.write(f"#!/bin/sh\necho \"$1 $LOCKSTEP_SERVICE $LOCKSTEP_SET $LOCKSTEP_ACTION "
                         f"$LOCKSTEP_TIMEOUT_MS $LOCKSTEP_MOMENT $LOCKSTEP_RUN\" >> '{self.hook_log}'\n{body}\n")
        os.chmod(path, 0o755)

    def hooked(self):
        if not os.path.exists(self.hook_log):
            return []
        with open(self.hook_log, encoding="utf-8") as handle:
            return [line.split() for line in handle]

    def start(self):
        log = open(os.path.join(self.base, "agent.log"), "a", encoding="utf-8")  # noqa: SIM115
        self.agent = subprocess.Popen([os.path.join(BIN, "lockstep-snapshot-agent"), "--config", self.config,
                                       "--name", AGENT], stdout=log, stderr=log)
        log.close()
        self.client.call(AGENT, "ping", timeout=10)

    def stop(self):
        if self.agent is not None and self.agent.poll() is None:
            self.agent.send_signal(signal.SIGTERM)
            self.agent.wait(timeout=20)
        self.agent = None

    def kill(self):
        self.agent.kill()
        self.agent.wait()

    def guards(self):
        """The guards that this agent started."""
        out = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout
        return [int(line.split()[0]) for line in out.splitlines()
                if "lockstep-fence-guard " + self.base in line.replace(BIN + "/", "")]

    def set(self, name, component, path, kind="none", timeout=5.0, **fence):
        side = {"component": component, "location": path, "options": {}}
        return {"name": name, "agent": AGENT, "from": {"cluster": "north", **side}, "to": {"cluster": "south", **side},
                "fence": {"kind": kind, "hook": fence.get("hook", ""), "cgroup": fence.get("cgroup", ""),
                          "timeout_ns": int(timeout * SECOND)},
                "refers_to": [], "exclude": [], "allow_writer_stall": False}

    def invoices(self, **fence):
        return self.set("invoices", "files", self.files, **fence)

    def ledger(self, **fence):
        return self.set("ledger", "sqlite", self.db, **{"kind": "own_lock", **fence})

    def holds(self):
        return {(hold["set"], hold["run"], hold["reason"])
                for hold in self.client.call(AGENT, "snapshot.holds")["holds"]}

    def stored(self):
        return sorted({os.path.basename(path).split(".")[0]
                       for path in glob.glob(os.path.join(self.home, "**/.lockstep/pins/*/*/*"), recursive=True)})

    def events(self):
        return list(self.client.events(AGENT, timeout=0.5))
