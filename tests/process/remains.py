"""What lies in the clusters' stores that nothing wants: looked up on the disks, held against the
records and the holds."""
import glob
import os


def remains(north, south, homes, holds, kept):
    """`homes`: directories below the roots that have a store of their own. `holds`: as
    `snapshot.holds` tells them. `kept`: how many points retention leaves."""
    def each(root, pattern):
        return [path for home in ("", *homes) for path in glob.glob(os.path.join(root, home, ".lockstep", pattern))]

    def run_of(path):
        return os.path.basename(path).split(".")[0]

    out = []
    held = {(one["service"], one["set"], one["run"]) for one in holds}
    pins = {(*path.split(os.sep)[-3:-1], run_of(path)) for path in each(north, "pins/*/*/*")}
    out += [f"a pin without a hold: {pin}" for pin in sorted(pins - held)]
    out += [f"a hold without a pin: {pin}" for pin in sorted(held - pins)]
    points = {run_of(path) for path in each(south, "points/*/*.json")}
    newest = {service: max(run_of(path) for path in each(south, f"points/{service}/*.json"))
              for service in {path.split(os.sep)[-2] for path in each(south, "points/*/*.json")}}
    if len(points) > kept:
        out.append(f"{len(points)} points are kept where {kept} are wanted")
    out += [f"a pin that is no base: {pin}" for pin in sorted(pins) if pin[2] != newest.get(pin[0])]
    out += ["staging: " + path for path in each(south, "staging/*/*/*")]
    out += ["a part: " + path for path in each(south, "points/*/*.part")]
    versions = each(south, "versions/*/*/*")
    out += ["a version without a point: " + path for path in versions if run_of(path) not in points]
    named = {os.path.realpath(path) for path in versions if os.path.islink(path)}
    out += ["a tree without a version: " + tree for tree in each(south, "versions/*/*/.trees/*")
            if os.path.realpath(tree) not in named]
    out += ["a manifest without a point: " + path for path in each(south, "manifests/*/*/*") if run_of(path) not in points]
    out += ["a manifest that is no base's: " + path for path in each(north, "manifests/*/*/*")
            if run_of(path) != newest.get(path.split(os.sep)[-3])]
    return out
