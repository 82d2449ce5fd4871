"""
Faults in random sequence, sometimes two at a time, with calm in between; then everything heals and all records are compared.

    TAILWATER_TEST_SEED=7 pytest test/fault/test_sequence.py --long      # the seed is in the report's line
"""

from __future__ import annotations

import random
import threading
import time

import faults
import pytest

GROUPS = [faults.CLUSTER, faults.NETWORK, faults.TAILWATER, faults.CLIENTS]


class Step:
    """One or two faults of different kinds at the same time, each with its own luck."""

    def __init__(self, rnd: random.Random, longest_s: float):
        groups = rnd.sample(GROUPS, rnd.choice([1, 1, 2]))
        self.parts = [(rnd.choice(g), random.Random(rnd.random()), rnd.uniform(0.2, longest_s)) for g in groups]
        self.failures: list[BaseException] = []

    def __str__(self) -> str:
        return " + ".join(f"{fault.__name__}({hold_s:.1f})" for fault, _, hold_s in self.parts)

    def run(self, stage) -> None:
        threads = [threading.Thread(target=self._do, args=(stage, *part)) for part in self.parts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self.failures:
            raise self.failures[0]

    def _do(self, stage, fault, rnd: random.Random, hold_s: float) -> None:
        try:
            fault(stage, rnd, hold_s)
        except BaseException as error:  # noqa: BLE001 - raised again by run()
            self.failures.append(error)


def play(stage, rnd: random.Random, name: str, seconds: float, longest_s: float) -> None:
    end = time.monotonic() + seconds
    with stage.fault(name) as fault:
        fault.notes["steps"] = 0
        while time.monotonic() < end:
            step = Step(rnd, longest_s)
            print(f"{time.monotonic() - end + seconds:6.1f} s {step}", flush=True)
            step.run(stage)
            fault.notes["steps"] += 1
            if rnd.random() < 0.4:
                stage.heal()
                stage.flow(20)
        stage.heal()
        stage.flow()


def test_sequence(stage, seed):
    play(stage, random.Random(seed), f"random sequence, seed {seed}", 18, 3)


@pytest.mark.long
def test_sequence_long(stage, seed):
    """A comparison a minute."""
    rnd = random.Random(seed)
    for minute in range(4):
        play(stage, rnd, f"random sequence, seed {seed}, minute {minute + 1}", 60, 8)


@pytest.mark.long
def test_sequence_with_little_memory(make_stage, seed):
    """The same where journals hold a second or two: who was away longer is caught up through the oplog."""
    stage = make_stage(journal={"bytes": 65536}, catchup={"window_bytes": 65536})
    rnd = random.Random(seed)
    for minute in range(3):
        play(stage, rnd, f"random sequence, little memory, seed {seed}, {minute + 1}", 60, 8)
