"""Members of the replica set step down, die, freeze, all of them: nothing is lost, and streams stay open."""

from __future__ import annotations

import random
import signal
import time

import faults
import pytest
from deadline import until
from stage import NOTICED_S

RND = random.Random(1)


def test_step_down(stage):
    with stage.fault("primary steps down") as fault:
        faults.step_down(stage, RND, 0)
        stage.flow()
    assert not fault.verdict.reconnects


def test_primary_killed(stage):
    """The election takes 2 s, during which nobody can write."""
    with stage.fault("primary kill -9") as fault:
        faults.kill_primary(stage, RND, 0)
        stage.flow()
    assert not fault.verdict.reconnects
    assert fault.verdict.silence_s < fault.verdict.writers_silence_s + 2, "silent for longer than the writers"


@pytest.mark.parametrize("hold_s", [4.5, pytest.param(20, marks=pytest.mark.long)])
def test_primary_frozen(stage, hold_s):
    """Another member is elected while the old one hangs with our connections open."""
    stage.at_primary()
    with stage.fault(f"primary SIGSTOP for {hold_s} s") as fault:
        server, frozen = stage.servers[0], until(stage.cluster.primary, "a primary")
        before, began = stage.errors(server), time.monotonic()
        frozen.signal(signal.SIGSTOP)
        fault.notes["noticed_s"] = stage.noticed(server, before)
        faults.hold(hold_s - (time.monotonic() - began))
        frozen.signal(signal.SIGCONT)
        stage.flow()
    assert fault.notes["noticed_s"] <= NOTICED_S
    assert not fault.verdict.reconnects


@pytest.mark.long
def test_all_down_and_up(stage):
    """Streams stay open while there is no MongoDB; health says degraded; then everything comes."""
    with stage.fault("all members down and up") as fault:
        for member in stage.cluster.members:
            member.kill()
        for server in stage.servers:
            until(lambda: server.health()["status"] == "degraded", "degraded", 30)
        stage.cluster.heal()
        stage.flow()
        for server in stage.servers:
            until(lambda: server.health()["status"] == "healthy", "healthy again", 30)
    assert not fault.verdict.reconnects
