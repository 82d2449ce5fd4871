"""
The oplog: rolled over a client, over a watcher that was frozen, under a sweep that waits for its reader; and full of entries
that are none of ours. What the oplog no longer has is told as a gap with its span, what collections still have of it is
replayed, and everything else comes exactly once.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from deadline import PATIENCE, until
from foreign import (ALL, Verdict, configuration, is_replayed, judge, number, roll_oplog, running, seconds, status, wait_number,
                     write_foreign)
from mongod import Mongod
from oracle import hex_time
from server import Server
from stream import Stream

@pytest.fixture
def tiny_oplog() -> Iterator[Mongod]:
    """5 MB are cut every second."""
    node = Mongod("--syncdelay", "1", oplog_mb=5)
    yield node.start()
    node.stop()


def insert(node: Mongod, name: str, numbers: range, pad: int = 0) -> None:
    """One by one, so that each has a cluster time of its own; with the _ids that everybody has, which tell their time."""
    for n in numbers:
        node.client[name].etl.insert_one({"workspace_id": f"w{n % 4}", "workflow_id": "f", "n": n, "pad": "x" * pad})


def lost_and_told(verdict: Verdict, stream: Stream, wanted: range, after: str, lost: range, ids: dict[int, str]) -> None:
    """
    The gap's span is that of the loss: from the place where the client was (16 digits) to the first event that the oplog
    still has or later, but not beyond what came live; everything lost was replayed, completely.
    """
    missing = judge(verdict, stream.frames, wanted, ["history_lost"])
    gap = stream.control("gap")[0]
    done = stream.wait_control("caught-up")
    live = [f for f in stream.frames[stream.frames.index(done):] if f.data is not None and not f.is_control]
    start, end = seconds(gap.json["from"]), seconds(gap.json["to"])
    assert start == int(after[:8], 16), f"from {gap.json['from']}"
    assert int(ids[lost[-1]][:8], 16) <= end <= int(live[0].id[:8] if live else ids[wanted[-1]][:8], 16), gap.json
    verdict.more.append(f"replayed {gap.json['replayed']}")
    assert not set(missing) - set(lost), f"lost, though the oplog has it: {sorted(set(missing) - set(lost))[:10]}"
    assert not set(number(f) for f in live) & set(lost)
    assert gap.json["complete"] is True and not missing, f"not replayed: {missing[:10]}"
    rows = [i for i, f in enumerate(stream.frames) if f.data is not None and not f.is_control and is_replayed(f)]
    assert stream.frames.index(gap) < rows[0] and rows[-1] < stream.frames.index(done)
    assert done.id and not [f for f in stream.frames[rows[0]:stream.frames.index(done)] if f.id], "an id among rows"


def test_rolled_over_a_client(tiny_oplog, hub, report):
    """An id that the oplog no longer reaches, at an instance that was not there; and the ids of the gap's end."""
    node, name = tiny_oplog, "behind"
    verdict = Verdict("oplog rolled over a client")
    with running(configuration(node.uri, name)) as server:
        stream = hub.open(server.port, ALL)
        stream.wait_ready()
        insert(node, name, range(60))
        wait_number(stream, 59)
        ids = {number(f): f.id for f in stream.events}
        stream.abort()
    verdict.more.append(f"rolled in {roll_oplog(node, ids[59][:16]):.1f} s")
    insert(node, name, range(60, 80))
    with running(configuration(node.uri, name)) as late:
        clients = [hub.open(late.port, ALL, headers={"Last-Event-ID": ids[n]}) for n in (10, 30)]
        for client in clients:
            client.wait_control("gap")
        insert(node, name, range(80, 100))
        for n, client in zip((10, 30), clients, strict=True):
            wait_number(client, 99)
            lost_and_told(verdict, client, range(n + 1, 100), ids[n], range(n + 1, 60), ids)
        again = hub.open(late.port, ALL, headers={"Last-Event-ID": clients[0].events[-1].id})
        assert again.wait_ready().json["resumed"] == "exact"
        again.abort()
    report(str(verdict))


def roll_over_frozen(node: Mongod, server: Server, name: str, numbers: range, ids: Callable[[], dict[int, str]]) -> None:
    """Freeze tailwater, write these, and let it go on when the oplog has lost them."""
    os.kill(server.pid, signal.SIGSTOP)
    try:
        insert(node, name, numbers)
        until(lambda: numbers[-1] in ids(), "the other instance has them")
        roll_oplog(node, ids()[numbers[-1]][:16])
        insert(node, name, range(numbers[-1] + 1, numbers[-1] + 11))
    finally:
        os.kill(server.pid, signal.SIGCONT)


def live_ids(stream: Stream) -> dict[int, str]:
    return {number(f): f.id for f in stream.events if f.id}


def test_rolled_over_the_watcher(tiny_oplog, hub, report):
    """
    The source itself loses history: each of its clients is told in the place and gets what the collection has; so is one that
    comes from an instance which lost nothing, with an id inside the loss.
    """
    node, name = tiny_oplog, "frozen"
    verdict = Verdict("oplog rolled over a frozen watcher")
    config = configuration(node.uri, name)
    with running(config) as server, running(config) as other:
        clients = [hub.open(server.port, ALL), hub.open(server.port, {"channels": "logs:etl:w1:*"})]
        whole = hub.open(other.port, ALL)
        for client in (*clients, whole):
            client.wait_ready()
        insert(node, name, range(20))
        wait_number(clients[0], 19)
        wait_number(clients[1], 17)
        roll_over_frozen(node, server, name, range(20, 60), lambda: live_ids(whole))
        for client in clients:
            client.wait_control("gap", 60)
        insert(node, name, range(70, 90))
        wait_number(whole, 89)
        ids = live_ids(whole)
        guest = hub.open(server.port, ALL, headers={"Last-Event-ID": ids[40]})
        for client in (clients[0], guest):
            wait_number(client, 89, 60)
        wait_number(clients[1], 89, 60)
        judge(verdict, whole.frames, range(90))
        verdict.more.append(status(server)["last_error"].rpartition("(")[2].rstrip(")"))
        assert status(server)["losses"] == 1
        quarter = [n for n in range(90) if n % 4 == 1]
        assert not set(judge(verdict, clients[1].frames, quarter, ["history_lost"])) - set(range(20, 60))
        lost_and_told(verdict, guest, range(41, 90), ids[40], range(41, 60), ids)
        told = seconds(clients[0].control("gap")[0].json["from"])  # what it had read may lie behind its last event
        assert int(ids[19][:8], 16) <= told <= int(ids[20][:8], 16)
        lost_and_told(verdict, clients[0], range(90), f"{told:08x}", range(20, 60), ids)
    report(str(verdict))


@pytest.mark.long
def test_rolled_over_the_watcher_again_and_again(tiny_oplog, hub, report):
    """Three times: a gap each, and no more."""
    node, name = tiny_oplog, "again"
    verdict = Verdict("oplog rolled over a frozen watcher three times")
    config = configuration(node.uri, name)
    with running(config) as server, running(config) as other:
        client, whole = hub.open(server.port, ALL), hub.open(other.port, ALL)
        client.wait_ready()
        whole.wait_ready()
        for turn in range(3):
            first = turn * 100
            insert(node, name, range(first, first + 20))
            wait_number(client, first + 19)
            roll_over_frozen(node, server, name, range(first + 20, first + 60), lambda: live_ids(whole))
            until(lambda: len(client.control("gap")) == turn + 1, "a gap", 60)
            insert(node, name, range(first + 70, first + 100))
            wait_number(client, first + 99, 60)
        wait_number(whole, 299)
        judge(verdict, whole.frames, range(300))
        missing = judge(verdict, client.frames, range(300), ["history_lost"] * 3)
        assert all(20 <= n % 100 < 60 for n in missing)
        assert status(server)["losses"] == 3
    report(str(verdict))


@pytest.mark.long
def test_rolled_over_a_sweep(hub, report):
    """A sweep waits for a reader that does not read, and the oplog overtakes it: a gap, and all that is behind it."""
    name = "slow"
    verdict = Verdict("oplog rolled over a waiting sweep")
    node = Mongod("--syncdelay", "1", oplog_mb=60).start()
    options = {"journal": {"bytes": 65536}, "catchup": {"window_bytes": 65536},
               "limits": {"queue_bytes": 65536, "stall_s": 300}}
    count = 12000
    try:
        with running(configuration(node.uri, name, **options)) as server:
            whole = hub.open(server.port, ALL)
            begin = whole.wait_ready().id
            rows = [{"workspace_id": "w1", "workflow_id": "f", "n": n, "pad": "x" * 3000} for n in range(count)]
            for first in range(0, count, 500):
                node.client[name].etl.insert_many(rows[first:first + 500])
            wait_number(whole, count - 1, 60)
            ids = live_ids(whole)
            client = hub.open(server.port, ALL, headers={"Last-Event-ID": begin}, receive_buffer=4096)
            client.wait_ready()
            client.pause()
            roll_oplog(node, ids[count - 1][:16])
            insert(node, name, range(count, count + 20))
            wait_number(whole, count + 19)
            client.resume()
            wait_number(client, count + 19, 120)
            missing = judge(verdict, client.frames, range(count + 20), ["history_lost"])
            verdict.more.append(f"{len(live_ids(client))} live, {client.control('gap')[0].json['replayed']} replayed")
            assert not [n for n in missing if n >= count]
            assert missing == list(range(missing[0], missing[-1] + 1)) if missing else True, "holes outside of the gap"
    finally:
        node.stop()
    report(str(verdict))


# --- entries that are none of ours ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wide(request: pytest.FixtureRequest) -> Iterator[Mongod]:
    """An oplog for millions of entries."""
    node = Mongod("--setParameter", "periodicNoopIntervalSecs=1", oplog_mb=990, cache_gb=0.5)
    yield node.start()
    node.stop()


COUNTS = [300_000, pytest.param(3_000_000, marks=pytest.mark.long)]


def millions(count: int) -> str:
    return f"{count / 1e6:g} M"


def follow(server: Server, states: list[str], stream: Stream, last: int) -> float:
    """Until this event has come; the seconds it took, and the states that the source went through."""
    began = time.monotonic()

    def has_come() -> bool:
        state = status(server)["state"]
        if not states or states[-1] != state:
            states.append(state)
        return bool(stream.events) and number(stream.events[-1]) >= last

    until(has_come, f"event {last}", 120 * PATIENCE)
    return time.monotonic() - began


@pytest.mark.parametrize("count", COUNTS, ids=millions)
def test_foreign_entries_before_a_client(wide, hub, report, count):
    """A client returns behind that many foreign entries, to an instance that was not there: all its events, exactly."""
    name = f"foreign_{count}"
    verdict = Verdict(f"client behind {millions(count)} foreign entries")
    config = configuration(wide.uri, name)
    with running(config) as server:
        first = hub.open(server.port, ALL)
        begin = first.wait_ready().id
        insert(wide, name, range(10))
        wait_number(first, 9)
        first.abort()
        verdict.more.append(f"written in {write_foreign(wide.client, 'elsewhere', count):.1f} s")
        insert(wide, name, range(10, 20))
    with running(config) as late:
        again = hub.open(late.port, ALL, headers={"Last-Event-ID": begin})
        states: list[str] = []
        verdict.more.append(f"resumed in {follow(late, states, again, 19):.2f} s")
        assert again.wait_control("caught-up").json["resumed"] == "exact"
        insert(wide, name, range(20, 25))
        wait_number(again, 24)
        judge(verdict, again.frames, range(25))
        assert status(late)["errors"] == 0, status(late)
        again.abort()
    report(str(verdict))
    wide.client.drop_database("elsewhere")


@pytest.mark.parametrize("count", COUNTS, ids=millions)
def test_foreign_entries_before_the_watcher(wide, hub, report, count):
    """A restarted instance that begins in the past: scanning, then streaming, with everything in its journal."""
    name = f"restart_{count}"
    verdict = Verdict(f"restart behind {millions(count)} foreign entries")
    begin = hex_time(wide.now())
    insert(wide, name, range(10))
    verdict.more.append(f"written in {write_foreign(wide.client, 'elsewhere', count):.1f} s")
    insert(wide, name, range(10, 20))
    began = time.monotonic()
    server = Server(configuration(wide.uri, name, journal={"warm_s": 600}))
    try:
        server.start(False)
        stream = hub.open(server.port, ALL, headers={"Last-Event-ID": begin})
        states: list[str] = []
        follow(server, states, stream, 19)
        verdict.more.append(f"live after {time.monotonic() - began:.2f} s, {' → '.join(states)}")
        until(lambda: status(server)["state"] == "streaming", "streaming")
        insert(wide, name, range(20, 25))
        wait_number(stream, 24)
        judge(verdict, stream.frames, range(25))
        assert status(server)["errors"] == 0, status(server)
        if count > 1_000_000:
            assert "scanning" in states, states
    finally:
        server.dispose()
    report(str(verdict))
    wide.client.drop_database("elsewhere")


@pytest.mark.parametrize("count", COUNTS, ids=millions)
def test_foreign_entries_before_a_frozen_watcher(wide, hub, report, count):
    """That many entries while tailwater stood still: it reads over them, though the server is silent meanwhile."""
    name = f"still_{count}"
    verdict = Verdict(f"frozen for {millions(count)} foreign entries")
    with running(configuration(wide.uri, name)) as server:
        stream = hub.open(server.port, ALL)
        stream.wait_ready()
        insert(wide, name, range(10))
        wait_number(stream, 9)
        os.kill(server.pid, signal.SIGSTOP)
        try:
            verdict.more.append(f"written in {write_foreign(wide.client, 'elsewhere', count):.1f} s")
            insert(wide, name, range(10, 20))
        finally:
            os.kill(server.pid, signal.SIGCONT)
        states: list[str] = []
        verdict.more.append(f"live after {follow(server, states, stream, 19):.2f} s, {' → '.join(states)}")
        verdict.more.append(f"{status(server)['errors']} errors")
        insert(wide, name, range(20, 25))
        wait_number(stream, 24)
        judge(verdict, stream.frames, range(25))
        stream.abort()
    report(str(verdict))
    wide.client.drop_database("elsewhere")


def test_foreign_entries_while_streaming(wide, hub, report):
    """300,000 foreign entries as fast as they can be written, and ours between them: no gap, no error."""
    name = "between"
    verdict = Verdict("0.3 M foreign entries while streaming")
    with running(configuration(wide.uri, name)) as server:
        stream = hub.open(server.port, ALL)
        stream.wait_ready()
        for turn in range(6):
            write_foreign(wide.client, "elsewhere", 50_000)
            insert(wide, name, range(turn * 10, turn * 10 + 10))
        wait_number(stream, 59)
        judge(verdict, stream.frames, range(60))
        assert status(server)["errors"] == 0
        stream.abort()
    report(str(verdict))
    wide.client.drop_database("elsewhere")
