"""What a case tells: its contestants, its figures beside the bounds that the project has set itself."""
import statistics


def bound(what, value, must, aim, at_least=False):
    met = value >= must if at_least else value <= must
    sign = "≥ " if at_least else "≤ "
    return {"what": what, "value": value, "must": sign + format(must, "g"), "aim": sign + format(aim, "g"), "met": met}


def ratio(ours, theirs, must, aim):
    """Of medians."""
    value = statistics.median(ours.samples) / statistics.median(theirs.samples)
    return bound(f"lockstep / {theirs.name}", value, must, aim)


def result(contestants, bounds, **more):
    return {"contestants": {one.name: one.summary() for one in contestants}, "bounds": bounds, **more}


def where(plan, kind):
    return {"primary": "btrfs", "secondary": kind, "mount": plan.primary().options}
