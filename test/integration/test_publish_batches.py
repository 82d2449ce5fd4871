"""
Arrays and NDJSON, and POST /api/publish: events of other channels than those of logs.
"""

from __future__ import annotations

import json

import pytest
from bson import ObjectId

from conftest import AUDIT, ETL, FAAS
from identities import by_secret, sha256
from publisher import AUTH, ETL_TOKEN, EVENTS, LOG, LOGS, OWN, READER, as_body, log, post, refused, stored


@pytest.fixture
def server(serve):
    return serve(ETL, FAAS, AUDIT, limits={"publish_per_s": 0}, **AUTH)


# --- batches ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("ndjson", [False, True], ids=["array", "ndjson"])
def test_batches(server, db, hub, ndjson):
    """All new 201, all repeated 200, mixed 201; in order; each once on a stream."""
    stream = hub.open(server.port, {"channels": "logs:*"}, headers=READER)
    stream.wait_ready()

    def publish(items, status):
        body, kind = as_body(items, ndjson)
        return stored(post(server, LOGS, body, kind=kind), status)

    items = [LOG | {"logData": {"_id": f"b{n}", "n": n, "text": "}]\"\\,{"}} for n in range(200)]
    answer = publish(items, 201)
    assert (answer["inserted"], answer["repeated"], answer["failed"]) == (200, 0, 0)
    assert answer["items"] == [{"_id": f"b{n}", "channel": "logs:etl:w1:f1"} for n in range(200)]
    assert publish(items, 200)["repeated"] == 200
    more = publish(items[:3] + [log(200)], 201)
    assert (more["inserted"], more["repeated"], more["failed"]) == (1, 3, 0)
    assert publish([log(201)], 201)["inserted"] == 1  # a batch of one is a batch
    stream.wait_events(202)
    assert [f.json["log_data"]["n"] for f in stream.events] == list(range(202))


@pytest.mark.parametrize("ndjson", [False, True], ids=["array", "ndjson"])
def test_failures_in_a_batch(server, db, ndjson):
    """Each kind of failure in its place, told by item; the others are stored."""
    db.faas_logs.insert_one({"_id": "elsewhere"})
    db.etl_logs.insert_one({"_id": "taken", "workspace_id": "w7", "workflow_id": "f"})
    db.etl_logs.insert_one({"_id": "odd"})
    cases = [
        (log(0), None), (log(service="faas"), "wrong_service"), ({"logData": {}}, "invalid_item"),
        (LOG | {"logData": {"_id": "taken"}}, "id_taken"), (LOG | {"logData": {"_id": "odd"}}, "id_taken"),
        (log(workspace_id="x" * 200), "not_mapped"), (LOG | {"logData": {"$a": 1}}, "invalid_key"),
        (LOG | {"logData": {"_id": "same", "n": 1}}, None), (LOG | {"logData": {"_id": "same", "n": 2}}, None),
        (LOG | {"workflow_id": "f2", "logData": {"_id": "same"}}, "id_taken"), (LOG | {"logData": {"_id": []}}, "invalid_id"),
        (LOG | {"logData": {"_id": "elsewhere", "n": 3}}, None),
    ]
    body, kind = as_body([item for item, _ in cases], ndjson)
    answer = stored(post(server, LOGS, body, kind=kind), 207)
    assert [i.get("error", {}).get("code") for i in answer["items"]] == [code for _, code in cases]
    assert all(i["error"]["detail"] for i in answer["items"] if "error" in i)
    assert (answer["inserted"], answer["repeated"], answer["failed"]) == (3, 1, 8)
    assert sorted(row["n"] for row in db.etl_logs.find({"n": {"$exists": True}})) == [0, 1, 3]
    bad = [item for item, code in cases if code and code != "id_taken"]
    body, kind = as_body(bad, ndjson)
    answer = stored(post(server, LOGS, body, kind=kind), 400)
    assert (answer["inserted"], answer["failed"]) == (0, len(bad))


def test_lines_stand_alone(server):
    """A broken line of NDJSON fails by itself."""
    lines = b"\n".join([json.dumps(log()).encode(), b"{", b"[]", b'{"a":1}{"b":2}', b"\xff", json.dumps(log()).encode()])
    answer = stored(post(server, LOGS, lines, kind="application/x-ndjson"), 207)
    assert [i.get("error", {}).get("code") for i in answer["items"]] == [
        None, "invalid_json", "invalid_item", "invalid_json", "invalid_item", None]


def test_batch_size(server, db):
    """1,000 items at most."""
    assert stored(post(server, LOGS, [log(n) for n in range(1000)]))["inserted"] == 1000
    assert "1000" in refused(post(server, LOGS, [log(n) for n in range(1001)]), 400, "invalid_body")
    body, kind = as_body([log(n) for n in range(1001)], True)
    refused(post(server, LOGS, body, kind=kind), 400, "invalid_body")
    assert db.etl_logs.count_documents({}) == 1000


# --- events -----------------------------------------------------------------------------------------


def test_events(server, db, hub):
    """What is stored, what comes out, and under which name."""
    stream = hub.open(server.port, {"channels": "metrics:*"}, headers=READER)
    stream.wait_ready()
    bodies = [{"channel": "metrics:w1", "event": "cpu", "data": {"load": 0.5, "when": {"$date": 0}}},
              {"channel": "metrics:w1", "data": [1, None, "x"]}, {"channel": "metrics:w1:b%20c", "event": None, "data": None},
              {"channel": "metrics:w1", "event": "m.e-m_1", "data": "text", "_id": "key"}]
    answers = [stored(post(server, EVENTS, body)) for body in bodies]
    assert [a["channel"] for a in answers] == [b["channel"] for b in bodies]
    frames = stream.wait_events(len(bodies))
    assert [f.event for f in frames] == ["cpu", "metrics", "metrics", "m.e-m_1"]
    assert [f.json["_id"] for f in frames] == [a["_id"] for a in answers]
    assert [f.json["data"] for f in frames] == [{"load": 0.5, "when": "1970-01-01T00:00:00.000Z"}, [1, None, "x"], None, "text"]
    row = db[OWN].find_one({"_id": "key"})
    assert list(row) == ["_id", "channel", "event", "data", "at"]
    assert abs((row["at"] - ObjectId().generation_time.replace(tzinfo=None)).total_seconds()) < 60
    assert stored(post(server, EVENTS, bodies[3]), 200) == answers[3]
    refused(post(server, EVENTS, bodies[3] | {"channel": "metrics:w2"}), 409, "id_taken")


RESERVED = ["ready", "caught-up", "gap", "skipped", "source", "revoked", "goaway", "heartbeat", "refused", "error", "open", "message"]


def test_events_that_are_none(serve, db):
    """Reserved names, channels that are none or belong to logs, members that are missing or unknown."""
    services = [{"name": "all", "token_sha256": sha256(ETL_TOKEN), "publish": ["*"]}]
    server = serve(ETL, limits={"publish_per_s": 0}, auth=by_secret(services=services))
    good = {"channel": "metrics:w1", "event": "cpu", "data": 1}
    for name in RESERVED:
        refused(post(server, EVENTS, good | {"event": name}), 400, "reserved_event")
        refused(post(server, EVENTS, {"channel": f"{name}:x", "data": 1}), 400, "reserved_event")
    for name in ("", "x" * 65, "a b", "a\nb", "ä", 5, {}):
        refused(post(server, EVENTS, good | {"event": name}), 400, "invalid_event")
    for channel in ("", "a b", "metrics:*", "*", "a::b", ":".join("abcdefghi"), "x" * 129, "a%2", None, 7):
        refused(post(server, EVENTS, good | {"channel": channel}), 400, "invalid_channel")
    for channel in ("logs:etl:w1:f1", "logs:etl:w1"):
        assert LOGS in refused(post(server, EVENTS, good | {"channel": channel}), 403, "channel_not_allowed")
    for body in ({"channel": "metrics:w1"}, good | {"at": 5}, good | {"service": "x"}):
        refused(post(server, EVENTS, body), 400, "invalid_item")
    refused(post(server, EVENTS, b'{"channel":"a:b","channel":"c:d","data":1}'), 400, "invalid_item")
    refused(post(server, EVENTS, good | {"_id": {"a": 1}}), 400, "invalid_id")
    assert db.list_collection_names() == []
    stored(post(server, EVENTS, good | {"channel": "logs:other:w1:f1"}))  # no mapping's


def test_event_batches(server, db):
    items = [{"channel": "metrics:w1", "data": n, "_id": n} for n in range(50)]
    assert stored(post(server, EVENTS, items))["inserted"] == 50
    body, kind = as_body(items + [{"channel": "alerts:ann", "data": 1}, {"channel": "metrics:w1", "event": "gap", "data": 1}], True)
    answer = stored(post(server, EVENTS, body, kind=kind), 207)
    assert (answer["inserted"], answer["repeated"], answer["failed"]) == (0, 50, 2)
    assert [i["error"]["code"] for i in answer["items"][50:]] == ["channel_not_allowed", "reserved_event"]
    assert db[OWN].count_documents({}) == 50


def test_indexes(serve, db):
    """Made at the first publish, changed when the configuration says another age, and never a reason to refuse."""

    def ttl() -> dict:
        return {name: index.get("expireAfterSeconds") for name, index in db[OWN].index_information().items()}

    def publish(server) -> None:
        stored(post(server, EVENTS, {"channel": "metrics:w1", "data": 1}))

    publish(serve(ETL, publish_ttl_s=3600, **AUTH))
    assert ttl() == {"_id_": None, "at_1": 3600, "at_1__id_1": None, "channel_1_at_1__id_1": None}
    publish(serve(ETL, publish_ttl_s=3600, **AUTH))
    assert ttl()["at_1"] == 3600
    db[OWN].drop_index("channel_1_at_1__id_1")
    server = serve(ETL, publish_ttl_s=7200, **AUTH)
    publish(server)
    assert ttl() == {"_id_": None, "at_1": 7200, "at_1__id_1": None, "channel_1_at_1__id_1": None}


def test_another_collection(serve, db):
    server = serve(ETL, publish_collection="ours", **AUTH)
    stored(post(server, EVENTS, {"channel": "metrics:w1", "data": 1}))
    assert db.list_collection_names() == ["ours"]
