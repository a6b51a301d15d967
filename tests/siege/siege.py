#!/usr/bin/python3
"""The siege: real services over several hosts, a living ledger, and random misfortune for as long as
wanted. docs/reliability.md says what happens and what is checked in the end."""
import argparse
import os
import random
import signal
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(ROOT, "tests/process"), os.path.join(ROOT, "tests/sweep")]
from harness import Disks, Ledger, ledger_check, point_check  # noqa: E402
from many_hosts import PARTIES, ManyHosts  # noqa: E402
from namespaces import Hosts  # noqa: E402
from outbox import Watch  # noqa: E402
from remains import remains  # noqa: E402
import client as protocol  # noqa: E402  pylint: disable=wrong-import-order

TERMINAL = ("complete", "failed", "aborted", "missed")
KEPT = 6
# A full disk is to be full for data. Where btrfs has no room left for its own trees (a small one soon has not) it may
# turn read-only for good, which is no misfortune that passes: they get as much as data does, and no data.
SOUTH = "metadata_ratio=1,max_inline=0"
POLICY = """service: orders
mode: {mode}
consistency: fenced
max_skew: 5s
max_lateness: 60s
stall: 20s
data_sets:
  - {{name: invoices, component: files, agent: north-files, path: {north}/orders/invoices, fence: {{hook: orders-pause, timeout: 10s}}}}
  - {{name: ledger, component: sqlite, agent: north-databases, path: {north}/orders/ledger.db, refers_to: [invoices],
     fence: {{timeout: 10s}}}}
retention: {{last: {kept}}}
"""


class Siege:
    def __init__(self, seed, say):
        self.random, self.begun, self.tell = random.Random(seed), time.monotonic(), say
        self.count = {}
        self.problems, self.checked = [], set()
        self.stop_flag, self.lock = threading.Event(), threading.Lock()
        self.undo = []      # (when, what is said, what is done)
        self.disks = Disks()
        self.hosts = Hosts(["control", "north-a", "north-b", "south"])
        self.site = ManyHosts(self.hosts, self.disks.make("north", "btrfs"), self.disks.make("south", "btrfs", 2 << 30, SOUTH))
        self.ledger = Ledger(os.path.join(self.site.north, "orders"), self.site)
        self.ballast = os.path.join(self.site.south, "ballast")
        self.mode = "push"
        self.hosts.enter("control")
        self.client = protocol.Client(self.site.config, "user")

    # -- telling ---------------------------------------------------------------------------------------
    def say(self, text):
        self.tell(f"{time.monotonic() - self.begun:7.1f} s  {text}")

    def note(self, what):
        with self.lock:
            self.count[what] = self.count.get(what, 0) + 1

    # -- misfortune ------------------------------------------------------------------------------------
    def kill(self):
        name = self.random.choice(list(PARTIES))
        self.say(f"kill {name}")
        self.note("kills")
        self.site.services[name].send_signal(signal.SIGKILL)

    def pause(self):
        name = self.random.choice(list(PARTIES))
        span = self.random.uniform(0.5, 9)
        self.say(f"stop {name} for {span:.1f} s")
        self.note("stops")
        self.site.services[name].send_signal(signal.SIGSTOP)
        process = self.site.services[name]
        self.later(span, f"{name} goes on", lambda: process.poll() is None and process.send_signal(signal.SIGCONT))

    def cut(self):
        host = self.random.choice(self.hosts.names)
        span = self.random.uniform(0.5, 12)
        self.say(f"cut {host} off for {span:.1f} s")
        self.note("cuts")
        self.hosts.cut(host)
        self.later(span, f"{host} is back", lambda: self.hosts.heal(host))

    def fill(self):
        span = self.random.uniform(1, 8)
        self.say(f"the secondary's disk is full for {span:.1f} s")
        self.note("full disks")
        with open(self.ballast, "ab", buffering=0) as handle:
            step = 64 << 20
            while step >= 4096:
                try:
                    os.posix_fallocate(handle.fileno(), os.fstat(handle.fileno()).st_size, step)
                except OSError:
                    step //= 2
        self.later(span, "the secondary's disk has room", self.free)

    def free(self):
        if os.path.exists(self.ballast):
            os.unlink(self.ballast)
        os.sync()

    def turn(self):
        self.mode = "pull" if self.mode == "push" else "push"
        self.say(f"the policy is to {self.mode}")
        self.note("policies applied")
        with open(os.path.join(self.site.base, "policy.yaml"), "w", encoding="utf-8") as handle:
            handle.write(POLICY.format(mode=self.mode, north=self.site.north, kept=KEPT))
        # Whether it is heard now is not sure: the next turn says it again.
        self.site.cli("policy", "apply", os.path.join(self.site.base, "policy.yaml"), ok=None, timeout=120)

    def later(self, span, said, done):
        self.undo.append((time.monotonic() + span, said, done))

    def heal(self, all_of_it=False):
        for one in list(self.undo):
            if all_of_it or one[0] <= time.monotonic():
                self.undo.remove(one)
                self.say(one[1])
                one[2]()

    def disturb(self, until):
        again = time.monotonic() + 3
        acts = [self.kill] * 5 + [self.pause] * 3 + [self.cut] * 2 + [self.fill] * 1 + [self.turn] * 1
        while time.monotonic() < until:
            self.heal()
            for name, status in self.site.start_the_dead():
                if status != -signal.SIGKILL:
                    self.problems.append(f"{name} ended by itself, with {status}")
            if time.monotonic() >= again:
                self.random.choice(acts)()
                again = time.monotonic() + self.random.expovariate(1 / 3.0)
            time.sleep(0.1)

    # -- runs --------------------------------------------------------------------------------------------
    def ask(self, to, type_, body=None):
        return self.client.call(to, type_, body or {}, silence=1, timeout=60)

    def keep_running(self):
        while not self.stop_flag.is_set():
            begun = time.monotonic()
            done = self.site.cli("run", "orders", "--wait", ok=None, timeout=900)
            self.note("runs asked for")
            if done.returncode == 0:
                self.look_at_the_newest()
            else:
                self.note("asked in vain, exit status " + str(done.returncode))
            self.stop_flag.wait(max(0.0, 0.5 - (time.monotonic() - begun)))

    def look_at_the_newest(self):
        records = sorted(self.site.records(), key=os.path.basename)
        if records and records[-1] not in self.checked:
            self.checked.add(records[-1])
            self.look_at(records[-1])

    def look_at(self, record):
        """The point as it lies there: certificate, digests, and the ledger's causality."""
        found, problems = point_check.check_record(record, True)
        where = {one["name"]: one["path"] for one in found["sets"]}
        ledger = ledger_check.check(where["invoices"], where["ledger"], False)
        self.problems += [f"{os.path.basename(record)}: {problem}" for problem in problems + ledger["problems"]]
        self.note("points looked at")

    # -- the end -----------------------------------------------------------------------------------------
    def open(self):
        self.ledger.start()
        self.site.up()
        self.site.apply(POLICY.format(mode=self.mode, north=self.site.north, kept=KEPT))

    def settle(self, runner):
        self.say("the siege is lifted")
        self.heal(all_of_it=True)
        self.stop_flag.set()
        self.site.start_the_dead()
        self.site.wait_until_reachable(120)
        runner.join(600)
        if runner.is_alive():
            self.problems.append("a run that was waited for has not ended in 10 minutes")
            return
        deadline = time.monotonic() + 180
        while open_runs := [run for run in self.ask("scheduler", "run.list", {"service": "orders", "limit": 1000})["runs"]
                            if run["state"] not in TERMINAL]:
            if time.monotonic() > deadline:
                self.problems.append(f"runs that do not end: {open_runs}")
                return
            time.sleep(0.3)
        done = self.site.cli("run", "orders", "--wait", ok=None, timeout=300)
        if done.returncode != 0:
            self.problems.append("the run after the siege: " + done.stderr)

    def remains(self):
        holds = [hold for agent in ("north-files", "north-databases") for hold in self.ask(agent, "snapshot.holds")["holds"]]
        return remains(self.site.north, self.site.south, ["orders"], holds, KEPT)

    def look_at_everything(self):
        deadline = time.monotonic() + 90
        while (left := self.remains()) and time.monotonic() < deadline:
            time.sleep(0.5)
        self.problems += left
        for record in self.site.records():
            self.look_at(record)
            point = os.path.basename(record)[:-5]
            with tempfile.TemporaryDirectory(dir=self.disks.base) as place:
                self.site.json("restore", point, "--to", os.path.join(place, "set"))
                found = ledger_check.check(os.path.join(place, "set/invoices"), os.path.join(place, "set/ledger"), False)
                self.problems += [f"{point}, restored: {problem}" for problem in found["problems"]]
                if not found["rows"]:
                    self.problems.append(f"{point}, restored: the ledger is empty")
            self.note("points restored")
        self.problems += Watch(self.ask, list(PARTIES), self.event).problems()
        if not self.ledger.running():
            self.problems.append("the ledger has ended")

    def event(self, source, event):
        self.note("events")
        if source == "scheduler" and event["type"] == "run.state" and event["data"]["state"] in TERMINAL:
            state, error = event["data"]["state"], event["data"].get("error")
            self.note("runs " + state + (f": {error['code'] if isinstance(error, dict) else error}" if error else ""))

    def run(self, minutes):
        self.open()
        runner = threading.Thread(target=self.keep_running, daemon=True)
        runner.start()
        self.disturb(time.monotonic() + minutes * 60)
        self.settle(runner)
        self.look_at_everything()

    def close(self):
        self.ledger.stop()
        self.client.context.destroy(linger=0)
        self.site.close()
        self.hosts.close()
        self.disks.close()


def main():
    parser = argparse.ArgumentParser(prog="scripts/siege", description="Real services, a living ledger, random misfortune.")
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--seed", type=int, default=None, help="of what happens when")
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("scripts/siege needs root: for loop devices, mounts and network namespaces")
    seed = random.randrange(1 << 30) if options.seed is None else options.seed
    print(f"scripts/siege --minutes {options.minutes:g} --seed {seed}", flush=True)
    siege = Siege(seed, lambda line: print(line, flush=True))
    try:
        siege.run(options.minutes)
        for what in sorted(siege.count):
            print(f"{siege.count[what]:6}  {what}")
        for problem in siege.problems:
            print("VIOLATED: " + problem)
        if siege.problems:
            print(siege.site.logs(30))
        if not any(what.startswith("runs complete") for what in siege.count):
            siege.problems.append("no run completed")
    finally:
        siege.close()
    print(f"siege: {len(siege.problems)} violations")
    return 1 if siege.problems else 0


if __name__ == "__main__":
    sys.exit(main())
