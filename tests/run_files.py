#!/usr/bin/python3
"""Runs test files, each a unittest program of its own, some at once, and tells the time that each took.

    tests/run_files.py [--jobs N] FILE...

What a file prints is shown when it has ended, whole. The exit status is 1 where a file failed; the last line names
those that did."""
import argparse
import concurrent.futures
import subprocess
import sys
import time


def run(file):
    begun = time.monotonic()
    # Sockets that a test leaves to the collector are no news; a failure must not drown in them.
    ended = subprocess.run([sys.executable, "-W", "ignore::ResourceWarning", file], stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return file, ended.returncode, ended.stdout, time.monotonic() - begun


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("files", nargs="+")
    asked = parser.parse_args()
    failed = []
    with concurrent.futures.ThreadPoolExecutor(asked.jobs) as pool:
        for done in concurrent.futures.as_completed([pool.submit(run, file) for file in asked.files]):
            file, status, output, seconds = done.result()
            print(f"-- {file}", flush=True)
            sys.stdout.buffer.write(output)
            print(f"-- {file}: {'passed' if status == 0 else f'FAILED ({status})'} in {seconds:.0f} s", flush=True)
            if status != 0:
                failed.append(file)
    if failed:
        sys.exit("failed: " + " ".join(sorted(failed)))


if __name__ == "__main__":
    main()
