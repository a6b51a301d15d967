"""The data that is backed up, and how it changes."""
import os
import random
import sqlite3
import subprocess

KERNEL = "/usr/src/linux-source-6.1.tar.xz"
MIB = 1 << 20


def kernel_tree(path):
    """Debian's linux-source-6.1, unpacked."""
    os.makedirs(path)
    subprocess.run(["tar", "-xJf", KERNEL, "-C", path, "--strip-components=1"], check=True)


def large_files(path, mib, each=256):
    """Incompressible files of `each` MiB."""
    os.makedirs(path)
    noise = random.Random(1)
    for number in range(max(1, mib // each)):
        with open(os.path.join(path, f"large-{number}"), "wb") as handle:
            for _ in range(min(each, mib)):
                handle.write(noise.randbytes(MIB))


def plain_files(path, count, size, each=1000):
    """`count` files of `size` bytes, all different, `each` in a directory."""
    for first in range(0, count, each):
        directory = os.path.join(path, f"{first // each // 100:03}", f"{first // each:06}")
        os.makedirs(directory)
        here = os.open(directory, os.O_RDONLY)
        for number in range(first, min(first + each, count)):
            handle = os.open(f"file-{number}", os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=here)
            os.write(handle, (b"%08d" % number) * (size // 8))
            os.close(handle)
        os.close(here)


def regular_files(path):
    found = []
    for directory, _, names in os.walk(path):
        found += [os.path.join(directory, name) for name in names if not os.path.islink(os.path.join(directory, name))]
    return sorted(found)


def change_files(path, share, seed):
    """Other content in every `1/share`-th file: a line more at its end, or another first byte."""
    noise = random.Random(seed)
    files = regular_files(path)
    for name in noise.sample(files, len(files) // share):
        with open(name, "r+b") as handle:
            if noise.random() < 0.5:
                handle.seek(0, os.SEEK_END)
            handle.write(b"/* %d */\n" % noise.randrange(1 << 30))
    return len(files) // share


def database(path, mib):
    """Rows that fill a page each."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    noise = random.Random(2)
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("CREATE TABLE pages(id INTEGER PRIMARY KEY, body BLOB)")
    rows = mib * MIB // 4096
    for first in range(0, rows, 4096):
        db.execute("BEGIN")
        db.executemany("INSERT INTO pages(body) VALUES(?)",
                       ((noise.randbytes(3900),) for _ in range(min(4096, rows - first))))
        db.execute("COMMIT")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    db.close()
    return rows


def change_database(path, rows, share, seed):
    noise = random.Random(seed)
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("BEGIN")
    db.executemany("UPDATE pages SET body = ? WHERE id = ?",
                   ((noise.randbytes(3900), row) for row in noise.sample(range(1, rows + 1), rows // share)))
    db.execute("COMMIT")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    db.close()
