"""
Faults on a three-member replica set: what clients get must be what was inserted, once and in order, or an explicit gap.

    pytest test/fault                       # the short form; with the environment of test/integration, whose tools are used
    pytest test/fault --long                # everything
    TAILWATER_TEST_SEED=7 pytest test/fault/test_sequence.py --long

Environment, besides that of test/integration:
    TAILWATER_FAULT_REPORT   a file that the outcome of each fault is appended to, a line of JSON each
    TAILWATER_TEST_SEED      of the random sequence (default 1; with --long from the clock; printed)

Files: cluster.py (the replica set), proxy.py (a network that fails), traffic.py (writers), crowd.py (clients), judge.py (what is
true), stage.py (all of them together), test_*.py. Everything runs on loopback; every process is ended by its pid.
"""

from __future__ import annotations

import functools
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "integration"))

from cluster import Cluster  # noqa: E402
from mongod import find_mongod  # noqa: E402
from server import binary  # noqa: E402
from stage import Fault, Stage  # noqa: E402
from stream import Hub  # noqa: E402

figures: list[str] = []
rows: list[dict] = []

COLUMNS = {"fault": "fault", "events": "events", "clients": "clients", "lost": "lost", "duplicates": "dupl.",
           "disordered": "order", "gaps": "gaps", "told": "told", "reconnects": "reconn.",
           "silence_s": "silence", "leavers_silence_s": "leavers", "writers_silence_s": "writers"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="also the tests that take long")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "long: takes more than a few seconds; only with --long")
    config.fault_seed = int(os.environ.get("TAILWATER_TEST_SEED") or (time.time() if config.getoption("--long") else 1))


def pytest_report_header(config: pytest.Config) -> str:
    return f"seed: {config.fault_seed} (TAILWATER_TEST_SEED), program: {binary()}, mongod: {find_mongod()}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--long"):
        return
    for item in items:
        if item.get_closest_marker("long"):
            item.add_marker(pytest.mark.skip(reason="long; run with --long"))


@pytest.fixture(scope="session")
def seed(request: pytest.FixtureRequest) -> int:
    return request.config.fault_seed


def pytest_terminal_summary(terminalreporter, config: pytest.Config) -> None:
    if rows:
        terminalreporter.write_line("fault: " + table_line(COLUMNS) + f"  seed {config.fault_seed}")
    for row in rows:
        terminalreporter.write_line("fault: " + table_line(row))
    for line in figures:
        terminalreporter.write_line(f"fault: {line}")


def table_line(row: dict) -> str:
    """The silences: the longest of a client that gets much; of one that leaves silent connections; of the writers."""
    cells = [f"{v:.2f} s" if isinstance(v := row[name], float) else str(v) for name in COLUMNS]
    extra = "  ".join(f"{k} {v:g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.get("notes", {}).items())
    return (f"{cells[0]:<44}" + "".join(f"{cell:>9}" for cell in cells[1:]) + "  " + extra).rstrip()


def note_fault(fault: Fault, seed: int) -> None:
    verdict = fault.verdict
    names = [*COLUMNS, "delivered", "foreign", "wrong_ids", "again", "rows", "idle_gaps"]
    row = {name: round(value, 3) if isinstance(value := getattr(verdict, name), float) else value for name in names[1:]}
    rows.append({"fault": fault.name, "seed": seed} | row | {"notes": fault.notes})
    if path := os.environ.get("TAILWATER_FAULT_REPORT"):
        with Path(path).open("a") as file:
            print(json.dumps(rows[-1]), file=file)


@pytest.fixture
def report() -> Callable[[str], None]:
    return figures.append


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    if not find_mongod() or not binary():
        pytest.fail("no mongod or no tailwater: set TAILWATER_TEST_MONGOD and TAILWATER_BIN")
    with Cluster() as running:
        yield running


class Stages:
    """The session's stage, made anew after a test that broke it."""

    def __init__(self, cluster: Cluster, seed: int):
        self._cluster = cluster
        self._note = functools.partial(note_fault, seed=seed)
        self._stage: Stage | None = None

    def get(self) -> Stage:
        if self._stage and self._stage.broken:
            self.close()
        if not self._stage:
            self._cluster.heal()
            self._stage = Stage(self._cluster, self._note)
        return self._stage

    def close(self) -> None:
        stage, self._stage = self._stage, None
        if stage:
            stage.close()


@pytest.fixture(scope="session")
def stages(cluster: Cluster, seed: int) -> Iterator[Stages]:
    stages = Stages(cluster, seed)
    yield stages
    stages.close()


@pytest.fixture
def stage(stages: Stages) -> Stage:
    """Two tailwaters, writers, a crowd and a judge; shared by the tests, each of which leaves it whole."""
    return stages.get()


@pytest.fixture
def make_stage(cluster: Cluster, seed: int) -> Iterator[Callable[..., Stage]]:
    """A stage of the test's own: make_stage(clients=100, limits={"stall_s": 2})."""
    made: list[Stage] = []

    def make(**options) -> Stage:
        cluster.heal()
        made.append(Stage(cluster, functools.partial(note_fault, seed=seed), **options))
        return made[-1]

    yield make
    for stage in made:
        stage.close()


@pytest.fixture(scope="session")
def hub() -> Iterator[Hub]:
    hub = Hub()
    yield hub
    hub.close()
