"""What clients cost: one change stream a source, bounded memory, disconnects noticed, nobody slowed by others."""

from __future__ import annotations

import os
import random
import resource
import socket
import time

import pytest

import http1
import server as server_module
from conftest import ETL
from deadline import WAIT_S, until

STREAM = "/api/logs/stream?channels=logs:etl:w1:f1"
KEYS = {"workspace_id": "w1", "workflow_id": "f1"}
MIB = 1024 * 1024


def change_streams(mongo, database: str) -> int:
    """Change streams open on a database at this moment, waiting or not."""
    pipeline = [{"$currentOp": {"allUsers": True, "idleCursors": True}},
                {"$match": {"cursor.originatingCommand.$db": database,
                            "cursor.originatingCommand.pipeline.0.$changeStream": {"$exists": True}}},
                {"$group": {"_id": "$cursor.cursorId"}}, {"$count": "n"}]
    return next(iter(mongo.client.admin.aggregate(pipeline)), {"n": 0})["n"]


def most_change_streams(mongo, database: str, seconds: float = 1.0) -> int:
    """The most that were seen in many looks (a cursor between two states is seen in neither)."""
    end, most = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        most = max(most, change_streams(mongo, database))
    return most


def open_file_limit() -> int:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def close_all(server, streams) -> None:
    for stream in streams:
        stream.abort()
    until(lambda: server.connections == 0, "all disconnects noticed", WAIT_S)


def test_one_change_stream_however_many_clients(serve, mongo, db, hub):
    """0, 1 and 1,000 clients: the server has one cursor open for the source."""
    open_file_limit()
    server = serve(ETL)
    idle = mongo.client.admin.command("serverStatus")["metrics"]["cursor"]["open"]["total"]
    seen = {0: most_change_streams(mongo, db.name)}
    streams = hub.open_many(server.port, [STREAM])
    streams[0].wait_ready()
    seen[1] = most_change_streams(mongo, db.name)
    streams += hub.open_many(server.port, [f"/api/logs/stream?channels=logs:etl:w1:f{i}" for i in range(999)])
    for stream in streams:
        stream.wait_ready()
    seen[1000] = most_change_streams(mongo, db.name)
    assert seen == {0: 1, 1: 1, 1000: 1}
    total = mongo.client.admin.command("serverStatus")["metrics"]["cursor"]["open"]["total"]
    assert total <= idle + 2, "other cursors than the change stream were left open"
    db.etl_logs.insert_many([KEYS | {"n": i} for i in range(10)])
    streams[0].wait_events(10)
    close_all(server, streams)


def test_disconnects_are_noticed_while_nothing_is_sent(etl, hub):
    """RST, FIN and half-close of silent streams: the connection count returns to 0 at once."""
    ends = {"reset": lambda s: s.abort(), "half-close": lambda s: s.half_close()}
    for name, end in ends.items():
        streams = hub.open_many(etl.port, [STREAM] * 20)
        for stream in streams:
            stream.wait_ready()
        assert etl.connections == 20
        began = time.monotonic()
        for stream in streams:
            end(stream)
        until(lambda: etl.connections == 0, f"{name} noticed", 10)
        print(f"\n{name}: noticed in {time.monotonic() - began:.2f} s")


def fleeting(port: int, count: int, wait: bool, head: bool = True) -> None:
    """Connections that are gone before (or right after) their first byte."""
    request = http1.head_bytes(port, "GET", STREAM, {"Accept": "text/event-stream"}, None)
    for _ in range(count // 50):
        sockets = [socket.create_connection(("127.0.0.1", port), timeout=20) for _ in range(50)]
        for s in sockets:
            s.sendall(request if head else request[:30])
        for s in sockets:
            if wait:
                s.recv(64)
            s.close()


@pytest.mark.parametrize("wait", [False, True], ids=["before the first byte", "behind the first byte"])
def test_memory_after_thousands_of_visits(serve, hub, wait):
    """10,000 connects and disconnects leave nothing: connections 0, and memory stops growing (a leak grows every round)."""
    server = serve(ETL, loops=1)
    sizes = []
    for _ in range(5):
        fleeting(server.port, 2000, wait)
        until(lambda: server.connections == 0, "all gone")
        sizes.append(server.rss_kb())
    growth = [later - earlier for earlier, later in zip(sizes, sizes[1:])]
    print(f"\nRSS after each 2,000 visits: {sizes} KiB")
    assert server_module.is_sanitized() or min(growth) < 1000  # evhttp's own leak would be 3,600 a round


def test_half_requests_are_freed(etl, hub):
    """Connections that end inside their request line leave nothing."""
    fleeting(etl.port, 500, wait=False, head=False)
    hub.open(etl.port, STREAM).wait_ready()
    assert etl.connections == 1


def test_garbage_behind_the_request_is_drained(serve, db, hub):
    """30 MB sent into a running stream: read and forgotten; events and the disconnect still work."""
    server = serve(ETL)
    stream = hub.open(server.port, STREAM)
    stream.wait_ready()
    before = server.rss_kb()
    for _ in range(30):
        stream.send(b"x" * MIB)
    until(lambda: stream.unsent() == 0, "all of it taken")
    grown = server.rss_kb() - before
    print(f"\nRSS +{grown} KiB after 30 MB of garbage")
    assert server_module.is_sanitized() or grown < 10_000
    db.etl_logs.insert_one(dict(KEYS))
    stream.wait_events(1)
    close_all(server, [stream])


def test_pipelined_second_request_is_not_answered_into_the_stream(etl, db, hub):
    """A second request behind a stream's never puts an answer between the events."""
    stream = hub.open(etl.port, STREAM)
    stream.wait_ready()
    stream.send(http1.head_bytes(etl.port, "GET", "/health", None, None) * 3)
    db.etl_logs.insert_many([KEYS | {"n": i} for i in range(20)])
    assert [f.json["log_data"]["n"] for f in stream.wait_events(20)] == list(range(20))


def test_slow_reader_costs_only_itself(serve, db, hub):
    """A reader that stands still: others get everything at once, memory stays bounded, and when it reads on it gets
    everything exactly, from the journal."""
    server = serve(ETL, limits={"queue_bytes": 65536})
    slow = hub.open(server.port, STREAM, receive_buffer=4096)
    quick = hub.open_many(server.port, [STREAM] * 5)
    for stream in [slow, *quick]:
        stream.wait_ready()
    slow.pause()
    db.etl_logs.insert_many([KEYS | {"n": -1, "pad": "x" * 4000} for _ in range(500)])
    for stream in quick:
        stream.wait_events(500)
    before = server.rss_kb()
    db.etl_logs.insert_many([KEYS | {"n": i, "pad": "x" * 4000} for i in range(4000)])
    for stream in quick:
        stream.wait_events(4500)
    grown = server.rss_kb() - before
    print(f"\nRSS +{grown} KiB for 16 MB of events (journal included) with a reader that stands still")
    assert server_module.is_sanitized() or grown < 40_000
    slow.resume()
    events = slow.wait_events(4500)
    assert [f.id for f in events] == [f.id for f in quick[0].events]
    assert not slow.control("gap")


def most_queued(server, db, hub, count: int, is_enough) -> int:
    """Many readers stand still while a lot is written: the most bytes that waited for them. Then each reads on, and has it all."""
    readers = hub.open_many(server.port, [STREAM] * count, receive_buffer=4096)
    for stream in readers:
        stream.wait_ready()
        stream.pause()
    looks = [server.health()["stats"]]
    for start in range(0, 1200, 50):
        db.etl_logs.insert_many([KEYS | {"n": start + i, "pad": "x" * 4000} for i in range(50)])
        looks.append(server.health()["stats"])

    def was_offered() -> bool:
        looks.append(server.health()["stats"])
        return is_enough(looks)

    until(was_offered, "everything was offered to everyone", every_s=0.2)
    most = max(stats["queuedBytes"] for stats in looks)
    for stream in readers:
        stream.resume()
    for stream in readers:
        assert [f.json["log_data"]["n"] for f in stream.wait_events(1200, WAIT_S * 2)] == list(range(1200))
        stream.abort()
    until(lambda: server.health()["stats"]["queuedBytes"] < 100_000, "nothing waits any more")
    return most


def test_slow_readers_share_a_limit(serve, db, hub):
    """limits.queued_bytes is for all together: above it everyone reads at their own pace, and nobody loses anything."""
    def stands_still(looks) -> bool:
        return looks[-1]["queuedBytes"] > 1 << 19 and len({stats["messagesDelivered"] for stats in looks[-5:]}) == 1

    def has_all(looks) -> bool:
        return looks[-1]["messagesDelivered"] == 48 * 1200

    bounded = most_queued(serve(ETL, limits={"queue_bytes": 4 << 20, "queued_bytes": 1 << 20}), db, hub, 48, stands_still)
    db.etl_logs.delete_many({})
    free = most_queued(serve(ETL, limits={"queue_bytes": 16 << 20}), db, hub, 48, has_all)
    print(f"\nunsent at most: {bounded >> 10} KiB with the limit of 1 MiB, {free >> 10} KiB without")
    assert bounded < (1 << 20) + 48 * 10_000 < free


def test_slow_reader_behind_the_journal_catches_up(serve, db, hub):
    """The same with a journal that is long past it: a catch-up change stream serves it; nothing is lost."""
    server = serve(ETL, limits={"queue_bytes": 16384}, journal={"bytes": 65536})
    slow = hub.open(server.port, STREAM, receive_buffer=4096)
    quick = hub.open(server.port, STREAM)
    for stream in (slow, quick):
        stream.wait_ready()
    slow.pause()
    for start in range(0, 3000, 100):
        db.etl_logs.insert_many([KEYS | {"n": start + i, "pad": "x" * 2000} for i in range(100)])
    quick.wait_events(3000)
    slow.resume()
    events = slow.wait_events(3000, WAIT_S * 2)
    assert [f.json["log_data"]["n"] for f in events] == list(range(3000))
    assert not slow.control("gap")


@pytest.mark.long
def test_trickling_readers(serve, db, hub):
    """Ten readers that stop and go at random: each gets all, in order."""
    server = serve(ETL, limits={"queue_bytes": 32768}, journal={"bytes": MIB})
    streams = hub.open_many(server.port, [STREAM] * 10, receive_buffer=4096)
    for stream in streams:
        stream.wait_ready()
    for start in range(0, 5000, 100):
        for stream in random.sample(streams, 5):
            random.choice([stream.pause, stream.resume])()
        db.etl_logs.insert_many([KEYS | {"n": start + i, "pad": "x" * 1000} for i in range(100)])
    for stream in streams:
        stream.resume()
    for stream in streams:
        assert [f.json["log_data"]["n"] for f in stream.wait_events(5000, WAIT_S * 2)] == list(range(5000))


def test_idle_server_does_not_burn_a_core(serve, hub):
    """100 silent clients for a while: next to no processor time."""
    server = serve(ETL)
    for stream in hub.open_many(server.port, [STREAM] * 100):
        stream.wait_ready()
    before, began = server.cpu_s(), time.monotonic()
    until(lambda: time.monotonic() - began > 2, "two seconds", every_s=0.1)
    share = (server.cpu_s() - before) / (time.monotonic() - began)
    print(f"\n{share:.1%} of a core with 100 idle clients")
    assert share < 0.25


def test_out_of_files_does_not_spin(serve, mongo, db, hub):
    """At the limit of open files accepting pauses: little CPU, few log lines, and it recovers."""
    server = serve(ETL)
    stream = hub.open(server.port, STREAM)
    stream.wait_ready()
    hard = open_file_limit()
    used = len(os.listdir(f"/proc/{server.pid}/fd"))
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (used + 3, hard))
    waiting = [socket.create_connection(("127.0.0.1", server.port), timeout=20) for _ in range(30)]
    lines, cpu, began = len(server.lines), server.cpu_s(), time.monotonic()
    until(lambda: time.monotonic() - began > 2, "two seconds", every_s=0.1)
    share = (server.cpu_s() - cpu) / (time.monotonic() - began)
    print(f"\n{share:.1%} of a core, {len(server.lines) - lines} log lines in 2 s at EMFILE")
    assert share < 0.5 and len(server.lines) - lines < 50
    db.etl_logs.insert_one(dict(KEYS))
    stream.wait_events(1)
    for s in waiting:
        s.close()
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (hard, hard))
    until(lambda: server.connections == 1, "it accepts again")


@pytest.mark.heavy
@pytest.mark.long
def test_ten_thousand_idle_clients(serve, db, hub):
    """10,000 connections: memory a connection and after they left; one event reaches all of them."""
    limit = open_file_limit()
    if limit < 10_500:
        pytest.skip(f"ulimit -n is {limit}; 10,500 are needed")
    server = serve(ETL)
    before = server.rss_kb()
    began = time.monotonic()
    streams = hub.open_many(server.port, [STREAM] * 10_000)
    for stream in streams:
        stream.wait(lambda s: s.control("ready"), "ready", WAIT_S * 2)
    took, full = time.monotonic() - began, server.rss_kb()
    db.etl_logs.insert_one(dict(KEYS))
    for stream in streams:
        stream.wait_events(1, WAIT_S * 2)
    loaded = server.rss_kb()
    close_all(server, streams)
    after = server.rss_kb()
    print(f"\n10,000 clients in {took:.1f} s: {(full - before) / 10_000:.2f} KiB each, {(loaded - before) / 10_000:.2f} after an event; "
          f"RSS {before} -> {full} -> {loaded} -> {after} KiB after they left")
    assert server_module.is_sanitized() or after - before < (loaded - before) * 0.6 + 8000
