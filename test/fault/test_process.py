"""tailwater itself is killed, stopped, frozen, runs out of descriptors: clients continue on the other instance."""

from __future__ import annotations

import itertools
import random
import resource
import time
from pathlib import Path

import faults
import pytest
from deadline import until

RND = random.Random(1)


def test_killed(stage):
    with stage.fault("tailwater kill -9, restarted after 1 s") as fault:
        faults.kill_tailwater(stage, RND, 1, stage.busiest())
        stage.flow()
    assert fault.verdict.reconnects >= len(stage.crowd.clients) // 4


def test_both_killed(stage):
    """Nothing is in memory any more: everyone resumes through the oplog, many together, or from a journal warmed by it."""
    with stage.fault("both tailwaters kill -9, restarted after 1 s") as fault:
        faults.kill_all_tailwaters(stage, RND, 1)
        stage.crowd.wait_connected()
        stage.flow()
        fault.notes["catchup_opens"] = sum(s.health()["sources"][0]["catchup_opens"] for s in stage.servers)
    assert fault.notes["catchup_opens"] < len(stage.crowd.clients) / 2


def test_stopped(stage):
    """SIGTERM under load: exit 0 within 5 s, clients told to go."""
    with stage.fault("tailwater SIGTERM, restarted after 1 s") as fault:
        server = stage.busiest()
        mine = server.connections
        began = time.monotonic()
        server.stop()
        fault.notes["stop_s"] = time.monotonic() - began
        until(lambda: stage.crowd.connected == len(stage.crowd.clients), "all continue on the other one")
        server.start()
        stage.flow()
    assert fault.verdict.reconnects >= mine >= len(stage.crowd.clients) / 2


@pytest.mark.parametrize("hold_s", [10, pytest.param(60, marks=pytest.mark.long)])
def test_frozen(stage, hold_s):
    """SIGSTOP: patient clients wait with it, others leave; afterwards it goes on as if nothing had been."""
    with stage.fault(f"tailwater SIGSTOP for {hold_s} s") as fault:
        faults.freeze_tailwater(stage, RND, hold_s, stage.busiest())
        stage.flow()
    assert fault.verdict.reconnects


def leave_descriptors(server, count: int) -> tuple[int, int]:
    """Lower the limit of open files so that so many can be opened; the usual limit."""
    used = {int(p.name) for p in Path(f"/proc/{server.pid}/fd").iterdir()}
    limit = next(n for n in itertools.count() if n - sum(fd < n for fd in used) == count)
    usual = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (limit, usual[1]))
    return usual


def test_out_of_descriptors(stage, hub):
    """It pauses accepting without spinning; streams that are open go on; it accepts again when there is room."""
    server = stage.servers[0]
    with stage.fault("no descriptors left") as fault:
        usual, began = leave_descriptors(server, 20), len(server.lines)
        streams = hub.open_many(server.port, [{"channels": "logs:none:*"}] * 60)
        until(lambda: any("cannot accept" in line for line in server.lines[began:]), "it says that it cannot accept")
        cpu_s, at = server.cpu_s(), time.monotonic()
        stage.flow(150)
        fault.notes["cpu"] = (server.cpu_s() - cpu_s) / (time.monotonic() - at)
        assert sum(s.status == 200 for s in streams) <= 20
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, usual)
        for stream in streams:
            stream.wait_ready()
            stream.abort()
        stage.flow()
    assert fault.notes["cpu"] < 0.5
    assert sum("cannot accept" in line for line in server.lines[began:]) < 10
