"""
Requests as nobody sane sends them: methods, paths, parameters, headers and bodies, good and bad ones mixed at random, on
many connections at once, some cut in the middle; and what an answer must be like whatever was asked.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import socket
import struct
from dataclasses import dataclass, field
from urllib.parse import quote

from deadline import PATIENCE

ANSWER_S = 20 * PATIENCE
STREAMS = ("text/event-stream", "application/x-ndjson")
FIELD = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+: ?[\x20-\x7e\x80-\xff]*")

METHODS = ["GET"] * 12 + ["HEAD"] * 2 + ["POST"] * 4 + ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "BREW", "get", "G\tT"]
#: What fits together; the rest of a request is as random as ever.
FITTING = [("GET", "/api/logs/stream"), ("GET", "/api/logs/history"), ("GET", "/api/logs/event"), ("POST", "/api/logs/stream"),
           ("PATCH", "/api/logs/stream/{id}"), ("POST", "/api/logs/publish"), ("POST", "/api/publish"), ("POST", "/api/logs/ticket"),
           ("POST", "/test/publish"), ("POST", "/test/logs"), ("GET", "/admin/connections"), ("DELETE", "/admin/connections/{id}")]
PATHS = [
    "/api/logs/stream", "/api/sse", "/logs/stream", "/x/stream", "/api/logs/stream/{id}", "/api/logs/event", "/api/logs/history",
    "/api/logs/publish", "/api/publish", "/api/logs/ticket", "/test/publish", "/test/logs", "/health", "/livez", "/readyz",
    "/metrics", "/admin/", "/admin/connections", "/admin/connections/{id}", "/admin/channels", "/admin/logs/stats",
    "/admin/sources", "/", "/live.js", "/live.css", "/nothing", "//health", "/..%2fetc", "/%00", "*", "http://localhost/health", "//h:x/", "http://[::1/",
]
PARAMETERS = ["channels", "service", "workspace_id", "workflow_id", "function_id", "resource_id", "tail", "since", "min_level",
              "level", "q", "max_rate", "last_event_id", "lastEventId", "errors", "before", "after", "limit", "id", "channel",
              "ticket", "_"]
VALUES = ["logs:etl:w1:f1", "logs:*", "logs:w1:f1", "*", "a:b:c:d:e:f:g:h:i", "etl", "w1", "0", "1", "5", "10001", "-1", "1e9",
          "99999999999999999999", "-15m", "2026-11-21T09:52:13.021Z", "1700000000000", "warn", "warn,error", "60", "status",
          "6b0169cd00000001-5f3a9c1e0011", "6b0169cd00000001", "a6b0169cd00000001~b6b0169cd00000002", "82" + "6b" * 40,
          "ffffffffffffffff", "6b0169cd5f3a9c1e0011aabb", "", "%", "%zz", "%00", "%ff", "%0d%0aX-Injected:%20yes", "%E2%80%A8",
          "%1B%5B31m", "%F0%9F%98%80", "a" * 200, "logs:" + "x" * 129, ",", ",,,", ":", "%2A", "true", "null", "{}"]
TEXTS = ["", "x", "a" * 3000, "\x80\xff", "\x1b[31m", "\t \t", "%0d%0a", "a, b;c=\"d\"", "\u00fc"]
DOCUMENTS: list[object] = [
    {"channels": ["logs:etl:w1:f1"], "tail": 3}, {"channels": "logs:*", "q": "\u2028\n"}, {"add": ["logs:*"], "remove": ["x"]},
    {"service": "etl", "workspace_id": "w1", "workflow_id": "random", "logData": {"message": "m\r\n", "level": "INFO"}},
    [{"service": "etl", "workspace_id": "w1", "workflow_id": "random", "logData": {"_id": "6b0169cd5f3a9c1e0011aabb"}}] * 3,
    {"channel": "metrics:w1", "event": "revoked", "data": {}}, {"channel": "metrics:w1", "event": "a\nb", "data": "\0"},
    {"channel": "metrics:random", "event": "tick", "data": {"n": 1}}, {"a": {"b": [[[[None]]]]}}, [], {}, None, "x", 1e308, -0.0,
    {"tail": 2**63}, {"tail": 1e400}, {"\0": 1, "": 2}, {"channels": [1, {}]}, {"logData": []},
]


@dataclass
class Asked:
    """One connection's worth of bytes."""

    data: bytes
    method: str = "GET"
    sure: bool = True   # nothing about its framing is wrong: there must be an answer
    cut: int | None = None  # bytes that are sent before the connection is torn down
    reset: bool = False


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes
    raw_head: bytes


@dataclass
class Tally:
    asked: int = 0
    answers: int = 0
    cut: int = 0
    streams: int = 0
    statuses: dict[int, int] = field(default_factory=dict)


class Generator:
    """Random requests of a seed. credentials: values for Authorization, good and bad."""

    def __init__(self, seed: int, port: int, credentials: list[str]):
        self._random = random.Random(seed)
        self._host = f"127.0.0.1:{port}"
        self._credentials = credentials + ["", "Bearer", "Bearer ", "Basic eDp5", "Bearer a.b.c", "Bearer " + "x" * 5000,
                                           "Bearer \x80", "bearer x", "Bearer x, Bearer y"]

    def next(self) -> Asked:
        pick = self._random.random()
        if pick < 0.02:
            return Asked(self._random.randbytes(self._random.randint(1, 200)), "?", sure=False)
        asked = self._request()
        if pick < 0.10:
            asked.cut = self._random.randint(0, len(asked.data))
            asked.reset = self._random.random() < 0.5
        elif pick < 0.15:
            asked.data = self._mutate(asked.data)
            asked.sure = False
        return asked

    # --- parts ------------------------------------------------------------------------------------

    def _request(self) -> Asked:
        r = self._random
        method, path = r.choice(FITTING) if r.random() < 0.5 else (r.choice(METHODS), r.choice(PATHS))
        body = b""
        fields = [("Host", r.choice([self._host] * 40 + ["localhost", "evil.example", "[::1]:1", "", "a b"]))]
        sure = " " not in fields[0][1] and fields[0][1] != "" and method != "G\tT"
        for _ in range(r.choice([0, 1, 1, 2, 3, 40])):
            fields.append(self._field())
        if method in ("POST", "PUT", "PATCH") or r.random() < 0.03:
            body = self._body()
            fields.append(("Content-Type", r.choice(["application/json"] * 12 + ["application/x-ndjson", "text/plain", "", "a/b"])))
            framing, body, whole = self._framing(body)
            fields += framing
            sure = sure and whole and method not in ("HEAD", "TRACE", "CONNECT", "GET")
        r.shuffle(fields)
        version = r.choice(["HTTP/1.1"] * 40 + ["HTTP/1.0", "HTTP/2.0", "HTTP/1.2", "http/1.1"])
        head = [f"{method} {self._target(path)} {version}"] + [f"{k}: {v}" for k, v in fields]
        data = "\r\n".join(head).encode("latin-1", "replace") + b"\r\n\r\n" + body
        return Asked(data, method, sure and version in ("HTTP/1.1", "HTTP/1.0"))

    def _target(self, path: str) -> str:
        r = self._random
        path = path.replace("{id}", r.choice(["x", "0" * 32, r.randbytes(16).hex(), "%2f", "a" * 300, "..", "%00"]))
        good = ["channels=logs:etl:w1:f1,logs:*"] if r.random() < 0.4 else []
        pairs = good + [f"{r.choice(PARAMETERS)}={self._value()}" for _ in range(r.choice([0] * 6 + [1, 2, 2, 3, 70]))]
        return path + ("?" + "&".join(pairs) if pairs else r.choice(["", "?", "?&&", "?=", "?a"]))

    def _value(self) -> str:
        r = self._random
        return quote(chr(r.randint(1, 0xD7FF))) if r.random() < 0.1 else r.choice(VALUES)

    def _field(self) -> tuple[str, str]:
        r = self._random
        name = r.choice(["Authorization"] * 12 + ["Accept", "Accept", "Origin", "X-User-Id"] + ["Cookie", "Last-Event-ID", "X-User-Id", "X-Workspace-Id", "X-Forwarded-For",
                         "Origin", "Accept", "Connection", "Expect", "X-Tailwater-Errors", "Access-Control-Request-Method", "X-Any",
                         "Range", "Upgrade", "If-None-Match"])
        match name:
            case "Authorization": return name, r.choice(self._credentials)
            case "Cookie": return name, "; ".join(f"tw={r.choice(self._credentials)[7:]}" for _ in range(r.randint(1, 3)))
            case "Last-Event-ID": return name, r.choice(VALUES)
            case "X-Forwarded-For": return name, r.choice(["10.0.0.1", "::1, 1.2.3.4", "999.1.1.1", "127.0.0.1"] + TEXTS)
            case "Origin": return name, r.choice(["https://app.example", "null", "https://evil.example", "*"] + TEXTS)
            case "Accept": return name, r.choice(["text/event-stream", "application/x-ndjson", "*/*", "text/html"] + TEXTS)
            case "Connection": return name, r.choice(["close", "keep-alive", "Upgrade", "close, x"])
            case "Expect": return name, r.choice(["100-continue", "100-Continue", "200-ok"])
            case "X-Tailwater-Errors": return name, r.choice(["status", "x"])
        return name, r.choice(TEXTS + VALUES + ["ann", "*", "a:b", "{user}"])

    def _body(self) -> bytes:
        r = self._random
        match r.randint(0, 7):
            case 0: return r.randbytes(r.randint(0, 300))
            case 1: return b"[" * r.choice([10, 3000]) + b"]" * r.choice([10, 3000])
            case 2: return b"\n".join(json.dumps(r.choice(DOCUMENTS)).encode() for _ in range(r.randint(1, 6)))
            case 3: return json.dumps(r.choice(DOCUMENTS)).encode()[:-1]
            case 4: return b'{"a":"' + b"x" * r.choice([1000, 70000]) + b'"}'
            case 5: return self._mutate(json.dumps(r.choice(DOCUMENTS)).encode())
        return json.dumps(r.choice(DOCUMENTS), ensure_ascii=r.random() < 0.5).encode("utf-8", "surrogatepass")

    def _framing(self, body: bytes) -> tuple[list[tuple[str, str]], bytes, bool]:
        """Fields that say how long the body is, the bytes on the wire, and whether they agree."""
        r = self._random
        size = str(len(body))
        chunked = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in (body[:7], body[7:]) if p) + b"0\r\n\r\n"
        match r.randint(0, 19):
            case 0: return [("Content-Length", r.choice(["+5", "-1", "5, 5", "0x5", "", "99999999999999999999", "5 5"]))], body, False
            case 1: return [("Content-Length", str(len(body) + 5))], body, False
            case 2: return [("Content-Length", size), ("Content-Length", size)], body, False
            case 3: return [("Content-Length", size), ("Transfer-Encoding", "chunked")], chunked, False
            case 4: return [("Transfer-Encoding", r.choice(["gzip, chunked", "identity", "chunked, gzip"]))], chunked, False
            case 5: return [("Transfer-Encoding", "chunked")], chunked[:-2], False
            case 6: return [], b"", True
            case 7 | 8 | 9: return [("Transfer-Encoding", "chunked")], chunked, True
        return [("Content-Length", size)], body, True

    def _mutate(self, data: bytes) -> bytes:
        r = self._random
        out = bytearray(data)
        for _ in range(r.randint(1, 4)):
            at = r.randrange(len(out) + 1)
            match r.randint(0, 3):
                case 0: out[at:at] = r.choice([b"\r\n", b"\n", b"\r", b"\0", b" ", b"\r\n ", b":", b"\xff", b"\xe2\x80\xa8"])
                case 1: del out[at:at + r.randint(1, 8)]
                case 2: out[at:at + 1] = r.randbytes(1)
                case 3: out[at:at] = out[max(0, at - 40):at]
        return bytes(out)


# --- judging ------------------------------------------------------------------------------------------


def judge(asked: Asked, answer: Answer) -> None:
    """What holds for every answer."""
    what = f"{answer.raw_head[:600]!r} {answer.body[:300]!r} to {asked.data[:1500]!r}"
    assert 200 <= answer.status < 600 and answer.status not in (500, 502, 504), what
    lines = answer.raw_head.split(b"\r\n")
    assert re.fullmatch(rb"HTTP/1\.[01] \d{3} [\x20-\x7e]*", lines[0]), what
    assert all(FIELD.fullmatch(line) for line in lines[1:]), what
    assert "x-injected" not in answer.headers, what
    if answer.status < 400 or asked.method == "HEAD":
        return
    kind = answer.headers.get("content-type", "").split(";")[0]
    assert answer.body.startswith(b"{"), what
    problem = json.loads(answer.body)
    if kind == "application/json" and b"POST" in asked.data:  # a batch of which nothing was stored: item by item
        assert problem["failed"] == len(problem["items"]) > 0 and all(item["error"]["code"] for item in problem["items"]), what
    else:
        assert kind == "application/problem+json", what
        assert problem["status"] == answer.status and problem["code"] and problem["title"], what
    if answer.status in (429, 503):
        assert "retry-after" in answer.headers, what
    if answer.status == 405:
        assert answer.headers["allow"], what


# --- asking -------------------------------------------------------------------------------------------


async def read_answer(asked: Asked, reader: asyncio.StreamReader) -> Answer | None:
    """The next answer; None at the end of the connection. Of a stream only the first block."""
    head = b""
    while not head or head.startswith(b"HTTP/1.1 100"):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            assert not error.partial, f"half a head: {error.partial!r} to {asked.data[:1500]!r}"
            return None
    lines = head[:-4].split(b"\r\n")
    headers = {k.decode("latin-1").lower(): v.strip().decode("latin-1") for k, _, v in (line.partition(b":") for line in lines[1:])}
    status = int(lines[0].split()[1])
    body = b""
    if asked.method != "HEAD" and status not in (204, 304):
        if headers.get("content-type", "").split(";")[0] in STREAMS:
            body = await reader.read(65536)
        elif "content-length" in headers:
            body = await reader.readexactly(int(headers["content-length"]))
        else:
            assert headers.get("transfer-encoding") != "chunked", f"an answer in chunks: {head!r}"
            body = await reader.read()
    return Answer(status, headers, body, head[:-4])


async def ask(port: int, asked: Asked, tally: Tally) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    tally.asked += 1
    try:
        if asked.reset:
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.write(asked.data[:asked.cut])
        if asked.cut is not None:
            tally.cut += 1
            return
        await writer.drain()
        if not asked.sure:
            writer.write_eof()
        answer = await read_answer(asked, reader)
        assert answer or not asked.sure, f"no answer to {asked.data[:1500]!r}"
        if answer:
            judge(asked, answer)
            tally.answers += 1
            tally.statuses[answer.status] = tally.statuses.get(answer.status, 0) + 1
            tally.streams += answer.headers.get("content-type", "").split(";")[0] in STREAMS
    except ConnectionError:
        assert not asked.sure, f"the connection broke; asked {asked.data[:1500]!r}"
    finally:
        writer.close()


async def _worker(port: int, generator: Generator, left: list[int], tally: Tally) -> None:
    while left[0] > 0:
        left[0] -= 1
        asked = generator.next()
        try:
            await asyncio.wait_for(ask(port, asked, tally), ANSWER_S)
        except TimeoutError:
            raise AssertionError(f"no end within {ANSWER_S} s; asked {asked.data[:1500]!r}") from None


def ask_many(port: int, count: int, seed: int, credentials: list[str], at_once: int = 16) -> Tally:
    """Send so many requests, judge each answer; fails at the first that is wrong."""
    tally = Tally()

    async def run() -> None:
        generator, left = Generator(seed, port, credentials), [count]
        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(_worker(port, generator, left, tally))

    try:
        asyncio.run(run())
    except* Exception as failures:
        raise AssertionError(f"seed {seed}, after {tally.asked} requests: {failures.exceptions[0]}") from failures
    return tally
