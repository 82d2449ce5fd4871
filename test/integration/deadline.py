"""Waiting for conditions: every wait of the suite has a deadline and a name, none is a bare sleep."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

#: Factor on every deadline, for sanitizer builds and loaded machines.
PATIENCE = float(os.environ.get("TAILWATER_TEST_PATIENCE", "1"))
WAIT_S = 30.0 * PATIENCE


class Expired(AssertionError):
    """A condition did not come true in time."""


def until(condition: Callable[[], T], what: str, timeout_s: float = WAIT_S, every_s: float = 0.01) -> T:
    """Poll condition until it is truthy and return its value; Expired names what was waited for."""
    end = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Expired(f"not within {timeout_s:g} s: {what} (last: {value!r})")
        time.sleep(every_s)
