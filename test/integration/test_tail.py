"""tail=, since= and replay: what the collections hold first, then live, with nothing missing and nothing double."""

from __future__ import annotations

import datetime
import random
import socket
import time
import uuid

import pytest
from bson import Binary, Int64, ObjectId

from conftest import AUDIT, ETL, FAAS
from deadline import WAIT_S, until
from oracle import Rule, covers, first_difference, hex_time, key_of, read_truth
from stream import EVENT_ID, POSITION
from test_resume import roll_oplog_over
from test_rows import Writers, at_second, ms

RULES = (ETL, FAAS, AUDIT)
STAMPED = {"collections": ["stamped"], "channel": "logs:stamped:{w}", "order": "at"}


def caught_up(stream):
    return stream.wait_control("caught-up")


def parts(stream) -> tuple[list, list]:
    """The rows, and the events behind them: up to caught-up those have no id either."""
    end = caught_up(stream)
    frames = [f for f in list(stream.frames) if f.event not in ("heartbeat", "gap", "ready")]
    at = frames.index(end)
    before, behind = frames[:at], frames[at + 1:]
    assert len(stream.control("ready")) == len(stream.control("caught-up")) == 1
    assert all(f.id is None for f in before), "nothing carries an id before caught-up"
    assert POSITION.fullmatch(end.id) or EVENT_ID.fullmatch(end.id)
    assert all(EVENT_ID.fullmatch(f.id) and f.id[:16] >= end.id[:16] for f in behind)
    count = end.json["rows"]
    assert count + end.json["events"] == len(before)
    return before[:count], before[count:] + behind


def doc_ids(frames) -> list[str]:
    return [f.json["log_data"]["_id"] for f in frames]


def numbers(frames) -> list:
    return [f.json["log_data"]["n"] for f in frames]


def tail_of(hub, server, count, channels="logs:*", **more):
    stream = hub.open(server.port, {"channels": channels, "tail": count, **more})
    return stream, parts(stream)[0]


# --- the hand-over ------------------------------------------------------------------------------------


def check_newest(rows, at_border: list, where: str, count: int) -> None:
    """Each collection's newest in order of _id, and of all of them the newest by the ObjectId's second."""
    ids = doc_ids(rows)
    taken = set(ids)
    assert len(taken) == len(ids) == min(count, len(at_border)), where
    assert taken <= {str(t.document["_id"]) for t in at_border}, f"{where}: rows from behind the border"
    for prefix in {t.rule.prefix for t in at_border}:
        own = sorted(str(t.document["_id"]) for t in at_border if t.rule.prefix == prefix)
        got = [i for i, f in zip(ids, rows) if f.json["channel"].startswith(prefix + ":")]
        assert got == own[len(own) - len(got):], where
    seconds = [int(i[:8], 16) for i in ids]
    assert seconds == sorted(seconds), where
    left = [str(t.document["_id"])[:8] for t in at_border if str(t.document["_id"]) not in taken]
    assert not left or not ids or max(left) <= ids[0][:8], where


def open_tails(db, mongo, hub, server, rules, seed, start) -> tuple[list, list]:
    """80 streams with all kinds of tails, opened while writers write; and the truth of it all since start."""
    rnd = random.Random(seed)
    streams = []
    with Writers(mongo, db, seed, rules):
        for _ in range(20):
            wanted = [(rnd.choice((1, 5, 50, 10000)), rnd.choice(("logs:*", f"{rules[0].prefix}:*", f"{rules[0].prefix}:w1:*,{rules[1].prefix}:*:*")))
                      for _ in range(4)]
            opened = hub.open_many(server.port, [{"channels": c, "tail": n} for n, c in wanted])
            streams += [(s, n, c.split(",")) for s, (n, c) in zip(opened, wanted)]
            for s in opened:
                caught_up(s)
    last = [db[r.collection].insert_one({"workspace_id": "w1", r.fields[1]: "end"}).inserted_id for r in rules]
    ends = {(f"{r.prefix}:w1:end", str(i)) for r, i in zip(rules, last)}
    truth = read_truth(db, rules, start, lambda d: d["_id"] == last[-1])
    for stream, _, patterns in streams:
        mine = {end for end in ends if any(covers(p, end[0]) for p in patterns)}
        stream.wait(lambda s: mine <= {key_of(f) for f in s.events[-10:]}, f"the ends {mine}", WAIT_S * 2)
    return streams, truth


def test_exact_hand_over(serve, mongo, db, hub, seed, rounds):
    """By snapshot: the newest N at one cluster time, and everything behind it live, in the stream's order."""
    server, start = serve(*RULES), mongo.now()
    for turn in range(max(1, rounds // 10)):
        streams, truth = open_tails(db, mongo, hub, server, RULES, seed + turn, start)
        for number, (stream, count, patterns) in enumerate(streams):
            check_snapshot(stream, count, patterns, truth, f"turn {turn}, stream {number}, tail {count} of {patterns}")
            stream.abort()


def check_snapshot(stream, count: int, patterns: list[str], truth: list, where: str) -> None:
    rows, live = parts(stream)
    mine = [t for t in truth if any(covers(p, t.channel) for p in patterns)]
    got = doc_ids(live)
    border = len(mine) - len(got)
    want = [str(t.document["_id"]) for t in mine[border:]]
    assert got == want, f"{where}: {first_difference(got, want)}"
    assert border == 0 or mine[border - 1].cluster_time < mine[border].cluster_time, f"{where}: a transaction cut in two"
    check_newest(rows, mine[:border], where, count)
    assert stream.ready["resumed"] == "no" and stream.control("ready")[0].id is None


def test_hand_over_by_majority(serve, mongo, db, hub, seed, rounds):
    """A capped collection among them: no snapshot; what the rows held already is left out of live."""
    capped = Rule("capped_logs", "logs:capped", ("workspace_id", "workflow_id"))
    db.create_collection("capped_logs", capped=True, size=1 << 25)
    rules = (ETL, capped)
    server, start = serve(*rules), mongo.now()
    for turn in range(max(1, rounds // 10)):
        streams, truth = open_tails(db, mongo, hub, server, rules, seed + turn, start)
        for number, (stream, count, patterns) in enumerate(streams):
            check_majority(stream, count, patterns, truth, f"turn {turn}, stream {number}, tail {count} of {patterns}")
            stream.abort()


def check_majority(stream, count: int, patterns: list[str], truth: list, where: str) -> None:
    rows, live = parts(stream)
    mine = [t for t in truth if any(covers(p, t.channel) for p in patterns)]
    taken, got, every = set(doc_ids(rows)), doc_ids(live), [str(t.document["_id"]) for t in mine]
    border = every.index(got[0])
    want = [i for i in every[border:] if i not in taken]
    assert got == want, f"{where}: {first_difference(got, want)}"
    check_newest(rows, [t for i, t in enumerate(mine) if i < border or every[i] in taken], where, count)


def test_resume_behind_the_tail(serve, mongo, db, hub):
    """The id of caught-up is a point like any other; a valid Last-Event-ID overrides tail."""
    server = serve(ETL)
    db.etl_logs.insert_many([{"workspace_id": "w", "workflow_id": "f", "n": i} for i in range(10)])
    stream, rows = tail_of(hub, server, 3)
    assert numbers(rows) == [7, 8, 9]
    stream.abort()
    db.etl_logs.insert_many([{"workspace_id": "w", "workflow_id": "f", "n": i} for i in range(10, 15)])
    again = hub.open(server.port, {"channels": "logs:*", "tail": 5}, headers={"Last-Event-ID": caught_up(stream).id})
    assert numbers(again.wait_events(5)) == [10, 11, 12, 13, 14]
    time_of_ready = again.wait_ready()
    assert time_of_ready.id == caught_up(stream).id


# --- which rows ---------------------------------------------------------------------------------------


def put(db, name: str, n: float, **more) -> None:
    db[name].insert_one({"_id": ObjectId.from_datetime(at_second(n)), "workspace_id": "w", "n": n, **more})


def test_merged_by_time(serve, db, hub):
    """Several collections, patterns and exact channels, service-level channels where the last field is absent."""
    server = serve(*RULES)
    for i in range(30):
        name, field = (("etl_logs", "workflow_id"), ("faas_logs", "function_id"), ("audit_logs", "resource_id"))[i % 3]
        put(db, name, i, **({field: f"f{i % 2}"} if i % 5 else {}))
    every = {i: f"logs:{('etl', 'faas', 'audit')[i % 3]}:w" + (f":f{i % 2}" if i % 5 else "") for i in range(30)}
    for channels in ("logs:*", "logs:etl:*", "logs:*:w", "logs:etl:w", "logs:*:w:f1", "logs:faas:w:f0,logs:audit:*:f1", "logs:faas:w:*,logs:etl:w"):
        want = [i for i, c in every.items() if any(covers(p, c) for p in channels.split(","))]
        for count in (1, 4, 1000):
            stream, rows = tail_of(hub, server, count, channels)
            assert numbers(rows) == want[-count:], channels
            assert caught_up(stream).json["complete"] is True and "advice" not in caught_up(stream).json
            assert [f.json["channel"] for f in rows] == [every[i] for i in want[-count:]]


KEYS = [Int64(5), 5, "5", "x y", ObjectId("6b0169cd6b0169cd6b0169cd"), "6b0169cd6b0169cd6b0169cd", "ü*:%",
        Binary.from_uuid(uuid.UUID("12345678-1234-5678-1234-567812345678")), "12345678-1234-5678-1234-567812345678"]


@pytest.mark.parametrize("channel,count", [
    ("logs:etl:5:f", 3), ("logs:etl:x%20y:f", 1), ("logs:etl:6b0169cd6b0169cd6b0169cd:f", 2), ("logs:etl:ü%2A%3A%25:f", 1),
    ("logs:etl:12345678-1234-5678-1234-567812345678:f", 2), ("logs:etl:%35:f", 0),
])
def test_keys_of_every_type(serve, db, hub, channel, count):
    """A segment finds every value with its text, in the collection as live."""
    server = serve(ETL)
    db.etl_logs.insert_many([{"workspace_id": k, "workflow_id": "f"} for k in KEYS])
    stream, rows = tail_of(hub, server, 100, channel)
    assert [f.json["channel"] for f in rows] == [channel] * count
    db.etl_logs.insert_many([{"workspace_id": k, "workflow_id": "f"} for k in KEYS])
    assert len(stream.wait_events(2 * count) if count else []) == 2 * count


def test_the_same_event_as_live(serve, db, hub):
    """But for ts and the id, a row is what a stream sends for the same document."""
    server = serve(ETL, max_event_bytes=4096)
    live = hub.open(server.port, {"channels": "logs:*"})
    live.wait_ready()
    db.etl_logs.insert_many([{"workspace_id": "w", "workflow_id": f, "level": "WARN", "message": "m" * size, "time": datetime.datetime(2026, 1, 2)}
                             for f, size in (("f1", 5), (None, 7), ("f2", 9000), (Int64(3), 0))])
    events = [f.json for f in live.wait_events(4)]
    rows = tail_of(hub, server, 4)[1]
    assert [f.event for f in rows] == ["logs"] * 4
    past = [f.json for f in rows]
    assert [e.pop("ts") for e in past] == ["2026-01-02T00:00:00.000Z"] * 4
    for event in events:
        event.pop("ts")
    assert past == events


def test_filters(serve, db, hub):
    """tail is the newest N that pass; they go on live."""
    server = serve(ETL)

    def insert(low: int, high: int) -> None:
        db.etl_logs.insert_many([{"workspace_id": "w", "workflow_id": "f", "n": i, "level": ("INFO", "WARN", "ERROR")[i % 3],
                                  "message": "needle" if i % 2 else "hay"} for i in range(low, high)])

    insert(0, 60)
    cases = {"min_level": ("warn", lambda i: i % 3), "level": ("error,info", lambda i: i % 3 != 1), "q": ("NEEDLE", lambda i: i % 2)}
    streams = {}
    for name, (value, passes) in cases.items():
        stream, rows = tail_of(hub, server, 7, **{name: value})
        assert numbers(rows) == [i for i in range(60) if passes(i)][-7:]
        streams[name] = stream
    insert(60, 90)
    for name, (_, passes) in cases.items():
        want = [i for i in range(60, 90) if passes(i)]
        assert numbers(streams[name].wait_events(7 + len(want)))[7:] == want


def test_more_than_there_is(serve, db, hub):
    """A tail longer than the past; an empty one; none of a channel that does not exist."""
    server = serve(ETL)
    stream, rows = tail_of(hub, server, 10)
    assert rows == [] and caught_up(stream).json["complete"] is True
    db.etl_logs.insert_many([{"workspace_id": "w", "workflow_id": "f", "n": i} for i in range(20)])
    assert numbers(stream.wait_events(20)) == list(range(20))
    assert numbers(tail_of(hub, server, 10000)[1]) == list(range(20))
    assert tail_of(hub, server, 10, "logs:nobody:*")[1] == []


def test_a_long_tail(serve, db, hub):
    """10,000 rows, of which the last came live for others."""
    server = serve(ETL)
    for base in range(0, 12000, 2000):
        db.etl_logs.insert_many([{"workspace_id": "w", "workflow_id": "f", "n": base + i} for i in range(2000)])
    stream, rows = tail_of(hub, server, 10000)
    assert numbers(rows) == list(range(2000, 12000)) and caught_up(stream).json["complete"] is True


def test_a_missing_index_is_named(serve, db, hub):
    """Rows come all the same; caught-up says what to create."""
    server = serve(mappings=[STAMPED], scan_max=100)
    db.stamped.insert_many([{"w": "w", "n": n, "at": at_second(n)} for n in range(50)])
    advice = 'db.getCollection("stamped").createIndex({"at": 1, "_id": 1})'
    stream, rows = tail_of(hub, server, 5)
    assert numbers(rows) == list(range(45, 50)) and caught_up(stream).json["complete"] is True
    db.stamped.insert_many([{"w": "w", "n": n, "at": at_second(n)} for n in range(50, 300)])
    stream, rows = tail_of(hub, server, 5)
    assert numbers(rows) == list(range(295, 300)) and caught_up(stream).json["complete"] is False
    assert advice in caught_up(stream).json["advice"]
    db.stamped.create_index([("at", 1), ("_id", 1)])
    stream, rows = tail_of(hub, server, 5)
    assert numbers(rows) == list(range(295, 300)) and caught_up(stream).json["complete"] is True


def test_what_a_bound_cuts_is_told(serve, db, hub):
    """scan_max: fewer rows than asked for, and caught-up says that it is not all."""
    server = serve(ETL, scan_max=100)
    db.etl_logs.insert_many([{"workspace_id": "w", "workflow_id": "f", "n": i, "level": "ERROR" if i % 50 == 0 else "INFO"} for i in range(1000)])
    stream, rows = tail_of(hub, server, 5, min_level="error")
    assert numbers(rows) == [900, 950] and caught_up(stream).json["complete"] is False
    stream, rows = tail_of(hub, server, 2, min_level="error")
    assert numbers(rows) == [900, 950] and caught_up(stream).json["complete"] is True


@pytest.mark.parametrize("value", ["10001", "abc", "-1", "1e3", "5 ", "99999999999999999999"])
def test_bad_tails(shared, value):
    response = shared.get(f"/api/logs/stream?channels=logs:*&tail={value.replace(' ', '%20')}")
    assert response.status == 400 and "tail" in response.problem["detail"]


@pytest.mark.parametrize("value", ["abc", "-15", "-15x", "2026-13-01", "1e3"])
def test_bad_since(shared, value):
    response = shared.get(f"/api/logs/stream?channels=logs:*&since={value}")
    assert response.status == 400 and "since" in response.problem["detail"]


def test_several_sources(launch, mongo, dbname, db, hub):
    """One tail over two sources, merged by time; then both live."""
    other = mongo.client[dbname + "_b"]
    try:
        sources = [{"name": n, "tag": n[0], "database": d.name, "mappings": [{"collections": ["c"], "channel": f"logs:{n}:{{w}}"}]}
                   for n, d in (("one", db), ("two", other))]
        server = launch({"mongodb": {"uri": mongo.uri, "max_await_ms": 100}, "sources": sources})
        for i in range(20):
            (db, other)[i % 2].c.insert_one({"_id": ObjectId.from_datetime(at_second(i)), "w": "w", "n": i})
        stream = hub.open(server.port, {"channels": "logs:*:w", "tail": 7})
        caught_up(stream)
        assert numbers(stream.events) == list(range(13, 20)) and all(f.id is None for f in stream.events)
        for i in range(20, 24):
            (db, other)[i % 2].c.insert_one({"w": "w", "n": i})
        assert sorted(numbers(stream.wait_events(11)[7:])) == [20, 21, 22, 23]
    finally:
        mongo.client.drop_database(other.name)


# --- since --------------------------------------------------------------------------------------------


def test_since_within_the_oplog(serve, mongo, db, hub):
    """By cluster time: everything behind that moment, with ids, as live."""
    server = serve(ETL)
    db.etl_logs.insert_many([{"workspace_id": "w", "workflow_id": "f", "n": i} for i in range(5)])
    border = mongo.now().time
    until(lambda: (mongo.tick(), mongo.now().time > border)[1], "the next second")
    db.etl_logs.insert_many([{"workspace_id": "w", "workflow_id": "f", "n": i} for i in range(5, 10)])
    moment = datetime.datetime.fromtimestamp(border + 1, datetime.timezone.utc)
    for since in (moment.strftime("%Y-%m-%dT%H:%M:%SZ"), str((border + 1) * 1000)):
        stream = hub.open(server.port, {"channels": "logs:*", "since": since})
        assert numbers(stream.wait_events(5)) == [5, 6, 7, 8, 9]
        assert all(EVENT_ID.fullmatch(f.id) for f in stream.events)
    stream = hub.open(server.port, {"channels": "logs:*", "since": "-15m"})
    assert numbers(stream.wait_events(10)) == list(range(10))
    db.etl_logs.insert_one({"workspace_id": "w", "workflow_id": "f", "n": 10})
    assert numbers(stream.wait_events(11))[10:] == [10]


@pytest.fixture
def rolled(more_mongod):
    """A mongod whose oplog no longer reaches the documents of n 0 to 19; their _ids tell the time they were written."""
    node = more_mongod("--syncdelay", "1", oplog_mb=5)
    db = node.client["d"]
    for n in range(20):
        db.etl_logs.insert_one({"workspace_id": "w", "workflow_id": "f", "n": n})
        time.sleep(0.01)
    roll_oplog_over(node, hex_time(node.now()))
    return node


def knows_the_oplog(hub, server) -> None:
    """Until it knows where the oplog begins, a moment in the past is looked for there."""
    def known() -> bool:
        stream = hub.open(server.port, {"channels": "logs:*"})
        stream.wait_ready()
        stream.abort()
        return stream.ready["resume_window_s"] is not None

    until(known, "the oplog's window is known")


def rolled_config(node, **more) -> dict:
    return {"mongodb": {"uri": node.uri, "max_await_ms": 100},
            "sources": [{"name": "logs", "tag": "a", "database": "d", "mappings": [ETL.config]}], **more}


def test_since_before_the_oplog(rolled, launch, hub):
    """By the order field: rows without ids, then caught-up, then live."""
    server = launch(rolled_config(rolled))
    knows_the_oplog(hub, server)
    db = rolled.client["d"]
    stream = hub.open(server.port, {"channels": "logs:*", "since": "-2h"})
    rows, _ = parts(stream)
    assert numbers(rows) == list(range(20)) and caught_up(stream).json["complete"] is True
    db.etl_logs.insert_many([{"workspace_id": "w", "workflow_id": "f", "n": i} for i in range(20, 30)])
    assert numbers(stream.wait_events(30)) == list(range(30))
    stream, rows = tail_of(hub, server, 3, since="-2h")
    assert numbers(rows) == [27, 28, 29]


def test_since_beyond_replay_max(rolled, launch, hub):
    """The newest of them, and a gap that says so."""
    server = launch(rolled_config(rolled, replay_max=8))
    knows_the_oplog(hub, server)
    stream = hub.open(server.port, {"channels": "logs:*", "since": "-2h"})
    rows, _ = parts(stream)
    assert numbers(rows) == list(range(12, 20))
    assert [g.json["complete"] for g in stream.control("gap")] == [False]
    assert caught_up(stream).json["complete"] is False


# --- replay -------------------------------------------------------------------------------------------


def test_a_lost_id_is_replayed(rolled, launch, hub):
    """An id that the oplog no longer reaches: gap, what the collection still holds, caught-up, live."""
    db = rolled.client["d"]
    ids = [d["_id"] for d in db.etl_logs.find().sort("_id", 1)]
    server = launch(rolled_config(rolled))
    point = f"{int(ids[10].generation_time.timestamp()):08x}00000001"
    stream = hub.open(server.port, {"channels": "logs:*"}, headers={"Last-Event-ID": point})
    gap = stream.wait_control("gap").json
    rows, _ = parts(stream)
    assert gap["reason"] == "history_lost" and gap["complete"] is True and gap["replayed"] == len(rows) == 20
    assert all(f.json["replay"] is True and list(f.json)[-1] == "replay" for f in rows)
    assert numbers(rows) == list(range(20))
    db.etl_logs.insert_many([{"workspace_id": "w", "workflow_id": "f", "n": i} for i in range(20, 25)])
    events = stream.wait_events(25)
    assert numbers(events) == list(range(25)) and all("replay" not in f.json for f in events[20:])


def test_no_replay(rolled, launch, hub):
    """replay_max 0: the gap alone."""
    server = launch(rolled_config(rolled, replay_max=0))
    stream = hub.open(server.port, {"channels": "logs:*"}, headers={"Last-Event-ID": f"{int(time.time()) - 7200:08x}00000001"})
    gap = stream.wait_control("gap").json
    assert gap["reason"] == "history_lost" and gap["replayed"] == 0 and gap["complete"] is False
    rolled.client["d"].etl_logs.insert_one({"workspace_id": "w", "workflow_id": "f", "n": 99})
    assert numbers(stream.wait_events(1)) == [99]


def lose(mongo, insert) -> None:
    """Let the watcher be told that history is lost, until it gives up what lies behind; insert() runs meanwhile."""
    def failpoint(mode, **data) -> int:
        return mongo.client.admin.command("configureFailPoint", "failCommand", mode=mode, data=data)["count"]

    before = failpoint("off")
    failpoint("alwaysOn", failCommands=["getMore"], errorCode=286, appName="losing")
    try:
        until(lambda: failpoint_count(mongo) > before, "the first failure")
        insert()
        until(lambda: failpoint_count(mongo) > before + 5, "six failures")
    finally:
        failpoint("off")


def losing(mongo) -> dict:
    """How its server is told from others; and nothing but the watcher's stream may fail, for failures are counted."""
    return {"uri": mongo.uri + "&appName=losing", "journal": {"warm_s": 0}}


def failpoint_count(mongo) -> int:
    return mongo.client.admin.command("getParameter", 1, **{"failpoint.failCommand": 1})["failpoint.failCommand"]["timesEntered"]


def test_the_watchers_own_loss(serve, mongo, db, hub):
    """The source itself is told that history is lost: every connection gets the gap, what the collections hold of that
    span by its own channels and filters, and goes on live; documents that come meanwhile are not repeated."""
    server = serve(ETL, FAAS, **losing(mongo))

    def insert(low: int, high: int) -> None:
        db.etl_logs.insert_many([{"workspace_id": f"w{i % 2}", "workflow_id": "f", "n": i, "level": ("INFO", "ERROR")[i % 2]}
                                 for i in range(low, high)])

    every = hub.open(server.port, {"channels": "logs:*"})
    some = hub.open(server.port, {"channels": "logs:etl:w1:*", "min_level": "error"})
    for s in (every, some):
        s.wait_ready()
    insert(0, 10)
    every.wait_events(10)
    lose(mongo, lambda: insert(10, 20))
    for s, want in ((every, list(range(20))), (some, list(range(1, 20, 2)))):
        gap = s.wait_control("gap").json
        s.wait_control("caught-up")
        rows = [f for f in s.events if f.json.get("replay")]
        assert gap["reason"] == "history_lost" and gap["replayed"] == len(want) and gap["complete"] is True
        assert numbers(rows) == want and all(f.id is None for f in rows)
    insert(20, 24)
    for s, want in ((every, [20, 21, 22, 23]), (some, [21, 23])):
        assert numbers(s.wait(lambda s, n=len(want): (e := s.events[-n:])[-1].json["log_data"]["n"] == 23 and e, "live")) == want
        assert EVENT_ID.fullmatch(s.events[-1].id) and "replay" not in s.events[-1].json
    late = hub.open(server.port, {"channels": "logs:*"}, headers={"Last-Event-ID": every.events[-1].id})
    insert(24, 25)
    assert numbers(late.wait_events(1)) == [24]


@pytest.mark.parametrize("count", [0, 3])
def test_the_watchers_loss_is_bounded(serve, mongo, db, hub, count):
    """replay_max holds for it as well."""
    server = serve(ETL, replay_max=count, **losing(mongo))
    stream = hub.open(server.port, {"channels": "logs:*"})
    stream.wait_ready()
    lose(mongo, lambda: db.etl_logs.insert_many([{"workspace_id": "w", "workflow_id": "f", "n": i} for i in range(10)]))
    gap = stream.wait_control("gap").json
    assert gap["replayed"] == count and gap["complete"] is False
    if count:
        stream.wait_control("caught-up")
    db.etl_logs.insert_one({"workspace_id": "w", "workflow_id": "f", "n": 10})
    assert numbers(stream.wait_events(count + 1)) == [*range(10 - count, 10), 10]


def test_mongodb_away(more_mongod, launch, hub):
    """tail waits for MongoDB, with heartbeats."""
    node = more_mongod()
    server = launch({"mongodb": {"uri": node.uri, "max_await_ms": 100}, "heartbeat_s": 1,
                     "sources": [{"name": "logs", "tag": "a", "database": "away", "mappings": [ETL.config]}]})
    node.client["away"].etl_logs.insert_many([{"workspace_id": "w", "workflow_id": "f", "n": i} for i in range(5)])
    node._end(9)
    stream = hub.open(server.port, {"channels": "logs:*", "tail": 3})
    stream.wait_ready()
    stream.wait_control("heartbeat")
    assert not stream.events
    node.restart()
    caught_up(stream)
    assert numbers(stream.events) == [2, 3, 4]


def test_a_few_rows_beside_readers_that_take_none_of_theirs(serve, db, hub):
    """Rows that nobody takes are bounded by limits.rows_bytes, and do not keep small tails from being served."""
    db.etl_logs.insert_many([{"workspace_id": "w", "workflow_id": "f", "n": n, "pad": "x" * 500} for n in range(6000)])
    server = serve(ETL, limits={"rows_bytes": 16 << 20, "stall_s": 60})
    request = b"GET /api/logs/stream?channels=logs:*&tail=6000 HTTP/1.1\r\nHost: localhost\r\n\r\n"
    silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(40)]
    try:
        for connection in silent:
            connection.sendall(request)
        until(lambda: server.health()["connections"] == len(silent), "they are connected")
        assert numbers(tail_of(hub, server, 3)[1]) == [5997, 5998, 5999]
    finally:
        for connection in silent:
            connection.close()
