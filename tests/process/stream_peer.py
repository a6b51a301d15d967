"""A transfer-agent's half of the stream (docs/stream.md), by which a test says whatever it wants: honest
frames, and those that no honest peer sends."""
import ctypes
import struct
import time

import msgpack
import xxhash
import zmq

import harness  # noqa: F401  where the protocol's client is
import client as protocol  # pylint: disable=wrong-import-order

DIRECTORY, REGULAR, SYMLINK, HARD_LINK = 1, 2, 3, 4
CREATE = 1


def counted(data):
    return struct.pack("<I", len(data)) + data


def entry(kind, path, size=0, link=b"", mode=0o755):
    """Record 1: an entry that is created."""
    return bytes([1, CREATE]) + struct.pack("<BIIIqQQ", kind, 0 if kind in (SYMLINK, HARD_LINK) else mode, 0, 0, 0, size, 0) \
        + counted(path) + counted(link) + struct.pack("<II", 0, 0)


def data(offset, content):
    return b"\x02" + struct.pack("<QI", offset, len(content)) + content


def close(digest=bytes(32)):
    return b"\x04" + digest


ROOT = entry(DIRECTORY, b"")


def zstd(raw):
    library = ctypes.CDLL("libzstd.so.1")
    library.ZSTD_compressBound.restype = library.ZSTD_compress.restype = ctypes.c_size_t
    out = ctypes.create_string_buffer(library.ZSTD_compressBound(ctypes.c_size_t(len(raw))))
    size = library.ZSTD_compress(out, ctypes.c_size_t(len(out)), raw, ctypes.c_size_t(len(raw)), 1)
    return out.raw[:size]


class Peer:
    """One connection as the party `me` to the bulk socket of the transfer-agent `to`."""

    def __init__(self, config, me, to, run=None):
        self.client = protocol.Client(config, me)
        self.socket = self.client.socket(zmq.DEALER, to, "bulk")
        self.socket.setsockopt(zmq.SNDHWM, 0)
        self.run, self.sequence, self.chain = run or protocol.uuid7(), 0, bytes(16)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.context.destroy(linger=0)

    def say(self, type_, **keys):
        self.socket.send(msgpack.packb({"t": type_, **keys}, use_bin_type=True))

    def hear(self, *types, seconds=20):
        """The next control frame of one of these types; all others are let pass."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not self.socket.poll(100):
                continue
            frames = self.socket.recv_multipart()
            if len(frames) == 1:
                control = msgpack.unpackb(frames[0], raw=False)
                if control["t"] in types:
                    return control
        raise AssertionError(f"{types} did not come")

    def open(self, kind, instruction, under, **changed):
        """`under`: the identity epoch. `changed`: keys of the opening that are not what they should be."""
        body = protocol.pack({"promotion": under["promotion"], "deadline_ns": 600 * 10**9, "instruction": instruction})
        self.say("open", **{"v": 1, "kind": kind, "transfer": self.run, "service": instruction["service"],
                            "set": instruction["sets"][0]["name"], "attempt": 1, "epoch": under["number"], "body": body,
                            **changed})
        return self.hear("accepted", "refused", "unknown")

    def begin_sending(self, instruction, epoch):
        assert self.open("push", instruction, epoch)["t"] == "accepted"
        self.say("hello", v=1, transfer=self.run, epoch=epoch["number"])
        return self.hear("start")

    def pack(self, *records, epoch=1, wire=None, codec=0, count=None, **wrong):
        """A pack of these records; `wrong`: header fields that are not what they should be."""
        raw = b"".join(records)
        body = xxhash.xxh3_128_digest(raw)
        self.sequence += 1
        self.chain = xxhash.xxh3_128_digest(self.chain + body)
        wire = raw if wire is None else wire
        header = b"LSPK" + struct.pack("<HBB", 1, codec, 0) + xxhash.xxh3_128_digest(self.run.encode()) \
            + struct.pack("<QQIIII", epoch, wrong.get("sequence", self.sequence), count or len(records),
                          wrong.get("raw_length", len(raw)), len(wire), 0) + wrong.get("body", body) + self.chain
        self.socket.send_multipart([header, wire])
