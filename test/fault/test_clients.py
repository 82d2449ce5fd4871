"""Clients that stop reading, vanish, come back all at once, and send ids of every kind: the others notice nothing."""

from __future__ import annotations

import random

import faults
import pytest
from deadline import PATIENCE, until
from stage import STALL_S

RND = random.Random(1)


def connections(stage) -> int:
    return sum(s.connections for s in stage.servers)


def closed(stage, before: int, count: int) -> bool:
    return connections(stage) <= before - count


def test_stop_reading(stage):
    """Those whose window stays closed are disconnected after stall_s; the last whole frame's id is good."""
    readers = [c for c in stage.crowd.clients if c.interest.is_dense and c.has_small_buffer]
    with stage.fault(f"{len(readers)} clients stop reading") as fault:
        before = connections(stage)
        stage.crowd.pause(readers)
        until(lambda: closed(stage, before, len(readers)), "they are disconnected", STALL_S * 3 * PATIENCE)
        stage.crowd.resume(readers)
        stage.crowd.wait_connected()
        stage.flow()
    assert fault.verdict.reconnects == len(readers)


def test_vanish(stage):
    """Clients that answer no packet any more are given up after stall_s, without a word from them."""
    with stage.fault("60 clients vanish without FIN") as fault:
        before = connections(stage)
        stage.crowd.vanish(stage.crowd.clients[:60])
        stage.crowd.wait_connected()
        until(lambda: connections(stage) > before, "they have come back beside what is left of them")
        until(lambda: connections(stage) == before, "what was left of them is gone", STALL_S * 3 * PATIENCE)
    assert fault.verdict.reconnects == 60


def test_storm(stage):
    """All come back in the same moment, again and again."""
    with stage.fault("all clients reconnect at once, 5 times") as fault:
        for _ in range(5):
            faults.storm(stage, RND, 0)
            stage.crowd.wait_connected()
            stage.flow(20)
    assert fault.verdict.reconnects == 5 * len(stage.crowd.clients)


@pytest.mark.long
def test_slow_readers(stage):
    """A quarter reads only now and then."""
    with stage.fault("60 clients read now and then"):
        for _ in range(20):
            faults.stop_reading(stage, RND, 1)
        stage.flow()


@pytest.mark.long
def test_connections_break(stage):
    """Connections break here and there for a minute."""
    with stage.fault("20 connections break, 10 times a second, for 60 s"):
        faults.cut_some(stage, RND, 60)
        stage.flow()


def keys(stream) -> list[str]:
    return [f.json["log_data"]["_id"] for f in stream.events]


def reasons(stream) -> list[str]:
    return [f.json["reason"] for f in stream.control("gap")]


def assert_all_from(begin: str, stream, stage, what: str) -> None:
    """The stream has had everything from this cluster time on; it is closed."""
    want = [c.key for c in stage.truth.all if c.time >= begin]
    until(lambda: keys(stream)[-1:] == want[-1:], f"{what}: all has arrived")
    assert keys(stream) == want, what
    stream.abort()


def test_new_streams(stage, hub):
    """Where `ready` says that a new stream starts, there it starts, also when a transaction has just been read."""
    streams = []
    with stage.fault("60 new streams under load"):
        for _ in range(60):
            streams.append(hub.open(stage.servers[0].port, {"channels": "logs:*"}))
            stage.flow_written(1)
    for stream in streams:
        assert_all_from(stream.wait_ready().id[:16], stream, stage, "new stream")


def begins_at(name: str, id_: str, stream) -> str:
    """The cluster time from which on this stream must have everything."""
    match name:
        case "truncated" | "future": return stream.wait_ready().id[:16]
        case "older than the set": return ""
    return id_[:16]


def test_ids(stage, hub):
    """
    Ids that no instance has given out, under load: a gap, or everything from that cluster time on; never silence. An id older
    than the set itself has lost nothing as long as the oplog still holds its beginning.
    """
    asked = {"channels": "logs:*"}
    with stage.fault("forged, truncated, foreign, future, too old ids"):
        id_ = stage.crowd.clients[0].last_id
        at, port = int(id_[:8], 16), stage.servers[0].port
        ids = {"position": id_[:16], "forged": id_[:16] + "-0123456789ab", "truncated": id_[:-3],
               "future": f"{at + 3600:08x}" + id_[8:],
               "foreign": f"{at - 1:08x}7fffffff-0123456789ab", "older than the set": f"{at - 86400:08x}" + id_[8:]}
        streams = {name: hub.open(port, asked, headers={"Last-Event-ID": i}) for name, i in ids.items()}
        for stream in streams.values():
            stream.wait_control("caught-up") if stream.wait_ready().json["resumed"] != "gap" else None
        stage.flow()
    for name, stream in streams.items():
        assert_all_from(begins_at(name, ids[name], stream), stream, stage, name)
    assert {n: reasons(s) for n, s in streams.items()} == {
        "position": [], "forged": [], "truncated": ["invalid_id"], "future": ["invalid_id"], "foreign": [],
        "older than the set": []}
