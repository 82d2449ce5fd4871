"""
Who asks: keys, tokens of every algorithm, the configuration that believes them, requests from other addresses, and the
grants collection. Written from the RFCs (7515, 7517, 7518, 7519), not from tailwater; every secret made here is
remembered (secrets_seen.py).
"""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import hmac
import http.client
import itertools
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

import http1
from conftest import ETL
from mongod import Mongod
from oracle import Rule, covers
from secrets_seen import SHORTEST, remember
from server import Server
from stream import Frame, Stream

SECRET = remember("a-signing-secret-of-at-least-32-bytes")
TICKET_SECRET = remember("a-ticket-secret-of-at-least-32-bytes")
PSS = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
ISSUER, AUDIENCE = "https://login.example", "tailwater"
STREAM = "/api/logs/stream"
END = "logs:etl:end:end"  # of end_marker(); everyone may read it where a test says so

# Codes of refusals, as documented.
MISSING, INVALID, NOTHING_GRANTED = "unauthorized", "invalid_credentials", "not_granted"


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def b64_json(value: Any) -> str:
    return b64(value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode())


def b64_int(number: int, size: int | None = None) -> str:
    return b64(number.to_bytes(size or (number.bit_length() + 7) // 8, "big"))


# --- keys -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Key:
    """A signing key with the one algorithm that it is for."""

    alg: str
    private: Any
    kid: str | None = None

    def sign(self, data: bytes, alg: str | None = None) -> bytes:
        match alg or self.alg:
            case "HS256": return hmac.digest(self.private, data, "sha256")
            case "HS384": return hmac.digest(self.private, data, "sha384")
            case "HS512": return hmac.digest(self.private, data, "sha512")
            case "RS256": return self.private.sign(data, padding.PKCS1v15(), hashes.SHA256())
            case "RS512": return self.private.sign(data, padding.PKCS1v15(), hashes.SHA512())
            case "PS256": return self.private.sign(data, PSS, hashes.SHA256())
            case "ES256": return self._raw_ecdsa(data)
            case "EdDSA": return self.private.sign(data)
        raise ValueError(alg)

    def _raw_ecdsa(self, data: bytes) -> bytes:
        r, s = utils.decode_dss_signature(self.der_ecdsa(data))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def der_ecdsa(self, data: bytes) -> bytes:
        return self.private.sign(data, ec.ECDSA(hashes.SHA256()))

    @property
    def jwk(self) -> dict:
        """The public half, as a JWKS holds it."""
        public = self.private.public_key()
        common = {"kid": self.kid, "alg": self.alg, "use": "sig"}
        if isinstance(public, rsa.RSAPublicKey):
            numbers = public.public_numbers()
            return common | {"kty": "RSA", "n": b64_int(numbers.n), "e": b64_int(numbers.e)}
        if isinstance(public, ec.EllipticCurvePublicKey):
            numbers = public.public_numbers()
            return common | {"kty": "EC", "crv": "P-256", "x": b64_int(numbers.x, 32), "y": b64_int(numbers.y, 32)}
        return common | {"kty": "OKP", "crv": "Ed25519", "x": b64(public.public_bytes(Encoding.Raw, PublicFormat.Raw))}

    def public_bytes(self, encoding: Encoding, form: PublicFormat) -> bytes:
        return self.private.public_key().public_bytes(encoding, form)


HS = Key("HS256", SECRET.encode())


@functools.cache
def key(alg: str, kid: str | None = None) -> Key:
    """The key of this algorithm and kid; another kid is another key. Without kid "alg-1"."""
    kid = kid or f"{alg}-1"
    if alg == "ES256":
        return Key(alg, ec.generate_private_key(ec.SECP256R1()), kid)
    if alg == "EdDSA":
        return Key(alg, ed25519.Ed25519PrivateKey.generate(), kid)
    return Key(alg, rsa.generate_private_key(65537, 2048), kid)


def key_set(*keys: Key) -> str:
    return json.dumps({"keys": [k.jwk for k in keys]})


# --- tokens -----------------------------------------------------------------------------------------


def keep_secret(text: str) -> str:
    return remember(text) if len(text) >= SHORTEST else text


def claims(user: str | None = "ann", channels: list[str] | None = None, exp_s: float = 300, **more) -> dict:
    """Claims as an identity provider makes them; None leaves a claim out."""
    exp = int(time.time() + exp_s)
    everything = {"sub": user, "channels": channels, "iss": ISSUER, "aud": AUDIENCE, "exp": exp, **more}
    return {k: v for k, v in everything.items() if v is not None}


def token(payload: dict | bytes | None = None, by: Key = HS, alg: str | None = None, **header) -> str:
    """A signed token. header: further members of its header; None leaves one out."""
    head = {"typ": "JWT", "alg": alg or by.alg, "kid": by.kid, **header}
    head = {k: v for k, v in head.items() if v is not None}
    signed = f"{b64_json(head)}.{b64_json(claims() if payload is None else payload)}"
    return keep_secret(f"{signed}.{b64(by.sign(signed.encode(), alg))}")


def unsigned(head: dict, payload: dict, signature: str = "") -> str:
    return keep_secret(f"{b64_json(head)}.{b64_json(payload)}.{signature}")


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def reader(user: str = "ann", channels: list[str] | None = None, exp_s: float = 300, **more) -> dict[str, str]:
    """The headers of a reader whose token grants these channels."""
    return bearer(token(claims(user, channels, exp_s, **more)))


# --- servers ----------------------------------------------------------------------------------------


def by_secret(**auth) -> dict:
    """An auth section that believes HS256 tokens."""
    return {"jwt": {"secret": SECRET, "issuer": ISSUER, "audience": AUDIENCE}, **auth}


_numbers = itertools.count(1)


@contextlib.contextmanager
def module_server(mongo: Mongod, name: str, *rules: Rule, env: dict[str, str] | None = None,
                  **options) -> Iterator[Server]:
    """A server for all tests of a module that leave nothing behind; server.db is its database."""
    database = f"t{os.getpid() % 100000}_i{next(_numbers)}_{name}"
    source = {"name": "logs", "tag": "a", "database": database, "mappings": [r.config for r in rules or (ETL,)]}
    server = Server({"mongodb": {"uri": mongo.uri, "max_await_ms": 100}, "sources": [source], **options}, env)
    server.db = mongo.client[database]
    try:
        yield server.start()
    finally:
        server.dispose()
        mongo.client.drop_database(database)


def log(db, workspace: str, workflow: str = "f1", **more) -> str:
    """Write one log of the ETL mapping; its _id as events have it."""
    return str(db.etl_logs.insert_one({"workspace_id": workspace, "workflow_id": workflow, **more}).inserted_id)


def ids(stream: Stream) -> list[str]:
    """What it received, by _id."""
    return [str(f.json["log_data"]["_id"]) for f in stream.events]


def end_marker(db) -> str:
    return log(db, "end", "end")


def wait_end_marker(stream: Stream) -> None:
    """Until end_marker()'s document: everything written before it is there by now."""
    stream.wait(lambda s: s.events and s.events[-1].json["channel"] == END, "the end marker")


# --- answers ----------------------------------------------------------------------------------------


def refusal(response: http1.Response) -> tuple[int, str]:
    return response.status, response.problem["code"]


def assert_refused(stream: Stream, code: str | None = None) -> str:
    """A temporary refusal in the form that browsers survive: 200, retry, refused, end. Its code."""
    frame = stream.wait_control("refused")
    stream.wait_end()
    assert stream.status == 200 and stream.headers["content-type"].startswith("text/event-stream")
    assert 500 <= stream.retry_ms <= 60000 and frame.json["retry_ms"] == stream.retry_ms and frame.id is None
    assert not stream.events and not stream.control("ready")
    assert code in (None, frame.json["code"]), frame
    return frame.json["code"]


def assert_unauthorized(response: http1.Response, code: str) -> dict:
    """401 in words, with the challenge that RFC 6750 asks for; its problem."""
    assert response.status == 401, (response.status, response.body[:300])
    assert response.problem["code"] == code, response.problem
    challenge = response.headers["www-authenticate"]
    assert challenge.startswith("Bearer"), challenge
    assert ('error="invalid_token"' in challenge) == (code == INVALID), challenge
    assert response.problem["detail"]
    return response.problem


class Peer:
    """A client at another address of the loopback network."""

    def __init__(self, server: Server, address: str):
        self._open = functools.partial(http.client.HTTPConnection, "127.0.0.1", server.port, timeout=20,
                                       source_address=(address, 0))
        self.connections: list[http.client.HTTPConnection] = []

    def get(self, target: str, headers: dict[str, str] | None = None) -> http.client.HTTPResponse:
        """The answer's head; its body is not read yet."""
        self.connections.append(self._open())
        self.connections[-1].request("GET", target, headers={"Accept": "text/event-stream"} | (headers or {}))
        return self.connections[-1].getresponse()

    def first_frame(self, target: str, headers: dict[str, str] | None = None) -> tuple[int, str]:
        """Status, and the stream's first event or the problem's code; (0, "closed") when no answer came."""
        try:
            answer = self.get(target, headers)
        except ConnectionError:
            return 0, "closed"
        if not answer.headers["Content-Type"].startswith("text/event-stream"):
            return answer.status, json.loads(answer.read())["code"]
        line = next(line for line in iter(answer.readline, b"") if line.startswith(b"event: "))
        return answer.status, line[7:].strip().decode()

    def close(self) -> None:
        for connection in self.connections:
            connection.close()


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


# --- the grants collection ----------------------------------------------------------------------------

KEEP = ["logs:etl:keep:*", END]  # of tokens, so that a stream outlives its other grants
WORKSPACES = [f"w{i}" for i in range(5)]


@pytest.fixture
def follow(serve, dbname) -> Callable:
    """A server that follows the grants collection of the test's database."""

    def start(*rules, auth: dict | None = None, **more):
        return serve(*(rules or [ETL]), auth=by_secret(grants_collection=f"{dbname}.grants", **(auth or {})), **more)

    return start


def grant(db, user: str, *patterns: str) -> None:
    db.grants.replace_one({"_id": user}, {"read": list(patterns)}, upsert=True)


def may(server, user: str) -> bool:
    """Does this user get in?"""
    return server.request("HEAD", f"{STREAM}?channels=logs:*&errors=status", reader(user)).status == 200


def of(workspace: str) -> str:
    return f"logs:etl:{workspace}:*"


def open_all(hub, server, user: str, claim: list[str] = (), **more) -> Stream:
    """Everything that the user may read."""
    stream = hub.open(server.port, {"channels": "logs:*"} | more, headers=reader(user, list(claim)))
    stream.wait_ready()
    return stream


def wait_granted(stream: Stream, *patterns: str) -> Frame:
    """The newest ready lists exactly these."""
    def told(s: Stream) -> Frame | None:
        newest = (s.control("ready") or [None])[-1]
        return newest if newest and sorted(newest.json["channels"]) == sorted(patterns) else None

    return stream.wait(told, f"a ready with {patterns}")


def wait_revoked(stream: Stream, *patterns: str) -> Frame:
    """All of these have been told to be over."""
    def told(s: Stream) -> list[Frame]:
        frames = s.control("revoked")
        return frames if {p for f in frames for p in f.json["channels"]} >= set(patterns) else []

    return stream.wait(told, f"revoked {patterns}")[-1]


def assert_told(stream: Stream) -> None:
    """Each event was of a channel that, by the frames before it, the stream had at that moment."""
    now: set[str] = set()
    for frame in list(stream.frames):
        match frame.event:
            case "ready": now = set(frame.json["channels"])
            case "revoked": now -= set(frame.json["channels"])
            case _ if frame.data and not frame.is_control:
                assert any(covers(p, frame.json["channel"]) for p in now), (frame, now)
