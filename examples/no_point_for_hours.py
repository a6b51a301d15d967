#!/usr/bin/python3
"""Alarms when a service has had no recovery point for some hours. Needs python3-zmq and python3-msgpack.

    no_point_for_hours.py HOURS SERVICE FEED ENDPOINT KEYS NAME

FEED and ENDPOINT are the gateway's in lockstep.yaml, KEYS the directory of keys, NAME the subscriber whose key
is used. Prints a line for each alarm and each recovery. Written from docs/protocol.md and schemas/ alone."""
import datetime, sys, time, uuid  # noqa: E401

import msgpack
import zmq

hours, service, feed, endpoint, keys, name = float(sys.argv[1]), *sys.argv[2:7]
context = zmq.Context()


def connect(kind, address):
    socket = context.socket(kind)
    socket.curve_secretkey, socket.curve_publickey, socket.curve_serverkey = (
        open(f"{keys}/{file}", "rb").read().strip() for file in (name + ".key", name + ".pub", "gateway.pub"))
    if kind == zmq.SUB:
        socket.subscribe(b"point.complete/" + service.encode())
    socket.connect(address)
    return socket


def moment(event):
    if (event["type"], event["subject"]) == ("point.complete", service):
        return datetime.datetime.fromisoformat(event["data"]["moment"][:19] + "+00:00").timestamp()


def since(dealer, source, sequence):
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    number = f"{time.time_ns() // 1_000_000:012x}7{uuid.uuid4().hex[13:]}"     # UUIDv7
    dealer.send(msgpack.packb({
        "v": 1, "type": "feed.since", "id": str(uuid.UUID(number)), "run": "", "step": "", "attempt": 0,
        "epoch": {"number": 0, "promotion": ""}, "from": name, "sent_at": now, "deadline": None,
        "body": {"source": source, "sequence": sequence, "limit": 2000}}))
    if not dealer.poll(20_000):
        sys.exit("the gateway does not answer")
    body = msgpack.unpackb(dealer.recv())["body"]
    return [msgpack.unpackb(event) for event in body.get("events", [])], body.get("last", 0)


subscription, newest, sequence, alarmed = connect(zmq.SUB, feed), 0.0, 0, False
dealer, last = connect(zmq.DEALER, endpoint), 1
while sequence < last:                      # what is kept, from the first
    events, last = since(dealer, "scheduler", sequence)
    for event in events:
        sequence = event["sequence"]
        newest = moment(event) or newest
while True:
    if (late := time.time() - newest > hours * 3600) != alarmed:
        print(f"ALARM: {service} has no point of the last {hours:g} h" if late else f"{service}: good again", flush=True)
        alarmed = late
    if subscription.poll(1000):             # a point, at the moment in which it is complete
        newest = moment(msgpack.unpackb(subscription.recv_multipart()[1])) or newest
