"""Contestants measured in turns on the same data, and what came of it."""
import json
import os
import resource
import statistics
import subprocess
import sys
import time

from world import ROOT, harness

XCP = next((path for path in (os.environ.get("XCP", ""), os.path.expanduser("~/.cargo/bin/xcp"), "/usr/bin/xcp")
            if path and os.access(path, os.X_OK)), None)


class Contestant:
    """`prepare` is not timed, `act` is. `copy` names what has to equal the data afterwards."""

    leaves_out = ()  # kinds of differences that it is known not to carry

    def __init__(self, name, commands):
        self.name, self.commands, self.samples, self.processor, self.notes = name, commands, [], [], {}

    def prepare(self, number):
        pass

    def processor_seconds(self):
        """Used so far by all processes that do the work: tells work from waiting on a busy machine."""
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    def act(self, number):
        raise NotImplementedError

    def measured(self, number):
        used, start = self.processor_seconds(), time.perf_counter()
        self.act(number)
        self.samples.append(time.perf_counter() - start)
        self.processor.append(self.processor_seconds() - used)

    def copy(self):
        raise NotImplementedError

    def release(self):
        """After the copy of this round was looked at."""

    def summary(self):
        return {"commands": self.commands, "seconds": self.samples, "processor_seconds": self.processor,
                "median": statistics.median(self.samples) if self.samples else None, **self.notes}


class Peer(Contestant):
    """Commands on a disk of their own; the last one is always the sync of that disk. `fresh`: the
    disk is made anew for each round."""

    def __init__(self, world, name, kind, commands, source, fresh, target="copy"):
        super().__init__(name, [*commands, "sync -f {disk}"])
        self.world, self.kind, self.source, self.fresh, self.target = world, kind, source, fresh, target
        self.disk = self.last = None

    def words(self, command, number):
        to = self.target.format(round=number)
        last = os.path.join(self.disk.path, self.target.format(round=number - 1))
        return [word.format(source=self.source, disk=self.disk.path, to=os.path.join(self.disk.path, to), last=last, xcp=XCP)
                for word in command.split()]

    def prepare(self, number):
        if self.disk is None or self.fresh:
            self.release()
            self.disk = self.world.disk("peer", self.kind)
        self.last = os.path.join(self.disk.path, self.target.format(round=number))

    def act(self, number):
        for command in self.commands:
            subprocess.run(self.words(command, number), check=True, stdout=subprocess.DEVNULL)

    def copy(self):
        return self.last

    def release(self):
        if self.disk is not None and self.fresh:
            self.disk.close()
            self.disk = None


class Lockstep(Contestant):
    """`lockstep run --wait` of one data set. `fresh`: the secondary is made anew for each round."""

    def __init__(self, world, kind, north, source, fresh, component="files", curve=False, more=""):
        super().__init__("lockstep", ["lockstep run data --wait" + (" (CURVE, tcp)" if curve else "")])
        self.world, self.kind, self.north, self.source, self.fresh = world, kind, north, source, fresh
        self.component, self.curve, self.more = component, curve, more
        self.disk = self.site = self.point = None

    def prepare(self, number):
        if self.site is not None and not self.fresh:
            return
        self.release()
        self.disk = self.world.disk("south", self.kind)
        self.site = self.world.site(self.north, self.disk, self.curve)
        self.site.backup_of("data", self.source, self.component, self.more)

    def act(self, number):
        self.point = self.site.run("data")["point"]

    def processor_seconds(self):
        return super().processor_seconds() + self.site.processor_seconds()

    def copy(self):
        """The version itself, where the record says that it lies."""
        with open(self.site.record(self.point), encoding="utf-8") as handle:
            return json.load(handle)["sets"][0]["path"]

    def release(self):
        if self.site is not None and self.fresh:
            self.peaks()
            self.close()

    def peaks(self):
        for name, kib in self.site.peak_memory().items():
            known = self.notes.setdefault("peak_memory_kib", {})
            known[name] = max(kib, known.get(name, 0))

    def close(self):
        self.site.close()
        self.disk.close()
        self.site = self.disk = None


def differences(source, one, database=False):
    found = harness.tree_compare.compare(source, one.copy(), [".lockstep"], with_holes=not database, database=database)
    return [line for line in found["differences"] if not any(mark in line for mark in one.leaves_out)]


def contest(world, contestants, rounds, source, between=None, first=0, database=False, cold=False):
    """Every contestant once in each round, in another order each time. `between` changes the data; `cold`: nothing of
    it is in the cache when a clock starts, else all of it was read before."""
    if not cold:
        subprocess.run(["sh", "-c", f"tar -cf - -C '{os.path.dirname(source)}' '{os.path.basename(source)}' | cat >/dev/null"],
                       check=True)
    for number in range(first, first + rounds):
        if between:
            between(number)
        order = contestants[number % len(contestants):] + contestants[:number % len(contestants)]
        for one in order:
            one.prepare(number)
            world.settle(cold)
            one.measured(number)
            if number == first + rounds - 1:
                found = differences(source, one, database)
                if found:
                    raise SystemExit(f"{one.name}: the copy differs, no number is told:\n" + "\n".join(found[:10]))
                one.notes["compared"] = "equal" + (" but for " + ", ".join(one.leaves_out) if one.leaves_out else "")
            one.release()
        tell(contestants)


def tell(contestants):
    """The last round's times."""
    print("   " + ", ".join(f"{one.name} {one.samples[-1]:.2f} (cpu {one.processor[-1]:.2f})" for one in contestants),
          file=sys.stderr, flush=True)


def cache_state():
    return ("warm: the data was read once before the first round; destinations are new or as the round before left them. "
            "In a case called cold, the caches were dropped before each contestant")


def commit():
    done = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return done.stdout.strip()
