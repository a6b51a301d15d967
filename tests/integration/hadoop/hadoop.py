#!/usr/bin/python3
"""Two real Hadoop clusters on this machine (north and south), for tests: HDFS with a NameNode and a
DataNode (south: two) each and, where asked for, HBase on it with a ZooKeeper, a master and a region server each, and YARN
with a ResourceManager and a NodeManager each.

    hadoop.py fetch              Maven copies the pinned jars into the cache
    hadoop.py start [CLUSTER]    fetches where needed, formats where new, starts HDFS, waits until it serves
    hadoop.py hbase [CLUSTER]    starts HBase on the HDFS that is up, waits until it serves
    hadoop.py yarn [CLUSTER]     starts YARN for the HDFS that is up, waits until it serves
    hadoop.py status             a line for each process
    hadoop.py stop [CLUSTER]     ends the recorded processes and those of YARN's jobs, and no others
    hadoop.py wipe [CLUSTER]     stops it and removes its data
    hadoop.py ports [COUNT]      the first value(s) of LOCKSTEP_HADOOP_PORTS of which all ports are free
    hadoop.py env                what the tests want to be told, for a shell's eval
    hadoop.py hdfs CLUSTER ...   Hadoop's own `hdfs dfs` against that cluster

LOCKSTEP_HADOOP_HOME: where the clusters' data lie (default: $TMPDIR/lockstep-hadoop-UID);
LOCKSTEP_HADOOP_CACHE: where the jars lie (default: ~/.cache/lockstep/hadoop); LOCKSTEP_HADOOP_PORTS:
added to every port, so that several pairs of clusters can run side by side."""
import hashlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

import configuration
from configuration import OPENS

HERE = os.path.dirname(os.path.abspath(__file__))
HOME = os.environ.get("LOCKSTEP_HADOOP_HOME", os.path.join(tempfile.gettempdir(), f"lockstep-hadoop-{os.getuid()}"))
CACHE = os.environ.get("LOCKSTEP_HADOOP_CACHE", os.path.expanduser("~/.cache/lockstep/hadoop"))
OFFSET = int(os.environ.get("LOCKSTEP_HADOOP_PORTS", "0"))
BASE = {"north": 28000, "south": 29000}
BESIDE = {"tls": 25000, "secured": 26000, "pair": 27000}    # of tests that start a further cluster
PORTS = range(20, 90)   # from its base, of every cluster
NAMENODE = "org.apache.hadoop.hdfs.server.namenode.NameNode"
DATANODE = "org.apache.hadoop.hdfs.server.datanode.DataNode"
HBASE = "org.apache.hadoop.hbase."
YARN = "org.apache.hadoop.yarn.server."


class Failed(Exception):
    pass


def jars(pom="pom.xml"):
    """The directory of the jars, fetched where this pom's are not there yet."""
    with open(os.path.join(HERE, pom), "rb") as handle:
        wanted = os.path.join(CACHE, hashlib.sha256(handle.read()).hexdigest()[:12])
    if os.path.isdir(wanted):
        return wanted
    os.makedirs(CACHE, exist_ok=True)
    part = tempfile.mkdtemp(prefix=".part-", dir=CACHE)
    command = ["mvn", "-B", "-q", "-f", os.path.join(HERE, pom), "dependency:copy-dependencies",
               "-DincludeScope=runtime", "-DoutputDirectory=" + part]
    for attempt in range(3):  # a repository may be out of reach for a moment
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            break
        time.sleep(2 * attempt)
    else:
        shutil.rmtree(part)
        raise Failed(f"Maven could not fetch what {pom} names: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    try:
        os.rename(part, wanted)
    except OSError:  # somebody else fetched it meanwhile
        shutil.rmtree(part)
    return wanted


class Cluster:
    DATANODES = {"north": ("datanode",), "south": ("datanode", "datanode2")}

    def __init__(self, name, base=None, home=None):
        self.name = name
        base = (base or BASE[name]) + OFFSET
        self.rpc, self.http = base + 20, base + 70
        self.datanodes = self.DATANODES[name] if home is None else ("datanode",)
        self.serving = ("namenode", *self.datanodes)    # whom HDFS needs
        self.datanode_ports = {one: {"dfs.datanode.address": first + 6, "dfs.datanode.http.address": first + 4,
                                     "dfs.datanode.ipc.address": first + 7}
                               for one, first in zip(self.datanodes, (base + 60, base + 50))}
        self.zookeeper = base + 81
        self.hbase = {"hbase.zookeeper.property.clientPort": self.zookeeper, "hbase.master.port": base + 60,
                      "hbase.master.info.port": base + 61, "hbase.regionserver.port": base + 62,
                      "hbase.regionserver.info.port": base + 63}
        self.resourcemanager = {"yarn.resourcemanager.scheduler.address": base + 30,
                                "yarn.resourcemanager.resource-tracker.address": base + 31,
                                "yarn.resourcemanager.address": base + 32,
                                "yarn.resourcemanager.admin.address": base + 33,
                                "yarn.resourcemanager.webapp.address": base + 88}
        self.nodemanager = {"yarn.nodemanager.address": base + 40, "yarn.nodemanager.localizer.address": base + 41,
                            "yarn.nodemanager.webapp.address": base + 42}
        self.shuffle = base + 43
        self.yarn_url = f"http://127.0.0.1:{base + 88}"
        self.home = os.path.join(HOME, home or name)
        self.conf = os.path.join(self.home, "conf")
        self.yarn_conf = os.path.join(self.home, "conf-yarn")  # what a client of YARN, of HDFS and of HBase is configured by
        self.containers = os.path.join(self.home, "data/yarn")  # where YARN's jobs run
        self.url = f"http://127.0.0.1:{self.http}"
        self.urls = [self.url]  # of all its NameNodes
        self.settings = {}  # more of `hdfs:` in lockstep.yaml
        # South's web servers want proof against CSRF of every client that says what it is, North's do not.
        self.more = {} if name == "north" else {"dfs.webhdfs.rest-csrf.enabled": "true",
                                                "dfs.webhdfs.rest-csrf.browser-useragents-regex": ".*"}

    # --- processes: a recorded pid is ours while its start time is the recorded one
    def pid_file(self, name):
        return os.path.join(self.home, "pid", name)

    @staticmethod
    def started_at(pid):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8") as handle:
                fields = handle.read().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return None if fields[0] == "Z" else fields[19]

    def pid(self, name):
        """The process's id, or None where it does not run."""
        try:
            with open(self.pid_file(name), encoding="utf-8") as handle:
                pid, started = handle.read().split()
        except (FileNotFoundError, ValueError):
            return None
        return int(pid) if self.started_at(int(pid)) == started else None

    def java(self, classpath, heap, *words, log="WARN"):
        java = os.path.join(os.environ["JAVA_HOME"], "bin/java") if "JAVA_HOME" in os.environ else "java"
        return [java, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xss512k", "-Djava.net.preferIPv4Stack=true",
                f"-Xmx{heap}m", *OPENS, f"-Djava.io.tmpdir={self.home}/tmp", f"-Dlockstep.log={log}", "-cp", classpath,
                *words]

    def classpath(self):
        return f"{self.conf}:{jars()}/*"

    def hbase_classpath(self):
        """HBase comes with the Hadoop client that it was built with."""
        return f"{self.conf}:{jars('hbase/pom.xml')}/*"

    def yarn_classpath(self):
        """Of YARN and its clients, DistCp among them."""
        return f"{self.yarn_conf}:{jars('yarn/pom.xml')}/*"

    def export_classpath(self):
        """Of ExportSnapshot: HBase's jars have a client of YARN, which is older than it."""
        return f"{self.yarn_conf}:{jars('hbase/pom.xml')}/*"

    def launch(self, name, *words, classpath=None, environment=None):
        if self.pid(name) is not None:
            return
        with open(os.path.join(self.home, "log", name + ".log"), "ab") as log:
            process = subprocess.Popen(self.java(classpath or self.classpath(), 256, *words, log="INFO"),
                                       stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                                       start_new_session=True, env=environment or self.environment())
        with open(self.pid_file(name), "w", encoding="utf-8") as handle:
            handle.write(f"{process.pid} {self.started_at(process.pid)}")

    def write_configuration(self, **more):
        configuration.write(self, **more)

    def environment(self):
        return {**os.environ, "HADOOP_USER_NAME": "hdfs"}

    def serves(self):
        try:
            with urllib.request.urlopen(self.url + "/jmx?qry=Hadoop:service=NameNode,name=FSNamesystemState",
                                        timeout=5) as answer:
                state = json.load(answer)["beans"][0]
        except (OSError, ValueError, LookupError, http.client.HTTPException):
            return False
        return state["NumLiveDataNodes"] == len(self.datanodes) and state["FSState"] == "Operational"

    def tail(self, name):
        try:
            with open(os.path.join(self.home, "log", name + ".log"), encoding="utf-8", errors="replace") as handle:
                return "".join(handle.readlines()[-15:])
        except FileNotFoundError:
            return ""

    def begin(self, **more):
        """Starts what does not run; wait() waits for it."""
        self.write_configuration(**more)
        if not os.path.isdir(os.path.join(self.home, "data/nn/current")):
            done = subprocess.run(self.java(self.classpath(), 256, NAMENODE, "-format", "-nonInteractive"),
                                  capture_output=True, text=True, check=False, env=self.environment())
            if done.returncode != 0:
                raise Failed(f"{self.name}: the NameNode could not be formatted:\n{done.stderr[-2000:]}")
        self.launch_hdfs()

    def launch_hdfs(self):
        self.launch("namenode", NAMENODE)
        for name in self.datanodes:
            self.launch_datanode(name)

    def launch_datanode(self, name):
        own = {"dfs.datanode.data.dir": f"file://{self.home}/data/{name}",
               **{key: f"127.0.0.1:{port}" for key, port in self.datanode_ports[name].items()}}
        self.launch(name, DATANODE, *(word for key, value in own.items() for word in ("-D", f"{key}={value}")))

    def datanodes_with_clients(self):
        """Those whose web server somebody has a connection to: through which files are being written or read."""
        with open("/proc/net/tcp", encoding="ascii") as handle:
            found = [line.split()[1:4] for line in handle.readlines()[1:]]
        ports = {int(local.rpartition(":")[2], 16) for local, _, state in found if state == "01"}    # established (proc(5))
        return [name for name in self.datanodes if self.datanode_ports[name]["dfs.datanode.http.address"] in ports]

    def wait(self, seconds=400):
        deadline = time.monotonic() + seconds
        while not self.serves():
            for name in self.serving:
                self.check_alive(name, deadline)
            time.sleep(0.1)
        return self

    def start(self, **more):
        self.begin(**more)
        return self.wait()

    def make_directory(self, path, *change):
        """`change`: what `hdfs dfs` does to it then."""
        for words in (("-mkdir", "-p", path), change):
            done = self.hdfs(*words, capture_output=True, text=True)
            if done.returncode:
                raise Failed(f"{self.name}: {path} could not be made: {done.stderr}")

    # --- HBase, on the HDFS that is up
    def begin_hbase(self):
        """Starts what does not run; wait_hbase() waits for it."""
        self.make_directory("/hbase", "-chown", "hbase", "/hbase")
        self.launch_hbase()

    def launch_hbase(self):
        options = {"classpath": self.hbase_classpath(), "environment": {**os.environ, "HADOOP_USER_NAME": "hbase"}}
        self.launch("zookeeper", "-Dzookeeper.admin.enableServer=false", HBASE + "zookeeper.HQuorumPeer", **options)
        self.wait_for_port("zookeeper", self.zookeeper, 200)
        self.launch("master", HBASE + "master.HMaster", "start", **options)
        self.launch("regionserver", HBASE + "regionserver.HRegionServer", "start", **options)

    def wait_for_port(self, name, port, seconds):
        deadline = time.monotonic() + seconds
        while True:
            try:
                return socket.create_connection(("127.0.0.1", port), timeout=5).close()
            except OSError:
                self.check_alive(name, deadline)
                time.sleep(0.1)

    def check_alive(self, name, deadline):
        if self.pid(name) is None:
            raise Failed(f"{self.name}: the {name} died:\n{self.tail(name)}")
        if time.monotonic() > deadline:
            raise Failed(f"{self.name}: the {name} did not come up:\n{self.tail(name)}")

    def serves_hbase(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.hbase['hbase.master.info.port']}"
                                        "/jmx?qry=Hadoop:service=HBase,name=Master,sub=Server", timeout=5) as answer:
                state = json.load(answer)["beans"][0]
        except (OSError, ValueError, LookupError, http.client.HTTPException):
            return False
        return (state.get("tag.isActiveMaster") == "true" and state.get("numRegionServers") == 1
                and state.get("masterFinishedInitializationTime", 0) > 0)

    def wait_hbase(self, seconds=400):
        deadline = time.monotonic() + seconds
        while not self.serves_hbase():
            for name in ("zookeeper", "master", "regionserver"):
                self.check_alive(name, deadline)
            time.sleep(0.1)
        return self

    # --- YARN, for the HDFS that is up
    def begin_yarn(self):
        """Starts what does not run; wait_yarn() waits for it."""
        configuration.write_for_yarn(self)
        staging = "/tmp/hadoop-yarn/staging"  # each user's jobs make one below it
        self.make_directory(staging, "-chmod", "1777", "/tmp", os.path.dirname(staging), staging)
        java = shutil.which(self.java("", 0)[0])
        if java is None:
            raise Failed("no java was found")
        # A job's processes take their Java from there.
        home = os.path.dirname(os.path.dirname(os.path.realpath(java)))
        options = {"classpath": self.yarn_classpath(), "environment": {**self.environment(), "JAVA_HOME": home}}
        self.launch("resourcemanager", YARN + "resourcemanager.ResourceManager", **options)
        self.launch("nodemanager", YARN + "nodemanager.NodeManager", **options)

    def serves_yarn(self):
        try:
            with urllib.request.urlopen(self.yarn_url + "/ws/v1/cluster/metrics", timeout=5) as answer:
                return json.load(answer)["clusterMetrics"]["activeNodes"] == 1
        except (OSError, ValueError, LookupError, http.client.HTTPException):
            return False

    def wait_yarn(self, seconds=400):
        deadline = time.monotonic() + seconds
        while not self.serves_yarn():
            for name in ("resourcemanager", "nodemanager"):
                self.check_alive(name, deadline)
            time.sleep(0.1)
        return self

    def end_containers(self):
        """Ends what a NodeManager that was killed left running: the processes that run in its directories."""
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.readlink(f"/proc/{pid}/cwd").startswith(self.containers + "/"):
                    os.kill(int(pid), signal.SIGKILL)
            except (FileNotFoundError, PermissionError, ProcessLookupError):
                pass

    def end(self, name, how=signal.SIGTERM, seconds=20):
        pid = self.pid(name)
        if pid is not None:
            os.kill(pid, how)
            deadline = time.monotonic() + seconds
            while self.pid(name) is not None:
                if time.monotonic() > deadline:
                    os.kill(pid, signal.SIGKILL)
                    deadline += 60
                try:
                    os.waitpid(pid, os.WNOHANG)  # where this very process started it
                except ChildProcessError:
                    pass
                time.sleep(0.05)
        if os.path.exists(self.pid_file(name)):
            os.unlink(self.pid_file(name))

    def processes(self):
        return (*self.serving, "resourcemanager", "nodemanager", "zookeeper", "master", "regionserver")

    def stop(self):
        for name in reversed(self.processes()):
            self.end(name)
            if name == "nodemanager":
                self.end_containers()

    def wipe(self):
        self.stop()
        shutil.rmtree(self.home, ignore_errors=True)

    def status(self):
        return [f"{self.name} {name}: " + (f"runs as {self.pid(name)}" if self.pid(name) else "does not run")
                for name in self.processes()]

    def hdfs(self, *words, **options):
        """Hadoop's own shell: an independent reader and writer."""
        return subprocess.run(self.java(self.classpath(), 256, "org.apache.hadoop.fs.FsShell", *words),
                              env=self.environment(), check=False, **options)


def is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_offsets(count):
    found = [offset for offset in range(0, 1000, 100)
             if all(is_free(base + offset + port) for base in (*BASE.values(), *BESIDE.values()) for port in PORTS)]
    if len(found) < count:
        raise Failed("no free ports for the clusters were found")
    return found[:count]


# What can be started, and what is told of it.
PARTS = {"start": "{0.url}, hdfs://127.0.0.1:{0.rpc}", "hbase": "HBase, ZooKeeper at 127.0.0.1:{0.zookeeper}",
         "yarn": "YARN, {0.yarn_url}"}


def bring_up(clusters, part):
    """All of them at once."""
    ending = "" if part == "start" else "_" + part
    for act in ("begin", "wait"):
        for cluster in clusters:
            getattr(cluster, act + ending)()


def main(words):
    command, names = (words[0] if words else ""), words[1:2] or list(BASE)
    if command == "ports":
        count, names = int((words[1:2] or ["1"])[0]), list(BASE)
    known = ("fetch", *PARTS, "status", "stop", "wipe", "ports", "env", "hdfs")
    if command not in known or any(name not in BASE for name in names):
        print(__doc__, file=sys.stderr)
        return 2
    clusters = [Cluster(name) for name in names]
    try:
        if command == "fetch":
            print(jars(), jars("hbase/pom.xml"), jars("yarn/pom.xml"), sep="\n")
        elif command in PARTS:
            began = time.monotonic()
            bring_up(clusters, command)
            for cluster in clusters:
                print(f"{cluster.name}: {PARTS[command].format(cluster)}")
            print(f"up in {time.monotonic() - began:.1f} s")
        elif command == "ports":
            print(*free_offsets(count))
        elif command == "env":
            for cluster in clusters:
                print(f"export LOCKSTEP_HDFS_{cluster.name.upper()}={cluster.url}")
                print(f"export LOCKSTEP_HBASE_{cluster.name.upper()}='{cluster.hbase_classpath()}'")
                print(f"export LOCKSTEP_YARN_{cluster.name.upper()}={cluster.yarn_url}")
                print(f"export LOCKSTEP_DISTCP_{cluster.name.upper()}='{cluster.yarn_classpath()}'")
                print(f"export LOCKSTEP_EXPORTSNAPSHOT_{cluster.name.upper()}='{cluster.export_classpath()}'")
        elif command == "hdfs":
            return clusters[0].hdfs(*words[2:]).returncode
        else:
            for cluster in clusters:
                print("\n".join(getattr(cluster, command)() or [f"{cluster.name}: {command} done"]))
    except Failed as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
