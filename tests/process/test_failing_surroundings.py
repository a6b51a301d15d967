#!/usr/bin/python3
"""More failing surroundings: rights, files that vanish, disks that fail or are full, a place that
cannot hold the data, a secondary that is away for long. Each: a clear error, nothing partial, nothing
left behind, and the next run works."""
import glob
import os
import shutil
import signal
import subprocess
import threading
import time
import unittest

import harness
from harness import Site, SiteTest

NOBODY = 65534


class UnprivilegedSite(Site):
    """The same site under an account that is not root's."""

    def __init__(self, north, south, programs):
        for path in (north, south):
            os.chown(path, NOBODY, NOBODY)
        self.programs = programs
        os.makedirs(programs)
        for name in os.listdir(harness.BIN):
            if name.startswith("lockstep"):
                shutil.copy(os.path.join(harness.BIN, name), programs)
        super().__init__(north, south)

    def cli(self, *words, config=True, ok=(0,), timeout=300):
        os.chown(self.base, NOBODY, NOBODY)
        environment = dict(self.environment, HOME=self.base, XDG_RUNTIME_DIR="")
        command = [os.path.join(self.programs, "lockstep"), *map(str, words)] + (["-c", self.config] if config else [])
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False, env=environment,
                              user=NOBODY, group=NOBODY, extra_groups=[])
        if ok is not None and done.returncode not in ok:
            raise AssertionError(f"`{' '.join(command)}` ended with {done.returncode}\n{done.stdout}{done.stderr}\n"
                                 + self.logs(12))
        return done


class Failing(SiteTest):
    """A tree of files under a policy that takes it as it is."""
    extra = ""
    stall = "60s"

    def fill(self):
        self.home = os.path.join(self.site.north, "data")
        os.makedirs(self.home)
        for i in range(40):
            with open(os.path.join(self.home, f"{i:03}"), "wb") as handle:
                handle.write(os.urandom(20000))

    def begin(self, to=""):
        self.site.up()
        self.site.apply(f"""service: orders
mode: push
consistency: bounded
max_skew: 30s
attempts: 1
stall: {self.stall}
{self.extra}data_sets:
  - {{name: data, component: files, path: {self.home}{to}}}
""")

    def assert_fails(self, code, *parts):
        done = self.site.cli("run", "orders", "--wait", ok=(1, 3, 4))
        self.assertIn(f"[{code}]", done.stderr)
        self.assertIn("hint:", done.stderr)
        for part in parts:
            self.assertIn(part, done.stderr)
        self.assert_nothing_is_left()

    def assert_works(self):
        point = self.site.run("orders")["point"]
        self.assert_point_is_as_it_says(point)
        self.assert_same_tree(self.home, os.path.join(self.restore(point), "data"))
        return point


class Rights(Failing):
    north_fs = south_fs = "ext4"

    def setUp(self):
        self.disks = harness.Disks()
        self.addCleanup(self.disks.close)
        os.chmod(self.disks.base, 0o755)
        self.site = UnprivilegedSite(self.disks.make("north", "ext4"), self.disks.make("south", "ext4"),
                                     os.path.join(self.disks.base, "bin"))
        self.addCleanup(self.site.close)
        self.fill()
        for path in [self.home, *glob.glob(self.home + "/*")]:
            os.chown(path, NOBODY, NOBODY)

    def restore(self, point):
        where = os.path.join(self.disks.base, "restored-" + point)
        os.makedirs(where)
        os.chown(where, NOBODY, NOBODY)
        self.site.json("restore", point, "--to", os.path.join(where, "set"))
        return os.path.join(where, "set")

    def test_a_file_that_the_agent_may_not_read(self):
        self.begin()
        self.assert_works()
        secret = os.path.join(self.home, "007")
        os.chown(secret, 0, 0)
        os.chmod(secret, 0o600)
        self.assert_fails("permission", secret)
        self.assertEqual(len(self.site.records()), 1)
        os.chown(secret, NOBODY, NOBODY)
        self.assert_works()


class Changing(Failing):
    north_fs = "ext4"

    def test_files_that_vanish_while_the_pin_copies_them(self):
        self.fill()
        stop = threading.Event()

        def vanish():
            number = 0
            while not stop.is_set():
                path = os.path.join(self.home, f"passing-{number % 50}")
                with open(path, "wb") as handle:
                    handle.write(b"x" * 1000)
                os.unlink(os.path.join(self.home, f"passing-{number % 50}"))
                number += 1

        self.begin()
        self.assert_works()
        writer = threading.Thread(target=vanish)
        writer.start()
        try:
            self.assert_fails("set-changed", self.home)
        finally:
            stop.set()
            writer.join()
        self.assertEqual(len(self.site.records()), 1)
        self.assert_works()

    def test_the_primarys_disk_has_no_room_for_the_pin(self):
        self.fill()
        self.begin()
        self.assert_works()
        space = os.statvfs(self.site.north)
        large = os.path.join(self.home, "large")
        with open(large, "wb") as handle:
            handle.write(os.urandom(1 << 20) * int(space.f_bavail * space.f_frsize * 0.6 / (1 << 20)))
        os.sync()
        self.assert_fails("no-space", "pins")
        self.assertEqual(len(self.site.records()), 1)
        os.unlink(large)
        os.sync()
        self.assert_works()


class ReadErrors(Failing):

    def test_a_read_error_in_the_middle_of_a_file_and_the_next_run_without_it(self):
        self.fill()
        with open(os.path.join(self.home, "large"), "wb") as handle:
            handle.write(os.urandom(6 << 20))
        self.site.environment["LOCKSTEP_READ_FAULT"] = f"/large:{3 << 20}"
        self.begin()
        self.assert_fails("source-read", "large")
        self.assertEqual(self.site.records(), [])
        self.site.down()
        del self.site.environment["LOCKSTEP_READ_FAULT"]
        self.site.up()
        self.assert_works()


class WrongPlace(Failing):

    def test_a_target_whose_file_system_cannot_hold_the_metadata(self):
        self.fill()
        os.setxattr(os.path.join(self.home, "003"), "user.colour", b"green")
        poor = os.path.join(self.disks.base, "poor")
        os.makedirs(poor)
        subprocess.run(["mount", "-t", "ramfs", "ramfs", poor], check=True)
        self.disks.mounted.append(poor)
        self.begin(f", to: {{path: {poor}/backup}}")
        self.assert_fails("wrong-filesystem", poor)
        self.assertEqual(self.site.records(), [])
        self.assertEqual(glob.glob(poor + "/**/staging/*/*/*", recursive=True), [])
        self.site.apply(f"service: orders\nconsistency: bounded\nmax_skew: 30s\ndata_sets:\n"
                        f"  - {{name: data, component: files, path: {self.home}}}\n")
        self.assert_works()


class Away(Failing):
    extra = "max_pending: 2\n"
    stall = "8s"

    def transfer_agent(self):
        for line in subprocess.run(["pgrep", "-f", f"lockstep-transfer-agent.*{self.site.base}.*south-transfer"],
                                   capture_output=True, text=True, check=True).stdout.split():
            with open(f"/proc/{line}/cmdline", "rb") as handle:
                if handle.read().startswith(harness.BIN.encode()):
                    return int(line)
        raise AssertionError("no transfer-agent")

    def wait_for(self, what, seconds=120):
        deadline = time.monotonic() + seconds
        while not what():
            if time.monotonic() > deadline:
                raise AssertionError(self.site.cli("runs", ok=None).stdout + self.site.logs(30))
            time.sleep(0.5)

    def states(self):
        return {run["run"]: run["state"] for run in self.site.json("runs", "orders")}

    def test_the_secondary_is_away_for_longer_than_max_pending_allows(self):
        self.fill()
        self.begin()
        first = self.assert_works()
        agent = self.transfer_agent()
        os.kill(agent, signal.SIGSTOP)
        try:
            waiting = []
            for _ in range(2):
                waiting.append(self.site.json("run", "orders")["run"])
                self.wait_for(lambda: self.states()[waiting[-1]] == "transfer")
                # The other cluster must be known to be away before another run may begin.
                self.wait_for(lambda: "error" in self.site.json("run", "show", waiting[0]))
            done = self.site.cli("run", "orders", "--wait", ok=(1, 3, 4))
            self.assertIn("[max-pending]", done.stderr)
            held = {hold["run"] for hold in self.site.json("holds")}
            self.assertEqual(held, {first, *waiting})
            self.assertEqual(len(self.site.records()), 1)
        finally:
            os.kill(agent, signal.SIGCONT)
        for run in waiting:
            self.site.cli("resume", run, ok=None)
        self.wait_for(lambda: all(self.states()[run] == "complete" for run in waiting))
        last = self.assert_works()
        self.wait_for(lambda: {hold["run"] for hold in self.site.json("holds")} == {last})
        self.assert_nothing_is_left()


if __name__ == "__main__":
    unittest.main()
