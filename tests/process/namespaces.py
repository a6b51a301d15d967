"""Hosts made of network namespaces: a switch in a namespace of its own, and one host for each name."""
import ctypes
import itertools
import os
import subprocess

COUNTER = itertools.count()


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True)


class Hosts:
    """`names`: of the hosts; each has the address `address(name)` on the one network between them."""

    def __init__(self, names):
        self.prefix = f"ls{os.getpid()}-{next(COUNTER)}"
        self.names, self.made = list(names), []
        self.switch = self.add("switch")
        ip("-n", self.switch, "link", "add", "br0", "type", "bridge")
        ip("-n", self.switch, "link", "set", "br0", "up")
        for number, name in enumerate(self.names):
            space = self.add(name)
            ip("link", "add", "eth0", "netns", space, "type", "veth", "peer", "name", f"p{number}", "netns", self.switch)
            ip("-n", self.switch, "link", "set", f"p{number}", "master", "br0", "up")
            ip("-n", space, "addr", "add", self.address(name) + "/24", "dev", "eth0")
            ip("-n", space, "link", "set", "eth0", "up")

    def add(self, name):
        space = f"{self.prefix}-{name}"
        ip("netns", "add", space)
        self.made.append(space)
        ip("-n", space, "link", "set", "lo", "up")
        return space

    def address(self, name):
        return f"192.0.2.{10 + self.names.index(name)}"

    def inside(self, name, command):
        return ["ip", "netns", "exec", f"{self.prefix}-{name}", *command]

    def enter(self, name):
        """This thread, and those that it starts from now on, are on that host."""
        with open(f"/run/netns/{self.prefix}-{name}", encoding="ascii") as handle:
            if ctypes.CDLL(None, use_errno=True).setns(handle.fileno(), 0x40000000) != 0:  # CLONE_NEWNET
                raise OSError(ctypes.get_errno(), "setns")

    def cut(self, name):
        ip("-n", self.switch, "link", "set", f"p{self.names.index(name)}", "down")

    def heal(self, name):
        ip("-n", self.switch, "link", "set", f"p{self.names.index(name)}", "up")

    def cut_pair(self, one, other):
        """Nothing gets from either to the other, without a word: each knows a wrong hardware address of it."""
        for here, there in ((one, other), (other, one)):
            ip("-n", f"{self.prefix}-{here}", "neigh", "replace", self.address(there), "lladdr", "02:00:00:00:00:01",
               "nud", "permanent", "dev", "eth0")

    def heal_pair(self, one, other):
        for here, there in ((one, other), (other, one)):
            subprocess.run(["ip", "-n", f"{self.prefix}-{here}", "neigh", "del", self.address(there), "dev", "eth0"],
                           check=False, capture_output=True)

    def bytes_through(self, name):
        path = f"/sys/class/net/p{self.names.index(name)}/statistics/"
        out = subprocess.run(["ip", "netns", "exec", self.switch, "cat", path + "rx_bytes", path + "tx_bytes"],
                             check=True, capture_output=True, text=True)
        return sum(map(int, out.stdout.split()))

    def close(self):
        for space in reversed(self.made):
            subprocess.run(["ip", "netns", "del", space], check=False, capture_output=True)
