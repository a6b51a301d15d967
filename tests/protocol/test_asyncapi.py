#!/usr/bin/python3
"""schemas/asyncapi.yaml: valid by AsyncAPI's own schema, all its references lead somewhere, and it tells
of every message and event there is, with the roles of docs/protocol.md."""
import copy
import json
import os
import re
import sys
import unittest

import jsonschema
import yaml

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import client  # noqa: E402

PARTS = {"certificate", "definitions", "empty", "envelope", "event", "policy", "point-record"}


def references(node):
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref":
                yield value
            else:
                yield from references(value)
    elif isinstance(node, list):
        for item in node:
            yield from references(item)


class AsyncApi(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with open(os.path.join(client.SCHEMAS, "asyncapi.yaml"), encoding="utf-8") as handle:
            cls.document = yaml.safe_load(handle)
        with open(os.path.join(client.SCHEMAS, "vendor/asyncapi-3.0.0.json"), encoding="utf-8") as handle:
            cls.validator = jsonschema.Draft7Validator(json.load(handle))
        cls.schemas = client.load_schemas()

    def look_up(self, pointer):
        node = self.document
        for part in pointer[2:].split("/"):
            node = node[part]
        return node

    def test_it_is_an_asyncapi_document(self):
        self.assertEqual([error.message for error in self.validator.iter_errors(self.document)], [])
        # That the check can fail at all:
        for spoil in (lambda d: d.pop("info"), lambda d: d.update(asyncapi="4.0.0"),
                      lambda d: d["operations"]["policy_ping"].update(action="sing"),
                      lambda d: d["channels"]["policy"].update(unknown=1)):
            spoilt = copy.deepcopy(self.document)
            spoil(spoilt)
            self.assertFalse(self.validator.is_valid(spoilt))

    def test_every_reference_leads_somewhere(self):
        for reference in references(self.document):
            with self.subTest(reference):
                if reference.startswith("#/"):
                    self.look_up(reference)
                else:
                    self.assertIn(os.path.normpath(reference)[:-len(".json")], self.schemas)

    def test_it_tells_of_every_message_and_event(self):
        told = {message["name"] for key, message in self.document["components"]["messages"].items()
                if not key.startswith("event_")}
        events = {message["name"] for key, message in self.document["components"]["messages"].items()
                  if key.startswith("event_")}
        self.assertEqual({name for name in self.schemas if not name.startswith("events/")} - PARTS - told, set())
        self.assertEqual({"events/" + name for name in events},
                         {name for name in self.schemas if name.startswith("events/")})
        in_channels = {reference for channel in self.document["channels"].values()
                       for reference in references(channel["messages"])}
        self.assertEqual(in_channels,
                         {"#/components/messages/" + key for key in self.document["components"]["messages"]})

    def test_each_message_names_its_own_schema(self):
        for key, message in self.document["components"]["messages"].items():
            if key == "heartbeat":
                continue
            with self.subTest(key):
                envelope, own = message["payload"]["schema"]["allOf"]
                name = message["name"]
                self.assertEqual(own["properties"]["type"]["const"], name)
                if key.startswith("event_"):
                    self.assertEqual(envelope["$ref"], "./event.json")
                    self.assertEqual(own["properties"]["data"]["$ref"], f"./events/{name}.json")
                else:
                    self.assertEqual(envelope["$ref"], "./envelope.json")
                    expected = name if name in self.schemas else "empty"
                    self.assertEqual(own["properties"]["body"]["$ref"], f"./{expected}.json")

    def test_roles_are_those_of_the_page(self):
        with open(os.path.join(HERE, "../../docs/protocol.md"), encoding="utf-8") as handle:
            text = handle.read()
        titles = re.findall(
            r"^### (policy service|scheduler|snapshot-agent|transfer-agent|health-monitor) \(from: ([a-z]+)(?:; (.*))?\)$",
            text, re.M)
        self.assertEqual(len(titles), 5)
        section = "".join(text.split(title)[1].split("\n### ")[0]
                          for title in ("### the sites of the identity", "### user data"))
        between = {name: set(roles.split(", "))
                   for name, roles in re.findall(r"^\| `([a-z.-]+)` \| ([a-z, -]+) \|", section, re.M)}
        self.assertGreater(len(between), 7)
        for title, senders, also in titles:
            channel = title.split()[0].replace("-", "_")
            extra = {}
            if also:
                names, roles = re.match(r"`([a-z.|]+)` also (.*)", also).groups()
                first, *rest = names.split("|")
                for name in [first] + [part if "." in part else first.split(".")[0] + "." + part for part in rest]:
                    extra[name] = set(roles.split(", "))
            found = 0
            for operation in self.document["operations"].values():
                if operation["action"] != "receive" or operation["channel"]["$ref"] != "#/channels/" + channel:
                    continue
                name = self.look_up(self.look_up(operation["messages"][0]["$ref"])["$ref"])["name"]
                if name in ("ping", "events.since"):
                    self.assertEqual(len(operation["x-roles"]), 8)
                    continue
                if name in ("injection.mark", "log.level", "snapshot.release"):
                    self.assertEqual(operation["x-roles"], ["user"])
                    continue
                found += 1
                with self.subTest(name):
                    expected = between.get(name) or {senders} | extra.get(name, set())
                    if name == "point.list":
                        expected |= {"health-monitor"}
                    if "any" in expected:
                        self.assertEqual(len(operation["x-roles"]), 8)
                        continue
                    if name == "point.delete":
                        expected |= {"user"}      # docs/protocol.md, Roles
                    self.assertEqual(set(operation["x-roles"]), expected)
            self.assertGreater(found, 1)


if __name__ == "__main__":
    unittest.main()
