#!/bin/sh
# Backs the demo's order service up, by push and by pull, and verifies both points.
set -eu
until [ -e /srv/north/orders/ledger.db ] && [ -S /srv/north/orders-control/socket ]; do sleep 0.2; done
for mode in push pull; do
  sed "s/MODE/$mode/" /usr/share/lockstep/compose/orders.yaml >"/tmp/orders-$mode.yaml"
  lockstep policy apply "/tmp/orders-$mode.yaml"
  point=$(lockstep run orders --wait --json | sed -n 's/.*"point":"\([^"]*\)".*/\1/p')
  lockstep verify "$point"
done
lockstep points orders
