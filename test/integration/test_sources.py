"""Several sources on one connection: ids are vectors by tag, and a resume is exact in each of them."""

from __future__ import annotations

import re

import pytest

from deadline import until

ID = r"[0-9a-f]{16}(?:-[0-9a-f]{12})?"
VECTOR = re.compile(rf"a{ID}~b{ID}")
EVERYTHING = {"channels": "logs:*,audit:*"}


@pytest.fixture
def databases(mongo, dbname):
    """Two databases: two streams."""
    names = [dbname, dbname + "_two"]
    yield [mongo.client[n] for n in names]
    mongo.client.drop_database(names[1])


@pytest.fixture
def both(launch, mongo, databases):
    def start(**more):
        sources = [
            {"name": "logs", "tag": "a", "database": databases[0].name,
             "mappings": [{"collections": ["etl"], "channel": "logs:etl:{workspace_id}:{workflow_id}"}]},
            {"name": "audit", "tag": "b", "database": databases[1].name,
             "mappings": [{"collections": ["audit"], "channel": "audit:{workspace_id}"}]},
        ]
        return launch({"mongodb": {"uri": mongo.uri, "max_await_ms": 100}, "sources": sources, **more})

    return start


def insert(databases, first: int, count: int) -> None:
    for n in range(first, first + count):
        databases[0].etl.insert_one({"workspace_id": "w", "workflow_id": "f", "n": n})
        databases[1].audit.insert_one({"workspace_id": "w", "n": n})


def of(stream, prefix: str) -> list[int]:
    return [f.json["log_data"]["n"] for f in stream.events if f.json["channel"].startswith(prefix)]


def assert_both(before, after, count: int) -> None:
    for prefix in ("logs:", "audit:"):
        assert of(before, prefix) + of(after, prefix) == list(range(count)), prefix


def test_vector_ids(both, databases, hub):
    """ready, events and heartbeats carry the mark of every source."""
    server = both(heartbeat_s=1)
    stream = hub.open(server.port, EVERYTHING)
    assert VECTOR.fullmatch(stream.wait_ready().id)
    insert(databases, 0, 3)
    for frame in stream.wait_events(6):
        assert VECTOR.fullmatch(frame.id), frame.id
        own = frame.id.split("~")[0 if frame.event == "logs" else 1]
        assert "-" in own, "an event's own source stands with the event"
    assert VECTOR.fullmatch(stream.wait_control("heartbeat").id)
    assert len(server.health()["sources"]) == 2


@pytest.mark.parametrize("journal", [{}, {"journal": {"bytes": 65536}}], ids=["journal hit", "journal miss"])
@pytest.mark.parametrize("cut", [1, 4, 7])
def test_resume_is_exact_in_each_source(both, databases, hub, journal, cut):
    """Cut anywhere; the rest of both sources comes, on the same instance and on a fresh one."""
    server = both(**journal)
    seen = 0

    def on_frame(_stream, frame) -> bool:
        nonlocal seen
        seen += frame.data is not None and not frame.is_control
        return seen >= cut

    stream = hub.open(server.port, EVERYTHING, on_frame=on_frame)
    every = hub.open(server.port, EVERYTHING)
    stream.wait_ready()
    every.wait_ready()
    insert(databases, 0, 4)
    stream.wait_end()
    every.wait_events(8)
    if journal:
        for _ in range(6):
            databases[0].etl.insert_many([{"workspace_id": "pad", "workflow_id": "f", "n": -1, "pad": "x" * 4000} for _ in range(10)])
            databases[1].audit.insert_many([{"workspace_id": "pad", "n": -1, "pad": "x" * 4000} for _ in range(10)])
    for instance in (server, both()):
        again = hub.open(instance.port, {"channels": "logs:etl:w:*,audit:w"}, headers={"Last-Event-ID": stream.last_id})
        again.wait_control("caught-up")
        until(lambda: len(again.events) >= 8 - cut, "the rest")
        assert_both(stream, again, 4)
        assert not again.control("gap")
    more = hub.open(server.port, {"channels": "logs:etl:w:*,audit:w"}, headers={"Last-Event-ID": stream.last_id})
    more.wait_control("caught-up")
    insert(databases, 4, 2)
    until(lambda: len(more.events) >= 12 - cut, "live again")
    assert_both(stream, more, 6)


@pytest.mark.parametrize("shape", ["plain", "one tag", "foreign tag"])
def test_sources_without_a_point_start_live_and_say_so(both, databases, hub, shape):
    """A plain id belongs to the first source; whatever has no point of its own starts live, told by a gap."""
    server = both()
    stream = hub.open(server.port, EVERYTHING)
    stream.wait_ready()
    insert(databases, 0, 2)
    stream.wait_events(4)
    first = next(f for f in stream.events if f.event == "logs").id.split("~")[0][1:]
    sent = {"plain": first, "one tag": "a" + first, "foreign tag": f"a{first}~z{first}"}[shape]
    again = hub.open(server.port, EVERYTHING, headers={"Last-Event-ID": sent})
    assert again.wait_ready().json["resumed"] == "gap"
    assert [f.json["reason"] for f in again.control("gap")] in ([], ["unknown_source"])
    again.wait_control("caught-up")
    assert [f.json["reason"] for f in again.control("gap")] == ["unknown_source"]
    insert(databases, 2, 1)
    until(lambda: len(again.events) >= 3, "live")
    assert of(again, "logs:") == [1, 2]
    assert of(again, "audit:") == [2]
