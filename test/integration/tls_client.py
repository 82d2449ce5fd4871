"""The test suite's server and clients, speaking TLS."""

from __future__ import annotations

import asyncio
import http.client
import socket
import ssl
from collections.abc import Iterable
from urllib.parse import urlencode

import http1
from certificates import Certificate
from deadline import WAIT_S
from server import Server
from stream import Hub, Stream


def trusting(certificate: Certificate) -> ssl.SSLContext:
    """What a client that knows this certificate connects with. An end without close_notify is an error to it."""
    context = ssl.create_default_context(cafile=certificate.chain)
    context.set_alpn_protocols(["http/1.1"])
    return context


def connect(port: int, context: ssl.SSLContext, session: ssl.SSLSession | None = None) -> ssl.SSLSocket:
    plain = socket.create_connection(("127.0.0.1", port), timeout=WAIT_S)
    return context.wrap_socket(plain, server_hostname="localhost", suppress_ragged_eofs=False, session=session)


def read_all(s: ssl.SSLSocket) -> bytes:
    """What comes until close_notify."""
    parts = []
    while part := s.recv(65536):
        parts.append(part)
    return b"".join(parts)


def read_answer(s: ssl.SSLSocket) -> http.client.HTTPResponse:
    """One answer, of which nothing is left unread."""
    answer = http.client.HTTPResponse(s)
    answer.begin()
    answer.read()
    return answer


def exchange(port: int, context: ssl.SSLContext, data: bytes) -> bytes:
    with connect(port, context) as s:
        s.sendall(data)
        return read_all(s)


class TlsServer(Server):
    """A server whose listener speaks TLS."""

    def __init__(self, certificate: Certificate, config: dict, env: dict[str, str] | None = None):
        super().__init__({"tls": certificate.options, **config}, env)
        self.context = trusting(certificate)

    def request(self, method: str, target: str, headers: dict[str, str] | None = None, body: bytes | None = None,
                **more) -> http1.Response:
        with connect(self.port, self.context) as s:
            s.sendall(http1.head_bytes(self.port, method, target, headers, body))
            answer = http.client.HTTPResponse(s, method=method)
            answer.begin()
            fields = {name.lower(): value for name, value in answer.getheaders()}
            return http1.Response(answer.status, answer.version, fields, answer.read())

    def get(self, target: str, headers: dict[str, str] | None = None, **more) -> http1.Response:
        return self.request("GET", target, headers)


def open_streams(hub: Hub, server: TlsServer, targets: Iterable[str | dict], receive_buffer: int | None = None,
                 version: str = "1.1", at_once: int = 50) -> list[Stream]:
    """As hub.open_many(), over TLS."""
    gate = asyncio.Semaphore(at_once)

    async def one(stream: Stream) -> None:
        async with gate:
            s = socket.socket()
            s.setblocking(False)
            if receive_buffer:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(s, ("127.0.0.1", server.port))
            await loop.create_connection(lambda: stream, sock=s, ssl=server.context, server_hostname="localhost")

    async def every(streams: list[Stream]) -> None:
        await asyncio.gather(*(one(s) for s in streams))

    streams = []
    for target in targets:
        path = f"/api/logs/stream?{urlencode(target)}" if isinstance(target, dict) else target
        head = http1.head_bytes(server.port, "GET", path, {"Accept": "text/event-stream"}, None, version)
        streams.append(Stream(head, None, False))
    asyncio.run_coroutine_threadsafe(every(streams), hub._loop).result(WAIT_S * 4)
    return streams
