"""Notices: what a source finds out about its deployment, in /health by code, in the log in full, each once."""

from __future__ import annotations

import threading
import time

import pytest
from pymongo import WriteConcern

from conftest import ETL
from deadline import WAIT_S, until
from oracle import hex_time
from test_resume import roll_oplog_over


def notices(server) -> dict[str, dict]:
    """By code, as /health shows them now."""
    return {n["code"]: n for n in server.health()["sources"][0]["notices"]}


def counts(server) -> dict[str, int]:
    return {code: n["count"] for code, n in notices(server).items()}


def assert_silent(server) -> None:
    """Nothing was found. A look that has begun is finished before the server ends."""
    until(lambda: server.health()["sources"][0]["oplog_window_s"] >= 0, "a first look")
    assert not notices(server)
    server.stop()
    assert not logged(server, '"notice"')


def logged(server, *words: str) -> list[str]:
    return [line for line in server.lines if all(w in line for w in words)]


def logged_once(server, *words: str) -> str:
    """The one line with these words. It may come just after /health shows the same."""
    until(lambda: logged(server, *words), f"a line with {words}")
    (line,) = logged(server, *words)
    return line


def ordered(*collections: str) -> dict:
    return {"collections": list(collections), "channel": "logs:x:{workspace_id}", "order": "at"}


def test_nothing_to_say(serve, db):
    """A plain deployment, young oplog, plain collection: no notice, nothing in the log."""
    db.etl_logs.insert_one({"workspace_id": "w"})
    assert_silent(serve(ETL))


def test_collections(serve, db):
    """Capped, without index, a view, a time-series collection: each has its name in the log and none in /health."""
    db.create_collection("secret_capped", capped=True, size=100000)
    db.create_collection("secret_series", timeseries={"timeField": "at"})
    db.create_collection("secret_view", viewOn="secret_capped", pipeline=[])
    for name, keys in {"fit": [("at", 1), ("_id", 1)], "fit_backwards": [("at", -1), ("_id", -1), ("x", 1)],
                       "unfit": [("at", 1)], "crossed": [("at", 1), ("_id", -1)]}.items():
        db[name].create_index(keys)
    db.not_mapped.insert_one({})
    server = serve(mappings=[ordered("secret_*", "*fit*", "crossed")])
    wanted = {"capped_collection": 1, "missing_index": 3, "no_change_stream": 2}
    until(lambda: counts(server) == wanted, "all notices")
    assert all(n["since"].startswith("20") and n["text"] for n in notices(server).values())
    assert b"secret_" not in server.get("/health").body
    logged_once(server, "capped_collection", f"{db.name}.secret_capped is capped")
    for name in ("unfit", "crossed", "secret_capped"):
        line = logged_once(server, "missing_index", f"{db.name}.{name} has no index")
        assert f'db.getCollection(\\"{name}\\").createIndex({{\\"at\\": 1, \\"_id\\": 1}})' in line
    logged_once(server, "no_change_stream", f"{db.name}.secret_view is a view")
    logged_once(server, "no_change_stream", f"{db.name}.secret_series is a time-series collection")
    assert not logged(server, "not_mapped")


def test_order_by_id_needs_no_index(serve, db):
    db.etl_logs.insert_one({"workspace_id": "w"})
    assert_silent(serve(ETL, mappings=[ordered("other")]))


@pytest.mark.long
def test_gone_is_told_once(serve, db):
    """What the operator has put right leaves /health at the next look, with one line in the log."""
    db.create_collection("capped", capped=True, size=100000)
    for i in range(25):  # more than one look asks for
        db.create_collection(f"c{i}")
    server = serve(mappings=[ordered("*")])
    until(lambda: counts(server).get("missing_index") == 26, "all in turn", WAIT_S * 5, every_s=0.2)
    for name in db.list_collection_names():
        db[name].create_index([("at", 1), ("_id", 1)])
    db.capped.drop()
    until(lambda: not notices(server), "no notice is left", WAIT_S * 5, every_s=0.2)
    server.stop()
    assert len(logged(server, "missing_index", "has no index")) == 26
    assert len(logged(server, "missing_index", "no longer")) == 26
    assert len(logged(server, "capped_collection of", "no longer")) == 1


def test_short_oplog_window(more_mongod, launch):
    """A young oplog is not short, a full one is; the command that is given makes it long."""
    node = more_mongod("--syncdelay", "1", oplog_mb=5)
    config = {"mongodb": {"uri": node.uri}, "sources": [{"name": "logs", "database": "d"}]}
    assert_silent(launch(config))
    roll_oplog_over(node, hex_time(node.now()))
    full = launch(config)
    until(lambda: "short_oplog_window" in notices(full), "the notice")
    line = logged_once(full, "short_oplog_window")
    assert "replSetResizeOplog: 1, size: Double(" in line and "(3600)" in line
    assert_silent(launch(config | {"oplog_window_min_s": 0}))
    node.client.admin.command({"replSetResizeOplog": 1, "size": 990.0})
    assert_silent(launch(config))


class Writer:
    """Documents one by one, at irregular times, 20 a second."""

    def __init__(self, collection, concern: WriteConcern):
        self._collection = collection.with_options(write_concern=concern)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Writer":
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        pause_s = 0.05
        while not self._stop.is_set():
            self._collection.insert_one({"workspace_id": "w", "workflow_id": "f"})
            pause_s = 0.03 + (pause_s * 7919) % 0.04
            time.sleep(pause_s)


@pytest.mark.long
def test_unjournaled_writers(serve, db):
    """Writers that nobody waits for the journal for are recognised, and that they have been changed."""
    server = serve(ETL)
    with Writer(db.etl_logs, WriteConcern(w=1, j=False)):
        until(lambda: "unjournaled_writers" in notices(server), "the notice", WAIT_S * 6, every_s=0.2)
    with Writer(db.etl_logs, WriteConcern("majority")):
        until(lambda: not notices(server), "it is gone", WAIT_S * 6, every_s=0.2)
    server.stop()
    assert len(logged(server, "unjournaled_writers", "ms late")) == 1
    assert len(logged(server, "unjournaled_writers", "no longer")) == 1


@pytest.mark.long
@pytest.mark.parametrize("concern", [WriteConcern("majority"), WriteConcern(w=1, j=True)],
                         ids=["majority", "journaled"])
def test_writers_that_wait_for_the_journal_are_fine(serve, db, concern):
    server = serve(ETL)
    with Writer(db.etl_logs, concern):
        until(lambda: server.health()["sources"][0]["events"] > 700, "35 s of events", WAIT_S * 6, every_s=0.2)
    assert_silent(server)
