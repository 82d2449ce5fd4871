"""GET /api/logs/history: pages in both directions are exactly what the collections hold, also while they are written to."""

from __future__ import annotations

import datetime
import random
import threading
import uuid
from urllib.parse import urlencode

import pytest
from bson import Binary, DatetimeMS, Int64, ObjectId

from conftest import AUDIT, ETL, FAAS
from oracle import Rule, Workload, covers

PATH = "/api/logs/history?"
STAMPED = Rule("stamped_logs", "logs:stamped", ("workspace_id", "workflow_id"))
STAMPED_CONFIG = STAMPED.config | {"order": "timestamp"}
OLDEST = {"before": None, "after": "1970-01-01"}  # where a walk through everything begins


def page(server, **params) -> dict:
    response = server.get(PATH + urlencode(params))
    assert response.status == 200, response.body
    assert response.headers["content-type"] == "application/json"
    return response.json


def problem(server, **params) -> dict:
    response = server.get(PATH + urlencode(params))
    assert response.status == 400, (response.status, response.body[:300])
    return response.problem


def walk(server, direction: str = "before", start: object = None, between=lambda: None, **params) -> list[dict]:
    """All events from start to the end, page by page."""
    events, position = [], start
    for _ in range(2000):
        got = page(server, **params, **({} if position is None else {direction: position}))
        assert len(got["events"]) <= int(params.get("limit", 100))
        assert got["complete"] or got["next"], got
        events += got["events"]
        if not got["next"]:
            return events
        position = got["next"]
        between()
    raise AssertionError("the pages never end")


def ids(events: list[dict]) -> list:
    return [e["log_data"]["_id"] for e in events]


def expected(db, rules, patterns, newest_first: bool) -> dict[str, list]:
    """By collection: the _ids that must come, in order."""
    want = {}
    for rule in rules:
        rows = db[rule.collection].find().sort("_id", -1 if newest_first else 1)
        channels = ((row, rule.channel(row)) for row in rows)
        want[rule.prefix] = [str(row["_id"]) for row, c in channels if c and any(covers(p, c) for p in patterns)]
    return want


def by_rule(events: list[dict], rules) -> dict[str, list]:
    return {r.prefix: [str(e["log_data"]["_id"]) for e in events if e["channel"].startswith(r.prefix + ":")] for r in rules}


@pytest.fixture
def filled(serve, mongo, dbname, db, seed):
    """A server over three collections with a random past."""
    rules = (ETL, FAAS, AUDIT)
    server = serve(*rules)
    Workload(mongo.client, dbname, rules, seed).run(300)
    return server


@pytest.mark.parametrize("channels", [
    "logs:*", "logs:etl:w1:*", "logs:etl:w1:f1,logs:faas:*:f2", "logs:*:w2:f3", "logs:etl:w1", "logs:w1:f1", "logs:nobody:*",
])
@pytest.mark.parametrize("direction", ["before", "after"])
def test_pages_are_exactly_what_is_there(filled, db, channels, direction):
    """Both directions, several collections: each collection's rows once and in order, merged by time."""
    rules, patterns = (ETL, FAAS, AUDIT), channels.split(",")
    if channels == "logs:w1:f1":
        patterns.append("logs:*:w1:f1")  # the widening of streams
    events = walk(filled, direction, OLDEST[direction], channels=channels, limit=17)
    assert by_rule(events, rules) == expected(db, rules, patterns, direction == "before")
    seconds = [int(i[:8], 16) for i in ids(events)]
    assert seconds == sorted(seconds, reverse=direction == "before")


@pytest.mark.parametrize("direction,limit", [("before", 25), ("after", 100)])
def test_writers_neither_shift_nor_repeat_rows(filled, db, direction, limit):
    """While documents are inserted at the head, the rows that were there come exactly once, and no row twice."""
    rules = (ETL, FAAS, AUDIT)
    want = expected(db, rules, ["logs:*"], direction == "before")
    stop = threading.Event()

    def write() -> None:
        while not stop.wait(0.002):
            for rule in rules:
                db[rule.collection].insert_one({f: "w1" for f in rule.fields} | {"late": True})

    writer = threading.Thread(target=write)
    writer.start()
    try:
        events = walk(filled, direction, OLDEST[direction], channels="logs:*", limit=limit)
    finally:
        stop.set()
        writer.join()
    assert len(set(ids(events))) == len(events)
    assert by_rule([e for e in events if "late" not in e["log_data"]], rules) == want


def test_rows_inserted_between_pages_are_not_seen_backwards(serve, db):
    """Collections that have given nothing yet also go on from where they were at the first page."""
    server = serve(ETL, FAAS)
    db.etl_logs.insert_many([{"_id": i, "workspace_id": "w", "workflow_id": "f"} for i in range(20)])
    db.faas_logs.insert_many([{"_id": i, "workspace_id": "w", "function_id": "f"} for i in range(20)])

    def insert(counter=iter(range(1000, 2000))) -> None:
        n = next(counter)
        db.etl_logs.insert_one({"_id": n, "workspace_id": "w", "workflow_id": "f"})
        db.faas_logs.insert_one({"_id": n, "workspace_id": "w", "function_id": "f"})

    events = walk(server, channels="logs:*", limit=3, between=insert)
    assert by_rule(events, (ETL, FAAS)) == {r.prefix: [str(i) for i in range(19, -1, -1)] for r in (ETL, FAAS)}


KEYS = [Int64(5), 5, "5", "x y", ObjectId("6b0169cd6b0169cd6b0169cd"), "6b0169cd6b0169cd6b0169cd", "ü*:%",
        Binary.from_uuid(uuid.UUID("12345678-1234-5678-1234-567812345678")), "12345678-1234-5678-1234-567812345678"]


@pytest.mark.parametrize("channel,count", [
    ("logs:etl:5:f", 3), ("logs:etl:x%20y:f", 1), ("logs:etl:6b0169cd6b0169cd6b0169cd:f", 2), ("logs:etl:ü%2A%3A%25:f", 1),
    ("logs:etl:12345678-1234-5678-1234-567812345678:f", 2), ("logs:etl:%35:f", 0),
])
def test_keys_of_every_type(serve, db, channel, count):
    """A segment finds every value with its text."""
    server = serve(ETL)
    db.etl_logs.insert_many([{"workspace_id": k, "workflow_id": "f"} for k in KEYS])
    events = page(server, channels=channel)["events"]
    assert [e["channel"] for e in events] == [channel] * count


def test_ids_of_mixed_types(serve, db):
    """Rows come in MongoDB's order of all types; none is lost where the type changes."""
    server = serve(ETL)
    mixed = [3, 1.5, "a", "b", ObjectId(), Binary.from_uuid(uuid.uuid4()), datetime.datetime(2026, 1, 1), True, {"k": 1}, Int64(2**60)]
    db.etl_logs.insert_many([{"_id": i, "workspace_id": "w", "workflow_id": "f", "n": n} for n, i in enumerate(mixed)])
    want = [row["n"] for row in db.etl_logs.find().sort("_id", 1)]
    forward = walk(server, "after", "1999-01-01", channels="logs:*", limit=1)
    assert [e["log_data"]["n"] for e in forward] == want
    assert [e["log_data"]["n"] for e in walk(server, channels="logs:*", limit=2)] == want[::-1]


def stamped(count: int) -> list[dict]:
    """Many share a timestamp; some have none."""
    base = datetime.datetime(2026, 11, 1)
    rnd = random.Random(7)
    return [{"_id": rnd.randrange(10**9) * 1000 + i, "workspace_id": "w", "workflow_id": "f", "n": i,
             **({"timestamp": base + datetime.timedelta(seconds=i // 10)} if i % 50 else {})} for i in range(count)]


@pytest.mark.parametrize("direction", ["before", "after"])
def test_an_order_field_with_ties(serve, db, direction):
    """Places are exact where rows share their order value or have none."""
    server = serve(mappings=[STAMPED_CONFIG])
    db.stamped_logs.create_index([("timestamp", 1), ("_id", 1)])
    db.stamped_logs.insert_many(stamped(200))
    sign = -1 if direction == "before" else 1
    want = [row["n"] for row in db.stamped_logs.find().sort([("timestamp", sign), ("_id", sign)])]
    for limit in (3, 64):
        events = walk(server, direction, OLDEST[direction], channels="logs:*", limit=limit)
        assert [e["log_data"]["n"] for e in events] == want


def test_time_bounds(serve, db):
    """before is exclusive and after inclusive, by the order field's time."""
    server = serve(mappings=[STAMPED_CONFIG])
    db.stamped_logs.create_index([("timestamp", -1), ("_id", -1)])
    db.stamped_logs.insert_many([d for d in stamped(200) if "timestamp" in d])
    cut = datetime.datetime(2026, 11, 1, 0, 0, 10, tzinfo=datetime.timezone.utc)
    for position in (cut.strftime("%Y-%m-%dT%H:%M:%SZ"), int(cut.timestamp() * 1000)):
        older = walk(server, "before", position, channels="logs:*", limit=30)
        newer = walk(server, "after", position, channels="logs:*", limit=30)
        assert {e["log_data"]["n"] for e in older} == {n for n in range(100) if n % 50}
        assert {e["log_data"]["n"] for e in newer} == {n for n in range(100, 200) if n % 50}
        assert older[0]["ts"] == "2026-11-01T00:00:09.000Z" and newer[0]["ts"] == "2026-11-01T00:00:10.000Z"


def test_dates_beyond_all_calendars(serve, db):
    """BSON dates are any 64 bits; each is some place in time."""
    server = serve(mappings=[STAMPED_CONFIG])
    db.stamped_logs.create_index([("timestamp", 1), ("_id", 1)])
    far = [-2**63, -2**63 + 1, -1, 0, 1, 2**62, 2**63 - 2, 2**63 - 1]
    db.stamped_logs.insert_many([{"_id": n, "workspace_id": "w", "timestamp": DatetimeMS(ms), "n": n} for n, ms in enumerate(far)])
    for start, count in (("1970-01-01", 5), ("7", 0), ("0", 7)):
        assert len(walk(server, "after", start, channels="logs:*", limit=2)) == count
    assert [e["log_data"]["n"] for e in walk(server, "before", "7", channels="logs:*", limit=2)] == [6, 5, 4, 3, 2, 1, 0]


def test_time_bounds_of_object_ids_and_numbers(serve, db):
    """An ObjectId tells seconds; other _ids go by the document's own time."""
    server = serve(ETL, FAAS)
    at = datetime.datetime(2026, 11, 1, tzinfo=datetime.timezone.utc)
    times = [at + datetime.timedelta(seconds=i) for i in range(10)]
    db.etl_logs.insert_many([{"_id": ObjectId.from_datetime(t), "workspace_id": "w", "workflow_id": "f", "n": i} for i, t in enumerate(times)])
    db.faas_logs.insert_many([{"_id": i, "workspace_id": "w", "function_id": "f", "n": i, "time": t} for i, t in enumerate(times)])
    older = walk(server, "before", "2026-11-01T00:00:04Z", channels="logs:*", limit=3)
    newer = walk(server, "after", "2026-11-01T00:00:04Z", channels="logs:*", limit=3)
    assert [e["log_data"]["n"] for e in older] == [3, 3, 2, 2, 1, 1, 0, 0]
    assert [e["log_data"]["n"] for e in newer] == [n for i in range(4, 10) for n in (i, i)]


@pytest.mark.parametrize("key", [lambda i: i, lambda i: f"row-{i:03}", lambda i: ObjectId(f"{i + 2**28:08x}" + "0" * 16),
                                 lambda i: Binary.from_uuid(uuid.UUID(int=i))])
def test_a_row_as_position(serve, db, key):
    """before=<_id> and after=<_id> begin right behind that row."""
    server = serve(ETL)
    db.etl_logs.insert_many([{"_id": key(i), "workspace_id": "w", "workflow_id": "f", "n": i} for i in range(30)])
    text = str(uuid.UUID(int=10)) if isinstance(key(0), Binary) else str(key(10))
    assert [e["log_data"]["n"] for e in walk(server, "before", text, channels="logs:*", limit=4)] == list(range(9, -1, -1))
    assert [e["log_data"]["n"] for e in walk(server, "after", text, channels="logs:*", limit=4)] == list(range(11, 30))


def test_a_missing_index_is_named(serve, db):
    """A collection without an index on its order field is refused with what to create; then it works."""
    server = serve(mappings=[STAMPED_CONFIG])
    db.stamped_logs.insert_many(stamped(10))
    db.stamped_logs.create_index([("timestamp", 1), ("_id", 1)], name="partial", partialFilterExpression={"n": 1})
    said = problem(server, channels="logs:*")
    assert said["code"] == "index_missing"
    assert 'db.getCollection("stamped_logs").createIndex({"timestamp": 1, "_id": 1})' in said["detail"]
    db.stamped_logs.create_index([("timestamp", 1), ("_id", 1)], name="whole")
    assert len(page(server, channels="logs:*")["events"]) == 10


def test_match_and_default_mapping(serve, db):
    """A mapping's match decides here too; the default mapping is read over all collections."""
    server = serve(mappings=[ETL.config | {"match": {"level": {"$ne": "TRACE"}}}])
    db.etl_logs.insert_many([{"workspace_id": "w", "workflow_id": "f", "level": lv} for lv in ("TRACE", "INFO", "TRACE")])
    assert [e["log_data"]["level"] for e in page(server, channels="logs:*")["events"]] == ["INFO"]
    plain = serve()
    db.other.insert_many([{"workspace_id": "w", "function_id": "g"}, {"workspace_id": "w"}])
    db.create_collection("a_view", viewOn="other", pipeline=[])
    assert sorted(e["channel"] for e in page(plain, channels="logs:*:w:*")["events"]) == ["logs:etl_logs:w:f"] * 3 + ["logs:other:w:g"]
    assert len(page(plain, service="other", workspace_id="w")["events"]) == 2


def test_scan_max(serve, db):
    """A page that would read too much ends early, says so, and goes on."""
    server = serve(ETL, scan_max=100)
    db.etl_logs.insert_many([{"workspace_id": "w", "workflow_id": "f", "level": "ERROR" if i % 90 == 0 else "INFO", "n": i} for i in range(450)])
    first = page(server, channels="logs:*", min_level="error", limit=4)
    assert not first["complete"] and first["scanned"] == 100 and first["next"]
    assert [e["log_data"]["n"] for e in walk(server, channels="logs:*", min_level="error", limit=4)] == [360, 270, 180, 90, 0]


@pytest.mark.parametrize("code", [50, 292])
def test_a_query_that_takes_too_long(serve, mongo, db, code):
    """Time or memory ran out in MongoDB: the page is read without the channels' condition, still exactly, within scan_max."""
    server = serve(ETL, scan_max=100)
    db.etl_logs.insert_many([{"workspace_id": f"w{i % 50}", "workflow_id": "f", "n": i} for i in range(250)])
    fail = {"failCommands": ["find"], "errorCode": code, "namespace": f"{db.name}.etl_logs"}
    mongo.client.admin.command({"configureFailPoint": "failCommand", "mode": {"times": 1}, "data": fail})
    try:
        first = page(server, channels="logs:etl:w7:*", limit=3)
    finally:
        mongo.client.admin.command({"configureFailPoint": "failCommand", "mode": "off"})
    assert first["scanned"] == 100 and not first["complete"]
    rest = walk(server, "before", first["next"], channels="logs:etl:w7:*", limit=3)
    assert [e["log_data"]["n"] for e in first["events"] + rest] == [207, 157, 107, 57, 7]


def test_many_collections(serve, db):
    """Places of 120 collections fit into a cursor; more than 256 collections are refused in words."""
    server = serve()
    for i in range(120):
        db[f"c{i:03}"].insert_many([{"workspace_id": "w", "n": n} for n in (2 * i, 2 * i + 1)])
    events = walk(server, channels="logs:*", limit=50)
    assert sorted(e["log_data"]["n"] for e in events) == list(range(240))
    for i in range(120, 260):
        db.create_collection(f"c{i:03}")
    assert problem(server, channels="logs:*")["code"] == "too_many_collections"
    assert len(page(server, channels="logs:c007:*,logs:c008:w")["events"]) == 4


def test_several_sources(launch, mongo, dbname, db):
    """One page over two sources, merged by time, in both directions."""
    other = mongo.client[dbname + "_b"]
    try:
        sources = [{"name": n, "database": d.name, "mappings": [{"collections": ["c"], "channel": f"logs:{n}:{{w}}"}]}
                   for n, d in (("one", db), ("two", other))]
        server = launch({"mongodb": {"uri": mongo.uri, "max_await_ms": 100}, "sources": sources})
        at = datetime.datetime(2026, 11, 1, tzinfo=datetime.timezone.utc)
        for i in range(20):
            when = at + datetime.timedelta(seconds=i)
            (db, other)[i % 2].c.insert_one({"_id": ObjectId.from_datetime(when), "w": "w", "n": i})
        assert [e["log_data"]["n"] for e in walk(server, channels="logs:*:w", limit=3)] == list(range(19, -1, -1))
        assert [e["log_data"]["n"] for e in walk(server, "after", "1970-01-01", channels="logs:*:w", limit=3)] == list(range(20))
    finally:
        mongo.client.drop_database(other.name)


def test_filters(filled):
    """level and q leave out rows of a page, never a row of the answer."""
    rows = [e for e in walk(filled, channels="logs:*") if e["log_data"]["level"] == "WARN"]
    assert ids(walk(filled, channels="logs:*", level="warn", limit=10)) == ids(rows)
    assert [e["log_data"]["message"] for e in walk(filled, channels="logs:*", q="LINE 77")] == ["line 77"]
    assert problem(filled, channels="logs:*", min_level="nonsense")["code"] == "invalid_filter"


def test_the_same_json_as_live(serve, db, hub):
    """Apart from ts an event is what a stream sends for the same document."""
    server = serve(ETL, max_event_bytes=4096)
    stream = hub.open(server.port, {"channels": "logs:*"})
    stream.wait_ready()
    db.etl_logs.insert_many([{"workspace_id": "w", "workflow_id": f, "message": "m" * size, "time": datetime.datetime(2026, 1, 2)}
                             for f, size in (("f1", 5), (None, 7), ("f2", 9000), (Int64(3), 0))])
    live = [f.json for f in stream.wait_events(4)]
    past = page(server, channels="logs:*", after="2000-01-01")["events"]
    assert [e.pop("ts") for e in past] == ["2026-01-02T00:00:00.000Z"] * 4
    for event in live:
        event.pop("ts")
    assert past == live and list(past[0]) == list(live[0])


@pytest.mark.parametrize("params,code", [
    ({}, "missing_channels"), ({"channels": "a b"}, "invalid_channel"), ({"channels": "logs:*", "limit": 0}, "invalid_limit"),
    ({"channels": "logs:*", "limit": 1001}, "invalid_limit"), ({"channels": "logs:*", "limit": "1e2"}, "invalid_limit"),
    ({"channels": "logs:*", "before": "1", "after": "2"}, "invalid_cursor"), ({"channels": "logs:*", "before": "no-such-row"}, "invalid_cursor"),
    ({"channels": "logs:*", "before": "~"}, "invalid_cursor"), ({"channels": "logs:*", "before": "~AAAA"}, "invalid_cursor"),
    ({"channels": "logs:*", "before": "~*"}, "invalid_cursor"), ({"channels": "logs:*", "after": "x" * 12500}, "invalid_cursor"),
])
def test_bad_requests(shared, params, code):
    assert problem(shared, **params)["code"] == code


def test_forged_cursors(filled, seed):
    """Changed bytes are refused or read as some place; nothing breaks, and a cursor has one direction."""
    rnd = random.Random(seed)
    good = page(filled, channels="logs:*", limit=1)["next"]
    assert problem(filled, channels="logs:*", after=good)["code"] == "invalid_cursor"
    for _ in range(200):
        text = list(good)
        for _ in range(rnd.randint(1, 3)):
            text[rnd.randrange(1, len(text))] = rnd.choice("ABCDabcd0123-_")
        response = filled.get(PATH + urlencode({"channels": "logs:*", "before": "".join(text), "limit": 1}))
        assert response.status in (200, 400), response.body
    assert page(filled, channels="logs:*", limit=1)["next"] == good


def test_methods(shared):
    assert shared.request("HEAD", PATH + "channels=logs:*").status == 200
    response = shared.request("POST", PATH + "channels=logs:*")
    assert response.status == 405 and response.headers["allow"] == "GET, HEAD, OPTIONS"


def test_mongodb_away(more_mongod, launch):
    """503 with Retry-After, within the driver's patience."""
    node = more_mongod()
    server = launch({"mongodb": {"uri": node.uri, "max_await_ms": 100}, "sources": [{"name": "logs", "database": "away"}]})
    node.stop()
    response = server.get(PATH + "channels=logs:*")
    assert response.status == 503 and response.problem["code"] == "database_unavailable" and response.headers["retry-after"]
