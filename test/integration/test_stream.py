"""The stream endpoint: a document becomes an event; ready, ids, heartbeats and the forms of a request and of an answer."""

from __future__ import annotations

import json
import re
import time
from datetime import datetime

import pytest
from bson import ObjectId

from conftest import ETL, FAAS
from mongod import free_port
from oracle import read_truth
from stream import EVENT_ID, POSITION, own_view, parse_with_httpx_sse, parse_with_sseclient

DOCUMENT = {"workspace_id": "w1", "workflow_id": "f1", "level": "INFO", "message": "hello",
            "timestamp": datetime(2026, 11, 21, 9, 52, 13, 21000)}
CHANNEL = "logs:etl:w1:f1"


def strings(value) -> set[str]:
    """All strings in a JSON value, however it is nested."""
    match value:
        case str(): return {value}
        case list(): return set().union(*map(strings, value), set())
        case dict(): return set().union(*map(strings, value.values()), set(value))
    return set()


def test_insert_becomes_event_of_the_contract_shape(etl, db, hub):
    """One insert gives one frame: id, event and one line of JSON in exactly the contract's shape and order of keys."""
    stream = hub.open(etl.port, {"channels": CHANNEL})
    stream.wait_ready()
    start = db.client.admin.command("ping")["operationTime"]
    key = db.etl_logs.insert_one(dict(DOCUMENT)).inserted_id
    (frame,) = stream.wait_events(1)
    (truth,) = read_truth(db, [ETL], start, lambda d: d["_id"] == key)
    assert frame.event == "logs"
    assert EVENT_ID.fullmatch(frame.id) and frame.id[:16] == truth.cluster_time
    assert "\n" not in frame.data
    assert frame.json == truth.data()
    assert list(frame.json) == ["channel", "type", "service", "workspace_id", "workflow_id", "ts", "log_data"]
    assert list(frame.json["log_data"]) == ["_id", *DOCUMENT]
    assert frame.json["log_data"]["timestamp"] == "2026-11-21T09:52:13.021Z"
    assert [line.split(b":")[0] for line in frame.raw.split(b"\n")] == [b"id", b"event", b"data"]


def test_ready_comes_first_and_tells_everything(serve, hub):
    """The first frame is ready, with retry before it, the start point as its id, and all fields of the contract."""
    server = serve(ETL, heartbeat_s=7)
    stream = hub.open(server.port, {"channels": f"{CHANNEL},metrics:w1"})
    ready = stream.wait_ready()
    assert [f.event for f in stream.frames if f.data is not None][0] == "ready"
    assert 500 <= stream.retry_ms <= 60000
    data = ready.json
    assert {"connection_id", "channels", "denied", "unmatched", "heartbeat_s", "mode", "resumed", "resume_window_s",
            "renew"} <= set(data)
    assert data["connection_id"] == stream.headers["x-connection-id"]
    assert CHANNEL in strings(data["channels"])
    assert data["denied"] == [] and data["unmatched"] == ["metrics:w1"]
    assert data["heartbeat_s"] == 7 and data["resumed"] == "no" and data["renew"] is None
    assert data["mode"] == "change_stream"
    assert data["resume_window_s"] is None or data["resume_window_s"] >= 0
    assert POSITION.match(ready.id)


def test_ready_comes_at_once(etl, hub):
    """The first frame does not wait for an event or a heartbeat."""
    stream = hub.open(etl.port, {"channels": CHANNEL})
    stream.wait_ready()
    assert stream.frames[0].at - stream.opened_at < 2


def test_answer_headers(etl, hub):
    """Content type, caching and proxy headers; the connection id has 128 random bits and never repeats."""
    streams = hub.open_many(etl.port, [{"channels": CHANNEL}] * 5)
    ids = set()
    for stream in streams:
        stream.wait_ready()
        assert stream.status == 200
        assert stream.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert stream.headers["cache-control"] == "no-cache, no-transform"
        assert stream.headers["x-accel-buffering"] == "no"
        assert "content-length" not in stream.headers and "content-encoding" not in stream.headers
        text = stream.headers["x-connection-id"]
        assert re.fullmatch(r"[0-9a-f]{32}|[\w-]{22,}", text), text
        ids.add(text)
    assert len(ids) == 5


def test_http11_is_chunked_and_http10_is_not(etl, db, hub):
    """HTTP/1.1 gets chunks; HTTP/1.0 the bare bytes until the connection ends; the events are the same bytes."""
    new = hub.open(etl.port, {"channels": CHANNEL}, keep_body=True)
    old = hub.open(etl.port, {"channels": CHANNEL}, version="1.0", keep_body=True)
    for stream in (new, old):
        stream.wait_ready()
    db.etl_logs.insert_many([dict(DOCUMENT, n=i) for i in range(20)])
    frames = [s.wait_events(20) for s in (new, old)]
    assert new.headers["transfer-encoding"] == "chunked"
    assert "transfer-encoding" not in old.headers
    assert old.headers.get("connection", "close").lower() != "keep-alive"
    assert [f.raw for f in frames[0]] == [f.raw for f in frames[1]]


@pytest.mark.parametrize("path", ["/api/logs/stream", "/api/sse", "/logs/stream"])
def test_paths_of_the_stream(etl, db, hub, path):
    """All three paths serve the same."""
    stream = hub.open(etl.port, f"{path}?channels={CHANNEL}")
    stream.wait_ready()
    db.etl_logs.insert_one(dict(DOCUMENT))
    stream.wait_events(1)


def test_real_parsers_see_the_same(etl, db, hub):
    """Two SSE parsers from PyPI read from the same bytes exactly what our own reads."""
    stream = hub.open(etl.port, {"channels": "logs:*"}, keep_body=True)
    stream.wait_ready()
    texts = ["a\r\nb\nc\rd", "\u2028\u2029\x85", "data: x\n\nevent: ready\n\n", "\0", "ü€😀", " leading", ":"]
    db.etl_logs.insert_many([dict(DOCUMENT, message=t) for t in texts])
    frames = stream.wait_events(len(texts))
    stream.abort()
    assert [f.json["log_data"]["message"] for f in frames] == texts
    own = own_view(stream.frames)
    body = b"\n\n".join(f.raw for f in stream.frames) + b"\n\n"
    assert parse_with_httpx_sse(body) == own
    assert parse_with_sseclient(body).events == own.events


def test_live_through_httpx_sse(etl, db):
    """The library as an application uses it, on the live connection."""
    import httpx
    from httpx_sse import connect_sse

    url = f"http://127.0.0.1:{etl.port}/api/logs/stream?channels={CHANNEL}"
    with httpx.Client(timeout=20, trust_env=False) as client, connect_sse(client, "GET", url) as source:
        events = source.iter_sse()
        assert next(e for e in events if e.event == "ready").json()["resumed"] == "no"
        db.etl_logs.insert_one(dict(DOCUMENT))
        event = next(e for e in events if e.event == "logs")
        assert event.json()["log_data"]["message"] == "hello" and EVENT_ID.fullmatch(event.id)


def test_frames_use_only_lf_and_no_bom(etl, db, hub):
    """Line ends are LF, no BOM, one space behind the colon (the client's parser insists), ids of the allowed letters."""
    stream = hub.open(etl.port, {"channels": CHANNEL}, keep_body=True)
    stream.wait_ready()
    db.etl_logs.insert_one(dict(DOCUMENT))
    stream.wait_events(1)
    assert b"\r" not in stream.body and not stream.body.startswith(b"\xef\xbb\xbf")
    for f in stream.frames:
        assert f.id is None or re.fullmatch(r"[0-9a-zA-Z._~-]{1,128}", f.id)


def test_heartbeat_carries_time_and_position(serve, db, hub, mongo):
    """In silence a named heartbeat with data and a position comes, and the position moves on a quiet channel."""
    server = serve(ETL, heartbeat_s=1)
    stream = hub.open(server.port, {"channels": CHANNEL})
    ready = stream.wait_ready()
    first = stream.wait_control("heartbeat", 10)
    assert POSITION.fullmatch(first.id) and first.id >= ready.id[:16]
    assert isinstance(first.json, dict) and first.json
    assert any("time" in k or k == "ts" for k in first.json), first.json
    db.etl_logs.insert_one(dict(DOCUMENT, workspace_id="other"))
    moved = stream.wait(lambda s: [f for f in s.control("heartbeat") if f.id > first.id], "a later position", 20)
    beats = stream.control("heartbeat")
    assert [b.id for b in beats] == sorted(b.id for b in beats)
    assert moved and all(b.at - a.at < 3 for a, b in zip(beats, beats[1:]))
    assert not stream.events


def test_heartbeat_never_sorts_before_the_last_id(serve, db, hub):
    """After an event the heartbeat repeats its id or is a position behind it."""
    server = serve(ETL, heartbeat_s=1)
    stream = hub.open(server.port, {"channels": CHANNEL})
    stream.wait_ready()
    db.etl_logs.insert_one(dict(DOCUMENT))
    (event,) = stream.wait_events(1)
    beats = stream.wait(lambda s: s.control("heartbeat")[1:], "two heartbeats", 15)
    for beat in beats:
        assert beat.id == event.id or beat.id[:16] > event.id[:16], (event.id, beat.id)


def test_no_heartbeat_while_events_flow(serve, db, hub):
    """Heartbeats are for silence only."""
    server = serve(ETL, heartbeat_s=2)
    stream = hub.open(server.port, {"channels": CHANNEL})
    stream.wait_ready()
    end = time.monotonic() + 3.5
    count = 0
    while time.monotonic() < end:
        db.etl_logs.insert_one(dict(DOCUMENT, n=count))
        count += 1
        stream.wait_events(count)
    quiet = [b.at - a.at for a, b in zip(stream.frames, stream.frames[1:]) if b.event == "heartbeat"]
    assert all(gap > 0.5 for gap in quiet), quiet


def test_ndjson_by_accept(etl, db, hub):
    """Accept: application/x-ndjson gives one JSON object a line with the same ids and data."""
    sse = hub.open(etl.port, {"channels": CHANNEL})
    lines = hub.open(etl.port, {"channels": CHANNEL}, headers={"Accept": "application/x-ndjson"})
    sse.wait_ready()
    lines.wait_ready()
    assert lines.headers["content-type"].startswith("application/x-ndjson")
    db.etl_logs.insert_many([dict(DOCUMENT, n=i) for i in range(3)])
    want, got = sse.wait_events(3), lines.wait_events(3)
    assert [(f.id, f.event, f.json) for f in got] == [(f.id, f.event, f.json) for f in want]
    assert set(lines.ready) == set(sse.ready)


def test_post_takes_the_same_parameters(etl, db, hub):
    """POST with a JSON body, for lists too long for a URL."""
    channels = [f"logs:etl:w{i}:f{i}" for i in range(200)]
    body = json.dumps({"channels": channels}).encode()
    stream = hub.open(etl.port, "/api/logs/stream", method="POST", headers={"Content-Type": "application/json"}, body=body)
    stream.wait_ready()
    assert strings(stream.ready["channels"]) >= set(channels)
    db.etl_logs.insert_one(dict(DOCUMENT, workspace_id="w199", workflow_id="f199"))
    assert stream.wait_events(1)[0].json["channel"] == "logs:etl:w199:f199"


def test_post_by_fields(etl, db, hub):
    """POST knows the other parameters by the same names."""
    body = json.dumps({"service": "etl", "workspace_id": "w1", "workflow_id": "f1"}).encode()
    stream = hub.open(etl.port, "/api/logs/stream", method="POST", headers={"Content-Type": "application/json"}, body=body)
    stream.wait_ready()
    assert CHANNEL in strings(stream.ready["channels"])


@pytest.mark.parametrize("headers, body, status", [
    ({"Content-Type": "application/json"}, b"{", 400),
    ({"Content-Type": "application/json"}, b"[]", 400),
    ({"Content-Type": "application/json"}, b'{"channels":"\xff"}', 400),
    ({"Content-Type": "application/json"}, b'{"channels":[1]}', 400),
    ({"Content-Type": "text/plain"}, b'{"channels":["logs:*"]}', 415),
    ({"Content-Type": "application/json"}, b" " * 1_100_000, 413),
])
def test_post_refusals(shared, headers, body, status):
    """A body that is no such object is refused with problem+json and the server lives on."""
    answer = shared.request("POST", "/api/logs/stream", headers, body=body)
    assert answer.status == status
    answer.problem


def test_giant_body_is_refused_unread(shared):
    """A body far above the limit: 413 by its length alone, and the client can send all of it and then read why."""
    answer = shared.request("POST", "/api/logs/stream", {"Content-Type": "application/json"}, body=b" " * 3_000_000)
    assert answer.status == 413 and answer.problem["code"] == "body_too_large"


@pytest.mark.parametrize("key", ["workflow_id", "function_id", "resource_id"])
def test_service_form_and_its_synonyms(etl, db, hub, key):
    """service, workspace and the last key under any of its names build the channel."""
    stream = hub.open(etl.port, {"service": "etl", "workspace_id": "w1", key: "f1"})
    stream.wait_ready()
    db.etl_logs.insert_many([dict(DOCUMENT, workflow_id="f2"), dict(DOCUMENT)])
    assert stream.wait_events(1)[0].json["channel"] == CHANNEL


ALL = ["logs:etl:w1", "logs:etl:w1:f1", "logs:etl:w2:f1", "logs:faas:w1", "logs:faas:w1:f1", "logs:faas:w2:f2"]


MEANINGS = [
    ({"channels": "logs:w1:f1"}, ["logs:etl:w1:f1", "logs:faas:w1:f1"]),
    ({"channels": "logs:etl:w1"}, ["logs:etl:w1"]),
    ({"service": "etl", "workspace_id": "w1"}, ["logs:etl:w1", "logs:etl:w1:f1"]),
    ({"workspace_id": "w1"}, ["logs:etl:w1", "logs:etl:w1:f1", "logs:faas:w1", "logs:faas:w1:f1"]),
    ({"workspace_id": "w1", "workflow_id": "f1"}, ["logs:etl:w1:f1", "logs:faas:w1:f1"]),
    ({"channels": "logs:*"}, ALL),
    ({"channels": "logs:etl:*"}, ["logs:etl:w1", "logs:etl:w1:f1", "logs:etl:w2:f1"]),
    ({"channels": "logs:*:w1:*"}, ["logs:etl:w1:f1", "logs:faas:w1:f1"]),
    ({"channels": "logs:*:*:f1"}, ["logs:etl:w1:f1", "logs:etl:w2:f1", "logs:faas:w1:f1"]),
    ({"channels": "logs:etl:w1:f1,logs:etl:*,logs:*"}, ALL),
    ({"channels": "*"}, ALL),
    ({"channels": "logs:faas:w2:f2,logs:etl:w1"}, ["logs:etl:w1", "logs:faas:w2:f2"]),
]


def test_widening_and_patterns(serve, db, hub):
    """What a subscription means: exactly these of six channels, each event once however many patterns match it."""
    server = serve(ETL, FAAS)
    streams = hub.open_many(server.port, [query for query, _ in MEANINGS] + [{"channels": "logs:etl:end:end"}])
    for stream in streams:
        stream.wait_ready()
    for channel in ALL:
        _, service, workspace, *last = channel.split(":")
        name = "workflow_id" if service == "etl" else "function_id"
        db[f"{service}_logs"].insert_one({"workspace_id": workspace} | {name: v for v in last})
    for stream, (query, wanted) in zip(streams, MEANINGS):
        stream.wait_events(len(wanted))
    db.etl_logs.insert_one({"workspace_id": "end", "workflow_id": "end"})
    streams[-1].wait_events(1)
    for stream, (query, wanted) in zip(streams, MEANINGS):
        got = [f.json["channel"] for f in stream.events if not f.json["channel"].endswith("end:end")]
        assert got == wanted, query


def test_ready_shows_what_a_subscription_became(serve, hub):
    """Widened patterns are in ready's channels; what nothing can produce is unmatched."""
    server = serve(ETL, FAAS)
    cases = [({"channels": "logs:w1:f1"}, {"logs:*:w1:f1"}), ({"service": "etl", "workspace_id": "w1"},
             {"logs:etl:w1", "logs:etl:w1:*"}), ({"workspace_id": "w1"}, {"logs:*:w1", "logs:*:w1:*"})]
    for query, wanted in cases:
        stream = hub.open(server.port, query)
        stream.wait_ready()
        assert strings(stream.ready["channels"]) >= wanted
    stream = hub.open(server.port, {"channels": "logs:etl:w1:f1,logs:etl:w1:f1:more,alerts:ann,logs:nobody:w1:f1"})
    stream.wait_ready()
    assert set(stream.ready["unmatched"]) == {"logs:etl:w1:f1:more", "alerts:ann", "logs:nobody:w1:f1"}


def test_aliases(serve, db, hub):
    """A configured path builds its channel from the query; a missing or dangerous value is no pattern."""
    path = "/api/dapadmin/l5-etl/sse/logs/stream"
    server = serve(ETL, aliases=[{"path": path, "channel": "logs:etl:{workspace_id}:{workflow_id}"}])
    stream = hub.open(server.port, f"{path}?workspace_id=w1&workflow_id=f1")
    star = hub.open(server.port, f"{path}?workspace_id=*&workflow_id=f1")
    stream.wait_ready()
    star.wait_ready()
    db.etl_logs.insert_many([dict(DOCUMENT, workspace_id="*", n=1), dict(DOCUMENT, n=2)])
    assert [f.json["log_data"]["n"] for f in stream.wait_events(1)] == [2]
    assert [f.json["channel"] for f in star.wait_events(1)] == ["logs:etl:%2A:f1"]
    assert server.get(f"{path}?workflow_id=f1").status == 400


def test_only_mongodb_uri_and_the_default_mapping(launch, mongo, hub):
    """With nothing but MONGODB_URI and PORT: database logs, every collection, service = collection, alternatives."""
    mongo.client.drop_database("logs")
    port = free_port()
    server = launch(None, env={"MONGODB_URI": mongo.uri, "PORT": str(port)}, port=port)
    stream = hub.open(server.port, {"channels": "logs:*"})
    stream.wait_ready()
    logs = mongo.client["logs"]
    for name, document in [("etl", {"workspace_id": "w1", "workflow_id": "f1"}), ("faas", {"workspace_id": "w1", "function_id": "fn"}),
                           ("misc", {"workspace_id": 7, "resource_id": ObjectId("6b0169cd6b0169cd6b0169cd")}), ("etl", {"workspace_id": "w1"})]:
        logs[name].insert_one(document)
    events = [f.json for f in stream.wait_events(4)]
    assert [e["channel"] for e in events] == ["logs:etl:w1:f1", "logs:faas:w1:fn", "logs:misc:7:6b0169cd6b0169cd6b0169cd", "logs:etl:w1"]
    assert [e["service"] for e in events] == ["etl", "faas", "misc", "etl"]
    assert events[1]["workflow_id"] == "fn" and events[1]["function_id"] == "fn"
    mongo.client.drop_database("logs")


def test_new_collection_is_picked_up_live(serve, db, hub):
    """A collection that appears later is served on connections that were open before."""
    server = serve()
    stream = hub.open(server.port, {"channels": "logs:*"})
    stream.wait_ready()
    for i in range(3):
        db[f"svc{i}"].insert_one({"workspace_id": "w", "workflow_id": "f"})
    assert [f.json["channel"] for f in stream.wait_events(3)] == [f"logs:svc{i}:w:f" for i in range(3)]


def test_drop_and_rename_end_nothing_else(serve, db, hub):
    """Drop, re-create and rename of a collection: all other events keep coming, and so do those of the new one."""
    server = serve(ETL, FAAS)
    stream = hub.open(server.port, {"channels": "logs:*"})
    stream.wait_ready()
    etl, faas = {"workspace_id": "w", "workflow_id": "f"}, {"workspace_id": "w", "function_id": "f"}
    db.etl_logs.insert_one(etl | {"n": 1})
    db.etl_logs.drop()
    db.faas_logs.insert_one(faas | {"n": 2})
    db.etl_logs.insert_one(etl | {"n": 3})
    db.etl_logs.rename("etl_old")
    db.etl_old.insert_one(etl | {"n": 0})
    db.faas_logs.insert_one(faas | {"n": 4})
    db.etl_logs.insert_one(etl | {"n": 5})
    assert [f.json["log_data"]["n"] for f in stream.wait_events(5)] == [1, 2, 3, 4, 5]
    assert not stream.control("gap")


def test_drop_database_ends_nothing(serve, db, hub):
    """Dropping the whole database invalidates its change stream; the watcher goes on behind it, losing nothing."""
    server = serve(ETL)
    stream = hub.open(server.port, {"channels": "logs:*"})
    stream.wait_ready()
    for i in range(3):
        db.etl_logs.insert_one({"workspace_id": "w", "workflow_id": "f", "n": i})
        db.client.drop_database(db.name)
        db.etl_logs.insert_many([{"workspace_id": "w", "workflow_id": "f", "n": i + 100 + j} for j in range(5)])
    got = [f.json["log_data"]["n"] for f in stream.wait_events(18)]
    assert got == [n for i in range(3) for n in [i, *range(i + 100, i + 105)]]
    assert server.health()["status"] == "healthy"


def test_collection_scope(serve, db, hub):
    """One mapping on one collection: also dropping and re-creating that one ends nothing."""
    server = serve(ETL)
    stream = hub.open(server.port, {"channels": "logs:*"})
    stream.wait_ready()
    db.etl_logs.insert_one(dict(DOCUMENT, n=1))
    db.etl_logs.drop()
    db.etl_logs.insert_one(dict(DOCUMENT, n=2))
    stream.wait_events(2)
    db.etl_logs.rename("gone")
    db.etl_logs.insert_one(dict(DOCUMENT, n=3))
    assert [f.json["log_data"]["n"] for f in stream.wait_events(3)] == [1, 2, 3]


def test_replace_only_where_configured(serve, db, hub):
    """operations [insert, replace] delivers replacements; updates, deletes and other mappings' replacements never."""
    server = serve(ETL, FAAS)
    stream = hub.open(server.port, {"channels": "logs:*"})
    stream.wait_ready()
    for name, key in (("etl", "workflow_id"), ("faas", "function_id")):
        target = db[f"{name}_logs"]
        target.insert_one({"_id": 1, "workspace_id": "w", key: "f", "n": 1})
        target.replace_one({"_id": 1}, {"workspace_id": "w", key: "f", "n": 2})
        target.update_one({"_id": 1}, {"$set": {"n": 3}})
        target.delete_one({"_id": 1})
    db.etl_logs.insert_one({"workspace_id": "w", "workflow_id": "f", "n": 9})
    stream.wait(lambda s: [f for f in s.events if f.json["log_data"]["n"] == 9], "the last insert")
    got = [(f.json["service"], f.json["log_data"]["n"]) for f in stream.events]
    assert got == [("etl", 1), ("faas", 1), ("faas", 2), ("etl", 9)]
    assert len({f.id for f in stream.events}) == 4


def test_match_omit_only_and_first_mapping_wins(serve, db, hub):
    """match decides in MongoDB; omit and only cut the document; the first mapping that lists a collection takes it."""
    mappings = [
        {"collections": ["one"], "channel": "logs:one:{workspace_id}", "match": {"level": {"$ne": "TRACE"}}, "omit": ["a.secret"]},
        {"collections": ["one", "two"], "channel": "other:{workspace_id}", "only": ["message"], "event": "special"},
    ]
    server = serve(mappings=mappings)
    stream = hub.open(server.port, {"channels": "*"})
    stream.wait_ready()
    body = {"workspace_id": "w", "message": "m", "a": {"secret": 1, "open": 2}}
    db.one.insert_one(body | {"_id": 1, "level": "TRACE"})
    db.one.insert_one(body | {"_id": 2, "level": "INFO"})
    db.two.insert_one(body | {"_id": 3, "level": "TRACE"})
    first, second = stream.wait_events(2)
    assert first.json["channel"] == "logs:one:w" and first.json["log_data"]["a"] == {"open": 2}
    assert second.event == "special" and second.json["channel"] == "other:w"
    assert second.json["log_data"] == {"_id": 3, "message": "m"}


def test_same_bytes_and_ids_for_everyone_on_every_instance(serve, db, hub):
    """Two instances and different subscriptions: the frame of an event is the same, byte for byte."""
    servers = [serve(ETL, FAAS), serve(ETL, FAAS)]
    streams = [hub.open(s.port, {"channels": c}) for s in servers for c in ("logs:*", CHANNEL)]
    for stream in streams:
        stream.wait_ready()
    db.etl_logs.insert_many([dict(DOCUMENT, n=i) for i in range(30)])
    frames = [[f.raw for f in s.wait_events(30)] for s in streams]
    assert all(f == frames[0] for f in frames)


def test_start_point_of_a_live_stream(serve, db, hub):
    """ready's id is a resume point: resuming from it on another stream gives every event that this stream got."""
    server = serve(ETL)
    stream = hub.open(server.port, {"channels": CHANNEL})
    ready = stream.wait_ready()
    db.etl_logs.insert_many([dict(DOCUMENT, n=i) for i in range(5)])
    want = [f.id for f in stream.wait_events(5)]
    again = hub.open(server.port, {"channels": CHANNEL}, headers={"Last-Event-ID": ready.id})
    assert [f.id for f in again.wait_events(5)] == want


def test_many_loops_see_every_event(serve, db, hub):
    """40 connections over 4 event loops all get all of it in order."""
    server = serve(ETL, loops=4)
    streams = hub.open_many(server.port, [{"channels": CHANNEL}] * 40)
    for stream in streams:
        stream.wait_ready()
    db.etl_logs.insert_many([dict(DOCUMENT, n=i) for i in range(200)])
    for stream in streams:
        assert [f.json["log_data"]["n"] for f in stream.wait_events(200)] == list(range(200))
