"""
The grants collection, followed live: loaded before the first connection, each operation in its place among the events,
on every instance within a second; and what cannot be known is not granted.
"""

from __future__ import annotations

import os
import signal
import time

import pytest
from bson import ObjectId

from conftest import ETL, FAAS
from deadline import PATIENCE, until
from identities import (END, KEEP, NOTHING_GRANTED, STREAM, WORKSPACES, assert_refused, assert_told, by_secret,
                        end_marker, follow, grant, ids, log, may, of, open_all, reader, refusal, wait_end_marker,
                        wait_granted, wait_revoked)
from stream import EVENT_ID

# --- one change ---------------------------------------------------------------------------------------------


def test_loaded_before_the_first_connection(follow, db, hub):
    """What was granted before the start is there for the first who asks; what is no document of grants is nothing.
    Users may be named by numbers and ObjectIds, and have what all their documents say."""
    oid = ObjectId()
    db.grants.insert_many([{"_id": f"user{i}", "read": [of(f"w{i}"), f"logs:faas:w{i}"]} for i in range(3000)])
    db.grants.insert_many([{"_id": oid, "read": [of("w1")]}, {"_id": str(oid), "read": of("w2")},
                           {"_id": 7, "read": [of("w3")]}, {"_id": "none"}, {"_id": "map", "read": {"a": "logs:*"}},
                           {"_id": {"a": 1}, "read": ["*"]}, {"_id": 7.5, "read": ["*"]},
                           {"_id": "a\0b", "read": ["*"]}, {"_id": "*", "read": ["*"]},
                           {"_id": "partly", "read": ["logs:e*", "", None, 3, of("w9"), "logs::x"]}])
    server = follow()
    assert sorted(open_all(hub, server, str(oid)).ready["channels"]) == [of("w1"), of("w2")]
    assert open_all(hub, server, "7").ready["channels"] == [of("w3")]
    for i in (0, 1500, 2999):
        assert sorted(open_all(hub, server, f"user{i}").ready["channels"]) == [of(f"w{i}"), f"logs:faas:w{i}"]
    for user in ("user3000", "none", "map", "nobody", "7.5", "a"):
        assert server.request("HEAD", f"{STREAM}?channels=logs:*", reader(user)).status == 403, user
    assert open_all(hub, server, "partly").ready["channels"] == [of("w9")]


def test_each_operation(follow, db, hub):
    """insert, $set, $push, $pull, replace, delete: live, each told, each in force for the next event."""
    server = follow()
    stream = open_all(hub, server, "ann", KEEP)
    assert sorted(stream.ready["channels"]) == sorted(KEEP)
    wanted, steps = [], [
        (lambda g: g.insert_one({"_id": "ann", "read": [of("w0")]}), "0"),
        (lambda g: g.update_one({"_id": "ann"}, {"$push": {"read": of("w1")}}), "01"),
        (lambda g: g.update_one({"_id": "ann"}, {"$pull": {"read": of("w0")}}), "1"),
        (lambda g: g.replace_one({"_id": "ann"}, {"read": [of("w2"), of("w3")]}), "23"),
        (lambda g: g.update_one({"_id": "ann"}, {"$set": {"note": "no change"}}), "23"),
        (lambda g: g.update_one({"_id": "ann"}, {"$set": {"read.0": of("w4")}}), "34"),
        (lambda g: g.update_one({"_id": "ann"}, {"$unset": {"read": 1}}), ""),
        (lambda g: g.update_one({"_id": "ann"}, {"$set": {"read": [of("w0"), of("w1")]}}), "01"),
        (lambda g: g.update_one({"_id": "bob"}, {"$set": {"read": ["*"]}}, upsert=True), "01"),
        (lambda g: g.delete_one({"_id": "ann"}), ""),
        (lambda g: g.insert_one({"_id": "ann", "read": [of("w4")]}), "4"),
    ]
    for change, granted in steps:
        change(db.grants)
        written = {w: log(db, w) for w in WORKSPACES}
        wanted += [written[f"w{digit}"] for digit in sorted(granted)] + [log(db, "keep")]
    wanted.append(end_marker(db))
    wait_end_marker(stream)
    assert ids(stream) == wanted
    assert_told(stream)
    assert all(EVENT_ID.fullmatch(f.id) for f in stream.events)
    assert not stream.control("gap")


def test_denied_starts_when_it_is_granted(follow, db, hub):
    """A part that was denied begins with a new ready; the id of that is a point in the stream."""
    server = follow()
    channels = "logs:etl:w1:f1,logs:etl:keep:f1"
    stream = hub.open(server.port, {"channels": channels}, headers=reader("ann", KEEP))
    ready = stream.wait_ready().json
    assert (ready["channels"], ready["denied"]) == (["logs:etl:keep:f1"], ["logs:etl:w1:f1"])
    log(db, "w1")
    grant(db, "ann", of("w1"))
    again = wait_granted(stream, *channels.split(","))
    assert again.json["denied"] == [] and again.json["connection_id"] == ready["connection_id"]
    mine = log(db, "w1")
    stream.wait(lambda s: ids(s)[-1:] == [mine], "the event")
    resumed = hub.open(server.port, {"channels": channels}, headers=reader("ann", KEEP) | {"Last-Event-ID": again.id})
    resumed.wait(lambda s: ids(s)[-1:] == [mine], "the event")
    assert ids(stream) == ids(resumed)  # all that lies behind its id, and that alone


def test_a_narrower_grant(follow, db, hub):
    """From wide to narrow and back: what ends is told, and what is left."""
    server = follow()
    grant(db, "ann", "logs:*")
    until(lambda: may(server, "ann"), "the grant is known")
    stream = open_all(hub, server, "ann")
    assert stream.ready["channels"] == ["logs:*"]
    wanted = [log(db, "w1"), log(db, "w2")]
    grant(db, "ann", of("w2"), END)
    log(db, "w1")
    wanted.append(log(db, "w2"))
    wait_granted(stream, of("w2"), END)
    grant(db, "ann", "logs:*")
    wanted += [log(db, "w1"), end_marker(db)]
    wait_end_marker(stream)
    assert ids(stream) == wanted
    assert_told(stream)


def test_nothing_left_closes(follow, db, hub):
    """The last grant gone: revoked, end; whoever comes back is told 403."""
    server = follow()
    grant(db, "ann", of("w1"))
    until(lambda: may(server, "ann"), "the grant is known")
    streams = [open_all(hub, server, "ann") for _ in range(2)]
    seen = log(db, "w1")
    streams[0].wait_events(1)
    db.grants.delete_one({"_id": "ann"})
    log(db, "w1")
    for stream in streams:
        stream.wait_end()
        assert stream.frames[-1].event == "revoked" and stream.frames[-1].json["channels"] == [of("w1")]
        assert ids(stream) == [seen]
    assert refusal(server.get(f"{STREAM}?channels=logs:*", reader("ann"))) == (403, NOTHING_GRANTED)


def test_within_a_second_on_every_instance(follow, db, hub):
    """From the write's answer to the frame, 20 times, on two instances; in another source as well."""
    elsewhere = [{"name": r.collection, "tag": t, "database": db.name, "mappings": [r.config]}
                 for r, t in ((ETL, "a"), (FAAS, "b"))]
    servers = [follow(), follow(), follow(sources=elsewhere)]
    streams = [open_all(hub, s, "ann", KEEP) for s in servers]
    late = []
    for i in range(20):
        grant(db, "ann", of(f"w{i}"))
        done = time.monotonic()
        late += [wait_granted(s, *KEEP, of(f"w{i}")).at - done for s in streams]
    for i in range(20):
        grant(db, "ann", *[of(f"v{k}") for k in range(i, 20)])
        done = time.monotonic()
        lost = of("w19") if i == 0 else of(f"v{i - 1}")
        late += [wait_revoked(s, lost).at - done for s in streams]
    assert max(late) < 1 * PATIENCE, max(late)
    print(f"\n{len(late)} changes, at most {max(late) * 1000:.0f} ms after the write's answer")


@pytest.mark.parametrize("end", ["drop", "rename", "dropDatabase"])
def test_the_collection_goes_away(serve, mongo, db, dbname, hub, end):
    """Everybody's grants end with it; a new one of the name is followed."""
    platform = mongo.client[f"{dbname}_p"]
    server = serve(ETL, auth=by_secret(grants_collection=f"{platform.name}.grants"))
    try:
        platform.grants.insert_many([{"_id": u, "read": [of("w1")]} for u in ("ann", "bob")])
        until(lambda: may(server, "bob"), "the grants are known")
        gone, stays = open_all(hub, server, "bob"), open_all(hub, server, "ann", KEEP)
        before = log(db, "w1")
        gone.wait_events(1)
        match end:
            case "drop": platform.grants.drop()
            case "rename": platform.grants.rename("other")
            case "dropDatabase": mongo.client.drop_database(platform.name)
        wait_revoked(stays, of("w1"))
        gone.wait_end()
        log(db, "w1")
        platform.grants.insert_one({"_id": "ann", "read": [of("w2")]})
        wait_granted(stays, *KEEP, of("w2"))
        after = [log(db, "w2"), end_marker(db)]
        wait_end_marker(stays)
        assert ids(gone) == [before] and ids(stays) == [before, *after]
    finally:
        mongo.client.drop_database(platform.name)


def test_where_there_is_no_change_stream(more_mongod, follow, dbname, hub):
    """A standalone server is polled; so are the grants."""
    node = more_mongod(replica_set=False)
    db = node.client[dbname]
    server = follow(uri=node.uri, mode="auto", poll={"interval_ms": 200})
    stream = open_all(hub, server, "ann", KEEP)
    late = []
    for i in range(4):
        grant(db, "ann", of(f"w{i}"))
        done = time.monotonic()
        late.append(wait_granted(stream, *KEEP, of(f"w{i}")).at - done)
    assert max(late) < 1 * PATIENCE, late
    db.grants.drop()
    wait_revoked(stream, of("w3"))
    log(db, "w3")
    mine = log(db, "keep")
    stream.wait(lambda s: ids(s)[-1:] == [mine], "the event")
    assert ids(stream) == [mine]
    assert_told(stream)


def test_grants_are_no_logs(serve, db, dbname, hub):
    """Where every collection is a log, that of the grants is not."""
    server = serve(auth=by_secret(grants_collection=f"{dbname}.grants"))
    stream = hub.open(server.port, {"channels": "*"}, headers=reader("root", ["*"]))
    stream.wait_ready()
    db.grants.insert_one({"_id": "ann", "read": ["logs:*"], "workspace_id": "w1", "workflow_id": "f1"})
    db.grants.update_one({"_id": "ann"}, {"$set": {"read": []}})
    db.others.insert_one({"workspace_id": "w1", "workflow_id": "f1"})
    assert [f.json["channel"] for f in stream.wait_events(1)] == ["logs:others:w1:f1"]
    page = server.get("/api/logs/history?channels=*", reader("root", ["*"])).json
    assert [e["channel"] for e in page["events"]] == ["logs:others:w1:f1"]


# --- what cannot be known is not granted --------------------------------------------------------------------


def test_mongodb_stands_still(more_mongod, follow, dbname, hub):
    """Longer than grants_max_age_s: who depends on the collection is sent away and let in again when it is back; others
    notice nothing."""
    node = more_mongod()
    db = node.client[dbname]
    server = follow(uri=node.uri, grants_max_age_s=2, heartbeat_s=1)
    grant(db, "ann", of("w1"))
    ask = f"{STREAM}?channels=logs:*&errors=status"
    until(lambda: may(server, "ann"), "the grant is known")
    depends, claimed = open_all(hub, server, "ann"), open_all(hub, server, "bob", [of("w1")])
    log(db, "w1")
    depends.wait_events(1)
    began = time.monotonic()
    os.kill(node.pid, signal.SIGSTOP)
    try:
        depends.wait_end()
        took = time.monotonic() - began
        assert 1.5 < took < 2 + 3 * PATIENCE, took
        assert depends.frames[-1].event in ("revoked", "goaway"), depends.frames[-3:]
        code = assert_refused(hub.open(server.port, {"channels": "logs:*"}, headers=reader("ann")))
        answer = server.get(ask, reader("ann"))
        assert refusal(answer) == (503, code) and int(answer.headers["retry-after"]) > 0
        assert server.get("/api/logs/history?channels=logs:*", reader("ann")).status == 503
        beats = len(claimed.control("heartbeat"))
        claimed.wait(lambda s: len(s.control("heartbeat")) > beats, "a heartbeat")
        open_all(hub, server, "bob", [of("w1")]).abort()
    finally:
        os.kill(node.pid, signal.SIGCONT)
    missed = log(db, "w1")
    until(lambda: may(server, "ann"), "the grants are followed again")
    back = open_all(hub, server, "ann", last_event_id=depends.last_id)
    for stream in (back, claimed):
        stream.wait(lambda s: ids(s)[-1:] == [missed], "what was written meanwhile")
    assert ids(back) == [missed] and len(claimed.events) == 2 and not claimed.control("gap")
    print(f"\nclosed {took:.2f} s after MongoDB stood still")


def test_not_loaded_yet(more_mongod, launch, dbname, hub):
    """A start while MongoDB stands still: a temporary refusal, never a 403, for all who may have grants there."""
    node = more_mongod()
    grant(node.client[dbname], "ann", of("w2"))
    os.kill(node.pid, signal.SIGSTOP)
    try:
        auth = by_secret(grants_collection=f"{dbname}.grants", anonymous=[of("w1")])
        sources = [{"name": "logs", "tag": "a", "database": dbname, "mappings": [ETL.config]}]
        server = launch({"mongodb": {"uri": node.uri}, "auth": auth, "sources": sources}, healthy=False)
        code = assert_refused(hub.open(server.port, {"channels": "logs:*"}, headers=reader("ann")))
        answer = server.get(f"{STREAM}?channels=logs:*&errors=status", reader("ann"))
        assert refusal(answer) == (503, code) and int(answer.headers["retry-after"]) > 0
        assert_refused(hub.open(server.port, {"channels": "logs:*"}, headers=reader("bob", [of("w1")])), code)
        nobody = hub.open(server.port, {"channels": "logs:*"})
        assert nobody.wait_ready().json["channels"] == [of("w1")]
    finally:
        os.kill(node.pid, signal.SIGCONT)
    until(lambda: may(server, "ann"), "the grants are loaded")
    stream = open_all(hub, server, "ann")
    assert sorted(stream.ready["channels"]) == [of("w1"), of("w2")]
    mine = log(node.client[dbname], "w1")
    for s in (stream, nobody):
        s.wait(lambda s: ids(s) == [mine], "the event")
