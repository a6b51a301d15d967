"""Where the benchmarks run: file systems on loop devices in memory, and sites of two clusters on them."""
import contextlib
import mmap
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests/process"))
import harness  # noqa: E402


def processes_of(config):
    """The services that run by this lockstep.yaml: name -> pid."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as handle:
                words = handle.read().split(b"\0")
        except OSError:
            continue
        if os.fsencode(config) in words and b"--name" in words:
            found[words[words.index(b"--name") + 1].decode()] = int(pid)
    return found


def peak_memory(processes):
    """Name -> VmHWM in KiB."""
    peaks = {}
    for name, pid in processes.items():
        with open(f"/proc/{pid}/status", encoding="ascii") as handle:
            peaks[name] = next(int(line.split()[1]) for line in handle if line.startswith("VmHWM"))
    return peaks


def processor_seconds(processes):
    """Used so far by all of them."""
    ticks = 0
    for pid in processes.values():
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as handle:
            words = handle.read().rpartition(")")[2].split()
        ticks += int(words[11]) + int(words[12])
    return ticks / os.sysconf("SC_CLK_TCK")


class Disk:
    """One file system of its own, in memory; `close` gives the memory back."""

    def __init__(self, world, name, kind, size=8 << 30, options="noatime"):
        self.world, self.kind, self.options = world, kind, options
        self.disks = harness.Disks()
        self.path = self.disks.make(name, kind, size, options)
        world.opened.append(self)

    def sync(self):
        subprocess.run(["sync", "-f", self.path], check=True)

    def close(self):
        if self in self.world.opened:
            self.world.opened.remove(self)
            self.disks.close()


class SteadyMemory:
    """In a virtual machine that hands free memory back to its host, a page that is used anew costs ten times the copying
    of what it holds, and who comes after a pause pays it. While this is open nothing is handed back, and what was is
    fetched: memory costs everyone the same, as on a machine of its own."""

    ORDER = "/sys/module/page_reporting/parameters/page_reporting_order"
    NEVER = "11"  # no free block is of that order (MAX_PAGE_ORDER + 1)
    KEPT = 3 << 30

    def __init__(self):
        self.before, self.steady = None, False
        try:
            with open(self.ORDER, encoding="ascii") as handle:
                before = handle.read().strip()
            if before.isdigit() and before != self.NEVER:
                self.before = before
                self.put(self.NEVER)
            with open(self.ORDER, encoding="ascii") as handle:
                self.steady = handle.read().strip() == self.NEVER
        except FileNotFoundError:
            self.steady = True  # nothing is handed back here
        except OSError as error:
            print(f"memory is handed back to the host while this runs ({self.ORDER}: {error})", file=sys.stderr)
        try:
            self.fetch()
        except BaseException:
            self.close()
            raise

    def put(self, order):
        with open(self.ORDER, "w", encoding="ascii") as handle:
            handle.write(order)

    def fetch(self):
        with open("/proc/meminfo", encoding="ascii") as handle:
            free = next(int(line.split()[1]) << 10 for line in handle if line.startswith("MemFree"))
        with mmap.mmap(-1, max(mmap.PAGESIZE, free - self.KEPT), mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
            for at in range(0, len(memory), mmap.PAGESIZE):
                memory[at] = 1

    def close(self):
        if self.before is not None:
            with contextlib.suppress(OSError):
                self.put(self.before)
            self.before = None


class World:
    """All that has to be cleaned away, whatever happens."""

    def __init__(self):
        self.memory = SteadyMemory()
        self.opened = []

    def disk(self, name, kind, **more):
        return Disk(self, name, kind, **more)

    def site(self, north, south, curve=False):
        site = BenchSite(self, north, south, curve)
        return site.up()

    def settle(self, cold=False):
        """Nothing that came before is still being written when a clock starts, and, `cold`, nothing is in the cache."""
        for one in self.opened:
            if isinstance(one, Disk):
                one.sync()
        if cold:
            with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as handle:
                handle.write("3")

    def close(self):
        with contextlib.ExitStack() as stack:
            stack.callback(self.memory.close)
            for one in list(self.opened):
                stack.callback(one.close)


class BenchSite(harness.Site):
    """Without keys on ipc, or with keys (CURVE) over TCP on the loopback."""

    def __init__(self, world, north, south, curve=False):  # pylint: disable=super-init-not-called
        self.world = world
        self.base = tempfile.mkdtemp(prefix="lockstep-bench-")
        self.config = os.path.join(self.base, "lockstep.yaml")
        self.north, self.south = os.path.join(self.base, "north"), os.path.join(self.base, "south")
        for link, target in ((self.north, north.path), (self.south, south.path)):
            os.makedirs(link)
            subprocess.run(["mount", "--bind", target, link], check=True)
        self.environment = dict(os.environ)
        world.opened.append(self)
        self.cli("init", self.base, "--local", *([] if curve else ["--without-keys"]), config=False)
        if curve:
            self.over_tcp()

    def over_tcp(self):
        """Every socket of the site at a TCP port of its own."""
        with open(self.config, encoding="utf-8") as handle:
            text = handle.read()
        ports = iter(range(7600, 7700))
        with open(self.config, "w", encoding="utf-8") as handle:
            handle.write(re.sub(r'"?ipc://[^\s",}]+"?', lambda _: f'"tcp://127.0.0.1:{next(ports)}"', text))

    def backup_of(self, service, path, component="files", more=""):
        self.apply(f"service: {service}\nmode: push\nconsistency: bounded\nstall: 300s\nretention: {{last: 100}}\n"
                   f"data_sets:\n  - {{name: data, component: {component}, path: {path}{more}}}\n", name=service)

    def processes(self):
        return processes_of(self.config)

    def peak_memory(self):
        return peak_memory(self.processes())

    def processor_seconds(self):
        return processor_seconds(self.processes())

    def close(self):
        if self in self.world.opened:
            self.world.opened.remove(self)
            super().close()
