#!/usr/bin/python3
"""A service that writes at full speed into files, HDFS, HBase and SQLite, each of which refers to the one before: what its
points show (ledger.py). The clusters run already: `hadoop.py start`, `hadoop.py hbase`, or `scripts/test hadoop`, which
does all."""
import os
import sqlite3
import time
import unittest

from hbase_service import HBaseService  # it finds the modules below
from harness import FULL
from hdfs_tree import Hdfs
import ledger

POINTS = 100 if FULL else 5
EACH = 3      # points of one service: those that only add grow, and with them what is copied and looked at
# Seconds between items while copies are made and read, which would never end otherwise; until all is pinned it writes at full speed.
PACE = 1
HEAD = "service: ledger\nmode: {mode}\nconsistency: {consistency}\nmax_skew: 10s\nmax_lateness: 1m\ndata_sets:\n"
SETS = {"invoices": ("files", "{home}/invoices"), "documents": ("hdfs", "{path}, allow_snapshot: true"),
        "rows": ("hbase", "/{space}/rows{number}"), "book": ("sqlite", "{home}/book.db")}
REFERS = ("invoices", "documents", "rows", "book")    # each but the first to the one before


class Moment(HBaseService):
    def setUp(self):
        super().setUp()
        self.hdfs = {name: Hdfs(cluster.url) for name, cluster in self.clusters.items()}
        for hdfs in self.hdfs.values():
            self.addCleanup(hdfs.close)
        self.addCleanup(self.clear_documents)
        self.number = self.copies = 0
        os.makedirs(os.path.join(self.site.base, "hooks"), exist_ok=True)
        self.site.up()

    def clear_documents(self):
        for hdfs in self.hdfs.values():
            hdfs.remove_with_snapshots(self.path, *(f"{self.path}/{number + 1}" for number in range(self.number)))

    def living(self, adds_only):
        """A service, which writes already; each has places of its own."""
        self.number += 1
        self.home, self.documents = os.path.join(self.site.north, f"living-{self.number}"), f"{self.path}/{self.number}"
        self.table = f"{self.space}:rows{self.number}"
        os.makedirs(self.home + "/invoices")
        self.hdfs["north"].mkdir(self.documents)
        self.north.ask("create", self.table, 4)
        control = os.path.join(self.site.base, f"ledger-{self.number}.sock")
        ledger.hook(os.path.join(self.site.base, "hooks/pause"), control)
        service = ledger.Ledger(self.home + "/invoices", self.home + "/book.db", self.clusters["north"].url, self.documents,
                                self.north, self.table, control, adds_only)
        service.pace = PACE
        self.addCleanup(service.end)
        return service

    def policy(self, mode="push", consistency="fenced", refers=REFERS):
        out = HEAD.format(mode=mode, consistency=consistency)
        for before, name in zip((None, *refers), refers):
            component, path = SETS[name]
            out += f"  - {{name: {name}, component: {component}, path: " + path.format(
                home=self.home, path=self.documents, space=self.space, number=self.number)
            if before:
                out += f", refers_to: [{before}]"
            if name == "book":    # its own lock is its fence, and would hold every worker here
                out += ", fence: " + ("{timeout: 30s}" if consistency == "fenced" else "none")
            elif consistency == "fenced":
                out += ", fence: {timeout: 30s, hook: pause}"
            out += "}\n"
        return out

    def backed_up(self, service, one_moment):
        """A point of it, while it writes, as the checker sees it where it was restored: what is in each store, and what is
        wrong. Of what is not of one moment only references are looked at."""
        service.pace = 0
        self.wait_for_steps(service, 100)
        point = self.run_disturbed(self.pinned_anew(), lambda: self.slow_down(service), service="ledger")["point"]
        self.copies += 1
        self.site.cli("verify", point)
        to, space = f"{self.home}-copy-{self.copies}", f"c{self.copies}_{self.space}"
        folder = f"{os.path.dirname(self.path)}/copy-{self.copies}"
        self.restored.append(space)
        for name, place in (("invoices", to), ("book", to), ("documents", folder), ("rows", "/" + space)):
            self.site.json("restore", point, "--to", place, "--set", name)
        return ledger.check(to + "/invoices", self.hdfs["south"], folder + "/documents", self.south,
                            f"{space}:rows.{self.table.replace(':', '.')}", to + "/book", self.documents, one_moment)

    @staticmethod
    def slow_down(service):
        time.sleep(1)    # the other stores are pinned too by then
        service.pace = PACE

    def pinned_anew(self):
        """Whether the documents are pinned by a run that begins now."""
        before = set(self.hdfs["north"].snapshots(self.documents))
        return lambda: any("lockstep-pin." in one for one in set(self.hdfs["north"].snapshots(self.documents)) - before)

    def wait_for_steps(self, service, count):
        until, deadline = service.steps + count, time.monotonic() + 120
        while service.steps < until:
            self.assertEqual(service.failures, [])
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)

    def wait_until_it_deletes(self, service):
        service.pace = 0
        while service.deleted == 0:
            self.wait_for_steps(service, 10)

    def no_violation(self, consistency, adds_only):
        for first in range(0, POINTS, EACH):
            service = self.living(adds_only)
            points = min(EACH, POINTS - first)
            for number in range(points):
                self.site.apply(self.policy("pull" if number % 2 else "push", consistency), name="ledger")
                if number == 0:    # what is started for the first time takes its time: of that no more is to come than is needed
                    self.site.run("ledger")
                if not adds_only:
                    self.wait_until_it_deletes(service)
                paused = service.paused
                found = self.backed_up(service, one_moment=consistency == "fenced")
                self.assertEqual(found["problems"], [])
                self.assertEqual(service.paused > paused, consistency == "fenced")
                self.assertGreater(found["HBase row"], 20)
            self.assertGreater(service.stop(), 150 * points)
            self.site.cli("policy", "remove", "ledger")

    def test_fenced_by_hooks_no_reference_dangles_of_a_writer_that_also_deletes(self):
        self.no_violation("fenced", adds_only=False)

    def test_ordered_no_reference_dangles_of_a_writer_that_only_adds(self):
        self.no_violation("ordered", adds_only=True)

    def test_references_turned_round_and_copies_made_one_after_the_other_are_found_to_dangle(self):
        service = self.living(adds_only=True)
        self.site.apply(self.policy("push", "ordered", REFERS[::-1]), name="ledger")
        self.site.run("ledger")
        found = self.backed_up(service, one_moment=False)
        self.assertGreater(found["violations"], 0)
        self.assertIn("dangling", " ".join(found["problems"]))
        # What one does without Lockstep.
        ledger.copy_living(self.home + "/invoices", self.home + "/early")
        self.wait_for_steps(service, 300)
        service.gate.close()
        with sqlite3.connect(self.home + "/book.db", timeout=60) as source, sqlite3.connect(self.home + "/late.db") as target:
            source.backup(target)
            target.execute("PRAGMA journal_mode=DELETE")
        found = ledger.check(self.home + "/early", self.hdfs["north"], self.documents, self.north, self.table,
                             self.home + "/late.db", self.documents)
        self.assertGreater(found["violations"], 20)
        self.assertGreater(service.stop(), 300)


if __name__ == "__main__":
    unittest.main()
