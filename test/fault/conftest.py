"""
Faults on a three-member replica set: what clients get must be what was inserted, once and in order, or an explicit gap.

    pytest test/fault        # with the environment of test/integration, whose tools these tests use

Each test prints the longest silence that a client saw. Everything runs on loopback; every process is ended by its pid.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "integration"))

from cluster import Cluster  # noqa: E402
from mongod import find_mongod  # noqa: E402
from server import Server, binary  # noqa: E402
from stream import Hub  # noqa: E402

figures: list[str] = []


def pytest_terminal_summary(terminalreporter) -> None:
    for line in figures:
        terminalreporter.write_line(f"fault: {line}")


@pytest.fixture
def report() -> Callable[[str], None]:
    return figures.append


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    if not find_mongod() or not binary():
        pytest.skip("no mongod or no tailwater")
    with Cluster() as running:
        yield running


@pytest.fixture(scope="session")
def hub() -> Iterator[Hub]:
    hub = Hub()
    yield hub
    hub.close()


@pytest.fixture
def server(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Server]:
    """tailwater on a database of the test's own; server.database is its name."""
    name = request.node.name.replace("[", "_").replace("]", "").replace("-", "_")[:40]
    mapping = {"collections": ["etl"], "channel": "logs:etl:{workspace_id}:{workflow_id}"}
    config = {"mongodb": {"uri": cluster.uri}, "sources": [{"name": "logs", "tag": "a", "database": name, "mappings": [mapping]}]}
    server = Server(config).start(True)
    server.database = name
    yield server
    server.dispose()
