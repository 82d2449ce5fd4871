"""
Limits of connections, and how they are refused: browsers by 200 with `refused`, everyone else by a status with
Retry-After and a stable code. Whoever keeps within them notices nothing.
"""

from __future__ import annotations

import json
import socket
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from conftest import ETL
from deadline import PATIENCE, until
from http1 import head_bytes
from identities import STREAM, Peer, assert_refused, bearer, by_secret, claims, log, reader, refusal, token
from stream import Stream

ALL = ["logs:*"]
QUERY = {"channels": "logs:*"}
ASK = f"{STREAM}?channels=logs:*"
NDJSON = {"Accept": "application/x-ndjson"}
PROXIED = {"X-User-Id": "ann"}


def guarded(serve, proxies: tuple[str, ...] = (), everyone: tuple[str, ...] = ("logs:*",), **limits):
    auth = by_secret(proxies=list(proxies), grants={"everyone": list(everyone)})
    return serve(ETL, auth=auth, limits=limits, loops=2)


def assert_both_forms(hub, server, headers: dict, code: str | None = None) -> str:
    """Refused for a while: as browsers need it, and as a status for everyone who wants one."""
    told = assert_refused(hub.open(server.port, QUERY, headers=headers), code)
    for more, query in (({}, "&errors=status"), (NDJSON, "")):
        answer = server.get(ASK + query, {"Accept": "text/event-stream"} | headers | more)
        assert answer.status in (429, 503) and answer.problem["code"] == told, answer
        assert int(answer.headers["retry-after"]) >= 1 and answer.problem["detail"]
    return told


def opened(hub, server, count: int, headers: dict) -> list[Stream]:
    streams = hub.open_many(server.port, [QUERY] * count, headers=headers)
    for stream in streams:
        stream.wait_ready()
    return streams


def test_streams_of_a_user(serve, hub):
    """One user's share; others have theirs; a place that is given back is free again. By whatever way he comes."""
    server = guarded(serve, proxies=("127.0.0.1",), user_connections=3)
    streams = opened(hub, server, 2, reader("ann")) + opened(hub, server, 1, PROXIED)
    code = assert_both_forms(hub, server, reader("ann"))
    assert_both_forms(hub, server, PROXIED, code)
    assert_both_forms(hub, server, reader("ann", workspace="w2"), code)
    others = opened(hub, server, 3, reader("bob"))
    streams[0].abort()
    until(lambda: server.connections == 5, "the place is free")
    opened(hub, server, 1, reader("ann"))
    assert_both_forms(hub, server, reader("ann"), code)
    assert not [s for s in streams[1:] + others if s.ended]


def test_places_of_streams_that_the_server_ends(serve, db, dbname, hub):
    """Revoked or at its token's end: the place is free as well."""
    auth = by_secret(grants_collection=f"{dbname}.grants")
    server = serve(ETL, auth=auth, limits={"user_connections": 1})
    for _ in range(3):
        db.grants.insert_one({"_id": "ann", "read": ALL})
        until(lambda: server.request("HEAD", ASK, reader("ann")).status == 200, "the grant is known")
        stream = opened(hub, server, 1, reader("ann"))[0]
        db.grants.delete_one({"_id": "ann"})
        stream.wait_end()
    short = hub.open(server.port, QUERY, headers=reader("ann", ALL, exp_s=2))
    short.wait_control("goaway")
    short.wait_end()
    opened(hub, server, 1, reader("ann", ALL))


def test_a_hundred_at_once_get_exactly_their_share(serve, hub):
    """However the loops race: never more than the limit, and all places are given back."""
    server = guarded(serve, user_connections=10)
    for _ in range(3):
        streams = hub.open_many(server.port, [QUERY] * 60, headers=reader("ann"))
        for stream in streams:
            stream.wait(lambda s: s.control("ready") or s.control("refused"), "an answer")
        accepted = [s for s in streams if s.control("ready")]
        assert len(accepted) == 10
        for stream in accepted:
            stream.abort()
        until(lambda: server.connections == 0, "all are gone")


def test_connections_of_an_address(serve, hub):
    """By the peer's address; another address has its own share."""
    server = guarded(serve, address_connections=4)
    near, far = Peer(server, "127.0.0.3"), Peer(server, "127.0.0.2")
    try:
        assert [near.first_frame(ASK, reader(f"user{i}")) for i in range(4)] == [(200, "ready")] * 4
        for _ in range(3):  # without a word: every client takes that for a network that failed, and comes again
            assert near.first_frame(ASK, reader("user5")) == (0, "closed")
        assert [far.first_frame(ASK, reader("user5")) for _ in range(4)] == [(200, "ready")] * 4
        near.connections[0].close()
        until(lambda: near.first_frame(ASK, reader("user6")) == (200, "ready"), "the place is free", every_s=0.05)
        assert server.health()["status"] == "healthy"
    finally:
        near.close()
        far.close()


def test_addresses_behind_a_proxy(serve, hub):
    """A trusted proxy says whose connection it is; anyone else's word is nothing."""
    server = guarded(serve, proxies=("127.0.0.1/32",), address_connections=2)
    client = [reader(f"user{i}") | {"X-Forwarded-For": f"192.0.2.{i % 3}"} for i in range(7)]
    streams = [s for headers in client[:6] for s in opened(hub, server, 1, headers)]
    code = assert_refused(hub.open(server.port, QUERY, headers=client[6]))
    assert_both_forms(hub, server, client[6], code)
    spoofed = reader("user9") | {"X-Forwarded-For": "198.51.100.7, 192.0.2.0"}  # a client wrote the first one
    assert_refused(hub.open(server.port, QUERY, headers=spoofed), code)
    peer = Peer(server, "127.0.0.2")
    got = [peer.first_frame(ASK, reader("user7") | {"X-Forwarded-For": f"192.0.2.{100 + i}"}) for i in range(3)]
    peer.close()
    assert got == [(200, "ready")] * 2 + [(0, "closed")]
    assert not [s for s in streams if s.ended]


def test_new_streams_a_second(serve, hub):
    """A storm is spread: some get in, the others are told to come again, and all are in after a few rounds."""
    server = guarded(serve, connects_per_s=10)
    waiting, rounds, codes = 40, 0, set()
    began = time.monotonic()
    while waiting:
        assert time.monotonic() < began + 30 * PATIENCE, "they never get in"
        rounds += 1
        streams = hub.open_many(server.port, [QUERY] * waiting, headers=reader("ann"))
        for stream in streams:
            stream.wait(lambda s: s.control("ready") or s.control("refused"), "an answer")
        refused = [s for s in streams if s.control("refused")]
        codes |= {assert_refused(s) for s in refused}
        waiting = len(refused)
        assert 40 - waiting <= 10 + 10 * (time.monotonic() - began) + 1
        time.sleep(0.1)  # a rate, not a wait
    took = time.monotonic() - began
    assert took > 2.5 and len(codes) == 1, (took, codes)
    assert server.connections == 40
    print(f"\n40 streams at 10 a second: {took:.1f} s, {rounds} rounds")


def test_channels_of_a_connection(serve, hub):
    """A permanent 400 that says how many; PATCH obeys the same."""
    server = guarded(serve, channels=3)
    headers = reader("ann")
    four = ",".join(f"logs:etl:w:{i}" for i in range(4))
    answer = server.get(f"{STREAM}?channels={four}", headers)
    assert refusal(answer) == (400, "too_many_channels") and "3" in answer.problem["detail"]
    stream = hub.open(server.port, {"channels": four[:four.rindex(",")]}, headers=headers)
    name = stream.wait_ready().json["connection_id"]
    more = headers | {"Content-Type": "application/json"}
    answer = server.request("PATCH", f"{STREAM}/{name}", more, body=json.dumps({"add": ["logs:etl:w:3"]}).encode())
    assert refusal(answer) == (400, "too_many_channels")


def test_many_grants_on_one_pattern(serve, hub):
    """What a wide subscription becomes is bounded as well: refused in words, or whole."""
    server = guarded(serve, everyone=(), channels=4)
    grants = [f"logs:etl:w{i}:*" for i in range(6)]
    stream = hub.open(server.port, QUERY, headers=reader("ann", grants))
    until(lambda: stream.status and (stream.status != 200 or stream.control("ready")), "an answer")
    if stream.status == 200:
        assert sorted(stream.ready["channels"]) == grants
    else:
        assert stream.status in (400, 403)


def test_all_connections(serve, hub):
    """The instance is full: before anything is said about grants or users."""
    server = guarded(serve, connections=2)
    opened(hub, server, 2, reader("ann"))
    assert_both_forms(hub, server, reader("bob"), "too_many_connections")
    assert server.get(ASK).status == 401


@pytest.mark.parametrize("peer, form", [("127.0.0.1", "status"), ("127.0.0.2", "frame")])
def test_form_that_a_proxy_asks_for(serve, hub, peer, form):
    """X-Tailwater-Errors: status of a trusted proxy, which would retry elsewhere; of anyone else it is nothing."""
    server = guarded(serve, proxies=("127.0.0.1",), user_connections=1)
    opened(hub, server, 1, reader("ann"))
    client = Peer(server, peer)
    status, word = client.first_frame(ASK, reader("ann") | {"X-Tailwater-Errors": "status"})
    client.close()
    if form == "status":
        assert status in (429, 503) and word not in ("ready", "refused")
    else:
        assert (status, word) == (200, "refused")


def test_refusals_do_no_harm_to_streams(serve, db, hub):
    """While hundreds are refused, those who are in get everything."""
    server = guarded(serve, user_connections=1)
    stream = opened(hub, server, 1, reader("ann"))[0]
    wanted = []
    for _ in range(10):
        hub.open_many(server.port, [QUERY] * 50, headers=reader("ann"))
        wanted.append(log(db, "w1"))
    stream.wait_events(10)
    assert [f.json["log_data"]["_id"] for f in stream.events] == wanted
    assert server.health()["stats"]["refused"] >= 1
    until(lambda: server.connections == 1, "only the one")


def test_catch_ups_of_a_user(serve, db, hub):
    """Reconnects that MongoDB must serve: one user's share. Who is over it is sent away and told when to come back;
    others and streams that the journal serves are not touched."""
    auth = by_secret(grants={"everyone": ["logs:*"]})
    server = serve(ETL, auth=auth, limits={"user_catchups": 1, "queue_bytes": 16384}, journal={"bytes": 65536})
    begin = hub.open(server.port, QUERY, headers=reader("ann")).wait_ready().id
    for _ in range(400):
        log(db, "w1", pad="x" * 40000)
    until(lambda: server.health()["sources"][0]["events"] >= 400, "the server has read everything")
    back = {"Last-Event-ID": begin}
    first = hub.open(server.port, QUERY, headers=reader("ann") | back, receive_buffer=4096)
    first.wait_ready()
    first.pause()
    second = hub.open(server.port, QUERY, headers=reader("ann") | back)
    goaway = second.wait_control("goaway")
    second.wait_end()
    assert 0 <= goaway.json["reconnect_ms"] <= 60000 and not second.events
    hub.open(server.port, QUERY, headers=reader("bob") | back).wait_events(400)
    opened(hub, server, 1, reader("ann"))
    first.resume()
    first.wait_control("caught-up")
    hub.open(server.port, QUERY, headers=reader("ann") | back).wait_events(400)


# --- wrong tokens -------------------------------------------------------------------------------------------


def time_of_good_ones(server, headers: dict, count: int) -> list[float]:
    times = []
    for _ in range(count):
        began = time.monotonic()
        assert server.request("HEAD", ASK, headers).status == 200
        times.append(time.monotonic() - began)
    return times


def send_wrong_ones(server, count: int, over: threading.Event) -> int:
    """So many requests with wrong tokens of every kind, over one connection after the other; how many were sent."""
    good = token(claims(channels=ALL))
    wrong = [good[:-4] + "AAAA", token(claims(exp_s=-120)), "x.y.z", good.rpartition(".")[0] + ".", "a" * 8000]
    requests = [head_bytes(server.port, "GET", ASK, bearer(w), None) for w in wrong]
    sent = 0
    while sent < count or not over.is_set():
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as s:
            s.sendall(requests[sent % len(requests)])
            assert s.recv(12) == b"HTTP/1.1 401"
        sent += 1
    return sent


def test_wrong_tokens_do_not_slow_good_ones(serve, hub, db):
    """A thousand wrong ones, four at a time: good requests and a live stream go on."""
    server = guarded(serve)
    headers = reader("ann")
    stream = opened(hub, server, 1, headers)[0]
    alone = time_of_good_ones(server, headers, 100)
    over = threading.Event()
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(send_wrong_ones, server, 250, over) for _ in range(4)]
        beside = time_of_good_ones(server, headers, 200)
        log(db, "w1")
        stream.wait_events(1)
        over.set()
        sent = sum(job.result() for job in jobs)
    medians = [statistics.median(t) * 1000 for t in (alone, beside)]
    assert sent >= 1000 and medians[1] < 20 * medians[0] + 50 * PATIENCE, medians
    print(f"\na good one: {medians[0]:.2f} ms alone, {medians[1]:.2f} ms beside {sent} wrong ones")
