#!/usr/bin/python3
"""Every story of this folder, told to a real site by `lockstep inject`; and every request of the schemas broken
in every way that they let derive, by the command and, as an example, from Python."""
import glob
import json
import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../process"))
import harness  # noqa: E402
import client  # noqa: E402

POLICY = """service: orders
mode: push
consistency: bounded
max_skew: 5s
stall: 15s
attempts: 1
data_sets:
  - {name: files, component: files, path: FILES}
"""
LEAST_BROKEN = 5000
# Who takes a request of which kind; the others go to the scheduler, which takes none of them: what is broken is
# refused before anybody asks for whom it is.
TAKERS = {"policy": "policy", "run": "scheduler", "prune": "scheduler", "status": "scheduler", "snapshot": "north-snapshot",
          "instruction": "north-transfer", "transfer": "north-transfer", "point": "south-transfer", "feed": "gateway",
          "client": "health-monitor", "promote": "health-monitor", "identity": "south-transfer"}


def stories():
    return sorted(glob.glob(os.path.join(HERE, "*.yaml")))


def needs_a_way(path):
    with open(path, encoding="utf-8") as handle:
        return "- between:" in handle.read()


def with_hex(value):
    if isinstance(value, bytes):
        return {"$hex": value.hex()}
    if isinstance(value, dict):
        return {key: with_hex(item) for key, item in value.items()}
    return [with_hex(item) for item in value] if isinstance(value, list) else value


def requests():
    """The golden vector of each request: its type and its body."""
    for path in sorted(glob.glob(os.path.join(client.SCHEMAS, "vectors/*.msgpack"))):
        name = os.path.basename(path)[:-len(".msgpack")]
        if name in ("failed", "heartbeat") or name.endswith((".done", ".accepted", ".progress")):
            continue
        with open(path, "rb") as handle:
            yield name, client.unpack(handle.read())["body"]


class Injection(harness.SiteTest):
    through = ""

    def setUp(self):
        super().setUp()
        with open(self.site.config, "a", encoding="utf-8") as handle:
            handle.write("injection:\n  allow: true\n" + self.through)
        self.site.up()
        self.files = os.path.join(self.site.north, "files")
        os.makedirs(self.files)
        with open(os.path.join(self.files, "one"), "w", encoding="utf-8") as handle:
            handle.write("text")
        self.site.apply(POLICY.replace("FILES", self.files))

    def inject(self, *paths):
        done = self.site.cli("inject", *paths, "--set", f"files={self.files}", "--json", ok=(0, 1), timeout=600)
        return json.loads(done.stdout)

    def tell(self, paths):
        for path in paths:
            with self.subTest(os.path.basename(path)):
                told = self.inject(path)[0]
                self.assertTrue(told["ok"], told.get("failed"))


class Stories(Injection):
    def test_each_goes_as_told(self):
        paths = [path for path in stories() if not needs_a_way(path)]
        self.assertGreater(len(paths), 9)
        self.tell(paths)
        self.assert_nothing_is_left()
        marks = [json.loads(line) for line in self.site.cli("events", "--source", "north-snapshot", "--json").stdout.splitlines()]
        marks = [one["data"] for one in marks if one["type"] == "injection.marked"]
        self.assertEqual(marks[0]["state"], "begun")
        self.assertEqual(marks[-1]["state"], "ended")
        self.assertEqual(marks[0]["by"], "user")

    def test_every_request_broken_in_every_way_is_refused_with_the_fields_path_and_nobody_dies(self):
        steps = []
        for name, body in requests():
            steps.append({"broken": {"to": TAKERS.get(name.split(".")[0], "scheduler"), "type": name,
                                     "body": with_hex(body)}})
        self.assertEqual({step["broken"]["to"] for step in steps} >= set(TAKERS.values()), True)
        path = os.path.join(self.site.base, "broken.yaml")
        with open(path, "w", encoding="utf-8") as handle:
            json.dump({"title": "Every request, broken in every way", "steps": steps}, handle, indent=1)
        told = self.inject(path)[0]
        self.assertTrue(told["ok"], told.get("failed"))
        print(f"   {len(steps)} requests, {told['broken']}", flush=True)
        self.assertGreaterEqual(told["broken"]["refused"], LEAST_BROKEN)
        self.assertEqual(told["broken"]["sent"], told["broken"]["refused"] + told["broken"]["unanswerable"])
        # And the site works on.
        self.assert_point_is_as_it_says(self.site.run("orders")["point"])

    def test_the_same_from_python(self):
        site = client.Site(self.site.config)
        example = os.path.join(harness.ROOT, "examples/broken_messages.py")
        with open(example, encoding="utf-8") as handle:
            self.assertLess(len(handle.readlines()), 70)
        done = harness.subprocess.run([harness.PYTHON, example, site.endpoint("scheduler"), site.keys, "user", "scheduler",
                                       client.SCHEMAS, "run.start", '{"service": "orders", "wait": false, "dry_run": true}'],
                                      capture_output=True, text=True, check=False, timeout=300)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"^\d+ broken messages, each refused with the field's path\n$")

    def test_a_story_that_goes_otherwise_says_where_and_why(self):
        path = os.path.join(self.site.base, "wrong.yaml")
        with open(path, "w", encoding="utf-8") as handle:
            handle.write("title: The scheduler is somebody else\nsteps:\n  - send: {to: scheduler, type: ping,\n"
                         "      expect: {type: ping.done, body: {name: nobody}}}\n")
        told = self.inject(path)[0]
        self.assertFalse(told["ok"])
        self.assertEqual(told["failed"]["where"], path + ":3")
        self.assertIn('/body/name: expected "nobody", found "scheduler"', told["failed"]["why"])
        with open(path, "w", encoding="utf-8") as handle:
            handle.write("title: A mistake\nsteps:\n  - sent: {to: scheduler, type: ping}\n")
        done = self.site.cli("inject", path, ok=(2,))
        self.assertIn("wrong.yaml:3:", done.stderr)
        self.assertIn("did you mean `send`?", done.stderr)


class BetweenTwoServices(Injection):
    through = '  through: [{from: scheduler, to: north-snapshot, endpoint: "ipc://run/between"}]\n'

    def test_each_goes_as_told(self):
        paths = [path for path in stories() if needs_a_way(path)]
        self.assertGreater(len(paths), 2)
        self.tell(paths)
        for point in self.site.json("points", "orders"):
            self.assert_point_is_as_it_says(point["id"])
        self.assertEqual(len(self.site.json("points", "orders")), len(paths))
        self.assert_nothing_is_left()


class Refused(harness.SiteTest):
    def test_a_site_that_does_not_allow_it_is_left_alone(self):
        self.site.up()
        story = stories()[0]
        self.assertIn("[guard]", self.site.cli("inject", story, ok=(3,)).stderr)
        # Nor does a service believe a command whose copy of the file says otherwise.
        with open(self.site.config, encoding="utf-8") as handle:
            text = handle.read()
        other = os.path.join(self.site.base, "other.yaml")
        with open(other, "w", encoding="utf-8") as handle:
            handle.write(text + "injection: {allow: true}\n")
        done = self.site.cli("inject", story, "--set", "files=/nowhere", "-c", other, config=False, ok=(3,))
        self.assertIn("this site does not allow injection", done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=1)
