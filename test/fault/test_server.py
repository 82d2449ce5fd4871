"""
What an operator may do to the server while tailwater reads: operations, cursors and sessions killed; collections and whole
databases dropped, renamed and made anew. Nothing is lost, and nobody is told of a gap.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

import pymongo
import pytest
from pymongo.errors import PyMongoError

from deadline import until
from foreign import ALL, MAPPING, Failing, Verdict, configuration, judge, operations, running, status, wait_number
from test_errors import LOST, REOPEN, SOME, error_of
from traffic import Writer

# --- two instances and a crowd ---------------------------------------------------------------------------------


@contextlib.contextmanager
def primary(stage) -> Iterator[pymongo.MongoClient]:
    client = stage.cluster.primary().direct()
    try:
        yield client
    finally:
        client.close()


def kill_operations(client: pymongo.MongoClient) -> int:
    found = operations(client)
    for operation in found:
        client.admin.command("killOp", op=operation["opid"])
    return len(found)


def kill_cursors(client: pymongo.MongoClient) -> int:
    found = operations(client)
    killed = 0
    for operation in found:
        database, _, name = operation["ns"].partition(".")
        killed += len(client[database].command("killCursors", name, cursors=[operation["cursor"]["cursorId"]])["cursorsKilled"])
    return killed


def kill_sessions(client: pymongo.MongoClient) -> int:
    """Everybody's: also those of the writers, who write again."""
    found = len(operations(client))
    client.admin.command("killAllSessions", [])
    return found


@pytest.mark.parametrize("kill", [kill_operations, kill_cursors, kill_sessions])
def test_killed(stage, kill):
    """Ten times what is running, while both instances stream."""
    with stage.fault(kill.__name__.replace("_", " ")) as fault, primary(stage) as client:
        before = sum(stage.errors(s) for s in stage.servers)
        killed = 0
        for _ in range(10):
            killed += until(lambda: kill(client), "something to kill")
            stage.flow(20)
        fault.notes["killed"] = killed
        fault.notes["errors"] = sum(stage.errors(s) for s in stage.servers) - before
        assert fault.notes["errors"] >= 10


@pytest.mark.parametrize("codes, place", [
    (SOME, "read"), pytest.param(list(REOPEN), "read", marks=pytest.mark.long),
    pytest.param(list(REOPEN), "open", marks=pytest.mark.long),
], ids=["some-read", "all-read", "all-open"])
def test_all_codes(stage, codes, place):
    """Codes cost nothing but a new stream, one after the other, at both instances and all their clients."""
    commands = ["getMore"] if place == "read" else ["getMore", "aggregate"]
    with stage.fault(f"{len(codes)} codes, {place}") as fault, primary(stage) as client:
        failures = 0
        for code in codes:
            with Failing(client, commands, {"times": 4}, **error_of(code)) as point:
                stage.flow(20)
            failures += point.failures
        fault.notes["failures"] = failures
        assert failures >= len(codes)


@pytest.mark.parametrize("code", [286, *(pytest.param(c, marks=pytest.mark.long) for c in LOST if c != 286)])
def test_history_lost_code(stage, code):
    """The server says that history is lost: a gap for everybody, but what the oplog still has comes."""
    with stage.fault(f"getMore says {code}", gaps=True), primary(stage) as client:
        before = [status(s)["losses"] for s in stage.servers]
        with Failing(client, ["getMore"], {"times": 6}, errorCode=code):
            until(lambda: all(status(s)["losses"] > b for s, b in zip(stage.servers, before, strict=True)), "both have lost")
        stage.flow()


@pytest.mark.parametrize("seconds", [2, pytest.param(20, marks=pytest.mark.long)])
def test_slow_answers(stage, seconds):
    """A getMore that answers late; beyond the patience for the tail the stream is opened again."""
    with stage.fault(f"getMore blocked for {seconds} s"), primary(stage) as client:
        how = {"blockConnection": True, "blockTimeMS": seconds * 1000}
        with Failing(client, ["getMore"], {"times": 2}, **how):
            stage.flow()
        stage.flow()


# --- collections and databases that come and go ------------------------------------------------------------------


def drop(client: pymongo.MongoClient, name: str, _: int) -> None:
    client[name].etl.drop()


def rename(client: pymongo.MongoClient, name: str, turn: int) -> None:
    client[name].etl.rename(f"gone{turn}")


def rename_back(client: pymongo.MongoClient, name: str, turn: int) -> None:
    """Away, and another one in its place; its documents were never inserted there."""
    client[name].other.insert_one({"_id": -turn, "workspace_id": "w", "workflow_id": "f", "n": -1})
    client[name].other.rename("etl", dropTarget=True)


def rename_across(client: pymongo.MongoClient, name: str, turn: int) -> None:
    """Into another database, which copies it."""
    client.admin.command("renameCollection", f"{name}.etl", to=f"{name}_b.etl{turn}")


def drop_database(client: pymongo.MongoClient, name: str, _: int) -> None:
    client.drop_database(name)


def repeat(action: Callable[[pymongo.MongoClient, str, int], None], client: pymongo.MongoClient, name: str, times: int) -> int:
    """Do it that often, with some events in between; how often it was possible."""
    done = 0
    for turn in range(1, times + 1):
        target = client[name].etl
        until(lambda: target.estimated_document_count() > 5, "the collection is there again")
        with contextlib.suppress(PyMongoError):  # it may be away for a moment, because the writer was slower
            action(client, name, turn)
            done += 1
    return done


#: What a source covers: one collection, whose drop and rename end its stream; a database; the cluster.
SCOPES = {
    "collection": [MAPPING],
    "database": None,
    "cluster": [MAPPING, {"collections": ["x"], "database": "elsewhere", "channel": "logs:x:{workspace_id}"}],
}


@pytest.mark.parametrize("action, scope", [
    pytest.param(a, s, marks=[] if s == "collection" or (a, s) == (drop_database, "database") else pytest.mark.long)
    for a in (drop, rename, rename_back, rename_across, drop_database) for s in SCOPES
])
def test_comes_and_goes(cluster, hub, report, action, scope):
    """
    While a writer writes: everything that it inserted comes, once and in order, before, between and after; and again for a
    client that comes back from before all of it to an instance that was not there (a catch-up stream over the same).
    """
    name = f"{action.__name__}_{scope}"
    verdict = Verdict(f"{action.__name__}, source of a {scope}")
    config = configuration(cluster.uri, name, SCOPES[scope], max_await_ms=100)
    with running(config) as server:
        stream = hub.open(server.port, ALL)
        begin = stream.wait_ready().id
        with Writer(cluster.client, name) as writer:
            done = repeat(action, cluster.client, name, 4)
            assert done >= 2
            last = writer.written + 20
            until(lambda: writer.written > last, "more is written")
            written = writer.finish()
        wait_number(stream, written - 1, 60)
        judge(verdict, stream.frames, range(written))
        opens = status(server)["opens"] - 1
        verdict.more.append(f"{done} times, opened again {opens} times")
        assert opens <= 3 * done + 3, "opens in a loop"
        stream.abort()
    with running(config) as late:
        again = hub.open(late.port, ALL, headers={"Last-Event-ID": begin})
        wait_number(again, written - 1, 60)
        judge(verdict, again.frames, range(written))
        assert 1 <= status(late)["catchup_opens"] <= 3 * done + 4
        again.abort()
    report(str(verdict))
    cluster.client.drop_database(name)
    cluster.client.drop_database(f"{name}_b")


def test_not_there_yet(cluster, hub, report):
    """A database and a collection that do not exist: the source is open, and what is inserted first comes."""
    verdict = Verdict("database made by the first insert")
    for scope in SCOPES:
        name = f"not_there_{scope}"
        with running(configuration(cluster.uri, name, SCOPES[scope])) as server:
            stream = hub.open(server.port, ALL)
            stream.wait_ready()
            majority = pymongo.WriteConcern("majority")
            cluster.client[name].get_collection("etl", write_concern=majority).insert_many(
                [{"_id": n, "workspace_id": "w", "workflow_id": "f", "n": n} for n in range(3)])
            wait_number(stream, 2)
            judge(verdict, stream.frames, range(3))
            assert status(server)["opens"] == 1
            stream.abort()
        cluster.client.drop_database(name)
    report(str(verdict))


def test_quiet_after_a_drop(cluster, hub, report):
    """A collection that is dropped and stays away: the source rests, it does not open and open again."""
    name = "quiet"
    with running(configuration(cluster.uri, name, [MAPPING])) as server:
        stream = hub.open(server.port, ALL)
        stream.wait_ready()
        target = cluster.client[name].etl
        target.insert_one({"_id": 0, "workspace_id": "w", "workflow_id": "f", "n": 0})
        wait_number(stream, 0)
        target.drop()
        until(lambda: status(server)["opens"] >= 2, "open again after the drop")
        opens, until_s = status(server)["opens"], time.monotonic() + 3
        until(lambda: time.monotonic() > until_s, "three seconds")  # the time is what is measured
        assert status(server)["opens"] - opens <= 1
        assert status(server)["state"] == "streaming"
        target.insert_one({"_id": 1, "workspace_id": "w", "workflow_id": "f", "n": 1})
        wait_number(stream, 1)
        verdict = Verdict("collection dropped for three seconds")
        judge(verdict, stream.frames, range(2))
        stream.abort()
    report(str(verdict))
    cluster.client.drop_database(name)
