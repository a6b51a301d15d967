#!/usr/bin/python3
"""A hostile sender and a hostile receiver: peers that hold the keys of a transfer-agent and say what no
honest one does. Each is refused by a named error, nothing outside the staging is written, memory stays
bounded, the service lives on, and the next honest run works."""
import os
import re
import signal
import time
import unittest

import zmq

import stream_peer
from by_hand import ByHand
from harness import Disks, SiteTest
from stream_peer import DIRECTORY, REGULAR, ROOT, SYMLINK, Peer, close, data, entry, protocol, zstd

MEMORY = 192 << 20  # what the process may ever have needed; an honest run needs some tens of MB
STALL = 3 * 10**9


class HostilePeer(SiteTest):
    victim, mask = None, None  # the agent that is spoken to, and whose keys the peer has
    files = 3

    def setUp(self):
        self.disks = Disks()
        self.addCleanup(self.disks.close)
        self.site = ByHand(self.disks.make("north", "btrfs"), self.disks.make("south", "btrfs"))
        self.addCleanup(self.site.close)
        self.home = os.path.join(self.site.north, "data")
        os.makedirs(self.home)
        for i in range(self.files):
            with open(os.path.join(self.home, str(i)), "wb") as handle:
                handle.write(os.urandom(6 << 20))
        self.client = protocol.Client(self.site.config, "user")
        self.addCleanup(self.client.context.destroy, linger=0)
        self.epoch = {"number": 1, "promotion": self.client.site.text["first_promotion"]}
        self.site.up()
        self.site.apply(f"service: orders\nmode: push\nconsistency: bounded\nmax_skew: 10s\nmax_lateness: 60s\ndata_sets:\n"
                        f"  - {{name: data, component: files, path: {self.home}}}\n")
        self.honest_run()
        self.pid = self.site.services[self.victim].pid
        self.before = self.outside()

    def honest_run(self):
        with open(os.path.join(self.home, "new"), "ab") as handle:
            handle.write(os.urandom(100000))
        point = self.site.run("orders")["point"]
        self.assert_point_is_as_it_says(point)
        self.assert_same_tree(self.home, os.path.join(self.restore(point), "data"))

    def instruction(self):
        held = [hold for hold in self.client.call("north-snapshot", "snapshot.holds")["holds"] if hold["set"] == "data"]
        side = {"component": "files", "options": {}}
        return {"service": "orders", "moment": "2026-01-01T00:00:00Z", "policy_version": 1, "peer": self.victim,
                "bandwidth": 0, "compress": False, "stall_ns": STALL,
                "sets": [{"name": "data", "agent": "north-snapshot", "fence": {"kind": "none", "hook": "", "cgroup": "", "timeout_ns": 0},
                          "from": {"cluster": "north", "location": self.home, **side},
                          "to": {"cluster": "south", "location": os.path.join(self.site.south, "data"), **side},
                          "refers_to": [], "exclude": [], "allow_writer_stall": False, "version": held[0]["version"]}]}

    def peer(self):
        peer = Peer(self.site.config, self.mask, self.victim)
        self.addCleanup(peer.client.context.destroy, linger=0)
        return peer

    def outside(self):
        """Every file of the secondary but what belongs to stagings."""
        out = {}
        for root, directories, files in os.walk(self.site.south):
            if os.path.basename(root) == ".lockstep":
                directories[:] = [name for name in directories if name not in ("staging", "manifests")]
            directories[:] = [name for name in directories if name != ".trees"]
            out.update({path: os.lstat(path).st_mtime_ns for path in (os.path.join(root, name) for name in files)})
        return out

    def named_error(self, peer, *codes, seconds=40):
        """What the victim says of the peer's stream in its log."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with open(self.site.log(self.victim), encoding="utf-8", errors="replace") as handle:
                found = re.findall(rf"run {peer.run} from .* failed: .*\[([a-z-]+)\]", handle.read())
            if found:
                self.assertIn(found[-1], codes)
                return
            time.sleep(0.1)
        self.fail(f"{self.victim} does not tell why it refused {peer.run}\n{self.site.logs(20)}")

    def assert_unharmed(self):
        self.assertEqual(self.outside(), self.before)
        self.assertIsNone(self.site.services[self.victim].poll())
        with open(f"/proc/{self.pid}/status", encoding="ascii") as handle:
            needed = int(re.search(r"VmHWM:\s+(\d+) kB", handle.read()).group(1)) << 10
        self.assertLess(needed, MEMORY)
        self.honest_run()
        self.before = self.outside()


class HostileSender(HostilePeer):
    victim, mask = "south-transfer", "north-transfer"

    def attack(self, *records, codes=("stream-hostile",), **pack):
        peer = self.peer()
        peer.begin_sending(self.instruction(), self.epoch)
        peer.pack(ROOT)
        peer.pack(*records, **pack)
        self.assertIn(peer.hear("fail")["code"], codes)
        self.named_error(peer, *codes)

    def test_paths_out_of_the_set_and_links_that_are_swapped_in(self):
        outside = os.path.join(self.disks.base, "outside")
        os.makedirs(outside)
        for path in (b"../escaped", b"a/../../escaped", b"..", outside.encode() + b"/escaped", b"a//b", b"./a", b"a/", b"a\0b"):
            with self.subTest(path=path):
                self.attack(entry(REGULAR, path, 1), data(0, b"x"), close())
        link = entry(SYMLINK, b"a", link=outside.encode())
        with self.subTest("through a link"):
            self.attack(link, entry(REGULAR, b"a/escaped", 1), data(0, b"x"), close())
        with self.subTest("a link that takes a directory's place"):
            self.attack(entry(DIRECTORY, b"a"), link, entry(REGULAR, b"a/escaped", 1), data(0, b"x"), close())
        with self.subTest("a hard link to what lies outside"):
            self.attack(entry(stream_peer.HARD_LINK, b"h", link=outside.encode() + b"/x"))
        self.assertEqual(os.listdir(outside), [])
        self.assert_unharmed()

    def test_extents_records_and_digests_that_cannot_be(self):
        file = entry(REGULAR, b"f", 1000)
        cases = {"overlapping": [file, data(0, b"x" * 600), data(300, b"y" * 600)], "backwards": [file, data(500, b"x" * 10), data(0, b"y")],
                 "beyond the end": [file, data(990, b"x" * 20)], "far beyond": [file, data(2**63 - 5, b"x" * 20)],
                 "of no file": [data(0, b"x")], "of a directory": [entry(DIRECTORY, b"d"), data(0, b"x")],
                 "twice": [entry(DIRECTORY, b"d"), entry(DIRECTORY, b"d")], "out of order": [entry(DIRECTORY, b"z"), entry(DIRECTORY, b"a")],
                 "half a record": [file[:20]], "an unknown record": [b"\x63" + bytes(40)], "of 2^60 bytes": [entry(REGULAR, b"f", 2**64 - 1)]}
        for name, records in cases.items():
            with self.subTest(name):
                self.attack(*records)
        with self.subTest("a number of records that is not there"):
            self.attack(entry(DIRECTORY, b"d"), count=3)
        for name, options, records in (
                ("a digest of the content", {}, [entry(REGULAR, b"f", 5), data(0, b"12345"), close()]),
                ("a digest of the pack", {"body": bytes(16)}, [entry(DIRECTORY, b"d")]),
                ("a sequence", {"sequence": 77}, [entry(DIRECTORY, b"d")])):
            with self.subTest(name):
                self.attack(*records, codes=("stream-digest", "stream-hostile", "stream-protocol"), **options)
        self.assert_unharmed()

    def test_a_bomb_is_never_blown_up(self):
        bomb = zstd(bytes(1 << 30))
        self.assertLess(len(bomb), 1 << 20)
        for raw_length in (1 << 20, 100):
            with self.subTest(raw_length=raw_length):
                self.attack(entry(DIRECTORY, b"d"), codec=1, wire=bomb, raw_length=raw_length,
                            codes=("stream-hostile", "stream-digest"))
        self.assert_unharmed()

    def test_a_sender_that_ignores_its_credit(self):
        peer = self.peer()
        peer.begin_sending(self.instruction(), self.epoch)
        os.kill(self.pid, signal.SIGSTOP)
        try:
            peer.pack(ROOT, entry(REGULAR, b"f", 1 << 30))
            for i in range(100):
                raw = data(i << 20, bytes(1 << 20))
                peer.pack(raw, codec=1, wire=zstd(raw))
        finally:
            os.kill(self.pid, signal.SIGCONT)
        self.named_error(peer, "stream-hostile")
        self.assert_unharmed()

    def test_an_endless_manifest_takes_room_on_the_disk_but_not_in_memory(self):
        peer = self.peer()
        peer.begin_sending(self.instruction(), self.epoch)
        peer.pack(ROOT)
        for first in range(0, 60000, 2000):
            peer.pack(*(entry(DIRECTORY, b"%032d" % i) for i in range(first, first + 2000)))
        peer.say("nonsense")
        self.named_error(peer, "stream-protocol", "stream-hostile", seconds=200)
        self.assert_unharmed()

    def test_silence_and_half_a_conversation(self):
        silent = self.peer()
        silent.begin_sending(self.instruction(), self.epoch)
        mute = self.peer()
        self.assertEqual(mute.open("push", self.instruction(), self.epoch)["t"], "accepted")
        self.honest_run()  # beside them
        self.before = self.outside()
        for peer in (silent, mute):
            self.named_error(peer, "stalled", "stream-peer-lost", seconds=90)
        self.assert_unharmed()

    def test_openings_that_are_not_what_they_say(self):
        right, epoch = self.instruction(), self.epoch
        wrong = {"another service": {"service": "others"}, "another set": {"set": "more"}, "no run": {"transfer": "../../x"},
                 "no body": {"body": b""}, "a body of nothing": {"body": b"\xc1" * 100}, "a deep body": {"body": b"\x91" * 1000},
                 "an old epoch": {"epoch": 0}}
        for name, changed in wrong.items():
            with self.subTest(name):
                self.assertIn(self.peer().open("push", right, epoch, **changed)["t"], ("refused", "unknown"))
        with self.subTest("of a cluster that is not its own"):
            swapped = {**right, "sets": [{**right["sets"][0], "from": right["sets"][0]["to"], "to": right["sets"][0]["from"]}]}
            self.assertEqual(self.peer().open("push", swapped, epoch)["code"], "identity-wrong")
        peer = self.peer()
        for frames in ([b""], [b"LSPK"], [b"x" * 5000], [b"a", b"b", b"c"], [b"\x81\xa1t\xa4open"]):
            peer.socket.send_multipart(frames)
        self.assert_unharmed()


class HostileReceiver(HostilePeer):
    victim, mask = "north-transfer", "south-transfer"
    files = 50  # far more than any window, and than the memory that is allowed

    def fetch(self):
        peer = self.peer()
        self.assertEqual(peer.open("fetch", self.instruction(), self.epoch)["t"], "accepted")
        peer.hear("hello")
        return peer

    def start(self, peer, **changed):
        peer.say("start", **{"base": 0, "window": 16 << 20, "sequence": 0, "chain": bytes(16), "seen": 0, "received": 0, "again": 0,
                             **changed})

    def test_credit_beyond_all_measure_costs_no_memory(self):
        for window in (2**63 - 1, 2**40):
            with self.subTest(window=window):
                peer = self.peer()
                peer.socket.setsockopt(zmq.RCVHWM, 1)
                self.assertEqual(peer.open("fetch", self.instruction(), self.epoch)["t"], "accepted")
                peer.hear("hello")
                self.start(peer, window=window)
                self.named_error(peer, "stalled", "stream-peer-lost", "stream-hostile", "stream-protocol", seconds=90)
        self.assert_unharmed()

    def test_a_receiver_that_never_acknowledges(self):
        peer = self.fetch()
        self.start(peer)
        self.named_error(peer, "stalled", "stream-peer-lost", seconds=90)
        self.assert_unharmed()

    def test_acknowledgements_of_what_was_not_sent(self):
        for name, say in {
                "a pack that was not sent": lambda peer: peer.say("credit", sequence=10**9, durable=0, released=0),
                "bytes that were not sent": lambda peer: peer.say("credit", sequence=1, durable=1, released=2**50),
                "more durable than applied": lambda peer: peer.say("credit", sequence=0, durable=10**9, released=0),
                "the end": lambda peer: peer.say("finack", root=bytes(32), entries=1, bytes=1),
                "a word nobody knows": lambda peer: peer.say("nonsense")}.items():
            with self.subTest(name):
                peer = self.fetch()
                self.start(peer)
                time.sleep(0.3)
                say(peer)
                self.named_error(peer, "stream-hostile", "stream-protocol")
        with self.subTest("a place to go on from that never was"):
            peer = self.fetch()
            self.start(peer, sequence=10**6, chain=b"\x55" * 16)
            self.assertEqual(peer.hear("restart", "fail")["t"], "restart")
        self.assert_unharmed()

    def test_a_receiver_that_connects_and_is_gone_again_and_again(self):
        run = None
        for i in range(40):
            peer = Peer(self.site.config, self.mask, self.victim, run if i % 2 else None)
            run = peer.run
            with peer:
                peer.open("fetch", self.instruction(), self.epoch)
                if i % 4 == 0:
                    self.start(peer)
        self.assert_unharmed()


if __name__ == "__main__":
    unittest.main()
