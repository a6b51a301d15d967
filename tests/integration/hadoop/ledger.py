#!/usr/bin/python3
"""A living service across a plain directory, HDFS, HBase and SQLite, and the check of a copy of it. It knows nothing of
Lockstep but the hook that pauses it.

Each worker, without a pause but where it is told to be slower: an invoice (a plain file), then the document in HDFS that stands for it, then the row of
HBase that refers to the document, then the row of SQLite that refers to that row. Later each of them is removed again,
the other way round, but by a service that only adds. So at any one moment every reference leads somewhere, and each
worker has at most one item that is not whole.

    ledger.py pause|resume SOCKET     what the hook calls"""
import contextlib
import os
import re
import shutil
import socket
import sqlite3
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(HERE)), "compare"))
from hdfs_tree import Hdfs  # noqa: E402

STORES = ("invoice", "document", "HBase row", "SQLite row")
KEPT = 20  # so many whole items a worker has before it removes the oldest for each new one


def invoice(worker, number):
    return f"invoice {worker}/{number}\n".encode() * 20


def document(worker, number):
    return f"document of invoice {worker}/{number}\n".encode() * 20


class Gate:
    """Lets steps through, or holds all of them: closed once none is under way."""

    def __init__(self):
        self.moved = threading.Condition()
        self.open, self.inside = True, 0

    @contextlib.contextmanager
    def step(self):
        with self.moved:
            self.moved.wait_for(lambda: self.open)
            self.inside += 1
        try:
            yield
        finally:
            with self.moved:
                self.inside -= 1
                self.moved.notify_all()

    def close(self):
        with self.moved:
            self.open = False
            self.moved.wait_for(lambda: self.inside == 0)

    def reopen(self):
        with self.moved:
            self.open = True
            self.moved.notify_all()


class Ledger:
    """The service, from its making until stop(). `tables`: Tables.java; `table` is made already."""

    def __init__(self, files, database, url, documents, tables, table, control, adds_only=False, workers=4):
        self.adds_only, self.pace = adds_only, 0    # seconds that each worker waits between items
        self.deleted = self.paused = 0
        self.files, self.database, self.url, self.documents = files, database, url, documents
        self.tables, self.table, self.gate = tables, table, Gate()
        self.stopping, self.steps, self.failures = threading.Event(), 0, []
        with sqlite3.connect(database) as db:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("CREATE TABLE line (worker INTEGER, number INTEGER, PRIMARY KEY (worker, number))")
        db.close()
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(control)
        self.server.listen()
        self.threads = [threading.Thread(target=self.serve, daemon=True)]
        self.threads += [threading.Thread(target=self.work, args=(worker,), daemon=True) for worker in range(workers)]
        for thread in self.threads:
            thread.start()

    def serve(self):
        while True:
            try:
                asker, _ = self.server.accept()
            except OSError:  # closed by end()
                return
            with asker:
                if asker.recv(16) == b"pause":
                    self.gate.close()
                    self.paused += 1
                else:
                    self.gate.reopen()
                asker.sendall(b"done")

    def work(self, worker):
        hdfs, db = Hdfs(self.url), sqlite3.connect(self.database, timeout=60, isolation_level=None)
        try:
            os.makedirs(os.path.join(self.files, str(worker)), exist_ok=True)
            number = 0
            while not self.stopping.is_set():
                self.create(hdfs, db, worker, number)
                if number >= KEPT and not self.adds_only:
                    self.delete(hdfs, db, worker, number - KEPT)
                number += 1
                time.sleep(self.pace)
        except Exception as error:  # pylint: disable=broad-except; told by stop()
            self.failures.append(f"worker {worker}: {error!r}")
        finally:
            hdfs.close()
            db.close()

    def create(self, hdfs, db, worker, number):
        path = os.path.join(self.files, str(worker), str(number))
        with self.gate.step():
            with open(path + ".part", "wb") as handle:
                handle.write(invoice(worker, number))
            os.rename(path + ".part", path)
        with self.gate.step():
            hdfs.put(f"{self.documents}/{worker}/{number}", document(worker, number))
        with self.gate.step():
            self.tables.ask("set", self.table, f"{worker}/{number}", f"{self.documents}/{worker}/{number}")
        db.execute("INSERT INTO line VALUES (?, ?)", (worker, number))  # held by the database's own lock
        self.steps += 4

    def delete(self, hdfs, db, worker, number):
        db.execute("DELETE FROM line WHERE worker = ? AND number = ?", (worker, number))
        with self.gate.step():
            self.tables.ask("unset", self.table, f"{worker}/{number}")
        with self.gate.step():
            hdfs.remove(f"{self.documents}/{worker}/{number}")
        with self.gate.step():
            os.unlink(os.path.join(self.files, str(worker), str(number)))
        self.deleted += 1
        self.steps += 4

    def stop(self):
        """How many steps it did. Raises what ended a worker before that."""
        self.end()
        if self.failures:
            raise RuntimeError("; ".join(self.failures))
        return self.steps

    def end(self):
        """May be called again."""
        self.stopping.set()
        self.gate.reopen()
        with contextlib.suppress(OSError):    # it was closed before
            self.server.shutdown(socket.SHUT_RDWR)    # who waits in accept(2) is told
        self.server.close()
        for thread in self.threads:
            thread.join(timeout=60)


def hook(path, control):
    with open(path, "w", encoding="utf-8") as handle:
        handle.write("#!/bin/sh\n# Lockstep calls this with `pause` or `resume`.\n"
                     f"exec /usr/bin/python3 '{os.path.abspath(__file__)}' \"$1\" '{control}'\n")
    os.chmod(path, 0o755)


def copy_living(folder, to):
    """What one does without Lockstep: the invoices that are there, while others come and go."""
    def copy(source, target):
        with contextlib.suppress(FileNotFoundError):  # removed meanwhile
            shutil.copy2(source, target)
    shutil.copytree(folder, to, ignore=shutil.ignore_patterns("*.part"), copy_function=copy)


# ---- the check of a copy -------------------------------------------------------------------------
def key_of(text):
    worker, _, number = text.partition("/")
    return int(worker), int(number)


def invoices_in(folder):
    """Those that are there, and those of them that are not whole."""
    found, torn = set(), set()
    for worker in os.listdir(folder):
        for name in os.listdir(os.path.join(folder, worker)):
            if not name.isdigit():
                continue  # a draft
            key = int(worker), int(name)
            found.add(key)
            with open(os.path.join(folder, worker, name), "rb") as handle:
                if handle.read() != invoice(*key):
                    torn.add(key)
    return found, torn


def documents_in(hdfs, folder):
    """Those that are there, and those of them that are not whole."""
    found, torn = set(), set()
    for worker in hdfs.list(folder):
        for one in hdfs.list(f"{folder}/{worker['pathSuffix']}"):
            key = int(worker["pathSuffix"]), int(one["pathSuffix"])
            found.add(key)
            if hdfs.read(f"{folder}/{key[0]}/{key[1]}", one["length"]) != document(*key):
                torn.add(key)
    return found, torn


def rows_in(tables, table, documents, problems):
    found = set()
    for text in tables.ask("rows", table).split():
        name, _, reference = text.partition("=")
        found.add(key_of(name))
        if reference != f"{documents}/{name}":
            problems.append(f"torn: the HBase row {name} refers to {reference}")
    return found


def lines_in(database):
    with contextlib.closing(sqlite3.connect(f"file:{database}?immutable=1", uri=True)) as db:
        return set(db.execute("SELECT worker, number FROM line"))


def check(files, hdfs, folder, tables, table, database, documents, one_moment=True):
    """Of a copy: the plain files, the directory in HDFS, the table of HBase, the database. `documents`: the directory
    that the rows of the living service refer to. `one_moment`: of all four, between two steps; else no reference dangles,
    and what is referred to is whole, and no more: one that is being written may be there."""
    problems = []
    invoices, torn_invoices = invoices_in(files)
    kept, torn_documents = documents_in(hdfs, folder)
    stores = (invoices, kept, rows_in(tables, table, documents, problems), lines_in(database))
    for name, torn, referring in zip(STORES, (torn_invoices, torn_documents), stores[1:]):
        problems += [f"torn: the {name} {key}" for key in sorted(torn) if one_moment or key in referring]
    under_way = {}
    for key in sorted(set().union(*stores)):
        has = [key in store for store in stores]
        for i in range(1, len(stores)):
            if has[i] and not has[i - 1]:
                problems.append(f"dangling: the {STORES[i]} {key} is there, and the {STORES[i - 1]} that it refers to is not")
        if not all(has):
            under_way.setdefault(key[0], []).append(key)
    for worker, keys in under_way.items():
        if one_moment and len(keys) > 1:
            problems.append(f"time: worker {worker} has {len(keys)} items under way at once: {keys[:3]}...")
    return {**{name: len(store) for name, store in zip(STORES, stores)}, "violations": len(problems), "problems": problems}


def main(words):
    if len(words) != 2 or not re.fullmatch("pause|resume", words[0]):
        print(__doc__, file=sys.stderr)
        return 2
    with socket.socket(socket.AF_UNIX) as asker:
        try:
            asker.connect(words[1])
        except OSError:  # the service is not there: nothing is paused, and nothing writes
            return 0
        asker.sendall(words[0].encode())
        return 0 if asker.recv(16) == b"done" else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
