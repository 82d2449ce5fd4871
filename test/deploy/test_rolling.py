"""
Three instances behind a proxy are replaced one by one, under load: every client, browsers included, gets every event that it
asked for once and in order, and is told of no gap.
"""

from __future__ import annotations

import itertools
import json
import os
from types import SimpleNamespace

import pytest

import chromium
from crowd import Crowd
from deadline import until
from front import Caddy, Front, HAProxy, Login, Nginx
from judge import Truth
from mongod import free_port
from server import Server
from stage import Stage, interests
from traffic import Load, mappings

ALIAS = "/api/dapadmin/l5-etl/sse/logs/stream"
CHANNEL = "logs:etl:w1:f1"
LISTEN = """
window.keys = []; window.told = [];
const source = new EventSource(arguments[0]);
source.onerror = () => told.push('error ' + source.readyState);
source.addEventListener('ready', e => told.push('ready ' + JSON.parse(e.data).resumed));
source.addEventListener('gap', e => told.push('gap ' + e.data));
source.addEventListener('logs', e => keys.push(String(JSON.parse(e.data).log_data._id)));
"""
_numbers = itertools.count(1)


class Fleet(Stage):
    """The stage of the fault suite with three tailwaters on one mongod, and no faults but being replaced."""

    def __init__(self, mongo, anonymous: list[str], count: int, drain_delay_s: int):
        self.cluster = SimpleNamespace(client=mongo.client, heal=lambda: None)
        self.broken, self.networks, self.crowd = False, [], None
        self.database = f"fleet{os.getpid() % 100000}_{next(_numbers)}"
        self._report = lambda fault: None
        self.load = Load(mongo.client, self.database, 150)
        self.truth = Truth(mongo.client, self.database)
        access = {"anonymous": anonymous, "proxies": ["127.0.0.1/32"], "grants": {"everyone": ["logs:*:{workspace}:*"]}}
        options = {"auth": access, "aliases": [{"path": ALIAS, "channel": "logs:etl:{workspace_id}:{workflow_id}"}],
                   "mongodb": {"uri": mongo.uri, "max_await_ms": 100}, "drain_delay_s": drain_delay_s}
        self.servers = [Server(self._config(mongo.uri, options)) for _ in range(count)]

    def start(self) -> list[int]:
        for server in self.servers:
            server.start()
        return [server.port for server in self.servers]

    def enter_crowd(self, port: int, clients: int) -> None:
        self.crowd = Crowd([port], interests(clients))
        self.crowd.wait_connected()
        self.crowd.take_records()

    def flow(self, documents: int = 60, timeout_s: float = 60) -> None:
        """Ends early when a client has given up for good, which the verdict tells."""
        received = self._least() + documents
        self.flow_written(documents, timeout_s)
        until(lambda: self.crowd.fatal or self._least() >= received, f"{documents} more were received", timeout_s)
        assert not self.crowd.fatal, self.crowd.fatal[:5]

    def close(self) -> None:
        self.load.close()
        if self.crowd:
            self.crowd.close()
        try:
            for server in self.servers:
                server.dispose()
        finally:
            self.cluster.client.drop_database(self.database)

    def roll(self) -> None:
        """Each is stopped and started again, while clients go on at the others; the next one when it serves again."""
        for server in self.servers:
            server.stop()
            self.flow()
            server.start()
            self.flow()


@pytest.fixture
def fleet(mongo):
    """Everyone may read, so that the crowd needs no session."""
    made = Fleet(mongo, ["logs:*"], 3, 1)
    yield made
    made.close()


@pytest.fixture
def closed_fleet(mongo):
    """One, which nobody may read without a session."""
    made = Fleet(mongo, [], 1, 0)
    yield made
    made.close()


@pytest.fixture
def login():
    service = Login()
    yield service
    service.close()


@pytest.fixture
def front(tmp_path):
    fronts: list[Front] = []

    def start(kind, *arguments) -> Front:
        fronts.append(kind(tmp_path, *arguments))
        return fronts[-1]

    yield start
    for one in fronts:
        one.stop()


@pytest.fixture
def browser():
    if not chromium.is_installed():
        pytest.skip("chromium and chromedriver are not installed")
    with chromium.chromium("--ignore-certificate-errors") as driver:
        yield driver


def value(browser, name: str):
    return browser.execute_script(f"return window.{name}")


@pytest.mark.parametrize("clients", [200, pytest.param(500, marks=pytest.mark.long)])
def test_behind_nginx(fleet, front, login, browser, clients):
    """nginx as it is documented: a crowd over HTTP/1.1; Chromium over TLS and HTTP/2, at the path of the BFF, by its session."""
    nginx = front(Nginx, fleet.start(), login.port)
    fleet.enter_crowd(nginx.port, clients)
    browser.get(f"https://localhost:{nginx.tls_port}/health")
    browser.add_cookie({"name": "session", "value": "ann"})
    assert browser.execute_script("return performance.getEntriesByType('navigation')[0].nextHopProtocol") == "h2"
    browser.execute_script(LISTEN, f"{ALIAS}?workspace_id=w1&workflow_id=f1")
    until(lambda: "ready no" in value(browser, "told"), "the browser is ready", every_s=0.05)
    with fleet.fault("nginx: three instances are rolled") as fault:
        fleet.roll()
    assert fault.verdict.reconnects >= clients, "each was sent away at least once"
    wanted = [change.key for change in fleet.truth.all if change.channel == CHANNEL]
    until(lambda: len(value(browser, "keys")) >= len(wanted), "the browser has all", every_s=0.1)
    told = value(browser, "told")
    assert wanted and value(browser, "keys") == wanted, told
    assert sum(line.startswith("ready") for line in told) > 1 and not [line for line in told if line.startswith("gap")], told


@pytest.mark.long
@pytest.mark.parametrize("kind", [HAProxy, Caddy])
def test_behind_others(fleet, front, kind):
    proxy = front(kind, fleet.start())
    fleet.enter_crowd(proxy.port, 200)
    with fleet.fault(f"{kind.__name__}: three instances are rolled") as fault:
        fleet.roll()
    assert fault.verdict.reconnects >= 200


@pytest.mark.long
@pytest.mark.parametrize("kind", [HAProxy, Caddy])
def test_others_keep_browsers_while_nobody_serves(front, kind):
    answer = front(kind, [free_port()]).get("/api/logs/stream?channels=logs:*")
    assert answer.status == 200 and answer.headers["Content-Type"] == "text/event-stream"
    assert answer.read() == b"retry: 1500\n\n"


def test_nginx_asks_the_login_service(closed_fleet, front, login):
    """Who a client says it is counts for nothing; who the login service says it is, does."""
    nginx = front(Nginx, closed_fleet.start(), login.port)
    assert nginx.get(f"{ALIAS}?workspace_id=w1&workflow_id=f1", **{"X-User-Id": "ann", "X-Workspace-Id": "w1"}).status == 401
    assert nginx.get(f"{ALIAS}?workspace_id=w2&workflow_id=f1", Cookie="session=ann").status == 403
    answer = nginx.get(f"{ALIAS}?workspace_id=w1&workflow_id=f1", Cookie="session=ann", **{"X-Workspace-Id": "w2"})
    assert answer.status == 200 and answer.headers["Content-Type"].startswith("text/event-stream")
    lines = [answer.readline().decode() for _ in range(6)]
    ready = json.loads(next(line for line in lines if line.startswith("data: "))[6:])
    assert ready["channels"] == [CHANNEL]


def test_nginx_keeps_browsers_while_the_login_service_is_away(closed_fleet, front, login):
    nginx = front(Nginx, closed_fleet.start(), login.port)
    login.close()
    answer = nginx.get(f"{ALIAS}?workspace_id=w1&workflow_id=f1", Cookie="session=ann")
    assert answer.status == 200 and answer.read().startswith(b"retry: ")
