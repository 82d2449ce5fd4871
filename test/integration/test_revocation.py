"""
The grants collection, followed live: what is added starts, what is revoked ends in its place among the events, on every
instance; what cannot be known is not granted. The truth is a reference stream that holds logs and grants in one order.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from bson import ObjectId, Timestamp

from conftest import ETL, FAAS
from deadline import PATIENCE, WAIT_S, until
from identities import (END, NOTHING_GRANTED, STREAM, assert_refused, by_secret, end_marker, ids, log, reader, refusal,
                        wait_end_marker)
from oracle import covers, first_difference, hex_time
from stream import EVENT_ID, POSITION, Frame, Stream
from test_tail import losing, lose

KEEP = ["logs:etl:keep:*", END]  # of tokens, so that a stream outlives its other grants
WORKSPACES = [f"w{i}" for i in range(5)]


@pytest.fixture
def follow(serve, dbname) -> Callable:
    """A server that follows the grants collection of the test's database."""

    def start(*rules, auth: dict | None = None, **more):
        return serve(*(rules or [ETL]), auth=by_secret(grants_collection=f"{dbname}.grants", **(auth or {})), **more)

    return start


def grant(db, user: str, *patterns: str) -> None:
    db.grants.replace_one({"_id": user}, {"read": list(patterns)}, upsert=True)


def may(server, user: str) -> bool:
    """Does this user get in?"""
    return server.request("HEAD", f"{STREAM}?channels=logs:*&errors=status", reader(user)).status == 200


def of(workspace: str) -> str:
    return f"logs:etl:{workspace}:*"


def open_all(hub, server, user: str, claim: list[str] = (), **more) -> Stream:
    """Everything that the user may read."""
    stream = hub.open(server.port, {"channels": "logs:*"} | more, headers=reader(user, list(claim)))
    stream.wait_ready()
    return stream


def wait_granted(stream: Stream, *patterns: str) -> Frame:
    """The newest ready lists exactly these."""
    def told(s: Stream) -> Frame | None:
        newest = (s.control("ready") or [None])[-1]
        return newest if newest and sorted(newest.json["channels"]) == sorted(patterns) else None

    return stream.wait(told, f"a ready with {patterns}")


def wait_revoked(stream: Stream, *patterns: str) -> Frame:
    """All of these have been told to be over."""
    def told(s: Stream) -> list[Frame]:
        frames = s.control("revoked")
        return frames if {p for f in frames for p in f.json["channels"]} >= set(patterns) else []

    return stream.wait(told, f"revoked {patterns}")[-1]


def assert_told(stream: Stream) -> None:
    """Each event was of a channel that, by the frames before it, the stream had at that moment."""
    now: set[str] = set()
    for frame in list(stream.frames):
        match frame.event:
            case "ready": now = set(frame.json["channels"])
            case "revoked": now -= set(frame.json["channels"])
            case _ if frame.data and not frame.is_control:
                assert any(covers(p, frame.json["channel"]) for p in now), (frame, now)


# --- one change ---------------------------------------------------------------------------------------------


def test_loaded_before_the_first_connection(follow, db, hub):
    """What was granted before the start is there for the first who asks; what is no document of grants is nothing. Users
    may be named by numbers and ObjectIds, and have what all their documents say."""
    oid = ObjectId()
    db.grants.insert_many([{"_id": f"user{i}", "read": [of(f"w{i}"), f"logs:faas:w{i}"]} for i in range(3000)])
    db.grants.insert_many([{"_id": oid, "read": [of("w1")]}, {"_id": str(oid), "read": of("w2")}, {"_id": 7, "read": [of("w3")]},
                           {"_id": "none"}, {"_id": "map", "read": {"a": "logs:*"}}, {"_id": {"a": 1}, "read": ["*"]},
                           {"_id": 7.5, "read": ["*"]}, {"_id": "a\0b", "read": ["*"]},
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
    elsewhere = [{"name": r.collection, "tag": t, "database": db.name, "mappings": [r.config]} for r, t in ((ETL, "a"), (FAAS, "b"))]
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


# --- under load ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Entry:
    """A log or a change of grants, where it stands in the order of everything."""

    time: str  # 16 hex digits of its cluster time
    channel: str | None = None
    key: str = ""
    user: str | None = None
    patterns: tuple[str, ...] = ()


def read_order(db, start: Timestamp, last: str) -> list[Entry]:
    order: list[Entry] = []
    end = time.monotonic() + 2 * WAIT_S
    with db.watch(start_at_operation_time=start, batch_size=1000, max_await_time_ms=200) as changes:
        while time.monotonic() < end:
            change = changes.try_next()
            if change is None:
                continue
            at, key = hex_time(change["clusterTime"]), str(change["documentKey"]["_id"])
            if change["ns"]["coll"] == "grants":
                after = change.get("fullDocument") or change.get("updateDescription", {}).get("updatedFields") or {"read": ()}
                order.append(Entry(at, user=key, patterns=tuple(after["read"])))
            else:
                order.append(Entry(at, ETL.channel(change["fullDocument"]), key))
            if key == last:
                return order
    raise AssertionError("the reference stream never saw the last document")


def expected(order: list[Entry], user: str, claim: list[str], point: str) -> tuple[list[str], set[str]]:
    """What a stream of `logs:*` that began at this point must get, by the grants in force at each event; and what it may
    get besides, because it was granted later."""
    wanted, later, coming = [], set(), set()
    granted: tuple[str, ...] = ()
    states = []
    for entry in order:
        granted = entry.patterns if entry.user == user else granted
        states.append(granted)
    for entry, granted in zip(reversed(order), reversed(states)):
        coming |= set(entry.patterns) if entry.user == user else set()
        if entry.channel and entry.time >= point:
            if any(covers(p, entry.channel) for p in (*claim, *granted)):
                wanted.append(entry.key)
            elif any(covers(p, entry.channel) for p in coming):
                later.add(entry.key)
    return wanted[::-1], later


def flip(db, rnd: random.Random, user: str) -> None:
    """Another set of grants, by any operation that holds it."""
    patterns = [of(w) for w in rnd.sample(WORKSPACES, rnd.randint(0, 3))]
    match rnd.randrange(4):
        case 0: db.grants.update_one({"_id": user}, {"$set": {"read": patterns}}, upsert=True)
        case 1: db.grants.delete_one({"_id": user})
        case _: grant(db, user, *patterns)


def test_in_order_under_load(follow, mongo, db, hub, seed):
    """Two instances, three writers, grants that change all the time. Each stream has every event that was granted at its
    cluster time. Of others it has only such as a later grant covers: a stream starts anew from its last id then, as a
    reconnect would. What is revoked for good ends at its cluster time."""
    servers = [follow(loops=2, limits={"queue_bytes": 1 << 26}) for _ in range(2)]  # whoever is behind obeys the grants of now
    users = [f"user{i}" for i in range(6)]
    start = mongo.now()
    streams = [(u, open_all(hub, s, u, KEEP)) for u in users for s in servers]
    over = threading.Event()

    def write(number: int) -> None:
        rnd = random.Random(seed + number)
        while not over.is_set():
            documents = [{"workspace_id": rnd.choice([*WORKSPACES, "keep"]), "workflow_id": "f1"} for _ in range(rnd.choice([1, 1, 1, 20]))]
            db.etl_logs.insert_many(documents)
            time.sleep(rnd.uniform(0, 0.01))  # a rate, not a wait

    def change(number: int) -> int:
        rnd = random.Random(seed + 100 + number)
        for _ in range(60):
            flip(db, rnd, rnd.choice(users[number::2]))
            time.sleep(rnd.uniform(0, 0.05))  # a rate, not a wait
        return 60

    with ThreadPoolExecutor(5) as pool:
        writers = [pool.submit(write, i) for i in range(3)]
        try:
            changes = sum(pool.map(change, range(2)))
        finally:
            over.set()
        for writer in writers:
            writer.result()
    order = read_order(db, start, end_marker(db))
    for i, (user, stream) in enumerate(streams):
        wait_end_marker(stream)
        assert POSITION.fullmatch(stream.frames[0].id), stream.frames[0]
        wanted, later = expected(order, user, KEEP, stream.frames[0].id)
        got = ids(stream)
        where = f"seed {seed}, stream {i} of {user}"
        assert [k for k in got if k not in later] == wanted, f"{where}: {first_difference(got, wanted)}"
        assert got == [e.key for e in order if e.key in set(got)], f"{where}: not in order, or double"
        assert_told(stream)
    revoked = sum(len(s.control("revoked")) for _, s in streams)
    assert revoked > len(streams)
    print(f"\n{len(order)} writes, {changes} changes of grants, {revoked} revoked, {sum(len(s.events) for _, s in streams)} deliveries")


@pytest.mark.parametrize("journal", [1 << 26, 65536], ids=["journal", "catch-up"])
def test_slow_reader(follow, db, hub, journal):
    """A reader far behind: nothing of after the revocation, and what it may still get has no hole."""
    server = follow(limits={"queue_bytes": 16384}, journal={"bytes": journal})
    grant(db, "ann", of("w1"))
    stream = hub.open(server.port, {"channels": "logs:*"}, headers=reader("ann", KEEP), receive_buffer=4096)
    wait_granted(stream, *KEEP, of("w1"))
    stream.pause()
    pad = "x" * 4000

    def write(count: int) -> list[str]:
        return [log(db, w, pad=pad) for _ in range(count) for w in ("w1", "keep")]

    early = write(300)
    grant(db, "ann")
    late = write(50)
    until(lambda: server.health()["sources"][0]["events"] >= 700, "the server has read everything")
    stream.resume()
    marker = end_marker(db)
    wait_end_marker(stream)
    got = ids(stream)
    assert [i for i in got if i in early[1::2] + late[1::2] + [marker]] == [*early[1::2], *late[1::2], marker]
    revoked = [i for i in got if i in early[::2] + late[::2]]
    assert revoked == early[::2][:len(revoked)]
    assert [f.json["channels"] for f in stream.control("revoked")] == [[of("w1")]] and not stream.control("gap")
    assert_told(stream)


def test_tail_and_resume_obey_the_grants_of_now(follow, db, hub):
    """What was readable yesterday and is not today is not in tail, since, history or what a resume brings."""
    server = follow()
    grant(db, "ann", of("w1"))
    stream = open_all(hub, server, "ann", KEEP)
    wait_granted(stream, *KEEP, of("w1"))
    begin = stream.control("ready")[-1].id
    both = [log(db, w) for _ in range(5) for w in ("w1", "keep")]
    stream.wait_events(10)
    grant(db, "ann")
    wait_revoked(stream, of("w1"))

    for more in ({"tail": 100}, {"since": "-5m"}, {"last_event_id": begin}):
        late = open_all(hub, server, "ann", KEEP, **more)
        end_marker(db)
        wait_end_marker(late)
        assert [f.json["log_data"]["_id"] for f in late.events if f.json["workspace_id"] != "end"] == both[1::2], more
        late.abort()
    page = server.get("/api/logs/history?channels=logs:*:keep:*", reader("ann", KEEP)).json
    assert [e["log_data"]["_id"] for e in page["events"]] == both[1::2][::-1]
    event = f"/api/logs/event?channel=logs:etl:w1:f1&id={both[0]}"
    assert refusal(server.get(event, reader("ann", KEEP))) == (403, NOTHING_GRANTED)
    grant(db, "ann", of("w1"))
    until(lambda: server.get(event, reader("ann", KEEP)).status == 200, "granted again")
    again = open_all(hub, server, "ann", KEEP, last_event_id=begin)
    end_marker(db)
    wait_end_marker(again)
    assert [f.json["log_data"]["_id"] for f in again.events if f.json["workspace_id"] != "end"] == both


def test_loaded_anew_after_a_loss(follow, mongo, db, hub):
    """The stream that brings the grants has lost a part: what was revoked in it is revoked nevertheless."""
    def revoke() -> None:
        db.grants.delete_one({"_id": "ann"})
        grant(db, "bob", of("w1"), of("w2"))

    server = follow(**losing(mongo))
    for user in ("ann", "bob"):
        grant(db, user, of("w1"))
    streams = [open_all(hub, server, u, KEEP) for u in ("ann", "bob")]
    for stream in streams:
        wait_granted(stream, *KEEP, of("w1"))
    lose(mongo, revoke)
    wait_revoked(streams[0], of("w1"))
    wait_granted(streams[1], *KEEP, of("w1"), of("w2"))
    log(db, "w1", n=1)
    end_marker(db)
    for stream in streams:
        wait_end_marker(stream)
    assert "w1" not in [f.json["workspace_id"] for f in streams[0].events]
    assert "w1" in [f.json["workspace_id"] for f in streams[1].events]


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
        server = launch({"mongodb": {"uri": node.uri}, "auth": by_secret(grants_collection=f"{dbname}.grants", anonymous=[of("w1")]),
                         "sources": [{"name": "logs", "tag": "a", "database": dbname, "mappings": [ETL.config]}]}, healthy=False)
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
