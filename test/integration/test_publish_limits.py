"""
Publishing: rates, queues, a MongoDB that fails, and the test endpoints.
"""

from __future__ import annotations

import json
import signal
import threading

import pymongo
from bson import ObjectId

import http1
from conftest import ETL, FAAS
from deadline import until
from identities import SECRET
from publisher import (
    AUTH, ETL_NEXT, EVENTS, FAAS_TOKEN, LOG, LOGS, READER, fail_point, is_blocked, log, post, refused, stored,
)
from secrets_seen import remember
from server import run_cli


# --- limits -----------------------------------------------------------------------------------------


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


# --- when MongoDB fails -----------------------------------------------------------------------------


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


# --- test endpoints ---------------------------------------------------------------------------------


def test_test_endpoints_are_off(serve, etl):
    for one in (serve(ETL, **AUTH), etl):
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
