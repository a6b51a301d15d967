#!/usr/bin/python3
"""The snapshot-agent alone: pins, and what is left of them when somebody dies."""
import glob
import json
import os
import sqlite3
import subprocess
import threading
import time
import unittest

from one_agent import AGENT, AgentTest, Run, protocol, wait_for


class SnapshotAgent(AgentTest):
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
