#!/usr/bin/python3
"""What the two clients say of a cluster whose HDFS is not there, hangs, or is in trouble: the web side of a NameNode."""
import http.server
import json
import threading
import time
import unittest

from harness import SiteTest, free_port


class NameNode(http.server.ThreadingHTTPServer):
    """Answers as Hadoop 3.4.2 does, /jmx with what `beans` says; or not, until it `may_answer`."""

    def __init__(self):
        super().__init__(("127.0.0.1", free_port()), Page)
        self.beans = {"NameNodeStatus": {"State": "active"},
                      "FSNamesystemState": {"FSState": "Operational", "NumLiveDataNodes": 2, "NumDeadDataNodes": 1,
                                            "CapacityRemaining": 5 << 30}}
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.may_answer.wait(120)
        if self.path.startswith("/webhdfs/v1/?op=GETFILESTATUS"):
            answer = {"FileStatus": {"pathSuffix": "", "type": "DIRECTORY", "permission": "755"}}
        else:
            bean = self.server.beans.get(self.path.rpartition("name=")[2])
            answer = {"beans": [bean] if bean else []}
        body = json.dumps(answer).encode()
        try:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            pass    # who asked has gone

    def log_message(self, *_):
        pass


class StoreHealth(SiteTest):
    def south(self):
        return next(one for one in self.site.json("client")["clusters"] if one["name"] == "south")

    def wait_for(self, health, words):
        deadline = time.monotonic() + 60
        while True:
            seen = self.south()
            text = seen["reason"] + " ".join(store["detail"] for store in seen["stores"] if store["name"] == "hdfs")
            if seen["health"] == health and words in text:
                return
            self.assertLess(time.monotonic(), deadline, f"{seen}, and not {health}: {words}")
            time.sleep(0.2)

    def test_a_secondary_whose_hdfs_is_in_trouble_is_not_healthy_and_the_reason_is_told(self):
        namenode = NameNode()
        self.addCleanup(namenode.server_close)
        self.addCleanup(namenode.shutdown)
        self.addCleanup(namenode.may_answer.set)
        with open(self.site.config, encoding="utf-8") as handle:
            text = handle.read()
        self.assertEqual(text.count("    root: south\n"), 1)
        with open(self.site.config, "w", encoding="utf-8") as handle:
            handle.write(text.replace("    root: south\n", f"    root: south\n    hdfs: {{namenodes: [\"{namenode.url}\"], user: hdfs, patience: 2s}}\n"))
        self.site.up()
        self.wait_for("healthy", "2 DataNodes live, 1 dead, 5120 MiB left")
        good = {name: dict(bean) for name, bean in namenode.beans.items()}
        for bean, key, value, words in (("FSNamesystemState", "FSState", "safeMode", "is in safe mode"),
                                        ("FSNamesystemState", "NumLiveDataNodes", 0, "has no DataNode"),
                                        ("FSNamesystemState", "CapacityRemaining", 0, "is full"),
                                        ("NameNodeStatus", "State", "standby", "no NameNode is active")):
            with self.subTest(words=words):
                namenode.beans[bean] = {**good[bean], key: value}
                self.wait_for("failed", words)
                namenode.beans = {name: dict(one) for name, one in good.items()}
                self.wait_for("healthy", "2 DataNodes live")
        # Pages that are closed to us say nothing of HDFS: WebHDFS does.
        namenode.beans = {"NameNodeStatus": {}}
        self.wait_for("healthy", "WebHDFS answers; NameNodes:")
        namenode.beans = {name: dict(one) for name, one in good.items()}
        self.wait_for("healthy", "2 DataNodes live")
        # One that takes connections and says nothing holds up neither the registrar nor the look at the other cluster.
        namenode.may_answer.clear()
        self.wait_for("failed", "no NameNode is active")
        north = next(one for one in self.site.json("client")["clusters"] if one["name"] == "north")
        self.assertEqual(north["health"], "healthy")
        self.assertEqual([store["good"] for store in north["stores"]], [True])
        namenode.may_answer.set()
        self.wait_for("healthy", "2 DataNodes live")
        self.site.cli("status")


if __name__ == "__main__":
    unittest.main()
