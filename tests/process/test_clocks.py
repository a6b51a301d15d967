#!/usr/bin/python3
"""One clock: hosts with boot ids and clocks of their own, real chronyds, and clocks that are off, drift or
step (libfaketime)."""
import json
import os
import subprocess
import time
import unittest

from harness import LOCKSTEP, Disks, SiteTest
from many_hosts import ManyHosts
from namespaces import Hosts
from prometheus import Prometheus

FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"


class Clocks(ManyHosts):
    """Each host has a boot id and a chronyd of its own; `faked` is the environment of some parties."""

    def __init__(self, hosts, north, south, disks):
        super().__init__(hosts, north, south, gateway=True)
        self.own_boots, self.faked, self.daemons, self.home = True, {}, [], os.path.join(disks, "chrony")
        os.makedirs(self.home, mode=0o700)
        for number, name in enumerate(hosts.names):
            with open(os.path.join(self.home, name + ".boot"), "w", encoding="ascii") as handle:
                handle.write(f"0193a5f0-1234-4abc-8def-0000000000{number:02}\n")

    def clock(self, text):
        with open(self.config, "a", encoding="utf-8") as handle:
            handle.write(f"clock: {text}\n")

    def command(self, name):
        command = super().command(name)
        if not self.own_boots:
            return command
        # `ip netns exec` has made a mount namespace of this process's own.
        boot = os.path.join(self.home, self.parties[name][1] + ".boot")
        at = command.index("exec") + 2
        return command[:at] + ["sh", "-c", f"mount --bind {boot} /proc/sys/kernel/random/boot_id && exec \"$@\"", "sh",
                               *command[at:]]

    def environment_of(self, name):
        return {**os.environ, **self.faked.get(name, {})}

    def chronyd(self, host, conf):
        path = os.path.join(self.home, host)
        with open(path + ".conf", "w", encoding="ascii") as handle:
            handle.write(f"{conf}\npidfile {path}.pid\nbindcmdaddress /\ndumpdir {self.home}\n")
        with open(path + ".log", "w", encoding="ascii") as log:
            self.daemons.append(subprocess.Popen(self.hosts.inside(host, [
                "chronyd", "-x", "-d", "-u", "root", "-f", path + ".conf"]), stdout=log, stderr=log))

    def close(self):
        super().close()
        for daemon in self.daemons:
            daemon.terminate()
            daemon.wait(30)


class OneClock(SiteTest):
    def setUp(self):
        self.disks = Disks()
        self.addCleanup(self.disks.close)
        self.hosts = Hosts(["control", "north-a", "north-b", "south"])
        self.addCleanup(self.hosts.close)
        self.site = Clocks(self.hosts, self.disks.make("north", "btrfs"), self.disks.make("south", "btrfs"), self.disks.base)
        self.addCleanup(self.site.close)
        for name in ("one", "two"):
            home = os.path.join(self.site.north, name)
            subprocess.run(["btrfs", "subvolume", "create", home], check=True, capture_output=True)
            with open(os.path.join(home, "text"), "w", encoding="ascii") as handle:
                handle.write(name)

    def apply(self, fence=""):
        self.site.apply(f"""service: orders
mode: push
consistency: bounded
max_skew: 5s
attempts: 1
data_sets:
  - {{name: one, component: files, agent: north-files, path: {self.site.north}/one}}
  - {{name: two, component: files, agent: north-databases, path: {self.site.north}/two{fence}}}
""")

    def wait_for(self, what, look, seconds=120):
        deadline = time.monotonic() + seconds
        while not look():
            if time.monotonic() > deadline:
                raise AssertionError(f"waited for: {what}\n" + self.site.cli("status", ok=None).stdout + self.site.logs(10))
            time.sleep(0.3)

    def clocks(self):
        status = self.site.json("status")
        return {"control": status["clock"], **{one["name"]: one.get("clock") for one in status["agents"]}}

    def refusal(self, code):
        points = self.site.records()
        done = self.site.cli("run", "orders", "--wait", "--json", ok=(1, 3))
        run = self.site.json("runs", "orders")[0]
        self.assertEqual((run["state"], run["error"]["code"]), ("failed", code), done.stdout + done.stderr)
        self.assertEqual(self.site.records(), points)
        # Told by an event, and nothing is left of the pins.
        failed = [one for one in self.events() if one["type"] == "run.state" and one["data"]["state"] == "failed"]
        self.assertEqual(failed[-1]["data"]["error"]["code"], code)
        self.wait_for("the pins are gone", lambda: run["run"] not in {one["run"] for one in self.site.json("holds")})
        return run["error"]["what"]

    def events(self):
        return [json.loads(line) for line in self.site.cli("events", "--json").stdout.splitlines()]

    def assert_a_backup(self):
        point = self.site.run("orders")["point"]
        self.assert_point_is_as_it_says(point)
        where = self.restore(point)
        for name in ("one", "two"):
            self.assert_same_tree(os.path.join(self.site.north, name), os.path.join(where, name))
        with open(self.site.record(point), encoding="utf-8") as handle:
            return {one["agent"]: one["clock"] for one in json.load(handle)["certificate"]["sets"]}

    def test_parts_of_one_boot_need_no_synchronisation(self):
        self.site.own_boots = False
        self.site.clock("{source: \"192.0.2.99\", max_error: 1us}")
        self.site.up()
        self.apply()
        self.wait_for("clocks", lambda: all(one and one["fit"] for one in self.clocks().values()))
        self.assert_a_backup()

    def test_hosts_that_are_not_synchronised_are_refused_with_the_reason(self):
        self.site.up()
        self.apply()
        self.assertIn("is not synchronised", self.refusal("clock-unfit"))
        self.wait_for("an event", lambda: any(one["type"] == "clock.changed" and not one["data"]["clock"]["fit"]
                                              for one in self.events()))
        self.assertIn("UNFIT", self.site.cli("status").stdout)

    def test_hosts_with_chronyds_of_one_source_run_and_one_of_another_source_is_refused(self):
        source = self.hosts.address("control")
        self.site.clock(f"{{source: [\"{source}\", \"7F7F0101\"], max_error: 2s}}")
        self.site.chronyd("control", "local stratum 8\nallow")
        for host in ("north-a", "north-b", "south"):
            self.site.chronyd(host, f"server {source} iburst minpoll 0 maxpoll 0")
        self.site.up()
        self.apply()
        self.wait_for("clocks", lambda: all(one and one["fit"] for one in self.clocks().values()))
        self.assertEqual(self.clocks()["control"]["source"], "7F7F0101")
        for agent, clock in self.assert_a_backup().items():
            self.assertEqual((clock["source"], clock["synchronised"]), (source, True), agent)
            self.assertLess(clock["error_ns"], 2_000_000_000)
            self.assertLessEqual(*clock["apart_ns"])
        doctor = subprocess.run(self.hosts.inside("north-a", [LOCKSTEP, "doctor", "--json", "-c", self.site.config]),
                                capture_output=True, text=True, check=False).stdout
        clock = next(one for one in json.loads(doctor)["findings"] if one["about"] == "clock")
        self.assertEqual(clock["health"], "good", clock)
        self.assertIn(source, clock["what"])
        # Another source: south's, whose time is the same, but nobody had said so.
        self.site.daemons[2].terminate()
        self.site.daemons[2].wait(30)
        self.site.daemons[3].terminate()
        self.site.daemons[3].wait(30)
        other = self.hosts.address("south")
        self.site.chronyd("south", "local stratum 8\nallow")
        self.site.chronyd("north-b", f"server {other} iburst minpoll 0 maxpoll 0")
        self.wait_for("the other source", lambda: self.clocks()["north-databases"]["source"] == other)
        clock = self.clocks()["north-databases"]
        self.assertFalse(clock["fit"])
        points = self.site.records()
        done = self.site.cli("run", "orders", "--wait", ok=(1, 3))
        self.assertIn(f"follows {other}, not the site's source {source}", done.stdout + done.stderr)
        self.assertEqual(self.site.records(), points)

    def with_chronyds(self):
        source = self.hosts.address("control")
        self.site.chronyd("control", "local stratum 8\nallow")
        for host in ("north-a", "north-b", "south"):
            self.site.chronyd(host, f"server {source} iburst minpoll 0 maxpoll 0")

    def fake(self, party, text):
        """The file holds the party's offset, and may be written anew at any time."""
        path = os.path.join(self.site.home, party + ".time")
        self.set_fake(path, text)
        self.site.faked[party] = {"LD_PRELOAD": FAKETIME, "FAKETIME_TIMESTAMP_FILE": path, "FAKETIME_NO_CACHE": "1",
                                  "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        return path

    @staticmethod
    def set_fake(path, text):
        with open(path + ".new", "w", encoding="ascii") as handle:
            handle.write(text + "\n")
        os.rename(path + ".new", path)

    def test_a_clock_that_is_off_by_more_than_it_says_is_refused_by_measuring_it(self):
        self.with_chronyds()
        path = self.fake("north-databases", "+0.3s")
        self.site.up()
        self.apply()
        watcher = Prometheus(os.path.join(self.disks.base, "prometheus"), "127.0.0.1:9480", 9090,
                             lambda command: self.hosts.inside("control", command))
        self.addCleanup(watcher.close)
        alert = ("LockstepClockUnfit", "north-databases")
        self.wait_for("clocks", lambda: all(one and one["synchronised"] for one in self.clocks().values()))
        self.wait_for("it was measured", lambda: not self.clocks()["north-databases"]["fit"])
        self.assertIn("ahead of that of north-files", self.refusal("clock-unfit"))
        self.wait_for("the alert", lambda: alert in watcher.firing())
        # It is fit again when it is right again; one that drifts is found the same way, however slowly it went.
        self.set_fake(path, "+0s")
        self.wait_for("clocks", lambda: all(one and one["fit"] for one in self.clocks().values()))
        self.assert_a_backup()
        self.wait_for("no alert", lambda: watcher.query("lockstep_clock_fit") and alert not in watcher.firing())
        self.set_fake(path, "+0s x1.2")
        self.wait_for("it was measured", lambda: not self.clocks()["north-databases"]["fit"])
        self.assertIn("ahead of that of north-files", self.refusal("clock-unfit"))

    def test_a_clock_that_steps_between_arm_and_pin_drops_the_set(self):
        self.with_chronyds()
        path = self.fake("north-databases", "+0s")
        self.site.hook("step", f"[ \"$1\" = pause ] || exit 0\necho '+30s' > '{path}'\n")
        self.site.up()
        self.apply(", fence: {hook: step}")
        self.wait_for("clocks", lambda: all(one and one["fit"] for one in self.clocks().values()))
        self.assertRegex(self.refusal("judge-clock"), "the clock (was set|stepped) by")


if __name__ == "__main__":
    unittest.main()
