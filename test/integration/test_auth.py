"""Who asks: tokens of every algorithm, what is refused and how, key files, cookies, proxies, nobody, open mode."""

from __future__ import annotations

import http.client
import json
import os
import socket
import time

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

import http1
from conftest import ETL
from deadline import until
from identities import (AUDIENCE, HS, INVALID, ISSUER, MISSING, NOTHING_GRANTED, SECRET, STREAM, TICKET_SECRET, Key,
                        Peer, assert_unauthorized, b64, b64_json, bearer, by_secret, claims, keep_secret, key, key_set,
                        log, module_server, reader, refusal, sha256, token, unsigned)
from oracle import Rule
from server import run_cli

ALERTS = Rule("alerts", "alerts", ("user",))
OURS, PUBLIC = "logs:etl:w1:f1", "logs:etl:public:f1"
ASK = f"{STREAM}?channels={OURS}"
ASK_PUBLIC = f"{STREAM}?channels={PUBLIC}"
ALL = ["logs:*"]
ORIGIN = "https://app.example"


@pytest.fixture(scope="module")
def keys(mongo, tmp_path_factory):
    """A server that believes a key set, and grants something to the anonymous."""
    file = tmp_path_factory.mktemp("keys") / "jwks.json"
    file.write_text(key_set(key("RS256"), key("PS256"), key("ES256")))
    auth = {"jwt": {"jwks_file": str(file), "issuer": ISSUER, "audience": AUDIENCE}, "anonymous": ["logs:etl:public:*"]}
    with module_server(mongo, "keys", auth=auth) as server:
        yield server


@pytest.fixture(scope="module")
def secret(mongo):
    """A server that believes a secret, a cookie and a proxy at 127.0.0.1; nothing for the anonymous."""
    auth = by_secret(cookie="tw", ticket_secret=TICKET_SECRET, proxies=["127.0.0.1/32"],
                     grants={"everyone": ["alerts:{user}", "logs:*:{workspace}:*"]})
    with module_server(mongo, "secret", ETL, ALERTS, auth=auth, env={"ALLOWED_ORIGINS": ORIGIN}) as server:
        yield server


# --- good tokens --------------------------------------------------------------------------------------


@pytest.mark.parametrize("alg", ["HS256", "RS256", "PS256", "ES256"])
def test_each_algorithm(keys, secret, hub, alg):
    """A good token opens a stream for what it grants, and for nothing else."""
    server, by = (secret, HS) if alg == "HS256" else (keys, key(alg))
    headers = bearer(token(claims(channels=[OURS]), by))
    stream = hub.open(server.port, {"channels": f"{OURS},logs:etl:w2:*"}, headers=headers)
    assert stream.wait_ready().json["channels"] == [OURS]
    log(server.db, "w2")
    mine = log(server.db, "w1")
    assert stream.wait_events(1)[0].json["log_data"]["_id"] == mine
    stream.abort()


def test_forms_of_good_tokens(secret, keys):
    """An audience among several, a scheme in small letters, no typ, clocks that differ a little."""
    for headers in (reader(channels=ALL, aud=["other", AUDIENCE]), bearer(token(claims(channels=ALL), typ=None)),
                    reader(channels=ALL, nbf=time.time() + 5),
                    reader(channels=ALL, iat=time.time() + 5, jti="x", email="a@b.example"),
                    {"Authorization": "bearer " + token(claims(channels=ALL))}):
        assert secret.request("HEAD", ASK, headers).status == 200, headers
    other = bearer(token(claims(channels=ALL), key("RS256"), typ="at+jwt"))
    assert keys.request("HEAD", ASK, other).status == 200


def test_grants_claim_can_have_another_name(serve):
    server = serve(ETL, auth={"jwt": {"secret": SECRET, "grants_claim": "tw_read"}})
    assert server.request("HEAD", ASK, bearer(token(claims(tw_read=ALL)))).status == 200
    assert refusal(server.get(ASK, reader(channels=ALL))) == (403, NOTHING_GRANTED)


# --- bad tokens ---------------------------------------------------------------------------------------

RS, PS, ES, STRANGER = key("RS256"), key("PS256"), key("ES256"), key("RS256", "stranger")
GOOD = {"channels": ALL}


def confused(encoding: Encoding, form: PublicFormat, kid: str | None = "RS256-1") -> str:
    """HS256 with a public key as the secret."""
    return token(claims(**GOOD), Key("HS256", RS.public_bytes(encoding, form), kid))


def with_signature(text: str, signature: bytes) -> str:
    return keep_secret(f"{text.rpartition('.')[0]}.{b64(signature)}")


def other_payload(text: str) -> str:
    head, _, signature = text.split(".")
    return keep_secret(f"{head}.{b64_json(claims('root', **GOOD))}.{signature}")


def der_signed() -> str:
    signed = token(claims(**GOOD), ES).rpartition(".")[0]
    return with_signature(signed + ".", ES.der_ecdsa(signed.encode()))


BAD = {
    "none": lambda: unsigned({"alg": "none"}, claims(**GOOD)),
    "none, signed": lambda: unsigned({"alg": "none", "kid": "RS256-1"}, claims(**GOOD), b64(b"x" * 256)),
    "None": lambda: unsigned({"alg": "nOnE", "typ": "JWT"}, claims(**GOOD)),
    "no alg": lambda: unsigned({"typ": "JWT"}, claims(**GOOD)),
    "HS by PEM": lambda: confused(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    "HS by PKCS1": lambda: confused(Encoding.PEM, PublicFormat.PKCS1),
    "HS by DER": lambda: confused(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
    "HS by PEM without kid": lambda: confused(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo, None),
    "HS by JWK": lambda: token(claims(**GOOD), Key("HS256", json.dumps(RS.jwk).encode(), "RS256-1")),
    "HS by nothing": lambda: token(claims(**GOOD), Key("HS256", b"", "RS256-1")),
    "wrong kid": lambda: token(claims(**GOOD), RS, kid="RS256-2"),
    "another's kid": lambda: token(claims(**GOOD), RS, kid="PS256-1"),
    "kid as a path": lambda: token(claims(**GOOD), RS, kid="../../../../dev/null"),
    "kid as a number": lambda: token(claims(**GOOD), RS, kid=1),
    "another key": lambda: token(claims(**GOOD), STRANGER, kid="RS256-1"),
    "another curve point": lambda: token(claims(**GOOD), key("ES256", "stranger"), kid="ES256-1"),
    "PS by an RS key": lambda: token(claims(**GOOD), RS, alg="PS256"),
    "RS by a PS key": lambda: token(claims(**GOOD), PS, alg="RS256"),
    "RS512": lambda: token(claims(**GOOD), RS, alg="RS512"),
    "alg says another": lambda: token(claims(**GOOD), RS, alg="RS256", kid="ES256-1"),
    "zero signature": lambda: with_signature(token(claims(**GOOD), ES), bytes(64)),
    "short signature": lambda: with_signature(token(claims(**GOOD), ES), bytes(10)),
    "DER signature": der_signed,
    "no signature": lambda: with_signature(token(claims(**GOOD), RS), b""),
    "half a signature": lambda: token(claims(**GOOD), RS)[:-20],
    "other payload": lambda: other_payload(token(claims(channels=[]), RS)),
    "own key in jwk": lambda: token(claims(**GOOD), STRANGER, kid=None, jwk=STRANGER.jwk),
    "own key by jku": lambda: token(claims(**GOOD), STRANGER, jku="http://127.0.0.1:1/jwks.json"),
    "crit": lambda: token(claims(**GOOD), RS, crit=["exp"]),
    "crit b64": lambda: token(claims(**GOOD), RS, crit=["b64"], b64=False),
    "expired": lambda: token(claims(exp_s=-120, **GOOD), RS),
    "expired long ago": lambda: token(claims(**GOOD, exp=1), RS),
    "exp as text": lambda: token(claims(**GOOD, exp=str(int(time.time() + 300))), RS),
    "not yet valid": lambda: token(claims(**GOOD, nbf=int(time.time() + 120)), RS),
    "wrong issuer": lambda: token(claims(**GOOD, iss="https://login.example.evil"), RS),
    "no issuer": lambda: token(claims(**GOOD, iss=None), RS),
    "wrong audience": lambda: token(claims(**GOOD, aud="other"), RS),
    "wrong audiences": lambda: token(claims(**GOOD, aud=["other", "tailwater2"]), RS),
    "no audience": lambda: token(claims(**GOOD, aud=None), RS),
    "nobody": lambda: token(claims(None, **GOOD), RS),
    "nobody's name": lambda: token(claims("", **GOOD), RS),
    "a number's name": lambda: token(claims(**GOOD) | {"sub": 7}, RS),
    "a long name": lambda: token(claims("u" * 300, **GOOD), RS),
    "a name with NUL": lambda: token(claims("ann\0root", **GOOD), RS),
    "payload is a list": lambda: token(b"[1]", RS),
    "payload is no JSON": lambda: token(b"{sub:ann}", RS),
    "a member twice": lambda: token(json.dumps(claims("ann", **GOOD)).replace("{", '{"sub":"root",', 1).encode(), RS),
    "payload is empty": lambda: token(b"", RS),
    "header is no JSON": lambda: keep_secret(f"{b64(b'{alg')}.{b64_json(claims(**GOOD))}.{b64(bytes(256))}"),
    "one part": lambda: "abcdefgh",
    "two parts": lambda: "eyJhbGciOiJub25lIn0.e30",
    "four parts": lambda: token(claims(**GOOD), RS) + ".AAAA",
    "dots": lambda: "..",
    "nothing": lambda: "",
    "blanks": lambda: "a b c",
    "bad letters": lambda: token(claims(**GOOD), RS).replace("e", "!"),
    "HS by a secret": lambda: token(claims(**GOOD)),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_tokens(keys, name):
    """401 in words; never taken for an anonymous reader, who may read here; nothing of the token in the answer."""
    text = BAD[name]()
    answer = keys.get(ASK_PUBLIC, bearer(text))
    assert_unauthorized(answer, INVALID)
    assert len(text) < 30 or text[-20:].encode() not in answer.body


def test_eddsa_is_refused_by_name(keys):
    """The library lacks it; the sentence says so instead of "signature invalid"."""
    for by in (key("EdDSA"), Key("EdDSA", key("EdDSA").private, "RS256-1")):
        problem = assert_unauthorized(keys.get(ASK_PUBLIC, bearer(token(claims(**GOOD), by))), INVALID)
        assert "EdDSA" in problem["detail"]


def test_secret_does_not_verify_other_algorithms(secret):
    for alg in ("HS384", "HS512"):
        assert_unauthorized(secret.get(ASK, bearer(token(claims(**GOOD), alg=alg))), INVALID)
    for by in (RS, PS, ES, Key("HS256", b"another-secret-of-at-least-32-bytes")):
        assert_unauthorized(secret.get(ASK, bearer(token(claims(**GOOD), by))), INVALID)
    assert secret.request("HEAD", ASK, bearer(token(claims(**GOOD)))).status == 200


def test_every_way_in_is_guarded(secret, keys):
    """Without a credential, and with a bad one, every endpoint that gives anything is 401."""
    body = b'{"add":["logs:*"]}'
    json_type = {"Content-Type": "application/json"}
    ways = [("GET", ASK), ("HEAD", ASK), ("GET", f"/api/sse?channels={OURS}"), ("GET", f"/logs/stream?channels={OURS}"),
            ("POST", ASK), ("PATCH", f"{STREAM}/{'0' * 32}"), ("GET", f"/api/logs/history?channels={OURS}"),
            ("GET", f"/api/logs/event?channel={OURS}&id=1"), ("POST", "/api/logs/ticket")]
    for method, path in ways:
        more = {"body": body if method == "PATCH" else b"{}"} if method in ("POST", "PATCH") else {}
        for headers, code in (({}, MISSING), (bearer(token(claims(exp_s=-120))), INVALID)):
            answer = secret.request(method, path, json_type | headers, **more)
            assert answer.status == 401, (method, path, answer)
            if method != "HEAD":
                assert_unauthorized(answer, code)
    for path in ("/health", "/"):
        assert secret.get(path).status == 200


def test_requests_of_one_connection_are_strangers(secret):
    """Keep-alive: what one request showed is not the next one's."""
    path = f"/api/logs/history?channels={OURS}"
    connection = http.client.HTTPConnection("127.0.0.1", secret.port, timeout=10)
    shown = [(reader("ann", ALL), 200), ({}, 401), (reader("bob", ["logs:faas:*"]), 403), ({"X-User-Id": "ann"}, 403)]
    for headers, status in shown * 2:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        assert (answer.status, bool(answer.read())) == (status, True), headers
    connection.close()


def test_other_schemes_and_doubles(secret):
    """Not a token of ours; and two headers are not one."""
    good = token(claims(channels=ALL))
    for value in ("Basic dXNlcjpwYXNz", "Token abc", "Bearer", good, f"Bearer {good}, Bearer {good}"):
        assert secret.get(ASK, {"Authorization": value}).status == 401, value
    raw = http1.head_bytes(secret.port, "GET", ASK, bearer(good) | {"authorization": f"Bearer {good}x"}, None)
    with socket.create_connection(("127.0.0.1", secret.port), timeout=10) as s:
        s.sendall(raw)
        assert s.recv(100).split()[1] in (b"400", b"401")


# --- key files ----------------------------------------------------------------------------------------


def status_of(server, by: Key) -> int:
    return server.request("HEAD", ASK, bearer(token(claims(channels=ALL), by))).status


def test_key_file_is_read_again(serve, db, hub, tmp_path):
    """New keys without a restart, old ones gone, streams go on; a broken file changes nothing."""
    file = tmp_path / "jwks.json"
    old, new, last = (key("ES256", f"rotated-{i}") for i in range(3))
    file.write_text(key_set(old))
    server = serve(ETL, auth={"jwt": {"jwks_file": str(file)}})
    stream = hub.open(server.port, {"channels": OURS}, headers=bearer(token(claims(channels=ALL), old)))
    stream.wait_ready()
    assert status_of(server, new) == 401
    (tmp_path / "next").write_text(key_set(old, new))
    os.replace(tmp_path / "next", file)
    until(lambda: status_of(server, new) == 200, "the new key")
    assert status_of(server, old) == 200
    file.write_text(key_set(new))  # in place
    until(lambda: status_of(server, old) == 401, "the old key is gone")
    lines = len(server.lines)
    for broken in ('{"keys":[', "", '{"keys":7}'):
        file.write_text(broken)
        until(lambda: [line for line in server.lines[lines:] if "jwks" in line.lower()], "a line in the log")
        assert status_of(server, new) == 200 and status_of(server, old) == 401
        lines = len(server.lines)
    file.unlink()
    time.sleep(0.5)  # nothing tells that a file which is not there was looked for
    assert status_of(server, new) == 200
    file.write_text(key_set(last))
    until(lambda: status_of(server, last) == 200, "the last key")
    assert status_of(server, new) == 401
    log(db, "w1")
    stream.wait_events(1)
    assert not stream.ended and len(stream.control("ready")) == 1


def test_key_sets_hold_what_nobody_can_use(serve, tmp_path):
    """Providers list keys for encryption and of kinds that the library lacks; the others are believed."""
    file = tmp_path / "jwks.json"
    usable, sealing = key("RS256"), key("RS256", "sealing").jwk | {"use": "enc", "alg": "RSA-OAEP"}
    strange = {"kty": "AKP", "alg": "ML-DSA-44", "kid": "strange", "pub": "AAAA"}
    file.write_text(json.dumps({"keys": [sealing, key("EdDSA").jwk, strange, usable.jwk]}))
    server = serve(ETL, auth={"jwt": {"jwks_file": str(file)}})
    assert status_of(server, usable) == 200
    answer = server.get(ASK, bearer(token(claims(channels=ALL), key("EdDSA"))))
    assert "EdDSA" in assert_unauthorized(answer, INVALID)["detail"]
    assert status_of(server, key("RS256", "sealing")) == 401


@pytest.mark.parametrize("auth, named", [
    ({"jwt": {"secret": "short"}}, "auth.jwt.secret"), ({"jwt": {"jwks_file": "/nonexistent/jwks"}}, "jwks"),
    ({"ticket_secret": "short"}, "auth.ticket_secret"), ({"proxies": ["10.0.0.0/33"]}, "auth.proxies"),
    ({"proxies": ["10.0.0.1/8"]}, "auth.proxies"), ({"anonymous": ["logs:a*"]}, "auth.anonymous"),
    ({"grants": {"everyone": ["logs:{usr}"]}}, "auth.grants.everyone"),
    ({"grants": {"users": {"ann": ["logs::x"]}}}, "ann"), ({"grants_collection": "nodot"}, "auth.grants_collection"),
    ({"admin_token_sha256": "abc"}, "auth.admin_token_sha256"),
])
def test_mistakes_in_the_configuration(mongo, auth, named):
    """check names the option and exits 78."""
    config = {"mongodb": {"uri": mongo.uri}, "sources": [{"name": "logs", "tag": "a", "database": "x"}], "auth": auth}
    result = run_cli("check", config=config)
    assert result.returncode == 78 and named in result.stderr, (result.returncode, result.stderr)


# --- cookies ------------------------------------------------------------------------------------------


def with_cookie(text: str, **headers) -> dict[str, str]:
    return {"Cookie": f"a=b; tw={text}; theme=dark"} | {k.replace("_", "-"): v for k, v in headers.items()}


def test_cookie_from_allowed_pages(secret, hub):
    """No Origin (a GET of the same site), an allowed one, or this host's own."""
    good = token(claims(channels=ALL))
    own = f"http://127.0.0.1:{secret.port}"
    for more in ({}, {"Origin": ORIGIN}, {"Origin": own}, {"Sec_Fetch_Site": "same-origin"},
                 {"Sec_Fetch_Site": "same-origin", "Origin": own},
                 {"Sec_Fetch_Site": "cross-site", "Origin": ORIGIN}):
        stream = hub.open(secret.port, {"channels": OURS}, headers=with_cookie(good, **more))
        assert stream.wait_ready().json["channels"] == [OURS], more
        stream.abort()


@pytest.mark.parametrize("more", [
    {"Origin": "https://evil.example"}, {"Origin": "https://app.example.evil"}, {"Origin": "null"},
    {"Origin": "http://app.example"}, {"Origin": "http://127.0.0.1:1"}, {"Sec_Fetch_Site": "cross-site"},
    {"Sec_Fetch_Site": "same-site"},
], ids=str)
@pytest.mark.parametrize("way", ["GET", "POST", "history", "ticket"])
def test_cookie_from_foreign_pages(secret, more, way):
    """A page of another site cannot use the cookie that the browser adds."""
    headers = with_cookie(token(claims(channels=ALL)), **more) | {"Content-Type": "application/json"}
    match way:
        case "GET": answer = secret.get(ASK, headers)
        case "POST": answer = secret.request("POST", ASK, headers, body=b"{}")
        case "history": answer = secret.get(f"/api/logs/history?channels={OURS}", headers)
        case "ticket": answer = secret.request("POST", "/api/logs/ticket", headers, body=b"")
    assert answer.status in (401, 403) and answer.problem["code"]


def test_a_star_among_origins_lists_nobody(serve):
    """All origins, that is without credentials: a cookie of a foreign page stays nothing."""
    server = serve(ETL, auth=by_secret(cookie="tw"), env={"ALLOWED_ORIGINS": "*"})
    good = token(claims(channels=ALL))
    assert server.request("HEAD", ASK, with_cookie(good)).status == 200
    answer = server.get(ASK, with_cookie(good, Origin="https://evil.example"))
    assert answer.status in (401, 403) and "access-control-allow-credentials" not in answer.headers


def test_bad_cookies(secret):
    for text in (token(claims(exp_s=-120)), BAD["none"](), "x"):
        assert_unauthorized(secret.get(ASK, with_cookie(text)), INVALID)
    good = token(claims(channels=ALL))
    for value in (f"xtw={good}", f"tw2={good}", f"TW={good}", f'a="tw={good}"', "tw="):
        assert secret.get(ASK, {"Cookie": value}).status == 401, value
    bad_header = bearer(token(claims(exp_s=-120))) | with_cookie(good)
    assert_unauthorized(secret.get(ASK, bad_header), INVALID)  # the header comes first


# --- proxies ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("user, text", [
    ("ann", "ann"), ("*", "%2A"), ("a:b", "a%3Ab"), ("a,b", "a%2Cb"), ("50%", "50%25"), ("ü", "ü"), ("a b", "a%20b"),
    ("{user}", "{user}"), ("ann@example.com", "ann@example.com"),
])
def test_identity_of_a_trusted_proxy(secret, hub, user, text):
    """X-User-Id and X-Workspace-Id fill the templates; no name becomes a pattern or another's channel."""
    headers = {"X-User-Id": user, "X-Workspace-Id": user}
    stream = hub.open(secret.port, {"channels": "alerts:*,logs:*"}, headers=headers)
    assert set(stream.wait_ready().json["channels"]) == {f"alerts:{text}", f"logs:*:{text}:*"}
    db = secret.db
    db.alerts.insert_many([{"user": u} for u in ("someone", "a", "b", "x:y")])
    log(db, "someone")
    log(db, "a", "b")
    mine = [str(db.alerts.insert_one({"user": user}).inserted_id), log(db, user)]
    assert [f.json["log_data"]["_id"] for f in stream.wait_events(2)] == mine
    stream.abort()


def test_proxy_without_workspace(secret, hub):
    """A template whose value is missing grants nothing."""
    stream = hub.open(secret.port, {"channels": "alerts:*,logs:*"}, headers={"X-User-Id": "ann"})
    ready = stream.wait_ready().json
    assert ready["channels"] == ["alerts:ann"] and ready["denied"] == ["logs:*"]
    assert secret.get(ASK, {"X-Workspace-Id": "w1"}).status == 401  # a workspace is nobody


def test_headers_of_untrusted_peers_are_ignored(secret):
    """From 127.0.0.2, which is no proxy, the headers are nothing; a token is as good as from anywhere."""
    peer = Peer(secret, "127.0.0.2")
    headers = {"X-User-Id": "ann", "X-Workspace-Id": "w1", "X-Forwarded-For": "127.0.0.1"}
    assert peer.first_frame(ASK, headers) == (401, MISSING)
    assert peer.first_frame(ASK, reader(channels=[OURS]) | headers) == (200, "ready")
    root = reader("ann", [OURS]) | {"X-User-Id": "root"}
    assert peer.first_frame(f"{STREAM}?channels=alerts:root", root) == (403, NOTHING_GRANTED)
    peer.close()


@pytest.mark.parametrize("value", [b"", b"a\x01b", b"a\tb", b"a\x7fb", b"\xff\xfe", b"a\xc0\xafb", b"\xed\xa0\x80",
                                   b"x" * 257, b"a\0b"])
def test_strange_user_names_of_proxies(secret, value):
    """Control bytes, invalid UTF-8, too long, empty: refused, never shortened or repaired into someone else."""
    headers = {"X-User-Id": "NAME", "Connection": "close"}
    head = http1.head_bytes(secret.port, "GET", f"{STREAM}?channels=alerts:*", headers, None)
    with socket.create_connection(("127.0.0.1", secret.port), timeout=10) as s:
        s.sendall(head.replace(b"NAME", value))
        assert s.recv(100).split()[1] in (b"400", b"401")


def test_two_names_of_a_proxy_are_none(secret):
    """A proxy that adds its header behind the client's own says nothing that can be believed."""
    headers = {"X-User-Id": "ann", "Connection": "close"}
    head = http1.head_bytes(secret.port, "GET", f"{STREAM}?channels=alerts:*", headers, None)
    for name in ("X-User-Id", "X-Workspace-Id"):
        with socket.create_connection(("127.0.0.1", secret.port), timeout=10) as s:
            s.sendall(head.replace(b"\r\nConnection", f"\r\n{name}: root\r\n{name}: ann\r\nConnection".encode()))
            assert s.recv(100).split()[1] in (b"400", b"401"), name


# --- anonymous, open mode -----------------------------------------------------------------------------


def test_anonymous_patterns(keys, hub):
    """Nobody in particular reads what `anonymous` says and nothing else."""
    stream = hub.open(keys.port, {"channels": f"logs:*,{OURS}"})
    assert stream.wait_ready().json["channels"] == ["logs:etl:public:*"]
    assert stream.ready["denied"] == [OURS] and stream.ready["renew"] is None
    log(keys.db, "w1")
    mine = log(keys.db, "public")
    assert stream.wait_events(1)[0].json["log_data"]["_id"] == mine
    assert refusal(keys.get(ASK)) == (403, NOTHING_GRANTED)
    stream.abort()


def test_everyone_is_not_anonymous(serve):
    """`everyone` is every identified user."""
    server = serve(ETL, auth=by_secret(grants={"everyone": ["logs:etl:shared:*"]}))
    ask = f"{STREAM}?channels=logs:etl:shared:f1"
    assert_unauthorized(server.get(ask), MISSING)
    assert server.request("HEAD", ask, reader()).status == 200


SERVICE = {"name": "s", "token_sha256": sha256("a-service's-token"), "publish": ["logs:*"]}


def test_open_mode_and_its_end(serve, mongo, dbname, hub):
    """No auth section: everyone here reads everything, Host is checked. Any auth key ends it; one that lets nobody in
    is a mistake."""
    evil = {"Host": "evil.example"}
    server = serve(ETL)
    stream = hub.open(server.port, {"channels": "logs:*"})
    assert stream.wait_ready().json["channels"] == ["logs:*"]
    assert server.get(ASK, evil).status in (403, 421)
    for auth in ({"proxies": ["192.0.2.1"], "grants": {"everyone": ["logs:*"]}}, {"services": [SERVICE]},
                 {"jwt": {"secret": SECRET}}):
        server = serve(ETL, auth=auth)
        assert_unauthorized(server.get(ASK), MISSING)
        server.stop()
    for auth in ({"anonymous": []}, {"cookie": "x"}, {"grants": {"everyone": ["logs:*"]}}):
        sources = [{"name": "logs", "tag": "a", "database": dbname}]
        result = run_cli("check", config={"mongodb": {"uri": mongo.uri}, "sources": sources, "auth": auth})
        assert result.returncode == 78 and "auth" in result.stderr, (auth, result)
    server = serve(ETL, auth={"anonymous": ["logs:*"]})
    assert server.request("HEAD", ASK, evil).status == 200


def test_authentication_allows_other_listeners(launch, mongo, dbname, hub):
    """0.0.0.0 needs no `insecure` then."""
    from mongod import free_port

    port = free_port()
    config = {"listen": f"0.0.0.0:{port}", "mongodb": {"uri": mongo.uri}, "auth": by_secret(),
              "sources": [{"name": "logs", "tag": "a", "database": dbname, "mappings": [ETL.config]}]}
    server = launch(config, port=port)
    assert_unauthorized(server.get(ASK), MISSING)
    hub.open(port, {"channels": OURS}, headers=reader(channels=ALL)).wait_ready()
