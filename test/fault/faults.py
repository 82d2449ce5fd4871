"""
What can be done to a stage, each as a function that does it for hold_s and leaves what remains to be healed to Stage.heal().
Tests do them one at a time (test_failover.py, test_network.py, test_process.py, test_clients.py) and in random sequence.
"""

from __future__ import annotations

import random
import signal
import time

from deadline import until
from pymongo.errors import PyMongoError
from server import Server
from stage import Stage


def hold(seconds: float) -> None:
    """The time that a fault lasts; nothing is waited for."""
    time.sleep(seconds)


# --- the replica set --------------------------------------------------------------------------------
# Each begins with a whole set: with two members down there would be no primary to do anything to.


def step_down(stage: Stage, rnd: random.Random, hold_s: float) -> None:
    stage.cluster.heal()
    until(lambda: steps_down(stage), "a primary that steps down")


def steps_down(stage: Stage) -> bool:
    """Not while its secondaries are behind."""
    try:
        stage.cluster.step_down()
        return True
    except PyMongoError:
        return False


def kill_primary(stage: Stage, rnd: random.Random, hold_s: float) -> None:
    stage.cluster.heal()
    until(stage.cluster.primary, "a primary").kill()
    hold(hold_s)


def kill_secondary(stage: Stage, rnd: random.Random, hold_s: float) -> None:
    stage.cluster.heal()
    primary = until(stage.cluster.primary, "a primary")
    rnd.choice([m for m in stage.cluster.members if m is not primary]).kill()
    hold(hold_s)


def freeze_primary(stage: Stage, rnd: random.Random, hold_s: float) -> None:
    stage.cluster.heal()
    frozen = until(stage.cluster.primary, "a primary")
    frozen.signal(signal.SIGSTOP)
    hold(hold_s)
    frozen.signal(signal.SIGCONT)


def all_down(stage: Stage, rnd: random.Random, hold_s: float) -> None:
    for member in stage.cluster.members:
        member.kill()
    hold(hold_s)
    stage.cluster.heal()


# --- the network between tailwater and MongoDB --------------------------------------------------------


def reset(stage: Stage, rnd: random.Random, hold_s: float) -> None:
    """Every connection to MongoDB ends by RST, again and again."""
    end = time.monotonic() + hold_s
    while time.monotonic() < end:
        rnd.choice(stage.networks).reset()
        hold(0.3)


def cut(stage: Stage, rnd: random.Random, hold_s: float) -> None:
    """One tailwater cannot connect to any member."""
    network = rnd.choice(stage.networks)
    network.refuse()
    hold(hold_s)
    network.heal()


def black_hole(stage: Stage, rnd: random.Random, hold_s: float) -> None:
    """One tailwater hears nothing from any member, and no connection ends."""
    network = rnd.choice(stage.networks)
    network.hole()
    hold(hold_s)
    network.heal()


def slow(stage: Stage, rnd: random.Random, hold_s: float) -> None:
    """Less comes through to one tailwater than is written."""
    network = rnd.choice(stage.networks)
    network.slow(bytes_s=20000, latency_s=0.05)
    hold(hold_s)
    network.heal()


# --- tailwater ----------------------------------------------------------------------------------------


def kill_tailwater(stage: Stage, rnd: random.Random, hold_s: float, server: Server | None = None) -> None:
    server = server or rnd.choice(stage.servers)
    server.kill()
    hold(hold_s)
    server.start(healthy=False)


def kill_all_tailwaters(stage: Stage, rnd: random.Random, hold_s: float) -> None:
    for server in stage.servers:
        server.kill()
    hold(hold_s)
    for server in stage.servers:
        server.start(healthy=False)


def stop_tailwater(stage: Stage, rnd: random.Random, hold_s: float) -> None:
    """SIGTERM; Server.stop() demands status 0 within 5 s."""
    server = rnd.choice(stage.servers)
    server.stop()
    hold(hold_s)
    server.start(healthy=False)


def freeze_tailwater(stage: Stage, rnd: random.Random, hold_s: float, server: Server | None = None) -> None:
    server = server or rnd.choice(stage.servers)
    server.signal(signal.SIGSTOP)
    hold(hold_s)
    server.signal(signal.SIGCONT)


# --- clients --------------------------------------------------------------------------------------------


def storm(stage: Stage, rnd: random.Random, hold_s: float) -> None:
    """All clients leave and come back in the same moment."""
    stage.crowd.cut()


def cut_some(stage: Stage, rnd: random.Random, hold_s: float) -> None:
    """Connections break here and there."""
    end = time.monotonic() + hold_s
    while time.monotonic() < end:
        stage.crowd.cut(rnd.sample(stage.crowd.clients, 20), at_once=False)
        hold(0.1)


def stop_reading(stage: Stage, rnd: random.Random, hold_s: float) -> None:
    readers = rnd.sample(stage.crowd.clients, len(stage.crowd.clients) // 4)
    stage.crowd.pause(readers)
    hold(hold_s)
    stage.crowd.resume(readers)


CLUSTER = [step_down, kill_primary, kill_secondary, freeze_primary, all_down]
NETWORK = [reset, cut, black_hole, slow]
TAILWATER = [kill_tailwater, kill_all_tailwaters, stop_tailwater, freeze_tailwater]
CLIENTS = [storm, cut_some, stop_reading]
