"""Warm start: an instance begins in the past, serves reconnects from memory, gives no past to those who did not ask."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager

import pytest

from conftest import ETL
from deadline import until
from oracle import hex_time
from test_resume import headers, outcome, roll_oplog_over

PATTERN = {"channels": "logs:*"}


def source_of(server) -> dict:
    return server.health()["sources"][0]


def document(n: int, **more) -> dict:
    return {"workspace_id": "w", "workflow_id": "f", "n": n, **more}


def numbers(stream) -> list[int]:
    return [f.json["log_data"]["n"] for f in stream.events]


def configuration(node, **options) -> dict:
    return {"mongodb": {"uri": node.uri, "max_await_ms": 100},
            "sources": [{"name": "logs", "tag": "a", "database": "d", "mappings": [ETL.config]}], **options}


@contextmanager
def failing(node, commands: list[str], **how):
    """The commands of tailwater alone fail, or wait, until this ends."""
    data = {"failCommands": commands, "appName": "tailwater", **how}
    node.client.admin.command({"configureFailPoint": "failCommand", "mode": "alwaysOn", "data": data})
    try:
        yield
    finally:
        node.client.admin.command({"configureFailPoint": "failCommand", "mode": "off"})


def wait_until_warm(server) -> dict:
    return until(lambda: (s := source_of(server)) and not s["warming"] and s, "the journal is warm")


def assert_undisturbed(source: dict) -> None:
    """Nothing was lost, nothing failed, nobody needed a catch-up."""
    wrong = {k: source[k] for k in ("losses", "errors", "catchup_opens", "last_error") if source[k]}
    assert not wrong, source


def test_restart_serves_reconnects_from_memory(serve, db, hub):
    """By default: every id of the last minute is in the journal of a new process, without a change stream more."""
    first = serve(ETL)
    stream = hub.open(first.port, PATTERN)
    begin = stream.wait_ready().id
    db.etl_logs.insert_many([document(i) for i in range(50)])
    frames = stream.wait_events(50)
    first.stop()
    db.etl_logs.insert_one(document(50))  # while nobody watches
    second = serve(ETL)
    points = [begin] + [f.id for f in frames]
    again = hub.open_many(second.port, [PATTERN | {"last_event_id": p} for p in points])
    for i, s in enumerate(again):
        s.wait_events(51 - i)
        assert outcome(s) == "exact"
        assert [f.raw for f in s.events[:-1]] == [f.raw for f in frames[i:]]
        assert numbers(s)[-1] == 50
    assert_undisturbed(wait_until_warm(second))


def test_without_warm_start_it_takes_a_catch_up(serve, db, hub):
    """What the test above would see if the journal were not warm."""
    first = serve(ETL)
    stream = hub.open(first.port, PATTERN)
    begin = stream.wait_ready().id
    db.etl_logs.insert_one(document(0))
    stream.wait_events(1)
    first.stop()
    second = serve(ETL, journal={"warm_s": 0})
    again = hub.open(second.port, PATTERN, headers=headers(begin))
    again.wait_events(1)
    assert source_of(second)["catchup_opens"] == 1


def test_new_streams_get_no_past_while_it_warms(more_mongod, launch, hub):
    """A new stream on an instance that still reads the past begins at the deployment's present; a reconnect not."""
    node = more_mongod()
    db = node.client["d"]
    past = 3500  # four answers
    begin = hex_time(node.now())
    db.etl_logs.insert_many([document(i) for i in range(past)])
    with failing(node, ["getMore"], blockConnection=True, blockTimeMS=2000):
        server = launch(configuration(node))
        source = source_of(server)
        assert source["warming"] and source["state"] == "scanning" and source["events"] < past, source
        new = hub.open(server.port, PATTERN)
        old = hub.open(server.port, PATTERN, headers=headers(begin))
        point, present = new.wait_ready().id, hex_time(node.now())
        assert new.ready["resumed"] == "no"
        db.etl_logs.insert_one(document(past))
        assert source_of(server)["warming"], "all of this was to happen while it warms"
    assert begin < point <= present
    old.wait_events(past + 1)
    assert numbers(old) == list(range(past + 1))
    new.wait_events(1)
    db.etl_logs.insert_one(document(past + 1))
    new.wait_events(2)
    assert numbers(new) == [past, past + 1]
    source = wait_until_warm(server)
    assert source["state"] == "streaming"
    assert_undisturbed(source)


def test_a_stream_that_waited_for_the_source_gets_no_past(more_mongod, launch, hub):
    """Opened before the source was: what comes after that is for it, what warms the journal is not."""
    node = more_mongod()
    db = node.client["d"]
    db.etl_logs.insert_many([document(i) for i in range(100)])
    with failing(node, ["getMore"], blockConnection=True, blockTimeMS=1500):
        server = launch(configuration(node), healthy=False)
        until(lambda: source_of(server)["warming"], "it has chosen its place")
        stream = hub.open(server.port, PATTERN)
        ready = stream.wait_ready()
        assert ready.id is None and ready.json["resumed"] == "pending", "all of this was to happen before it is open"
        db.etl_logs.insert_one(document(100))
    stream.wait_events(1)
    db.etl_logs.insert_one(document(101))
    stream.wait_events(2)
    assert numbers(stream) == [100, 101]
    assert stream.control("caught-up") and not stream.control("gap")


def test_it_becomes_warm_on_a_busy_source(more_mongod, launch):
    """A source whose answers are never empty is at its tail all the same."""
    node = more_mongod()
    db = node.client["d"]
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            db.etl_logs.insert_one(document(0))
            time.sleep(0.01)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        until(lambda: db.etl_logs.estimated_document_count() > 100, "something to warm with")
        server = launch(configuration(node, mongodb={"uri": node.uri, "max_await_ms": 2000}))
        assert wait_until_warm(server)["state"] == "streaming"
        until(lambda: source_of(server)["oplog_window_s"] >= 0, "it looks at the deployment, too")
    finally:
        stop.set()
        writer.join()


@pytest.mark.parametrize("knows", [True, False], ids=["oplog-readable", "oplog-hidden"])
def test_an_oplog_shorter_than_the_warm_time(more_mongod, launch, hub, knows):
    """Nothing was promised yet: no gap, no loss. It starts at the oldest entry, or at the present."""
    node = more_mongod("--syncdelay", "1", oplog_mb=5)
    db = node.client["d"]
    roll_oplog_over(node, hex_time(node.now()))
    db.etl_logs.insert_many([document(i) for i in range(10)])
    begin = hex_time(node.now())
    marks = [document(i) for i in range(10, 20)]
    config = configuration(node, journal={"warm_s": 86400})
    if knows:
        db.etl_logs.insert_many(marks)
        server = launch(config)
        old = hub.open(server.port, PATTERN, headers=headers(begin))
        old.wait_events(10)
        assert numbers(old) == list(range(10, 20)) and not old.control("gap")
        assert_undisturbed(wait_until_warm(server))
    else:
        with failing(node, ["find"], errorCode=13, namespace="local.oplog.rs"):
            server = launch(config)
            source = wait_until_warm(server)
        assert source["losses"] == 0 and source["events"] == 0, source
    new = hub.open(server.port, PATTERN)
    new.wait_ready()
    db.etl_logs.insert_one(document(20))
    new.wait_events(1)
    assert numbers(new) == [20] and not new.control("gap")


def test_a_warm_time_longer_than_the_deployment_is_old(more_mongod, launch, hub):
    """It starts at the very beginning: all there ever was is served from memory."""
    node = more_mongod()
    begin = hex_time(node.oldest())
    db = node.client["d"]
    db.etl_logs.insert_many([document(i) for i in range(10)])
    server = launch(configuration(node, journal={"warm_s": 86400}))
    stream = hub.open(server.port, PATTERN, headers=headers(begin))
    stream.wait_events(10)
    assert numbers(stream) == list(range(10)) and not stream.control("gap")
    assert_undisturbed(wait_until_warm(server))


def test_a_start_before_the_first_entry(more_mongod, launch, hub):
    """The same where the oplog cannot be looked at: the start then lies before the replica set was."""
    node = more_mongod()
    db = node.client["d"]
    db.etl_logs.insert_many([document(i) for i in range(10)])
    with failing(node, ["find"], errorCode=13, namespace="local.oplog.rs"):
        server = launch(configuration(node, journal={"warm_s": 86400}))
        source = wait_until_warm(server)
    assert source["events"] == 10
    assert_undisturbed(source)
    new = hub.open(server.port, PATTERN)
    new.wait_ready()
    db.etl_logs.insert_one(document(10))
    new.wait_events(1)
    assert numbers(new) == [10]
