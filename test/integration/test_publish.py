"""
POST /api/logs/publish, POST /api/publish and the test endpoints: who may store what where, what is answered when, and that
each stored document comes out of a stream exactly once.
"""

from __future__ import annotations

import contextlib
import json
import signal
import threading

import pymongo
import pytest
from bson import Int64, ObjectId

import http1
from conftest import AUDIT, ETL, FAAS
from deadline import until
from identities import SECRET, bearer, by_secret, claims, sha256, token
from secrets_seen import remember
from server import run_cli

LOGS, EVENTS = "/api/logs/publish", "/api/publish"
OWN = "tailwater_events"
ETL_TOKEN, ETL_NEXT = remember("the-token-of-l5-etl-service"), remember("the-next-token-of-l5-etl-service")
FAAS_TOKEN = remember("the-token-of-faas-service")
SERVICES = [
    {"name": "l5-etl-service", "service": "etl", "token_sha256": [sha256(ETL_TOKEN), sha256(ETL_NEXT)],
     "publish": ["logs:etl:*", "metrics:*"]},
    {"name": "faas", "token_sha256": sha256(FAAS_TOKEN), "publish": ["logs:*:w1:*", "alerts:ann"]},
]
AUTH = {"auth": by_secret(services=SERVICES)}
READER = bearer(token(claims(channels=["*"])))
LOG = {"service": "etl", "workspace_id": "w1", "workflow_id": "f1"}


def log(number: int = 0, **more) -> dict:
    return LOG | {"logData": {"level": "INFO", "n": number}} | more


def post(server, path: str, body, by: str | None = ETL_TOKEN, kind: str | None = "application/json",
         **more) -> http1.Response:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = (bearer(by) if by else {}) | ({"Content-Type": kind} if kind else {})
    return server.request("POST", path, headers, body=data, **more)


def stored(response: http1.Response, status: int = 201) -> dict:
    assert response.status == status, (response.status, response.body)
    assert response.headers["content-type"] == "application/json"
    return response.json


def refused(response: http1.Response, status: int, code: str) -> str:
    """Returns the sentence."""
    assert (response.status, response.problem["code"]) == (status, code), response.body
    assert ("retry-after" in response.headers) == (status in (429, 503))
    return response.problem["detail"]


@pytest.fixture
def server(serve):
    return serve(ETL, FAAS, AUDIT, limits={"publish_per_s": 0}, **AUTH)


@contextlib.contextmanager
def fail_point(client, name: str = "failCommand", mode="alwaysOn", **data):
    """Lets mongod fail; data is the fail point's."""
    client.admin.command("configureFailPoint", name, mode=mode, data=data)
    try:
        yield
    finally:
        client.admin.command("configureFailPoint", name, mode="off")


def is_blocked(client) -> bool:
    """Is an insert of the server's held up by a fail point?"""
    operations = client.admin.aggregate([{"$currentOp": {}}, {"$match": {"appName": "tailwater"}}])
    return any("insert" in operation.get("command", {}) for operation in operations)


# --- who ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [LOGS, EVENTS])
def test_only_services_may_publish(server, db, path):
    """Without a service's token, and with any other credential, nothing is read and nothing is stored."""
    body = log() if path == LOGS else {"channel": "metrics:w1", "event": "cpu", "data": 1}
    response = post(server, path, body, by=None)
    refused(response, 401, "unauthorized")
    assert response.headers["www-authenticate"].startswith("Bearer")
    for wrong in ("not-a-token-of-anybody", ETL_TOKEN + "x", ETL_TOKEN[:-1], token(claims(channels=["*"])), ""):
        refused(post(server, path, body, by=wrong or " "), 401, "invalid_credentials")
    response = server.request("GET", path)
    assert (response.status, response.headers["allow"]) == (405, "POST, OPTIONS")
    assert db.list_collection_names() == []
    for good in (ETL_TOKEN, ETL_NEXT):
        assert post(server, path, body, by=good).status == 201


def test_name_or_label(server):
    """The body's service may be the name or the label, or be left out; another service's is refused."""
    for name in ("l5-etl-service", "etl"):
        stored(post(server, LOGS, log(service=name)))
    stored(post(server, LOGS, {k: v for k, v in log().items() if k != "service"}))
    refused(post(server, LOGS, log(service="faas")), 403, "wrong_service")
    refused(post(server, LOGS, log(service="*")), 403, "wrong_service")
    refused(post(server, LOGS, log(service=5)), 400, "invalid_item")


def test_patterns(server, db):
    """A service publishes to its patterns only."""
    stored(post(server, LOGS, log(service="faas"), by=FAAS_TOKEN))
    sentence = refused(post(server, LOGS, log(service="faas", workspace_id="w2"), by=FAAS_TOKEN), 403,
                       "channel_not_allowed")
    assert "logs:faas:w2:f1" in sentence
    refused(post(server, EVENTS, {"channel": "metrics:w1", "data": 1}, by=FAAS_TOKEN), 403, "channel_not_allowed")
    refused(post(server, EVENTS, {"channel": "alerts:ann:x", "data": 1}, by=FAAS_TOKEN), 403, "channel_not_allowed")
    stored(post(server, EVENTS, {"channel": "alerts:ann", "data": 1}, by=FAAS_TOKEN))
    assert (db.faas_logs.count_documents({}), db[OWN].count_documents({})) == (1, 1)


# --- logs ---------------------------------------------------------------------------------------------


def test_single(server, db, hub):
    """201 with _id and channel; the very document comes out of a stream, once."""
    stream = hub.open(server.port, {"channels": "logs:*"}, headers=READER)
    stream.wait_ready()
    answers = [stored(post(server, LOGS, log(n))) for n in range(5)]
    assert all(set(a) == {"_id", "channel"} and a["channel"] == "logs:etl:w1:f1" for a in answers)
    end = stored(post(server, LOGS, log(99)))
    stream.wait(lambda s: any(f.json["log_data"]["n"] == 99 for f in s.events), "the last one")
    assert [f.json["log_data"]["_id"] for f in stream.events] == [a["_id"] for a in answers] + [end["_id"]]
    first = stream.events[0].json
    assert first["log_data"] == {"_id": answers[0]["_id"], "workspace_id": "w1", "workflow_id": "f1", "level": "INFO", "n": 0}
    document = db.etl_logs.find_one({"n": 0})
    assert document == {"_id": ObjectId(answers[0]["_id"]), "workspace_id": "w1", "workflow_id": "f1", "level": "INFO", "n": 0}
    assert "service" not in document


@pytest.mark.parametrize("synonym", ["workflow_id", "function_id", "resource_id"])
def test_synonyms(serve, db, synonym):
    """The mapping decides under which name the resource is stored; one of its alternatives stays what it was."""
    wide = {"collections": ["wide"], "channel": "logs:wide:{workspace_id}:{workflow_id|function_id}",
            "labels": {"service": "wide"}}
    services = [SERVICES[0], {"name": "wide", "token_sha256": sha256(FAAS_TOKEN), "publish": ["logs:*"]}]
    server = serve(ETL, mappings=[wide], auth=by_secret(services=services))
    body = {"workspace_id": "w1", synonym: "f1", "logData": {}}
    assert stored(post(server, LOGS, body))["channel"] == "logs:etl:w1:f1"
    assert set(db.etl_logs.find_one()) == {"_id", "workspace_id", "workflow_id"}
    assert stored(post(server, LOGS, body, by=FAAS_TOKEN))["channel"] == "logs:wide:w1:f1"
    assert db.wide.find_one()[synonym if synonym == "function_id" else "workflow_id"] == "f1"
    refused(post(server, LOGS, body | {"workflow_id": "a", "function_id": "b"}), 400, "invalid_item")
    # What logData says under an alternative that would count first does not win.
    body["logData"] = {"workflow_id": "other", "function_id": "other", "resource_id": "kept"}
    assert stored(post(server, LOGS, body, by=FAAS_TOKEN))["channel"] == "logs:wide:w1:f1"
    document = db.wide.find_one({"resource_id": "kept"})
    assert document.get("workflow_id", "f1") == "f1"


def test_log_data_of_another_tenant(server, db):
    """The request's keys win over logData's, however these are written."""
    tricks = b'{"service":"etl","workspace_id":"w1","workflow_id":"f1","logData":{"workspace_id":"w9","n":1,' \
             b'"workspace_id":"w8","workflow_id":"f9","workflow\\u005fid":"f8","service":"faas","channel":"logs:x"}}'
    assert stored(post(server, LOGS, tricks))["channel"] == "logs:etl:w1:f1"
    document = db.etl_logs.find_one()
    document.pop("_id")
    assert document == {"workspace_id": "w1", "workflow_id": "f1", "n": 1, "service": "faas", "channel": "logs:x"}
    # A request for the whole workspace does not become one for a workflow.
    body = {"workspace_id": "w1", "logData": {"workflow_id": "f9"}}
    assert "workflow_id" in refused(post(server, LOGS, body), 400, "not_mapped")
    assert stored(post(server, LOGS, {"workspace_id": "w1", "logData": {}}))["channel"] == "logs:etl:w1"


def test_nested_keys(serve, db):
    """Fields of the channel that lie in documents: the request's are put there, what lies beside them stays."""
    rule = {"collections": ["c"], "channel": "logs:etl:{ctx.tenant}:{ctx.job|job}"}
    server = serve(mappings=[rule], **AUTH)
    bodies = [{"logData": {"ctx": {"tenant": "x", "user": "u"}, "n": 1}}, {"logData": {"ctx": "text", "n": 2}},
              {"logData": {"ctx.tenant": "x", "ctx": {"job": "y", "a": {"b": 1}}, "job": "z", "n": 3}}, {"logData": {"n": 4}}]
    for body in bodies:
        assert stored(post(server, LOGS, LOG | body))["channel"] == "logs:etl:w1:f1"
    rows = {row.pop("n"): row for row in db.c.find({}, {"_id": 0})}
    ours = {"tenant": "w1", "job": "f1"}
    assert rows == {1: {"ctx": ours | {"user": "u"}}, 2: {"ctx": ours}, 3: {"ctx": ours | {"a": {"b": 1}}, "job": "z"},
                    4: {"ctx": ours}}


def test_values(server, db):
    """Values are encoded as any document's; what fits into no segment is refused."""
    wild = {"w*": "logs:etl:w%2A:f1", "a:b c": "logs:etl:a%3Ab%20c:f1", "ü": "logs:etl:ü:f1", "*": "logs:etl:%2A:f1"}
    for value, channel in wild.items():
        assert stored(post(server, LOGS, log(workspace_id=value)))["channel"] == channel
    assert stored(post(server, LOGS, log(workspace_id=7)))["channel"] == "logs:etl:7:f1"
    assert db.etl_logs.find_one({"workspace_id": 7})
    oid = "6b0169cd6b0169cd6b0169cd"
    assert stored(post(server, LOGS, log(workspace_id={"$oid": oid})))["channel"] == f"logs:etl:{oid}:f1"
    for bad in ("x" * 129, 1.5, True, ["w"], {"a": 1}):
        refused(post(server, LOGS, log(workspace_id=bad)), 400, "not_mapped")
    for missing in ("", None):
        refused(post(server, LOGS, log(workspace_id=missing)), 400, "invalid_item")


def test_bodies(server, db):
    """What is no item is refused in words, with nothing stored."""
    deep = b'{"service":"etl","workspace_id":"w","logData":' + b'{"a":' * 300 + b"1" + b"}" * 301
    for body, code in (
        (b"", "invalid_body"), (b"  ", "invalid_body"), (b"[]", "invalid_body"), (b"[1]", "invalid_body"),
        (b'[{"a":1}', "invalid_body"), (b'[{"a":1},]', "invalid_body"), (b'[{"a":1}]x', "invalid_body"),
        (b'[{"a":1} {"a":1}]', "invalid_body"), (b"{", "invalid_json"), (b"5", "invalid_item"), (b'"x"', "invalid_item"),
        (b"{}", "invalid_item"), (b"{} {}", "invalid_json"), (b'{"a":1}', "invalid_item"), (deep, "invalid_json"),
        (b'{"workspace_id":"w","workspace_id":"v","logData":{}}', "invalid_item"),
        (b'{"workspace_id":"w","logData":{},"logData":{}}', "invalid_item"),
        (b'{"workspace_id":"w","logData":{"a":NULL}}', "invalid_json"), (b'{"workspace_id":"\xff","logData":{}}', "invalid_json"),
        (b'{"workspace_id":"w","logData":{"a\\u0000b":1}}', "invalid_json"),
        (b'{"workspace_id":"w","logData":5}', "invalid_item"), (b'{"workspace_id":"w","logData":[]}', "invalid_item"),
        (b'{"workspace_id":"w"}', "invalid_item"), (b'{"logData":{}}', "invalid_item"),
        (b'{"workspace_id":"w","logData":{"$where":"x"}}', "invalid_key"),
        (b'{"workspace_id":"w","logData":{"a":1,"$set":{"b":1}}}', "invalid_key"),
        (b'{"workspace_id":"w","logData":{"$oid":"6b0169cd6b0169cd6b0169cd"}}', "invalid_item"),
        (b'{"workspace_id":"w","logData":{"a":{"$date":"never"}}}', "invalid_json"),
        (b'{"workspace_id":"w","logData":{},"collection":"users"}', "invalid_item"),
    ):
        refused(post(server, LOGS, body), 400, code)
    assert "collection" in refused(post(server, LOGS, log(collection="users")), 400, "invalid_item")
    assert db.list_collection_names() == []


def test_extended_json(server, db):
    """Types that JSON lacks come by MongoDB's Extended JSON."""
    data = {"when": {"$date": "2026-11-21T09:52:13.021Z"}, "big": 2**60, "deep": {"$unknown": 1, "": [1, 2.5]}}
    stored(post(server, LOGS, LOG | {"logData": data}))
    row = db.etl_logs.find_one()
    assert row["when"].isoformat() == "2026-11-21T09:52:13.021000" and row["big"] == 2**60
    assert row["deep"] == {"$unknown": 1, "": [1, 2.5]}


def test_content_types(server):
    """Only what a form of another site cannot send."""
    for kind in (None, "", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonp",
                 "text/plain; application/json"):
        refused(post(server, LOGS, log(), kind=kind), 415, "unsupported_media_type")
    for kind in ("application/json", "Application/JSON; charset=utf-8", "application/json ;x"):
        stored(post(server, LOGS, log(), kind=kind))


def test_sizes(serve, db):
    """A body above limits.body_bytes is a 413; the others have room for what they hold."""
    server = serve(ETL, limits={"body_bytes": 20000}, **AUTH)
    refused(post(server, LOGS, log(text="x" * 20000)), 413, "body_too_large")
    stored(post(server, LOGS, LOG | {"logData": {"text": "x" * 19000}}))
    assert len(db.etl_logs.find_one()["text"]) == 19000


@pytest.mark.parametrize("wanted,kept", [
    ("6b0169cd6b0169cd6b0169cd", ObjectId("6b0169cd6b0169cd6b0169cd")), ({"$oid": "6b0169cd6b0169cd6b0169ce"}, ObjectId("6b0169cd6b0169cd6b0169ce")),
    ("order-1", "order-1"), (7, 7), (2**40, Int64(2**40)), (1.5, 1.5),
])
def test_idempotent(server, db, hub, wanted, kept):
    """A repeat of an _id answers 200 with the same; one of another channel is refused; a stream sees one event."""
    stream = hub.open(server.port, {"channels": "logs:*"}, headers=READER)
    stream.wait_ready()
    body = LOG | {"logData": {"_id": wanted, "n": 1}}
    first = stored(post(server, LOGS, body))
    assert first == {"_id": str(kept) if isinstance(kept, ObjectId) else kept, "channel": "logs:etl:w1:f1"}
    assert stored(post(server, LOGS, body), 200) == first
    assert stored(post(server, LOGS, LOG | {"logData": {"_id": wanted, "n": 2}}), 200) == first
    refused(post(server, LOGS, body | {"workflow_id": "f2"}), 409, "id_taken")
    refused(post(server, LOGS, body | {"workspace_id": "w2"}), 409, "id_taken")
    assert [(row["_id"], row["n"]) for row in db.etl_logs.find()] == [(kept, 1)]
    stored(post(server, LOGS, log(99)))
    stream.wait_events(2)
    assert [f.json["log_data"]["n"] for f in stream.events] == [1, 99]
    assert stream.events[0].json["log_data"]["_id"] == first["_id"]


def test_ids_that_are_none(server, db):
    for bad in ("", "x" * 1025, None, True, [], {"a": 1}, {"$date": 5}, {"$numberDecimal": "1"}):
        refused(post(server, LOGS, LOG | {"logData": {"_id": bad}}), 400, "invalid_id")
    assert db.etl_logs.count_documents({}) == 0
    # 1 and 1.0 are one _id to MongoDB.
    stored(post(server, LOGS, LOG | {"logData": {"_id": 1}}))
    stored(post(server, LOGS, LOG | {"logData": {"_id": 1.0}}), 200)


def test_unique_index(server, db):
    """A duplicate of something else than _id is no repeat."""
    db.etl_logs.create_index("n", unique=True)
    stored(post(server, LOGS, log(1)))
    refused(post(server, LOGS, log(1)), 409, "duplicate_key")
    refused(post(server, LOGS, LOG | {"logData": {"_id": "a", "n": 1}}), 409, "duplicate_key")
    assert db.etl_logs.count_documents({}) == 1


def test_validator(server, db):
    """What the collection's validator refuses is the publisher's matter, and nobody else's in the batch."""
    db.create_collection("etl_logs", validator={"n": {"$lt": 5}})
    refused(post(server, LOGS, log(7)), 400, "refused_by_database")
    answer = stored(post(server, LOGS, [log(1), log(7), log(2)]), 207)
    assert [i.get("error", {}).get("code") for i in answer["items"]] == [None, "refused_by_database", None]
    assert db.etl_logs.count_documents({}) == 2


def test_match(serve, db, hub):
    """What the mapping's match leaves out would be seen by nobody: refused, by the server's own judgement."""
    rule = ETL.config | {"match": {"level": {"$nin": ["TRACE", "DEBUG"]}, "$or": [{"tags": "x"}, {"n": {"$gt": 3}}]}}
    server = serve(mappings=[rule], **AUTH)
    good = [{"level": "INFO", "n": 4}, {"tags": ["a", "x"]}, {"n": 7.5, "level": None}, {"n": "$x", "tags": "x"}]
    bad = [{"level": "TRACE", "n": 4}, {"level": "INFO"}, {"n": 3}, {"n": "9"}, {"tags": {"x": 1}}]
    for data in good:
        stored(post(server, LOGS, LOG | {"logData": data}))
    for data in bad:
        assert "match" in refused(post(server, LOGS, LOG | {"logData": data}), 400, "not_mapped")
    answer = stored(post(server, LOGS, [LOG | {"logData": d} for d in (bad + good)]), 207)
    assert ["error" in item for item in answer["items"]] == [True] * len(bad) + [False] * len(good)
    assert db.etl_logs.count_documents({}) == 2 * len(good)
    assert db.etl_logs.find_one({"n": "$x"}), "values are taken literally"


def test_replacements_only(serve, db):
    server = serve(mappings=[ETL.config | {"operations": ["replace"]}], **AUTH)
    refused(post(server, LOGS, log()), 400, "not_mapped")
    assert db.list_collection_names() == []


# --- where to -----------------------------------------------------------------------------------------


def test_collections(serve, db):
    """By the first mapping of the service and the first collection that it lists by name, never by the request."""
    by_name = {"collections": ["etl_*", "etl_b", "etl_a"], "channel": "logs:etl:{workspace_id}:{workflow_id}"}
    by_glob = {"collections": ["x_*", "faas"], "channel": "logs:{$collection}:{workspace_id}:{workflow_id}"}
    field = {"collections": ["any"], "channel": "notes:{service}:{workspace_id}"}
    services = SERVICES + [{"name": "x_y", "token_sha256": sha256("x" * 20), "publish": ["*"]},
                           {"name": "nobody", "token_sha256": sha256("n" * 20), "publish": ["*"]}]
    server = serve(mappings=[by_name, by_glob, field], auth=by_secret(services=services))
    assert stored(post(server, LOGS, log()))["channel"] == "logs:etl:w1:f1"
    assert stored(post(server, LOGS, log(service="faas"), by=FAAS_TOKEN))["channel"] == "logs:faas:w1:f1"
    assert stored(post(server, LOGS, log(service="x_y"), by="x" * 20))["channel"] == "logs:x_y:w1:f1"
    body = {"workspace_id": "w1", "logData": {"service": "etl"}}
    assert stored(post(server, LOGS, body, by="n" * 20))["channel"] == "notes:nobody:w1"
    refused(post(server, LOGS, log(service="nobody"), by="n" * 20), 400, "not_mapped")  # no place for the workflow
    assert sorted(db.list_collection_names()) == ["any", "etl_b", "faas", "x_y"]


def test_without_mappings(serve, db):
    """The default mapping: the service's label is the collection; never one of the database's or tailwater's own."""
    services = [SERVICES[0]] + [
        {"name": name, "token_sha256": sha256(name * 20), "publish": ["*"]} for name in ("system.x", OWN)]
    server = serve(auth=by_secret(services=services))
    assert stored(post(server, LOGS, log()))["channel"] == "logs:etl:w1:f1"
    for name in ("system.x", OWN):
        refused(post(server, LOGS, log(service=name), by=name * 20), 400, "not_mapped")
    assert db.list_collection_names() == ["etl"]


def test_no_mapping(serve, db):
    server = serve(AUDIT, **AUTH)
    refused(post(server, LOGS, log()), 400, "not_mapped")
    assert db.list_collection_names() == []


# --- batches ------------------------------------------------------------------------------------------


def as_body(items: list, ndjson: bool) -> tuple[bytes, str]:
    if ndjson:
        return b"\r\n\n".join(json.dumps(i).encode() for i in items) + b"\n", "application/x-ndjson"
    return json.dumps(items, indent=1).encode(), "application/json"


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


# --- events -------------------------------------------------------------------------------------------


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


# --- limits -------------------------------------------------------------------------------------------


def test_rate(serve, db):
    """Documents a second, for each service by itself; a reload of the keys gives nobody a fresh allowance."""
    server = serve(ETL, FAAS, limits={"publish_per_s": 2}, **AUTH)
    stored(post(server, LOGS, [log(n) for n in range(40)]))  # from a full bucket; 20 s are used up
    assert "2 documents" in refused(post(server, LOGS, log()), 429, "publish_rate")
    refused(post(server, EVENTS, {"channel": "metrics:w1", "data": 1}), 429, "publish_rate")
    stored(post(server, LOGS, log(service="faas"), by=FAAS_TOKEN))
    server.signal(signal.SIGHUP)
    until(lambda: any("were read again" in line for line in server.lines), "the keys are read again")
    refused(post(server, LOGS, log(), by=ETL_NEXT), 429, "publish_rate")
    assert db.etl_logs.count_documents({}) == 40


def test_rate_comes_back(serve):
    server = serve(ETL, limits={"publish_per_s": 5}, **AUTH)
    stored(post(server, LOGS, [log(n) for n in range(5)]))
    refused(post(server, LOGS, [log(n) for n in range(5)]), 429, "publish_rate")
    until(lambda: post(server, LOGS, log()).status == 201, "the rate allows one again")


def test_queue(more_mongod, serve, dbname):
    """When MongoDB is slow, a bounded number waits; the others are refused at once, and readers do not wait at all."""
    node = more_mongod()
    server = serve(ETL, uri=node.uri, limits={"jobs": 2}, mongodb={"uri": node.uri, "jobs": 1, "max_await_ms": 100}, **AUTH)
    statuses: list[int] = []

    def publish() -> None:
        statuses.append(post(server, LOGS, log()).status)

    with fail_point(node.client, failCommands=["insert"], blockConnection=True, blockTimeMS=3000):
        threads = [threading.Thread(target=publish) for _ in range(8)]
        for thread in threads:
            thread.start()
        until(lambda: statuses.count(503) >= 5, "the others were refused")
        refused(post(server, LOGS, log()), 503, "busy")
        assert 201 not in statuses
        assert server.get("/api/logs/history?channels=logs:*", READER).status == 200
        assert 201 not in statuses, "a look-up waited for publishers"
    for thread in threads:
        thread.join()
    assert statuses.count(201) == 3 and statuses.count(503) == 5
    assert node.client[dbname].etl_logs.count_documents({}) == 3


# --- when MongoDB fails -------------------------------------------------------------------------------


def test_mongodb_away(more_mongod, serve, dbname, hub):
    """503 with Retry-After and nothing stored; when it is back everything works again, and a repeat is safe."""
    node = more_mongod()
    server = serve(ETL, uri=node.uri, **AUTH)
    body = LOG | {"logData": {"_id": "once", "n": 1}}
    stored(post(server, LOGS, log(0)))
    node._end(signal.SIGTERM)
    codes = {post(server, LOGS, body, timeout_s=40).problem["code"] for _ in range(2)}
    assert codes <= {"database_unavailable", "outcome_unknown"}
    assert refused(post(server, LOGS, body, timeout_s=40), 503, "database_unavailable")
    refused(post(server, EVENTS, {"channel": "metrics:w1", "data": 1}, timeout_s=40), 503, "database_unavailable")
    response = post(server, LOGS, [log(5), body, {"a": 1}], timeout_s=40)
    assert (response.status, response.headers["retry-after"]) == (503, "2")
    assert [i["error"]["code"] for i in response.json["items"]] == ["database_unavailable"] * 2 + ["invalid_item"]
    node.start()
    until(lambda: post(server, LOGS, body, timeout_s=40).status in (200, 201), "publishing works again")
    stored(post(server, LOGS, body), 200)
    assert sorted(row["n"] for row in node.client[dbname].etl_logs.find()) == [0, 1]


def test_no_primary(more_mongod, serve, dbname):
    """A deployment that is there, but takes no writes."""
    node = more_mongod()
    server = serve(ETL, uri=node.uri, **AUTH)
    direct = pymongo.MongoClient("127.0.0.1", node.port, directConnection=True)
    stored(post(server, LOGS, log(0)))
    direct.admin.command("replSetStepDown", 120, force=True)
    until(lambda: not direct.admin.command("hello")["isWritablePrimary"], "no primary")
    until(lambda: post(server, LOGS, log(1), timeout_s=40).problem["code"] == "database_unavailable", "the driver knows")
    direct.admin.command("replSetFreeze", 0)
    direct.close()
    until(lambda: post(server, LOGS, log(2), timeout_s=40).status == 201, "a primary again")
    assert sorted(row["n"] for row in node.client[dbname].etl_logs.find()) == [0, 2]


def test_not_confirmed(more_mongod, serve, dbname):
    """What a majority has not confirmed in time, or what broke off, may be stored or not: the answer says so and gives the
    _id with which a repeat is safe."""
    node = more_mongod()
    server = serve(ETL, uri=node.uri, **AUTH)
    rows = node.client[dbname].etl_logs
    late = {"code": 64, "errmsg": "waiting for replication timed out", "codeName": "WriteConcernFailed"}
    with fail_point(node.client, failCommands=["insert"], writeConcernError=late):
        sentence = refused(post(server, LOGS, log(1)), 503, "outcome_unknown")
        made = str(rows.find_one({"n": 1})["_id"])
        assert f'"{made}"' in sentence
        response = post(server, LOGS, [log(2), LOG | {"logData": {"_id": "mine", "n": 3}}])
        assert response.status == 503 and "retry-after" in response.headers
        items = response.json["items"]
        assert [i["error"]["code"] for i in items] == ["outcome_unknown"] * 2
        assert items[1]["_id"] == "mine" and rows.find_one({"_id": ObjectId(items[0]["_id"])})["n"] == 2
        refused(post(server, LOGS, LOG | {"logData": {"_id": made}}), 503, "outcome_unknown")  # nor is the repeat confirmed
    stored(post(server, LOGS, LOG | {"logData": {"_id": made, "n": 1}}), 200)
    with fail_point(node.client, mode={"times": 2}, failCommands=["insert"], closeConnection=True):
        refused(post(server, LOGS, LOG | {"logData": {"_id": "cut", "n": 4}}), 503, "outcome_unknown")
    stored(post(server, LOGS, LOG | {"logData": {"_id": "cut", "n": 4}}))
    with fail_point(node.client, mode={"times": 1}, failCommands=["insert"], closeConnection=True):
        stored(post(server, LOGS, log(5)))  # the driver's own second try
    assert sorted(row["n"] for row in rows.find()) == [1, 2, 3, 4, 5]


def test_stop(launch, more_mongod, dbname):
    """What is being stored when the server is told to stop is still answered."""
    node = more_mongod()
    config = {"mongodb": {"uri": node.uri, "max_await_ms": 100},
              "sources": [{"name": "logs", "tag": "a", "database": dbname, "mappings": [ETL.config]}], **AUTH}
    server = launch(config)
    answers: list[http1.Response] = []
    point = {"failCommands": ["insert"], "blockConnection": True, "blockTimeMS": 400}
    with fail_point(node.client, mode={"times": 1}, **point):
        thread = threading.Thread(target=lambda: answers.append(post(server, LOGS, log(1))))
        thread.start()
        until(lambda: is_blocked(node.client), "the insert is on its way")
        server.stop()
        thread.join()
    assert stored(answers[0])["channel"] == "logs:etl:w1:f1"
    assert node.client[dbname].etl_logs.count_documents({}) == 1


def test_rights(more_mongod, serve, dbname):
    """A MongoDB user that may not write is told apart from a MongoDB that is away."""
    node = more_mongod()
    node.client.admin.command("createUser", "reader", pwd="reads-only-1", roles=["readAnyDatabase"])
    uri = f"mongodb://reader:{remember('reads-only-1')}@127.0.0.1:{node.port}/?authSource=admin&replicaSet=tw"
    node.client[dbname].etl_logs.insert_one({"workspace_id": "w", "n": 0})
    server = serve(ETL, uri=uri, **AUTH)
    with fail_point(node.client, failCommands=["insert"], errorCode=13):
        refused(post(server, LOGS, log(1)), 503, "database_refused")
    assert node.client[dbname].etl_logs.count_documents({}) == 1


def test_standalone(more_mongod, serve, dbname):
    """Without a replica set it stores, too; the answer comes when this server has it."""
    node = more_mongod(replica_set=False)
    server = serve(ETL, uri=node.uri, mode="auto", **AUTH)
    body = LOG | {"logData": {"_id": "a"}}
    stored(post(server, LOGS, body))
    stored(post(server, LOGS, body), 200)
    stored(post(server, EVENTS, {"channel": "metrics:w1", "data": 1}))


# --- test endpoints -----------------------------------------------------------------------------------


def test_test_endpoints_are_off(server, etl):
    for one in (server, etl):
        for method, path in (("POST", "/test/publish"), ("POST", "/test/logs"), ("GET", "/test/logs")):
            body = json.dumps(log()).encode() if method == "POST" else None
            refused(one.request(method, path, {"Content-Type": "application/json"}, body=body), 404, "not_found")


def test_test_endpoints(serve, db, hub):
    """The same rules without a token."""
    server = serve(ETL, FAAS, test_endpoints=True)
    stream = hub.open(server.port, {"channels": "*"})
    stream.wait_ready()
    sample = stored(server.get("/test/logs"))
    assert sample["channel"] == "logs:etl:test:test"
    assert stored(post(server, "/test/logs", log(1), by=None))["channel"] == "logs:etl:w1:f1"
    assert stored(post(server, "/test/logs", log(2, service="faas"), by=None))["channel"] == "logs:faas:w1:f1"
    assert stored(post(server, "/test/publish", {"channel": "alerts:x", "data": {"n": 3}}, by=None))["channel"] == "alerts:x"
    refused(post(server, "/test/logs", log(4, service="nobody"), by=None), 400, "not_mapped")
    refused(post(server, "/test/publish", {"channel": "logs:etl:w1", "data": 1}, by=None), 403, "channel_not_allowed")
    refused(post(server, "/test/publish", {"channel": "a:b", "event": "gap", "data": 1}, by=None), 400, "reserved_event")
    refused(post(server, "/test/logs", log(5), by=None, kind="text/plain"), 415, "unsupported_media_type")
    refused(server.get("/test/logs", {"Sec-Fetch-Site": "cross-site"}), 403, "foreign_page")
    frames = stream.wait_events(4)
    assert [f.json.get("log_data", f.json)["_id"] for f in frames][0] == sample["_id"]
    assert {row["level"] for row in db.etl_logs.find()} == {"INFO"}


def test_sample_without_mappings(serve, db):
    """A body cannot name a collection, not even here."""
    server = serve(test_endpoints=True)
    assert stored(server.get("/test/logs"))["channel"] == "logs:test_logs:test:test"
    assert stored(post(server, "/test/logs", log(1, service="users"), by=None))["channel"] == "logs:test_logs:w1:f1"
    assert db.list_collection_names() == ["test_logs"]


def test_test_endpoints_stay_at_home():
    """They insert without a token: not on an address that others can reach, unless the operator insists."""
    config = {"mongodb": {"uri": "mongodb://127.0.0.1/d"}, "listen": "0.0.0.0:3002", "test_endpoints": True,
              "auth": {"jwt": {"secret": SECRET}}}
    result = run_cli("check", "--offline", config=config)
    assert result.returncode == 78 and "test_endpoints" in result.stderr, result
    assert run_cli("check", "--offline", config=config | {"insecure": True}).returncode == 0
    assert run_cli("check", "--offline", config=config | {"listen": "127.0.0.1:3002"}).returncode == 0
