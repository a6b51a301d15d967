"""A client of Lockstep's services in Python, from docs/protocol.md and schemas/ alone.

    with Client(config, "user") as client:
        print(client.request("policy", "policy.list", {}).body)

`config` is a site's lockstep.yaml. Needs python3-zmq, python3-msgpack, python3-jsonschema, python3-yaml.
"""
import copy
import datetime
import json
import os
import re
import secrets
import time

import jsonschema
import msgpack
import yaml
import zmq

SCHEMAS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../schemas")
BASE = "https://lockstep.invalid/schemas/"   # never fetched: every document is in the store
MAX_BYTES, MAX_DEPTH, MAX_ITEMS = 1 << 20, 16, 65536


class ProtocolError(Exception):
    """What was received, or was to be sent, is no message of the protocol."""


class Failed(Exception):
    """The service answered `failed`; `error` is its body's."""

    def __init__(self, error):
        super().__init__(f"{error['what']}: {error['where']} [{error['code']}]")
        self.error = error


class NoAnswer(Exception):
    """Nobody answered in time."""


# -- schemas ---------------------------------------------------------------------------------------

def load_schemas(folder=SCHEMAS, without=("cli", "vendor", "vectors")):
    out = {}
    for directory, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in without]
        for name in names:
            if name.endswith(".json"):
                path = os.path.join(directory, name)
                with open(path, encoding="utf-8") as handle:
                    out[os.path.relpath(path, folder)[:-5]] = json.load(handle)
    return out


class Schemas:
    """The folder of schemas; check() as docs/protocol.md, "How messages are checked"."""

    def __init__(self, folder=SCHEMAS):
        self.all = load_schemas(folder)
        self.store = {BASE + name + ".json": schema for name, schema in self.all.items()}
        self.validators = {}

    def resolve(self, name):
        if name in self.all:
            return name
        for stage in (".done", ".accepted"):
            if name.endswith(stage) and name[:-len(stage)] in self.all:
                return "empty"
        raise ProtocolError(f"no schema of {name}")

    def check(self, name, body):
        name = self.resolve(name)
        if name not in self.validators:
            schema = self.all[name]
            resolver = jsonschema.RefResolver(BASE + name + ".json", schema, store=self.store)
            self.validators[name] = jsonschema.Draft7Validator(schema, resolver=resolver)
        errors = sorted(self.validators[name].iter_errors(view(body)), key=lambda e: -len(e.path))
        if errors:
            where = "/" + "/".join(str(part) for part in errors[0].path)
            raise ProtocolError(f"{name}: {errors[0].message} at {where}")


def view(value):
    """A body as the schemas see it: a bin stands as {"$bin": its length}."""
    if isinstance(value, bytes):
        return {"$bin": len(value)}
    if isinstance(value, dict):
        if "$bin" in value:
            raise ProtocolError("the key $bin is reserved")
        return {key: view(item) for key, item in value.items()}
    if isinstance(value, list):
        return [view(item) for item in value]
    return value


# -- bytes in JSON output ----------------------------------------------------------------------------

ESCAPE = re.compile(rb"\\x([0-9a-f]{2})")


def unshow(text):
    """The bytes that a text of JSON output stands for."""
    return ESCAPE.sub(lambda match: bytes([int(match.group(1), 16)]), text.encode())


# -- MessagePack -------------------------------------------------------------------------------------

def unpack(data):
    if len(data) > MAX_BYTES:
        raise ProtocolError("the message is too large")

    def pairs(items):
        out = {}
        for key, value in items:
            if not isinstance(key, str) or key in out:
                raise ProtocolError(f"the key {key!r} is no text or stands twice")
            out[key] = value
        return out
    try:
        value = msgpack.unpackb(data, raw=False, strict_map_key=False, object_pairs_hook=pairs,
                                max_array_len=MAX_ITEMS, max_map_len=MAX_ITEMS, max_ext_len=0)
    except (ValueError, TypeError, msgpack.UnpackException) as problem:
        raise ProtocolError(f"not MessagePack of the protocol: {problem}") from problem
    measure(value, 1, [0])
    return value


def measure(value, depth, count):
    if not isinstance(value, (dict, list)):
        return
    count[0] += len(value)
    if depth > MAX_DEPTH or count[0] > MAX_ITEMS:
        raise ProtocolError("the message is too deep or has too many items")
    for item in value.values() if isinstance(value, dict) else value:
        measure(item, depth + 1, count)


def pack(value):
    """Keys sorted, as the C++ side packs them, so that equal values are equal bytes."""
    def ordered(item):
        if isinstance(item, dict):
            return {key: ordered(item[key]) for key in sorted(item, key=lambda k: k.encode())}
        return [ordered(part) for part in item] if isinstance(item, list) else item
    return msgpack.packb(ordered(value), use_bin_type=True)


# -- identifiers and instants --------------------------------------------------------------------------

def uuid7():
    number = (time.time_ns() // 1_000_000) << 80 | 7 << 76 | secrets.randbits(12) << 64 \
        | 2 << 62 | secrets.randbits(62)
    text = f"{number:032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def instant(nanoseconds=None):
    seconds, rest = divmod(time.time_ns() if nanoseconds is None else nanoseconds, 1_000_000_000)
    text = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
    return text + (f".{rest:09d}".rstrip("0") if rest else "") + "Z"


# -- the site ------------------------------------------------------------------------------------------

class Site:
    """Endpoints and keys of the parties of a lockstep.yaml."""

    def __init__(self, path):
        self.base = os.path.dirname(os.path.abspath(path))
        with open(path, encoding="utf-8") as handle:
            self.text = yaml.safe_load(handle)
        self.parties = dict(self.text["control"])
        for cluster in self.text["clusters"].values():
            self.parties.update(cluster["agents"])
        self.keys = self.text.get("keys") and os.path.join(self.base, self.text["keys"])

    def endpoint(self, name, kind="endpoint"):
        text = self.parties[name][kind]
        if text.startswith("ipc://"):
            return "ipc://" + os.path.normpath(os.path.join(self.base, text[6:]))
        return text

    def key(self, name, kind):
        with open(os.path.join(self.keys, f"{name}.{kind}"), encoding="ascii") as handle:
            return handle.read().strip().encode()

    def secure(self, socket, me, to):
        if self.keys:
            socket.curve_secretkey, socket.curve_publickey = self.key(me, "key"), self.key(me, "pub")
            socket.curve_serverkey = self.key(to, "pub")


# -- requests and events -------------------------------------------------------------------------------

class Client:
    def __init__(self, config, me, schemas=None):
        self.site, self.me = Site(config), me
        self.schemas = schemas or Schemas()
        self.context = zmq.Context()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.context.destroy(linger=0)

    def socket(self, kind, to, endpoint="endpoint", secure=None):
        made = self.context.socket(kind)
        made.linger = 0
        if kind == zmq.SUB:
            made.subscribe(b"")
        (secure or self.site.secure)(made, self.me, to)
        made.connect(self.site.endpoint(to, endpoint))
        return made

    def envelope(self, type_, body, **fields):
        out = {"v": 1, "type": type_, "id": uuid7(), "run": "", "step": "", "attempt": 0,
               "epoch": {"number": 0, "promotion": ""}, "from": self.me, "sent_at": instant(),
               "deadline": None, "body": copy.deepcopy(body)}
        out.update(fields)
        return out

    def encode(self, envelope):
        self.schemas.check("envelope", envelope)
        self.schemas.check(envelope["type"], envelope["body"])
        return pack(envelope)

    def decode(self, data):
        envelope = unpack(data)
        if not isinstance(envelope, dict) or envelope.get("v") != 1:
            raise ProtocolError("not a message of protocol version 1")
        self.schemas.check("envelope", envelope)
        self.schemas.check(envelope["type"], envelope["body"])
        return envelope

    def request(self, to, type_, body, on_stage=None, silence=2.0, timeout=30.0, **fields):
        """The envelope of `done`. Sends the same envelope again on a fresh socket after `silence`."""
        envelope = self.envelope(type_, body, **fields)
        data = self.encode(envelope)
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            socket = self.socket(zmq.DEALER, to)
            try:
                socket.send(data)
                while socket.poll(int(1000 * max(0, min(silence, end - time.monotonic())))):
                    reply = self.decode(socket.recv())
                    if reply["id"] != envelope["id"]:
                        continue
                    if reply["type"] == "failed":
                        raise Failed(reply["body"]["error"])
                    if reply["type"] == type_ + ".done":
                        return reply
                    if on_stage:
                        on_stage(reply)
            finally:
                socket.close()
        raise NoAnswer(f"{to} did not answer {type_} in {timeout} s")

    def call(self, to, type_, body=None, **options):
        """The body of `done`."""
        return self.request(to, type_, body or {}, **options)["body"]

    def events(self, source, after=0, incarnation=None, timeout=10.0):
        """Each event after `after` once and in order: subscribe, replay, drop what was seen, replay on
        every gap. Ends when nothing came for `timeout` seconds. A gap is yielded as {"gap": body}."""
        socket = self.socket(zmq.SUB, source, "events")
        try:
            wanted, end = True, time.monotonic() + timeout
            while time.monotonic() < end:
                while wanted:
                    body = {"sequence": after, "limit": 1000}
                    if incarnation:
                        body["incarnation"] = incarnation
                    answer = self.call(source, "events.since", body)
                    incarnation = answer["incarnation"]
                    if answer["gap"]:
                        after = answer["first"] - 1 if answer["first"] else answer["last"]
                        yield {"gap": answer}
                    for event in answer["events"]:
                        if event["sequence"] <= after:
                            continue
                        self.check_event(event)
                        after, end = event["sequence"], time.monotonic() + timeout
                        yield event
                    wanted = bool(answer["events"]) and after < answer["last"]
                if not socket.poll(200):
                    continue
                topic, data = socket.recv_multipart()
                value = unpack(data)
                if topic == b"heartbeat":
                    self.schemas.check("heartbeat", value)
                    wanted = value["incarnation"] != incarnation or value["last"] > after
                    continue
                self.check_event(value)
                if value["incarnation"] == incarnation and value["sequence"] <= after:
                    continue
                if value["incarnation"] != incarnation or value["sequence"] != after + 1:
                    wanted = True
                    continue
                after, end = value["sequence"], time.monotonic() + timeout
                yield value
        finally:
            socket.close()

    def check_event(self, event):
        self.schemas.check("event", event)
        self.schemas.check("events/" + event["type"], event["data"])
