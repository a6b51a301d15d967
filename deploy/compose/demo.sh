#!/bin/sh
# Backs the demo's order service up, by push and by pull, and verifies both points.
set -eu
until [ -e /srv/north/orders/ledger.db ] && [ -S /srv/north/orders-control/socket ]; do sleep 0.2; done
for mode in push pull; do
  sed "s/MODE/$mode/" /usr/share/lockstep/compose/orders.yaml >"/tmp/orders-$mode.yaml"
  lockstep policy apply "/tmp/orders-$mode.yaml"
  # A host that is busy starting all of this may miss a moment: another one follows.
  tries=0
  until outcome=$(lockstep run orders --wait --json); do
    tries=$((tries + 1))
    [ "$tries" -lt 5 ]
  done
  lockstep verify "$(echo "$outcome" | sed -n 's/.*"point":"\([^"]*\)".*/\1/p')"
done
lockstep points orders
