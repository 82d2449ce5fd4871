"""The ops listener: is the process alive, is it ready; it answers also when nothing else does."""

from __future__ import annotations

import signal
import socket

import http1
import server as server_module
from conftest import ETL
from deadline import PATIENCE, until
from exposition import ask, figures, ops, ops_port
from mongod import free_port
from server import run_cli
from threads import held, threads

STREAM = "/api/logs/stream?channels=logs:etl:w1:f1"


def test_probes(serve):
    server = serve(ETL, **ops(), loops=2)
    alive, ready = ask(server, "/livez"), ask(server, "/readyz")
    assert (alive.status, alive.body) == (200, b"ok\n")
    assert (ready.status, ready.body) == (200, b"ok\n")
    assert alive.headers["content-type"] == "text/plain; charset=utf-8"
    lines = ask(server, "/readyz?verbose").body.decode().splitlines()
    assert lines[:3] == ["[+]loop 0: ok", "[+]loop 1: ok", "[+]drain: no"]
    assert lines[3].startswith("[+]room: 0 of ") and lines[4:] == ["[+]source logs: ok", "ok"]
    assert ask(server, "/livez?verbose").body.decode().splitlines() == [*lines[:2], "ok"]
    head = ask(server, "/livez", "HEAD")
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", "3")
    assert ask(server, "/health").json["status"] == "healthy"


def test_nothing_else_is_there(serve):
    server = serve(ETL, **ops())
    assert ask(server, "/api/logs/stream?channels=a").problem["code"] == "not_found"
    assert ask(server, "/").status == 404
    post = ask(server, "/metrics", "POST")
    assert post.status == 405 and post.headers["allow"] == "GET, HEAD"
    for path in ("/livez", "/readyz", "/metrics"):
        assert server.get(path).status == 404, "on the public listener"


def test_a_taken_port_is_told_at_the_start(serve, mongo):
    server = serve(ETL, **ops())
    config = {**server.config, "listen": f"127.0.0.1:{free_port()}"}
    ended = run_cli("serve", config=config)
    assert ended.returncode == 1
    assert f"port {ops_port(server)} of 127.0.0.1 is in use" in ended.stderr
    assert "choose another one with ops_listen" in ended.stderr


def test_not_ready_before_mongodb(launch, dbname):
    uri = f"mongodb://127.0.0.1:{free_port()}/"
    config = {"mongodb": {"uri": uri, "max_await_ms": 100}, **ops(),
              "sources": [{"name": "logs", "tag": "a", "database": dbname, "mappings": [ETL.config]}]}
    server = launch(config, healthy=False)
    assert ask(server, "/livez").status == 200
    ready = ask(server, "/readyz")
    assert (ready.status, ready.body) == (503, b"[-]source logs: was not open yet\nfailed\n")
    assert figures(server).get("ready") == 0


def test_losing_mongodb_is_no_reason(serve, more_mongod, dbname):
    """Degraded, but ready: else a fail-over would take every instance out of its balancer."""
    node = more_mongod()
    server = serve(ETL, uri=node.uri, **ops())
    node.stop()
    until(lambda: server.health()["status"] == "degraded", "degraded")
    assert ask(server, "/readyz").status == 200
    assert ask(server, "/livez").status == 200
    until(lambda: figures(server).get("source_up", source="logs") == 0, "the source is down")


def test_full_is_not_ready(serve, hub):
    server = serve(ETL, **ops(), limits={"connections": 2})
    streams = hub.open_many(server.port, [STREAM] * 2)
    for stream in streams:
        stream.wait_ready()
    ready = ask(server, "/readyz")
    assert ready.status == 503 and ready.body.startswith(b"[-]room: 2 of 2 streams"), ready.body
    assert ask(server, "/livez").status == 200
    streams[0].abort()
    until(lambda: ask(server, "/readyz").status == 200, "ready again")


def test_unready_while_it_still_serves(serve, hub, db):
    """SIGTERM: unready at once, in drain_delay_s everything goes on as usual."""
    server = serve(ETL, **ops(), drain_delay_s=2)
    old = hub.open(server.port, STREAM)
    old.wait_ready()
    server.signal(signal.SIGTERM)
    until(lambda: ask(server, "/readyz").status == 503, "unready")
    assert ask(server, "/readyz").body == b"[-]drain: this instance is shutting down\nfailed\n"
    assert ask(server, "/livez").status == 200
    health = server.get("/health")
    assert (health.status, health.json["status"]) == (503, "draining")
    new = hub.open(server.port, STREAM)
    new.wait_ready()
    db.etl_logs.insert_one({"workspace_id": "w1", "workflow_id": "f1", "n": 1})
    for stream in (old, new):
        stream.wait_events(1)
        assert stream.wait_control("goaway").json["reason"] == "draining"


def test_a_stuck_loop_is_told(serve):
    server = serve(ETL, **ops(), loops=2)
    loop = threads(server.pid, "tw-loop-1")[0]
    with held(loop):
        told = until(lambda: (a := ask(server, "/livez")).status == 503 and a, "not alive", 20 * PATIENCE)
        assert told.body.startswith(b"[-]loop 1: stuck, it has not turned for ") and told.body.endswith(b"failed\n")
        assert ask(server, "/readyz").status == 503
        seen = figures(server)
        assert seen.get("loop_still_seconds", loop="1") > 5 > seen.get("loop_still_seconds", loop="0")
        assert seen.get("ready") == 0
    until(lambda: ask(server, "/livez").status == 200, "alive again")


def test_answers_while_clients_hold_every_descriptor(serve, monkeypatch):
    monkeypatch.setattr(server_module.Server, "prefix", ["prlimit", "--nofile=256:256"])
    server = serve(ETL, **ops(), loops=1)
    room = int(figures(server).get("sockets_max"))
    assert room < 256
    crowd = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(room + 50)]
    try:
        until(lambda: figures(server).get("sockets_refused_total") > 0, "no room for more")
        assert ask(server, "/livez").status == 200
        ready = ask(server, "/readyz")
        assert ready.status == 503 and b"room" in ready.body
        seen = figures(server)
        assert seen.get("process_open_fds") <= seen.get("process_max_fds") == 256
    finally:
        for s in crowd:
            s.close()
    until(lambda: ask(server, "/readyz").status == 200, "room again")


def test_its_own_connections_are_limited(serve):
    """Whoever opens many to it takes nothing from clients, and cannot shut it for long."""
    server = serve(ETL, **ops())
    crowd = [socket.create_connection(("127.0.0.1", ops_port(server))) for _ in range(40)]
    try:
        assert server.get("/health").json["status"] == "healthy"
    finally:
        for s in crowd:
            s.close()
    until(lambda: _answers(server), "it answers again")


def _answers(server) -> bool:
    try:
        return http1.request(ops_port(server), "GET", "/livez").status == 200
    except (OSError, http1.http.client.HTTPException):
        return False
