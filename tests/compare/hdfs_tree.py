"""An independent reader of HDFS (WebHDFS by the standard library): what a directory holds, and its set
root by docs/point-format.md. Nothing of Lockstep is used."""
import hashlib
import http.client
import json
import struct
import urllib.parse

import msgpack
import xxhash

from hdfs_sum import checksum

LEAF = 65536
SAFE = "/-._~"


class Refused(Exception):
    def __init__(self, status, body):
        super().__init__(f"{status} {body[:500]!r}")
        self.status, self.body = status, body


class Hdfs:
    """One NameNode, over a kept connection. Thread rule: one thread."""

    def __init__(self, namenode, user="hdfs"):
        self.namenode, self.user, self.kept = namenode, user, None

    def close(self):
        if self.kept:
            self.kept.close()
        self.kept = None

    def send(self, method, url, body=None, keep=False):
        parts = urllib.parse.urlsplit(url)
        target = urllib.parse.quote(parts.path, safe=SAFE + "%") + "?" + urllib.parse.quote(parts.query, safe=SAFE + "%=&+:")
        for attempt in range(3):
            connection = self.kept if keep and self.kept else http.client.HTTPConnection(parts.hostname, parts.port,
                                                                                         timeout=60)
            try:
                connection.request(method, target, body=body)
                answer = connection.getresponse()
                data = answer.read()
                break
            except (OSError, http.client.HTTPException):  # a kept connection that the server closed
                connection.close()
                self.kept = None
                if attempt == 2:
                    raise
        if keep:
            self.kept = connection
        else:
            connection.close()
        if answer.status not in (200, 201):
            raise Refused(answer.status, data)
        return data

    def call(self, method, path, operation, **query):
        query = urllib.parse.urlencode({"op": operation, "user.name": self.user,
                                        **{key.replace("__", "."): value for key, value in query.items()}},
                                       quote_via=urllib.parse.quote)
        return self.send(method, f"{self.namenode}/webhdfs/v1{urllib.parse.quote(path, safe=SAFE)}?{query}", keep=True)

    def json(self, *words, **query):
        return json.loads(self.call(*words, **query))

    # --- writing, as an application would
    def put(self, path, data, **query):
        location = self.json("PUT", path, "CREATE", overwrite="true", noredirect="true", **query)["Location"]
        self.send("PUT", location, data)

    def append(self, path, data):
        self.send("POST", self.json("POST", path, "APPEND", noredirect="true")["Location"], data)

    def truncate(self, path, length):
        self.call("POST", path, "TRUNCATE", newlength=length)

    def mkdir(self, path):
        self.call("PUT", path, "MKDIRS")

    def remove(self, path):
        self.call("DELETE", path, "DELETE", recursive="true")

    def remove_with_snapshots(self, path, *snapshottable):
        """A directory; `snapshottable`: those in it of which there may be snapshots, which would hold it."""
        for one in snapshottable:
            for name in self.snapshots(one):
                self.call("DELETE", one, "DELETESNAPSHOT", snapshotname=name)
        self.remove(path)

    def rename(self, path, to):
        assert self.json("PUT", path, "RENAME", destination=to)["boolean"], (path, to)

    def snapshots(self, path):
        try:
            return sorted(status["pathSuffix"] for status in self.list(path + "/.snapshot"))
        except Refused as refused:
            if refused.status == 404 or b"not a snapshottable directory" in refused.body:
                return []
            raise

    # --- reading
    def status(self, path):
        return self.json("GET", path, "GETFILESTATUS")["FileStatus"]

    def list(self, path):
        return self.json("GET", path, "LISTSTATUS")["FileStatuses"]["FileStatus"]

    def read(self, path, length):
        if length == 0:
            return b""
        data = self.send("GET", self.json("GET", path, "OPEN", noredirect="true")["Location"])
        assert len(data) == length, (path, len(data), length)
        return data

    def xattrs(self, path):
        return [(x["name"].encode(), bytes.fromhex(x["value"][2:]) if x["value"] else b"")
                for x in self.json("GET", path, "GETXATTRS", encoding="hex")["XAttrs"]]

    def attributes(self, path, status, xattrs):
        """What Lockstep carries beyond the mode, as it says in docs/components/hdfs.md."""
        out = [(name, value) for name, value in xattrs if not name.startswith((b"user.lockstep.", b"trusted.lockstep."))]
        if status.get("aclBit"):
            acl = self.json("GET", path, "GETACLSTATUS")["AclStatus"]["entries"]
            out.append((b"hdfs.acl", ",".join(acl).encode()))
        out += [(b"hdfs.owner", status["owner"].encode()), (b"hdfs.group", status["group"].encode())]
        if status["type"] == "FILE":
            out += [(b"hdfs.block_size", b"%d" % status["blockSize"]),
                    (b"hdfs.replication", b"%d" % status["replication"])]
        return sorted(out)


class HdfsTree:
    """Entry digests of a directory of HDFS; `found` is what there is, for comparing."""

    def __init__(self, hdfs, root, sums=()):
        """`sums`: the checksums by which the manifest knows some files' content, by path; made again from the content."""
        self.hdfs, self.root, self.sums = hdfs, root, dict(sums)
        self.entries, self.bytes, self.found = 0, 0, {}

    @staticmethod
    def attributes_of_foreign(foreign, same_owner, native):
        """Of what was kept, but where HDFS itself says something newer."""
        if foreign["k"] == 4:
            return []
        kept = dict(tuple(pair) for pair in foreign.get("x", []))
        kept.pop(b"hdfs.acl", None)
        newer = {name for name in native if not name.startswith(b"hdfs.")} | {b"hdfs.acl"}
        newer |= {b"hdfs.replication", b"hdfs.block_size"} & set(kept)
        if not same_owner:
            newer |= {b"hdfs.owner", b"hdfs.group"}
        return sorted({**kept, **{name: native[name] for name in newer if name in native}}.items())

    def digest(self, relative=""):
        path = self.root + ("/" + relative if relative else "")
        status = self.hdfs.status(path)
        self.entries += 1
        xattrs = self.hdfs.xattrs(path)
        foreign = dict(xattrs).get(b"trusted.lockstep.entry")
        foreign, *owner = msgpack.unpackb(foreign) if foreign else ({}, b"", b"")
        attributes = self.hdfs.attributes(path, status, xattrs)
        mode = int(status["permission"], 8)
        if foreign:    # what stands there for an entry of another kind of store
            same_owner = [status["owner"].encode(), status["group"].encode()] == owner
            attributes = self.attributes_of_foreign(foreign, same_owner, dict(attributes))
            mode = foreign.get("m", 0)
        if status["type"] == "DIRECTORY":
            kind, size, mtime = 1, 0, 0
            children = sorted(child["pathSuffix"].encode() for child in self.hdfs.list(path))
            tail = b"".join(struct.pack("<I", len(name)) + name
                            + self.digest((relative + "/" if relative else "") + name.decode()) for name in children)
            tail += struct.pack("<Q", len(children))
            content = None
        else:
            kind, size, mtime = 2, status["length"], status["modificationTime"] * 1_000_000
            content = self.hdfs.read(path, size)
            self.bytes += size
            if relative in self.sums:
                inner = hashlib.sha256(b"lockstep.content.sum.1\0" + struct.pack("<Q", size))
                inner.update(checksum(content, self.sums[relative]).encode())
            else:
                inner = hashlib.sha256(b"lockstep.content.1\0" + struct.pack("<Q", size))
                for at in range(0, size, LEAF):
                    inner.update(xxhash.xxh3_128_digest(content[at:at + LEAF]))
            tail = inner.digest()
        if foreign:
            mtime = foreign.get("t", 0)
            if foreign["k"] not in (1, 2):
                kind, size, tail, content = foreign["k"], 0, b"", None
        link = foreign.get("l", b"")
        self.found[relative] = (kind, mode, mtime, size, attributes,
                                None if content is None else hashlib.sha256(content).hexdigest())
        out = b"lockstep.entry.1\0" + struct.pack("<BIIIqQQ", kind, mode, foreign.get("u", 0), foreign.get("g", 0), mtime, size,
                                                   foreign.get("d", 0))
        out += struct.pack("<I", len(link)) + link + struct.pack("<I", len(attributes))
        out += b"".join(struct.pack("<I", len(part)) + part for pair in attributes for part in pair)
        return hashlib.sha256(out + tail).digest()


def shown(hdfs, root):
    """Everything that the directory holds, to be compared with another."""
    tree = HdfsTree(hdfs, root)
    tree.digest()
    return tree.found
