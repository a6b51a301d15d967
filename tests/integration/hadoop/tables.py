"""A client of HBase that knows nothing of Lockstep, for tests: Tables.java, kept running."""
import os
import subprocess
import threading

HERE = os.path.dirname(os.path.abspath(__file__))


class Tables:
    """Thread rule: any thread; one question after the other."""

    def __init__(self, cluster):
        self.process = subprocess.Popen(
            cluster.java(cluster.hbase_classpath(), 256, os.path.join(HERE, "hbase/Tables.java"), log="ERROR"),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "HADOOP_USER_NAME": "hbase"},
            stderr=subprocess.DEVNULL)
        self.lock = threading.Lock()

    def ask(self, *words):
        with self.lock:
            self.process.stdin.write(" ".join(map(str, words)) + "\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline().rstrip("\n")
        kind, _, text = answer.partition(" ")
        if kind != "ok":
            raise AssertionError(f"{words}: {answer}")
        return text

    def close(self):
        self.process.communicate(timeout=60)
