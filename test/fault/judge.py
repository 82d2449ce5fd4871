"""
What is true, and how far each client's record is from it.

The truth is a change stream of pymongo's own on the stage's database, from the cluster time at which the suite began: it gives
the order and the cluster times. A client's record is compared with the part of it that the client asked for:

  lost        not received, and no gap told it
  told        not received, inside a gap's from and to, at the gap's place in the record
  duplicates  received again, without an "overlap" that announced it
  again       received again as an "overlap" had announced
  disordered  received after a later one
  foreign     received, but not asked for, or never written
  wrong_ids   the id's cluster time is another one
  gaps        told; idle_gaps: those in whose span no client of the whole crowd missed anything
  rows        received without an id, from a collection
"""

from __future__ import annotations

import datetime
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from bson import Timestamp
from pymongo.errors import PyMongoError
from pymongo.write_concern import WriteConcern

from crowd import Change, Entry, Interest, Record
from deadline import WAIT_S, Expired, until
from traffic import COLLECTIONS, channel_of


class Truth:
    """The stage's events, window by window."""

    def __init__(self, client, database: str):
        self._client = client
        self._database = client[database]
        self._next: Timestamp = until(self._present, "the present cluster time")
        self._windows = 0
        self.all: list[Change] = []  # of all windows that are closed

    def _present(self) -> Timestamp | None:
        try:
            now = self._client.admin.command("ping")["operationTime"]
            return Timestamp(now.time, now.inc + 1)
        except PyMongoError:
            return None

    def close_window(self) -> tuple[list[Change], str]:
        """All events since the last time, and a cluster time behind them; writers must be at rest."""
        self._windows += 1
        until(self._write_end, "the window's end is written", 60)
        deadline = time.monotonic() + WAIT_S * 2
        while time.monotonic() < deadline:
            try:
                changes, end = self._read()
                self.all += changes
                return changes, end
            except PyMongoError:
                time.sleep(0.1)
        raise Expired("the truth cannot be read")

    def _write_end(self) -> bool:
        ends = self._database.get_collection("window", write_concern=WriteConcern("majority", wtimeout=5000))
        try:
            ends.replace_one({"_id": self._windows}, {"_id": self._windows}, upsert=True)
            self._client.admin.command("appendOplogNote", 1, data={"tick": 1})  # so that positions pass the end
            return True
        except PyMongoError:
            return False

    def _read(self) -> tuple[list[Change], str]:
        changes = []
        only = [{"$match": {"operationType": "insert", "ns.coll": {"$in": [*COLLECTIONS, "window"]}}}]
        with self._database.watch(only, start_at_operation_time=self._next, batch_size=1000, max_await_time_ms=500) as stream:
            for change in stream:
                name, document, at = change["ns"]["coll"], change["fullDocument"], change["clusterTime"]
                if name == "window" and document["_id"] == self._windows:
                    self._next = Timestamp(at.time, at.inc + 1)
                    return changes, f"{at.time:08x}{at.inc:08x}"
                if name in COLLECTIONS and "workspace_id" in document:
                    changes.append(Change(f"{at.time:08x}{at.inc:08x}", str(document["_id"]), channel_of(name, document),
                                          document.get("level")))
        raise Expired("the change stream ended")


@dataclass
class Verdict:
    """Over all clients of a window."""

    events: int = 0  # of the truth
    delivered: int = 0
    clients: int = 0
    lost: int = 0
    told: int = 0
    duplicates: int = 0
    again: int = 0
    disordered: int = 0
    foreign: int = 0
    wrong_ids: int = 0
    rows: int = 0
    gaps: int = 0
    idle_gaps: int = 0
    reconnects: int = 0
    silence_s: float = 0.0  # of clients that get much
    leavers_silence_s: float = 0.0  # the same, of those that leave a connection on which nothing comes
    writers_silence_s: float = 0.0
    reasons: Counter = field(default_factory=Counter)  # of gaps
    examples: list[str] = field(default_factory=list)  # of what is wrong
    extract: list[str] = field(default_factory=list)  # the first client's record, around the first thing that is wrong

    @property
    def wrong(self) -> int:
        return self.lost + self.duplicates + self.disordered + self.foreign + self.wrong_ids

    def blame(self, kind: str, record: Record, text: str) -> None:
        setattr(self, kind, getattr(self, kind) + 1)
        if len(self.examples) < 12:
            self.examples.append(f"{kind}: client {record.number} ({record.interest.name}): {text}")


def seconds(iso: str | None) -> int | None:
    """The gap's from and to are told in ISO 8601; cluster times have whole seconds."""
    return None if iso is None else int(datetime.datetime.fromisoformat(iso.replace("Z", "+00:00")).timestamp())


def span_of(gap: Entry) -> tuple[int, int]:
    begin, end = seconds(gap.data.get("from")), seconds(gap.data.get("to"))
    return (0 if begin is None else begin), (1 << 32 if end is None else end)


class _Reading:
    """One record, read from its beginning."""

    def __init__(self, record: Record, wanted: list[Change], index: dict[str, int], verdict: Verdict):
        self.record, self.wanted, self.index, self.verdict = record, wanted, index, verdict
        self.seen: set[str] = set()
        self.rows: set[str] = set()
        self.reached = -1
        self.gaps: list[Entry] = []  # since the last event
        self.skipped: list[tuple[int, list[Entry]]] = []  # events that were passed over, and the gaps there
        self.asked: str | None = None
        self.overlaps: set[str] = set()
        self.later: list[tuple[str, str]] = []  # received again
        self.missing_at: list[int] = []  # cluster seconds of what gaps told

    def read(self) -> None:
        for entry in self.record.entries:
            getattr(self, "_" + entry.kind.replace("-", "_"))(entry)
        self._pass_over(len(self.wanted))
        self._judge_again()
        self._judge_missing()
        if self.verdict.wrong and not self.verdict.extract:
            self._extract()

    def _extract(self) -> None:
        """What was received, in short: runs of events by their ends."""
        entries = self.record.entries
        self.verdict.extract.append(f"client {self.record.number} ({self.record.interest.name}), {len(entries)} entries")
        for i, entry in enumerate(entries):
            near = {e.kind for e in entries[max(0, i - 1):i + 2]}
            if near != {"event"}:
                self.verdict.extract.append(str(entry))

    def _start(self, entry: Entry) -> None:
        self.asked = entry.data["asked"]
        self._caught_up(entry)

    def _caught_up(self, entry: Entry) -> None:
        if entry.data.get("resumed") == "overlap" and self.asked:
            self.overlaps.add(self.asked[:16])

    def _gap(self, entry: Entry) -> None:
        self.gaps.append(entry)
        self.verdict.gaps += 1
        self.verdict.reasons[entry.data["reason"]] += 1

    def _row(self, entry: Entry) -> None:
        self.rows.add(entry.key)
        self.verdict.rows += 1

    def _event(self, entry: Entry) -> None:
        at = self.index.get(entry.key)
        self.verdict.delivered += 1
        if at is None:
            self.verdict.blame("foreign", self.record, f"{entry.key} ({entry.id})")
        elif entry.key in self.seen or entry.key in self.rows:
            self.later.append((entry.key, entry.id[:16]))
        else:
            self._first_time(entry, at)

    def _first_time(self, entry: Entry, at: int) -> None:
        self.seen.add(entry.key)
        if entry.id[:16] != self.wanted[at].time:
            self.verdict.blame("wrong_ids", self.record, f"{entry.key}: {entry.id}, cluster time {self.wanted[at].time}")
        if at < self.reached:
            self.verdict.blame("disordered", self.record, f"{entry.key} after {self.wanted[self.reached].key}")
            return
        self._pass_over(at)
        self.reached = at
        self.gaps = []

    def _pass_over(self, at: int) -> None:
        self.skipped += [(i, self.gaps) for i in range(self.reached + 1, at)]

    def _judge_again(self) -> None:
        for key, at in self.later:
            if at in self.overlaps:
                self.verdict.again += 1
            else:
                self.verdict.blame("duplicates", self.record, f"{key} ({at})")

    def _judge_missing(self) -> None:
        for i, gaps in self.skipped:
            change = self.wanted[i]
            if change.key in self.seen or change.key in self.rows:
                continue
            second = int(change.time[:8], 16)
            if any(begin <= second <= end for begin, end in map(span_of, gaps)):
                self.verdict.told += 1
                self.missing_at.append(second)
            else:
                self.verdict.blame("lost", self.record, f"{change.key} ({change.time}), last id {self.record.last_id}")


def judge(records: Iterable[Record], truth: list[Change]) -> Verdict:
    """Compare all records of a window with its truth."""
    verdict = Verdict(events=len(truth))
    wanted: dict[Interest, tuple[list[Change], dict[str, int]]] = {}
    missing_at: set[int] = set()
    spans: list[tuple[int, int]] = []
    for record in records:
        if record.interest not in wanted:
            mine = [c for c in truth if record.interest.wants(c)]
            wanted[record.interest] = mine, {c.key: i for i, c in enumerate(mine)}
        reading = _Reading(record, *wanted[record.interest], verdict)
        reading.read()
        missing_at.update(reading.missing_at)
        spans += [span_of(e) for e in record.entries if e.kind == "gap"]
        verdict.clients += 1
        verdict.reconnects += record.connects
        if record.interest.is_dense:
            verdict.silence_s = max(verdict.silence_s, record.silence_s)
            if not record.is_patient:
                verdict.leavers_silence_s = max(verdict.leavers_silence_s, record.silence_s)
    verdict.idle_gaps = sum(not any(begin <= s <= end for s in missing_at) for begin, end in spans)
    return verdict
