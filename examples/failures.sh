#!/usr/bin/env bash
# Prints a line for every run that fails, as it happens: failures.sh lockstep.yaml
# Instead of printing, call what tells your people (mail, a chat's hook). Needs jq.
set -euo pipefail
lockstep events --follow --json -c "$1" |
  jq --unbuffered -r 'select(.type == "run.state" and .data.state == "failed")
    | "\(.time) \(.data.service): \(.data.error.what // "failed") (lockstep explain \(.data.run))"'
