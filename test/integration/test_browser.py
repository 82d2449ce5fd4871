"""A real browser's EventSource: events arrive, and a restart of the server loses nothing."""

from __future__ import annotations

import pytest

import chromium
from conftest import ETL
from deadline import WAIT_S, until
from mongod import free_port

KEYS = {"workspace_id": "w1", "workflow_id": "f1"}
LISTEN = """
window.got = []; window.states = []; window.ids = [];
const source = new EventSource('/api/logs/stream?channels=logs:etl:w1:f1');
source.onopen = () => states.push('open');
source.onerror = () => states.push('error ' + source.readyState);
source.addEventListener('ready', e => states.push('ready ' + JSON.parse(e.data).resumed));
source.addEventListener('gap', e => states.push('gap ' + e.data));
source.addEventListener('logs', e => { got.push(JSON.parse(e.data).log_data.n); ids.push(e.lastEventId); });
"""


@pytest.fixture
def browser():
    if not chromium.is_installed():
        pytest.skip("chromium and chromedriver are not installed")
    with chromium.chromium() as driver:
        yield driver


def test_event_source_over_a_restart(serve, db, browser):
    """EventSource on the server's own page gets events, reconnects over a restart with its Last-Event-ID, and has each
    exactly once, also what was written while the server was away."""
    port = free_port()
    first = serve(ETL, port=port, retry_ms=500)
    browser.get(f"http://127.0.0.1:{port}/")
    browser.execute_script(LISTEN)
    value = lambda name: browser.execute_script(f"return window.{name}")  # noqa: E731
    until(lambda: "ready no" in value("states"), "ready", every_s=0.05)
    db.etl_logs.insert_many([KEYS | {"n": n} for n in range(5)])
    until(lambda: value("got") == list(range(5)), "the first events", every_s=0.05)
    first.stop()
    db.etl_logs.insert_many([KEYS | {"n": n} for n in range(5, 10)])
    second = serve(ETL, port=port, retry_ms=500)
    until(lambda: len(value("got")) >= 10, f"the events of the meantime", WAIT_S, every_s=0.05)
    db.etl_logs.insert_one(KEYS | {"n": 10})
    until(lambda: 10 in value("got"), "live again", every_s=0.05)
    assert value("got") == list(range(11)), value("states")
    assert not [s for s in value("states") if s.startswith("gap")]
    assert second.running


def test_page_shows_events(serve, db, browser):
    """The page at / shows what is inserted."""
    server = serve(ETL)
    browser.get(f"http://127.0.0.1:{server.port}/")
    until(lambda: server.connections >= 1, "the page has opened its stream", 10)

    def shown() -> bool:
        db.etl_logs.insert_one(KEYS | {"level": "INFO", "message": "hello <b>page</b>"})
        return "hello <b>page</b>" in browser.execute_script("return document.body.innerText")

    until(shown, "the message on the page", 15, every_s=0.2)
    assert not browser.execute_script("return document.querySelectorAll('b').length && [...document.querySelectorAll('b')].some(b => b.innerText === 'page')")
