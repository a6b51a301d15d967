#!/usr/bin/python3
"""The snapshot-agent alone, told what to do by its messages: pins, fences and what is left of them
when somebody dies."""
import glob
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
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


def cgroup_mount():
    with open("/proc/self/mounts", encoding="utf-8") as table:
        for line in table:
            if line.split()[2] == "cgroup2":
                return line.split()[1]
    return None


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


class SnapshotAgent(unittest.TestCase):
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

    # -- the good way ------------------------------------------------------------------------------
    def test_a_run_from_arm_to_base(self):
        first = Run(self, [self.invoices(kind="hook", hook="pause"), self.ledger()])
        armed = first.arm()
        self.assertEqual([one["name"] for one in armed["sets"]], ["invoices", "ledger"])
        raised = {one["name"]: one for one in first.up()["sets"]}
        # The lock of the database stands: nobody else gets it.
        with self.assertRaises(sqlite3.OperationalError), sqlite3.connect(self.db, timeout=0.1) as db:
            db.execute("INSERT INTO t VALUES(1)")
        pinned = {one["name"]: one for one in first.pin()["sets"]}
        lowered = {one["name"]: one for one in first.lower()["sets"]}
        self.assertEqual(set(raised), {"invoices", "ledger"})
        self.assertEqual({name: one["kind"] for name, one in raised.items()},
                         {"invoices": "hook", "ledger": "own_lock"})
        self.assertLess(max(one["raised"]["acknowledged"] for one in raised.values()),
                        min(one["pinned"]["requested"] for one in pinned.values()))
        self.assertLess(max(one["pinned"]["acknowledged"] for one in pinned.values()),
                        min(one["lowered"]["requested"] for one in lowered.values()))
        for one in lowered.values():
            self.assertTrue(one["held"], one)
        with sqlite3.connect(self.db) as db:
            db.execute("INSERT INTO t VALUES(1)")
        os.remove(os.path.join(self.files, "000"))
        committed = first.commit()
        self.assertEqual(committed["state"], "committed")
        self.assertEqual([one[0] for one in self.hooked()], ["pause", "resume"])
        for line, action in zip(self.hooked(), ("pause", "resume")):
            self.assertEqual(line[1:5], ["orders", "invoices", action, "5000"])
            self.assertEqual(line[6], first.run)
        self.assertEqual(self.holds(), {("invoices", first.run, "run"), ("ledger", first.run, "run")})
        wait_for("the guard ends with the commit", lambda: not self.guards())
        native = {one["name"]: json.loads(one["version"]["native"]) for one in committed["sets"]}
        self.assertEqual(sorted(os.listdir(native["invoices"]["tree"])), [f"{i:03}" for i in range(20)])

        self.assertEqual(first.keep(), {"dropped": []})
        second = Run(self, first.sets)
        for act in (second.arm, second.up, second.pin, second.lower, second.commit):
            act()
        self.assertEqual(second.keep(), {"dropped": [first.run]})
        self.assertEqual(self.holds(), {("invoices", second.run, "base"), ("ledger", second.run, "base")})
        self.assertEqual(self.stored(), [second.run])
        self.assertEqual([event["type"] for event in self.events()],
                         ["pin.made"] * 4 + ["pin.dropped"] * 2)

    def test_a_repeat_gets_the_stored_answer_and_an_older_attempt_is_fenced(self):
        run = Run(self, [self.invoices()])
        armed = run.arm(attempt=1)
        self.assertEqual(run.arm(attempt=1), armed)
        pinned = run.pin(attempt=2)
        self.assertEqual(run.pin(attempt=2), pinned)
        self.assertEqual(run.pin(attempt=3), pinned)
        run.refused("cancelled", lambda: run.pin(attempt=1))
        committed = run.commit(attempt=1)
        self.stop()
        self.start()
        self.assertEqual(run.commit(attempt=1), committed)
        self.assertEqual(run.commit(attempt=2), committed)
        self.assertEqual(self.holds(), {("invoices", run.run, "run")})

    def test_arming_again_moves_the_moment_and_keeps_what_was_armed(self):
        run = Run(self, [self.invoices(kind="hook", hook="pause")])
        run.arm()
        before = self.guards()
        run.arm()
        self.assertEqual(self.guards(), before)
        run.up()
        run.pin()
        self.assertTrue(run.lower()["sets"][0]["held"])

    # -- the end of a run --------------------------------------------------------------------------
    def test_drop_leaves_nothing_but_a_tombstone(self):
        for until in ("arm", "up", "pin", "lower", "commit"):
            with self.subTest(until):
                run = Run(self, [self.invoices(kind="hook", hook="pause"), self.ledger()])
                for step in ("arm", "up", "pin", "lower", "commit"):
                    getattr(run, step)()
                    if step == until:
                        break
                run.drop()
                run.drop()
                self.assertEqual(self.stored(), [])
                self.assertEqual(self.holds(), set())
                self.assertEqual(len(self.hooked()) % 2, 0, self.hooked())
                self.assertEqual(self.guards(), [])
                for late in (run.arm, run.pin, run.commit):
                    run.refused("pin-dropped", late)
                with sqlite3.connect(self.db, timeout=0.1) as db:
                    db.execute("INSERT INTO t VALUES(1)")
        unknown = Run(self, [self.invoices()])
        unknown.drop()
        unknown.refused("pin-dropped", unknown.arm)

    def test_a_drop_stops_the_step_under_way(self):
        self.hook("slow", "if [ \"$1\" = pause ]; then sleep 20; fi")
        run = Run(self, [self.invoices(kind="hook", hook="slow", timeout=30)])
        run.arm()
        failures = []

        def raise_it():
            with protocol.Client(self.config, "scheduler", self.client.schemas) as other:
                try:
                    other.call(AGENT, "snapshot.raise", {"service": "orders", "sets": ["invoices"],
                                                         "at": protocol.instant()},
                               run=run.run, step="raise", attempt=1, epoch=self.epoch)
                except protocol.Failed as failed:
                    failures.append(failed.error["code"])

        thread = threading.Thread(target=raise_it)
        thread.start()
        wait_for("the hook runs", self.hooked)
        begun = time.monotonic()
        run.drop()
        thread.join()
        self.assertLess(time.monotonic() - begun, 10)
        self.assertEqual(len(failures), 1)
        self.assertEqual([one[0] for one in self.hooked()], ["pause", "resume"])
        self.assertEqual(self.stored(), [])

    def test_a_lease_that_runs_out_drops_the_pins(self):
        run = Run(self, [self.invoices(), self.ledger(kind="none")], lease=0.5)
        run.arm()
        run.pin()
        self.assertEqual(self.stored(), [run.run])
        wait_for("the pins drop themselves", lambda: not self.holds())
        self.assertEqual(self.stored(), [])
        self.assertEqual(run.commit(), {"state": "expired", "sets": []})
        run.refused("pin-expired", run.pin)

    def test_one_that_cannot_arm_leaves_nothing(self):
        run = Run(self, [self.invoices(), self.set("gone", "files", self.home + "/nowhere")])
        run.refused("set-missing", run.arm)
        self.assertEqual(self.stored(), [])
        run.sets = run.sets[:1]
        run.arm()
        run.pin()
        self.assertEqual(run.commit()["state"], "committed")

    # -- fences ------------------------------------------------------------------------------------
    def test_a_hook_that_fails_or_hangs_is_told_and_resumed(self):
        for body, timeout in (("[ \"$1\" = resume ] || { echo no; exit 3; }", 5), ("[ \"$1\" = resume ] || sleep 60", 0.5)):
            with self.subTest(body):
                self.hook("bad", body)
                run = Run(self, [self.invoices(kind="hook", hook="bad", timeout=timeout)])
                run.arm()
                run.refused("hook-failed", run.up)
                self.assertEqual([one[0] for one in self.hooked()][-1], "resume")
                run.refused("pin-failed", run.pin)
                self.assertEqual(self.stored(), [])

    def test_a_fence_falls_by_its_timeout_and_says_so(self):
        run = Run(self, [self.invoices(kind="hook", hook="pause", timeout=1), self.ledger(timeout=1)])
        run.arm()
        run.up()
        wait_for("resume", lambda: [one[0] for one in self.hooked()][-1:] == ["resume"])

        def write():
            try:
                with sqlite3.connect(self.db, timeout=0.05) as db:
                    db.execute("INSERT INTO t VALUES(1)")
                return True
            except sqlite3.OperationalError:
                return False
        wait_for("the lock falls too", write)
        wait_for("the agent has written down that it fell", lambda: run.free_for(run.lower))
        lowered = {one["name"]: one for one in run.lower()["sets"]}
        self.assertEqual(set(lowered), {"invoices", "ledger"})
        self.assertFalse(lowered["invoices"]["held"])   # the lock may have gone with it, in time for its own
        self.assertIn("time-out", lowered["invoices"]["detail"])
        run.refused("fence-failed", run.pin)

    def test_when_the_agent_dies_its_guard_resumes_the_writers(self):
        run = Run(self, [self.invoices(kind="hook", hook="pause", timeout=60)])
        run.arm()
        run.up()
        run.pin()
        self.assertEqual(len(self.guards()), 1)
        self.kill()
        wait_for("the guard resumes", lambda: [one[0] for one in self.hooked()] == ["pause", "resume"], 3)
        wait_for("the guard ends", lambda: not self.guards())
        self.assertEqual(self.stored(), [run.run])
        self.start()
        self.assertEqual(self.stored(), [])
        self.assertEqual(self.holds(), set())
        run.refused("pin-lost", run.commit)
        self.assertIn("fence.undone", [event["type"] for event in self.events()])

    def test_when_the_guard_dies_too_the_next_start_resumes_them(self):
        run = Run(self, [self.invoices(kind="hook", hook="pause", timeout=60)])
        run.arm()
        run.up()
        for pid in self.guards():
            os.kill(pid, signal.SIGKILL)
        self.kill()
        time.sleep(0.3)
        self.assertEqual([one[0] for one in self.hooked()], ["pause"])
        self.start()
        self.assertEqual([one[0] for one in self.hooked()], ["pause", "resume"])

    def test_writers_are_frozen_by_their_cgroup(self):
        mount = cgroup_mount()
        if mount is None:
            self.skipTest("SKIPPED: no cgroup v2 tree is mounted")
        name = "lockstep-test-" + os.path.basename(self.base)
        group = os.path.join(mount, name)
        os.mkdir(group)
        log = os.path.join(self.files, "log")
        writer = subprocess.Popen(["/bin/sh", "-c", f"echo $$ > {group}/cgroup.procs; i=0; "
                                   f"while :; do i=$((i+1)); echo $i >> '{log}'; done"])

        def clean():
            writer.kill()
            writer.wait()
            with open(os.path.join(group, "cgroup.freeze"), "w", encoding="utf-8") as handle:
                handle.write("0")
            wait_for("the cgroup is empty", lambda: not subprocess.run(["rmdir", group], capture_output=True, check=False).returncode)
        self.addCleanup(clean)
        wait_for("the writer writes", lambda: os.path.exists(log) and os.path.getsize(log) > 100)

        def frozen():
            with open(os.path.join(group, "cgroup.events"), encoding="utf-8") as handle:
                return "frozen 1" in handle.read()

        run = Run(self, [self.invoices(kind="cgroup", cgroup=name)])
        run.arm()
        run.up()
        self.assertTrue(frozen())
        size = os.path.getsize(log)
        version = run.pin()["sets"][0]["version"]
        self.assertEqual(os.path.getsize(log), size)
        self.assertTrue(run.lower()["sets"][0]["held"])
        tree = json.loads(version["native"])["tree"]
        self.assertEqual(os.path.getsize(os.path.join(tree, "log")), size)
        wait_for("the writer goes on", lambda: os.path.getsize(log) > size)
        run.drop()

        broken = Run(self, [self.invoices(kind="cgroup", cgroup=name)])
        broken.arm()
        broken.up()
        for value in "01":   # somebody lets them go for a moment
            with open(os.path.join(group, "cgroup.freeze"), "w", encoding="utf-8") as handle:
                handle.write(value)
            time.sleep(0.05)
        broken.pin()
        lowered = broken.lower()["sets"][0]
        self.assertFalse(lowered["held"], lowered)
        broken.drop()

        dying = Run(self, [self.invoices(kind="cgroup", cgroup=name, timeout=60)])
        dying.arm()
        dying.up()
        self.assertTrue(frozen())
        self.kill()
        wait_for("the guard thaws", lambda: not frozen(), 3)
        self.start()

        short = Run(self, [self.invoices(kind="cgroup", cgroup=name, timeout=0.5)])
        short.arm()
        short.up()
        wait_for("the time-out thaws", lambda: not frozen(), 3)

    def test_an_agent_does_not_freeze_itself(self):
        mount = cgroup_mount()
        if mount is None:
            self.skipTest("SKIPPED: no cgroup v2 tree is mounted")
        name = "lockstep-test-" + os.path.basename(self.base)
        group = os.path.join(mount, name)
        os.mkdir(group)
        self.addCleanup(lambda: wait_for("the cgroup is empty", lambda: not subprocess.run(
            ["rmdir", group], capture_output=True, check=False).returncode))
        self.addCleanup(self.stop)
        with open(os.path.join(group, "cgroup.procs"), "w", encoding="utf-8") as handle:
            handle.write(str(self.agent.pid))
        run = Run(self, [self.invoices(kind="cgroup", cgroup=name)])
        run.refused("fence-failed", run.arm)

    # -- no snapshot without a hold -----------------------------------------------------------------
    def test_what_nothing_holds_is_dropped_at_the_start(self):
        run = Run(self, [self.invoices()])
        for act in (run.arm, run.pin, run.commit):
            act()
        pins = os.path.dirname(glob.glob(os.path.join(self.home, ".lockstep/pins/orders/invoices/*"))[0])
        stray = protocol.uuid7()
        subprocess.run(["btrfs", "-q", "subvolume", "snapshot", "-r", os.path.join(pins, run.run),
                        os.path.join(pins, stray)], check=True)
        half = protocol.uuid7()
        os.makedirs(os.path.join(pins, half, "tree"))
        self.stop()
        self.start()
        self.assertEqual(self.stored(), [run.run])
        self.assertEqual(self.holds(), {("invoices", run.run, "run")})

    def test_what_a_store_made_of_a_run_that_was_over_is_dropped_within_a_minute(self):
        """As HBase's master finishes a snapshot that nobody waits for any more."""
        over, run = Run(self, [self.invoices()]), Run(self, [self.invoices()])
        over.arm()
        over.drop()
        for act in (run.arm, run.pin, run.commit):
            act()
        pins = os.path.dirname(glob.glob(os.path.join(self.home, ".lockstep/pins/orders/invoices/*"))[0])
        subprocess.run(["btrfs", "-q", "subvolume", "snapshot", "-r", os.path.join(pins, run.run),
                        os.path.join(pins, over.run)], check=True)
        self.assertEqual(sorted(self.stored()), sorted([over.run, run.run]))
        wait_for("the end of what is over", lambda: self.stored() == [run.run], 100)
        self.assertEqual(self.holds(), {("invoices", run.run, "run")})

    def test_an_older_epoch_and_another_role_are_refused(self):
        run = Run(self, [self.invoices()])
        newer = {"number": 2, "promotion": protocol.uuid7()}
        first, self.epoch = self.epoch, newer
        run.arm()
        self.epoch = first
        run.refused("epoch-old", run.pin)
        self.epoch = newer
        run.pin()
        with protocol.Client(self.config, "user", self.client.schemas) as user:
            with self.assertRaises(protocol.Failed) as caught:
                user.call(AGENT, "snapshot.drop", {"service": "orders", "sets": run.sets}, run=run.run, step="drop")
            self.assertEqual(caught.exception.error["code"], "role-refused")


if __name__ == "__main__":
    unittest.main()
