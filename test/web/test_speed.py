"""1,000 lines a second, with 100,000 held already: frames stay short, memory stays flat, and no line is missing."""

from __future__ import annotations

import statistics
import threading
import time

import pytest

from conftest import ETL
from deadline import until

RATE = 1000
HELD = 100_000

FILL = """
const lines = [];
for (let n = 0; n < arguments[0]; n++) lines.push({key: 'old ' + n, kind: 'log', time: Date.now(), level: 'info', channel: 'logs:etl:w1:f1', id: String(n),
  message: 'old line ' + n, fields: 'order=4711', document: {n}, truncated: false, replay: false});
tailwater.view.append(lines);"""

WATCH = """
window.frames = []; window.long = [];
let last = performance.now();
requestAnimationFrame(function next(now) { frames.push(now - last); last = now; requestAnimationFrame(next); });
new PerformanceObserver(list => list.getEntries().forEach(e => long.push(e.duration))).observe({entryTypes: ['longtask']});"""


class Writer(threading.Thread):
    """Inserts RATE documents a second, in batches every 50 ms, until it is stopped."""

    def __init__(self, collection):
        super().__init__(daemon=True)
        self.collection, self.count, self.stopping = collection, 0, threading.Event()

    def run(self) -> None:
        began = time.monotonic()
        while not self.stopping.wait(0.05):
            wanted = int((time.monotonic() - began) * RATE)
            rows = [{"workspace_id": "w1", "workflow_id": "f1", "level": ["INFO", "DEBUG", "WARN"][n % 3], "message": f"request {n} served",
                     "took_ms": n % 700} for n in range(self.count, wanted)]
            if rows:
                self.collection.insert_many(rows)
                self.count = wanted


def heap_mb(page) -> float:
    page.driver.execute_cdp_cmd("HeapProfiler.collectGarbage", {})
    return page.driver.execute_cdp_cmd("Runtime.getHeapUsage", {})["usedSize"] / 1e6


def run(page, db, seconds: float) -> tuple[float, float, float, list[float], int]:
    """Median and 99th percentile of the frames [fps, ms], growth of the heap over the second half [MB], long tasks, lines."""
    page.js(FILL, HELD)
    until(lambda: page.js("return tailwater.view.lines.length") >= HELD, "the lines are held")
    writer = Writer(db.etl_logs)
    writer.start()
    time.sleep(1)
    page.js(WATCH)
    time.sleep(seconds / 2)
    half = heap_mb(page)
    time.sleep(seconds / 2)
    frames, long = page.js("return [frames.slice(1), long]")
    grown = heap_mb(page) - half
    writer.stopping.set()
    writer.join()
    until(lambda: page.messages("lines")[-1] == f"request {writer.count - 1} served", "the last line")
    held = [m for m in page.messages("lines") if m.startswith("request")]
    assert held == [f"request {n} served" for n in range(writer.count)][-len(held):] and len(held) >= min(writer.count, HELD)
    assert page.js("return document.querySelectorAll('.tw-line').length") < 200
    return 1000 / statistics.median(frames), statistics.quantiles(frames, n=100)[98], grown, long, writer.count


def test_fast_lines(serve, page, db, report):
    page.open(serve(ETL))
    fps, p99, grown, long, lines = run(page, db, 6)
    report(f"{lines} lines in 7 s: median {fps:.0f} fps, p99 {p99:.0f} ms, heap {grown:+.1f} MB, {len(long)} long tasks")
    assert fps > 20  # any machine; the long form asks for more


@pytest.mark.long
def test_fast_lines_for_a_minute(serve, page, db, report):
    page.open(serve(ETL))
    fps, p99, grown, long, lines = run(page, db, 60)
    report(f"{lines} lines in 61 s: median {fps:.0f} fps, p99 {p99:.0f} ms, heap {grown:+.1f} MB over the second half, "
           f"{len(long)} long tasks, the longest {max(long, default=0):.0f} ms")
    assert fps > 50 and grown < 15
