"""Members of the replica set step down, die, freeze; the network to them breaks; commands fail: nothing is lost."""

from __future__ import annotations

import signal
import time

import pytest

from deadline import until
from traffic import Writer, assert_exact, longest_silence_s, numbers

CHANNELS = {"channels": "logs:*"}


@pytest.fixture
def streams(server, hub):
    """A client of everything, and one of a quarter."""
    every = hub.open(server.port, CHANNELS)
    some = hub.open(server.port, {"channels": "logs:etl:w1:*"})
    every.wait_ready()
    some.wait_ready()
    yield every, some
    every.abort()
    some.abort()


def finish(writer: Writer, streams) -> None:
    """Everything that was written arrives, once, in order, without a gap; then a quarter of it at the other client."""
    every, some = streams
    written = writer.finish()
    until(lambda: len(every.events) >= written, "everything arrived", 60)
    assert_exact(every, written)
    quarter = [n for n in range(written) if n % 4 == 1]
    until(lambda: len(some.events) >= len(quarter), "a quarter arrived", 30)
    assert numbers(some) == quarter
    assert not every.control("gap") and not some.control("gap")


def settle(writer: Writer, count: int = 100) -> None:
    """Let `count` more be written."""
    goal = writer.written + count
    until(lambda: writer.written >= goal, f"{count} more were written", 60)


def test_step_down(cluster, server, streams, report):
    with Writer(cluster.client, server.database) as writer:
        cluster.step_down()
        settle(writer)
        finish(writer, streams)
    report(f"step-down: {writer.written} events, longest silence {longest_silence_s(streams[0]):.2f} s")
    cluster.heal()


def test_primary_killed(cluster, server, streams, report):
    with Writer(cluster.client, server.database) as writer:
        cluster.primary().kill()
        settle(writer)
        finish(writer, streams)
    report(f"kill -9 of the primary (election after 2 s): {writer.written} events, longest silence {longest_silence_s(streams[0]):.2f} s")
    cluster.heal()


def test_primary_frozen(cluster, server, streams, report):
    """Another member is elected while the old one hangs with our connections open."""
    with Writer(cluster.client, server.database) as writer:
        frozen = cluster.primary()
        frozen.signal(signal.SIGSTOP)
        time.sleep(8)
        frozen.signal(signal.SIGCONT)
        settle(writer)
        finish(writer, streams)
    report(f"primary frozen for 8 s: {writer.written} events, longest silence {longest_silence_s(streams[0]):.2f} s")
    cluster.heal()


def test_all_down_and_up(cluster, server, streams, report):
    """Streams stay open while there is no MongoDB; health says degraded; then everything comes."""
    with Writer(cluster.client, server.database) as writer:
        for member in cluster.members:
            member.kill()
        until(lambda: server.health()["status"] == "degraded", "degraded", 30)
        cluster.heal()
        settle(writer)
        finish(writer, streams)
    until(lambda: server.health()["status"] == "healthy", "healthy again", 30)
    report(f"all members down and up: {writer.written} events, longest silence {longest_silence_s(streams[0]):.2f} s")


@pytest.mark.parametrize("command, how", [
    ("getMore", {"errorCode": 11601}), ("getMore", {"errorCode": 43}), ("getMore", {"errorCode": 91}),
    ("getMore", {"errorCode": 189}), ("getMore", {"errorCode": 13}), ("getMore", {"closeConnection": True}),
    ("getMore", {"errorCode": 999999}), ("aggregate", {"errorCode": 91}), ("aggregate", {"closeConnection": True}),
    ("getMore", {"blockConnection": True, "blockTimeMS": 2000}),
], ids=lambda v: v if isinstance(v, str) else "_".join(map(str, v.values())))
def test_failing_command(cluster, server, streams, command, how, report):
    """Errors that cost nothing but a new stream."""
    with Writer(cluster.client, server.database) as writer:
        opens = server.health()["sources"][0]["opens"]
        if command == "aggregate":
            cluster.fail(["getMore", "aggregate"], 3, **how)  # the stream ends, and cannot be opened twice
        else:
            cluster.fail([command], 1, **how)
        if "blockConnection" not in how:
            until(lambda: server.health()["sources"][0]["opens"] > opens, "opened again", 30)
        settle(writer, 50)
        finish(writer, streams)
    report(f"{command} {how}: {writer.written} events, longest silence {longest_silence_s(streams[0]):.2f} s")


@pytest.mark.parametrize("code", [286, 280, 136])
def test_history_lost_code(cluster, server, streams, code, report):
    """The server says that history is lost: a gap, and everything that the oplog still has; never a hot loop."""
    every, _ = streams
    with Writer(cluster.client, server.database) as writer:
        cluster.fail(["getMore"], 1, errorCode=code)
        every.wait_control("gap")
        settle(writer, 50)
        written = writer.finish()
    until(lambda: numbers(every)[-1] == written - 1, "live again")
    assert [f.json["reason"] for f in every.control("gap")] == ["history_lost"]
    got = numbers(every)
    assert got == sorted(set(got))
    assert server.health()["sources"][0]["losses"] == 1
    report(f"getMore {code}: {written} events, {written - len(got)} inside the told gap")
