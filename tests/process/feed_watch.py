#!/usr/bin/python3
"""Follows the gateway's feed as docs/protocol.md says, with many subscribers in one process.

    feed_watch.py CONFIG PARTY COUNT SOURCE LAST [--slow]

Each subscriber follows every source and ends when it has SOURCE's event LAST. Prints "ready", now and then
"at N" where N events of all of them together are new, and in the end one JSON line:
[{"last", "in_order", "replayed", "live"}] for each. With --slow they stop reading now and then.

Nothing here ends because it takes long: whoever waits for the lines sees whether it gets on."""
import json
import os
import sys
import time

import zmq

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../protocol"))
import client  # noqa: E402


class Subscriber:
    def __init__(self, link, source, last, slow):
        self.link, self.wanted = link, (source, last)
        self.seen = {}                     # source: [incarnation, sequence]
        self.live = self.replayed = 0
        self.in_order = True
        self.behind = set()
        self.socket = link.context.socket(zmq.SUB)
        # libzmq up to 4.3.5 ends the process where a full queue meets a connection that is lost
        # (docs/protocol.md); who reads all the time needs no bound, who is slow runs that risk.
        self.socket.linger, self.socket.rcvhwm = 0, 1000 if slow else 0
        link.site.secure(self.socket, link.me, "gateway")
        self.socket.subscribe(b"")
        self.socket.connect(link.feed)

    def done(self):
        source, last = self.wanted
        return self.seen.get(source, ["", 0])[1] >= last

    def take(self, event, live):
        known = self.seen.setdefault(event["source"], [event["incarnation"], 0])
        if event["incarnation"] != known[0] or event["sequence"] > known[1] + 1:
            return False
        if event["sequence"] == known[1] + 1:
            known[1] = event["sequence"]
            self.live += live
            self.replayed += not live
        return True

    def read(self, limit=200):
        for _ in range(limit):
            try:
                topic, data = self.socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            body = client.msgpack.unpackb(data)
            if topic.startswith(b"heartbeat/"):
                if self.seen.get(body["source"], ["", 0])[1] < body["last"]:
                    self.behind.add(body["source"])
            elif not self.take(body, True):
                self.behind.add(body["source"])

    def ask(self, body):
        """Whoever asks a busy gateway again soon makes it busier, and gets no answer in the end."""
        patience = 30
        while True:
            try:
                return self.link.request("gateway", "feed.since", body, silence=patience, timeout=patience)["body"]
            except client.NoAnswer:      # it died with the question, or is that busy
                patience *= 2

    def catch_up(self, tell):
        for source in list(self.behind):
            while True:
                incarnation, sequence = self.seen.get(source, ["", 0])
                ask = {"source": source, "sequence": sequence, "limit": 2000}
                if incarnation:
                    ask["incarnation"] = incarnation
                answer = self.ask(ask)
                self.in_order &= not answer["gap"]
                for event in map(client.msgpack.unpackb, answer["events"]):
                    self.in_order &= self.take(event, False)
                tell()
                if self.seen.get(source, ["", 0])[1] >= answer["last"]:
                    break
            self.behind.discard(source)


def main(config, party, count, source, last, slow):
    with client.Client(config, party) as link:
        link.feed = link.site.endpoint("gateway", "feed")
        poller = zmq.Poller()
        everybody = {}
        for _ in range(count):
            one = Subscriber(link, source, last, slow)
            everybody[one.socket] = one
            poller.register(one.socket, zmq.POLLIN)
        print("ready", flush=True)
        told, next_telling = 0, time.monotonic()

        def tell():
            nonlocal told, next_telling
            taken = sum(one.live + one.replayed for one in everybody.values())
            if taken > told and time.monotonic() >= next_telling:
                print(f"at {taken}", flush=True)
                told, next_telling = taken, time.monotonic() + 5
        while not all(one.done() for one in everybody.values()):
            tell()
            for socket, _ in poller.poll(500):
                everybody[socket].read()
            if slow:
                time.sleep(0.5)
            for one in everybody.values():
                one.catch_up(tell)
        print(json.dumps([{"last": one.seen.get(source, ["", 0])[1], "in_order": one.in_order,
                           "replayed": one.replayed, "live": one.live} for one in everybody.values()]))


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if word != "--slow"]
    main(words[0], words[1], int(words[2]), words[3], int(words[4]), "--slow" in sys.argv)
