"""
Filters against a reference in Python: the same answer on random events, whatever their strings hold.

The seed is printed and can be set by TAILWATER_SEED.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import time
from pathlib import Path

import pytest

SEED = int(os.environ.get("TAILWATER_SEED") or time.time())
BUILD = Path(os.environ.get("TAILWATER_BUILD") or Path(__file__).resolve().parents[2] / "build")
TOOL = BUILD / "test" / "tools" / "filter-lines"
NAMES = {"trace": 10, "debug": 20, "info": 30, "warn": 40, "error": 50, "fatal": 60}
PIECES = ["timeout", "TimeOut", "a", "ß", "Ä", "日本", "\n", "\t", '"', "\\", "\\u0041", "log_data", "\u2028", "\x00", "😀", " ", "é", "{", "]", ","]


def run(min_level: str, level: str, q: str, events: list[tuple[int, str]]) -> list[bool]:
    """What the program says of these events."""
    lines = "".join(f"{number}\t{line}\n" for number, line in events)
    done = subprocess.run([TOOL, min_level, level, q], input=lines.encode(), capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return [answer == b"1" for answer in done.stdout.split()]


def ascii_lower(text: str) -> str:
    return "".join(c.lower() if c.isascii() else c for c in text)


def strings(value) -> list[str]:
    """Every string value, not keys."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [s for v in value.values() for s in strings(v)]
    return [s for v in value for s in strings(v)] if isinstance(value, list) else []


def reference(min_level: str, level: str, q: str, number: int, line: str) -> bool:
    """CONTRACT section 4, in words of Python."""
    if min_level and number and number < NAMES[min_level]:
        return False
    if level and (not number or number // 10 * 10 not in [NAMES[name] for name in level.split(",")]):
        return False
    return not q or any(ascii_lower(q) in ascii_lower(s) for s in strings(json.loads(line)["log_data"]))


def random_text(rng: random.Random) -> str:
    return "".join(rng.choice(PIECES) for _ in range(rng.randrange(6)))


def random_value(rng: random.Random, depth: int):
    kind = rng.randrange(8 if depth else 5)
    if kind < 3:
        return random_text(rng)
    if kind == 3:
        return rng.choice([None, True, False, 1, -1.5e10, 0])
    if kind == 4:
        return rng.choice([[], {}, ""])
    if kind < 7:
        return {random_text(rng): random_value(rng, depth - 1) for _ in range(rng.randrange(4))}
    return [random_value(rng, depth - 1) for _ in range(rng.randrange(4))]


def random_event(rng: random.Random) -> tuple[int, str]:
    """A line as tailwater writes them: other strings around log_data must not count."""
    event = {"channel": "logs:" + random_text(rng), "type": "log", random_text(rng): random_text(rng), "ts": "2026",
             "log_data": {random_text(rng): random_value(rng, 3) for _ in range(rng.randrange(5))}}
    if rng.random() < 0.1:
        event["log_data"] = random_value(rng, 0)
    line = json.dumps(event, ensure_ascii=rng.random() < 0.5, separators=rng.choice([(",", ":"), (", ", ": ")]))
    return rng.choice([0, 10, 20, 30, 35, 40, 50, 60]), line


def random_request(rng: random.Random) -> tuple[str, str, str]:
    q = random_text(rng).replace("\x00", "") if rng.random() < 0.8 else ""
    names = list(NAMES)
    return (rng.choice(names) if rng.random() < 0.3 else "",
            ",".join(rng.sample(names, rng.randrange(1, 4))) if rng.random() < 0.3 else "", q)


def test_random_events():
    """200 requests on 100 events each."""
    print(f"seed {SEED}")
    rng = random.Random(SEED)
    passed = 0
    for _ in range(200):
        request = random_request(rng)
        events = [random_event(rng) for _ in range(100)]
        expected = [reference(*request, *event) for event in events]
        got = run(*request, events)
        wrong = [event for event, e, g in zip(events, expected, got, strict=True) if e != g]
        assert not wrong, (SEED, request, wrong[0])
        passed += sum(got)
    assert passed > 100


@pytest.mark.parametrize("line", ["", "{", '{"log_data":', '{"log_data":"', '{"log_data":"\\', '"' * 50, "[" * 5000, "}" * 300, '{"log_data":"\\u12'])
def test_broken_lines_get_an_answer(line):
    """Total: any bytes give an answer."""
    assert len(run("", "", "x", [(30, line)])) == 1


@pytest.mark.parametrize("request_, word", [(("loud", "", ""), "min_level"), (("", "info,,warn", ""), "level"), (("", "70", ""), "level"), (("", "", "q" * 257), "q:")])
def test_refusals_name_the_parameter(request_, word):
    done = subprocess.run([TOOL, *request_], input=b"", capture_output=True, timeout=60)
    assert done.returncode == 2 and done.stderr.decode().startswith(word)
