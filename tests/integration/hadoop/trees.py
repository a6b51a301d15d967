"""Whole directories of HDFS read and filled by Hadoop's own client (Trees.java, kept running): what thousands of entries
need, where a request after the other (hdfs_tree.py) takes minutes. Nothing of Lockstep is used."""
import base64
import os
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))


def packed(data):
    return base64.b64encode(data if isinstance(data, bytes) else data.encode()).decode()


class Trees:
    """Of one cluster. Thread rule: one thread."""

    def __init__(self, cluster):
        self.process = subprocess.Popen(
            cluster.java(cluster.classpath(), 512, os.path.join(HERE, "Trees.java"), f"hdfs://127.0.0.1:{cluster.rpc}", log="ERROR"),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=cluster.environment())

    def put(self, path, data):
        """Beside others; `wait()` waits for all of them."""
        self.process.stdin.write(f"put\t{packed(path)}\t{packed(data)}\n")

    def random(self, path, length):
        self.process.stdin.write(f"random\t{packed(path)}\t{length}\n")

    def mkdir(self, path):
        self.process.stdin.write(f"mkdir\t{packed(path)}\n")

    def answer(self):
        self.process.stdin.flush()
        for line in iter(self.process.stdout.readline, ".\n"):
            if not line:
                raise AssertionError("Trees.java ended; its reason is on the standard error")
            yield line

    def wait(self):
        self.process.stdin.write("wait\n")
        assert not list(self.answer())

    def read(self, path):
        """All that is there: each entry's name below it, and what it is, to be compared with another's."""
        self.process.stdin.write(f"read\t{packed(path)}\n")
        found = (line.rstrip("\n").partition("\t") for line in self.answer())
        return {base64.b64decode(name).decode(): what for name, _, what in found}

    def close(self):
        """Requires that nothing is asked of it any more."""
        try:
            self.process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
        assert self.process.returncode == 0, "Trees.java failed; its reason is on the standard error"
