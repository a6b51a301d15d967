#!/usr/bin/python3
"""Several hosts: control device, two hosts of the primary with a snapshot-agent each, the secondary,
in network namespaces, by CURVE over TCP."""
import os
import shutil
import subprocess
import tempfile
import time
import unittest

from harness import BIN, LOCKSTEP, Disks, Ledger, Site, SiteTest, ledger_check
from namespaces import Hosts

PARTIES = {  # party: (program, host, port)
    "policy": ("policy", "control", 7401), "scheduler": ("scheduler", "control", 7411),
    "north-files": ("snapshot-agent", "north-a", 7421), "north-databases": ("snapshot-agent", "north-b", 7421),
    "north-transfer": ("transfer-agent", "north-a", 7431),
    "south-snapshot": ("snapshot-agent", "south", 7421), "south-transfer": ("transfer-agent", "south", 7431)}


class ManyHosts(Site):
    """A site over the hosts; every service is started by hand, in its host's namespace."""

    def __init__(self, hosts, north, south):  # pylint: disable=super-init-not-called
        self.hosts, self.north, self.south = hosts, north, south
        self.base = tempfile.mkdtemp(prefix="lockstep-hosts-")
        self.config = os.path.join(self.base, "lockstep.yaml")
        self.environment, self.services = dict(os.environ), {}
        os.makedirs(os.path.join(self.base, "var/log"))

        def agents(cluster):
            out = ""
            for name, (program, host, port) in PARTIES.items():
                if name.startswith(cluster):
                    at = f"tcp://{hosts.address(host)}:"
                    bulk = f', bulk: "{at}{port + 1}"' if program == "transfer-agent" else ""
                    out += f'      {name}: {{role: {program}, endpoint: "{at}{port}"{bulk}, events: "{at}{port + 2}"}}\n'
            return out

        control = "".join(f'  {name}: {{endpoint: "tcp://{hosts.address("control")}:{PARTIES[name][2]}", '
                          f'events: "tcp://{hosts.address("control")}:{PARTIES[name][2] + 2}"}}\n' for name in ("policy", "scheduler"))
        with open(self.config, "w", encoding="utf-8") as handle:
            handle.write(f"""lockstep: 1
site: hosts
state: var
keys: keys
first_promotion: 01936f3a-5b00-7000-8000-000000000001
control:
{control}clusters:
  north:
    root: {north}
    identity: primary
    agents:
{agents("north")}  south:
    root: {south}
    identity: secondary
    agents:
{agents("south")}""")
        subprocess.run([LOCKSTEP, "keys", "init", "-c", self.config], check=True, capture_output=True)

    def start(self, name):
        program, host, _ = PARTIES[name]
        with open(os.path.join(self.base, "var/log", name + ".log"), "a", encoding="utf-8") as log:
            self.services[name] = subprocess.Popen(
                self.hosts.inside(host, [os.path.join(BIN, "lockstep-" + program), "--config", self.config, "--name", name]),
                stdout=log, stderr=log)

    def up(self):
        for name in PARTIES:
            self.start(name)
        deadline = time.monotonic() + 60
        while True:
            done = self.cli("status", "--json", ok=None)
            if done.returncode == 0 and '"reachable":false' not in done.stdout.replace(" ", ""):
                return self
            if time.monotonic() > deadline:
                raise AssertionError(done.stdout + done.stderr + self.logs())
            time.sleep(0.3)

    def cli(self, *words, config=True, ok=(0,), timeout=300):
        command = self.hosts.inside("control", [LOCKSTEP, *map(str, words), *(["-c", self.config] if config else [])])
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
        if ok is not None and done.returncode not in ok:
            raise AssertionError(f"{command} ended with {done.returncode}\n{done.stdout}{done.stderr}\n{self.logs(12)}")
        return done

    def down(self):
        for service in self.services.values():
            service.terminate()
        for service in self.services.values():
            service.wait(30)

    def close(self):
        self.down()
        shutil.rmtree(self.base, ignore_errors=True)


class SeveralHosts(SiteTest):
    def setUp(self):
        self.disks = Disks()
        self.addCleanup(self.disks.close)
        self.hosts = Hosts(["control", "north-a", "north-b", "south"])
        self.addCleanup(self.hosts.close)
        self.site = ManyHosts(self.hosts, self.disks.make("north", "btrfs"), self.disks.make("south", "btrfs"))
        self.addCleanup(self.site.close)

    def policy(self, mode):
        return f"""service: orders
mode: {mode}
consistency: fenced
max_skew: 2s
data_sets:
  - {{name: invoices, component: files, agent: north-files, path: {self.site.north}/orders/invoices, fence: {{hook: orders-pause}}}}
  - {{name: ledger, component: sqlite, agent: north-databases, path: {self.site.north}/orders/ledger.db, refers_to: [invoices]}}
"""

    def test_two_agents_of_the_primary_pin_one_moment_by_push_and_by_pull(self):
        ledger = Ledger(os.path.join(self.site.north, "orders"), self.site)
        self.addCleanup(ledger.stop)
        ledger.start()
        self.site.up()
        for mode in ("push", "pull"):
            self.site.apply(self.policy(mode))
            point = self.site.run("orders")["point"]
            where = self.restore(point)
            found = ledger_check.check(os.path.join(where, "invoices"), os.path.join(where, "ledger"), False)
            self.assertEqual(found["problems"], [])
            self.assert_point_is_as_it_says(point)
        self.assert_nothing_is_left()

    def test_bulk_never_passes_the_control_device(self):
        home = os.path.join(self.site.north, "bulk")
        os.makedirs(home)
        for i in range(32):
            with open(os.path.join(home, str(i)), "wb") as handle:
                handle.write(os.urandom(4 << 20))
        self.site.up()
        self.site.apply(f"service: bulk\nmode: push\nconsistency: bounded\nmax_skew: 10s\ndata_sets:\n"
                        f"  - {{name: bulk, component: files, agent: north-files, path: {home}}}\n")
        before = self.hosts.bytes_through("control"), self.hosts.bytes_through("south")
        point = self.site.run("bulk")["point"]
        self.assertLess(self.hosts.bytes_through("control") - before[0], 5 << 20)
        self.assertGreater(self.hosts.bytes_through("south") - before[1], 128 << 20)
        self.assert_point_is_as_it_says(point)

    def test_a_secondary_cut_off_during_the_transfer_comes_back_and_the_same_run_completes(self):
        home = os.path.join(self.site.north, "bulk")
        os.makedirs(home)
        for i in range(16):
            with open(os.path.join(home, str(i)), "wb") as handle:
                handle.write(os.urandom(4 << 20))
        self.site.up()
        self.site.apply(f"service: bulk\nmode: push\nconsistency: bounded\nmax_skew: 10s\nstall: 120s\nbandwidth: 8MB\ndata_sets:\n"
                        f"  - {{name: bulk, component: files, agent: north-files, path: {home}}}\n")
        with subprocess.Popen(self.hosts.inside("control", [LOCKSTEP, "run", "bulk", "--wait", "-c", self.site.config]),
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as waiting:
            time.sleep(4)
            self.hosts.cut("south")
            time.sleep(6)
            self.assertIsNone(waiting.poll())
            self.hosts.heal("south")
            said = waiting.communicate(timeout=200)[0]
            self.assertEqual(waiting.returncode, 0, said + self.site.logs())
        runs = self.site.json("runs", "bulk")
        self.assertEqual([run["state"] for run in runs], ["complete"])
        self.assert_point_is_as_it_says(runs[0]["point"])
        self.assert_same_tree(home, os.path.join(self.restore(runs[0]["point"]), "bulk"))


if __name__ == "__main__":
    unittest.main()
