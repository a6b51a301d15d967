#!/usr/bin/python3
"""Several hosts: control device, two hosts of the primary with a snapshot-agent each, the secondary,
in network namespaces, by CURVE over TCP."""
import os
import subprocess
import time
import unittest

from harness import FULL, LOCKSTEP, Disks, Ledger, SiteTest, ledger_check
from many_hosts import ManyHosts
from namespaces import Hosts


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
        size = (1 << 30) if FULL else (128 << 20)
        for i in range(size >> 22):
            with open(os.path.join(home, str(i)), "wb") as handle:
                handle.write(os.urandom(4 << 20))
        self.site.up()
        self.site.apply(f"service: bulk\nmode: push\nconsistency: bounded\nmax_skew: 10s\ndata_sets:\n"
                        f"  - {{name: bulk, component: files, agent: north-files, path: {home}}}\n")
        before = self.hosts.bytes_through("control"), self.hosts.bytes_through("south")
        point = self.site.run("bulk")["point"]
        control, south = self.hosts.bytes_through("control") - before[0], self.hosts.bytes_through("south") - before[1]
        print(f"of {size >> 20} MiB {control} bytes passed the control device, {south} the secondary", flush=True)
        self.assertLess(control, 5 << 20)
        self.assertGreater(south, size)
        self.assert_point_is_as_it_says(point)
        self.assert_same_tree(home, os.path.join(self.restore(point), "bulk"))

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
