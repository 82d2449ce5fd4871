"""
Documents that do not fit: near 16 MB, with an _id of megabytes, with bytes that are no UTF-8, in transactions larger than the
journal and the windows of catch-up. What cannot be delivered is told as a gap in its place; nothing else is lost.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import bson
import pymongo
import pytest

from deadline import until
from foreign import ALL, Verdict, configuration, judge, number, running, silence_s, status
from mongod import Mongod
from oracle import raw_document
from server import Server
from stream import Frame, Hub, Stream

MB = 1 << 20
#: An _id that the pipeline strips, one whose event even its own token makes too large, and one whose token cannot even be
#: written (the oplog takes nothing beyond).
BIG_ID, HUGE_ID, LARGEST_ID = 3 * MB, 7 * MB, 8 * MB
SMALL = {"journal": {"bytes": 65536}, "catchup": {"window_bytes": 65536, "max": 2}}


@pytest.fixture(scope="module")
def node() -> Iterator[Mongod]:
    node = Mongod("--setParameter", "periodicNoopIntervalSecs=1", oplog_mb=990, cache_gb=0.5)
    yield node.start()
    node.stop()


@pytest.fixture
def name(node: Mongod, request: pytest.FixtureRequest) -> Iterator[str]:
    """A database of the test's own."""
    name = "".join(c if c.isalnum() else "_" for c in request.node.name)[:40]
    node.client[name].create_collection("etl")  # a transaction must not have to
    yield name
    node.client.drop_database(name)


def row(n: int, **more) -> dict:
    return {"_id": n, "workspace_id": f"w{n % 4}", "workflow_id": "f", "n": n} | more


def giant(n: int, id_bytes: int) -> dict:
    """An _id of so many bytes."""
    return row(n) | {"_id": f"{n}" + "k" * id_bytes}


def outline(frames: Sequence[Frame]) -> list[int | str]:
    """Numbers of events, and the reasons of gaps, in their order."""
    return [f.json["reason"] if f.event == "gap" else number(f) for f in frames
            if f.data is not None and (f.event == "gap" or not f.is_control)]


def wait_end(stream: Stream, n: int, timeout_s: float = 60) -> None:
    stream.wait(lambda s: s.events and number(s.events[-1]) == n, f"event {n}", timeout_s)


def assert_same(verdict: Verdict, stream: Stream, want: Sequence[int | str]) -> None:
    got = outline(stream.frames)
    verdict.clients += 1
    verdict.events += len(stream.events)
    verdict.gaps += got.count("oversize")
    numbers = [n for n in got if isinstance(n, int)]
    verdict.lost += len({n for n in want if isinstance(n, int)} - set(numbers))
    verdict.doubled += len(numbers) - len(set(numbers))
    verdict.silence_s = max(verdict.silence_s, silence_s(stream.events))
    assert got == list(want), f"{got[:60]} instead of {list(want)[:60]}"


def resumed(hub: Hub, server: Server, point: str, target: dict | None = None) -> Stream:
    return hub.open(server.port, target or ALL, headers={"Last-Event-ID": point})


# --- documents near 16 MB --------------------------------------------------------------------------------------


def test_sixteen_megabytes(node, name, hub, report):
    """Documents of 15.9 MB between ordinary ones: cut to fit, in their place, live and by catch-up."""
    verdict = Verdict("5 documents of 15.9 MB")
    config = configuration(node.uri, name, **SMALL)
    big = "x" * int(15.9 * MB)
    with running(config) as server:
        stream = hub.open(server.port, ALL)
        begin = stream.wait_ready().id
        target = node.client[name].etl
        for n in range(15):
            target.insert_one(row(n, message=big) if n % 3 == 1 else row(n))
        wait_end(stream, 14)
        assert_same(verdict, stream, range(15))
        assert [f.json.get("truncated", False) for f in stream.events] == [n % 3 == 1 for n in range(15)]
        assert max(len(f.data) for f in stream.events) <= 60000
    with running(config) as late:
        again = resumed(hub, late, begin)
        wait_end(again, 14)
        assert_same(verdict, again, range(15))
        assert [f.raw for f in again.events] == [f.raw for f in stream.events]
    report(str(verdict))


# --- giant _ids --------------------------------------------------------------------------------------------------


#: Where the giants are among 0…: number -> bytes of its _id.
PLANS = {
    "3 MB": {5: BIG_ID},
    "7 MB": {5: HUGE_ID},
    "3 and 7 MB in turn": {3: BIG_ID, 6: HUGE_ID, 9: BIG_ID, 12: HUGE_ID},
    "six in a row": {3: HUGE_ID, 4: BIG_ID, 5: HUGE_ID, 6: HUGE_ID, 7: BIG_ID, 8: BIG_ID},
    "first and last": {0: HUGE_ID, 19: BIG_ID},
    "the largest": {5: LARGEST_ID, 6: LARGEST_ID, 9: LARGEST_ID, 10: HUGE_ID},
}
COUNT = 21

#: Found by this suite: a guard that steps over one giant drops others unsaid, or loses its place inside a transaction.
LONG = pytest.mark.long


def told_in_place(verdict: Verdict, stream: Stream, plan: dict[int, int], count: int = COUNT) -> None:
    """
    Everything but the giants has come, and each giant has a gap between the last event before it and the first behind it.
    Giants in a row may share one, and there may be one more than giants.
    """
    got = outline(stream.frames)
    numbers = [n for n in got if isinstance(n, int)]
    want = [n for n in range(count) if n not in plan]
    verdict.clients += 1
    verdict.events += len(numbers)
    verdict.gaps += got.count("oversize")
    verdict.lost += len(set(want) - set(numbers))
    verdict.doubled += len(numbers) - len(set(numbers))
    verdict.silence_s = max(verdict.silence_s, silence_s(stream.events))
    assert numbers == want, f"{got}"
    for n in plan:
        before = max((i for i, m in enumerate(got) if isinstance(m, int) and m < n), default=-1)
        behind = next((i for i, m in enumerate(got) if isinstance(m, int) and m > n), len(got))
        assert "oversize" in got[before + 1:behind], f"nobody was told of {n}: {got}"
    assert set(got) - set(numbers) == {"oversize"} and got.count("oversize") <= 2 * len(plan), got


def insert_all(target, plan: dict[int, int], count: int = COUNT, **more) -> None:
    for n in range(count):
        target.insert_one(giant(n, plan[n]) if n in plan else row(n), **more)


@pytest.mark.parametrize("plan", [
    "3 and 7 MB in turn", pytest.param("3 MB", marks=LONG), "7 MB",
    pytest.param("first and last", marks=LONG), "six in a row",
    pytest.param("the largest", marks=LONG),
])
def test_giant_ids(node, name, hub, report, plan):
    """One by one, read live; and all at once by a client that comes back to an instance that was not there."""
    verdict = Verdict(f"giant _ids, {plan}")
    config = configuration(node.uri, name, **SMALL)
    with running(config) as server:
        stream = hub.open(server.port, ALL)
        begin = stream.wait_ready().id
        insert_all(node.client[name].etl, PLANS[plan])
        wait_end(stream, COUNT - 1)
        told_in_place(verdict, stream, PLANS[plan])
    with running(config) as late:
        for point in (begin, stream.events[1].id):
            again = resumed(hub, late, point)
            wait_end(again, COUNT - 1)
            got, live = outline(again.frames), outline(stream.frames)
            first = 0 if point == begin else number(stream.events[1]) + 1
            if first == 0:
                told_in_place(verdict, again, PLANS[plan])
            assert [n for n in got if isinstance(n, int)] == [n for n in live if isinstance(n, int) and n >= first]
    report(str(verdict))


@pytest.mark.parametrize("plan", ["3 and 7 MB in turn", pytest.param("six in a row", marks=LONG)])
def test_giant_ids_while_the_watcher_is_behind(node, name, hub, report, plan):
    """The watcher reads them in large batches: tailwater starts in the past, and clients read its journal."""
    verdict = Verdict(f"giant _ids behind the watcher, {plan}")
    begin = node.now()
    insert_all(node.client[name].etl, PLANS[plan])
    with running(configuration(node.uri, name, journal={"warm_s": 60, "bytes": 1 << 30})) as server:
        until(lambda: status(server)["events"] >= COUNT - 2, "the past was read", 60)
        stream = resumed(hub, server, f"{begin.time:08x}{begin.inc:08x}")
        wait_end(stream, COUNT - 1)
        told_in_place(verdict, stream, PLANS[plan])
    report(str(verdict))


@pytest.mark.parametrize("plan", [
    pytest.param({2: BIG_ID}, marks=LONG), {5: HUGE_ID}, pytest.param({1: BIG_ID, 5: HUGE_ID}, marks=LONG),
    pytest.param({0: HUGE_ID, 10: BIG_ID}, marks=LONG),
    {1: BIG_ID, 2: HUGE_ID, 3: HUGE_ID},
], ids=lambda p: "_".join(f"{n}is{b // MB}MB" for n, b in p.items()))
def test_giants_in_a_transaction(node, name, hub, report, plan):
    """The others of the transaction come once and in order, live and by catch-up, also from ids inside it."""
    verdict = Verdict(f"transaction of 12 with giants at {sorted(plan)}")
    config = configuration(node.uri, name, **SMALL)
    count = 14  # one before, twelve in it, one behind
    plan = {n + 1: size for n, size in plan.items()}
    with running(config) as server:
        stream = hub.open(server.port, ALL)
        begin = stream.wait_ready().id
        target = node.client[name].etl
        target.insert_one(row(0))
        with node.client.start_session() as session, session.start_transaction():
            for n in range(1, 13):
                target.insert_one(giant(n, plan[n]) if n in plan else row(n), session=session)
        target.insert_one(row(13))
        wait_end(stream, 13)
        want = [n for n in range(count) if n not in plan]
        told(verdict, stream, want)
    with running(config) as late:
        for i, point in [(-1, begin), *enumerate(f.id for f in stream.events[:-1])]:
            again = resumed(hub, late, point)
            wait_end(again, 13)
            told(verdict, again, want[i + 1:])
    report(str(verdict))


def told(verdict: Verdict, stream: Stream, want: Sequence[int]) -> None:
    """These events, once and in order; if a giant is among them, a gap."""
    got = outline(stream.frames)
    numbers = [n for n in got if isinstance(n, int)]
    verdict.clients += 1
    verdict.events += len(numbers)
    verdict.gaps += len(got) - len(numbers)
    verdict.lost += len(set(want) - set(numbers))
    verdict.doubled += len(numbers) - len(set(numbers))
    assert numbers == list(want), got
    if set(range(want[0], want[-1])) - set(want):
        assert "oversize" in got, got


def test_only_those_who_could_have_got_it_are_told(node, name, hub, report):
    """A 3 MB _id in one collection is a gap for those whose channels that collection can make."""
    verdict = Verdict("3 MB _id in etl")
    with running(configuration(node.uri, name)) as server:
        etl, faas = (hub.open(server.port, {"channels": f"logs:{s}:*"}) for s in ("etl", "faas"))
        etl.wait_ready()
        faas.wait_ready()
        node.client[name].etl.insert_one(giant(1, BIG_ID))
        for s in ("etl", "faas"):
            node.client[name][s].insert_one(row(2))
        wait_end(etl, 2)
        wait_end(faas, 2)
        assert_same(verdict, etl, ["oversize", 2])
        assert_same(verdict, faas, [2])
        assert set(etl.control("gap")[0].json) <= {"reason", "from", "to", "replayed", "complete"}
        assert "kkkk" not in etl.control("gap")[0].data
    report(str(verdict))


# --- bytes that are no text ------------------------------------------------------------------------------------------


BROKEN = [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xe2\x82", b"\x80", b"\xf0\x9f\x98"]


def broken_row(n: int, where: str, broken: bytes) -> bson.raw_bson.RawBSONDocument:
    """An ordinary document with these bytes in a value, in a key, deep inside, in its _id, or where its channel comes from."""
    mark = "Q" * len(broken)
    match where:
        case "value": document = row(n, message=f"a{mark}b")
        case "key": document = row(n, **{f"a{mark}b": 1})
        case "deep": document = row(n, list=[{f"k{mark}": [f"v{mark}"]}])
        case "_id": document = row(n) | {"_id": f"{n}{mark}"}
        case "channel": document = row(n) | {"workspace_id": f"w{mark}"}
    return raw_document(document, {mark.encode(): broken})


PLACES = ["value", "key", "deep", "_id", "channel"]


def test_invalid_utf8(node, name, hub, report):
    """Everywhere a document can have it, among ordinary events: all of them come, as text that is UTF-8."""
    verdict = Verdict(f"invalid UTF-8 at {len(PLACES)} places, {len(BROKEN)} kinds")
    plan = [(where, broken) for where in PLACES for broken in BROKEN]
    with running(configuration(node.uri, name, **SMALL)) as server:
        stream = hub.open(server.port, ALL)
        begin = stream.wait_ready().id
        target = node.client[name].get_collection("etl", bson.CodecOptions(unicode_decode_error_handler="ignore"))
        for i, (where, broken) in enumerate(plan):
            target.insert_one(broken_row(2 * i, where, broken))
            target.insert_one(row(2 * i + 1))
        last = 2 * len(plan) - 1
        wait_end(stream, last)
        again = resumed(hub, server, begin)
        wait_end(again, last)
        for one in (stream, again):
            judge_except_unroutable(verdict, one, plan)
        assert [f.raw for f in stream.events] == [f.raw for f in again.events]
        for f in stream.events:
            f.raw.decode()
            if number(f) % 2 == 0:
                assert "\ufffd" in f.data or "%EF%BF%BD" in f.data, f
    report(str(verdict))


def judge_except_unroutable(verdict: Verdict, stream: Stream, plan: Sequence[tuple[str, bytes]]) -> None:
    """Whether broken bytes can be a channel is the mapping's affair; everything else must be there."""
    numbers = [number(f) for f in stream.events]
    free = {2 * i for i, (where, _) in enumerate(plan) if where == "channel"}
    judge(verdict, stream.frames, [n for n in range(2 * len(plan)) if n not in free or n in numbers])


# --- transactions ------------------------------------------------------------------------------------------------------


def transaction(client: pymongo.MongoClient, name: str, first: int, count: int, **more) -> None:
    target = client[name].etl

    def work(session) -> None:
        for at in range(first, first + count, 1000):
            target.insert_many([row(n, **more) for n in range(at, min(at + 1000, first + count))], session=session)

    with client.start_session() as session:
        session.with_transaction(work)


@pytest.mark.parametrize("options", [{}, SMALL], ids=["journal", "larger-than-journal-and-window"])
@pytest.mark.parametrize("count, pad", [(5000, 20), pytest.param(3000, 10000, marks=LONG)], ids=["5000", "30MB"])
def test_transaction(node, name, hub, report, seed, count, pad, options):
    """
    Thousands of inserts of one cluster time, with ordinary events around: exactly, live; and for clients that come back from
    ids inside it, from its beginning and from its end, at the same instance and at one that was not there: exactly, or the
    whole cluster time again where it is told as an overlap.
    """
    verdict = Verdict(f"transaction of {count}, {'small' if options else 'large'} journal")
    config = configuration(node.uri, name, **options)
    rnd = random.Random(seed)
    last = count + 20
    with running(config) as server:
        stream = hub.open(server.port, ALL)
        begin = stream.wait_ready().id
        target = node.client[name].etl
        for n in range(10):
            target.insert_one(row(n))
        transaction(node.client, name, 10, count, pad="x" * pad)
        for n in range(count + 10, last):
            target.insert_one(row(n))
        wait_end(stream, last - 1)
        judge(verdict, stream.frames, range(last))
        frames = stream.events
        chosen = sorted({9, 10, 11, count // 2, count + 8, count + 9, *rnd.sample(range(10, count + 10), 6)})
        points = [(-1, begin), *((n, frames[n].id) for n in chosen)]
        words = come_back(verdict, hub, server, points, frames)
    with running(config) as late:
        words += come_back(verdict, hub, late, points, frames)
    verdict.more.append(f"{words.count('exact')} exact, {words.count('overlap')} overlap")
    report(str(verdict))


def come_back(verdict: Verdict, hub: Hub, server: Server, points: list[tuple[int, str]], frames: list[Frame]) -> list[str]:
    """All of them at once; how each resume ended."""
    streams = [resumed(hub, server, point) for _, point in points]
    words = []
    for (n, _), stream in zip(points, streams, strict=True):
        wait_end(stream, number(frames[-1]))
        word = stream.wait_ready().json["resumed"]
        words.append(stream.wait_control("caught-up").json["resumed"] if word == "pending" else word)
        got = [f.raw for f in stream.events]
        if words[-1] == "overlap":  # its whole cluster time again
            first = next(i for i, f in enumerate(frames) if f.id[:16] == frames[n].id[:16])
            assert got == [f.raw for f in frames[first:]], f"from {n}"
        else:
            assert words[-1] == "exact", f"from {n}: {words[-1]}"
            assert got == [f.raw for f in frames[n + 1:]], f"from {n}: {len(got)} events instead of {len(frames) - n - 1}"
        assert not stream.control("gap")
        verdict.clients += 1
        verdict.events += len(got)
        stream.abort()
    return words
