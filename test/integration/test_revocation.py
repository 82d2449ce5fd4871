"""
Revocation while much is going on: under load on two instances, with slow readers, in the middle of rows, after a loss.
The truth is a reference stream that holds logs and grants in one order.
"""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from bson import Timestamp

from conftest import ETL
from deadline import WAIT_S, until
from identities import (END, KEEP, NOTHING_GRANTED, WORKSPACES, assert_told, end_marker, follow, grant, ids, log, may,
                        of, open_all, reader, refusal, wait_end_marker, wait_granted, wait_revoked)
from oracle import covers, first_difference, hex_time
from stream import POSITION, Stream
from test_tail import lose, losing


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
                after = change.get("fullDocument") or change.get("updateDescription", {}).get("updatedFields")
                after = after or {"read": ()}
                order.append(Entry(at, user=key, patterns=tuple(after["read"])))
            else:
                order.append(Entry(at, ETL.channel(change["fullDocument"]), key))
            if key == last:
                return order
    raise AssertionError("the reference stream never saw the last document")


def expected(order: list[Entry], user: str, claim: list[str], point: str) -> tuple[list[str], set[str]]:
    """What a stream of `logs:*` that began at this point must get, by the grants in force at each event; and what it
    may get besides, because it was granted later."""
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
    """Two instances, three writers, grants that change all the time. Each stream has every event that was granted at
    its cluster time. Of others it has only such as a later grant covers: a stream starts anew from its last id then, as
    a reconnect would. What is revoked for good ends at its cluster time."""
    never_behind = {"queue_bytes": 1 << 26}  # who is behind obeys the grants of now
    servers = [follow(loops=2, limits=never_behind) for _ in range(2)]
    users = [f"user{i}" for i in range(6)]
    start = mongo.now()
    streams = [(u, open_all(hub, s, u, KEEP)) for u in users for s in servers]
    over = threading.Event()

    def write(number: int) -> None:
        rnd = random.Random(seed + number)
        while not over.is_set():
            db.etl_logs.insert_many([{"workspace_id": rnd.choice([*WORKSPACES, "keep"]), "workflow_id": "f1"}
                                     for _ in range(rnd.choice([1, 1, 1, 20]))])
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
    deliveries = sum(len(s.events) for _, s in streams)
    print(f"\n{len(order)} writes, {changes} changes of grants, {revoked} revoked, {deliveries} deliveries")


def reconnect_at_random(hub, servers, user: str, rnd: random.Random, over: threading.Event) -> list[Stream]:
    """One reader who is cut again and again, and comes back with the last id, to any instance, at times slowly."""
    streams, last = [], None
    while not over.is_set() or not streams:
        headers = reader(user, KEEP) | ({"Last-Event-ID": last} if last else {})
        streams += hub.open_many(rnd.choice(servers).port, [{"channels": "logs:*"}], headers=headers,
                                 receive_buffer=rnd.choice([None, 4096]))
        streams[-1].wait_ready()
        time.sleep(rnd.uniform(0, 0.2))  # any moment
        streams[-1].abort()
        last = streams[-1].last_id
    headers = reader(user, KEEP) | {"Last-Event-ID": last}
    return streams + [hub.open(rnd.choice(servers).port, {"channels": "logs:*"}, headers=headers)]


def test_reconnects_while_grants_change(follow, mongo, db, hub, seed):
    """Cut, back with the last id on any instance, while grants come and go: what is always granted arrives exactly
    once, in order; of the rest nothing twice, nothing that a stream did not have, and nothing of after the last
    revocation."""
    servers = [follow(loops=2, limits={"queue_bytes": 16384}, journal={"bytes": j}) for j in (1 << 26, 65536)]
    users = [f"user{i}" for i in range(4)]
    start = mongo.now()
    over = threading.Event()

    def write() -> None:
        rnd = random.Random(seed)
        while not over.is_set():
            db.etl_logs.insert_many([{"workspace_id": rnd.choice([*WORKSPACES, "keep"]), "workflow_id": "f1",
                                      "pad": "x" * rnd.choice([10, 2000])} for _ in range(rnd.choice([1, 5]))])
            time.sleep(rnd.uniform(0, 0.01))  # a rate, not a wait

    with ThreadPoolExecutor(6) as pool:
        writer = pool.submit(write)
        readers = [pool.submit(reconnect_at_random, hub, servers, u, random.Random(f"{seed}{u}"), over) for u in users]
        rnd = random.Random(seed + 1)
        for _ in range(80):
            flip(db, rnd, rnd.choice(users))
            time.sleep(rnd.uniform(0, 0.06))  # a rate, not a wait
        db.grants.delete_many({})
        over.set()
        writer.result()
        streams = {u: job.result() for u, job in zip(users, readers)}
    for workspace in WORKSPACES:
        log(db, workspace)
    order = read_order(db, start, end_marker(db))
    for user, parts in streams.items():
        wait_end_marker(parts[-1])
        got = [key for s in parts for key in ids(s)]
        kept = [e.key for e in order if e.channel in ("logs:etl:keep:f1", END) and e.time >= parts[0].frames[0].id]
        assert [k for k in got if k in set(kept)] == kept, f"seed {seed}, {user}"
        assert got == [e.key for e in order if e.key in set(got)], f"seed {seed}, {user}: not in order, or double"
        granted, later = expected(order, user, KEEP, "")
        assert set(got) <= set(granted) | later, f"seed {seed}, {user}"
        for stream in parts:
            assert_told(stream)
            assert not stream.control("gap")
    print(f"\n{len(order)} writes, {sum(len(p) for p in streams.values())} connections")


def write_pairs(db, count: int) -> list[str]:
    """Large logs, by turns of what is revoked and of what is kept; more in all than sockets hold."""
    return [log(db, w, pad="x" * 40000) for _ in range(count) for w in ("w1", "keep")]


@pytest.mark.parametrize("journal", [1 << 26, 65536], ids=["journal", "catch-up"])
def test_slow_reader(follow, db, hub, journal):
    """A reader far behind: nothing of after the revocation, and what it may still get has no hole."""
    server = follow(limits={"queue_bytes": 16384}, journal={"bytes": journal})
    grant(db, "ann", of("w1"))
    stream = hub.open(server.port, {"channels": "logs:*"}, headers=reader("ann", KEEP), receive_buffer=4096)
    quick = open_all(hub, server, "bob", KEEP)
    wait_granted(stream, *KEEP, of("w1"))
    stream.pause()
    early = write_pairs(db, 150)
    grant(db, "ann")
    late = write_pairs(db, 20)
    quick.wait(lambda s: ids(s)[-1:] == late[-1:], "the server has carried everything")
    stream.resume()
    marker = end_marker(db)
    wait_end_marker(stream)
    got = ids(stream)
    assert [i for i in got if i in early[1::2] + late[1::2] + [marker]] == [*early[1::2], *late[1::2], marker]
    revoked = [i for i in got if i in early[::2] + late[::2]]
    assert revoked == early[::2][:len(revoked)] and len(revoked) < 150
    assert [f.json["channels"] for f in stream.control("revoked")] == [[of("w1")]] and not stream.control("gap")
    assert_told(stream)


@pytest.mark.parametrize("more", [{"tail": 2000}, {"since": "-10m"}], ids=str)
def test_reader_in_the_middle(follow, db, hub, more):
    """Rows that were read, but not sent yet when their grant ended, are not sent."""
    server = follow(limits={"queue_bytes": 16384})
    grant(db, "ann", of("w1"))
    until(lambda: may(server, "ann"), "the grant is known")
    written = write_pairs(db, 150)
    stream = hub.open(server.port, {"channels": "logs:*"} | more, headers=reader("ann", KEEP), receive_buffer=4096)
    stream.wait_ready()
    stream.pause()
    grant(db, "ann")
    until(lambda: not may(server, "ann"), "the revocation is known")
    stream.resume()
    end_marker(db)
    wait_end_marker(stream)
    assert [f.json["channels"] for f in stream.control("revoked")] == [[of("w1")]]
    assert_told(stream)
    seen = ids(stream)[:-1]
    assert [i for i in seen if i in written[1::2]] == written[1::2]
    assert len(seen) < len(written)


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


