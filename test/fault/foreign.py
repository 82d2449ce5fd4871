"""
What a server can be made to do to a change stream (failpoints, kills, an oplog full of others' entries), and the judgement
of a client's frames against what was written, in places where a gap may be right.
"""

from __future__ import annotations

import datetime
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import bson
import pymongo
from bson.raw_bson import RawBSONDocument

from deadline import WAIT_S, until
from mongod import Mongod
from oracle import hex_time
from server import Server
from stream import Frame, Stream

ALL = {"channels": "logs:*"}
MAPPING = {"collections": ["etl"], "channel": "logs:etl:{workspace_id}:{workflow_id}"}


# --- tailwater --------------------------------------------------------------------------------------------


def configuration(uri: str, database: str, mappings: list[dict] | None = None, **options) -> dict:
    """One source on one database. Nothing is warmed unless a test wants it: a client's id decides what is read."""
    mongodb = {"uri": uri, "max_await_ms": options.pop("max_await_ms", 200)}
    journal = {"warm_s": 0} | options.pop("journal", {})
    source = {"name": "logs", "tag": "a", "database": database, "mappings": mappings or [MAPPING, OTHER]}
    return {"mongodb": mongodb, "sources": [source], "journal": journal, **options}


#: A second collection makes the source's scope the database.
OTHER = {"collections": ["faas"], "channel": "logs:faas:{workspace_id}:{workflow_id}"}


@contextmanager
def running(config: dict) -> Iterator[Server]:
    """A server, judged at its end."""
    server = Server(config)
    try:
        yield server.start(True)
    finally:
        server.dispose()


def status(server: Server) -> dict:
    """The source's entry in /health."""
    return server.health()["sources"][0]


# --- failpoints and kills -----------------------------------------------------------------------------------


class Failing:
    """
    Make these commands of one application fail while the block runs: mode {"times": n} or "alwaysOn"; errorCode=286,
    closeConnection=True, … `failures` tells how many have.
    """

    def __init__(self, client: pymongo.MongoClient, commands: Sequence[str], mode: object, app: str = "tailwater", **how):
        self._client, self._mode = client, mode
        self._data = {"failCommands": list(commands), "appName": app} | how
        self._before = self._off()

    def __enter__(self) -> "Failing":
        self._client.admin.command("configureFailPoint", "failCommand", mode=self._mode, data=self._data)
        return self

    def __exit__(self, *_) -> None:
        self.failures = self._off() - self._before

    def _off(self) -> int:
        return self._client.admin.command("configureFailPoint", "failCommand", mode="off")["count"]


def operations(client: pymongo.MongoClient, app: str = "tailwater") -> list[dict]:
    """Running getMores of tailwater, each with opid and cursor."""
    stages = [{"$currentOp": {"allUsers": True, "idleCursors": False}},
              {"$match": {"appName": app, "command.getMore": {"$exists": True}, "op": "getmore"}}]
    return list(client.admin.aggregate(stages))


# --- an oplog full of others' entries --------------------------------------------------------------------------


def write_foreign(client: pymongo.MongoClient, database: str, count: int, threads: int = 2) -> float:
    """That many tiny documents into a collection of a database that nobody reads; returns the seconds it took."""
    began = time.monotonic()
    empty = RawBSONDocument(bson.encode({}))

    def work(number: int) -> None:
        target = client[database].get_collection(f"rows{number}", write_concern=pymongo.WriteConcern(1, j=False))
        left = count // threads
        while left:
            size = min(left, 50000)
            # Without an _id in the documents the server makes it: nothing to encode here.
            client[database].command("insert", target.name, documents=[empty] * size, ordered=False)
            left -= size

    workers = [threading.Thread(target=work, args=(i,)) for i in range(threads)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    return time.monotonic() - began


def roll_oplog(node: Mongod, point: str) -> float:
    """Write elsewhere until the oplog's oldest entry lies behind the point (16 hex digits); returns the seconds it took."""
    began = time.monotonic()
    filler = node.client["filler"]["rows"]
    pad = {"pad": "x" * 250_000}

    def rolled() -> bool:
        filler.insert_many([dict(pad) for _ in range(20)])
        filler.delete_many({})
        return hex_time(node.oldest()) > point

    until(rolled, "the oplog rolled over", WAIT_S * 3, every_s=0.05)
    return time.monotonic() - began


# --- what a client got -------------------------------------------------------------------------------------------


@dataclass
class Verdict:
    """What became of one test's events, for its line of figures."""

    name: str
    events: int = 0
    clients: int = 0
    lost: int = 0
    doubled: int = 0
    gaps: int = 0
    silence_s: float = 0.0
    more: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        words = [f"{self.events} events", f"{self.clients} clients", f"{self.lost} lost", f"{self.doubled} doubled",
                 f"{self.gaps} gaps", f"longest silence {self.silence_s:.2f} s", *self.more]
        return f"{self.name}: " + ", ".join(words)


def is_replayed(frame: Frame) -> bool:
    """A row of a collection. (Events have no id either between a gap that announces rows and `caught-up`.)"""
    return frame.json.get("replay", False)


def without_id(frames: Sequence[Frame]) -> list[Frame]:
    """Events without an id where they must have one: not behind a gap that is still to be caught up with."""
    bare, due = [], False
    for f in frames:
        due = (due or f.event == "gap" and f.json["replayed"] > 0) and f.event != "caught-up"
        if not f.is_control and not f.id and not due:
            bare.append(f)
    return bare


def number(frame: Frame) -> int:
    """Of the document; one that was cut still has its _id."""
    document = frame.json["log_data"]
    return document["n"] if "n" in document else document["_id"]


def silence_s(frames: Sequence[Frame]) -> float:
    return max((b.at - a.at for a, b in zip(frames, frames[1:], strict=False)), default=0.0)


def wait_number(stream: Stream, last: int, timeout_s: float = WAIT_S) -> None:
    """Until the event of this number, or one behind it, has come, live or replayed."""
    def has_come(s: Stream) -> bool:
        newest = next((f for f in reversed(s.frames[:]) if f.data is not None and not f.is_control), None)
        return newest is not None and number(newest) >= last

    stream.wait(has_come, f"event {last}", timeout_s)


def again_live(events: Iterable[Frame]) -> list[int]:
    """What came live although it had been replayed before."""
    replayed: set[int] = set()
    again = []
    for f in events:
        if is_replayed(f):
            replayed.add(number(f))
        elif number(f) in replayed:
            again.append(number(f))
    return again


def judge(verdict: Verdict, frames: Iterable[Frame], wanted: Sequence[int], reasons: Sequence[str] = ()) -> list[int]:
    """
    One client's frames against the numbers that it must get, in their order. Live events come once and in order, with ids
    that never sink; gaps have exactly these reasons; rows (replayed, without an id) are as many as gaps have announced, and
    none of them comes again live. What is neither live nor replayed is returned: allowed
    only where a gap said that history was lost and the replay was not complete.
    """
    frames = [f for f in frames if f.data is not None]
    gaps = [f.json for f in frames if f.event == "gap"]
    events = [f for f in frames if not f.is_control]
    live = [number(f) for f in events if not is_replayed(f)]
    rows = [f for f in events if is_replayed(f)]
    replayed = {number(f) for f in rows}
    missing = sorted(set(wanted) - set(live) - replayed)
    verdict.events += len(events)
    verdict.clients += 1
    verdict.gaps += len(gaps)
    verdict.doubled += len(live) - len(set(live))
    verdict.lost += len(missing)
    verdict.silence_s = max(verdict.silence_s, silence_s(events))
    assert [g["reason"] for g in gaps] == list(reasons), gaps
    assert len(live) == len(set(live)), f"doubled: {sorted(n for n in set(live) if live.count(n) > 1)[:10]}"
    assert live == sorted(live), "out of order"
    assert set(live) <= set(wanted), f"not wanted: {sorted(set(live) - set(wanted))[:10]}"
    assert not missing or any(g["reason"] == "history_lost" and not g["complete"] for g in gaps), f"lost: {missing[:10]}"
    assert len(rows) == sum(g["replayed"] for g in gaps), f"{len(rows)} rows, {gaps}"
    assert not without_id(frames), without_id(frames)[:3]
    assert not [f for f in rows if f.id], "a row with an id"
    assert not again_live(events), f"replayed, and then live: {again_live(events)[:10]}"
    ids = [f.id[:16] for f in frames if f.id]
    assert ids == sorted(ids), "ids sink"
    return missing


def seconds(iso: str) -> int:
    """Of a gap's from or to: whole seconds, as cluster times have them."""
    return int(datetime.datetime.fromisoformat(iso.replace("Z", "+00:00")).timestamp())
