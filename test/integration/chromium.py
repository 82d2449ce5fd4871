"""Chromium without a window, driven by chromedriver: for tests that need a real browser."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

PROGRAM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--no-proxy-server"]


def is_installed() -> bool:
    return bool(PROGRAM and DRIVER)


@contextmanager
def chromium(*flags: str, headless: str = "--headless", capabilities: dict[str, object] | None = None) -> Iterator[object]:
    """A browser with a profile of its own, which goes with it."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    folder = tempfile.mkdtemp(prefix="tailwater-chromium-")
    options = webdriver.ChromeOptions()
    options.binary_location = PROGRAM
    for name, value in (capabilities or {}).items():
        options.set_capability(name, value)
    for flag in [headless, *FLAGS, *flags, f"--user-data-dir={folder}"]:
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()
    shutil.rmtree(folder, ignore_errors=True)
