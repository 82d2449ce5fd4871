"""
The truth, found without tailwater: a reference change stream read with pymongo gives the order, and the rules of channels,
patterns and JSON are written here a second time, from the contract.
"""

from __future__ import annotations

import base64
import datetime
import math
import random
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

import bson
import bson.raw_bson
import pymongo
from bson import Decimal128, Int64, ObjectId, Timestamp
from pymongo.database import Database

from deadline import WAIT_S
from stream import EVENT_ID, Frame

#: Bytes that stand for themselves in a channel segment besides letters and digits (quote() keeps "_.-~" anyway).
PRINTABLE = "".join(chr(c) for c in range(0x21, 0x7F) if chr(c) not in ":,*%")


# --- channels ---------------------------------------------------------------------------------------


def segment(value: object) -> str | None:
    """A document's value as a channel segment; None when it cannot be one."""
    if isinstance(value, bool) or isinstance(value, float):
        return None
    if not isinstance(value, (str, int, ObjectId, uuid.UUID)) or value == "":
        return None
    text = str(value)
    return "".join(c if ord(c) > 0x7F and c.isprintable() else quote(c, safe=PRINTABLE) for c in text)


def covers(pattern: str, channel: str) -> bool:
    """Does a subscription pattern match a channel? "*" = one segment, at the end one or more."""
    want, have = pattern.split(":"), channel.split(":")
    if want[-1] == "*":
        if len(have) < len(want):
            return False
        want, have = want[:-1], have[:len(want) - 1]
    return len(want) == len(have) and all(w in ("*", h) for w, h in zip(want, have))


@dataclass(frozen=True)
class Rule:
    """One mapping, as the oracle sees it: collection -> channel by prefix and the fields behind it."""

    collection: str
    prefix: str
    fields: tuple[str, ...]
    labels: tuple[tuple[str, str], ...] = ()
    operations: tuple[str, ...] = ("insert",)

    @property
    def config(self) -> dict:
        """The same as tailwater's configuration."""
        places = "".join(f":{{{f}}}" for f in self.fields)
        return {"collections": [self.collection], "channel": self.prefix + places, "labels": dict(self.labels),
                "operations": list(self.operations)}

    def channel(self, document: dict) -> str | None:
        """None: unroutable. A missing last field drops its segment."""
        parts = [self.prefix]
        for i, name in enumerate(self.fields):
            value: object = document
            for step in name.split("."):
                value = value.get(step) if isinstance(value, dict) else None
            text = segment(value)
            if text is None:
                if value is None and i == len(self.fields) - 1:
                    break
                return None
            parts.append(text)
        return ":".join(parts)


# --- JSON -------------------------------------------------------------------------------------------


def iso(when: datetime.datetime) -> str:
    if when.tzinfo:
        when = when.astimezone(datetime.timezone.utc)
    return when.strftime("%Y-%m-%dT%H:%M:%S.") + f"{when.microsecond // 1000:03d}Z"


def plain_json(value: object) -> object:
    """A BSON value in the plain JSON of the contract, for the types on which it says something."""
    match value:
        case dict(): return {k: plain_json(v) for k, v in value.items()}
        case list(): return [plain_json(v) for v in value]
        case ObjectId(): return str(value)
        case datetime.datetime(): return iso(value)
        case Decimal128(): return str(value)
        case bytes(): return base64.b64encode(value).decode()
        case bool() | str() | None: return value
        case int(): return value if abs(value) <= 2**53 else str(int(value))
        case float(): return value if math.isfinite(value) else None
    raise TypeError(type(value))


# --- the reference stream -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Truth:
    """One event that must be delivered, in the stream's order."""

    cluster_time: str  # 16 hex digits
    token: str  # the raw resume token
    channel: str
    document: dict
    ts: str
    rule: Rule

    @property
    def key(self) -> tuple[str, str]:
        return self.channel, str(self.document["_id"])

    def data(self) -> dict:
        """The event's JSON as the contract words it."""
        names = {f: plain_json(self.document[f]) for f in self.rule.fields if f in self.document}
        return {"channel": self.channel, "type": "log", **dict(self.rule.labels), **names, "ts": self.ts,
                "log_data": plain_json(self.document)}


def hex_time(ts: Timestamp) -> str:
    return f"{ts.time:08x}{ts.inc:08x}"


def read_truth(database: Database, rules: Sequence[Rule], start: Timestamp, is_last: Callable[[dict], bool]) -> list[Truth]:
    """All events from start up to the document that is_last recognises, by a change stream on the whole database."""
    by_name = {r.collection: r for r in rules}
    truth: list[Truth] = []
    end = time.monotonic() + WAIT_S * 2
    with database.watch(start_at_operation_time=start, batch_size=1000, max_await_time_ms=200) as stream:
        while time.monotonic() < end:
            change = stream.try_next()
            if change is None:
                continue
            rule = by_name.get(change.get("ns", {}).get("coll"))
            if rule is None or change["operationType"] not in rule.operations:
                continue
            document = change["fullDocument"]
            channel = rule.channel(document)
            if channel is not None:
                ts = iso(change["wallTime"]) if "wallTime" in change else ""
                truth.append(Truth(hex_time(change["clusterTime"]), change["_id"]["_data"], channel, document, ts, rule))
            if is_last(document):
                return truth
    raise AssertionError("the reference stream never saw the last document")


def matching(truth: Iterable[Truth], patterns: Iterable[str]) -> list[Truth]:
    patterns = list(patterns)
    return [t for t in truth if any(covers(p, t.channel) for p in patterns)]


def key_of(frame: Frame) -> tuple[str, str]:
    data = frame.json
    return data["channel"], str(data["log_data"]["_id"])


def first_difference(got: Sequence, want: Sequence) -> str:
    at = next((i for i, (a, b) in enumerate(zip(got, want)) if a != b), min(len(got), len(want)))
    return f"{len(got)} got, {len(want)} wanted, differ at {at}: {list(got[at:at + 3])} instead of {list(want[at:at + 3])}"


def assert_exact(frames: Sequence[Frame], truth: Sequence[Truth], where: str = "") -> None:
    """The frames are exactly the truth: every event once, in order, with its cluster time in its id."""
    got, want = [key_of(f) for f in frames], [t.key for t in truth]
    assert got == want, f"{where}: {first_difference(got, want)}"
    for f, t in zip(frames, truth):
        assert f.id and EVENT_ID.fullmatch(f.id.rpartition("~")[2]), f"{where}: id {f.id!r}"
        assert f.id[:16] == t.cluster_time, f"{where}: {f.id} for cluster time {t.cluster_time}"


# --- a workload ---------------------------------------------------------------------------------------


class Workload:
    """Random writes into a database: single, many, in transactions, with replaces and noise; seeded."""

    def __init__(self, client: pymongo.MongoClient, database: str, rules: Sequence[Rule], seed: int, pad: int = 0):
        self.client = client
        self.database = client[database]
        self.rules = list(rules)
        self.random = random.Random(seed)
        self.pad = pad
        self.count = 0
        for rule in rules:  # a transaction must not have to create collections
            if rule.collection not in self.database.list_collection_names():
                self.database.create_collection(rule.collection)

    def document(self, rule: Rule) -> dict:
        self.count += 1
        document: dict = {"_id": ObjectId(), "n": self.count, "level": self.random.choice(["INFO", "WARN", "ERROR"]),
                          "message": f"line {self.count}"}
        for name in rule.fields:
            prefix = "w" if name == "workspace_id" else "f"
            self._put(document, name, f"{prefix}{self.random.randint(1, 4)}")
        if self.random.random() < 0.08:
            document.pop(rule.fields[-1].split(".")[0], None)
        if self.pad:
            document["pad"] = "x" * self.pad
        return document

    def step(self) -> None:
        """One random operation, 1 to 8 documents."""
        rule = self.random.choice(self.rules)
        target = self.database[rule.collection]
        match self.random.randrange(10):
            case 0 | 1 | 2: target.insert_one(self.document(rule))
            case 3 | 4: target.insert_many([self.document(rule) for _ in range(self.random.randint(2, 8))])
            case 5 | 6: self.transaction(self.random.randint(2, 6))
            case 7: self._replace(rule)
            case 8: target.update_one({}, {"$set": {"touched": self.count}})
            case 9: self.database["foreign"].insert_one({"workspace_id": "w1", "n": self.count})

    def run(self, documents: int) -> None:
        while self.count < documents:
            self.step()

    def transaction(self, size: int) -> list[dict]:
        """Documents over all collections in one transaction: one cluster time."""
        pairs = [(r := self.random.choice(self.rules), self.document(r)) for _ in range(size)]

        def insert(session) -> None:
            for rule, document in pairs:
                self.database[rule.collection].insert_one(document, session=session)

        with self.client.start_session() as session:
            session.with_transaction(insert)
        return [d for _, d in pairs]

    def _replace(self, rule: Rule) -> None:
        target = self.database[rule.collection]
        found = target.find_one()
        if found:
            target.replace_one({"_id": found["_id"]}, self.document(rule) | {"_id": found["_id"], "replaced": True})

    @staticmethod
    def _put(document: dict, path: str, value: object) -> None:
        *above, last = path.split(".")
        for step in above:
            document = document.setdefault(step, {})
        document[last] = value


# --- random documents -----------------------------------------------------------------------------------


def random_value(rnd: random.Random, depth: int = 0) -> object:
    """Any value on whose JSON the contract says something."""
    kinds: list[Callable[[], object]] = [
        lambda: None, lambda: rnd.random() < 0.5, lambda: rnd.randint(-2**31, 2**31 - 1),
        lambda: Int64(rnd.choice([2**53, 2**53 + 1, -2**53, -2**53 - 1, 2**63 - 1, -2**63, rnd.getrandbits(62)])),
        lambda: rnd.choice([0.0, -0.5, 1e300, 5e-324, math.pi, float("nan"), float("inf"), float("-inf"), rnd.gauss(0, 1e6)]),
        lambda: random_text(rnd), lambda: ObjectId(rnd.randbytes(12)), lambda: rnd.randbytes(rnd.randint(0, 40)),
        lambda: datetime.datetime(1970, 1, 1) + datetime.timedelta(milliseconds=rnd.randint(-2**41, 2**42)),
        lambda: Decimal128(rnd.choice(["1.5", "-0", "1E+3", "NaN", "12345678901234567890.123"])),
    ]
    if depth < 4:
        kinds += [lambda: random_document(rnd, depth + 1),
                  lambda: [random_value(rnd, depth + 1) for _ in range(rnd.randint(0, 4))]]
    return rnd.choice(kinds)()


def random_text(rnd: random.Random) -> str:
    alphabet = 'abc XYZ09"\\/\b\f\n\r\t\0\x01\x1f\x7f\x85:,*%{}[]<>&äß€\u2028\u2029\ufeff\ufffd😀'
    return "".join(rnd.choice(alphabet) for _ in range(rnd.randint(0, 24)))


def random_document(rnd: random.Random, depth: int = 0) -> dict:
    names = [random_text(rnd).replace("\0", "").replace("$", "") or "k" for _ in range(rnd.randint(0, 5))]
    return {name: random_value(rnd, depth) for name in names}


def raw_document(document: dict, replacements: dict[bytes, bytes]) -> bson.raw_bson.RawBSONDocument:
    """BSON with bytes exchanged behind the encoder's back (same length), e.g. to make UTF-8 invalid."""
    data = bson.encode(document)
    for old, new in replacements.items():
        assert len(old) == len(new) and old in data
        data = data.replace(old, new)
    return bson.raw_bson.RawBSONDocument(data)
