"""
The page at / in a real browser (Debian's chromium, driven by chromedriver), on the real server and a real mongod.

    pytest test/web                     # with the environment of test/integration, whose fixtures and tools are used
    pytest test/web --long              # also: 60 s at 1,000 lines a second
    TAILWATER_SHOTS=/tmp/shots pytest test/web -k states    # leaves a picture of every state of the page

The page is the one that the program was built with: after a change in web/src, `npm run build` there, then build the program.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
INTEGRATION = ROOT / "test/integration"
sys.path.insert(0, str(INTEGRATION))

# Its fixtures and hooks are ours, and its modules import them from "conftest".
_spec = importlib.util.spec_from_file_location("integration_conftest", INTEGRATION / "conftest.py")
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
globals().update({name: value for name, value in vars(_module).items() if not name.startswith("__")})

import chromium  # noqa: E402
from deadline import WAIT_S, until  # noqa: E402
from oracle import Rule  # noqa: E402

ETL = Rule("etl_logs", "logs:etl", ("workspace_id", "workflow_id"), (("service", "etl"),))
AXE = ROOT / "web/node_modules/axe-core/axe.min.js"


figures: list[str] = []


def pytest_terminal_summary(terminalreporter) -> None:
    for line in figures:
        terminalreporter.write_line(f"web: {line}")


@pytest.fixture
def report() -> Callable[[str], None]:
    return figures.append


class Page:
    """The page in a tab of its own."""

    def __init__(self, driver):
        self.driver = driver
        self.base = ""

    def open(self, server, path: str = "/", live: bool = True) -> "Page":
        self.base = f"http://127.0.0.1:{server.port}"
        return self.goto(self.base + path, live)

    def goto(self, url: str, live: bool = True) -> "Page":
        self.driver.get("about:blank")
        self.driver.get(url)
        if live:
            self.wait_state("live")
        return self

    def js(self, script: str, *arguments):
        return self.driver.execute_script(script, *arguments)

    def text(self, selector: str) -> str:
        """What is seen of it; "" where it is not."""
        return self.js("const e = document.querySelector(arguments[0]); return e ? e.innerText : ''", selector)

    def visible(self, selector: str) -> bool:
        return self.js("const e = document.querySelector(arguments[0]); return !!e && e.checkVisibility()", selector)

    def click(self, selector: str) -> None:
        from selenium.webdriver.common.by import By

        self.driver.find_element(By.CSS_SELECTOR, selector).click()

    def keys(self, *keys: str) -> None:
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()

    @property
    def state(self) -> str:
        return self.js("return document.getElementById('pill').dataset.state")

    def wait_state(self, state: str, timeout_s: float = WAIT_S) -> None:
        until(lambda: self.state == state, f"the pill says {state}", timeout_s, every_s=0.05)

    def messages(self, which: str = "rows") -> list[str]:
        """Of all logs that are held, also those out of sight; which: rows (what the filter shows), lines (all)."""
        return self.js(f"return tailwater.view.{which}.filter(l => l.kind === 'log').map(l => l.message)")

    def wait_messages(self, wanted: list[str], what: str, which: str = "rows") -> None:
        until(lambda: self.messages(which) == wanted, what, every_s=0.05)

    def in_sight(self) -> list[str]:
        """The text of the rows between the upper and the lower edge."""
        return self.js("""
            const box = document.querySelector('.tw-scroller').getBoundingClientRect();
            return [...document.querySelectorAll('.tw-line')].filter(e => { const r = e.getBoundingClientRect();
              return r.bottom > box.top + 1 && r.top < box.bottom - 1; }).map(e => e.querySelector('.tw-text').innerText);""")

    def scroll_up(self, pixels: int) -> None:
        self.js("document.querySelector('.tw-scroller').scrollTop -= arguments[0]", pixels)

    def complaints(self) -> list[str]:
        """Errors of the console since the last call; an answer that is a refusal, or none at all, is not one."""
        return [e["message"] for e in self.driver.get_log("browser")
                if e["level"] == "SEVERE" and "net::ERR_" not in e["message"] and not ("/api/" in e["message"] and "status of " in e["message"])]

    def axe(self) -> list[str]:
        """What axe-core finds serious or critical."""
        if not self.js("return typeof window.axe === 'object'"):
            self.driver.execute_cdp_cmd("Runtime.evaluate", {"expression": AXE.read_text()})
        found = self.driver.execute_async_script("""
            const done = arguments[arguments.length - 1];
            axe.run(document, {resultTypes: ['violations']}).then(r => done(r.violations.filter(v =>
              v.impact === 'serious' || v.impact === 'critical').map(v => ({id: v.id, nodes: v.nodes.slice(0, 3).map(n => n.html + ' ' + n.failureSummary)}))));""")
        return [json.dumps(f, indent=1) for f in found]

    def scheme(self, scheme: str) -> None:
        """dark or light, as the system would say."""
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})

    def size(self, width: int, height: int) -> None:
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                                    {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False})


@pytest.fixture(scope="session")
def driver() -> Iterator[object]:
    if not chromium.is_installed():
        pytest.fail("chromium and chromedriver are not installed")
    with chromium.chromium("--force-color-profile=srgb", headless="--headless=new",
                           capabilities={"goog:loggingPrefs": {"browser": "ALL"}}) as driver:
        yield driver


@pytest.fixture
def page(driver) -> Iterator[Page]:
    """A page that forgets what the one before stored, and must end without an error on its console."""
    page = Page(driver)
    page.size(1280, 800)
    page.scheme("light")
    yield page
    complaints = page.complaints()
    if page.base:
        page.driver.execute_cdp_cmd("Storage.clearDataForOrigin", {"origin": page.base, "storageTypes": "all"})
        page.js("try { sessionStorage.clear() } catch {}")
    page.driver.get("about:blank")
    assert not complaints, "\n".join(complaints)


@pytest.fixture
def insert(db) -> Callable[..., None]:
    """insert("a", "b", level="ERROR"): logs of logs:etl:w1:f1."""

    def run(*messages: str, **fields) -> None:
        keys = {"workspace_id": "w1", "workflow_id": "f1", "level": "INFO"}
        db.etl_logs.insert_many([keys | fields | {"message": m} for m in messages])

    return run
