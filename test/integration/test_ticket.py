"""
Tickets for EventSource, which cannot send headers; `renew` for its next connection; and tokens that end: on time,
announced, and without loss for whoever comes back with a fresh one.
"""

from __future__ import annotations

import base64
import hmac
import json
import random
import time
from urllib.parse import urlencode

import pytest

from conftest import ETL
from deadline import PATIENCE, until
from identities import (INVALID, NOTHING_GRANTED, STREAM, TICKET_SECRET, Key, assert_refused, assert_unauthorized,
                        b64_json, bearer, by_secret, claims, ids, keep_secret, log, module_server, reader, refusal,
                        token)
from secrets_seen import remember
from stream import EVENT_ID, Stream

TICKET = "/api/logs/ticket"
ALL = ["logs:*"]
BROWSER = {"Accept": "text/event-stream", "Cache-Control": "no-cache"}
ORIGIN = "https://app.example"
OTHER_SECRET = remember("another-secret-of-at-least-32-bytes")


@pytest.fixture(scope="module")
def server(mongo):
    auth = by_secret(ticket_secret=TICKET_SECRET, cookie="tw", anonymous=["alerts:public"])
    with module_server(mongo, "ticket", auth=auth, env={"ALLOWED_ORIGINS": ORIGIN}) as server:
        yield server


def ticket_of(server, headers: dict[str, str]) -> str:
    answer = server.request("POST", TICKET, headers, body=b"")
    assert answer.status == 200, (answer.status, answer.body)
    assert answer.headers["content-type"] == "application/json" and "no-store" in answer.headers["cache-control"]
    assert answer.json["expires_in"] == 30 and set(answer.json) == {"ticket", "expires_in"}
    return remember(answer.json["ticket"])


def renew_of(stream: Stream) -> str:
    return remember(stream.wait(lambda s: s.control("ready")[-1:], "ready")[0].json["renew"])


def open_with(hub, server, ticket: str, channels: str = "logs:*", headers: dict | None = None, **more) -> Stream:
    return hub.open(server.port, {"channels": channels, "ticket": ticket, **more}, headers=BROWSER | (headers or {}))


def decoded(ticket: str) -> list[dict]:
    return [json.loads(base64.urlsafe_b64decode(part + "==")) for part in ticket.split(".")[:2]]


def resigned(ticket: str, by: str = TICKET_SECRET, **changes) -> str:
    """The same ticket with other contents, signed as an instance with this secret would (src/auth/ticket.c)."""
    head, payload = decoded(ticket)
    derived = hmac.digest(by.encode(), b"tailwater ticket 1", "sha256")
    return token(payload | changes, Key("HS256", derived), **head)


def aged(ticket: str, by_s: int) -> str:
    """A ticket as it was made so long ago."""
    _, payload = decoded(ticket)
    times = {k: v - by_s * (1000 if v > 10**11 else 1) for k, v in payload.items() if isinstance(v, int) and v > 10**9}
    assert times, payload
    return resigned(ticket, **times)


# --- tickets ----------------------------------------------------------------------------------------------


def test_a_ticket_opens_a_stream(server, hub):
    """With the identity and the grants of who asked for it, and with nothing else in the request."""
    ticket = ticket_of(server, reader("ann", ["logs:etl:t1:*"]))
    assert len(ticket) < 4096
    streams = [open_with(hub, server, ticket), open_with(hub, server, ticket, "logs:etl:t1:f1")]
    assert [s.wait_ready().json["channels"] for s in streams] == [["logs:etl:t1:*"], ["logs:etl:t1:f1"]]
    log(server.db, "t2")
    mine = log(server.db, "t1")
    for stream in streams:
        stream.wait_events(1)
        assert ids(stream) == [mine]
        stream.abort()
    answer = server.get(f"{STREAM}?channels=logs:etl:t2:*&ticket={ticket}")
    assert refusal(answer) == (403, NOTHING_GRANTED)


def test_who_gets_a_ticket(server):
    """An identified reader, by header or by the cookie of an allowed page; nobody else, and not by GET."""
    good = token(claims(channels=ALL))
    ticket_of(server, {"Cookie": f"tw={good}", "Origin": ORIGIN})
    nobody = server.request("POST", TICKET, body=b"")  # where the anonymous may read something
    assert nobody.status in (400, 401) and nobody.problem["code"]
    assert_unauthorized(server.request("POST", TICKET, reader(exp_s=-120), body=b""), INVALID)
    foreign = server.request("POST", TICKET, {"Cookie": f"tw={good}", "Origin": "https://evil.example"}, body=b"")
    assert foreign.status in (401, 403) and foreign.problem["code"]
    answer = server.get(TICKET, bearer(good))
    assert answer.status == 405 and "POST" in answer.headers["allow"]
    ticket = ticket_of(server, bearer(good))
    assert server.request("POST", f"{TICKET}?ticket={ticket}", body=b"").status in (400, 401)  # tickets make no tickets


def test_a_ticket_opens_streams_alone(server, hub):
    """History, event and PATCH want a header; a ticket is no bearer token, and a token is no ticket."""
    ticket, good = ticket_of(server, reader("ann", ALL)), token(claims("ann", ALL))
    for path in ("/api/logs/history?channels=logs:etl:t:*", "/api/logs/event?channel=logs:etl:t:f&id=1"):
        assert server.get(f"{path}&ticket={ticket}").status in (401, 403)
    stream = open_with(hub, server, ticket)
    name = stream.wait_ready().json["connection_id"]
    change = {"Content-Type": "application/json"}
    answer = server.request("PATCH", f"{STREAM}/{name}?ticket={ticket}", change, body=b'{"add":["logs:x:y"]}')
    assert answer.status in (401, 404)
    answer = server.request("PATCH", f"{STREAM}/{name}", change | bearer(good), body=b'{"add":["logs:x:y"]}')
    assert answer.status == 200  # the same identity
    assert_unauthorized(server.get(f"{STREAM}?channels=logs:*", bearer(ticket)), INVALID)
    assert_unauthorized(server.get(f"{STREAM}?channels=logs:*&ticket={good}"), INVALID)
    stream.abort()


def test_forged_tickets(server):
    """401, never an anonymous reader; every bit counts."""
    ticket = ticket_of(server, reader("ann", ["logs:etl:t1:*"]))
    head, body, signature = ticket.split(".")
    letters = "ABCDwxyz0189-_"
    rnd = random.Random(7)
    forged = [f"{head}.{body}.", f"{head}.{body}", body, f"{b64_json({'alg': 'none'})}.{body}.", "x", "..", "%00",
              "a" * 5000, resigned(ticket, OTHER_SECRET), resigned(ticket, ""), ticket + "A"]
    for _ in range(60):
        at = rnd.randrange(len(ticket))
        other = rnd.choice([c for c in letters if c != ticket[at]])
        forged.append(ticket[:at] + other + ticket[at + 1:])
    for text in forged:
        answer = server.get(f"{STREAM}?" + urlencode({"channels": "alerts:public", "ticket": keep_secret(text)}))
        assert_unauthorized(answer, INVALID)


def test_credentials_do_not_replace_each_other(server):
    """A bad header is not made good by a ticket, a bad ticket not by a cookie."""
    ticket, good = ticket_of(server, reader("ann", ALL)), token(claims(channels=ALL))
    bad = bearer(token(claims(exp_s=-120)))
    assert_unauthorized(server.get(f"{STREAM}?channels=logs:*&ticket={ticket}", bad), INVALID)
    assert_unauthorized(server.get(f"{STREAM}?channels=logs:*&ticket={ticket}x", {"Cookie": f"tw={good}"}), INVALID)


def test_an_old_ticket(server, hub):
    """Stolen and used after 31 s: a temporary refusal, so that the page can reopen; plain where that is asked for."""
    ticket = ticket_of(server, reader("ann", ALL))
    open_with(hub, server, aged(ticket, 25)).wait_ready()
    old = aged(ticket, 31)
    assert_refused(open_with(hub, server, old), "ticket_expired")
    position = f"{int(time.time()):08x}00000001"
    assert_refused(open_with(hub, server, old, headers={"Last-Event-ID": position}), "ticket_expired")
    answer = server.get(f"{STREAM}?channels=logs:*&errors=status&ticket={old}")
    assert answer.status in (401, 503) and answer.problem["code"] == "ticket_expired"
    assert_unauthorized(server.get(f"{STREAM}?channels=logs:*&ticket={resigned(old, OTHER_SECRET)}"), INVALID)


@pytest.mark.long
def test_an_old_ticket_by_the_clock(server, hub):
    """The same without knowing what is in it."""
    ticket = ticket_of(server, reader("ann", ALL))
    made = time.monotonic()
    until(lambda: time.monotonic() > made + 31, "31 s", timeout_s=60, every_s=1)
    assert_refused(open_with(hub, server, ticket), "ticket_expired")


def test_every_instance_takes_it(server, serve, hub):
    """The secret makes it: another instance with the same one lets it in, one with another does not."""
    ticket = ticket_of(server, reader("ann", ALL))
    same, other = (serve(ETL, auth=by_secret(ticket_secret=s)) for s in (TICKET_SECRET, OTHER_SECRET))
    assert open_with(hub, same, ticket).wait_ready().json["channels"] == ALL
    assert_unauthorized(other.get(f"{STREAM}?channels=logs:*&ticket={ticket}"), INVALID)


def test_one_secret_for_both(serve, hub):
    """Where tickets and tokens share a secret, neither passes for the other."""
    shared = remember("one-secret-for-everything-32-bytes-long")
    server = serve(ETL, auth={"jwt": {"secret": shared}, "ticket_secret": shared})
    by = Key("HS256", shared.encode())
    ticket = ticket_of(server, bearer(token(claims("ann", ALL), by)))
    assert_unauthorized(server.get(f"{STREAM}?channels=logs:*", bearer(ticket)), INVALID)
    for typ in ("JWT", None, "at+jwt", decoded(ticket)[0]["typ"]):
        forged = token(claims("ann", ALL), by, typ=typ)
        assert_unauthorized(server.get(f"{STREAM}?channels=logs:*&ticket={forged}"), INVALID)
    assert open_with(hub, server, ticket).wait_ready()


def test_without_a_secret(serve, hub):
    """Tickets are off and say so; ready has no renew."""
    server = serve(ETL, auth=by_secret())
    answer = server.request("POST", TICKET, reader("ann", ALL), body=b"")
    assert 400 <= answer.status < 600 and "ticket_secret" in answer.problem["detail"], answer
    stream = hub.open(server.port, {"channels": "logs:*"}, headers=reader("ann", ALL))
    assert stream.wait_ready().json["renew"] is None
    assert server.get(f"{STREAM}?channels=logs:*&ticket=abcdefgh").status in (400, 401)


# --- renew ------------------------------------------------------------------------------------------------


def test_renew_is_bound_to_identity_and_subscription(server, hub):
    """It opens the same subscription again, of the same user, also after 30 s; no other one."""
    for asked in ("logs:*", "logs:etl:r1:f1,logs:etl:r2:*"):
        first = hub.open(server.port, {"channels": asked}, headers=reader("ann", ALL))
        renew = renew_of(first)
        first.abort()
        for ticket in (renew, aged(renew, 100)):
            again = open_with(hub, server, ticket, asked)
            assert again.wait_ready().json["channels"] == first.ready["channels"]
            assert renew_of(again)
            again.abort()
        for other in ("logs:etl:*", "logs:etl:r1:f1", asked + ",metrics:w1"):
            answer = server.get(f"{STREAM}?" + urlencode({"channels": other, "ticket": renew}))
            assert answer.status in (401, 403) and answer.problem["code"], other


def test_renew_says_who_it_is(server, hub):
    """The connection that it opens belongs to the user that it was made for."""
    renew = renew_of(hub.open(server.port, {"channels": "logs:*"}, headers=reader("ann", ALL)))
    again = open_with(hub, server, renew)
    name = again.wait_ready().json["connection_id"]
    for user, status in (("bob", 404), ("ann", 200)):
        headers = reader(user, ALL) | {"Content-Type": "application/json"}
        assert server.request("PATCH", f"{STREAM}/{name}", headers, body=b'{"add":["logs:x:y"]}').status == status
    again.abort()


def test_renew_follows_a_change(server, hub):
    """After a PATCH the new ready's renew is for the new list, the old one for the old."""
    headers = reader("ann", ALL) | {"Content-Type": "application/json"}
    stream = hub.open(server.port, {"channels": "logs:etl:r1:f1"}, headers=headers)
    old = renew_of(stream)
    name = stream.ready["connection_id"]
    assert server.request("PATCH", f"{STREAM}/{name}", headers, body=b'{"add":["logs:etl:r2:f2"]}').status == 200
    stream.wait(lambda s: len(s.control("ready")) == 2, "the second ready")
    new, both = renew_of(stream), "logs:etl:r1:f1,logs:etl:r2:f2"
    assert open_with(hub, server, new, both).wait_ready()
    assert open_with(hub, server, old, "logs:etl:r1:f1").wait_ready()
    for ticket, channels in ((old, both), (new, "logs:etl:r1:f1")):
        assert server.get(f"{STREAM}?" + urlencode({"channels": channels, "ticket": ticket})).status in (401, 403)
    stream.abort()


def test_renew_grants_what_is_granted_now(serve, db, dbname, hub):
    """A claim travels with it; what the collection says is looked up."""
    db.grants.insert_one({"_id": "ann", "read": ["logs:etl:r1:*"]})
    server = serve(ETL, auth=by_secret(ticket_secret=TICKET_SECRET, grants_collection=f"{dbname}.grants"))
    stream = hub.open(server.port, {"channels": "logs:*"}, headers=reader("ann", ["logs:etl:own:*"]))
    renew = renew_of(stream)
    assert sorted(stream.ready["channels"]) == ["logs:etl:own:*", "logs:etl:r1:*"]
    db.grants.update_one({"_id": "ann"}, {"$set": {"read": ["logs:etl:r2:*"]}})
    stream.wait_control("revoked")
    again = open_with(hub, server, renew)
    assert sorted(again.wait_ready().json["channels"]) == ["logs:etl:own:*", "logs:etl:r2:*"]


def test_a_page_whose_server_is_rolled(serve, db, hub):
    """The server is replaced after 60 s: the browser's own reconnect, with the URL's old ticket, is refused for a
    while; the page reopens with renew and the last id and has lost nothing, on another instance too."""
    config = dict(auth=by_secret(ticket_secret=TICKET_SECRET))
    first = serve(ETL, **config)
    ticket = ticket_of(first, reader("ann", ALL))
    page = open_with(hub, first, ticket)
    renew = aged(renew_of(page), 60)
    wanted = [log(db, "w1") for _ in range(5)]
    page.wait_events(5)
    port = first.port
    first.stop()
    page.wait_end()
    wanted += [log(db, "w1") for _ in range(5)]
    second = serve(ETL, port=port, **config)
    assert_refused(open_with(hub, second, aged(ticket, 60), headers={"Last-Event-ID": page.last_id}), "ticket_expired")
    reopened = open_with(hub, second, renew, last_event_id=page.last_id)
    assert reopened.wait_ready().json["resumed"] in ("exact", "pending") and reopened.ready["renew"]
    wanted += [log(db, "w1") for _ in range(5)]
    reopened.wait_events(10)
    assert ids(page) + ids(reopened) == wanted and not reopened.control("gap")


# --- tokens that end ----------------------------------------------------------------------------------------


def test_a_token_ends_its_stream_on_time(server, hub):
    """goaway, then the end, within a second of exp; a fresh token and the last id go on without loss."""
    exp = int(time.time()) + 3
    stream = hub.open(server.port, {"channels": "logs:etl:exp:*"}, headers=reader("ann", ALL, exp=exp))
    wanted = []

    def writes_until_the_end() -> bool:
        wanted.append(log(server.db, "exp"))
        return bool(stream.ended)

    until(writes_until_the_end, "the stream ends", every_s=0.005)
    ended = time.time()
    assert exp - 1.2 < ended < exp + 1 * PATIENCE, ended - exp
    goaway = stream.wait_control("goaway")
    assert 0 <= goaway.json["reconnect_ms"] <= 60000
    assert ids(stream) == wanted[:len(stream.events)]
    fresh = reader("ann", ALL) | {"Last-Event-ID": stream.last_id}
    again = hub.open(server.port, {"channels": "logs:etl:exp:*"}, headers=fresh)
    wanted.append(log(server.db, "exp"))
    again.wait(lambda s: ids(s)[-1:] == wanted[-1:], "the last one")
    assert ids(stream) + ids(again) == wanted and all(EVENT_ID.fullmatch(f.id) for f in again.events)
    assert not again.control("gap")
    again.abort()


def test_tickets_of_a_token_that_has_ended(server, hub):
    """Expired like others: the page is told to reopen, with a ticket of its fresh token."""
    headers = reader("ann", ALL, exp_s=100)
    stream = hub.open(server.port, {"channels": "logs:*"}, headers=headers)
    for ticket in (renew_of(stream), ticket_of(server, headers)):
        assert_refused(open_with(hub, server, aged(ticket, 110)), "ticket_expired")
    stream.abort()


def test_every_way_in_ends_with_the_token(server, hub):
    """Ticket, cookie and renew do not outlive the token that they came from; PATCH does not prolong it."""
    exp = int(time.time()) + 4
    short = token(claims("ann", ALL, exp=exp))
    patched = hub.open(server.port, {"channels": "logs:*"}, headers=bearer(short))
    streams = [open_with(hub, server, ticket_of(server, bearer(short))), open_with(hub, server, renew_of(patched)),
               hub.open(server.port, {"channels": "logs:*"}, headers={"Cookie": f"tw={short}"}), patched]
    lasting = hub.open(server.port, {"channels": "logs:*"}, headers=reader("ann", ALL))
    for stream in [*streams, lasting]:
        stream.wait_ready()
    name = patched.ready["connection_id"]
    headers = reader("ann", ALL) | {"Content-Type": "application/json"}
    assert server.request("PATCH", f"{STREAM}/{name}", headers, body=b'{"add":["logs:x:y"]}').status == 200
    for stream in streams:
        stream.wait_control("goaway")
        stream.wait_end()
        assert time.time() < exp + 1 * PATIENCE
    assert not lasting.ended and not lasting.control("goaway")
    lasting.abort()
