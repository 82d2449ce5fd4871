"""The edges of HTTP: methods, paths, errors, CORS, Host check, limits, health and the end."""

from __future__ import annotations

import json
import os
import re
import signal
import socket

import pytest

import http1
from conftest import ETL
from deadline import WAIT_S, until

STREAM = "/api/logs/stream?channels=logs:etl:w1:f1"
DOCUMENT = {"workspace_id": "w1", "workflow_id": "f1"}


def test_head_gives_the_headers_and_ends(etl):
    """HEAD: the answer's headers, no body, no stream left behind."""
    answer = etl.request("HEAD", STREAM)
    assert answer.status == 200 and answer.body == b""
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    until(lambda: etl.connections == 0, "no connection counted")


@pytest.mark.parametrize("path", ["/nothing", "/api/logs", "/api/logs/stream/extra/parts", "//api/logs/stream", "/api/logs/../logs/stream",
                                  "/%2e%2e/etc/passwd", "/api/logs/stream%00"])
def test_unknown_path_is_404(shared, path):
    """Unknown paths are 404 with problem+json; no path is normalised into another."""
    answer = shared.get(path)
    assert answer.status == 404
    answer.problem


@pytest.mark.parametrize("method, path", [("DELETE", "/api/logs/stream"), ("PUT", "/api/logs/stream"), ("PATCH", "/health"),
                                          ("POST", "/health"), ("DELETE", "/api/logs/event")])
def test_wrong_method_is_405_with_allow(shared, method, path):
    """Wrong methods are told which ones are right."""
    answer = shared.request(method, path)
    assert answer.status == 405
    answer.problem
    allowed = {m.strip() for m in answer.headers["allow"].split(",")}
    assert "GET" in allowed and method not in allowed


@pytest.mark.parametrize("method", ["TRACE", "BREW"])
def test_strange_methods_are_refused(shared, method):
    """Methods that nobody serves end in a 4xx or 501, never in a stream."""
    answer = shared.request(method, STREAM, {"Connection": "close"})
    assert answer.status in (400, 404, 405, 501)


@pytest.mark.parametrize("query", [
    "", "channels=", "channels=logs::x", "channels=a:b:c:d:e:f:g:h:i", "channels=:", "channels=" + "x" * 129, "channels=logs:a%20b",
    "channels=logs:%25zz", "channels=logs:a%00b", "channels=logs:%ff", "channels=logs:a*", "channels=**", "channels=" + ":".join(["x" * 90] * 6),
    "channels=" + ",".join(f"l:{i}" for i in range(257)), "workspace_id=" + "x" * 129, "tail=x&channels=logs:*",
])
def test_bad_parameters_are_400_with_a_code(shared, query):
    """Each bad parameter is a 400 with a stable code and says which parameter it is."""
    answer = shared.get(f"/api/logs/stream?{query}")
    assert answer.status == 400, answer
    assert answer.problem["code"] == shared.get(f"/api/logs/stream?{query}").problem["code"]
    assert "detail" in answer.problem


def test_256_channels_are_fine(shared, hub):
    """The limit itself is allowed."""
    stream = hub.open(shared.port, "/api/logs/stream?channels=" + ",".join(f"logs:etl:w:{i}" for i in range(256)))
    stream.wait_ready()


def test_unknown_parameters_and_cache_busters_are_ignored(shared, hub):
    """Clients add _=123 and the like."""
    hub.open(shared.port, STREAM + "&_=123&foo=bar").wait_ready()


def test_errors_tell_no_secrets(shared):
    """No answer contains the MongoDB URI's password."""
    from mongod import PASSWORD

    for target in ("/nothing", "/health", "/api/logs/stream?channels=::", "/api/logs/event?channel=logs:etl:w1:f1&id=x", "/"):
        assert PASSWORD.encode() not in shared.get(target).body


# --- CORS and Host -----------------------------------------------------------------------------------


@pytest.mark.parametrize("origin, allowed", [
    ("https://app.example", True), ("http://localhost:5173", True), ("https://evil-app.example", False), ("https://app.example.evil", False),
    ("http://app.example", False), ("https://APP.example:444", False), ("null", False),
])
def test_cors_is_exact(shared, hub, origin, allowed):
    """Only listed origins get CORS headers, echoed, with Vary; on streams, errors and /health alike."""
    stream = hub.open(shared.port, STREAM, headers={"Origin": origin})
    stream.wait_ready()
    error = shared.get("/api/logs/stream?channels=::", {"Origin": origin})
    health = shared.get("/health", {"Origin": origin})
    for headers in (stream.headers, error.headers, health.headers):
        if allowed:
            assert headers["access-control-allow-origin"] == origin
            assert headers["access-control-allow-credentials"] == "true"
            assert "origin" in headers["vary"].lower()
        else:
            assert "access-control-allow-origin" not in headers


def test_preflight(shared):
    """OPTIONS answers a browser's preflight with methods and headers."""
    ask = {"Origin": "https://app.example", "Access-Control-Request-Method": "GET",
           "Access-Control-Request-Headers": "authorization, last-event-id"}
    answer = shared.request("OPTIONS", "/api/logs/stream", ask)
    assert answer.status in (200, 204) and answer.body == b""
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    methods = {m.strip() for m in answer.headers["access-control-allow-methods"].split(",")}
    assert {"GET", "POST"} <= methods
    names = {h.strip().lower() for h in answer.headers["access-control-allow-headers"].split(",")}
    assert {"authorization", "last-event-id", "content-type"} <= names
    foreign = shared.request("OPTIONS", "/api/logs/stream", ask | {"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in foreign.headers


def test_without_allowed_origins_no_cors(etl):
    """Nothing configured: no origin is allowed."""
    assert "access-control-allow-origin" not in etl.get("/health", {"Origin": "https://app.example"}).headers


@pytest.mark.parametrize("host, fine", [
    ("127.0.0.1:{port}", True), ("localhost:{port}", True), ("localhost", True), ("[::1]:{port}", True), ("127.9.9.9", True),
    ("evil.example", False), ("evil.example:{port}", False), ("localhost.evil.example", False), ("127.0.0.1.evil.example", False),
    ("10.0.0.1:{port}", False),
])
def test_host_check_in_open_mode(shared, hub, host, fine):
    """In open mode a foreign Host is refused, against DNS rebinding."""
    host = host.format(port=shared.port)
    if fine:
        hub.open(shared.port, STREAM, headers={"Host": host}).wait_ready()
        return
    answer = shared.get(STREAM, {"Host": host})
    assert answer.status in (403, 421)
    answer.problem


def test_no_host_at_all(shared, hub):
    """HTTP/1.1 without Host is a 400 (RFC 9112) or refused; HTTP/1.0 may leave it out."""
    assert shared.get(STREAM, {"Host": None}).status in (400, 403, 421)


# --- limits ---------------------------------------------------------------------------------------------


def test_full_instance_refuses_for_a_while(serve, hub):
    """Over the limit a browser gets 200 with retry and `refused` (a 503 would stop it for good), others 503."""
    server = serve(ETL, limits={"connections": 2})
    for stream in hub.open_many(server.port, [STREAM] * 2):
        stream.wait_ready()
    third = hub.open(server.port, STREAM)
    refused = third.wait_control("refused")
    third.wait_end()
    assert third.status == 200 and 500 <= third.retry_ms <= 60000
    assert refused.json["code"] and refused.json["retry_ms"] == third.retry_ms and refused.id is None
    status = server.get(STREAM + "&errors=status", {"Accept": "text/event-stream"})
    assert status.status in (429, 503) and int(status.headers["retry-after"]) >= 1
    assert status.problem["code"] == refused.json["code"]


def test_header_and_url_sizes_are_bounded(shared):
    """Endless headers end in a refusal or a cut, and the server lives on."""
    with socket.create_connection(("127.0.0.1", shared.port), timeout=20) as s:
        s.sendall(f"GET {STREAM} HTTP/1.1\r\nHost: localhost\r\n".encode())
        received = b""
        try:
            for _ in range(300):
                s.sendall(b"X-Filler: " + b"x" * 8000 + b"\r\n")
            s.sendall(b"\r\n")
            received = s.recv(100)
        except OSError:
            pass
    assert received == b"" or received.split()[1] in (b"400", b"413", b"414", b"431")
    assert shared.get("/health").status == 200


@pytest.mark.parametrize("data", [
    b"\r\n\r\n", b"GET\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01", b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n", b"\0" * 100, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET " + b"/x" * 40000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
])
def test_garbage_requests_do_no_harm(shared, data):
    """What is no HTTP ends in an error or a cut."""
    with socket.create_connection(("127.0.0.1", shared.port), timeout=5) as s:
        try:
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
            answer = s.recv(1000)
        except OSError:
            answer = b""
    assert not answer.startswith(b"HTTP/1.1 200")
    assert shared.get("/health").status == 200


def test_keep_alive_and_pipelining_behind_a_plain_request(shared):
    """Two requests on one connection both get their answer."""
    one = http1.head_bytes(shared.port, "GET", "/health", None, None)
    with socket.create_connection(("127.0.0.1", shared.port), timeout=10) as s:
        for _ in range(3):
            s.sendall(one)
            answer = http1.http.client.HTTPResponse(s)
            answer.begin()
            assert json.loads(answer.read())["status"] == "healthy"
            if answer.will_close:
                break


# --- health and the end -----------------------------------------------------------------------------------


def test_channels_are_counted_once_over_all_loops(serve, hub):
    """40 connections on 2 channels over 4 event loops: /health says 2 channels."""
    server = serve(ETL, loops=4)
    for stream in hub.open_many(server.port, [STREAM, "/api/logs/stream?channels=logs:etl:w2:f2"] * 20):
        stream.wait_ready()
    until(lambda: server.health()["channels"] > 0, "channels counted")
    until(lambda: server.health()["channels"] == 2, "2 channels", 5)


def test_health_shape(serve, db, hub):
    """/health in the contract's shape, with counts that move."""
    etl = serve(ETL, loops=1)
    answer = etl.get("/health")
    assert answer.headers["content-type"].startswith("application/json")
    health = answer.json
    assert health["status"] == "healthy"
    assert health["connections"] == 0 and health["channels"] == 0
    assert set(health["stats"]) >= {"totalConnections", "messagesPublished"}
    assert "logs" in json.dumps(health["sources"])
    before = health["stats"]
    streams = hub.open_many(etl.port, [STREAM, STREAM, "/api/logs/stream?channels=logs:etl:w2:f2"])
    for stream in streams:
        stream.wait_ready()
    db.etl_logs.insert_many([dict(DOCUMENT, n=i) for i in range(5)])
    streams[0].wait_events(5)
    until(lambda: etl.health()["stats"]["messagesPublished"] > before["messagesPublished"], "published counted")
    now = until(lambda: (h := etl.health())["channels"] == 2 and h, "channels counted")
    assert now["connections"] == 3
    assert now["stats"]["totalConnections"] == before["totalConnections"] + 3
    for stream in streams:
        stream.abort()
    until(lambda: etl.connections == 0 and etl.health()["channels"] == 0, "connections and channels gone")


def test_root_page(shared):
    """The page at / is HTML that opens an EventSource."""
    answer = shared.get("/")
    assert answer.status == 200 and answer.headers["content-type"].startswith("text/html")


def test_sigterm_with_open_streams(serve, db, hub):
    """SIGTERM ends streams and process at once, with status 0 (asserted by the fixture); clients see an end."""
    server = serve(ETL)
    streams = hub.open_many(server.port, [STREAM] * 50)
    for stream in streams:
        stream.wait_ready()
    db.etl_logs.insert_one(dict(DOCUMENT))
    for stream in streams:
        stream.wait_events(1)
    server.stop()
    for stream in streams:
        assert stream.wait_end() in ("eof", "reset")  # cut, without the last chunk


def test_clean_end_of_stream(serve, hub):
    """end_of_stream: clean writes the last chunk."""
    server = serve(ETL, end_of_stream="clean")
    stream = hub.open(server.port, STREAM)
    stream.wait_ready()
    server.stop()
    assert stream.wait_end() == "last-chunk"


def test_sigint_ends_it_too(launch, mongo, dbname):
    """Ctrl-C is the same as SIGTERM."""
    server = launch({"mongodb": {"uri": mongo.uri}, "sources": [{"name": "logs", "tag": "a", "database": dbname}]})
    server.signal(signal.SIGINT)
    until(lambda: not server.running, "the end", 10)
    assert server._process.returncode == 0
    server._process = None


def test_log_is_json_lines_with_levels(etl):
    """Not on a terminal, every line of the log is one JSON object with time and level."""
    etl.stop()
    assert etl.lines
    for line in etl.lines:
        record = json.loads(line)
        assert isinstance(record, dict) and "level" in record and {"time", "ts"} & set(record), line


def test_log_level_is_obeyed(serve, hub):
    """LOG_LEVEL=error: a clean life writes nothing."""
    server = serve(ETL, env={"LOG_LEVEL": "error"})
    hub.open(server.port, STREAM).wait_ready()
    server.stop()
    assert server.lines == []


def test_redis_url_is_ignored_with_one_warning(serve):
    """REDIS_URL, which deployments set, is accepted."""
    server = serve(ETL, env={"REDIS_URL": "redis://user:redis-secret@127.0.0.1:6379"})
    server.stop()
    lines = [line for line in server.lines if "REDIS_URL" in line]
    assert len(lines) == 1 and "redis-secret" not in server.log_tail(1000)


def test_prompt_stop_while_mongodb_is_away(more_mongod, launch):
    """SIGTERM is obeyed also while the watcher waits for a server that is gone (frozen, then killed)."""
    node = more_mongod()
    server = launch({"mongodb": {"uri": node.uri}, "sources": [{"name": "logs", "tag": "a", "database": "x"}]})
    os.kill(node.pid, signal.SIGSTOP)
    try:
        server.stop()
    finally:
        os.kill(node.pid, signal.SIGCONT)
    print(f"\nstop took {server.stop_s:.2f} s")


@pytest.mark.parametrize("path", ["/", "/live.js"])
def test_who_has_said_everything_gets_the_whole_answer(shared, path):
    """A client that closes its own direction behind the request (nc -N) waits for the answer all the same."""
    with socket.create_connection(("127.0.0.1", shared.port), timeout=WAIT_S) as s:
        s.sendall(http1.head_bytes(shared.port, "GET", path, None, None))
        s.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: s.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    length = int(re.search(rb"(?i)content-length: (\d+)", head)[1])
    assert len(body) == length > 1000
