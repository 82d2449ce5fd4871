"""What a document becomes: every BSON type, broken text, large documents, missing keys, percent-encoding."""

from __future__ import annotations

import datetime
import json
import random
import uuid
from urllib.parse import urlencode

import bson
import pytest
from bson import Binary, Code, DBRef, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp

from conftest import ETL
from oracle import plain_json, random_document, raw_document
from stream import parse_with_httpx_sse

KEYS = {"workspace_id": "w1", "workflow_id": "f1"}
CHANNEL = "logs:etl:w1:f1"
MIB = 1024 * 1024


def send(stream, collection, document) -> dict:
    """Insert and give the event's JSON."""
    count = len(stream.events)
    collection.insert_one(document)
    frame = stream.wait_events(count + 1)[count]
    assert "\n" not in frame.data
    return frame.json


@pytest.fixture
def etl(shared):
    """One server for all tests of this file that need no configuration of their own."""
    return shared


@pytest.fixture
def db(shared, hub):
    """Its database, empty, and everything that the test before wrote already behind the watcher."""
    shared.db.etl_logs.delete_many({})
    barrier = hub.open(shared.port, {"channels": "logs:etl:barrier:passed"})
    barrier.wait_ready()
    shared.db.etl_logs.insert_one({"workspace_id": "barrier", "workflow_id": "passed"})
    barrier.wait_events(1)
    barrier.abort()
    return shared.db


@pytest.fixture
def own_db(mongo, dbname):
    """The database of a server that serve() starts."""
    return mongo.client[dbname]


@pytest.fixture
def stream(etl, db, hub):
    stream = hub.open(etl.port, {"channels": "logs:*"}, keep_body=True)
    stream.wait_ready()
    yield stream
    stream.abort()


VALUES = [
    ("null", None, None), ("true", True, True), ("false", False, False), ("int32", -5, -5), ("int64 small", Int64(7), 7),
    ("int64 2^53", Int64(2**53), 2**53), ("int64 2^53+1", Int64(2**53 + 1), "9007199254740993"),
    ("int64 -2^53-1", Int64(-2**53 - 1), "-9007199254740993"), ("int64 max", Int64(2**63 - 1), "9223372036854775807"),
    ("int64 min", Int64(-2**63), "-9223372036854775808"), ("double", 1.5, 1.5), ("double tiny", 5e-324, 5e-324),
    ("double pi", 3.141592653589793, 3.141592653589793), ("double whole", 1e15, 1e15), ("NaN", float("nan"), None),
    ("inf", float("inf"), None), ("-inf", float("-inf"), None), ("string", "ü€😀", "ü€😀"), ("empty", "", ""),
    ("controls", "\0\x01\b\t\n\f\r\x1f\x7f\"\\/", "\0\x01\b\t\n\f\r\x1f\x7f\"\\/"), ("line separators", "\u2028\u2029\x85", "\u2028\u2029\x85"),
    ("ObjectId", ObjectId("6b0169cd6b0169cd6b0169cd"), "6b0169cd6b0169cd6b0169cd"),
    ("date", datetime.datetime(2026, 11, 21, 9, 52, 13, 21000), "2026-11-21T09:52:13.021Z"),
    ("date 1969", datetime.datetime(1969, 12, 31, 23, 59, 59, 999000), "1969-12-31T23:59:59.999Z"),
    ("date year 1", datetime.datetime(1, 1, 1), "0001-01-01T00:00:00.000Z"),
    ("date year 9999", datetime.datetime(9999, 12, 31, 23, 59, 59, 999000), "9999-12-31T23:59:59.999Z"),
    ("Decimal128", Decimal128("12345678901234567890.1234"), "12345678901234567890.1234"), ("Decimal128 NaN", Decimal128("NaN"), "NaN"),
    ("binary", b"\x00\xff\x10", "AP8Q"), ("binary empty", b"", ""), ("subdocument", {"a": {"b": {}}}, {"a": {"b": {}}}),
    ("array", [1, [2, {"a": None}], []], [1, [2, {"a": None}], []]),
]


def test_values_of_the_contract(stream, db):
    """Each type on which the contract says something becomes exactly that."""
    for name, value, wanted in VALUES:
        got = send(stream, db.etl_logs, KEYS | {"name": name, "v": value})["log_data"]
        assert got["v"] == wanted and type(got["v"]) is type(wanted), (name, got["v"])
        assert list(got) == ["_id", "workspace_id", "workflow_id", "name", "v"]


def test_every_bson_type_is_valid_json(stream, db):
    """The other types, deprecated ones and far dates too, come as some valid JSON; nothing is dropped."""
    far = [bson.DatetimeMS(ms) for ms in (2**62, -2**62, 253402300800000, -62135596800001)]
    values = [Regex("a.*\"/", "im"), Code("function(){}"), Code("x", {"a": 1}), Timestamp(4, 2), MinKey(), MaxKey(), uuid.uuid4(),
              Binary(b"x" * 16, 3), Binary(b"abc", 0x80), DBRef("c", 1, "d"), Decimal128("Infinity"), Decimal128("-0E+6111"), *far]
    values = [Binary.from_uuid(v) if isinstance(v, uuid.UUID) else v for v in values]
    data = send(stream, db.etl_logs, KEYS | {f"v{i}": v for i, v in enumerate(values)})["log_data"]
    assert len(data) == 3 + len(values)


def test_deprecated_types(stream, db):
    """undefined, symbol and DBPointer, which drivers no longer write, written as raw BSON."""
    raw = bson.encode({"_id": 1, **KEYS, "u": None, "s": "text", "end": 1})
    raw = raw.replace(b"\x0au\0", b"\x06u\0").replace(b"\x02s\0", b"\x0es\0")
    db.etl_logs.insert_one(bson.raw_bson.RawBSONDocument(raw))
    data = stream.wait_events(1)[0].json["log_data"]
    assert set(data) == {"_id", "workspace_id", "workflow_id", "u", "s", "end"} and data["end"] == 1


def test_relaxed_json(serve, own_db, hub):
    """json: relaxed gives MongoDB Extended JSON, which bson.json_util reads back to the same document."""
    from bson import json_util

    server = serve(ETL, json="relaxed")
    stream = hub.open(server.port, {"channels": "logs:*"})
    stream.wait_ready()
    document = KEYS | {"_id": ObjectId(), "t": datetime.datetime(2026, 1, 1), "i": Int64(2**60), "d": Decimal128("1.5"), "b": b"x",
                       "r": Regex("a", "i"), "ts": Timestamp(1, 2), "n": [1, 2.5, None, True, {"x": MinKey()}]}
    own_db.etl_logs.insert_one(document)
    (frame,) = stream.wait_events(1)
    text = json.dumps(frame.json["log_data"])
    assert json_util.loads(text, json_options=json_util.RELAXED_JSON_OPTIONS) == document


def test_random_documents(stream, db, seed):
    """Property: for any document of these types the event is one line of the JSON that Python makes of it."""
    rnd = random.Random(seed)
    documents = [KEYS | {"_id": i, "v": random_document(rnd)} for i in range(300)]
    db.etl_logs.insert_many(documents)
    frames = stream.wait_events(300)
    for document, frame in zip(documents, frames):
        assert frame.json["log_data"] == plain_json(document), f"seed {seed}, document {document}"
    assert len(parse_with_httpx_sse(b"\n\n".join(f.raw for f in frames) + b"\n\n").events) == 300


@pytest.mark.parametrize("bad", [b"\xff\xfe\xfd\xfc", b"a\xc3bc", b"\xed\xa0\x80x", b"\xc0\x80ab", b"\xf5\x80\x80\x80", b"abc\xe2", b"\x80\x80\x80\x80"])
def test_invalid_utf8_is_repaired(stream, db, bad):
    """Text that is no UTF-8, which mongod stores: U+FFFD instead, everything else stays."""
    db.etl_logs.insert_one(raw_document({"_id": 1, **KEYS, "message": "XXXX", "end": "fine"}, {b"XXXX": bad}))
    data = stream.wait_events(1)[0].json["log_data"]
    assert "\ufffd" in data["message"] and data["end"] == "fine"
    for byte in bad:
        assert byte >= 0x80 or chr(byte) in data["message"]


def test_invalid_utf8_in_names_and_keys(stream, db):
    """In a field's name it is repaired; in a channel's field the event is unroutable; the stream lives on."""
    db.etl_logs.insert_one(raw_document({"_id": 1, **KEYS, "NAME": 1}, {b"NAME": b"N\xff\xffE"}))
    db.etl_logs.insert_one(raw_document({"_id": 2, "workspace_id": "WWWW", "workflow_id": "f"}, {b"WWWW": b"W\xff\xffW"}))
    db.etl_logs.insert_one(KEYS | {"_id": 3})
    frames = stream.wait(lambda s: s.events if s.events and s.events[-1].json["log_data"]["_id"] == 3 else None, "the last")
    assert "N\ufffd\ufffdE" in frames[0].json["log_data"]
    assert {f.json["log_data"]["_id"] for f in frames} <= {1, 2, 3}
    for f in frames:
        f.data.encode("utf-8")


def test_duplicate_names_nul_and_depth(stream, db):
    """Duplicate keys pass, names are escaped, and 150 levels end somewhere without ending the stream."""
    raw = bson.encode({"_id": 1, **KEYS, "aa": 1, "bb": 2}).replace(b"\x10bb\0", b"\x10aa\0")
    db.etl_logs.insert_one(bson.raw_bson.RawBSONDocument(raw))
    deep: dict = {"leaf": 1}
    for _ in range(150):
        deep = {"d": deep}
    db.etl_logs.insert_one(KEYS | {"_id": 2, "deep": deep, "after": "here"})
    db.etl_logs.insert_one(KEYS | {"_id": 3, 'q"\n\\': 1, "": 2})
    first, second, third = stream.wait_events(3)
    assert json.loads(first.data, object_pairs_hook=list)[-1][1][-2:] == [["aa", 1], ["aa", 2]] or first.data.count('"aa"') == 2
    assert second.json["log_data"]["after"] == "here"
    assert third.json["log_data"]['q"\n\\'] == 1 and third.json["log_data"][""] == 2


# --- large ones ---------------------------------------------------------------------------------------------


def test_large_event_is_cut_and_given_whole_on_request(etl, stream, db):
    """Over 60,000 bytes an event keeps _id, level, time and message and says so; /api/logs/event gives all of it."""
    document = KEYS | {"_id": ObjectId(), "level": "WARN", "timestamp": datetime.datetime(2026, 1, 1), "message": "m" * 100_000, "blob": "b" * 500_000}
    data = send(stream, db.etl_logs, document)
    frame = stream.events[0]
    assert len(frame.data.encode()) <= 60_000 and len(frame.raw) < 64_000
    assert data["truncated"] is True and any(isinstance(v, int) and v > 600_000 for k, v in data.items() if "size" in k or "bytes" in k), data.keys()
    assert data["channel"] == CHANNEL and data["service"] == "etl"
    kept = data["log_data"]
    assert kept["_id"] == str(document["_id"]) and kept["level"] == "WARN" and kept["timestamp"] == "2026-01-01T00:00:00.000Z"
    assert kept["message"].startswith("mmm") and "blob" not in kept
    answer = etl.get("/api/logs/event?" + urlencode({"channel": CHANNEL, "id": str(document["_id"])}))
    assert answer.status == 200 and answer.headers["content-type"].startswith("application/json")
    whole = answer.json
    assert whole["log_data"] == plain_json(document) and whole["channel"] == CHANNEL and "truncated" not in whole


def test_cut_is_by_whole_characters(stream, db):
    """The cut never splits a character, whatever it is made of."""
    for char in ("ü", "€", "😀", "\0", '"', "\u2028"):
        data = send(stream, db.etl_logs, KEYS | {"message": char * 40_000})
        assert data["truncated"] is True
        assert set(data["log_data"]["message"].rstrip("…").rstrip(".")) <= {char}
        assert len(stream.events[-1].data.encode()) <= 60_000


@pytest.mark.parametrize("size", [59_000, 59_700, 60_300, 61_000])
def test_around_the_limit(stream, db, size):
    """Just under the limit whole, just over it cut; never more than the limit."""
    data = send(stream, db.etl_logs, KEYS | {"message": "m" * size})
    length = len(stream.events[0].data.encode())
    assert length <= 60_000
    assert ("truncated" in data) == (size >= 60_000) or size in (59_700,)


def test_sixteen_megabytes(etl, stream, db):
    """The largest document that MongoDB takes is one small event and comes whole on request; then life goes on."""
    key = ObjectId()
    room = 16 * MIB - len(bson.encode({"_id": key, **KEYS, "level": "INFO", "message": "m", "blob": ""}))
    document = {"_id": key, **KEYS, "level": "INFO", "message": "m", "blob": "x" * room}
    data = send(stream, db.etl_logs, document)
    assert data["truncated"] is True and data["log_data"]["message"] == "m"
    whole = etl.get("/api/logs/event?" + urlencode({"channel": CHANNEL, "id": str(key)})).json
    assert len(whole["log_data"]["blob"]) == room
    assert send(stream, db.etl_logs, KEYS | {"_id": 1})["log_data"]["_id"] == 1


def event_of(server, channel: str, key: str):
    return server.get("/api/logs/event?" + urlencode({"channel": channel, "id": key}))


def test_event_by_id_checks_the_channel(etl, db):
    """The document's own channel is computed; any other is a 404, as is a missing document."""
    key = ObjectId()
    db.etl_logs.insert_one(KEYS | {"_id": key})
    assert event_of(etl, CHANNEL, str(key)).status == 200
    for channel, text in [("logs:etl:w2:f1", str(key)), ("logs:etl:w1", str(key)), (CHANNEL, str(ObjectId())), ("nothing:x", str(key))]:
        answer = event_of(etl, channel, text)
        assert answer.status == 404, (channel, text)
        answer.problem
    for channel, text in [("logs:*", str(key)), ("", str(key)), (CHANNEL, "")]:
        answer = event_of(etl, channel, text)
        assert answer.status in (400, 404)
        answer.problem


@pytest.mark.parametrize("key", ["plain", "6b0169cd6b0169cd6b0169cd", "with space & ü/?", 42, Int64(2**40), "$where"])
def test_event_by_ids_of_other_types(etl, stream, db, key):
    """_ids that are strings (also such that look like an ObjectId) and numbers are found by the text of the event."""
    data = send(stream, db.etl_logs, KEYS | {"_id": key, "n": 1})
    answer = event_of(etl, CHANNEL, str(data["log_data"]["_id"]))
    assert answer.status == 200 and answer.json["log_data"] == data["log_data"]


def test_event_respects_omit(serve, own_db):
    """What omit hides on the stream, it hides here."""
    server = serve(mappings=[ETL.config | {"omit": ["secret"]}])
    key = own_db.etl_logs.insert_one(KEYS | {"secret": "s", "open": "o"}).inserted_id
    assert set(event_of(server, CHANNEL, str(key)).json["log_data"]) == {"_id", "workspace_id", "workflow_id", "open"}


@pytest.mark.parametrize("key_mib, body_mib", [(1, 0), (3, 9), (6, 0)])
def test_giant_id_is_a_gap_and_nothing_more(more_mongod, launch, hub, key_mib, body_mib):
    """
    An _id of megabytes: gap oversize in its place, for those whom it may concern; the events before and behind it arrive.
    3 + 9 MB make an event over MongoDB's limit unless the pipeline strips it; with 6 MB the resume token alone is over it
    (10334 on every resume) and the watcher has to step over.
    """
    node = more_mongod(cache_gb=1)  # with less, mongod refuses such documents
    server = launch({"mongodb": {"uri": node.uri},
                     "sources": [{"name": "logs", "tag": "a", "database": "d", "mappings": [ETL.config]}]})
    stream, other = (hub.open(server.port, {"channels": c}) for c in ("logs:*", "metrics:w1"))
    stream.wait_ready()
    other.wait_ready()
    target = node.client["d"].etl_logs
    target.insert_one(KEYS | {"_id": 1})
    target.insert_one(KEYS | {"_id": "k" * (key_mib * MIB), "body": "b" * (body_mib * MIB)})
    target.insert_one(KEYS | {"_id": 2})
    events = stream.wait_events(2)
    assert [f.json["log_data"]["_id"] for f in events] == [1, 2]
    kinds = [f.event for f in stream.frames if f.data is not None and f.event not in ("ready", "heartbeat")]
    assert kinds == ["logs", "gap", "logs"]
    gap = stream.wait_control("gap")
    assert gap.json["reason"] == "oversize"
    assert "kkkk" not in gap.data and str(key_mib * MIB) not in gap.data
    again = hub.open(server.port, {"channels": "logs:etl:w9:f9", "last_event_id": events[0].id})
    assert again.wait_control("gap").json["reason"] == "oversize"
    target.insert_one(KEYS | {"_id": 3})
    assert stream.wait_events(3)[2].json["log_data"]["_id"] == 3
    assert not other.control("gap")


# --- channels of documents -----------------------------------------------------------------------------------


@pytest.mark.parametrize("value, text", [
    ("a:b", "a%3Ab"), ("*", "%2A"), ("ü", "ü"), ("a b", "a%20b"), ("50%", "50%25"), ("a,b", "a%2Cb"), ("tab\t", "tab%09"), ("nl\n", "nl%0A"),
    ("\x00", "%00"), ("\x7f", "%7F"), ("a/b?c=d&e#f+g", "a/b?c=d&e#f+g"), (17, "17"), (Int64(-2**60), str(-2**60)),
    (ObjectId("6b0169cd6b0169cd6b0169cd"), "6b0169cd6b0169cd6b0169cd"),
    (Binary.from_uuid(uuid.UUID("12345678-1234-5678-1234-567812345678")), "12345678-1234-5678-1234-567812345678"), ("x" * 128, "x" * 128),
])
def test_values_become_segments(etl, stream, db, hub, value, text):
    """Values become segments, percent-encoded where the grammar needs it; the service form finds them by their value."""
    channel = f"logs:etl:{text}:f1"
    exact = hub.open(etl.port, {"channels": channel})
    exact.wait_ready()
    streams = [stream, exact]
    if not isinstance(value, (bytes, ObjectId)) and value != "\x00":  # no parameter holds a NUL
        by_value = hub.open(etl.port, {"service": "etl", "workspace_id": str(value), "workflow_id": "f1"})
        by_value.wait_ready()
        streams.append(by_value)
    db.etl_logs.insert_many([KEYS | {"workspace_id": value}, KEYS | {"workspace_id": "someone-else"}])
    for s in streams:
        assert s.wait_events(1)[0].json["channel"] == channel
    assert len(exact.events) == 1


def test_missing_last_field_drops_its_segment(stream, db):
    """Without workflow_id it is the service-level channel, and the event has no such key."""
    data = send(stream, db.etl_logs, {"workspace_id": "w1"})
    assert data["channel"] == "logs:etl:w1" and "workflow_id" not in data


BAD = [{}, {"workflow_id": "f"}, {"workspace_id": {"a": 1}, "workflow_id": "f"}, {"workspace_id": ["w"], "workflow_id": "f"},
       {"workspace_id": "w", "workflow_id": {"a": 1}}, {"workspace_id": "", "workflow_id": "f"}, {"workspace_id": "x" * 129, "workflow_id": "f"},
       {"workspace_id": 1.5, "workflow_id": "f"}, {"workspace_id": "ü" * 65, "workflow_id": "f"}]


def test_unroutable_events_are_counted_and_nothing_more(etl, stream, db):
    """Missing inner or ill-typed fields: no event, counted in /health, logged, and the stream lives on."""
    def counted() -> int:
        return sum(source["unroutable"] for source in etl.health()["sources"])

    before = counted()
    db.etl_logs.insert_many([dict(d, _id=f"bad-{i}") for i, d in enumerate(BAD)])
    assert send(stream, db.etl_logs, KEYS | {"_id": "good"})["log_data"]["_id"] == "good"
    assert len(stream.events) == 1
    assert counted() - before == len(BAD)
    assert any("bad-" in line for line in etl.lines), etl.log_tail()


def test_a_flood_of_unroutable_events_is_logged_at_a_limited_rate(etl, stream, db):
    """10,000 of them do not give 10,000 lines."""
    before = len(etl.lines)
    db.etl_logs.insert_many([{"x": i} for i in range(10_000)])
    send(stream, db.etl_logs, KEYS | {"_id": "good"})
    assert len(etl.lines) - before < 500


def test_dotted_fields_alternatives_and_placeholders(serve, own_db, hub):
    """{a.b}, {a|b}, {$collection} and {$database}."""
    server = serve(mappings=[{"collections": ["c1"], "channel": "x:{$database}:{$collection}:{user.name}:{p|q.r}"}])
    stream = hub.open(server.port, {"channels": "x:*"})
    stream.wait_ready()
    own_db.c1.insert_many([{"user": {"name": "ann"}, "p": 1}, {"user": {"name": "bob"}, "q": {"r": 2}}, {"user": {"name": "cy"}}])
    assert [f.json["channel"] for f in stream.wait_events(3)] == [f"x:{own_db.name}:c1:{t}" for t in ("ann:1", "bob:2", "cy")]
    assert stream.events[0].event == "x"
