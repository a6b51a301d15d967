"""What an administrator of the tests' clusters would have written: Hadoop's configuration files, for the cluster whose
ports and directories `hadoop.Cluster` has."""
import os
import shutil

# What Hadoop reaches for by reflection and Java 17 keeps closed.
OPENS = [f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in
         ("java.lang", "java.lang.reflect", "java.nio", "java.io", "java.net", "java.util", "java.util.concurrent",
          "sun.nio.ch")] + ["--add-opens=java.base/jdk.internal.ref=ALL-UNNAMED",
                            "--add-exports=java.base/jdk.internal.misc=ALL-UNNAMED",
                            "--add-exports=java.security.jgss/sun.security.krb5=ALL-UNNAMED"]
LOG4J = """log4j.rootLogger=${lockstep.log},console
log4j.logger.http.requests=WARN
log4j.appender.console=org.apache.log4j.ConsoleAppender
log4j.appender.console.target=System.err
log4j.appender.console.layout=org.apache.log4j.PatternLayout
log4j.appender.console.layout.ConversionPattern=%d{ISO8601} %p %c{2}: %m%n
"""


def write(cluster, **more):
    for path in ("webapps/hdfs", "webapps/datanode", "webapps/static"):
        os.makedirs(os.path.join(cluster.conf, path), exist_ok=True)
    for path in ("log", "pid", "data", "tmp"):
        os.makedirs(os.path.join(cluster.home, path), exist_ok=True)
    core = {"fs.defaultFS": f"hdfs://127.0.0.1:{cluster.rpc}", "hadoop.tmp.dir": f"{cluster.home}/data/tmp",
            "hadoop.http.staticuser.user": "hdfs"}
    hdfs = {"dfs.replication": 1, "dfs.namenode.name.dir": f"file://{cluster.home}/data/nn",
            "dfs.namenode.http-address": f"127.0.0.1:{cluster.http}",
            "dfs.namenode.snapshot.capture.openfiles": "true", "dfs.namenode.safemode.extension": 0,
            "dfs.heartbeat.interval": 1, "dfs.blockreport.initialDelay": 0,
            "dfs.namenode.fs-limits.min-block-size": 4096,
            "dfs.namenode.datanode.registration.ip-hostname-check": "false",
            # The default of 400 ms is what closing a file costs beyond its writing on a busy cluster.
            "dfs.client.block.write.locateFollowingBlock.initial.delay.ms": int(os.environ.get("LOCKSTEP_HADOOP_CLOSE_DELAY_MS", "4")),
            # It doubles each time: of 4 ms, five tries (the default) are over after an eighth of a second, and the file fails.
            "dfs.client.block.write.locateFollowingBlock.retries": 10,
            "dfs.datanode.hostname": "127.0.0.1", "dfs.datanode.directoryscan.interval": -1,
            "dfs.datanode.scan.period.hours": -1, "dfs.permissions.superusergroup": "supergroup"}
    hdfs.update(cluster.more)
    hdfs.update(more)
    hbase = {"hbase.rootdir": f"hdfs://127.0.0.1:{cluster.rpc}/hbase", "hbase.cluster.distributed": "true",
             "hbase.zookeeper.quorum": "127.0.0.1", "hbase.zookeeper.property.dataDir": f"{cluster.home}/data/zookeeper",
             "hbase.zookeeper.property.clientPortAddress": "127.0.0.1", "hbase.tmp.dir": f"{cluster.home}/data/hbase",
             "hbase.master.wait.on.regionservers.mintostart": 1, "hbase.master.wait.on.regionservers.interval": 200,
             "hbase.master.wait.on.regionservers.timeout": 1000, "hbase.regionserver.handler.count": 8,
             "hbase.wal.provider": "filesystem", "zookeeper.session.timeout": 90000,
             # Of several tables one snapshot after the other is HBase's default.
             "hbase.snapshot.master.threads": 4}
    for key in ("hbase.master", "hbase.regionserver"):
        hbase.update({key + ".hostname": "127.0.0.1", key + ".ipc.address": "127.0.0.1",
                      key + ".info.bindAddress": "127.0.0.1"})
    hbase.update(cluster.hbase)
    for name, properties in (("core-site.xml", core), ("hdfs-site.xml", hdfs), ("hbase-site.xml", hbase)):
        write_site(os.path.join(cluster.conf, name), properties)
    write_whole(os.path.join(cluster.conf, "log4j.properties"), LOG4J)


def write_site(path, properties):
    written = "".join(f"<property><name>{key}</name><value>{value}</value></property>\n" for key, value in properties.items())
    write_whole(path, f"<configuration>\n{written}</configuration>\n")


def write_whole(path, text):
    """Whoever starts meanwhile reads the one or the other."""
    with open(path + ".part", "w", encoding="utf-8") as handle:
        handle.write(text)
    os.rename(path + ".part", path)


def write_for_yarn(cluster):
    """Into a directory of its own, with HDFS's and HBase's: who is configured by those alone runs jobs himself."""
    os.makedirs(cluster.yarn_conf, exist_ok=True)
    for name in ("core-site.xml", "hdfs-site.xml", "hbase-site.xml"):
        shutil.copy(os.path.join(cluster.conf, name), cluster.yarn_conf)
    with open(os.path.join(cluster.yarn_conf, "log4j.properties"), "w", encoding="utf-8") as handle:
        handle.write("lockstep.log=INFO\n" + LOG4J)  # of clients that hadoop.py does not start
    jvm = " ".join(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xss512k", "-Djava.net.preferIPv4Stack=true",
                    *OPENS])
    mapred = {"mapreduce.framework.name": "yarn", "mapreduce.job.ubertask.enable": "false",
              "mapreduce.shuffle.port": cluster.shuffle,
              "mapreduce.application.classpath": cluster.yarn_classpath(),
              "yarn.app.mapreduce.am.resource.mb": 512, "yarn.app.mapreduce.am.command-opts": "-Xmx256m " + jvm,
              "mapreduce.map.memory.mb": 384, "mapreduce.map.java.opts": "-Xmx256m " + jvm,
              # What a job waits for beyond its work: 1 s each by default, and 5 s.
              "yarn.app.mapreduce.am.scheduler.heartbeat.interval-ms": 100,
              "mapreduce.client.progressmonitor.pollinterval": 200, "mapreduce.client.completion.pollinterval": 200}
    yarn = {"yarn.resourcemanager.hostname": "127.0.0.1", "yarn.nodemanager.hostname": "127.0.0.1",
            "yarn.application.classpath": cluster.yarn_classpath().replace(":", ","),
            "yarn.nodemanager.env-whitelist": "JAVA_HOME,PATH",
            "yarn.nodemanager.aux-services": "mapreduce_shuffle",
            "yarn.nodemanager.resource.memory-mb": 4096, "yarn.nodemanager.resource.cpu-vcores": 8,
            "yarn.scheduler.minimum-allocation-mb": 128,
            "yarn.nodemanager.vmem-check-enabled": "false", "yarn.nodemanager.pmem-check-enabled": "false",
            "yarn.nodemanager.local-dirs": cluster.containers, "yarn.nodemanager.log-dirs": f"{cluster.home}/log/yarn",
            # As HDFS goes on when the machine's disk is nearly full, so does YARN.
            "yarn.nodemanager.disk-health-checker.enable": "false",
            "yarn.resourcemanager.nodemanagers.heartbeat-interval-ms": 100,
            "yarn.nodemanager.heartbeat.interval-ms": 100,
            # max-wait by retry-interval is how often it is tried; each may last what the RPC below it tries, 10 s.
            "yarn.resourcemanager.connect.retry-interval.ms": 500, "yarn.resourcemanager.connect.max-wait.ms": 5000,
            # A node, or a job's master, that is silent is lost: 10 min by default.
            "yarn.nm.liveness-monitor.expiry-interval-ms": 30000,
            "yarn.am.liveness-monitor.expiry-interval-ms": 30000,
            # By default below /tmp, where each of a machine's ResourceManagers would find the others'.
            "yarn.node-attribute.fs-store.root-dir": f"file://{cluster.home}/data/node-attribute"}
    yarn.update({key: f"127.0.0.1:{port}" for key, port in (cluster.resourcemanager | cluster.nodemanager).items()})
    scheduler = {"yarn.scheduler.capacity.root.queues": "default",
                 "yarn.scheduler.capacity.root.default.capacity": 100,
                 "yarn.scheduler.capacity.maximum-am-resource-percent": 0.5,
                 "yarn.scheduler.capacity.node-locality-delay": -1}
    for name, properties in (("mapred-site.xml", mapred), ("yarn-site.xml", yarn),
                             ("capacity-scheduler.xml", scheduler)):
        write_site(os.path.join(cluster.yarn_conf, name), properties)
