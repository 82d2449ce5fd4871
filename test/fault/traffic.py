"""A writer that never gives up, and the comparison of what it wrote with what a client received."""

from __future__ import annotations

import threading
import time

from pymongo.errors import AutoReconnect, DuplicateKeyError, PyMongoError
from pymongo.write_concern import WriteConcern

from deadline import until


class Writer:
    """Inserts numbered documents with majority, about 200 a second, from a thread; a number is written until it is there."""

    def __init__(self, client, database: str):
        self._collection = client[database].get_collection("etl", write_concern=WriteConcern("majority", wtimeout=2000))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.written = 0

    def __enter__(self) -> "Writer":
        self._thread.start()
        until(lambda: self.written >= 20, "the writer writes")
        return self

    def __exit__(self, *_) -> None:
        self.finish()

    def finish(self) -> int:
        self._stop.set()
        self._thread.join(60)
        assert not self._thread.is_alive()
        return self.written

    def _run(self) -> None:
        while not self._stop.is_set():
            self._write(self.written)
            self.written += 1
            time.sleep(0.004)

    def _write(self, number: int) -> None:
        while True:
            try:
                self._collection.insert_one({"_id": number, "workspace_id": f"w{number % 4}", "workflow_id": "f", "n": number})
                return
            except DuplicateKeyError:
                return
            except (AutoReconnect, PyMongoError):
                time.sleep(0.02)


def numbers(stream) -> list[int]:
    return [f.json["log_data"]["n"] for f in stream.events]


def longest_silence_s(stream) -> float:
    times = [f.at for f in stream.events]
    return max((b - a for a, b in zip(times, times[1:], strict=False)), default=0.0)


def assert_exact(stream, written: int) -> None:
    """
    Every number once, in the stream's order. The writer is one thread, so that order is by number, but for a number
    whose first try was rolled back or repeated; ids must rise all the same.
    """
    got = numbers(stream)
    assert len(got) == len(set(got)), "doubled"
    assert set(got) == set(range(written)), (sorted(set(range(written)) - set(got))[:10], sorted(set(got) - set(range(written)))[:10])
    assert got == sorted(got), "out of order"
    ids = [f.id[:16] for f in stream.events]
    assert ids == sorted(ids)
