"""One HDFS with two NameNodes, of which either may be the active one: their edits go to a JournalNode, and who is active
is said by hand (`hdfs haadmin`), as an operator would."""
import json
import os
import shutil
import signal
import subprocess
import time
import urllib.request

from hadoop import BESIDE, NAMENODE, Cluster, Failed

JOURNALNODE = "org.apache.hadoop.hdfs.qjournal.server.JournalNode"
ADMIN = "org.apache.hadoop.hdfs.tools.DFSHAAdmin"
NODES = ("nn1", "nn2")


class Pair(Cluster):
    """Stands for the cluster `name` of a site, beside the one of that name that hadoop.py starts."""

    def __init__(self, name):
        super().__init__(name, base=BESIDE["pair"], home="pair")
        self.serving = ("journalnode", *NODES, *self.datanodes)
        self.of_node = {node: (self.rpc + i, self.http + i) for i, node in enumerate(NODES)}
        self.urls = [f"http://127.0.0.1:{http}" for _, http in self.of_node.values()]
        self.more.update({
            "dfs.nameservices": "pair", "dfs.ha.namenodes.pair": ",".join(NODES),
            "dfs.namenode.shared.edits.dir": f"qjournal://127.0.0.1:{self.rpc + 65}/pair",
            "dfs.journalnode.edits.dir": f"{self.home}/data/journal",
            "dfs.journalnode.rpc-address": f"127.0.0.1:{self.rpc + 65}",
            "dfs.journalnode.http-address": f"127.0.0.1:{self.rpc + 66}",
            "dfs.client.failover.proxy.provider.pair":
                "org.apache.hadoop.hdfs.server.namenode.ha.ConfiguredFailoverProxyProvider",
            "dfs.ha.fencing.methods": "shell(/bin/true)", "dfs.ha.tail-edits.period": 1})
        for node, (rpc, http) in self.of_node.items():
            self.more.update({f"dfs.namenode.rpc-address.pair.{node}": f"127.0.0.1:{rpc}",
                              f"dfs.namenode.http-address.pair.{node}": f"127.0.0.1:{http}",
                              f"dfs.namenode.name.dir.pair.{node}": f"file://{self.home}/data/{node}"})

    def write_configuration(self, **more):
        super().write_configuration(**more)
        os.makedirs(os.path.join(self.conf, "webapps/journal"), exist_ok=True)
        core = os.path.join(self.conf, "core-site.xml")
        with open(core, encoding="utf-8") as handle:
            text = handle.read()
        with open(core, "w", encoding="utf-8") as handle:
            handle.write(text.replace(f"hdfs://127.0.0.1:{self.rpc}<", "hdfs://pair<"))

    def make(self, node, *words):
        done = subprocess.run(self.java(self.classpath(), 256, NAMENODE, "-D", f"dfs.ha.namenode.id={node}", *words,
                                        "-nonInteractive"), capture_output=True, text=True, check=False, env=self.environment())
        if done.returncode != 0:
            raise Failed(f"{self.name}: {node} {words}: {done.stderr[-2000:]}")

    def launch_node(self, node):
        self.launch(node, NAMENODE, "-D", f"dfs.ha.namenode.id={node}")

    def begin(self, **more):
        shutil.rmtree(self.home, ignore_errors=True)
        self.write_configuration(**more)
        self.launch("journalnode", JOURNALNODE)
        self.wait_for_port("journalnode", self.rpc + 65, 200)
        self.make("nn1", "-format")
        self.launch_node("nn1")
        self.wait_for("nn1", lambda state: state == "standby")
        self.make("nn2", "-bootstrapStandby")
        self.launch_node("nn2")
        self.launch_datanode("datanode")
        self.wait_for("nn2", lambda state: state == "standby")
        self.admin("-transitionToActive", "nn1")

    def serves(self):
        try:
            return self.live_datanodes(self.active()) == 1
        except (Failed, OSError):
            return False

    def bean(self, node, query):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.of_node[node][1]}/jmx?qry=Hadoop:service=NameNode,name={query}",
                                    timeout=5) as answer:
            return json.load(answer)["beans"][0]

    def state(self, node):
        """active, standby, or nothing where it does not answer."""
        try:
            return self.bean(node, "NameNodeStatus")["State"]
        except (OSError, ValueError, LookupError):
            return None

    def live_datanodes(self, node):
        return self.bean(node, "FSNamesystemState")["NumLiveDataNodes"]

    def wait_for(self, node, good, seconds=200):
        deadline = time.monotonic() + seconds
        while not good(self.state(node)):
            self.check_alive(node, deadline)
            time.sleep(0.1)

    def active(self):
        found = [node for node in NODES if self.state(node) == "active"]
        if len(found) != 1:
            raise Failed(f"{self.name}: active NameNodes: {found}")
        return found[0]

    def active_url(self):
        return f"http://127.0.0.1:{self.of_node[self.active()][1]}"

    # --- what an operator does
    def admin(self, *words):
        done = subprocess.run(self.java(self.classpath(), 128, ADMIN, "-ns", "pair", *words), capture_output=True, text=True,
                              check=False, env=self.environment())
        if done.returncode != 0:
            raise Failed(f"{self.name}: haadmin {words}: {done.stdout}{done.stderr[-2000:]}")

    def fail_over(self):
        """As planned: both stand by for a moment."""
        old = self.active()
        new = NODES[1 - NODES.index(old)]
        self.admin("-transitionToStandby", old)
        self.admin("-transitionToActive", new)

    def kill_the_active(self, meanwhile=lambda: None):
        """The other one takes over when somebody has noticed; `meanwhile` happens while there is none."""
        old = self.active()
        self.end(old, signal.SIGKILL)
        meanwhile()
        time.sleep(2)
        self.admin("-transitionToActive", "--forceactive", NODES[1 - NODES.index(old)])
        return old

    def safe_mode(self, word):
        """Of the active one: enter, leave."""
        done = subprocess.run(self.java(self.classpath(), 128, "org.apache.hadoop.hdfs.tools.DFSAdmin", "-fs",
                                        f"hdfs://127.0.0.1:{self.of_node[self.active()][0]}", "-safemode", word),
                              capture_output=True, text=True, check=False, env=self.environment())
        if done.returncode != 0:
            raise Failed(f"{self.name}: -safemode {word}: {done.stdout}{done.stderr[-2000:]}")
