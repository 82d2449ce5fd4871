"""Who gets in at all: descriptors, addresses, and what happens at the limits of both."""

from __future__ import annotations

import os
import resource
import socket
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

import server as server_module
from conftest import ETL
from deadline import PATIENCE, WAIT_S, until
from http1 import head_bytes
from server import is_sanitized
from test_resources import open_file_limit

STREAM = "/api/logs/stream?channels=logs:etl:w1:f1"
KEYS = {"workspace_id": "w1", "workflow_id": "f1"}


def descriptors(server) -> int:
    return len(os.listdir(f"/proc/{server.pid}/fd"))


def connect(port: int, source: str = "127.0.0.1") -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=WAIT_S, source_address=(source, 0))


def is_closed(s: socket.socket) -> bool:
    """Has the server closed it? Nothing else may have come."""
    s.setblocking(False)  # with a timeout MSG_DONTWAIT would wait all the same
    try:
        data = s.recv(1000)
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True
    finally:
        s.settimeout(WAIT_S)
    assert data == b"", data
    return True


def is_served(s: socket.socket, port: int) -> bool:
    """Does it get answers?"""
    try:
        s.sendall(head_bytes(port, "GET", "/health", None, None))
        return s.recv(65536).startswith(b"HTTP/1.1 200")
    except ConnectionError:
        return False


@contextmanager
def limited(folder: Path, files: int):
    """Servers started inside may have so many files open."""
    wrapper = folder / "limited"
    wrapper.write_text(f'#!/bin/sh\nulimit -n {files}\nexec "{server_module.binary()}" "$@"\n')
    wrapper.chmod(0o755)
    before = os.environ.get("TAILWATER_BIN")
    os.environ["TAILWATER_BIN"] = str(wrapper)
    try:
        yield
    finally:
        if before is None:
            del os.environ["TAILWATER_BIN"]
        else:
            os.environ["TAILWATER_BIN"] = before


# --- descriptors ----------------------------------------------------------------------------------------------


def test_close_to_the_limit_of_files(serve, db, hub, tmp_path):
    """Connections above what files suffice for are closed at once; open ones live on, MongoDB keeps its descriptors, and
    whoever leaves makes room."""
    open_file_limit()
    with limited(tmp_path, 300):
        server = serve(ETL, loops=2, limits={"head_s": 120})
    stream = hub.open(server.port, STREAM)
    stream.wait_ready()
    crowd = [connect(server.port) for _ in range(400)]
    closed = [0, -1]

    def no_more_are_closed() -> bool:
        closed.append(sum(map(is_closed, crowd)))
        return closed[-1] == closed[-2] >= 100

    until(no_more_are_closed, "those for whom there is no room are closed", every_s=0.5)
    kept = [s for s in crowd if not is_closed(s)]
    assert 150 <= len(kept) < 300
    assert descriptors(server) < 290  # the reserve
    assert all(is_served(s, server.port) for s in kept)
    db.etl_logs.insert_one(dict(KEYS))
    stream.wait_events(1)
    lines = [line for line in server.lines if "are open, as many as the limit of open files allows" in line]
    assert 1 <= len(lines) <= 5, lines
    for s in crowd:
        s.close()
    until(lambda: server.connections == 1, "there is room again")
    hub.open(server.port, STREAM).wait_ready()
    print(f"\n{len(kept)} of 400 connections kept at 300 files")


def test_full_of_streams_still_answers(serve, hub, tmp_path):
    """Streams leave room for other requests: the next stream is refused in words, /health is answered."""
    with limited(tmp_path, 300):
        server = serve(ETL, loops=2)
    streams = hub.open_many(server.port, [STREAM] * 250, at_once=20)
    until(lambda: all(s.frames or s.ended for s in streams), "every one is answered or closed")
    refused = [s for s in streams if s.control("refused")]
    open_now = [s for s in streams if s.control("ready") and not s.ended]
    assert len(open_now) > 120 and refused, (len(open_now), len(refused))
    assert refused[0].control("refused")[0].json["code"] == "too_many_connections"
    assert server.connections == len(open_now)


def test_out_of_files(serve, db, hub):
    """EMFILE: accepting pauses, at next to no cost and a line a second; open streams get events; then it goes on."""
    server = serve(ETL)
    stream = hub.open(server.port, STREAM)
    stream.wait_ready()
    hard = open_file_limit()
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (descriptors(server), hard))
    waiting = [connect(server.port) for _ in range(30)]
    lines, cpu, began = len(server.lines), server.cpu_s(), time.monotonic()
    until(lambda: time.monotonic() - began > 3, "three seconds", every_s=0.1)
    seconds = time.monotonic() - began
    share = (server.cpu_s() - cpu) / seconds
    written = len(server.lines) - lines
    print(f"\n{share:.1%} of a core, {written} lines in {seconds:.1f} s")
    assert is_sanitized() or share < 0.05
    assert 1 <= written <= seconds + 2
    db.etl_logs.insert_one(dict(KEYS))
    stream.wait_events(1)
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (hard, hard))
    assert all(is_served(s, server.port) for s in waiting)
    for s in waiting:
        s.close()


# --- addresses ------------------------------------------------------------------------------------------------


def test_connections_of_an_address(serve, hub):
    """One address may have so many, of any kind; another one is not touched; who leaves makes room."""
    server = serve(ETL, limits={"address_connections": 5}, loops=2)
    stream = hub.open(server.port, STREAM)
    stream.wait_ready()
    mine = [connect(server.port) for _ in range(4)]
    assert all(is_served(s, server.port) for s in mine)
    more = [connect(server.port) for _ in range(20)]
    until(lambda: all(map(is_closed, more)), "more than five are closed")
    others = [connect(server.port, "127.0.0.2") for _ in range(5)]
    assert all(is_served(s, server.port) for s in others)
    assert not stream.ended and not any(map(is_closed, mine))
    stream.abort()
    mine[0].close()

    def count() -> int:
        found = [connect(server.port) for _ in range(4)]
        served = sum(is_served(s, server.port) for s in found)
        for s in found:
            s.close()
        return served

    until(lambda: count() == 2, "two places are free, a stream's and a plain connection's", every_s=0.2)
    for s in (*mine, *others, *more):
        s.close()


def test_a_trusted_proxy_is_not_counted(serve):
    """It comes for many."""
    server = serve(ETL, limits={"address_connections": 3},
                   auth={"anonymous": ["logs:*"], "proxies": ["127.0.0.9/32"]})
    crowd = [connect(server.port, "127.0.0.9") for _ in range(10)]
    assert all(is_served(s, server.port) for s in crowd)
    other = [connect(server.port, "127.0.0.8") for _ in range(10)]
    until(lambda: sum(map(is_closed, other)) == 7, "another one is")
    for s in (*crowd, *other):
        s.close()



def test_thousands_of_quick_visits_leave_the_counts_right(serve):
    """Places are given back however a visit ends: at the end the whole share can be had again."""
    server = serve(ETL, limits={"address_connections": 20}, loops=2)
    for i in range(1000):
        try:
            with connect(server.port) as s:
                if i % 4:
                    s.sendall([b"", b"GET", b"nonsense\r\n\r\n", head_bytes(server.port, "GET", STREAM, None, None)][i % 4])
                if i % 4 > 1 and i % 3 == 0:
                    s.recv(100)
        except OSError:
            pass

    def all_served() -> bool:
        found = [connect(server.port) for _ in range(20)]
        try:
            return all(is_served(s, server.port) for s in found)
        finally:
            for s in found:
                s.close()

    until(all_served, "twenty at a time", 10 * PATIENCE, every_s=0.3)


# --- who speaks through a proxy -------------------------------------------------------------------------------

#: Lines of X-Forwarded-For that a trusted proxy sends, and for whom: 198.51.100.7 itself ("same"), somebody else, or,
#: where it is no list of addresses, the proxy.
FORWARDED = [
    (["198.51.100.7"], "same"), (["198.51.100.7:4711"], "same"), (["::ffff:198.51.100.7"], "same"), (["[::ffff:198.51.100.7]:1"], "same"),
    (["1.2.3.4, 198.51.100.7"], "same"), (["garbage, 198.51.100.7"], "same"), (["198.51.100.7 , 10.1.2.3,10.9.9.9"], "same"),
    (["1.2.3.4", "198.51.100.7"], "same"), (["1.2.3.4, 198.51.100.7", "10.0.0.1"], "same"), (["\t198.51.100.7\t"], "same"),
    (["198.51.100.7, 1.2.3.4"], "other"), (["198.51.100.7", "1.2.3.4"], "other"), (["2001:db8::7"], "other"), (["11.0.0.1"], "other"),
    (["10.1.2.3, 10.9.9.9"], "other"), (["198.51.100.7, unknown"], "proxy"), (["198.51.100.7,"], "proxy"), ([""], "proxy"),
    ([], "proxy"), (["198.51.100.7, 1.2.3"], "proxy"), (["198.51.100.7, 10.0.0.1/8"], "proxy"), (["198.51.100.7, 01.2.3.4"], "proxy"),
]


def first_words(port: int, lines: list[str], source: str = "127.0.0.1") -> tuple[socket.socket, str]:
    """Open a stream with these header lines; returns what its first frame is."""
    s = connect(port, source)
    fields = "".join(f"X-Forwarded-For: {line}\r\n" for line in lines)
    s.sendall(f"GET {STREAM} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n{fields}\r\n".encode())
    data = b""
    while b"event: " not in data:
        part = s.recv(65536)
        assert part, data
        data += part
    return s, data.partition(b"event: ")[2].partition(b"\n")[0].decode()


@pytest.mark.parametrize("lines, whom", FORWARDED)
def test_forwarded_for(shared_proxy, lines, whom):
    """The rightmost address that is no trusted proxy, over all lines; the proxy itself where that is no address."""
    taken, words = first_words(shared_proxy.port, {"same": ["198.51.100.7"], "other": ["198.51.100.7"], "proxy": []}[whom])
    assert words == "ready"
    tried, words = first_words(shared_proxy.port, lines)
    assert words == ("ready" if whom == "other" else "refused")
    for s in (taken, tried):
        s.close()
    until(lambda: shared_proxy.connections == 0, "both are gone")


def test_forwarded_for_counts_only_from_a_trusted_proxy(shared_proxy):
    """Anyone else is whom his connection comes from: one at a time, whatever he writes."""
    taken, words = first_words(shared_proxy.port, ["198.51.100.7"], "127.0.0.2")
    assert words == "ready"
    s = connect(shared_proxy.port, "127.0.0.2")
    until(lambda: is_closed(s), "his second connection is closed")
    taken.close()
    until(lambda: shared_proxy.connections == 0, "he is gone")


@pytest.fixture(scope="module")
def shared_proxy(mongo):
    """A server that trusts 127.0.0.1 and 10.0.0.0/8 and gives each address one connection."""
    database = f"t{os.getpid() % 100000}_proxy"
    server = server_module.Server({
        "mongodb": {"uri": mongo.uri, "max_await_ms": 100}, "limits": {"address_connections": 1},
        "auth": {"anonymous": ["logs:*"], "proxies": ["127.0.0.1", "10.0.0.0/8"]},
        "sources": [{"name": "logs", "tag": "a", "database": database, "mappings": [ETL.config]}]}).start()
    yield server
    server.dispose()
    mongo.client.drop_database(database)
