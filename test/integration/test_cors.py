"""What browsers are told: which pages may read, and what answers may be taken for. The exact rules, header by header."""

from __future__ import annotations

import pytest

from conftest import ETL
from http1 import Response
from server import run_cli

STREAM = "/api/logs/stream?channels=logs:etl:w1:f1"
ALLOWED = "https://app.example"
FOREIGN = ["https://evil-app.example", "https://app.example.evil", "https://app.example:444", "http://app.example", "null",
           "https://APP.example", "https://app.example/", "https://app.example, https://evil.example", "*", "https://*", ""]
PREFLIGHT = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}


def listed(answer: Response, name: str) -> set[str]:
    return {part.strip().lower() for part in answer.headers.get(name, "").split(",") if part.strip()}


def cors_headers(answer: Response) -> list[str]:
    return [name for name in answer.headers if name.startswith("access-control-")]


# --- origins --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["/health", "/nothing", "/api/logs/history", STREAM + "&level=::"])
def test_a_listed_origin_is_named_with_credentials(shared, target):
    """Echoed as it is listed, on good answers and on errors, whose body a page could not read otherwise."""
    answer = shared.get(target, {"Origin": ALLOWED})
    assert answer.headers["access-control-allow-origin"] == ALLOWED
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert {"x-connection-id", "retry-after"} <= listed(answer, "access-control-expose-headers")
    assert listed(answer, "vary") == {"origin"}


@pytest.mark.parametrize("origin", FOREIGN)
def test_any_other_origin_gets_nothing(shared, origin):
    """No CORS header at all, on answers and preflights; caches are told that it depends on the origin."""
    for answer in (shared.get("/health", {"Origin": origin}), shared.request("OPTIONS", "/health", {"Origin": origin} | PREFLIGHT)):
        assert not cors_headers(answer), answer
        assert "origin" in listed(answer, "vary")


def test_without_origin_caches_are_told_all_the_same(shared):
    """Else a cache could keep this answer for a page of a listed origin, which then could not read it."""
    answer = shared.get("/health")
    assert not cors_headers(answer) and listed(answer, "vary") == {"origin"}


def test_a_star_allows_all_without_credentials(serve):
    """Also a page without an origin of its own; never with credentials."""
    server = serve(ETL, allowed_origins=["*"])
    for origin in (ALLOWED, "null"):
        answer = server.get("/health", {"Origin": origin})
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("origins", [["null"], ["https://*.example"], ["*", ALLOWED], ["app.example"], ["https://a.example/x"]])
def test_what_is_no_origin_is_refused_at_the_start(origins):
    """Nothing that looks as if it allowed more than one origin."""
    ended = run_cli("check", config={"mongodb": {"uri": "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=100"}, "allowed_origins": origins,
                                     "sources": [{"name": "logs", "tag": "a", "database": "d", "mappings": [ETL.config]}]})
    assert ended.returncode == 78 and "allowed_origins" in ended.stderr + ended.stdout, ended


# --- preflights -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path, methods", [
    ("/api/logs/stream", {"get", "head", "post", "options"}), ("/api/logs/history", {"get", "head", "options"}),
    ("/api/logs/stream/00112233445566778899aabbccddeeff", {"patch", "options"}),
])
def test_preflight(shared, path, methods):
    """The path's own methods, the headers that clients send, kept by browsers for two hours."""
    answer = shared.request("OPTIONS", path, {"Origin": ALLOWED} | PREFLIGHT)
    assert answer.status == 204 and answer.body == b""
    assert answer.headers["access-control-allow-origin"] == ALLOWED
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert methods <= listed(answer, "access-control-allow-methods") == listed(answer, "allow")
    assert {"authorization", "content-type", "last-event-id"} <= listed(answer, "access-control-allow-headers")
    assert "*" not in listed(answer, "access-control-allow-headers")
    assert answer.headers["access-control-max-age"] == "7200"
    assert listed(answer, "vary") == {"origin", "access-control-request-method", "access-control-request-headers"}


def test_preflight_of_nothing(shared):
    """A path that is not there has no methods."""
    assert shared.request("OPTIONS", "/nothing", {"Origin": ALLOWED} | PREFLIGHT).status == 404


# --- what answers may be taken for ------------------------------------------------------------------------------


@pytest.mark.parametrize("method, target, status", [
    ("GET", "/health", 200), ("HEAD", "/health", 200), ("GET", "/", 200), ("GET", "/live.js", 200), ("GET", "/nothing", 404),
    ("OPTIONS", "/health", 204), ("PATCH", "/health", 405), ("GET", "/api/logs/history?before=x&channels=logs:etl:w1:f1", 400),
    ("HEAD", STREAM, 200), ("BREW", "/pot", 501),
])
def test_every_answer_is_what_it_says_and_tells_no_other_site(shared, method, target, status):
    """nosniff and no-referrer on everything, once each: addresses may hold tickets."""
    answer = shared.request(method, target)
    assert answer.status == status
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"


def test_streams_too(shared, hub):
    stream = hub.open(shared.port, STREAM)
    stream.wait_ready()
    assert stream.headers["x-content-type-options"] == "nosniff" and stream.headers["referrer-policy"] == "no-referrer"
    stream.abort()


@pytest.mark.parametrize("target", ["/health", "/nothing", "/api/logs/history?channels=logs:etl:w1:f1"])
def test_json_is_not_kept(shared, target):
    answer = shared.get(target)
    assert "json" in answer.headers["content-type"] and answer.headers["cache-control"] == "no-store"


def test_pages_allow_nothing_from_elsewhere(shared):
    """No inline script, no frame around them, no form, no foreign address."""
    page = shared.get("/")
    policy = dict(part.strip().partition(" ")[::2] for part in page.headers["content-security-policy"].split(";"))
    assert policy == {"default-src": "'none'", "script-src": "'self'", "style-src": "'self'", "connect-src": "'self'",
                      "img-src": "'self'", "base-uri": "'none'", "form-action": "'none'", "frame-ancestors": "'none'"}
    assert page.headers["cross-origin-opener-policy"] == "same-origin"
    assert page.headers["cross-origin-resource-policy"] == "same-origin"
    assert "camera=()" in page.headers["permissions-policy"]
    text = page.body.decode()
    assert "<script>" not in text and "style=" not in text and " onclick" not in text


def test_who_is_not_known_is_told_how_to_be(serve):
    """401 names the scheme, and tells a missing token from a bad one (RFC 6750)."""
    server = serve(ETL, auth={"jwt": {"secret": "0123456789abcdef0123456789abcdef"}})
    missing = server.get(STREAM, {"Accept": "text/event-stream"})
    assert missing.status == 401 and missing.headers["www-authenticate"] == 'Bearer realm="tailwater"'
    bad = server.get(STREAM, {"Accept": "text/event-stream", "Authorization": "Bearer x.y.z"})
    assert bad.status == 401 and bad.headers["www-authenticate"] == 'Bearer realm="tailwater", error="invalid_token"'
