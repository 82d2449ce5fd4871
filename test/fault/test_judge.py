"""The judge finds what it is there to find: records made by hand, each wrong in one way."""

from __future__ import annotations

import pytest
from crowd import Change, Entry, Record, find_key
from judge import Verdict, judge
from stage import pattern

INTEREST = pattern("everything", "logs:*", True)
TIMES = [f"{1700000000 + i // 2:08x}{i % 2 + 1:08x}" for i in range(8)]  # two events a second
TRUTH = [Change(t, f"k{i}", "logs:etl:w:f", "info") for i, t in enumerate(TIMES)]


def event(i: int, time: str | None = None) -> Entry:
    return Entry("event", f"{time or TIMES[i]}-000000000000", f"k{i}")


def loss(begin: int, end: int) -> Entry:
    """A gap over whole seconds after the first one."""
    iso = "2023-11-14T22:13:{:02d}.000Z".format
    return Entry("gap", None, data={"reason": "history_lost", "from": iso(20 + begin), "to": iso(20 + end)})


def of(*entries: Entry) -> Verdict:
    return judge([Record(0, INTEREST, list(entries), 0.0, 0, None, True)], TRUTH)


def run(*numbers: int) -> list[Entry]:
    return [event(i) for i in numbers]


def found(verdict: Verdict) -> dict[str, int]:
    names = ("lost", "told", "duplicates", "again", "disordered", "foreign", "wrong_ids", "rows", "gaps", "idle_gaps")
    return {n: getattr(verdict, n) for n in names if getattr(verdict, n)}


OVERLAP = Entry("start", None, data={"resumed": "overlap", "asked": TIMES[3] + "-00000000000f"})
ROW = Entry("row", None, "k3")


@pytest.mark.parametrize("entries, expected", [
    (run(*range(8)), {}),
    (run(0, 1, 2, 4, 5, 6, 7), {"lost": 1}),
    (run(0, 1, 2, 3, 4, 5), {"lost": 2}),
    ([], {"lost": 8}),
    (run(0, 1, 2, 2, 3, 4, 5, 6, 7), {"duplicates": 1}),
    (run(0, 1, 3, 2, 4, 5, 6, 7), {"disordered": 1}),
    ([*run(*range(8)), Entry("event", TIMES[7] + "-000000000000", "x")], {"foreign": 1}),
    ([*run(*range(7)), event(7, TIMES[6])], {"wrong_ids": 1}),
    ([*run(0, 1, 2, 3), OVERLAP, *run(3, 4, 5, 6, 7)], {"again": 1}),
    ([*run(0, 1, 2, 3), OVERLAP, *run(2, 3, 4, 5, 6, 7)], {"again": 1, "duplicates": 1}),
    ([*run(0, 1), loss(1, 2), *run(6, 7)], {"told": 4, "gaps": 1}),
    ([*run(0, 1), loss(1, 1), *run(6, 7)], {"told": 2, "lost": 2, "gaps": 1}),
    ([loss(1, 2), *run(0, 1, 6, 7)], {"lost": 4, "gaps": 1, "idle_gaps": 1}),
    ([*run(0, 1, 2, 3), loss(1, 2), *run(4, 5, 6, 7)], {"gaps": 1, "idle_gaps": 1}),
    ([*run(0, 1), loss(1, 1), ROW, *run(4, 5, 6, 7)], {"told": 1, "gaps": 1, "rows": 1}),
    ([*run(0, 1), loss(1, 1), ROW, *run(3, 4, 5, 6, 7)], {"told": 1, "duplicates": 1, "gaps": 1, "rows": 1}),
], ids=lambda v: " ".join(v) or "right" if isinstance(v, dict) else "")
def test_verdict(entries, expected):
    assert found(of(*entries)) == expected


@pytest.mark.parametrize("data, key", [
    (b'{"channel":"c","type":"log","ts":"x","log_data":{"_id":"1-000004","a":1}}', "1-000004"),
    (b'{"_id":"no","log_data":{"_id":17,"a":1}}', "17"), (b'{"log_data":{"_id":5}}', "5"),
])
def test_find_key(data, key):
    assert find_key(data) == key
