"""
A stream client on raw sockets: all connections live on one asyncio loop in a thread of its own, every frame is kept with
the time it arrived. parse_with_library() gives what real SSE parsers make of the very same bytes.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from urllib.parse import urlencode

import http1
from deadline import WAIT_S, Expired

CONTROL = {"ready", "caught-up", "gap", "skipped", "source", "revoked", "goaway", "heartbeat", "refused"}
EVENT_ID = re.compile(r"[0-9a-f]{16}-[0-9a-f]{12}")
POSITION = re.compile(r"[0-9a-f]{16}")


@dataclass(slots=True)
class Frame:
    event: str | None = None
    data: str | None = None
    id: str | None = None
    retry: int | None = None
    at: float = 0.0  # time.monotonic()
    raw: bytes = b""

    @property
    def json(self):
        return json.loads(self.data)

    @property
    def is_control(self) -> bool:
        return self.event in CONTROL

    def __repr__(self) -> str:
        return f"<{self.event} {self.id} {(self.data or '')[:160]}>"


def parse_frame(raw: bytes, at: float = 0.0) -> Frame:
    """One block of "field: value" lines, strictly as tailwater must write them: LF, known fields, one space."""
    frame = Frame(at=at, raw=raw)
    data = []
    for line in raw.split(b"\n"):
        if line.startswith(b":"):
            continue
        name, colon, value = line.partition(b": ")
        assert colon, f"not a field: {line[:200]!r} in {raw[:300]!r}"
        assert b"\r" not in value and b"\0" not in value, raw[:300]
        text = value.decode("utf-8")
        match name:
            case b"id": frame.id = text
            case b"event": frame.event = text
            case b"data": data.append(text)
            case b"retry": frame.retry = int(text)
            case _: raise AssertionError(f"unknown field {name!r} in {raw[:300]!r}")
    if data:
        frame.data = "\n".join(data)
    return frame


class Stream(asyncio.Protocol):
    """One connection. Methods are for test threads unless they are asyncio callbacks."""

    def __init__(self, request: bytes, on_frame: Callable[["Stream", Frame], bool] | None = None, keep_body: bool = False):
        self.status: int | None = None
        self.version = ""
        self.headers: dict[str, str] = {}
        self.frames: list[Frame] = []
        self.body = bytearray()  # without chunk framing; with keep_body
        self.text = bytearray()  # of an answer that is no stream
        self.ended: str | None = None  # "last-chunk", "eof", "reset", "cut" (by us)
        self.error: Exception | None = None
        self.received_bytes = 0
        self.opened_at = 0.0
        self.headers_at = 0.0
        self._request = request
        self._on_frame = on_frame
        self._keep_body = keep_body
        self._wire = bytearray()
        self._pending = bytearray()
        self._chunked = False
        self._separator: bytes | None = None
        self._changed = threading.Condition()
        self._transport: asyncio.Transport | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    # --- for test threads ---------------------------------------------------------------------------

    def wait(self, condition: Callable[["Stream"], object], what: str, timeout_s: float = WAIT_S):
        """Wait until condition(self) is truthy; fails at the deadline and when the stream ended before."""
        end = time.monotonic() + timeout_s
        with self._changed:
            while True:
                if self.error:
                    raise self.error
                value = condition(self)
                if value:
                    return value
                left = end - time.monotonic()
                if left <= 0 or self.ended:
                    why = f"stream {self.ended}" if self.ended else f"not within {timeout_s:g} s"
                    raise Expired(f"{why}: {what}; {self.status} {bytes(self.text[:300])!r}, "
                                  f"{len(self.frames)} frames, last {self.frames[-3:]}")
                self._changed.wait(left)

    def wait_ready(self) -> Frame:
        return self.wait(lambda s: s.control("ready"), "ready")[0]

    def wait_events(self, count: int, timeout_s: float = WAIT_S) -> list[Frame]:
        self.wait(lambda s: len(s.events) >= count, f"{count} events", timeout_s)
        return self.events

    def wait_control(self, name: str, timeout_s: float = WAIT_S) -> Frame:
        return self.wait(lambda s: s.control(name), name, timeout_s)[0]

    def wait_end(self, timeout_s: float = WAIT_S) -> str:
        return self.wait(lambda s: s.ended, "the end of the stream", timeout_s)

    def control(self, name: str) -> list[Frame]:
        return [f for f in list(self.frames) if f.event == name]

    @property
    def events(self) -> list[Frame]:
        """Frames that carry documents."""
        return [f for f in list(self.frames) if f.data is not None and not f.is_control]

    @property
    def last_id(self) -> str | None:
        """What a browser would send as Last-Event-ID now."""
        return next((f.id for f in reversed(list(self.frames)) if f.id is not None), None)

    @property
    def retry_ms(self) -> int | None:
        return next((f.retry for f in list(self.frames) if f.retry is not None), None)

    @property
    def ready(self) -> dict:
        return self.control("ready")[0].json

    def abort(self) -> None:
        """Cut: nothing that arrives later is seen."""
        self._call(self._cut)

    def half_close(self) -> None:
        self._call(lambda: self._transport.write_eof())

    def pause(self) -> None:
        self._call(lambda: self._transport.pause_reading())

    def resume(self) -> None:
        self._call(lambda: self._transport.resume_reading())

    def send(self, data: bytes) -> None:
        self._call(lambda: self._transport.write(data))

    def unsent(self) -> int:
        return self._call(lambda: self._transport.get_write_buffer_size())

    def _call(self, function: Callable[[], object]):
        done = threading.Event()
        result: list = []

        def run() -> None:
            try:
                result.append(function())
            finally:
                done.set()

        self._loop.call_soon_threadsafe(run)
        assert done.wait(WAIT_S)
        return result[0] if result else None

    # --- asyncio callbacks ----------------------------------------------------------------------------

    def connection_made(self, transport) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        self.opened_at = time.monotonic()
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if self.ended:
            return
        self.received_bytes += len(data)
        with self._changed:
            try:
                self._wire += data
                self._advance()
            except Exception as error:  # noqa: BLE001 - shown to the waiting test
                self.error = error
                self._transport.abort()
            self._changed.notify_all()

    def connection_lost(self, exc: Exception | None) -> None:
        with self._changed:
            self.ended = self.ended or ("reset" if exc else "eof")
            self._changed.notify_all()

    # --- inside ---------------------------------------------------------------------------------------

    def _cut(self) -> None:
        with self._changed:
            self.ended = self.ended or "cut"
            self._transport.abort()
            self._changed.notify_all()

    def _advance(self) -> None:
        if self.status is None:
            head, found, rest = bytes(self._wire).partition(b"\r\n\r\n")
            if not found:
                return
            self._read_head(head.decode("latin-1"))
            self._wire = bytearray(rest)
        if self._chunked:
            self._dechunk()
        else:
            self._take(bytes(self._wire))
            self._wire.clear()

    def _read_head(self, head: str) -> None:
        line, *fields = head.split("\r\n")
        self.version, status, *_ = line.split(" ", 2)
        self.headers_at = time.monotonic()
        for text in fields:
            name, _, value = text.partition(":")
            self.headers[name.lower()] = value.strip()
        self._chunked = self.headers.get("transfer-encoding", "").lower() == "chunked"
        kind = self.headers.get("content-type", "").split(";")[0]
        self._separator = {"text/event-stream": b"\n\n", "application/x-ndjson": b"\n"}.get(kind)
        self.status = int(status)

    def _dechunk(self) -> None:
        wire, at, out = self._wire, 0, bytearray()
        while True:
            end = wire.find(b"\r\n", at)
            if end < 0:
                break
            size = int(bytes(wire[at:end]), 16)
            if len(wire) < end + 2 + size + 2:
                break
            assert wire[end + 2 + size:end + 4 + size] == b"\r\n", "chunk framing is broken"
            out += wire[end + 2:end + 2 + size]
            at = end + 4 + size
            if size == 0:
                self._take(bytes(out))
                self.ended = self.ended or "last-chunk"
                self._transport.close()
                return
        del wire[:at]
        self._take(bytes(out))

    def _take(self, data: bytes) -> None:
        if self._keep_body:
            self.body += data
        if self._separator is None:
            self.text += data
            return
        self._pending += data
        *blocks, rest = bytes(self._pending).split(self._separator)
        self._pending = bytearray(rest)
        now = time.monotonic()
        for block in blocks:
            frame = self._frame(block, now)
            self.frames.append(frame)
            if self._on_frame and self._on_frame(self, frame):
                self._cut()
                return

    def _frame(self, block: bytes, now: float) -> Frame:
        if self._separator == b"\n\n":
            return parse_frame(block, now)
        line = json.loads(block)
        assert set(line) <= {"id", "event", "data"}, line
        return Frame(line.get("event"), json.dumps(line.get("data")), line.get("id"), None, now, block)


class Hub:
    """The loop thread that all streams of the test session live on."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def open(self, port: int, target: str | dict, **more) -> Stream:
        return self.open_many(port, [target], **more)[0]

    def open_many(self, port: int, targets: Iterable[str | dict], method: str = "GET",
                  headers: dict[str, str] | None = None, body: bytes | None = None, version: str = "1.1",
                  on_frame: Callable[[Stream, Frame], bool] | None = None, keep_body: bool = False,
                  receive_buffer: int | None = None, at_once: int = 500) -> list[Stream]:
        """Connect one stream per target; a dict becomes the query of /api/logs/stream."""
        streams = []
        for target in targets:
            path = f"/api/logs/stream?{urlencode(target)}" if isinstance(target, dict) else target
            fields = {"Accept": "text/event-stream"} | (headers or {})
            streams.append(Stream(http1.head_bytes(port, method, path, fields, body, version), on_frame, keep_body))
        future = asyncio.run_coroutine_threadsafe(self._connect(port, streams, receive_buffer, at_once), self._loop)
        future.result(WAIT_S * 4)
        return streams

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    async def _connect(self, port: int, streams: list[Stream], receive_buffer: int | None, at_once: int) -> None:
        gate = asyncio.Semaphore(at_once)

        async def one(stream: Stream) -> None:
            async with gate:
                s = socket.socket()
                s.setblocking(False)
                if receive_buffer:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
                await self._loop.sock_connect(s, ("127.0.0.1", port))
                await self._loop.create_connection(lambda: stream, sock=s)

        await asyncio.gather(*(one(s) for s in streams))


@dataclass
class Parsed:
    """What a parser library makes of a stream: (event, data, last event id), as dispatched to an application."""

    events: list[tuple[str, str, str]] = field(default_factory=list)
    retry: int | None = None


def own_view(frames: Iterable[Frame]) -> Parsed:
    """The frames as the standard says a client dispatches them."""
    parsed, last = Parsed(), ""
    for f in frames:
        last = f.id if f.id is not None else last
        parsed.retry = f.retry if f.retry is not None else parsed.retry
        if f.data is not None:
            parsed.events.append((f.event or "message", f.data, last))
    return parsed


def parse_with_httpx_sse(body: bytes) -> Parsed:
    """The same bytes through httpx-sse."""
    import httpx
    from httpx_sse import EventSource

    parsed = Parsed()
    response = httpx.Response(200, headers={"Content-Type": "text/event-stream"}, content=body)
    for sse in EventSource(response).iter_sse():
        parsed.retry = sse.retry if sse.retry is not None else parsed.retry
        if sse.data:
            parsed.events.append((sse.event, sse.data, sse.id))
    return parsed


def parse_with_sseclient(body: bytes, piece: int = 1000) -> Parsed:
    """The same bytes through sseclient-py, in pieces. It gives an event's own id only, and no retry without data."""
    import sseclient

    parsed, last = Parsed(), ""
    pieces = [body[i:i + piece] for i in range(0, len(body), piece)]
    for sse in sseclient.SSEClient(pieces).events():
        last = sse.id if sse.id is not None else last
        if sse.data:
            parsed.events.append((sse.event or "message", sse.data.rstrip("\n"), last))
    return parsed
