"""BSON by hand: random raw documents of every type, and a reader that gives what plain JSON must say of them.

Bytes that no driver's encoder would write are the point: invalid UTF-8, keys of any bytes, duplicate keys.
"""

from __future__ import annotations

import base64
import datetime
import math
import random
import struct
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from bson import Decimal128

MAX_DEPTH = 100

#: Bytes among which strings are drawn: plain text, JSON's special ones, line separators, good and bad UTF-8.
PIECES = [b"plain text ", b"a", b'"', b"\\", b"/", b"\b\f\n\r\t", b"\x01", b"\x1f", b"\x7f", b"\xc2\x85", "ü€😀".encode(),
          "\u2028\u2029\ufeff\ufffd".encode(), b"\x80", b"\xff", b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98", b"\xed\xa0\x80",
          b"\xc0\x80", b"\xf5\x80", b"\xe2\x28\xa1", b"\xf4\x90\x80\x80", b"\xf0\x80\x80\x80", b"."]


class Members(list):
    """A document as (key, value) pairs, so that duplicate keys stay; an array is a plain list."""


# --- writing ----------------------------------------------------------------------------------------


def any_bytes(rnd: random.Random, most: int = 6) -> bytes:
    return b"".join(rnd.choice(PIECES) for _ in range(rnd.randint(0, most)))


def string(text: bytes) -> bytes:
    return struct.pack("<i", len(text) + 1) + text + b"\0"


def document(elements: bytes) -> bytes:
    return struct.pack("<i", len(elements) + 5) + elements + b"\0"


def any_double(rnd: random.Random) -> float:
    return rnd.choice([
        lambda: rnd.choice([0.0, -0.0, 1.0, 0.1, 1e22, 1e23, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, math.nan, math.inf, -math.inf]),
        lambda: round(rnd.uniform(-1e6, 1e6), rnd.randint(0, 8)),
        lambda: struct.unpack("<d", rnd.randbytes(8))[0],
        lambda: float(rnd.randint(-2**60, 2**60)),
    ])()


def any_element(rnd: random.Random, depth: int) -> tuple[int, bytes]:
    """A type byte and the bytes of a value."""
    simple: dict[int, Callable[[], bytes]] = {
        0x01: lambda: struct.pack("<d", any_double(rnd)),
        0x02: lambda: string(any_bytes(rnd) + rnd.choice([b"", b"\0", b"x" * rnd.randint(0, 40)])),
        0x05: lambda: any_binary(rnd),
        0x06: lambda: b"",
        0x07: lambda: rnd.randbytes(12),
        0x08: lambda: rnd.choice([b"\0", b"\1"]),
        0x09: lambda: struct.pack("<q", rnd.choice([rnd.randint(-10**14, 10**15), rnd.randint(0, 2**41), 0, -1])),
        0x0A: lambda: b"",
        0x0B: lambda: any_bytes(rnd) + b"\0" + rnd.choice([b"", b"i", b"imsx"]) + b"\0",
        0x0C: lambda: string(any_bytes(rnd)) + rnd.randbytes(12),
        0x0D: lambda: string(any_bytes(rnd)),
        0x0E: lambda: string(any_bytes(rnd)),
        0x10: lambda: struct.pack("<i", rnd.choice([0, -1, 2**31 - 1, -2**31, rnd.randint(-10**9, 10**9)])),
        0x11: lambda: rnd.randbytes(8),
        0x12: lambda: struct.pack("<q", rnd.choice([0, 2**53, 2**53 + 1, -2**53, -2**53 - 1, 2**63 - 1, -2**63, rnd.randint(-2**62, 2**62)])),
        0x13: lambda: Decimal128(rnd.choice(["NaN", "-Infinity", "-0", f"{rnd.randint(-10**34 + 1, 10**34 - 1)}E{rnd.randint(-6176, 6111)}",
                                             f"{rnd.randint(-10**6, 10**6)}E{rnd.randint(-8, 2)}"])).bid,
        0x7F: lambda: b"",
        0xFF: lambda: b"",
    }
    nested: dict[int, Callable[[], bytes]] = {
        0x03: lambda: any_document(rnd, depth + 1),
        0x04: lambda: any_document(rnd, depth + 1, array=True),
        0x0F: lambda: any_code_with_scope(rnd, depth),
    }
    kinds = simple | nested if depth < 5 else simple
    kind = rnd.choice(list(kinds))
    return kind, kinds[kind]()


def any_binary(rnd: random.Random) -> bytes:
    subtype, data = rnd.choice([(0, rnd.randbytes(rnd.randint(0, 9))), (4, rnd.randbytes(16)), (4, rnd.randbytes(15)), (3, rnd.randbytes(16)), (0x80, b"user")])
    return struct.pack("<iB", len(data), subtype) + data


def any_code_with_scope(rnd: random.Random, depth: int) -> bytes:
    inside = string(any_bytes(rnd)) + any_document(rnd, depth + 1)
    return struct.pack("<i", len(inside) + 4) + inside


def any_document(rnd: random.Random, depth: int = 0, array: bool = False) -> bytes:
    names = [any_bytes(rnd, 3).replace(b"\0", b"") for _ in range(4)]
    elements = b""
    for i in range(rnd.randint(0, 8 - depth)):
        kind, value = any_element(rnd, depth)
        name = str(i).encode() if array else rnd.choice([*names, b"_id", b"message", b"a.b"])
        elements += bytes([kind]) + name + b"\0" + value
    return document(elements)


def nested(levels: int, array: bool = False) -> bytes:
    """levels documents, one in the other."""
    inner = document(b"")
    for _ in range(levels - 1):
        inner = document((b"\x04" if array else b"\x03") + (b"0" if array else b"d") + b"\0" + inner)
    return inner


# --- reading: what plain JSON says --------------------------------------------------------------------


def repaired(text: bytes) -> str:
    return text.decode("utf-8", "replace")


def iso(wall_ms: int) -> str:
    days, ms = divmod(wall_ms, 86_400_000)
    # Python's years end at 0001 and 9999; 400 years are always 146,097 days.
    cycles, shifted = 0, days
    while shifted < -719_162:
        cycles, shifted = cycles - 1, shifted + 146_097
    while shifted > 2_932_896:
        cycles, shifted = cycles + 1, shifted - 146_097
    date = datetime.date(1970, 1, 1) + datetime.timedelta(days=shifted)
    year = date.year + 400 * cycles
    text = f"{year:04d}" if 0 <= year <= 9999 else f"{year:+07d}"
    seconds, ms = divmod(ms, 1000)
    return f"{text}-{date.month:02d}-{date.day:02d}T{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{ms:03d}Z"


@dataclass
class Reader:
    data: bytes
    at: int = 0

    def take(self, count: int) -> bytes:
        piece = self.data[self.at:self.at + count]
        assert len(piece) == count
        self.at += count
        return piece

    def unpack(self, form: str) -> int:
        return struct.unpack("<" + form, self.take(struct.calcsize("<" + form)))[0]

    def cstring(self) -> bytes:
        end = self.data.index(b"\0", self.at)
        piece = self.take(end - self.at)
        self.at += 1
        return piece

    def string(self) -> bytes:
        return self.take(self.unpack("i"))[:-1]

    def document(self, depth: int = 1, array: bool = False) -> object:
        members = Members()
        self.unpack("i")
        while kind := self.take(1)[0]:
            members.append((repaired(self.cstring()), self.value(kind, depth)))
        if depth > MAX_DEPTH:
            return None
        return [v for _, v in members] if array else members

    def binary(self) -> str:
        length, subtype = self.unpack("i"), self.unpack("B")
        data = self.take(length)
        return str(uuid.UUID(bytes=data)) if subtype == 4 and length == 16 else base64.b64encode(data).decode()

    def int64(self) -> object:
        value = self.unpack("q")
        return value if abs(value) <= 2**53 else str(value)

    def double(self) -> object:
        value = self.unpack("d")
        return value if math.isfinite(value) else None

    def code_with_scope(self, depth: int) -> Members:
        self.unpack("i")
        return Members([("code", repaired(self.string())), ("scope", self.document(depth + 1))])

    def timestamp(self) -> Members:
        increment, seconds = self.unpack("I"), self.unpack("I")
        return Members([("t", seconds), ("i", increment)])

    def value(self, kind: int, depth: int) -> object:
        match kind:
            case 0x01: return self.double()
            case 0x02 | 0x0D | 0x0E: return repaired(self.string())
            case 0x03: return self.document(depth + 1)
            case 0x04: return self.document(depth + 1, array=True)
            case 0x05: return self.binary()
            case 0x06 | 0x0A: return None
            case 0x07: return self.take(12).hex()
            case 0x08: return self.take(1) == b"\1"
            case 0x09: return iso(self.unpack("q"))
            case 0x0B: return f"/{repaired(self.cstring())}/{repaired(self.cstring())}"
            case 0x0C: return Members([("$ref", repaired(self.string())), ("$id", self.take(12).hex())])
            case 0x0F: return self.code_with_scope(depth)
            case 0x10: return self.unpack("i")
            case 0x11: return self.timestamp()
            case 0x12: return self.int64()
            case 0x13: return str(Decimal128.from_bid(self.take(16)))
            case 0x7F: return Members([("$maxKey", 1)])
            case 0xFF: return Members([("$minKey", 1)])
        raise AssertionError(f"type {kind:#x}")


def plain(data: bytes) -> object:
    """What bson_json must write for this document, with Members for objects."""
    return Reader(data).document()
