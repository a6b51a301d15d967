#!/usr/bin/python3
"""deploy/haproxy/haproxy.cfg, for real: HAProxy before two nginx follows a promotion and cuts the old connections."""
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
import unittest
import urllib.error
import urllib.request

from harness import ROOT, SiteTest, free_ports
from two_halves import POLICY, Service, TwoHalves


class LoadBalancer(SiteTest):
    def setUp(self):
        super().setUp()
        if not (shutil.which("haproxy") and shutil.which("nginx")):
            self.skipTest("needs haproxy and nginx (scripts/install --test)")
        self.site.close()
        self.site = TwoHalves(os.path.join(self.disks.base, "north"), os.path.join(self.disks.base, "south"),
                              also_here=["gateway"])
        self.addCleanup(self.site.close)
        self.service = Service(self.site)
        self.addCleanup(self.service.close)
        self.work = tempfile.mkdtemp(prefix="lockstep-balancer-")
        self.addCleanup(shutil.rmtree, self.work)
        with open(self.site.config, encoding="utf-8") as handle:
            self.gateway = re.search(r'http: "127.0.0.1:(\d+)"', handle.read()).group(1)
        self.front, north, south = free_ports(3)
        self.places = {"north": north, "south": south}

    def start(self, *command):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.terminate)
        return process

    def start_places(self):
        for name, port in self.places.items():
            home = os.path.join(self.work, name)
            os.makedirs(home)
            os.chmod(self.work, 0o755)
            for page, size in (("index.html", 0), ("large", 64 << 20)):
                with open(os.path.join(home, page), "wb") as handle:
                    handle.write(name.encode())
                    handle.truncate(max(size, len(name)))
            config = os.path.join(self.work, name + ".conf")
            with open(config, "w", encoding="utf-8") as handle:
                handle.write(f"daemon off;\npid {home}.pid;\nerror_log {home}.log;\nworker_processes 1;\nevents {{}}\n"
                             f"http {{ access_log off; server {{ listen 127.0.0.1:{port}; root {home}; limit_rate 64k; }} }}\n")
            self.start("nginx", "-c", config, "-e", home + ".log")

    def start_balancer(self):
        with open(os.path.join(ROOT, "deploy/haproxy/haproxy.cfg"), encoding="utf-8") as handle:
            text = handle.read()
        for old, new in ((":8080", self.front), (":8081", self.places["north"]), (":8082", self.places["south"])):
            self.assertIn("127.0.0.1" + old, text)
            text = text.replace("127.0.0.1" + old, f"127.0.0.1:{new}")
        self.assertEqual(text.count("port 9480"), 2)
        text = text.replace("port 9480", "port " + self.gateway)
        config = os.path.join(self.work, "haproxy.cfg")
        with open(config, "w", encoding="utf-8") as handle:
            handle.write(text)
        subprocess.run(["haproxy", "-c", "-q", "-f", config], check=True)
        self.start("haproxy", "-db", "-f", config)

    def page(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.front}/", timeout=5) as answer:
                return answer.read().decode()
        except (urllib.error.URLError, OSError):
            return ""

    def ask(self, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.gateway}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode().strip()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode().strip()

    def test_haproxy_follows_a_promotion_and_cuts_the_old_connections(self):
        self.service.start("north")
        self.site.up()
        self.site.apply(POLICY.format(north=self.site.north))
        self.site.run("orders")
        self.start_places()
        self.start_balancer()
        self.site.wait_until("the balancer uses north", lambda: self.page() == "north")
        self.assertEqual(self.ask("/client"), (200, "north"))
        self.assertEqual((self.ask("/client/north")[0], self.ask("/client/south")[0]), (200, 503))

        # A long answer that is under way when the roles change.
        old = socket.create_connection(("127.0.0.1", self.front))
        self.addCleanup(old.close)
        old.sendall(b"GET /large HTTP/1.1\r\nHost: here\r\n\r\n")
        self.assertIn(b"200 OK", old.recv(4096))
        self.service.crash("north")
        self.site.kill_north()
        self.site.json("promote", "south", "--yes")
        promoted = time.monotonic()
        while self.page() != "south":
            self.assertLess(time.monotonic() - promoted, 60)
            time.sleep(0.05)
        print(f"\n  followed {time.monotonic() - promoted:.2f} s after the promotion's end", flush=True)
        old.settimeout(60)
        received = 0
        try:
            while chunk := old.recv(1 << 20):
                received += len(chunk)
        except ConnectionResetError:
            pass
        self.assertLess(received, 64 << 20, "the old connection was not cut")
        self.assertEqual(self.ask("/client"), (200, "south"))
        self.assertEqual((self.ask("/client/north")[0], self.ask("/client/south")[0]), (503, 200))


if __name__ == "__main__":
    unittest.main()
