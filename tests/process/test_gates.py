#!/usr/bin/python3
"""What a backup may cost, in figures that do not depend on how busy the machine is: system calls per
file, bytes that are sent again after a death, memory, journal commits. docs/benchmarks.md has the times."""
import glob
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from harness import ROOT, SiteTest

sys.path.insert(0, os.path.join(ROOT, "bench"))
import data  # noqa: E402
import world  # noqa: E402

WINDOW = 16 << 20
# What waiting costs depends on the machine's other work.
WAITING = {"futex", "getpid", "poll", "epoll_wait", "epoll_ctl", "sched_yield", "clock_nanosleep", "restart_syscall", "timerfd_settime"}


class Counted:
    """System calls of a process, all its threads, while the block runs: name -> count."""

    def __init__(self, pid):
        self.out = tempfile.NamedTemporaryFile("r")
        self.trace = subprocess.Popen(["strace", "-c", "-f", "-o", self.out.name, "-p", str(pid)],
                                      stderr=subprocess.PIPE, text=True)
        self.calls = {}
        self.trace.stderr.readline()  # "Process N attached"
        threading.Thread(target=self.trace.stderr.read, daemon=True).start()

    def stop(self):
        self.trace.send_signal(signal.SIGINT)
        self.trace.wait(60)
        for line in self.out.read().splitlines():
            words = line.split()
            if len(words) >= 5 and re.fullmatch(r"\d+", words[3]) and words[-1] != "total":
                self.calls[words[-1]] = int(words[3])
        self.out.close()
        return self.calls


class Gates(SiteTest):
    def site_with(self, service, count, each=4096, more=""):
        home = os.path.join(self.site.north, service)
        data.plain_files(home, count, each)
        self.site.apply(f"service: {service}\nmode: push\nconsistency: bounded\nmax_skew: 5s\ndata_sets:\n"
                        f"  - {{name: data, component: files, path: {home}}}\n{more}", name=service)
        return home

    def processes(self):
        return world.processes_of(self.site.config)

    def counted_run(self, service, names):
        processes = self.processes()
        counted = {name: Counted(processes[name]) for name in names}
        point = self.site.run(service)["point"]
        calls = {name: one.stop() for name, one in counted.items()}
        return point, calls

    def test_system_calls_for_a_plain_file_stay_few_on_both_sides(self):
        self.site.up()
        few, many = 1000, 2000
        totals = []
        for count in (few, many):
            # Longer than two seconds on every machine, so that the sender always counts by a walk of its own how much
            # there will be: a call for a file, which is not asked of shorter transfers; the last 1 is what waiting costs.
            home = self.site_with(f"plain{count}", count, more="bandwidth: 80kB\n")
            point, calls = self.counted_run(f"plain{count}", ("north-transfer", "south-transfer"))
            self.assert_same_tree(home, os.path.join(self.restore(point), "data"))
            totals.append(calls)
        for name, most in (("south-transfer", 7), ("north-transfer", 6 + 1 + 1)):
            less, more = totals[0][name], totals[1][name]
            per_file = {call: (more[call] - less.get(call, 0)) / (many - few) for call in more if call not in WAITING}
            told = {call: round(each, 2) for call, each in sorted(per_file.items(), key=lambda one: -one[1]) if each > 0.05}
            print(f"   {name}: {sum(per_file.values()):.2f} calls for a file: {told}")
            self.assertLessEqual(sum(per_file.values()), most, told)

    def test_after_the_receivers_death_no_more_than_the_window_is_sent_again(self):
        home = os.path.join(self.site.north, "large")
        data.large_files(home, 160, each=40)
        self.site.up()
        self.site.apply(f"service: large\nmode: push\nconsistency: bounded\nbandwidth: 40MB\ndata_sets:\n"
                        f"  - {{name: data, component: files, path: {home}}}\n", name="large")
        end = {}
        runner = threading.Thread(target=lambda: end.update(self.site.run("large")))
        runner.start()
        deadline = time.monotonic() + 60
        while not self.progress("large") > 40 << 20:
            self.assertLess(time.monotonic(), deadline, "nothing was transferred\n" + self.site.logs(12))
            self.assertTrue(runner.is_alive(), "it was over before anybody died")
            time.sleep(0.05)
        os.kill(self.processes()["south-transfer"], signal.SIGKILL)
        runner.join(240)
        with open(self.site.record(end["point"]), encoding="utf-8") as handle:
            certified = json.load(handle)["certificate"]["sets"][0]
        print(f"   sent again: {certified['bytes_resent']} bytes")
        self.assertGreater(certified["bytes_resent"], 0, "nothing was under way when the receiver died")
        self.assertLessEqual(certified["bytes_resent"], WINDOW + WINDOW // 4)
        self.assert_same_tree(home, os.path.join(self.restore(end["point"]), "data"))

    def progress(self, service):
        """Bytes that lie in the newest staging of the secondary."""
        total = 0
        trees = os.path.join(self.site.south, "**/.lockstep/versions", service, "data/.trees")
        for directory in glob.glob(trees, recursive=True):
            for base, _, names in os.walk(directory):
                total += sum(os.lstat(os.path.join(base, name)).st_blocks * 512 for name in names
                             if os.path.lexists(os.path.join(base, name)))
        return total

    def test_memory_does_not_follow_the_number_of_files(self):
        self.site.up()
        peaks = []
        for count in (10_000, 40_000):
            # As many bytes of either, that the window is as full. Both transfers last longer than two seconds, and count
            # by a walk what there will be.
            home = self.site_with(f"many{count}", count, each=160_000_000 // count, more="bandwidth: 24MB\n")
            point = self.site.run(f"many{count}")["point"]
            self.site.run(f"many{count}")
            peaks.append(world.peak_memory(self.processes()))
            with open(self.site.record(point), encoding="utf-8") as handle:
                self.assertGreater(json.load(handle)["sets"][0]["entries"], count)
            if count == 10_000:
                self.assert_same_tree(home, os.path.join(self.restore(point), "data"))
        print(f"   peaks in KiB: {peaks}")
        for name, kib in peaks[1].items():
            # How much of the window, and of a pack under way, is in memory is not the same at any two times.
            self.assertLessEqual(kib, peaks[0][name] + ((WINDOW + WINDOW // 4) >> 10), name)
            self.assertLessEqual(kib, 128 << 10, name)

    def test_a_run_needs_few_journal_commits(self):
        self.site.up()
        self.site_with("few", 50)
        self.site.run("few")
        names = ("scheduler", "north-snapshot", "north-transfer", "south-transfer")
        _, calls = self.counted_run("few", names)
        syncs = {name: calls[name].get("fdatasync", 0) for name in names}
        print(f"   fdatasync (each commit of a journal is one): {syncs}")
        for name, most in (("scheduler", 20), ("north-snapshot", 14), ("north-transfer", 14), ("south-transfer", 20)):
            self.assertLessEqual(syncs[name], most, name)


if __name__ == "__main__":
    unittest.main()
