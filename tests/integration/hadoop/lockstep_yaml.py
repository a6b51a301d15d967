"""How a site reaches the clusters of hadoop.py, written into its lockstep.yaml."""
import json

from hadoop import Failed


def engine_settings(cluster, classpath, chosen):
    settings = {"classpath": classpath, "resourcemanagers": [cluster.yarn_url], "maps": 4, **chosen}
    return {key: value for key, value in settings.items() if value is not None}


def name_clusters(config, clusters, with_hbase=False, distcp=None, exportsnapshot=None):
    """Writes into a site's lockstep.yaml how its clusters reach these of the same names. `distcp`, `exportsnapshot`:
    settings of the engine beside the default ones, or instead of them (None: left out); None: no cluster has it."""
    with open(config, encoding="utf-8") as handle:
        text = handle.read()
    for cluster in clusters:
        root = f"    root: {cluster.name}\n"
        if text.count(root) != 1:
            raise Failed(f"{config} has no line `root: {cluster.name}` to write HDFS behind")
        hdfs = {"namenodes": cluster.urls, "user": "hdfs", **cluster.settings}
        hbase = {"classpath": cluster.hbase_classpath()} if with_hbase else {}
        if distcp is not None or exportsnapshot is not None:
            hdfs["filesystem"] = f"hdfs://127.0.0.1:{cluster.rpc}"
        if distcp is not None:
            hdfs["distcp"] = engine_settings(cluster, cluster.yarn_classpath(), distcp)
        if exportsnapshot is not None:
            hbase["exportsnapshot"] = engine_settings(cluster, cluster.export_classpath(), exportsnapshot)
        added = f"    hdfs: {json.dumps(hdfs)}\n"
        if with_hbase:
            added += f"    hbase: {json.dumps(hbase)}\n"
        text = text.replace(root, root + added)
    with open(config, "w", encoding="utf-8") as handle:
        handle.write(text)
