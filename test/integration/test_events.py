"""
Tailwater's own collection: what POST /api/publish stores comes out as events of generic channels, live, resumed, from
the past, polled and one by one. The documents are written here directly, as any program with the right to could.
"""

from __future__ import annotations

import datetime
import random
from urllib.parse import urlencode

import pytest
from bson import Int64, ObjectId

from conftest import ETL
from deadline import until
from mongod import Mongod
from oracle import covers, first_difference, hex_time, iso, plain_json
from server import run_cli
from stream import EVENT_ID
from test_resume import TINY_JOURNAL, push_out_of_journal, roll_oplog_over

OWN = "tailwater_events"
PUBLISHING = {"test_endpoints": True}  # somebody can publish, to any channel
LOG = {"workspace_id": "w1", "workflow_id": "f1"}
EPOCH = datetime.datetime(2026, 11, 1)


def moment(n: int) -> datetime.datetime:
    return EPOCH + datetime.timedelta(seconds=n)


def made(n: int, channel: str = "metrics:w1", event: str = "cpu", **more) -> dict:
    return {"_id": ObjectId(), "channel": channel, "event": event, "data": {"n": n}, "at": moment(n), **more}


def data_of(document: dict, ts: str) -> dict:
    """The event's JSON as the contract words it."""
    return {"channel": document["channel"], "type": document["event"], "ts": ts,
            "_id": plain_json(document["_id"]), "data": plain_json(document["data"])}


def create_indexes(db, name: str = OWN) -> None:
    db[name].create_index("at", expireAfterSeconds=10**9)
    db[name].create_index([("at", 1), ("_id", 1)])
    db[name].create_index([("channel", 1), ("at", 1), ("_id", 1)])


def numbers(frames) -> list[int]:
    return [f.json["data"]["n"] for f in frames]


def ask(server, path: str, **params):
    return server.get(f"/api/logs/{path}?{urlencode(params)}")


def source_of(server) -> dict:
    return server.health()["sources"][0]


@pytest.fixture
def own(db):
    create_indexes(db)
    return db[OWN]


# --- live ---------------------------------------------------------------------------------------------


def test_live(serve, db, own, hub):
    """Each event as the contract words it, under its own name, to who asked for its channel, in one order with logs."""
    server = serve(ETL, **PUBLISHING)
    all_of_them = hub.open(server.port, {"channels": "*"})
    one = hub.open(server.port, {"channels": "metrics:w1"})
    pattern = hub.open(server.port, {"channels": "metrics:*:x,alerts:*"})
    lines = hub.open(server.port, {"channels": "metrics:w1"}, headers={"Accept": "application/x-ndjson"}, keep_body=True)
    ready = [s.wait_ready().json for s in (all_of_them, one, pattern)]
    assert [r["unmatched"] for r in ready] == [[], [], []]
    lines.wait(lambda s: b"ready" in s.body, "ready")
    documents = [
        made(0), made(1, "metrics:w1:x", "m.e-m_1"), made(2, "alerts:ann"), made(3, "alerts:ann:b%3Ac", data="text"),
        made(4, data=None), made(5, data=[1, {"a": ObjectId()}], _id="key"), made(6, data=Int64(2**60), _id=7),
        made(7, data={"when": moment(5), "long": "ä\n\u2028\"\\"}), made(8, event="log"),
    ]
    for document in documents:
        own.insert_one(document)
    db.etl_logs.insert_one(dict(LOG))
    frames = all_of_them.wait_events(len(documents) + 1)
    for frame, document in zip(frames, documents):
        assert frame.event == document["event"] and EVENT_ID.fullmatch(frame.id)
        assert frame.json == data_of(document, frame.json["ts"])
        assert list(frame.json) == ["channel", "type", "ts", "_id", "data"]
        age = datetime.datetime.now(datetime.timezone.utc) - datetime.datetime.fromisoformat(frame.json["ts"])
        assert abs(age.total_seconds()) < 300, "ts is when it was stored, not at"
    assert frames[-1].event == "logs" and frames[-1].json["channel"] == "logs:etl:w1:f1"
    assert [f.id[:16] for f in frames] == sorted(f.id[:16] for f in frames)
    want = {channels: [f.id for f in frames if any(covers(c, f.json["channel"]) for c in channels.split(","))]
            for channels in ("metrics:w1", "metrics:*:x,alerts:*")}
    assert [f.id for f in one.wait_events(len(want["metrics:w1"]))] == want["metrics:w1"]
    assert [f.id for f in pattern.wait_events(3)] == want["metrics:*:x,alerts:*"]
    lines.wait(lambda s: s.body.count(b'"cpu"') >= 5, "its lines")


def test_what_is_not_sent(serve, db, own, hub):
    """Other programs can write there: nothing but an event comes out, least of all one of a log channel."""
    server = serve(ETL, **PUBLISHING)
    stream = hub.open(server.port, {"channels": "*"})
    stream.wait_ready()
    bad = [
        {}, {"channel": "metrics:w1"}, {"event": "cpu"}, {"channel": 5, "event": "cpu"},
        {"channel": "metrics:*", "event": "cpu"}, {"channel": "*", "event": "cpu"}, {"channel": "", "event": "cpu"},
        {"channel": "a b", "event": "cpu"}, {"channel": "metrics:w1\n\nevent: x", "event": "cpu"},
        {"channel": "a:b:c:d:e:f:g:h:i", "event": "cpu"}, {"channel": "x" * 129, "event": "cpu"},
        {"channel": ["metrics:w1"], "event": "cpu"}, {"channel": "metrics:w1", "event": ["cpu"]},
        {"channel": "metrics:w1", "event": ""}, {"channel": "metrics:w1", "event": "x" * 65},
        {"channel": "metrics:w1", "event": "cpu\ndata: {}\n\n"}, {"channel": "metrics:w1", "event": "a\rb"},
        *({"channel": "metrics:w1", "event": name} for name in (
            "ready", "caught-up", "gap", "skipped", "source", "revoked", "goaway", "heartbeat", "refused", "error",
            "open", "message")),
        {"channel": "logs:etl:w1", "event": "logs"}, {"channel": "logs:etl:w1:f1", "event": "logs"},
    ]
    for document in bad:
        own.insert_one({"data": "secret-0815", **document})
    assert ask(server, "history", channels="*").json["events"] == []
    own.replace_one({"event": "a\rb"}, {k: v for k, v in made(0).items() if k != "_id"})  # only inserts are events
    own.update_one({"channel": "metrics:*"}, {"$set": {"channel": "metrics:w1"}})
    own.insert_one(made(1, "logs:etl"))  # no channel of the mapping
    own.insert_one(made(2, "logs:etl:w1:f1:x"))
    assert numbers(stream.wait_events(2)) == [1, 2]
    assert source_of(server)["unroutable"] == len(bad)
    told = [line for line in server.lines if "no channel for" in line]
    assert 0 < len(told) < len(bad) and all(OWN in line for line in told)
    assert "secret-0815" not in "\n".join(server.lines)


def test_too_large(serve, own, hub):
    server = serve(ETL, **PUBLISHING, max_event_bytes=2000)
    stream = hub.open(server.port, {"channels": "metrics:*"})
    stream.wait_ready()
    large = made(0, data={"text": "x" * 3000})
    own.insert_one(large)
    own.insert_one(made(1))
    frame = stream.wait_events(2)[0]
    assert frame.json == {"channel": "metrics:w1", "type": "cpu", "ts": frame.json["ts"], "_id": str(large["_id"]),
                          "truncated": True, "size": frame.json["size"], "data": None}
    whole = ask(server, "event", channel="metrics:w1", id=str(large["_id"]))
    assert whole.status == 200 and whole.json == data_of(large, iso(large["at"]))
    assert frame.json["size"] == len(whole.body.strip())
    own.insert_one(made(2, _id={"k": "x" * 5000}))  # its key alone cannot be sent through the change stream
    assert stream.wait_control("gap").json["reason"] == "oversize"


def test_filters(serve, own, hub):
    server = serve(ETL, **PUBLISHING)
    streams = {q: hub.open(server.port, {"channels": "metrics:*", **q_of}) for q, q_of in {
        "q": {"q": "NEEDLE"}, "min": {"min_level": "error"}, "level": {"level": "error"}}.items()}
    for stream in streams.values():
        stream.wait_ready()
    documents = [made(0), made(1, data={"n": 1, "a": [{"b": "a \"needle\""}]}), made(2, "metrics:needle"),
                 made(3, data={"n": 3, "needle": 1}), made(4, _id="needle"), made(5, event="needle", level="error")]
    own.insert_many(documents)
    assert numbers(streams["min"].wait_events(6)) == [0, 1, 2, 3, 4, 5]  # no known level passes
    own.insert_one(made(6, data={"n": 6, "x": "the needle"}))
    assert numbers(streams["q"].wait_events(2)) == [1, 6]
    assert streams["level"].events == []
    assert [e["data"]["n"] for e in ask(server, "history", channels="metrics:*", q="needle").json["events"]] == [6, 1]
    assert ask(server, "history", channels="metrics:*", level="error").json["events"] == []


# --- who is followed ------------------------------------------------------------------------------------


def test_not_followed_when_nobody_publishes(serve, db, own, hub):
    """Then it asks for no further right; and it is among no mapping's collections in any case."""
    server = serve()  # all collections
    stream = hub.open(server.port, {"channels": "*,metrics:w1"})
    assert stream.wait_ready().json["unmatched"] == ["metrics:w1"]
    own.insert_one(made(0))
    own.insert_one({**LOG, **made(1)})
    db.etl_logs.insert_one({**LOG, "data": {"n": 2}})
    assert [f.json["channel"] for f in stream.wait_events(1)] == ["logs:etl_logs:w1:f1"]
    assert len(ask(server, "history", channels="*").json["events"]) == 1
    assert source_of(server)["unroutable"] == 0


def test_followed_for_services(serve, db, own, hub):
    """What no mapping and no service's pattern can produce is unmatched; the pattern says nothing of services' names."""
    services = [{"name": "meter", "token_sha256": "ab" * 32, "publish": ["metrics:*"]},
                {"name": "siren", "token_sha256": "cd" * 32, "publish": ["alerts:*:all", "logs:*"]}]
    server = serve(ETL, auth={"anonymous": ["*"], "services": services})
    asked = "metrics:w1,metrics,alerts:ann,alerts:ann:all,logs:x:y,logs:etl:w1,siren"
    stream = hub.open(server.port, {"channels": asked})
    ready = stream.wait_ready().json
    assert ready["unmatched"] == ["metrics", "alerts:ann", "siren"]
    own.insert_one(made(0, "alerts:ann:all"))
    own.insert_one(made(1))
    assert numbers(stream.wait_events(2)) == [0, 1]


def test_not_the_grants():
    config = ("mongodb: { uri: 'mongodb://127.0.0.1:1/d' }\npublish_collection: users\n"
              "auth: { anonymous: ['*'], grants_collection: d.users }\n")
    ended = run_cli("check", config=config)
    assert ended.returncode == 78 and ":2: publish_collection: this is the collection of grants" in ended.stderr


def test_name_and_source(launch, mongo, db, hub):
    """publish_collection in the first source's database; a second source has none, not even in the same place."""
    name = "events, too"
    create_indexes(db, name)
    other = mongo.client[db.name + "_2"]
    server = launch({"mongodb": {"uri": mongo.uri, "max_await_ms": 100}, **PUBLISHING, "publish_collection": name,
                     "sources": [{"name": "one", "tag": "a", "database": db.name, "mappings": [ETL.config]},
                                 {"name": "two", "tag": "b", "database": other.name, "mappings": [
                                     {"collections": ["*"], "channel": "x:{w}"},
                                     {"collections": ["*"], "channel": "x:{w}", "database": db.name}]}]})
    try:
        stream = hub.open(server.port, {"channels": "*"})
        stream.wait_ready()
        other[name].insert_one(made(0, w="w"))
        db[OWN].insert_one(made(1, "a:b", w="w"))  # a collection like any other, which the second source maps
        db[name].insert_one(made(3, "x:y", "x"))  # the second source's
        db[name].insert_one(made(2, w="w"))
        frames = stream.wait_events(2)
        assert sorted(f.json["channel"] for f in frames) == ["metrics:w1", "x:w"]
        assert [f.json["log_data"]["data"]["n"] for f in frames if "log_data" in f.json] == [1]
        assert [s["unroutable"] for s in server.health()["sources"]] == [1, 0]
        answer = ask(server, "history", channels="x:*,metrics:*").json
        assert sorted(e["channel"] for e in answer["events"]) == ["metrics:w1", "x:w"]
    finally:
        mongo.client.drop_database(other.name)


@pytest.mark.parametrize("name, sentence", [("a*", "one collection's name"), ("system.x", "MongoDB's own"),
                                            ("a$b", "no name of a collection")])
def test_refused_names(name, sentence):
    ended = run_cli("check", config=f"mongodb: {{ uri: 'mongodb://127.0.0.1:1/' }}\npublish_collection: '{name}'\n")
    assert ended.returncode == 78 and sentence in ended.stderr and ":2: publish_collection" in ended.stderr


# --- from the past ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("miss", [False, True], ids=["journal", "catch-up"])
def test_resume(serve, db, own, hub, miss):
    """From each event on, exactly the rest."""
    server = serve(ETL, **PUBLISHING, **TINY_JOURNAL)
    stream = hub.open(server.port, {"channels": "metrics:*,logs:*:w1:*"})
    stream.wait_ready()
    for n in range(8):
        own.insert_one(made(n, f"metrics:w{n % 2}"))
        db.etl_logs.insert_one({**LOG, "n": n})
    ids = [f.id for f in stream.wait_events(16)]
    if miss:
        push_out_of_journal(db, server)
    for i, point in enumerate(ids):
        again = hub.open(server.port, {"channels": "metrics:*,logs:*:w1:*"}, headers={"Last-Event-ID": point})
        assert [f.id for f in again.wait_events(15 - i)] == ids[i + 1:]
        again.abort()
    own.insert_one(made(8))
    assert stream.wait_events(17)[-1].json["data"] == {"n": 8}


def random_documents(seed: int, count: int) -> list[dict]:
    """Ids of several types in no order of time; two of three moments are shared."""
    rnd = random.Random(seed)
    documents = []
    for n in range(count):
        channel = rnd.choice(["metrics:w1", "metrics:w2", "metrics:w1:x", "alerts:a.b", "alerts:a%2Ab", "b:axb", "z"])
        key = rnd.choice([ObjectId(), f"{rnd.random():.9f}", rnd.randrange(10**12)])
        documents.append(made(n, channel, rnd.choice(["cpu", "memory"]), _id=key, at=moment(rnd.randrange(count // 3))))
    return documents


PATTERNS = ["*", "metrics:*", "metrics:w1", "metrics:w1,alerts:a.b", "*:*:x", "*:a.b", "alerts:*,metrics:w2", "z",
            "alerts:a%2Ab", "metrics:*:x", "nothing:*", "w1"]


def sort_key(document: dict):
    """MongoDB's order of at and then _id."""
    kind = {str: 1, ObjectId: 2}.get(type(document["_id"]), 0)
    return document["at"], kind, document["_id"] if kind != 2 else str(document["_id"])


def wanted(documents: list[dict], patterns: str, newest_first: bool = False) -> list[str]:
    rows = [d for d in documents if any(covers(p, d["channel"]) for p in patterns.split(","))]
    return [str(d["_id"]) for d in sorted(rows, key=sort_key, reverse=newest_first)]


def test_history(serve, db, own, hub, seed):
    """Page by page in both directions, by time whatever the ids are; and by index."""
    server = serve(ETL, **PUBLISHING)
    documents = random_documents(seed, 120)
    own.insert_many(documents)
    by_id = {str(d["_id"]): d for d in documents}
    for patterns in PATTERNS:
        for direction, start in (("before", None), ("after", "1970-01-01")):
            got, position = [], start
            while True:
                place = {} if position is None else {direction: position}
                page = ask(server, "history", channels=patterns, limit=17, **place).json
                assert len(page["events"]) <= 17
                got += page["events"]
                position = page["next"]
                if not position:
                    break
            want = wanted(documents, patterns, direction == "before")
            ids = [str(e["_id"]) for e in got]
            assert ids == want, f"{patterns} {direction}: {first_difference(ids, want)}"
            assert all(e == data_of(by_id[str(e["_id"])], iso(by_id[str(e["_id"])]["at"])) for e in got)
    middle = moment(20)
    for direction in ("before", "after"):
        page = ask(server, "history", channels="metrics:*", limit=200, **{direction: iso(middle)}).json
        half = [d for d in documents if (d["at"] < middle) == (direction == "before")]
        assert [str(e["_id"]) for e in page["events"]] == wanted(half, "metrics:*", direction == "before")


def test_tail(serve, db, own, hub, seed):
    """The newest in all by time, merged with logs, then live."""
    server = serve(ETL, **PUBLISHING)
    documents = random_documents(seed, 90)
    own.insert_many(documents)
    logs = [{**LOG, "_id": ObjectId.from_datetime(moment(n)), "n": n} for n in range(0, 30, 4)]
    db.etl_logs.insert_many(logs)
    cases = [(patterns, count) for patterns in PATTERNS for count in (1, 10, 1000)]
    streams = hub.open_many(server.port, [{"channels": patterns, "tail": count} for patterns, count in cases])
    for stream, (patterns, count) in zip(streams, cases):
        end = stream.wait_control("caught-up")
        rows = stream.events
        assert end.json["rows"] == len(rows) and all(f.id is None for f in rows)
        got = [str(f.json["_id"]) for f in rows if "data" in f.json]
        want = wanted(documents, patterns)
        assert len(rows) == min(count, len(want) + (len(logs) if patterns == "*" else 0))
        assert got == want[len(want) - len(got):], f"{patterns} {count}: {first_difference(got, want)}"
        assert all(f.event == f.json["type"] for f in rows if "data" in f.json)
    merged = hub.open(server.port, {"channels": "*", "tail": 1000})
    merged.wait_control("caught-up")
    stamps = [f.json["ts"] for f in merged.events]
    assert stamps == sorted(stamps) and len(stamps) == len(documents) + len(logs)
    own.insert_one(made(1000))
    assert EVENT_ID.fullmatch(merged.wait_events(len(stamps) + 1)[-1].id)


def test_reads_use_indexes(serve, db, own, hub):
    """Of some channels by {channel, at, _id}; the logs' own channels ask nothing of the collection."""
    own.insert_many([made(n, f"metrics:w{n % 50}") for n in range(3000)])
    db.etl_logs.insert_many([{**LOG, "n": n} for n in range(5)])
    server = serve(ETL, **PUBLISHING)
    db.command("profile", 2)
    try:
        assert len(ask(server, "history", channels="metrics:w7,metrics:w9", limit=10).json["events"]) == 10
        stream = hub.open(server.port, {"channels": "metrics:w7", "tail": 5})
        stream.wait_control("caught-up")
        assert len(ask(server, "history", channels="logs:etl:w1:f1").json["events"]) == 5
    finally:
        db.command("profile", 0)
    asked = list(db["system.profile"].find({"op": "query", "ns": f"{db.name}.{OWN}"}))
    assert len(asked) == 2 and all("channel" in str(a["command"]["filter"]) for a in asked)
    assert all(a["planSummary"].startswith("IXSCAN { channel: 1, at: 1, _id: 1 }") for a in asked), asked
    assert all(a["docsExamined"] <= 40 for a in asked), [a["docsExamined"] for a in asked]


def test_without_indexes(serve, db, hub):
    """Written there before anybody published: history says what is missing, the tail reads all the same."""
    db[OWN].insert_many([made(n) for n in range(20)])
    server = serve(ETL, **PUBLISHING)
    answer = ask(server, "history", channels="metrics:w1")
    assert answer.status == 400 and answer.problem["code"] == "index_missing"
    assert f'db.getCollection("{OWN}").createIndex({{"at": 1, "_id": 1}})' in answer.problem["detail"]
    stream = hub.open(server.port, {"channels": "metrics:*", "tail": 3})
    stream.wait_control("caught-up")
    assert numbers(stream.events) == [17, 18, 19]


def test_event(serve, db, own):
    """One by channel and id; not under another channel, and not what pretends to be a log."""
    server = serve(ETL, **PUBLISHING)
    for key in (ObjectId(), "a key", 77):
        document = made(3, _id=key)
        own.insert_one(document)
        answer = ask(server, "event", channel="metrics:w1", id=str(key))
        assert answer.status == 200 and answer.json == data_of(document, iso(document["at"]))
        assert ask(server, "event", channel="metrics:w2", id=str(key)).status == 404
    false = made(4, "logs:etl:w1:f1", "logs")
    own.insert_one(false)
    assert ask(server, "event", channel="logs:etl:w1:f1", id=str(false["_id"])).status == 404
    log = {**LOG, "_id": ObjectId()}
    db.etl_logs.insert_one(log)
    assert ask(server, "event", channel="logs:etl:w1:f1", id=str(log["_id"])).json["log_data"]["_id"] == str(log["_id"])


def test_lost_history(more_mongod, launch, hub):
    """What the oplog no longer has is read from the collection, by the documents' own time."""
    node = more_mongod("--syncdelay", "1", oplog_mb=5)
    db = node.client["d"]
    create_indexes(db)
    begin = hex_time(node.now())
    now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
    documents = [made(n, at=now + datetime.timedelta(milliseconds=n), _id=f"{9 - n}") for n in range(10)]
    db[OWN].insert_many([*documents, made(10, at=now - datetime.timedelta(days=2))])
    roll_oplog_over(node, hex_time(node.now()))
    server = launch({"mongodb": {"uri": node.uri, "max_await_ms": 100}, **PUBLISHING,
                     "sources": [{"name": "logs", "tag": "a", "database": "d", "mappings": [ETL.config]}]})
    stream = hub.open(server.port, {"channels": "metrics:*"}, headers={"Last-Event-ID": begin})
    gap = stream.wait_control("gap").json
    assert gap["reason"] == "history_lost" and gap["replayed"] == 10 and gap["complete"]
    stream.wait_control("caught-up")
    assert numbers(stream.events) == list(range(10))
    assert all(f.json == data_of(d, iso(d["at"])) | {"replay": True} for f, d in zip(stream.events, documents))
    db[OWN].insert_one(made(11))
    assert numbers(stream.wait_events(11))[-1] == 11


# --- polling ------------------------------------------------------------------------------------------------


def test_polling(launch, more_mongod, hub):
    """Without change streams it is polled by at, whatever its ids are."""
    node: Mongod = more_mongod(replica_set=False)
    db = node.client["d"]
    create_indexes(db)
    db[OWN].insert_one(made(-1))
    server = launch({"mode": "auto", "poll": {"interval_ms": 50}, "mongodb": {"uri": node.uri}, **PUBLISHING,
                     "sources": [{"name": "logs", "tag": "a", "database": "d", "mappings": [ETL.config]}]})
    stream = hub.open(server.port, {"channels": "*"})
    assert stream.wait_ready().json["mode"] == "polling"
    want = []
    for n in range(20):
        at = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
        document = made(n, at=at, event="e" if n % 2 else "cpu", _id=f"{20 - n:02d}")
        db[OWN].insert_one(document)
        want.append(document)
    db[OWN].insert_one({"channel": "logs:etl:w1", "event": "x", "at": moment(10**8)})
    db.etl_logs.insert_one(dict(LOG))
    frames = stream.wait_events(21)
    own = [f for f in frames if f.event != "logs"]
    assert sorted(numbers(own)) == list(range(20)) and len(frames) == 21
    assert all(f.id is None and f.event == want[f.json["data"]["n"]]["event"] for f in own)
    assert all(f.json == data_of(want[n], f.json["ts"]) for f, n in zip(own, numbers(own)))
    until(lambda: source_of(server)["unroutable"] == 1, "the false one is counted")


def test_time_series_logs_are_still_polled(launch, mongo, dbname, db, hub):
    """The own collection, which has a change stream, does not hide that the logs have none."""
    db.create_collection("etl_logs", timeseries={"timeField": "at", "metaField": "workspace_id"})
    create_indexes(db)
    server = launch({"mode": "auto", "poll": {"interval_ms": 50}, "mongodb": {"uri": mongo.uri}, **PUBLISHING,
                     "sources": [{"name": "logs", "tag": "a", "database": dbname, "mappings": [ETL.config]}]})
    stream = hub.open(server.port, {"channels": "*"})
    assert stream.wait_ready().json["mode"] == "polling"
    now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
    db.etl_logs.insert_one({**LOG, "at": now})
    db[OWN].insert_one(made(0, at=now))
    assert {f.event for f in stream.wait_events(2)} == {"logs", "cpu"}
