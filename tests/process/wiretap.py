"""A tap between the scheduler and the agents of a plain-text site: it passes every message on and
keeps a decoded copy. The scheduler gets a configuration of its own whose agents are the tap."""
import os
import re
import subprocess
import threading
import time

import msgpack
import yaml
import zmq

from harness import BIN

SERVICES = {"policy": "policy", "north-snapshot": "snapshot-agent", "south-snapshot": "snapshot-agent",
            "north-transfer": "transfer-agent", "south-transfer": "transfer-agent", "health-monitor": "health-monitor",
            "scheduler": "scheduler"}


class Tap:
    """`config`: lockstep.yaml of a site without keys. `agents`: the parties to listen to."""

    def __init__(self, config, agents):
        with open(config, encoding="utf-8") as handle:
            site = yaml.safe_load(handle)
        self.context, self.stop_flag, self.heard, self.raw_bytes = zmq.Context(), threading.Event(), [], 0
        self.raw, self.threads = [], []
        base = os.path.dirname(config)
        for cluster in site["clusters"].values():
            for name, agent in cluster["agents"].items():
                if name not in agents:
                    continue
                real = agent["endpoint"]
                if real.startswith("ipc://") and not real.startswith("ipc:///"):
                    real = "ipc://" + os.path.join(base, real[6:])
                front = real + ".tap"
                agent["endpoint"] = front
                thread = threading.Thread(target=self.serve, args=(name, front, real), daemon=True)
                self.threads.append(thread)
                thread.start()
        self.config = os.path.join(base, "scheduler.yaml")
        with open(self.config, "w", encoding="utf-8") as handle:
            yaml.safe_dump(site, handle)

    def serve(self, name, front, real):
        router = self.context.socket(zmq.ROUTER)
        router.linger = 0
        router.bind(front)
        backs, poller = {}, zmq.Poller()
        poller.register(router, zmq.POLLIN)
        while not self.stop_flag.is_set():
            for ready, _ in poller.poll(100):
                if ready is router:
                    identity, *frames = router.recv_multipart()
                    if identity not in backs:
                        dealer = self.context.socket(zmq.DEALER)
                        dealer.linger = 0
                        # Not the bare one: the service's own names for its peers may be the same.
                        dealer.setsockopt(zmq.IDENTITY, b"tap" + identity)
                        dealer.connect(real)
                        backs[identity] = dealer
                        poller.register(dealer, zmq.POLLIN)
                    self.keep(name, "request", frames)
                    backs[identity].send_multipart(frames)
                else:
                    frames = ready.recv_multipart()
                    self.keep(name, "reply", frames)
                    identity = next(i for i, back in backs.items() if back is ready)
                    router.send_multipart([identity, *frames])
        for socket in [router, *backs.values()]:
            socket.close()

    def keep(self, agent, direction, frames):
        for frame in frames:
            self.raw_bytes += len(frame)
            self.raw.append(frame)
            if frame:
                self.heard.append((time.monotonic(), agent, direction, msgpack.unpackb(frame, raw=False)))

    def requests(self, prefix=""):
        """Each distinct request (a repeated envelope counts once), in the order in which it was heard."""
        seen, out = set(), []
        for _, agent, direction, envelope in list(self.heard):
            if direction == "request" and envelope["type"].startswith(prefix) and envelope["id"] not in seen:
                seen.add(envelope["id"])
                out.append((agent, envelope))
        return out

    def close(self):
        self.stop_flag.set()
        for thread in self.threads:
            thread.join()
        self.context.term()


def serve_tapped(test, agents):
    """Takes the keys from the test's site and runs its services until the test ends, the scheduler through a tap
    before `agents`, which it returns."""
    site = test.site
    with open(site.config, encoding="utf-8") as handle:
        text = handle.read()
    with open(site.config, "w", encoding="utf-8") as handle:
        handle.write(re.sub(r"(?m)^keys:.*\n", "", text))
    tap = Tap(site.config, agents)
    test.addCleanup(tap.close)
    services = []

    def stop():
        for service in services:
            service.terminate()
        for service in services:
            service.wait(30)
    test.addCleanup(stop)
    os.makedirs(os.path.join(site.base, "var/log"), exist_ok=True)
    for name, program in SERVICES.items():
        config = tap.config if name == "scheduler" else site.config
        with open(os.path.join(site.base, "var/log", name + ".log"), "w", encoding="utf-8") as log:
            services.append(subprocess.Popen(
                [os.path.join(BIN, "lockstep-" + program), "--config", config, "--name", name], stdout=log, stderr=log))
    deadline = time.monotonic() + 30
    while '"identity":"primary"' not in site.cli("status", "--json", ok=None).stdout:
        test.assertLess(time.monotonic(), deadline, site.logs())
        time.sleep(0.2)
    return tap
