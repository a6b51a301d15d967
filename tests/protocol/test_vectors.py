#!/usr/bin/python3
"""The golden vectors from a second language: each decodes, fits its schema, is its sample, and packs
again to the same bytes. And docs/protocol.md against schemas/: each message it names has a schema."""
import json
import os
import re
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import client  # noqa: E402

VECTORS = os.path.join(client.SCHEMAS, "vectors")
DOCS = os.path.join(HERE, "../../docs/protocol.md")


def with_bins(value):
    if isinstance(value, dict):
        if "$bin" in value:
            return bytes.fromhex(value["$bin"])
        return {key: with_bins(item) for key, item in value.items()}
    return [with_bins(item) for item in value] if isinstance(value, list) else value


def read(name):
    with open(os.path.join(VECTORS, name + ".msgpack"), "rb") as handle:
        return handle.read()


class Vectors(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.schemas = client.Schemas()
        with open(os.path.join(VECTORS, "samples.json"), encoding="utf-8") as handle:
            cls.samples = with_bins(json.load(handle))

    def test_messages(self):
        self.assertGreater(len(self.samples["messages"]), 60)
        for type_, body in self.samples["messages"].items():
            with self.subTest(type_):
                data = read(type_)
                envelope = client.unpack(data)
                self.schemas.check("envelope", envelope)
                self.schemas.check(type_, envelope["body"])
                self.assertEqual(envelope, {**self.samples["envelope"], "type": type_, "body": body})
                self.assertEqual(client.pack(envelope), data)

    def test_events(self):
        for type_, event in self.samples["events"].items():
            with self.subTest(type_):
                data = read("events/" + type_)
                value = client.unpack(data)
                self.schemas.check("event", value)
                self.schemas.check("events/" + type_, value["data"])
                self.assertEqual(value, event)
                self.assertEqual(client.pack(value), data)
        beat = client.unpack(read("heartbeat"))
        self.schemas.check("heartbeat", beat)
        self.assertEqual(beat, self.samples["heartbeat"])

    def test_no_vector_without_a_sample(self):
        known = set(self.samples["messages"]) | {"events/" + name for name in self.samples["events"]}
        for directory, _, names in os.walk(VECTORS):
            for name in names:
                if name.endswith(".msgpack"):
                    path = os.path.relpath(os.path.join(directory, name), VECTORS)[:-len(".msgpack")]
                    self.assertIn(path, known | {"heartbeat"})

    def test_a_spoilt_vector_is_refused(self):
        data = read("instruction.snapshot")
        for cut in range(len(data)):
            with self.assertRaises(client.ProtocolError):
                client.unpack(data[:cut])
        envelope = client.unpack(data)
        for spoil in (lambda b: b.update(extra=1), lambda b: b.pop("sets"), lambda b: b.update(moment="now"),
                      lambda b: b["sets"][0].update(name=b"bytes"), lambda b: b.update(lease_ns=-1)):
            body = client.unpack(data)["body"]
            spoil(body)
            with self.assertRaises(client.ProtocolError):
                self.schemas.check("instruction.snapshot", body)
        self.schemas.check("instruction.snapshot", envelope["body"])


class Documents(unittest.TestCase):
    def setUp(self):
        self.schemas = client.Schemas()
        with open(DOCS, encoding="utf-8") as handle:
            self.text = handle.read()

    def rows(self, title):
        part = self.text.split("## " + title + "\n", 1)[1].split("\n## ", 1)[0]
        return [[cell.strip() for cell in line.strip("|").split(" | ")]
                for line in part.splitlines() if line.startswith("|") and "`" in line]

    def test_each_message_of_the_page_has_a_schema_and_the_other_way_round(self):
        named = set()
        for row in self.rows("Messages"):
            named.update(re.findall(r"`([a-z._]+)`", row[0]))
        self.assertGreater(len(named), 25)
        for name in named:
            self.assertIn(name, self.schemas.all)
        parts = {"certificate", "definitions", "empty", "envelope", "event", "failed", "heartbeat", "policy",
                 "point-record"}
        for name in self.schemas.all:
            if name in parts or name.startswith("events/"):
                continue
            base = re.sub(r"\.(done|accepted|progress)$", "", name)
            self.assertIn(base, named)

    def test_each_event_of_the_page_has_a_schema_and_the_other_way_round(self):
        named = set()
        for row in self.rows("Events"):
            named.update(re.findall(r"`([a-z]+\.[a-z]+)`", row[1]))
        self.assertEqual({"events/" + name for name in named},
                         {name for name in self.schemas.all if name.startswith("events/")})


class Bytes(unittest.TestCase):
    def test_the_rule_of_showing_bytes_is_reversible(self):
        self.assertEqual(client.unshow("caf\\xe9"), b"caf\xe9")
        self.assertEqual(client.unshow("a\\x5cxffb"), b"a\\xffb")
        self.assertEqual(client.unshow("C:\\dir caf\u00e9"), "C:\\dir caf\u00e9".encode())


if __name__ == "__main__":
    unittest.main()
