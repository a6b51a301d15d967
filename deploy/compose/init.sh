#!/bin/sh
# Makes what is missing: the site's keys, and the gateway's token. Gives each party's volume every public key,
# and of the secret ones its own alone. Runs once, before the services; again, it changes nothing.
set -eu
all=/keys/all
umask 077
sed "s|^keys: .*|keys: $all|; s|^state: .*|state: /tmp/state|" "$LOCKSTEP_CONFIG" >/tmp/lockstep.yaml
lockstep keys init -c /tmp/lockstep.yaml
[ -s "$all/token" ] || od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >"$all/token"
for place in /keys/*/; do
  party=$(basename "$place")
  [ "$party" = all ] && continue
  if [ "$party" = prometheus ]; then    # which runs as nobody, and only shows the token
    cp "$all/token" "$place" && chown -R 65534:65534 "$place" && continue
  fi
  cp -p "$all"/*.pub "$place"
  for kind in key sign; do
    [ ! -e "$all/$party.$kind" ] || [ -e "$place/$party.$kind" ] || cp -p "$all/$party.$kind" "$place"
  done
  [ "$party" != gateway ] || cp -p "$all/token" "$place"
  chown -R 10001:10001 "$place"
  chmod 0700 "$place"
done
