#!/usr/bin/python3
"""The snapshot-agent alone: fences, and who takes them down when somebody dies."""
import json
import os
import signal
import sqlite3
import subprocess
import time
import unittest

from one_agent import AgentTest, Run, wait_for


def cgroup_mount():
    with open("/proc/self/mounts", encoding="utf-8") as table:
        for line in table:
            if line.split()[2] == "cgroup2":
                return line.split()[1]
    return None


class FencesOfAnAgent(AgentTest):
    def new_cgroup(self):
        """(as a policy names it, its directory). Whoever asks has it removed: wait_until_removed."""
        mount = cgroup_mount()
        if mount is None:
            self.skipTest("SKIPPED: no cgroup v2 tree is mounted")
        name = "lockstep-test-" + os.path.basename(self.base)
        group = os.path.join(mount, name)
        os.mkdir(group)
        return name, group

    @staticmethod
    def wait_until_removed(group):
        wait_for("the cgroup is empty",
                 lambda: subprocess.run(["rmdir", group], capture_output=True, check=False).returncode == 0)

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
        name, group = self.new_cgroup()
        log = os.path.join(self.files, "log")
        writer = subprocess.Popen(["/bin/sh", "-c", f"echo $$ > {group}/cgroup.procs; i=0; "
                                   f"while :; do i=$((i+1)); echo $i >> '{log}'; done"])

        def clean():
            writer.kill()
            writer.wait()
            with open(os.path.join(group, "cgroup.freeze"), "w", encoding="utf-8") as handle:
                handle.write("0")
            self.wait_until_removed(group)
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
        name, group = self.new_cgroup()
        self.addCleanup(self.wait_until_removed, group)
        self.addCleanup(self.stop)
        with open(os.path.join(group, "cgroup.procs"), "w", encoding="utf-8") as handle:
            handle.write(str(self.agent.pid))
        run = Run(self, [self.invoices(kind="cgroup", cgroup=name)])
        run.refused("fence-failed", run.arm)


if __name__ == "__main__":
    unittest.main()
