"""The admin's pages: every field compared with what the test did; who may see them; ending a connection."""

from __future__ import annotations

import os
import signal
import time
from datetime import datetime, timezone

import pytest
from bson import ObjectId

from conftest import ETL
from deadline import until
from exposition import figures, ops
from identities import by_secret, claims, grant, reader, sha256, token
from secrets_seen import remember
from server import run_cli

ADMIN = remember("the-admin-of-these-tests")
AS_ADMIN = {"Authorization": f"Bearer {ADMIN}"}
STREAM = "/api/logs/stream"
PATHS = ["/admin/connections", "/admin/channels", "/admin/logs/stats", "/admin/sources", "/admin/config"]


def admin(server, path: str) -> dict:
    answer = server.get(path, AS_ADMIN)
    assert answer.status == 200, answer
    assert answer.headers["content-type"] == "application/json" and answer.headers["cache-control"] == "no-store"
    return answer.json


def connections(server, query: str = "") -> list[dict]:
    return admin(server, "/admin/connections" + query)["connections"]


def instant(text: str) -> float:
    assert text.endswith("Z")
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp()


def insert(db, count: int, workspace: str = "w1", workflow: str = "f1", **more) -> None:
    keys = {"workspace_id": workspace, "workflow_id": workflow}
    db.etl_logs.insert_many([{**keys, "n": n, **more} for n in range(count)])


@pytest.fixture
def watched(serve):
    """Everyone may read; the admin has a token. Two loops, so that pages are gathered."""

    def start(*rules, auth: dict | None = None, **options):
        auth = auth or {"anonymous": ["*"]}
        return serve(*(rules or (ETL,)), auth={**auth, "admin_token_sha256": sha256(ADMIN)}, loops=2, **options)

    return start


# --- who may ----------------------------------------------------------------------------------------


def test_off_without_an_admin_token(serve):
    server = serve(ETL)
    for path in PATHS:
        assert server.get(path).problem["code"] == "admin_off"
        assert server.get(path).status == 404
    assert server.request("DELETE", "/admin/connections/" + "0" * 32).problem["code"] == "admin_off"


def test_only_the_admin(watched, db):
    server = watched(auth=by_secret(anonymous=["*"]))
    everything = token(claims("ann", ["*"]))
    for method, path in [("GET", p) for p in PATHS] + [("DELETE", "/admin/connections/" + "0" * 32)]:
        bare = server.request(method, path)
        assert (bare.status, bare.problem["code"]) == (401, "unauthorized"), path
        assert "www-authenticate" in bare.headers
        for wrong in (everything, ADMIN + "x", ADMIN[:-1], sha256(ADMIN)):
            refused = server.request(method, path, {"Authorization": f"Bearer {wrong}"})
            assert (refused.status, refused.problem["code"]) == (401, "invalid_credentials"), path
    assert server.request("POST", "/admin/sources", AS_ADMIN, body=b"").headers["allow"] == "GET, HEAD, OPTIONS"
    assert server.get("/admin/connections/" + "0" * 32, AS_ADMIN).headers["allow"] == "DELETE, OPTIONS"


# --- connections ------------------------------------------------------------------------------------


def test_every_field_of_a_connection(watched, hub, db):
    server = watched(auth=by_secret())
    began = time.time()
    headers = reader("ann", ["logs:etl:w1:*", "logs:etl:w2:f2"])
    target = f"{STREAM}?channels=logs:etl:w1:*,logs:etl:w2:f2&min_level=warn&q=Hello&max_rate=500&tail=3"
    insert(db, 4, level="ERROR", message="hello")
    stream = hub.open(server.port, target, headers=headers)
    stream.wait_control("caught-up")
    insert(db, 6, level="ERROR", message="say HELLO")
    insert(db, 2, level="INFO", message="hello")
    stream.wait_events(3 + 6)
    row = until(lambda: (c := connections(server)[0])["sent_bytes"] == stream.received_bytes and c, "all bytes")
    assert row.pop("id") == stream.ready["connection_id"]
    assert began - 1 < instant(row.pop("since")) <= time.time() + 1
    assert began < instant(row.pop("expires")) < began + 400
    assert row.pop("last_id") == stream.events[-1].id
    assert row.pop("loop") in (0, 1)
    assert row == {
        "user": "ann", "workspace": None, "kind": "token", "address": "127.0.0.1",
        "channel_count": 2, "channels": ["logs:etl:w2:f2", "logs:etl:w1:*"],
        "filters": {"min_level": "warn", "level": [], "q": "hello"}, "max_rate": 500, "format": "sse",
        "state": "live", "lag_ms": 0, "sent_events": 6, "sent_rows": 3, "sent_bytes": stream.received_bytes,
        "queued_bytes": 0,
    }


def test_other_kinds_of_connection(watched, hub, db):
    """Nobody in particular, with lines of JSON; behind a trusted proxy; by levels."""
    server = watched(auth={"anonymous": ["logs:etl:w1:*"], "proxies": ["127.0.0.1/32"],
                           "grants": {"users": {"bob": ["logs:etl:w7:*"]}}})
    plain = hub.open(server.port, f"{STREAM}?channels=logs:etl:w1:f1&level=error,info",
                     headers={"Accept": "application/x-ndjson"})
    by_proxy = hub.open(server.port, f"{STREAM}?channels=logs:etl:w7:f1",
                        headers={"X-User-Id": "bob", "X-Workspace-Id": "w7", "X-Forwarded-For": "203.0.113.9"})
    by_proxy.wait_ready()
    until(lambda: len(connections(server)) == 2, "both")
    rows = {r["kind"]: r for r in connections(server)}
    assert set(rows) == {"anonymous", "proxy"}
    assert (rows["anonymous"]["user"], rows["anonymous"]["format"]) == (None, "ndjson")
    assert rows["anonymous"]["filters"] == {"min_level": None, "level": ["info", "error"], "q": None}
    assert rows["anonymous"]["expires"] is None and rows["anonymous"]["max_rate"] == 0
    bob = rows["proxy"]
    assert (bob["user"], bob["workspace"], bob["address"]) == ("bob", "w7", "203.0.113.9")
    assert bob["filters"] is None
    plain.abort()
    until(lambda: [c["kind"] for c in connections(server)] == ["proxy"], "it left")


def test_a_slow_reader_is_seen(watched, hub, db):
    """What is queued, and that it pulls."""
    server = watched(limits={"queue_bytes": 16384}, **ops())
    slow = hub.open(server.port, f"{STREAM}?channels=logs:etl:w1:f1", receive_buffer=4096)
    slow.wait_ready()
    slow.pause()
    insert(db, 3000, text="x" * 2000)
    row = until(lambda: (c := connections(server)[0])["state"] == "pulling" and c["queued_bytes"] > 16384 and c,
                "it pulls")
    assert row["lag_ms"] >= 0 and row["sent_bytes"] > 0
    until(lambda: figures(server).get("connections_behind", state="pulling") == 1, "counted")
    slow.resume()
    slow.wait_events(3000)
    until(lambda: connections(server)[0]["state"] == "live", "live again")
    assert connections(server)[0]["sent_events"] == 3000


def test_search(watched, hub, db):
    server = watched(auth=by_secret())
    for user in ("ann", "bob", "Annabel"):
        hub.open(server.port, f"{STREAM}?channels=logs:etl:ws-{user}:f1",
                 headers=reader(user, ["logs:*"])).wait_ready()

    def found(q: str) -> set[str]:
        return {c["user"] for c in connections(server, f"?q={q}")}

    assert found("ann") == {"ann", "Annabel"}
    assert found("WS-BOB") == {"bob"}
    assert found("127.0.0") == {"ann", "bob", "Annabel"}
    one = connections(server, "?q=bob")[0]["id"]
    assert found(one[:20]) == {"bob"}
    assert found("nobody") == set()
    assert admin(server, "/admin/connections?q=nobody") == {"total": 0, "connections": [], "next": None}


def test_pages_and_orders(watched, hub, db):
    """All of them, each once, whatever the size of the page; the orders."""
    server = watched()
    streams = hub.open_many(server.port, [f"{STREAM}?channels=logs:etl:w1:f{n}" for n in range(23)])
    for stream in streams:
        stream.wait_ready()
    for n in range(1, 23):
        insert(db, n, workflow=f"f{n}")
    for n, stream in enumerate(streams):
        stream.wait_events(n)
    ids = {s.ready["connection_id"]: n for n, s in enumerate(streams)}
    assert len({c["loop"] for c in connections(server)}) == 2, "they live on both loops"
    for limit in (1, 5, 22, 23, 100):
        seen, cursor = [], ""
        while cursor is not None:
            page = admin(server, f"/admin/connections?sort=events&limit={limit}&cursor={cursor}")
            assert page["total"] == 23 and len(page["connections"]) <= limit
            seen += [ids[c["id"]] for c in page["connections"]]
            cursor = page["next"]
        assert seen == list(range(22, -1, -1)), limit
    newest = connections(server)
    assert [c["since"] for c in newest] == sorted((c["since"] for c in newest), reverse=True)
    by_bytes = [c["sent_bytes"] for c in connections(server, "?sort=bytes")]
    assert by_bytes == sorted(by_bytes, reverse=True)
    for order in ("queued", "lag", "since"):
        assert len(connections(server, f"?sort={order}")) == 23
    for bad in ("limit=0", "limit=1001", "limit=x", "sort=name", "cursor=nonsense", "cursor=1.0", "cursor=1.zz",
                "q=%ff"):
        assert server.get(f"/admin/connections?{bad}", AS_ADMIN).problem["code"] == "invalid_query", bad


def test_kick(watched, hub, db):
    server = watched(**ops())
    stays, goes = hub.open_many(server.port, [f"{STREAM}?channels=logs:etl:w1:f1"] * 2)
    for stream in (stays, goes):
        stream.wait_ready()
    target = "/admin/connections/" + goes.ready["connection_id"]
    answer = server.request("DELETE", target, AS_ADMIN)
    assert (answer.status, answer.body) == (204, b"")
    goaway = goes.wait_control("goaway").json
    assert goaway["reason"] == "kicked" and 500 <= goaway["reconnect_ms"] <= 60000
    until(lambda: goes.ended, "its end")
    assert server.request("DELETE", target, AS_ADMIN).problem["code"] == "connection_not_found"
    assert server.request("DELETE", "/admin/connections/me", AS_ADMIN).status == 404
    insert(db, 1)
    stays.wait_events(1)
    assert [c["id"] for c in connections(server)] == [stays.ready["connection_id"]]
    assert figures(server).get("sent_away_total", reason="kicked") == 1


# --- channels ---------------------------------------------------------------------------------------


def test_channels(watched, hub, db):
    server = watched()
    for workflow, readers in (("f1", 3), ("f2", 1)):
        for _ in range(readers):
            hub.open(server.port, f"{STREAM}?channels=logs:etl:w1:{workflow}").wait_ready()
    everything = hub.open(server.port, f"{STREAM}?channels=logs:etl:*")
    everything.wait_ready()
    began = time.time()
    insert(db, 5, workflow="f1")
    insert(db, 9, workflow="f3")
    everything.wait_events(14)
    page = admin(server, "/admin/channels")
    assert (page["total"], page["next"]) == (3, None)
    assert page["looked_at"]["events"] == 14 and page["looked_at"]["seconds"] >= 1
    rows = {r["channel"]: r for r in page["channels"]}
    assert [r["channel"] for r in page["channels"]] == ["logs:etl:w1:f1", "logs:etl:*", "logs:etl:w1:f2"]
    first = rows["logs:etl:w1:f1"]
    assert (first["subscribers"], first["events"]) == (3, 5)
    sizes = sum(len(f.data.encode()) for f in everything.events if f.json["workflow_id"] == "f1")
    assert first["bytes"] == sizes
    assert began - 2 < instant(first["last_event"]) < time.time() + 2
    assert 0 < first["rate_per_s"] <= 5
    assert rows["logs:etl:w1:f2"] == {"channel": "logs:etl:w1:f2", "subscribers": 1, "events": 0, "bytes": 0,
                                     "rate_per_s": 0, "last_event": None}
    written = admin(server, "/admin/channels?sort=events")
    assert [(r["channel"], r["events"], r["subscribers"]) for r in written["channels"]] == [
        ("logs:etl:w1:f3", 9, 0), ("logs:etl:w1:f1", 5, 3)]
    assert [r["channel"] for r in admin(server, "/admin/channels?q=:f2")["channels"]] == ["logs:etl:w1:f2"]
    first_page = admin(server, "/admin/channels?limit=2")
    second = admin(server, f"/admin/channels?limit=2&cursor={first_page['next']}")
    assert [r["channel"] for r in second["channels"]] == ["logs:etl:w1:f2"] and second["next"] is None
    assert server.get("/admin/channels?sort=since", AS_ADMIN).problem["code"] == "invalid_query"


# --- sources, totals, configuration -----------------------------------------------------------------


def test_every_field_of_a_source(watched, hub, db, mongo):
    server = watched()
    stream = hub.open(server.port, f"{STREAM}?channels=logs:*")
    stream.wait_ready()
    began = time.time()
    insert(db, 7)
    bad = [ObjectId() for _ in range(8)]
    for _id in bad:
        db.etl_logs.insert_one({"_id": _id, "workflow_id": "f1"})
    insert(db, 1)
    stream.wait_events(8)
    answer = admin(server, "/admin/sources")
    assert answer["grants"] is None
    [row] = answer["sources"]
    assert row["newest"]["id"] == stream.events[-1].id
    assert abs(instant(row["newest"]["time"]) - began) < 5
    assert int(row["newest"]["id"][:8], 16) == instant(row["newest"]["time"])
    journal = row["journal"]
    assert journal["events"] == 8 and journal["bytes"] > 8 * 100
    assert journal["floor"]["id"] <= stream.events[0].id[:16] and journal["complete"]["id"] >= journal["floor"]["id"]
    assert row["oplog"]["window_s"] is None or row["oplog"]["window_s"] >= 0
    assert row["catchup"] == {"sweeps": 0, "waiting": 0, "opens": 0}
    unroutable = row["unroutable"]
    assert unroutable["count"] == 8 and len(unroutable["samples"]) == 5, "the newest few"
    for sample, _id in zip(unroutable["samples"], reversed(bad)):
        assert f"no channel for {db.name}.etl_logs" in sample["text"] and str(_id) in sample["text"]
        assert abs(instant(sample["time"]) - began) < 5
    plain = {k: row[k] for k in ("name", "tag", "state", "mode", "mode_note", "opened", "away", "events", "oversize",
                                 "losses", "opens", "reconnects", "change_streams", "errors", "last_error")}
    assert plain == {"name": "logs", "tag": "a", "state": "streaming", "mode": "change_stream", "mode_note": None,
                     "opened": True, "away": False, "events": 8, "oversize": 0, "losses": 0, "opens": 1,
                     "reconnects": 0, "change_streams": 1, "errors": 0, "last_error": None}
    assert row["commands"] > 0 and row["command_failures"] >= 0 and 0 <= row["lag_ms"] < 60000
    assert isinstance(row["warming"], bool)


def test_notices_name_collections(watched, db, hub):
    """For the admin, with the name: everybody else gets the code."""
    db.create_collection("etl_logs", capped=True, size=1 << 20)
    insert(db, 3)
    server = watched()
    notices = until(lambda: admin(server, "/admin/sources")["sources"][0]["notices"], "a notice")
    capped = [n for n in notices if n["code"] == "capped_collection"]
    assert capped and capped[0]["subject"] == f"{db.name}.etl_logs"
    assert capped[0]["text"] and instant(capped[0]["since"])


def test_a_source_that_is_away(watched, more_mongod):
    node = more_mongod()
    server = watched(uri=node.uri)
    os.kill(node.pid, signal.SIGSTOP)
    row = until(lambda: (r := admin(server, "/admin/sources")["sources"][0])["away"] and r["errors"] and r, "away")
    assert row["state"] in ("backing-off", "opening") and row["last_error"] and row["change_streams"] == 0
    os.kill(node.pid, signal.SIGCONT)
    row = until(lambda: (r := admin(server, "/admin/sources")["sources"][0])["reconnects"] and r, "back")
    assert row["state"] == "streaming" and row["opens"] == row["reconnects"] + 1 and not row["away"]


def test_grants_are_told(watched, db):
    grant(db, "ann", "logs:*")
    server = watched(auth=by_secret(grants_collection=f"{db.name}.grants"))
    assert until(lambda: admin(server, "/admin/sources")["grants"] == "current", "loaded")


def test_totals(watched, hub, db):
    server = watched()
    stream = hub.open(server.port, f"{STREAM}?channels=logs:*")
    stream.wait_ready()
    insert(db, 6)
    stream.wait_events(6)
    hub.open(server.port, f"{STREAM}?channels=logs:*&last_event_id=nonsense").wait_control("gap")
    stats = until(lambda: (s := admin(server, "/admin/logs/stats"))["sent_events"] == 6 and s, "all sent")
    assert stats["version"] in run_cli("version").stdout + run_cli("--version").stdout
    wanted = {"connections": 2, "connections_opened": 2, "channels": 1, "events": 6, "sent_rows": 0, "published": 0,
              "publish_failures": 0, "history_requests": 0, "auth_failures": 0, "denied": 0, "revocations": 0}
    assert {k: stats[k] for k in wanted} == wanted
    assert {k: v for k, v in stats["gaps"].items() if v} == {"invalid_id": 1}
    assert stats["sent_bytes"] > 400 and not any(stats["refused"].values()) and not any(stats["sent_away"].values())


def test_configuration(watched, mongo):
    """What holds, and where it was set; no secret."""
    server = watched(env={"LOG_LEVEL": "debug"}, heartbeat_s=7,
                     auth=by_secret(services=[{"name": "etl", "token_sha256": "a" * 64, "publish": ["logs:*"]}]))
    answer = server.get("/admin/config", AS_ADMIN)
    config = answer.json
    options = {o["name"]: o for o in config["options"]}
    assert options["heartbeat_s"]["value"] == "7" and options["heartbeat_s"]["from"].startswith(config["file"] + ":")
    assert options["log.level"] == {"name": "log.level", "value": "debug", "from": "LOG_LEVEL"}
    assert options["retry_ms"] == {"name": "retry_ms", "value": "3000", "from": None}
    assert options["ops_listen"]["value"] is None
    for secret in ("mongodb.uri", "auth.jwt.secret", "auth.admin_token_sha256"):
        assert options[secret]["value"] == "(secret)", secret
    assert "sources:" in config["lists"] and "auth.services: etl" in config["lists"]
    for text in (sha256(ADMIN), "a" * 64, "a-signing-secret"):
        assert text.encode() not in answer.body
