"""
What is in deploy/, tried: packages, images, units of Kubernetes, proxies in front of instances that are rolled.

    pytest test/deploy                      # the short form; with the environment of test/integration, whose tools are used
    pytest test/deploy --long               # also what takes minutes, or needs root, Debian's servers and Go's module proxy

Files: chroot.py (a Debian in a folder), dockerfile.py (the steps of a Dockerfile, carried out there), front.py (nginx, HAProxy,
Caddy), test_*.py. What a test of the long form needs and cannot have is said by its skip.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[1:1] = [str(HERE.parent / "integration"), str(HERE.parent / "fault")]

from mongod import Mongod, find_mongod  # noqa: E402


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="also the tests that take long")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "long: takes minutes or much of the network; only with --long")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("long") and not config.getoption("--long"):
            item.add_marker(pytest.mark.skip(reason="long; run with --long"))


@pytest.fixture(scope="session")
def mongo() -> Iterator[Mongod]:
    """A single-node replica set."""
    if not find_mongod():
        pytest.fail("no mongod found: set TAILWATER_TEST_MONGOD")
    node = Mongod("--setParameter", "periodicNoopIntervalSecs=1")
    try:
        yield node.start()
    finally:
        node.stop()


@pytest.fixture(scope="session")
def debian(tmp_path_factory) -> Path:
    """The archive of a minimal Debian 12; TAILWATER_TEST_DEBIAN names one that is there already."""
    import chroot

    named = os.environ.get("TAILWATER_TEST_DEBIAN")
    return Path(named) if named else chroot.make_archive(tmp_path_factory.mktemp("debian"))
