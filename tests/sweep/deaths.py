"""How a sweep is run: one death after another in a process a mode, and what is told of them in the end."""
import multiprocessing
import os
import random
import time
import traceback

FULL = os.environ.get("LOCKSTEP_TEST_FULL") == "1"
SEED = int(os.environ.get("LOCKSTEP_SEED") or random.randrange(1 << 30))
ONLY = [word for word in os.environ.get("LOCKSTEP_SWEEP", "").split(",") if word]
MOST_FAILURES = 6


def say(line):
    print(line, flush=True)


def line_of(mode, act, place, failpoint, passing):
    return f"{mode} {act} {place} {failpoint}:{passing}"


def asked_for(mode, deaths):
    """Those that LOCKSTEP_SWEEP names."""
    return [one for one in deaths if any(word in line_of(mode, *one) for word in ONLY)]


def die(sweep, deaths):
    """Each of the deaths (act, place, failpoint, passing): `sweep.kill(*one)` tells whether it was met and what was
    wrong; after a wrong one the sweep begins on a new site."""
    failures, unmet = [], []
    for one in deaths:
        line, at = line_of(sweep.mode, *one), time.monotonic()
        try:
            met, problems = sweep.kill(*one)
        except Exception:  # pylint: disable=broad-except
            met, problems = True, [traceback.format_exc()]
        took = f"in {time.monotonic() - at:.1f} s"
        say(f"{line}: {'ok' if met else 'not met'} {took}" if not problems
            else f"{line}: FAILED {took}\n  " + "\n  ".join(problems))
        if not met:
            unmet.append(line)
        if problems:
            failures.append((line, problems, sweep.site.logs(15)))
            if len(failures) == MOST_FAILURES:
                break
            sweep.close()
            sweep.open()
    return failures, unmet


def _worker(run, mode, part, out):
    begun = time.monotonic()
    try:
        told = run(mode, part)
    except BaseException:  # pylint: disable=broad-except
        told = {"failpoints": 0, "deaths": 0, "unmet": [], "failures": [(mode, [traceback.format_exc()], "")]}
    out.put({**told, "mode": mode, "seconds": time.monotonic() - begun})


def sweep_both_modes(test, run, unmet_allowed):
    """`run(mode, part)` in a process for push (part 0) and one for pull (1) tells failpoints, deaths, unmet and
    failures. `unmet_allowed(deaths)`: fewer than so many may not have been met."""
    say(f"LOCKSTEP_SEED={SEED}")
    out = multiprocessing.Queue()
    modes = [mode for mode in ("push", "pull") if not ONLY or any(mode in word for word in ONLY)] or ["push", "pull"]
    workers = [multiprocessing.Process(target=_worker, args=(run, mode, part, out)) for part, mode in enumerate(modes)]
    for worker in workers:
        worker.start()
    told = [out.get() for _ in workers]
    for worker in workers:
        worker.join()
    for one in told:
        say(f"{one['mode']}: {one['deaths']} deaths of {one['failpoints']} failpoints, {len(one['unmet'])} not met, "
            f"{len(one['failures'])} failures, {one['seconds']:.0f} s")
        for line, problems, logs in one["failures"]:
            say(f"FAILED {line} (LOCKSTEP_SEED={SEED} LOCKSTEP_SWEEP='{line}')\n  " + "\n  ".join(problems) + f"\n{logs}")
    test.assertEqual([line for one in told for line, _, _ in one["failures"]], [])
    # What depends on the clock is not passed as often at every time.
    test.assertLess(sum(len(one["unmet"]) for one in told), unmet_allowed(sum(one["deaths"] for one in told)))
