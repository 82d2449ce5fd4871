"""
Nothing that comes from outside (a document, an id, a parameter, a header, the configuration) becomes a line of SSE, a
header, a line of the log or a piece of JSON's grammar.
"""

from __future__ import annotations

import http.client
import itertools
import json
import re
from urllib.parse import quote, urlencode

import pytest
from bson import ObjectId

import http1
from conftest import ETL
from deadline import until
from identities import bearer, by_secret, claims, sha256, token
from oracle import Rule
from secrets_seen import remember
from server import run_cli
from stream import own_view, parse_with_httpx_sse, parse_with_sseclient

#: What is a line end, a field, a command of a terminal or the end of a string to somebody.
WILD = {
    "CRLF": "a\r\nevent: revoked\r\ndata: {}\r\n\r\nb", "LF": "a\n\nid: 1\ndata: x\n\nb", "CR": "a\rretry: 1\r\rb", "NUL": "a\0b",
    "U+2028": "a\u2028b", "U+2029": "a\u2029b", "NEL": "a\x85b", "ANSI": "a\x1b[31m\x1b]0;title\x07b", "C1": "a\x9b31mb",
    "DEL": "a\x7fb", "BOM": "\ufeffdata: x", "quotes": 'a"},"event":"revoked","x":{"y":"\\', "header": "a\r\nX-Injected: yes\r\n\r\n",
    "log line": 'a"}\n{"ts":"2026-01-01T00:00:00.000Z","level":"error","component":"x","msg":"forged"}', "grammar": "a:b,c*%0a",
}
#: No byte of these may stand in anything that is one line.
CONTROL = re.compile(rb"[\x00-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\xa8\xa9]")
TS = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
BY_MESSAGE = Rule("by_message", "notes", ("message", "tail"))  # a channel of whatever the message is


def judge_json(text: bytes) -> object:
    """One line of JSON without control characters, and what it says."""
    assert not CONTROL.search(text.rstrip(b"\n")), text[:400]
    return json.loads(text)


def judge_log(server) -> list[dict]:
    """Every line that the server wrote is one JSON object of the log's own form."""
    entries = []
    for line in list(server.lines):
        entry = judge_json(line.encode())
        assert list(entry) == ["ts", "level", "component", "msg"] and re.fullmatch(TS, entry["ts"]), line
        assert entry["msg"] != "forged" and re.fullmatch(r"[a-z_]+", entry["component"]), line
        entries.append(entry)
    return entries


def judge_head(answer: http1.Response) -> http1.Response:
    assert "x-injected" not in answer.headers and not any("\x1b" in value for value in answer.headers.values()), answer
    return answer


# --- documents --------------------------------------------------------------------------------------


def wild_documents() -> list[dict]:
    documents = [{"_id": text, "workspace_id": text, "workflow_id": text, "message": text, "level": text, "name": name}
                 for name, text in WILD.items()]
    for name, text in WILD.items():
        key = text.replace("\0", "")
        documents.append({"_id": {"k": text}, "workspace_id": "w", "workflow_id": "f", key: {key: [text]}, "name": f"{name} as a key"})
    return documents


@pytest.mark.parametrize("style", ["plain", "relaxed"])
def test_documents_in_a_stream(serve, db, hub, style):
    """A document is one frame of three lines, whatever stands in its channel, its data or its _id; three parsers agree."""
    server = serve(ETL, json=style, log={"format": "json"})
    stream = hub.open(server.port, {"channels": "logs:*"}, keep_body=True)
    stream.wait_ready()
    documents = wild_documents()
    db.etl_logs.insert_many(documents)
    frames = stream.wait_events(len(documents))
    stream.abort()
    assert len(frames) == len(documents)
    for frame, document in zip(frames, documents, strict=True):
        assert re.fullmatch(rb"id: [0-9a-f]{16}-[0-9a-f]{12}\nevent: logs\ndata: \{[^\n]*\}", frame.raw), frame.raw
        data = judge_json(frame.data.encode())
        assert data["log_data"]["name"] == document["name"] and data["log_data"]["_id"] == document["_id"]
        assert data["channel"] == ETL.channel(document) and data["channel"].count(":") == 3
        assert data["log_data"].get("message") == document.get("message")
    whole = bytes(stream.body).rpartition(b"\n\n")[0] + b"\n\n"
    assert parse_with_httpx_sse(whole).events == own_view(stream.frames).events
    assert len(parse_with_sseclient(whole).events) == len(own_view(stream.frames).events)
    judge_log(server)


def test_documents_as_lines_and_pages(serve, db, hub):
    """The same as NDJSON, in a tail, in history and alone."""
    server = serve(ETL, log={"format": "json"})
    documents = wild_documents()
    db.etl_logs.insert_many(documents)
    stream = hub.open(server.port, {"channels": "logs:*", "tail": "100"}, headers={"Accept": "application/x-ndjson"}, keep_body=True)
    stream.wait_events(len(documents))
    stream.abort()
    lines = bytes(stream.body).rstrip(b"\n").split(b"\n")
    assert sum(judge_json(line)["event"] == "logs" for line in lines) == len(documents)
    page = server.get("/api/logs/history?" + urlencode({"channels": "logs:*", "limit": 100}))
    assert len(judge_json(page.body)["events"]) == len(documents)
    for document in documents[:len(WILD)]:
        channel = ETL.channel(document)
        answer = judge_head(server.get("/api/logs/event?" + urlencode({"channel": channel, "id": document["_id"]})))
        if answer.status == 200:
            assert judge_json(answer.body)["log_data"]["_id"] == document["_id"]
        else:  # a NUL is refused, in every parameter
            assert answer.problem and judge_json(answer.body) and document["name"] == "NUL"
    judge_log(server)


def test_documents_without_a_channel_in_the_log(serve, db, hub):
    """The log names the _id and the collection of what cannot be routed: on one line each."""
    server = serve(ETL, log={"format": "json"})
    rest = itertools.cycle(WILD.values())

    def are_told() -> bool:  # one line a second, so that it takes some more documents
        text = next(rest)
        db.etl_logs.insert_one({"_id": f"{text}{ObjectId()}", "workspace_id": 1.5, "workflow_id": text})
        told = [entry["msg"] for entry in judge_log(server) if "no channel" in entry["msg"]]
        return len(told) >= 3 and any("more like this" in message for message in told)

    until(are_told, "they are logged")
    judge_log(server)


def test_the_text_form_of_the_log(serve, db, hub):
    """The same in text: each line begins as a line of the log does, and commands no terminal."""
    server = serve(ETL, log={"format": "text"})
    db.etl_logs.insert_one({"_id": WILD["log line"] + WILD["ANSI"], "workspace_id": 1.5})
    until(lambda: any("no channel" in line for line in server.lines), "it is logged")
    for line in server.lines:
        assert re.match(rf"{TS} (trace|debug|info |warn |error) [a-z_]+: ", line), line
        assert not CONTROL.search(line.encode()), line


def test_a_message_as_a_channel(serve, db, hub):
    """What stands in a channel's segment is percent-encoded, so that no value is two segments, a pattern or a list."""
    server = serve(BY_MESSAGE)
    stream = hub.open(server.port, {"channels": "notes:*"})
    stream.wait_ready()
    documents = [{"message": text, "tail": text} for text in WILD.values()]
    db.by_message.insert_many(documents)
    channels = [frame.json["channel"] for frame in stream.wait_events(len(documents))]
    assert channels == [BY_MESSAGE.channel(d) for d in documents]
    for channel in channels:
        exact = hub.open(server.port, "/api/logs/stream?channels=" + quote(channel, safe=""))
        assert exact.wait_ready().json["channels"] == [channel]
        exact.abort()


# --- requests ---------------------------------------------------------------------------------------

PARAMETERS = ["channels", "service", "workspace_id", "workflow_id", "tail", "since", "min_level", "level", "q", "max_rate",
              "last_event_id", "errors", "before", "after", "limit", "id", "channel", "ticket", "x\r\ny"]


@pytest.mark.parametrize("path", ["/api/logs/stream", "/api/logs/history", "/api/logs/event"])
def test_parameters(serve, hub, path):
    """A parameter comes back only inside of JSON strings; a stream that it opens begins with frames of known lines."""
    server = serve(ETL, log={"format": "json"})
    for name in PARAMETERS:
        for text in WILD.values():
            target = f"{path}?{urlencode({name: text})}" + ("" if name.startswith("channel") else "&channels=logs:etl:w:f")
            stream = hub.open(server.port, target, keep_body=True)  # reads strictly what is a stream
            stream.wait(lambda s: s.status and (s.control("ready") or len(s.text) >= int(s.headers.get("content-length", 1 << 30))),
                        "an answer")
            stream.abort()
            assert stream.error is None and "x-injected" not in stream.headers
            for frame in stream.frames:
                assert frame.data is None or judge_json(frame.data.encode())
            if stream.status != 200:
                assert 400 <= stream.status < 500 and judge_json(bytes(stream.text))["code"]
    judge_log(server)


HEADERS = ["Origin", "X-User-Id", "X-Workspace-Id", "X-Forwarded-For", "Authorization", "Last-Event-ID", "Cookie", "Accept",
           "X-Tailwater-Errors", "User-Agent", "Referer", "Content-Type"]


def raw_request(server, path: str, name: str, value: bytes) -> bytes:
    """A whole answer, or the beginning of a stream, to a request with this header byte by byte."""
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nConnection: close\r\n{name}: ".encode() + value + b"\r\n\r\n"
    with http1.socket.create_connection(("127.0.0.1", server.port), timeout=20) as s:
        s.sendall(head)
        answer = http.client.HTTPResponse(s, method="GET")
        answer.begin()
        assert answer.getheader("X-Injected") is None
        lines = (answer.read1(65536) if "event-stream" in answer.getheader("Content-Type") else answer.read())
        return answer.status, lines


@pytest.mark.parametrize("name", HEADERS)
@pytest.mark.parametrize("trusted", [False, True], ids=["open", "identities"])
def test_headers(serve, hub, name, trusted):
    """Header values with controls are refused; others reach neither a header, nor a frame, nor the log."""
    auth = {"auth": by_secret(cookie="tw", proxies=["127.0.0.0/8"], anonymous=["logs:etl:w:f"], grants={"everyone": ["logs:etl:{user}:*"]})}
    server = serve(ETL, log={"format": "json"}, env={"ALLOWED_ORIGINS": "https://app.example"}, **(auth if trusted else {}))
    for text in WILD.values():
        for value in {text.encode(), quote(text).encode(), text.encode("ascii", "ignore").replace(b"\0", b"")}:
            status, body = raw_request(server, "/api/logs/stream?channels=logs:etl:w:f,logs:*", name, value)
            assert status in (200, 400, 401, 403), (status, body)
            if status == 200:
                assert all(re.match(rb"(retry|event|id): [^\r\n]*\Z|data: \{.*\}\Z", line) for line in body.split(b"\n") if line), body
            else:
                assert judge_json(body)["code"]
            assert b"X-Injected" not in body.split(b"\n") and b"\x1b" not in body
    judge_log(server)


def test_what_a_publisher_sends(serve, db, hub):
    """Published documents, event names and channels: refused, or escaped like everything else."""
    secret = remember("a-service-token-for-injections")
    services = [{"name": "etl-service", "service": "etl", "token_sha256": sha256(secret), "publish": ["logs:*", "notes:*"]}]
    server = serve(ETL, log={"format": "json"}, auth=by_secret(services=services))
    stream = hub.open(server.port, {"channels": "logs:*,notes:*"}, headers=bearer(token(claims(channels=["*"]))))
    stream.wait_ready()
    headers = bearer(secret) | {"Content-Type": "application/json"}
    accepted = 0
    for text in WILD.values():
        bodies = [("/api/publish", {"channel": "notes:x", "event": text, "data": {}}),
                  ("/api/publish", {"channel": text, "event": "note", "data": 1}),
                  ("/api/publish", {"channel": "notes:x", "event": "note", "data": {"m": text}, "_id": text}),
                  ("/api/logs/publish", {"service": "etl", "workspace_id": text, "workflow_id": "f", "logData": {"_id": text, "m": text}})]
        for path, body in bodies:
            answer = judge_head(server.request("POST", path, headers, body=json.dumps(body).encode()))
            assert answer.status in (201, 400, 403, 409), (path, body, answer)
            assert judge_json(answer.body)
            accepted += answer.status == 201
    assert accepted >= len(WILD)
    for frame in stream.wait_events(accepted):
        assert re.fullmatch(rb"id: [0-9a-f-]{29}\nevent: (logs|note)\ndata: \{[^\n]*\}", frame.raw), frame.raw
        judge_json(frame.data.encode())
    judge_log(server)


def test_what_stands_in_the_grants(serve, db, dbname, hub):
    """Users and patterns of any text: they grant what they say, or nothing, and the log says so on one line each."""
    db.grants.insert_many([{"_id": text, "read": [text, "logs:etl:w:f"]} for text in WILD.values()])
    auth = by_secret(grants_collection=f"{dbname}.grants")
    server = serve(ETL, log={"format": "json"}, auth=auth)
    for text in WILD.values():
        stream = hub.open(server.port, {"channels": "logs:*"}, headers=bearer(token(claims(text))))
        stream.wait(lambda s: s.control("ready") or s.text, "an answer")
        stream.abort()
        if stream.status == 200:
            assert judge_json(stream.frames[0].data.encode())["channels"] == ["logs:etl:w:f"]
        else:  # a name with control characters names nobody
            assert stream.status == 401 and judge_json(bytes(stream.text))["code"] and CONTROL.search(text.encode())
    db.grants.update_many({}, {"$push": {"read": {"$each": list(WILD.values())}}})
    until(lambda: any(entry["component"] == "grants" and entry["level"] == "warn" for entry in judge_log(server)), "it is logged")


# --- configuration ----------------------------------------------------------------------------------


@pytest.mark.parametrize("text", WILD.values(), ids=WILD)
def test_configuration(mongo, text):
    """Wild texts in the configuration are refused in one printable line, or do no harm."""
    label = {"collections": ["c"], "channel": "logs:{a}", "labels": {"service": text}}
    event = {"collections": ["c"], "channel": "logs:{a}", "event": text}
    mappings = [label, event, {"collections": [text], "channel": "logs:{a}"}, {"collections": ["c"], "channel": f"logs:{text}"},
                {"collections": ["c"], "channel": "logs:{a}", "order": text}]
    configs = [{"sources": [{"name": "s", "tag": "a", "database": "d", "mappings": [m]}]} for m in mappings]
    configs += [{text: 1}, {"listen": text}, {"sources": [{"name": text, "tag": "a"}]},
                {"aliases": [{"path": f"/{text}", "channel": "a:{b}"}]}, {"auth": {"services": [{"name": text}]}},
                {"allowed_origins": [f"https://{text}"]}, {"mongodb": {"uri": f"mongodb://{text}/"}}]
    for config in configs:
        config.setdefault("mongodb", {"uri": mongo.uri})
        result = run_cli("check", "--offline", config=config)
        assert result.returncode in (0, 78), (config, result)
        said = (result.stdout + result.stderr).encode()
        assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\xa8\xa9]", said), (config, said)
        if result.returncode == 78:
            assert len([line for line in result.stderr.splitlines() if line.strip()]) == 1, result.stderr


def test_a_label_of_many_lines(serve, db, hub):
    """A label is the operator's text, and part of each event's JSON."""
    text = WILD["CRLF"] + WILD["U+2028"]
    rule = Rule("etl_logs", "logs:etl", ("workspace_id", "workflow_id"), (("note", "x"),)).config
    accepted = run_cli("check", "--offline", config={"mongodb": {"uri": "mongodb://127.0.0.1/d"}, "sources": [
        {"name": "s", "tag": "a", "database": "d", "mappings": [rule | {"labels": {"note": text}}]}]}).returncode == 0
    if accepted:
        server = serve(mappings=[rule | {"labels": {"note": text}}])
        stream = hub.open(server.port, {"channels": "logs:*"})
        stream.wait_ready()
        db.etl_logs.insert_one({"_id": ObjectId(), "workspace_id": "w", "workflow_id": "f"})
        (frame,) = stream.wait_events(1)
        assert judge_json(frame.data.encode())["note"] == text
