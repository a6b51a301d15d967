"""What the services' events say: that they come in order without gaps, and that nothing was done
twice."""

# Of each, how the subject of one doing is told; none happens twice.
ONCE = {"pin.made": ("run", "set"), "pin.dropped": ("run", "set"), "point.sealed": ("id",),
        "point.deleted": ("id",), "point.complete": ("id",), "point.pruned": ("id",), "run.state": ("run", "state")}


class Watch:
    """Reads each service's outbox from where it stopped reading. `each`: is given every event."""

    def __init__(self, ask, sources, each=None):
        self.ask, self.sources, self.each, self.place, self.seen = ask, sources, each, {}, {}

    def problems(self):
        out = []
        for source in self.sources:
            out += self.read(source)
        return out

    def read(self, source):
        out = []
        incarnation, after = self.place.get(source, (None, 0))
        while True:
            body = {"sequence": after, "limit": 500}
            if incarnation:
                body["incarnation"] = incarnation
            answer = self.ask(source, "events.since", body)
            if answer["gap"] or (incarnation and answer["incarnation"] != incarnation):
                out.append(f"{source}: events were lost after {after}")
            incarnation = answer["incarnation"]
            for event in answer["events"]:
                if event["sequence"] != after + 1:
                    out.append(f"{source}: event {event['sequence']} follows {after}")
                after = event["sequence"]
                if self.each:
                    self.each(source, event)
                out += self.twice(source, event)
            if after >= answer["last"]:
                break
        self.place[source] = (incarnation, after)
        return out

    def twice(self, source, event):
        keys = ONCE.get(event["type"])
        if keys is None:
            return []
        what = (source, event["type"], *(event["data"][key] for key in keys))
        self.seen[what] = self.seen.get(what, 0) + 1
        return [f"done twice: {what}"] if self.seen[what] == 2 else []
