"""The network between tailwater and MongoDB: connections reset, swallowed, slow, cut. The cluster itself notices nothing."""

from __future__ import annotations

import random
import time

import faults
import pytest
from deadline import PATIENCE, until
from stage import NOTICED_S


def primary_index(stage) -> int:
    return stage.cluster.members.index(until(stage.cluster.primary, "a primary"))


def test_connections_reset(stage):
    """Whatever is in flight is asked for again."""
    with stage.fault("network reset, again and again") as fault:
        before = sum(map(stage.errors, stage.servers))
        faults.reset(stage, random.Random(1), 1)
        stage.flow()
        fault.notes["errors"] = sum(map(stage.errors, stage.servers)) - before
    assert fault.notes["errors"]


def test_black_hole(stage):
    """The way to the primary swallows everything: noticed by our own patience, not by an election; the members are well."""
    stage.at_primary()
    with stage.fault("network black hole to the primary") as fault:
        network, server = stage.networks[0], stage.servers[0]
        before = stage.errors(server)
        network.hole(primary_index(stage))
        fault.notes["noticed_s"] = stage.noticed(server, before)
        network.heal()
        stage.flow()
    assert fault.notes["noticed_s"] <= NOTICED_S
    # the other instance, and with it the clients' half, went on meanwhile
    assert fault.verdict.writers_silence_s < 2


@pytest.mark.long
def test_black_hole_for_a_while(stage):
    """Streams stay open, told that the source is away and back; heartbeats go on."""
    with stage.fault("network black hole for 20 s, both tailwaters") as fault:
        for network in stage.networks:
            network.hole()
        for server in stage.servers:
            until(lambda: server.health()["status"] == "degraded", "degraded", 20)
        faults.hold(20)
        for network in stage.networks:
            network.heal()
        for server in stage.servers:
            until(lambda: server.health()["status"] == "healthy", "healthy again", 30)
        stage.flow()
    assert not fault.verdict.reconnects, "a source that is away is no reason to leave"


@pytest.mark.long
def test_black_hole_with_a_choice_of_members(make_stage):
    """With readPreference=primaryPreferred a secondary takes over while the primary is out of reach."""
    stage = make_stage(clients=60, uri_options="&readPreference=primaryPreferred")
    with stage.fault("black hole to the primary, primaryPreferred") as fault:
        server = stage.servers[0]
        before, seen = stage.errors(server), server.health()["sources"][0]["events"]
        stage.networks[0].hole(primary_index(stage))
        fault.notes["noticed_s"] = stage.noticed(server, before)
        until(lambda: server.health()["sources"][0]["events"] > seen + 200, "a secondary has taken over", 30)
        stage.flow()
    assert fault.notes["noticed_s"] <= NOTICED_S


@pytest.mark.long
def test_slow(stage):
    """Less comes through than is written, for a while: late, but all of it."""
    with stage.fault("network slow (20 kB/s, 50 ms)"):
        faults.slow(stage, random.Random(2), 10)
        stage.flow()


@pytest.mark.long
def test_slow_for_long(stage):
    """Batches that take longer than the patience at the tail must get through nevertheless."""
    with stage.fault("network slow (20 kB/s) for 60 s") as fault:
        stage.networks[0].slow(bytes_s=20000)
        faults.hold(60)
        seen = stage.servers[0].health()["sources"][0]["events"]
        until(lambda: stage.servers[0].health()["sources"][0]["events"] > seen, "something gets through", 60)
        stage.networks[0].heal()
        stage.flow()
        fault.notes["errors"] = stage.errors(stage.servers[0])


@pytest.mark.long
def test_forgotten(stage):
    """The connections that there are die without a word, new ones work: no longer than our patience at the tail."""
    stage.at_primary()
    with stage.fault("connections to MongoDB forgotten by the network") as fault:
        before = stage.errors(stage.servers[0])
        for network in stage.networks:
            network.forget()
        fault.notes["noticed_s"] = stage.noticed(stage.servers[0], before)
        stage.flow()
    assert fault.notes["noticed_s"] <= NOTICED_S


@pytest.mark.long
def test_forgotten_while_catching_up(make_stage):
    """The same in the middle of a catch-up, which is otherwise given minutes."""
    stage = make_stage(journal={"warm_s": 0})
    with stage.fault("connections forgotten in the middle of a catch-up") as fault:
        for server, network in zip(stage.servers, stage.networks):
            network.slow(latency_s=0.3)
            server.kill()
        stage.flow_written(300)
        for server in stage.servers:
            server.start(healthy=False)
        until(lambda: any(s.health()["sources"][0]["catchup_opens"] for s in stage.servers), "catching up")
        for network in stage.networks:
            network.forget()
            network.heal()
        began = time.monotonic()
        stage.flow(timeout_s=60 * PATIENCE)
        fault.notes["back_s"] = time.monotonic() - began


@pytest.mark.long
def test_cut_and_healed(stage):
    """No connection can be made for a while, by either tailwater in turn."""
    with stage.fault("network cut for 5 s, one tailwater after the other"):
        for network in stage.networks:
            network.refuse()
            faults.hold(5)
            network.heal()
            stage.flow()
