"""A raw HTTP/1 client for single answers: says exactly what is on the wire, adds nothing but Host."""

from __future__ import annotations

import http.client
import json
import socket
from dataclasses import dataclass


@dataclass
class Response:
    status: int
    version: int  # 10 or 11
    headers: dict[str, str]  # lower case; repeated ones joined by ", "
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def problem(self) -> dict:
        """The body as RFC 9457 problem details, checked for form."""
        kind = self.headers.get("content-type", "")
        assert kind.split(";")[0] == "application/problem+json", (self.status, kind, self.body[:300])
        problem = self.json
        assert problem["status"] == self.status, problem
        assert isinstance(problem["code"], str) and problem["code"], problem
        assert problem["title"], problem
        return problem


def head_bytes(port: int, method: str, target: str, headers: dict[str, str] | None, body: bytes | None,
               version: str = "1.1") -> bytes:
    """The bytes of a request. A header with value None is left out, also Host."""
    fields = {"Host": f"127.0.0.1:{port}"} | (headers or {})
    if body is not None and "Content-Length" not in fields:
        fields["Content-Length"] = str(len(body))
    lines = [f"{method} {target} HTTP/{version}"] + [f"{k}: {v}" for k, v in fields.items() if v is not None]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b"")


def request(port: int, method: str, target: str, headers: dict[str, str] | None = None, body: bytes | None = None,
            version: str = "1.1", timeout_s: float = 20) -> Response:
    """Send one request and read its whole answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as s:
        s.sendall(head_bytes(port, method, target, headers, body, version))
        answer = http.client.HTTPResponse(s, method=method)
        answer.begin()
        fields: dict[str, str] = {}
        for name, value in answer.getheaders():
            name = name.lower()
            fields[name] = f"{fields[name]}, {value}" if name in fields else value
        return Response(answer.status, answer.version, fields, answer.read())
