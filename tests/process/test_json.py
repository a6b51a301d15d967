#!/usr/bin/python3
"""What every command prints with --json is what schemas/cli says, on a site with a point, a failed run and a
fault; and every schema there is printed by a command here."""
import json
import os
import time
import unittest

import jsonschema

import harness
import client

POLICY = """service: orders
mode: push
consistency: bounded
max_skew: 5s
attempts: 1
data_sets:
  - {name: files, component: files, path: FILES}
retention: {last: 3}
"""


class Json(harness.SiteTest):
    def setUp(self):
        super().setUp()
        self.seen = set()
        schemas = client.load_schemas(without=("vendor", "vectors"))
        self.own = {name[len("cli/"):]: schema for name, schema in schemas.items() if name.startswith("cli/")}
        self.store = {client.BASE + name + ".json": schema for name, schema in schemas.items()}

    def check(self, name, text):
        self.seen.add(name)
        schema = self.own[name]
        resolver = jsonschema.RefResolver(client.BASE + "cli/" + name + ".json", schema, store=self.store)
        value = json.loads(text)
        errors = [f"/{'/'.join(map(str, error.path))}: {error.message}"
                  for error in jsonschema.Draft7Validator(schema, resolver=resolver).iter_errors(value)]
        self.assertEqual(errors, [], f"{name}: {text[:2000]}")
        return value

    def ask(self, name, *words, ok=(0,)):
        return self.check(name, self.site.cli(*words, "--json", ok=ok).stdout)

    def test_every_command_prints_what_its_schema_says(self):
        files = os.path.join(self.site.north, "files")
        os.makedirs(os.path.join(files, "below"))
        with open(os.path.join(files, os.fsdecode(b"no utf-8 \xff \\x41")), "w", encoding="utf-8") as handle:
            handle.write("text")
        with open(self.site.config, "a", encoding="utf-8") as handle:
            handle.write("injection: {allow: true}\n")
        with open(self.site.config, encoding="utf-8") as handle:
            text = handle.read()
        with open(self.site.config, "w", encoding="utf-8") as handle:
            for name in ("north", "south"):
                text = text.replace(f"  {name}:\n    root:",
                                    f"  {name}:\n    directory: {{store: embedded, path: {name}-users.db}}\n    root:")
            handle.write(text)
        path = os.path.join(self.site.base, "orders.yaml")
        with open(path, "w", encoding="utf-8") as handle:
            handle.write(POLICY.replace("FILES", files))
        self.ask("error", "status", ok=(4,))
        self.site.up()
        self.ask("policy-check", "policy", "check", path)
        self.ask("policy-apply", "policy", "apply", path)
        self.ask("service", "policy", "pause", "orders")
        self.ask("service", "policy", "resume", "orders")
        self.ask("policy-list", "policy", "list")
        self.ask("policy-show", "policy", "show", "orders")
        self.ask("run", "run", "orders", "--dry-run")
        first = self.ask("run", "run", "orders")["run"]
        deadline = time.monotonic() + 120
        while self.ask("run-show", "run", "show", first)["state"] != "complete":
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.2)
        done = self.ask("run", "run", "orders", "--wait")
        point = done["point"]
        self.ask("run-show", "run", "show", done["run"])
        self.assertGreater(len(self.ask("points", "points")), 0)
        self.ask("points", "points", "orders", "--from", "south")
        self.ask("point-show", "point", "show", point)
        self.assertGreater(len(self.ask("point-ls", "point", "ls", point)), 1)
        self.ask("verify", "verify", point)
        self.ask("restore", "restore", point, "--to", os.path.join(self.disks.base, "restored"))
        self.assertGreater(len(self.ask("holds", "holds")), 0)
        self.ask("prune", "prune", "--dry-run")
        self.ask("explain", "explain", point)
        self.ask("client", "client")
        self.ask("users-edit", "users", "edit", "user", "anna", "--add", "--set", "mail=a@example.org")
        self.ask("users-diff", "users", "diff")
        self.ask("users-apply", "users", "apply")
        self.ask("users-show", "users", "show", "--cluster", "south")
        self.ask("drill", "drill", "orders", "--check", "true")
        self.ask("drill", "drill", "orders")
        self.ask("recover", "recover", "--from", "south")
        self.ask("promote", "promote", "south", "--dry-run")
        for command in ("failback", "switchover"):
            self.ask(command, command, "--stopped", "--dry-run")
        self.ask("status", "status")
        self.ask("doctor", "doctor")
        self.ask("ping", "ping", "scheduler")
        self.ask("log-level", "log-level", "scheduler", "debug")
        self.ask("support-bundle", "support-bundle", "--to", os.path.join(self.site.base, "bundle.tar"))
        self.ask("inject", "inject", os.path.join(harness.ROOT, "tests/scenarios/unknown-types.yaml"))
        os.rename(files, files + "-away")
        self.ask("error", "run", "orders", "--wait", ok=(1,))
        self.assertIn("error", self.ask("runs", "runs")[0])
        for line in self.site.cli("events", "--json").stdout.splitlines():
            self.check("events", line)
        self.ask("status", "status")
        self.ask("point-delete", "point", "delete", point, "--even-newest")
        told = self.ask("audit", "audit")
        self.assertLessEqual({"policy.apply", "run.start", "point.restore", "point.delete", "log.level", "injection.mark"},
                             {row["type"] for row in told})
        with open(os.path.join(self.site.base, "keys/user.pub"), encoding="ascii") as handle:
            self.assertEqual({row["key"] for row in told}, {handle.read().strip()})
        self.assertEqual(set(self.own) - self.seen, set())


if __name__ == "__main__":
    unittest.main(verbosity=1)
