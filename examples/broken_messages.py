#!/usr/bin/python3
"""Sends a message broken in every way that its schema lets derive, and checks that each is refused with the
field's path. Needs python3-zmq and python3-msgpack.

    broken_messages.py ENDPOINT KEYS NAME SERVICE SCHEMAS TYPE BODY

ENDPOINT is SERVICE's in lockstep.yaml, KEYS the directory of keys, NAME the party whose key is used, SCHEMAS the
folder schemas/, BODY a good body as JSON. Written from docs/protocol.md and schemas/ alone."""
import copy, datetime, json, sys, time, uuid  # noqa: E401

import msgpack
import zmq

endpoint, keys, name, service, schemas, kind, good = *sys.argv[1:7], json.loads(sys.argv[7])
OTHERS = {"string": "\x01 no", "integer": 7, "number": 0.5, "boolean": True, "null": None, "array": [], "object": {}}
definitions = json.load(open(f"{schemas}/definitions.json", encoding="utf-8"))["definitions"]

socket = zmq.Context().socket(zmq.DEALER)
socket.linger = 0
socket.curve_secretkey, socket.curve_publickey, socket.curve_serverkey = (
    open(f"{keys}/{file}", "rb").read().strip() for file in (name + ".key", name + ".pub", service + ".pub"))
socket.connect(endpoint)


def broken(schema, value, path):
    """Each way to break `value`: what stands in its place, and the field's path."""
    if "$ref" in schema:
        schema = definitions[schema["$ref"].rsplit("/", 1)[1]]
    types = schema.get("type", [])
    types = [types] if isinstance(types, str) else types
    for other, wrong in OTHERS.items():
        if other not in types and not (other == "integer" and "number" in types):
            yield wrong, path
    if "pattern" in schema and "string" in types:
        yield OTHERS["string"], path
    for key, inner in schema.get("properties", {}).items():
        if isinstance(value, dict) and key in value:
            if key in schema.get("required", []):
                yield {other: value[other] for other in value if other != key}, f"{path}/{key}"
            for wrong, where in broken(inner, value[key], f"{path}/{key}"):
                yield {**value, key: wrong}, where
    if schema.get("additionalProperties") is False and isinstance(value, dict):
        yield {**value, "a-key-too-many": 1}, f"{path}/a-key-too-many"


count = 0
for body, where in broken(json.load(open(f"{schemas}/{kind}.json", encoding="utf-8")), copy.deepcopy(good), "/body"):
    number = f"{time.time_ns() // 1_000_000:012x}7{uuid.uuid4().hex[13:]}"     # UUIDv7
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    socket.send(msgpack.packb({
        "v": 1, "type": kind, "id": str(uuid.UUID(number)), "run": "", "step": "", "attempt": 0,
        "epoch": {"number": 0, "promotion": ""}, "from": name, "sent_at": now, "deadline": None, "body": body}))
    if not socket.poll(20_000):
        sys.exit(f"no answer to {body}")
    reply = msgpack.unpackb(socket.recv())
    if reply["type"] != "failed" or not f"{reply['body']['error']['where']}/".startswith(where + "/"):
        sys.exit(f"{body} is wrong at {where}, and the answer is {reply['type']} {reply['body']}")
    count += 1
print(f"{count} broken messages, each refused with the field's path")
