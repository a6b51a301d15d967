"""A real Prometheus with the rules of deploy/, which looks at a gateway every second and does not wait for minutes
before it alarms."""
import json
import os
import re
import subprocess

from harness import ROOT

RULES = os.path.join(ROOT, "deploy/rules/lockstep.yml")


class Prometheus:
    """`target`: the gateway's host and port; `inside` puts a command onto another host."""

    def __init__(self, home, target, port, inside=lambda command: command):
        self.inside, self.url = inside, f"http://127.0.0.1:{port}"
        os.makedirs(home)
        with open(RULES, encoding="utf-8") as handle:
            rules = re.sub(r"for: \d+[mh]", "for: 1s", handle.read())
        with open(os.path.join(home, "rules.yml"), "w", encoding="utf-8") as handle:
            handle.write(rules)
        with open(os.path.join(home, "prometheus.yml"), "w", encoding="utf-8") as handle:
            handle.write("global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [rules.yml]\n"
                         f"scrape_configs:\n  - job_name: lockstep\n    static_configs: [{{targets: ['{target}']}}]\n")
        with open(os.path.join(home, "log"), "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(inside([
                "prometheus", "--config.file=" + os.path.join(home, "prometheus.yml"),
                "--storage.tsdb.path=" + os.path.join(home, "data"), "--web.listen-address=" + self.url[7:]]),
                stdout=log, stderr=log)

    def query(self, expression):
        """Rows, each with `metric` and `value`; nothing while Prometheus does not answer."""
        done = subprocess.run(self.inside(["promtool", "query", "instant", "--format=json", self.url, expression]),
                              capture_output=True, text=True, timeout=60, check=False)
        return json.loads(done.stdout) if done.returncode == 0 else []

    def firing(self):
        """Names of alerts, each with the label that says of whom."""
        rows = [row["metric"] for row in self.query('ALERTS{alertstate="firing"}')]
        return {(row["alertname"], row.get("service", row.get("party", ""))) for row in rows}

    def close(self):
        self.process.terminate()
        self.process.wait(60)
