"""Every state of the page: axe-core finds nothing serious in any of them, and with TAILWATER_SHOTS a picture of each is left."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from conftest import ETL
from deadline import until
from identities import SECRET
from mongod import free_port

SHOTS = os.environ.get("TAILWATER_SHOTS")
LOOKS = [("light", 1280), ("dark", 1280), ("light", 390), ("dark", 390)]
ORDERS = [("INFO", "order accepted"), ("DEBUG", "cache miss"), ("INFO", "payment captured"), ("WARN", "retrying payment provider, attempt 2 of 5"),
          ("INFO", "order shipped"), ("ERROR", "payment failed: card declined"), ("TRACE", "SELECT * FROM orders WHERE id = $1"),
          ("FATAL", "out of memory: worker killed"), ("INFO", "a message that is long " + "and goes on " * 30), ("INFO", "two\nlines")]


@pytest.fixture
def look(page):
    """look("name"): judge the page as it is, in all its sizes and colours."""

    def run(name: str) -> None:
        found = []
        for scheme, width in LOOKS:
            page.scheme(scheme)
            page.size(width, 800)
            page.js("return new Promise(r => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(r, 50))))")
            found += [f"{name}, {scheme}, {width} px: {problem}" for problem in page.axe()]
            assert page.js("return document.documentElement.scrollWidth <= innerWidth"), f"{name}: wider than {width} px"
            if SHOTS:
                Path(SHOTS).mkdir(parents=True, exist_ok=True)
                page.driver.save_screenshot(str(Path(SHOTS, f"{name}-{scheme}-{width}.png")))
        page.scheme("light")
        page.size(1280, 800)
        assert not found, "\n".join(found)

    return run


def insert_orders(db, count: int) -> None:
    rows = [ORDERS[n % len(ORDERS)] for n in range(count)]
    db.etl_logs.insert_many([{"workspace_id": "w1", "workflow_id": ["orders", "payments", "shipping"][n % 3], "level": level, "message": message,
                              "order": 4711 + n, "took_ms": n * 37 % 900} for n, (level, message) in enumerate(rows)])


def test_states_of_lines(serve, page, db, look):
    page.open(serve(ETL))
    until(lambda: page.visible("#empty"), "the snippets")
    look("empty")
    insert_orders(db, 200)
    until(lambda: len(page.messages()) == 200, "all")
    look("moving")
    page.keys("/", "payment")
    until(lambda: page.text("#matches") == "60", "matches")
    look("search")
    page.js("document.getElementById('search').blur()")
    page.keys("k", "k", "\ue007")
    until(lambda: page.visible(".tw-detail"), "the detail")
    look("detail")
    page.keys("\ue007", "w")
    insert_orders(db, 30)
    until(lambda: "30 new lines" in page.text("#follow"), "the count")
    page.wait_state("paused")
    look("paused")


def test_states_of_dialogs(serve, page, db, look):
    page.open(serve(ETL))
    insert_orders(db, 20)
    until(lambda: len(page.messages()) == 20, "all")
    for name, button in [("help", "#open-help"), ("palette", "#open-palette"), ("jump", "#jump")]:
        page.click(button)
        until(lambda: page.visible("dialog[open]"), name)
        look(name)
        page.keys("\ue00c")
        until(lambda: not page.visible("dialog[open]"), "closed")
    page.keys("6")
    page.js("document.getElementById('jump-at').value = '2020-01-01T00:00:00'; document.querySelector('#jump-form button').click()")
    page.wait_state("past")
    until(lambda: len(page.messages()) == 20, "the past")
    look("past")


def test_states_of_the_connection(serve, page, db, look):
    port = free_port()
    server = serve(ETL, port=port, heartbeat_s=1)
    page.open(server, "/?max_rate=5&tail=9")
    insert_orders(db, 100)
    until(lambda: page.js("return tailwater.view.lines.some(l => l.kind === 'skipped')"), "skipped lines")
    page.js("const s = tailwater.session.subscription; s.pause(); s.lastEventId = 'nonsense'; s.resume();")
    until(lambda: page.visible(".tw-gap"), "a gap")
    look("gap")
    server.stop()
    page.wait_state("reconnecting")
    page.js("tailwater.session.client.options.minDelay = tailwater.session.client.options.maxDelay = 50_000; tailwater.session.client.options.random = () => 1")
    until(lambda: " in " in page.text("#pill-text"), "the countdown")
    look("reconnecting")
    page.driver.set_network_conditions(offline=True, latency=0, throughput=-1)
    page.wait_state("offline")
    look("offline")
    page.driver.delete_network_conditions()


def test_states_without_rights(serve, page, look):
    page.open(serve(ETL, auth={"jwt": {"secret": SECRET}}), live=False)
    until(lambda: page.visible("#login"), "the field")
    look("401")


def test_state_away(more_mongod, launch, page, look):
    node = more_mongod()
    page.open(launch({"mongodb": {"uri": node.uri, "max_await_ms": 100}, "heartbeat_s": 1,
                      "sources": [{"name": "logs", "tag": "a", "database": "x", "mappings": [ETL.config]}]}))
    node._end(signal.SIGKILL)  # noqa: SLF001
    page.wait_state("away")
    look("away")
    node.start()


def test_state_stopped(serve, page, look):
    page.open(serve(ETL), "/?channels=logs::", live=False)
    page.wait_state("stopped")
    look("stopped")
