#!/usr/bin/python3
"""The gateway's feed: every live subscriber gets every event in order, whatever others do to the gateway;
the control device answers all along; the kept range survives the gateway's death."""
import contextlib
import json
import os
import random
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import unittest

import zmq

import harness

sys.path.insert(0, os.path.join(harness.ROOT, "tests/protocol"))
import client  # noqa: E402

WATCH = os.path.join(harness.ROOT, "tests/process/feed_watch.py")
SUBSCRIBERS, EVENTS = (200, 50_000) if harness.FULL else (50, 10_000)
# Nothing at all moves for this long, in seconds: it hangs. No end is set to what moves: how long it takes is
# the machine's affair, and what else it does.
STALL = 900
MOST_TIMES_SLOWER = 4
POLICY = """service: orders
mode: push
consistency: bounded
max_skew: 5s
data_sets:
  - {name: files, component: files, path: FILES}
"""

# Answers at once, as a process of its own does that has nothing to do with Lockstep: what this machine makes of a
# request meanwhile, whoever it is for.
YARDSTICK = """
import sys, zmq
socket = zmq.Context().socket(zmq.REP); socket.bind(sys.argv[1])
print("ready", flush=True)
while True: socket.send(socket.recv())
"""

FREEZES = """
import os, sys, time, zmq
sys.path.insert(0, sys.argv[1])
import client
link = client.Client(sys.argv[2], "watcher")
made = []
for _ in range(int(sys.argv[3])):
    s = link.context.socket(zmq.SUB); s.linger = 0
    link.site.secure(s, "watcher", "gateway"); s.subscribe(b""); s.connect(link.site.endpoint("gateway", "feed"))
    made.append(s)
for s in made:  # the heartbeat: who has not been let in yet cannot be found frozen
    assert s.poll(int(sys.argv[4]))
    s.recv_multipart()
print("ready", flush=True); time.sleep(3600)
"""

HOSTILE = """
import os, random, sys, time, zmq
sys.path.insert(0, sys.argv[1])
import client
link = client.Client(sys.argv[2], "watcher")
kind = sys.argv[3]
many = int(sys.argv[4]) if len(sys.argv) > 4 else 1
def one():
    s = link.context.socket(zmq.XSUB); s.linger = 0; s.reconnect_ivl = 300; s.sndhwm = 1000
    link.site.secure(s, "watcher", "gateway"); s.connect(link.site.endpoint("gateway", "feed")); return s
sockets, n = [one() for _ in range(many)], 0
print("ready", flush=True)
while True:
    n += 1
    s = sockets[n % many]
    if kind == "giant": frame = b"\\x01" + b"x" * 1_000_000
    elif kind == "topics": frame = b"\\x01" + b"%08d" % n + b"y" * 190
    elif kind == "messages": frame = b"\\x07" + os.urandom(100)
    try: s.send(frame, zmq.NOBLOCK)
    except zmq.Again: time.sleep(0.001)
    if kind == "giant": time.sleep(0.01)
"""


class Feed(unittest.TestCase):
    tcp = True

    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0:
            raise unittest.SkipTest("needs root for mounts")

    def setUp(self):
        self.disks = harness.Disks()
        self.addCleanup(self.disks.close)
        places = [os.path.join(self.disks.base, name) for name in ("north", "south")]
        for place in places:
            os.makedirs(place)
        self.site = harness.Site(*places)
        self.addCleanup(self.site.close)
        with open(self.site.config, encoding="utf-8") as handle:
            text = handle.read()
        if self.tcp:
            feed = f"tcp://127.0.0.1:{harness.free_port()}"
            text = text.replace('feed: "ipc://run/feed"', f'feed: "{feed}"')
            self.assertIn(feed, text)
        with open(self.site.config, "w", encoding="utf-8") as handle:
            handle.write(text + "subscribers: [watcher]\n")
        self.site.cli("keys", "init")
        self.site.up()
        os.makedirs(os.path.join(self.site.north, "files"))
        self.site.apply(POLICY.replace("FILES", os.path.join(self.site.north, "files")))
        self.processes = []
        self.addCleanup(self.end_all)

    def end_all(self):
        while self.processes:
            self.end(self.processes[-1])

    def end(self, process):
        self.processes.remove(process)
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.communicate()

    def begin(self, *words):
        process = subprocess.Popen([harness.PYTHON, *map(str, words)], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        self.processes.append(process)
        self.assertEqual(process.stdout.readline(), "ready\n", process.poll() is not None and process.stderr.read())
        return process

    def watch(self, count, last, *words):
        return self.begin(WATCH, self.site.config, "watcher", count, "policy", last, *words)

    def result(self, process):
        lines = [""]
        while not lines[-1].startswith("["):    # what it has done in the end
            if not select.select([process.stdout], [], [], STALL)[0]:
                self.fail(f"a subscriber stands still, the last word is {lines[-1]!r}\n" + self.site.logs(20))
            lines.append(process.stdout.readline())
            if not lines[-1]:
                break
        errors = process.stderr.read()
        process.wait()
        process.stdout.close()
        process.stderr.close()
        self.processes.remove(process)
        if process.returncode == -signal.SIGABRT and "--slow" in process.args and "!_io_error" in errors:
            # Its own libzmq ended it (docs/protocol.md). It comes back and asks for what it missed.
            print("   a slow subscriber was ended by libzmq and comes back", flush=True)
            return self.result(self.begin(*process.args[1:]))
        self.assertEqual(process.returncode, 0, errors)
        return json.loads(lines[-1])

    def make_events(self, count, link):
        """Pauses and resumes the policy: `count` real events of the policy service. Every request is answered."""
        dealer = link.socket(zmq.DEALER, "policy")
        self.addCleanup(dealer.close)
        waiting, asked, answered = set(), 0, 0
        while answered < count:
            while asked < count and len(waiting) < 64:
                envelope = link.envelope("policy.pause" if asked % 2 == 0 else "policy.resume", {"service": "orders"})
                dealer.send(client.pack(envelope))
                waiting.add(envelope["id"])
                asked += 1
            self.assertTrue(dealer.poll(STALL * 1000), "the policy service does not answer")
            reply = client.msgpack.unpackb(dealer.recv())
            self.assertTrue(reply["type"].endswith(".done"), reply)
            waiting.remove(reply["id"])
            answered += 1

    @staticmethod
    def latencies(link, yardstick, stop, out):
        """Pairs, in seconds: of a request to the scheduler, and of one to the yardstick just after it."""
        rule = link.context.socket(zmq.REQ)
        rule.connect(yardstick)
        while not stop.is_set():
            start = time.monotonic()
            link.request("scheduler", "status", {}, silence=STALL, timeout=STALL)
            middle = time.monotonic()
            rule.send(b"x" * 2000)
            rule.recv()
            out.append((middle - start, time.monotonic() - middle))
            time.sleep(0.02)
        rule.close(0)

    def requests_while(self, work):
        """How long requests to the control device took while `work` ran, and others to a process that is none of
        Lockstep's, each sorted. Each is answered, or this raises."""
        found, problems, stop = [], [], threading.Event()
        yardstick = "ipc://" + os.path.join(self.disks.base, "yardstick")
        ruler = self.begin("-c", YARDSTICK, yardstick)

        def ask():
            try:
                with client.Client(self.site.config, "user") as link:
                    self.latencies(link, yardstick, stop, found)
            except Exception as problem:  # pylint: disable=broad-except
                problems.append(problem)
        thread = threading.Thread(target=ask)
        thread.start()
        try:
            work()
        finally:
            stop.set()
            thread.join()
        self.end(ruler)
        self.assertEqual(problems, [])
        self.assertGreater(len(found), 20)
        return [sorted(column) for column in zip(*found)]

    def garbage(self, stop):
        endpoint = client.Site(self.site.config).endpoint("gateway", "feed")
        while not stop.is_set():
            try:
                if endpoint.startswith("tcp"):
                    made = socket.create_connection(("127.0.0.1", int(endpoint.rsplit(":", 1)[1])), 5)
                else:
                    made = socket.socket(socket.AF_UNIX)
                    made.connect(endpoint[6:])
                made.sendall(random.randbytes(random.randint(1, 4096)))
                time.sleep(0.05)
                made.close()
            except OSError:
                time.sleep(0.05)

    def counts(self):
        events = [json.loads(line) for line in
                  self.site.cli("events", "--source", "gateway", "--json").stdout.splitlines()]
        out = {}
        for event in events:
            if event["type"] == "feed.troubled":
                for key, value in event["data"].items():
                    out[key] = out.get(key, 0) + value
        return out

    def freeze(self, count):
        """Subscribers that were let in, and then take and say nothing any more."""
        process = self.begin("-c", FREEZES, os.path.join(harness.ROOT, "tests/protocol"), self.site.config, count, STALL * 1000)
        process.send_signal(signal.SIGSTOP)

    def wait_until_frozen_are_told(self, count):
        """One that the gateway had no time to look at before it was disconnected goes untold: others follow."""
        for _ in range(10):
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                if self.counts().get("frozen", 0) >= count:
                    return
                time.sleep(1)
            self.freeze(count)
        self.fail(f"nobody is told to be frozen: {self.counts()}")

    def wait_for(self, what, seconds=STALL):
        deadline = time.monotonic() + seconds
        while not what():
            self.assertLess(time.monotonic(), deadline, self.counts())
            time.sleep(0.5)

    def hostile(self, *kinds, sockets=1):
        return [self.begin("-c", HOSTILE, os.path.join(harness.ROOT, "tests/protocol"), self.site.config, kind, sockets)
                for kind in kinds]

    def test_a_flood_of_subscriptions_over_many_connections_takes_neither_the_gateways_life_nor_its_memory(self):
        def most_memory(pid):    # MiB
            with open(f"/proc/{pid}/status", encoding="utf-8") as handle:
                return next(int(line.split()[1]) // 1024 for line in handle if line.startswith("VmHWM:"))
        with client.Client(self.site.config, "user") as link:
            gateway = link.request("gateway", "ping", {})["body"]["pid"]
            before = most_memory(gateway)
            live = self.watch(4, 2001)
            self.hostile("topics", "topics", sockets=20)
            self.wait_for(lambda: self.counts().get("flooding", 0) > 0)
            self.make_events(2000, link)
            for one in self.result(live):
                self.assertEqual((one["last"], one["in_order"]), (2001, True))
            end = time.monotonic() + (60 if harness.FULL else 10)
            while time.monotonic() < end:
                time.sleep(1)
            while self.processes:    # those who flood go all at once, in the middle of it
                self.end(self.processes[-1])
            time.sleep(5)            # longer than two heartbeats, at which libzmq would find a full queue
            self.assertEqual(link.request("gateway", "ping", {}, silence=STALL, timeout=STALL)["body"]["pid"], gateway,
                             "the gateway died")
            after = most_memory(gateway)
        print(f"   the gateway took {before} MiB before, {after} MiB at most while it was flooded; {self.counts()}", flush=True)
        self.assertLess(after, before + 500)

    def test_every_live_subscriber_gets_every_event_in_order_whatever_others_do(self):
        with client.Client(self.site.config, "user") as link:
            gateway = link.request("gateway", "ping", {})["body"]["pid"]
            last = EVENTS + 1    # the first is policy.applied
            live = [self.watch(SUBSCRIBERS // 2, last), self.watch(SUBSCRIBERS // 2 - 2, last),
                    self.watch(2, last, "--slow")]
            hostile = self.hostile("giant", "topics", "messages")
            stop = threading.Event()
            knocking = threading.Thread(target=self.garbage, args=(stop,))
            knocking.start()
            self.addCleanup(stop.set)
            start = time.monotonic()
            self.freeze(5)
            during, yard_during = self.requests_while(lambda: self.make_events(EVENTS, link))
            made = time.monotonic() - start
            results = [one for process in live for one in self.result(process)]
            done = time.monotonic() - start
            self.assertEqual(len(results), SUBSCRIBERS)
            self.assertEqual({one["last"] for one in results}, {last})
            self.assertTrue(all(one["in_order"] for one in results))
            # They are told at most every ten seconds, so not all together.
            self.wait_until_frozen_are_told(5)
            self.wait_for(lambda: all(self.counts().get(kind, 0) > 0 for kind in ("flooding", "malformed")))
            counts = self.counts()
            stop.set()
            knocking.join()
            for process in hostile:
                self.end(process)
            # The same with nobody at the gateway. This machine may have become faster or slower meanwhile, for
            # whatever else it does: that is what the yardstick shows.
            alone, yard_alone = self.requests_while(lambda: self.make_events(EVENTS // 5, link))
            self.assertEqual(link.request("gateway", "ping", {}, silence=STALL, timeout=STALL)["body"]["pid"], gateway,
                             "the gateway died")

        def words(column):
            return f"{column[len(column) // 2] * 1e3:.1f}/{column[-1 - len(column) // 100] * 1e3:.1f} ms"
        print(f"   {EVENTS} events to {SUBSCRIBERS} subscribers: made in {made:.1f} s, all there after {done:.1f} s; "
              f"{sum(one['replayed'] for one in results)} of them by replay; {counts}; p50/p99 of the scheduler's status "
              f"(and of a process that is none of Lockstep's) {words(during)} ({words(yard_during)}), "
              f"with nobody at the gateway {words(alone)} ({words(yard_alone)})", flush=True)

        def median(column):
            return column[len(column) // 2]
        slower = median(during) / median(alone) / max(1, median(yard_during) / median(yard_alone))
        self.assertLess(slower, MOST_TIMES_SLOWER, "who is at the gateway makes the control device slower")

    def test_the_kept_range_survives_a_kill_of_the_gateway_and_a_late_subscriber_gets_all_of_it(self):
        with client.Client(self.site.config, "user") as link:
            early = self.watch(2, 901)
            self.make_events(300, link)
            pid = link.request("gateway", "ping", {})["body"]["pid"]
            os.kill(pid, signal.SIGKILL)
            self.make_events(300, link)
            self.wait_for(lambda: link.request("gateway", "ping", {})["body"]["pid"] != pid)
            late = self.watch(2, 901)
            self.make_events(300, link)
            for process in (early, late):
                for one in self.result(process):
                    self.assertEqual((one["last"], one["in_order"]), (901, True))

    def test_whoever_does_not_speak_the_protocol_is_counted_whatever_his_first_byte(self):
        if not self.tcp:
            self.skipTest("outsiders come by tcp")
        port = int(client.Site(self.site.config).endpoint("gateway", "feed").rsplit(":", 1)[1])
        for first in (b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 64, b"\xff" * 64, b"\x16\x03\x01" + b"x" * 200, b"x"):
            with socket.create_connection(("127.0.0.1", port), 60) as made, contextlib.suppress(OSError):
                made.sendall(first)
                made.shutdown(socket.SHUT_WR)
                while made.recv(4096):      # until the gateway ends it, if it has not already
                    pass
        self.wait_for(lambda: self.counts().get("malformed", 0) >= 5)
        self.assertEqual(self.counts()["malformed"], 5)

    def test_one_whose_end_libzmq_does_not_tell_is_counted_though_another_failed_meanwhile(self):
        if not self.tcp:
            self.skipTest("outsiders come by tcp")
        port = int(client.Site(self.site.config).endpoint("gateway", "feed").rsplit(":", 1)[1])
        with socket.create_connection(("127.0.0.1", port), 60) as first, contextlib.suppress(OSError):
            with socket.create_connection(("127.0.0.1", port), 60):
                time.sleep(0.2)
            time.sleep(0.2)
            first.sendall(b"GET / HTTP/1.1\r\n\r\n")
            while first.recv(4096):
                pass
        self.wait_for(lambda: self.counts().get("malformed", 0) >= 2)
        self.assertEqual(self.counts()["malformed"], 2)

    def test_a_subscribers_key_opens_the_gateway_and_nothing_else(self):
        with client.Client(self.site.config, "watcher") as link:
            sources = link.request("gateway", "feed.sources", {})["body"]["sources"]
            self.assertIn("policy", [one["source"] for one in sources])
            with self.assertRaises(client.NoAnswer):
                link.request("policy", "ping", {}, timeout=3)
            with self.assertRaises(client.Failed) as refused:
                link.request("gateway", "feed.since", {"source": "nobody", "sequence": 0, "limit": 10})
            self.assertEqual(refused.exception.error["code"], "not-found")


class FeedOverIpc(Feed):
    tcp = False

    def test_every_live_subscriber_gets_every_event_in_order_whatever_others_do(self):
        with client.Client(self.site.config, "user") as link:
            live = self.watch(10, 2001)
            self.hostile("topics")
            self.freeze(3)
            self.make_events(2000, link)
            for one in self.result(live):
                self.assertEqual((one["last"], one["in_order"]), (2001, True))
        self.wait_until_frozen_are_told(3)
        self.wait_for(lambda: self.counts().get("flooding", 0) > 0)


if __name__ == "__main__":
    unittest.main(verbosity=1)
