"""
A crowd of clients that behave like browsers and keep their own record of what they were told.

    crowd = Crowd([first.port, second.port], interests(64))     # one client per interest
    crowd.wait_connected()
    ...                                                         # faults; clients reconnect by themselves
    records = crowd.take_records()                              # what each was told since the last time
    crowd.close()

Most tests want the whole stage (stage.py), which owns tailwaters, writers, a crowd and the judge:

    def test_something(stage):
        with stage.fault("something") as fault:     # writers write
            stage.cluster.step_down()
            stage.flow()                            # until writers and clients have moved on
        # writers stop, everything heals, every client's record is compared with the truth: 0 lost, 0 duplicated, 0 out of
        # order and no gap, or this fails; fault(gaps=True): gaps are allowed where the truth has a loss

What a client does:
  * connects to one instance; after each end of a connection to the other one in turn, after the time of the last `retry:`,
    with Last-Event-ID when it has an id;
  * takes every id of a complete frame as its last one, also those of heartbeats, as browsers do;
  * notes, in the order of arrival: starts (the id of `ready`, what it says of the resume), events (id, key), rows (an event
    without id, read from a collection), gaps and overlaps;
  * dies of a permanent status (4xx), as browsers do, and is then a failure of the test;
  * with patience_s, gives up a connection on which nothing came for so long, as client libraries do; without, never, as
    browsers do. Heartbeats count as something.

An event's key is its `_id` as text: traffic.py gives each document of a stage one of its own.

All clients live on one asyncio loop in a thread of its own. A frame costs about 15 microseconds, so that 300 clients with a few
thousand frames a second in all leave the machine to the others.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import urlencode

import http1
from deadline import until
from stream import CONTROL

FIRST_RETRY_MS = 500
SMALL_BUFFER_BYTES = 4096
SO_ATTACH_FILTER = 26
DROP_ALL = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))  # one BPF instruction: return 0
HEAD_END = b"\r\n\r\n"


class Change(NamedTuple):
    """One event of the truth."""

    time: str  # cluster time, 16 hex digits
    key: str
    channel: str  # without what the grammar would encode
    level: str | None


@dataclass(frozen=True)
class Interest:
    """What a client asks for, and which events that is."""

    name: str
    query: tuple[tuple[str, str], ...]
    wants: Callable[[Change], bool]
    is_dense: bool = False  # gets so much that its silence means something


@dataclass
class Entry:
    """One line of a record."""

    kind: str  # "start", "event", "row", "gap", "caught-up"
    id: str | None
    key: str = ""
    data: dict = field(default_factory=dict)  # of a gap, a start or a caught-up

    def __str__(self) -> str:
        telling = ("asked", "port", "resumed", "before", "reason", "from", "to", "events")
        facts = {k: v for k, v in self.data.items() if k in telling}
        return f"{self.kind} {self.id} {self.key} {facts or ''}".rstrip()


@dataclass
class Record:
    """What one client was told in a window of the test."""

    number: int
    interest: Interest
    entries: list[Entry]
    silence_s: float  # the longest time between two events
    connects: int
    last_id: str | None
    is_patient: bool


def find_key(data: bytes) -> str:
    """The text of the document's _id, without parsing the rest."""
    at = data.find(b'"_id":', data.find(b'"log_data":')) + 6
    if data[at:at + 1] == b'"':
        return data[at + 1:data.index(b'"', at + 1)].decode()
    end = at
    while data[end] not in b",}":
        end += 1
    return data[at:end].decode()


class Client(asyncio.Protocol):
    """One client through all its connections. Everything here runs on the crowd's loop."""

    def __init__(self, crowd: "Crowd", number: int, interest: Interest, patience_s: float | None):
        self.interest = interest
        self.last_id: str | None = None
        self.connected = False  # has been told `ready` on the present connection
        self.fatal: str | None = None
        self.stopped = False
        self.events = 0  # of this window
        self.last_key = ""
        self.number = number
        self.has_small_buffer = number % 3 == 0  # its window closes soon after it stops reading
        self._crowd = crowd
        self._turn = number
        self._patience_s = patience_s
        self._retry_ms = FIRST_RETRY_MS
        self._at_once = False
        self._paused = False
        self._target = "/api/logs/stream?" + urlencode(interest.query)
        self._entries: list[Entry] = []
        self._connects = 0
        self._event_at = 0.0
        self._silence_s = 0.0
        self._heard_at = 0.0
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._forget_connection()

    # --- connections --------------------------------------------------------------------------------

    def connect(self) -> None:
        self._timer = None
        if not self.stopped:
            self._crowd.keep(asyncio.ensure_future(self._try()))

    async def _try(self) -> None:
        self._turn += 1
        port = self._crowd.ports[self._turn % len(self._crowd.ports)]
        sock = socket.socket()
        sock.setblocking(False)
        if self.has_small_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER_BYTES)
        try:
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
            await asyncio.get_running_loop().create_connection(lambda: self, sock=sock)
        except OSError:
            sock.close()
            self._come_back()

    def _come_back(self) -> None:
        self._forget_connection()
        if not self.stopped and not self.fatal and self._timer is None:
            wait_s = 0 if self._at_once else self._retry_ms / 1000
            self._at_once = False
            self._timer = asyncio.get_running_loop().call_later(wait_s, self.connect)

    def _forget_connection(self) -> None:
        self._transport = None
        self.connected = self._paused = False
        self._status = 0
        self._chunked = False
        self._wire = b""
        self._body = b""

    def cut(self, at_once: bool) -> None:
        """Leave, half of the clients by RST, and come back after the usual time or at once."""
        if self._transport:
            self._at_once = at_once
            if self.number % 4 in (0, 3):
                self._set_option(socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()

    def vanish(self) -> object | None:
        """Be gone as by a cable that is pulled: the kernel drops what comes, unanswered. Come back by a new connection; the old
        one is returned."""
        gone = self._transport
        if gone:
            gone.pause_reading()
            gone.set_protocol(asyncio.Protocol())
            self._set_option(SO_ATTACH_FILTER, struct.pack("HxxxxxxP", 1, ctypes.addressof(DROP_ALL)))
            self._come_back()
        return gone

    def _set_option(self, option: int, value: bytes) -> None:
        self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, option, value)

    def stop(self) -> None:
        self.stopped = True
        if self._timer:
            self._timer.cancel()
        if self._transport:
            self._transport.abort()

    def pause(self) -> None:
        if self._transport and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._paused:
            self._paused = False
            self._heard_at = time.monotonic()
            self._transport.resume_reading()

    def check_patience(self, now: float) -> None:
        if self._patience_s and self._transport and not self._paused and now - self._heard_at > self._patience_s:
            self._transport.abort()

    # --- asyncio ------------------------------------------------------------------------------------

    def connection_made(self, transport) -> None:
        if self.stopped:
            transport.abort()
            return
        self._transport = transport
        self._connects += 1
        self._heard_at = time.monotonic()
        # A proxy's answer that is no endless stream ends with its connection.
        fields = {"Accept": "text/event-stream", "Connection": "close"} | ({"Last-Event-ID": self.last_id} if self.last_id else {})
        port = transport.get_extra_info("peername")[1]
        transport.write(http1.head_bytes(port, "GET", self._target, fields, None))

    def data_received(self, data: bytes) -> None:
        self._heard_at = time.monotonic()
        try:
            self._wire += data
            if self._status or self._read_head():
                self._read_body()
        except Exception as error:  # noqa: BLE001 - shown by the judge
            self.fatal = f"broken stream: {error!r} near {self._wire[:200]!r}"
            self._transport.abort()

    def connection_lost(self, _: Exception | None) -> None:
        self._come_back()

    # --- what comes -----------------------------------------------------------------------------------

    def _read_head(self) -> bool:
        head, found, rest = self._wire.partition(HEAD_END)
        if not found:
            return False
        self._status = int(head.split(b" ", 2)[1])
        if self._status != 200:
            self.fatal = f"status {self._status}"
            self._transport.abort()
            return False
        self._chunked = b"transfer-encoding: chunked" in head.lower()
        self._wire = rest
        return True

    def _read_body(self) -> None:
        if self._chunked:
            self._dechunk()
        else:
            self._body, self._wire = self._body + self._wire, b""
        *blocks, self._body = self._body.split(b"\n\n")
        for block in blocks:
            self._take(block)

    def _dechunk(self) -> None:
        wire, at, parts = self._wire, 0, [self._body]
        while (end := wire.find(b"\r\n", at)) >= 0:
            size = int(wire[at:end], 16)
            if len(wire) < end + size + 4:
                break
            parts.append(wire[end + 2:end + 2 + size])
            at = end + size + 4
        self._wire = wire[at:]
        self._body = b"".join(parts)

    def _take(self, block: bytes) -> None:
        id_, event, data = None, "", b""
        for line in block.split(b"\n"):
            name, _, value = line.partition(b": ")
            if name == b"data":
                data = value
            elif name == b"id":
                id_ = value.decode()
            elif name == b"event":
                event = value.decode()
            elif name == b"retry":
                self._retry_ms = int(value)
        if event in CONTROL:
            self._take_control(id_, event, json.loads(data))
        elif data:
            self._take_event(id_, find_key(data))
        self.last_id = id_ or self.last_id

    def _take_event(self, id_: str | None, key: str) -> None:
        now = self._heard_at
        if self._event_at:
            self._silence_s = max(self._silence_s, now - self._event_at)
        self._event_at = now
        self.events += 1
        self.last_key = key
        self._entries.append(Entry("event" if id_ else "row", id_, key))

    def _take_control(self, id_: str | None, event: str, data: dict) -> None:
        if event == "ready":
            self.connected = True
            port = self._transport.get_extra_info("peername")[1]
            self._entries.append(Entry("start", id_, data=data | {"asked": self.last_id, "port": port}))
        elif event in ("gap", "caught-up"):
            self._entries.append(Entry(event, id_, data=data | {"before": self.last_id}))

    def take_record(self) -> Record:
        """The window ends: what was noted, and a new page."""
        record = Record(self.number, self.interest, self._entries, self._silence_s, self._connects, self.last_id,
                        not self._patience_s)
        self._entries = []
        self._connects = self.events = 0
        self._silence_s = self._event_at = 0.0
        return record


class Crowd:
    """All clients of a stage. Methods are for test threads."""

    def __init__(self, ports: list[int], interests: list[Interest], patience_s: float = 4.0):
        """Half of the clients of each instance are patient for ever, the others for patience_s (keep heartbeat_s well below)."""
        self.ports = ports
        self.clients = [Client(self, i, interest, patience_s if i // 2 % 2 else None) for i, interest in enumerate(interests)]
        self._tasks: set[asyncio.Future] = set()
        self._vanished: list = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._call(self._start)

    def close(self) -> None:
        self._call(lambda: [c.stop() for c in self.clients] + [t.abort() for t in self._vanished])
        self._call(lambda: None)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def wait_connected(self, timeout_s: float = 30) -> None:
        until(lambda: all(c.connected or c.fatal for c in self.clients), "all clients are connected", timeout_s)
        assert not self.fatal, self.fatal[:5]

    @property
    def fatal(self) -> list[str]:
        """What made clients give up for good."""
        return [f"client {c.number} ({c.interest.name}): {c.fatal}" for c in self.clients if c.fatal]

    @property
    def connected(self) -> int:
        return sum(c.connected for c in self.clients)

    @property
    def events(self) -> int:
        """That all clients have got in this window."""
        return sum(c.events for c in self.clients)

    def cut(self, clients: list[Client] | None = None, at_once: bool = True) -> None:
        """Clients leave and come back, all of them in the same moment."""
        self._call(lambda: [c.cut(at_once) for c in clients or self.clients])

    def vanish(self, clients: list[Client]) -> None:
        """They are gone without a word, and come back by new connections."""
        self._vanished += self._call(lambda: [t for c in clients if (t := c.vanish())])

    def pause(self, clients: list[Client]) -> None:
        """They stop reading."""
        self._call(lambda: [c.pause() for c in clients])

    def resume(self, clients: list[Client]) -> None:
        self._call(lambda: [c.resume() for c in clients])

    def take_records(self) -> list[Record]:
        return self._call(lambda: [c.take_record() for c in self.clients])

    def keep(self, task: asyncio.Future) -> None:
        """asyncio holds tasks weakly."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _start(self) -> None:
        for client in self.clients:
            client.connect()
        self._watch_patience()

    def _watch_patience(self) -> None:
        now = time.monotonic()
        for client in self.clients:
            client.check_patience(now)
        self._loop.call_later(0.5, self._watch_patience)

    def _call(self, function: Callable):
        async def run():
            return function()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(30)
