"""HDFS's checksum of a file, made from its content by what Hadoop's FileChecksumHelper does. Nothing of Lockstep is used."""
import hashlib
import re
import struct

ALGORITHM = re.compile(r"^MD5-of-(\d+)MD5-of-(\d+)CRC32C$")


def remainders():
    """CRC-32C (RFC 3720, B.4), a byte at a time."""
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        yield value


TABLE = tuple(remainders())


def crc32c(data):
    value = 0xFFFFFFFF
    for byte in data:
        value = TABLE[(value ^ byte) & 255] ^ value >> 8
    return value ^ 0xFFFFFFFF


def checksum(content, like):
    """As `like` ("ALGORITHM:bytes") was made."""
    algorithm = like.partition(":")[0]
    per_block, per_crc = (int(number) for number in ALGORITHM.match(algorithm).groups())
    block = per_block * per_crc or len(content)
    blocks = b"".join(
        hashlib.md5(b"".join(struct.pack(">I", crc32c(content[crc:min(crc + per_crc, at + block)]))
                             for crc in range(at, min(at + block, len(content)), per_crc))).digest()
        for at in range(0, len(content), block))
    room = 32
    while room < len(blocks):
        room *= 2
    return f"{algorithm}:{struct.pack('>IQ', per_crc, per_block).hex()}{hashlib.md5(blocks.ljust(room, bytes(1))).hexdigest()}"
