"""
POST /api/logs/publish: who may store what where, and what is answered when.
"""

from __future__ import annotations

import json
import threading

import pytest
from bson import Int64, ObjectId

from conftest import AUDIT, ETL, FAAS
from identities import by_secret, claims, sha256, token
from publisher import (
    AUTH, ETL_NEXT, ETL_TOKEN, EVENTS, FAAS_TOKEN, LOG, LOGS, OWN, READER, SERVICES, log, post, refused, stored,
)


@pytest.fixture
def server(serve):
    return serve(ETL, FAAS, AUDIT, limits={"publish_per_s": 0}, **AUTH)


# --- who --------------------------------------------------------------------------------------------


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


# --- logs -------------------------------------------------------------------------------------------


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


def test_one_of_many_at_once(server, db):
    """Of many who publish the same _id at the same time one is told that it was new; the rest that it is there."""
    statuses: list[int] = []

    def publish(n: int) -> None:
        statuses.append(post(server, LOGS, LOG | {"logData": {"_id": "same", "n": n}}).status)

    threads = [threading.Thread(target=publish, args=(n,)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200] * 19 + [201]
    assert db.etl_logs.count_documents({}) == 1


def test_ids_that_are_none(server, db):
    for bad in ("", "x" * 1025, None, True, [], {"a": 1}, {"$date": 5}, {"$numberDecimal": "1"}):
        refused(post(server, LOGS, LOG | {"logData": {"_id": bad}}), 400, "invalid_id")
    assert db.etl_logs.count_documents({}) == 0
    # 1 and 1.0 are one _id to MongoDB.
    stored(post(server, LOGS, LOG | {"logData": {"_id": 1}}))
    stored(post(server, LOGS, LOG | {"logData": {"_id": 1.0}}), 200)
    # NaN is one, too, and no other number's.
    nan = LOG | {"logData": {"_id": {"$numberDouble": "NaN"}}}
    stored(post(server, LOGS, nan))
    answer = stored(post(server, LOGS, [nan, LOG | {"workflow_id": "f2", "logData": {"_id": 1}}]), 207)
    assert (answer["items"][0]["channel"], answer["items"][1]["error"]["code"]) == ("logs:etl:w1:f1", "id_taken")


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


# --- where to ---------------------------------------------------------------------------------------


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
