#!/usr/bin/python3
"""Holds every #include of ours against the layers of docs/architecture.md (standard library only)."""
import os
import re
import subprocess
import sys

# folder: the folders it may include from, besides itself
BASE = {"common/error"}
CLOCK = BASE | {"common/clock"}
SEAM = CLOCK | {"common/component"}
MESSAGE = CLOCK | {"common/message"}
JOURNAL = MESSAGE | {"common/journal", "common/os"}
TRANSPORT = JOURNAL | {"common/transport"}
CONFIG = TRANSPORT | {"common/config"}
POLICY = SEAM | MESSAGE | {"common/config"}
USERS = MESSAGE | {"common/users"}
SERVICE = CONFIG | {"common/service", "common/identity"}
STREAM = SEAM | MESSAGE | {"common/os", "common/stream", "common/transport"}
AGENT = SERVICE | SEAM | STREAM | USERS | {"common/components", "common/components/users", "common/policy",
                                             "common/signing"}
MAY = {
    "common/error": BASE,
    "common/identity": set(),
    "common/os": CLOCK,
    "common/clock": CLOCK | {"common/os"},
    "common/component": SEAM | {"common/os"},
    "common/components": SEAM | {"common/os", "common/components"},
    "common/components/users": SEAM | USERS | {"common/os", "common/components"},
    "common/message": MESSAGE | {"common/os"},
    "common/users": USERS | {"common/os"},
    "common/journal": JOURNAL,
    "common/transport": TRANSPORT,
    "common/config": CONFIG,
    "common/policy": POLICY,
    "common/signing": BASE | {"common/os"},
    "common/service": SERVICE,
    "common/stream": STREAM,
    "services/scheduler/run": set(),
    "services/scheduler": SERVICE | USERS | {"common/policy", "common/component", "services/scheduler/run"},
    "services/health-monitor": SERVICE | {"common/policy", "common/component"},
    "services/policy": SERVICE | {"common/policy", "common/component"},
    "services/cli": SERVICE | USERS | {"common/policy", "common/component", "common/signing"},
    "services/gateway": SERVICE,
    "services/snapshot-agent": AGENT,
    "services/transfer-agent": AGENT,
}
INCLUDE = re.compile(r'^\s*#\s*include\s+"((?:common|services|tests)/[^"]+)"')


def layer(path):
    fitting = [name for name in MAY if path == name or path.startswith(name + "/")]
    return max(fitting, key=len) if fitting else None


def main():
    files = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "*.cpp", "*.hpp"],
                           check=True, capture_output=True, text=True).stdout.split()
    problems = 0
    for path in files:
        own = layer(path)
        if own is None:
            continue                      # tests may include what they test
        with open(path, encoding="utf-8") as handle:
            for number, line in enumerate(handle, 1):
                match = INCLUDE.match(line)
                if not match:
                    continue
                other = layer(os.path.normpath(match.group(1)))
                if other is not None and other != own and other not in MAY[own]:
                    print(f"{path}:{number}: {own} may not include {match.group(1)}")
                    problems += 1
    if problems:
        sys.exit(f"{problems} includes cross a layer; see docs/architecture.md")
    print(f"layers: {len(files)} files keep to them")


if __name__ == "__main__":
    main()
