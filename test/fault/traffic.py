"""
Writers that never give up. Load writes for a stage (stage.py), in several ways at once; Writer numbers the documents of one
collection, for tests that compare by hand.
"""

from __future__ import annotations

import threading
import time

from pymongo.errors import AutoReconnect, DuplicateKeyError, PyMongoError
from pymongo.read_concern import ReadConcern
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


# --- writers of a stage -----------------------------------------------------------------------------

COLLECTIONS = {"etl": "workflow_id", "faas": "function_id"}  # and the field behind workspace_id in the channel
WORKSPACES = WORKFLOWS = 8
LEVELS = ["debug", "info", "info", "warn", "error"]


def mappings() -> list[dict]:
    """The configuration that belongs to what Load writes."""
    return [{"collections": [name], "channel": f"logs:{name}:{{workspace_id}}:{{{last}}}", "labels": {"service": name}}
            for name, last in COLLECTIONS.items()]


def channel_of(collection: str, document: dict) -> str:
    return f"logs:{collection}:{document['workspace_id']}:{document[COLLECTIONS[collection]]}"


class Load:
    """
    Writers with majority, each a thread: single documents, many at once, transactions over two collections, and updates and
    deletes that nobody may see. A document is written until a majority has it, however often its member fails; `_id`s are
    never used twice. They write between go() and pause().
    """

    def __init__(self, client, database: str, rate: float = 120):
        self._client = client
        self._database = client[database]
        self._pauses = rate / 3
        self._go = threading.Event()
        self._idle = [threading.Event() for _ in range(4)]
        self._ended = False
        self._lock = threading.Lock()
        self._acked: list[str] = []
        self._acked_at = 0.0
        self.count = 0  # documents that a majority has
        self.silence_s = 0.0  # the longest time without a document that was acknowledged, since go()
        for name in [*COLLECTIONS, "noise"]:  # a transaction must not have to create them
            self._majority(name).insert_one({"_id": "first"})
        kinds = [(self._write_one, 1), (self._write_many, 10), (self._write_transaction, 4), (self._write_noise, 4)]
        self._threads = [threading.Thread(target=self._run, args=(i, *kind), daemon=True) for i, kind in enumerate(kinds)]
        for thread in self._threads:
            thread.start()

    def go(self) -> None:
        self._acked_at, self.silence_s = time.monotonic(), 0.0
        self._go.set()

    def pause(self) -> list[str]:
        """Stop writing; the keys of all that was written since the last pause."""
        self._go.clear()
        until(lambda: all(idle.is_set() for idle in self._idle), "the writers are done", 60)
        with self._lock:
            acked, self._acked = self._acked, []
        return acked

    def close(self) -> None:
        self._ended = True
        self._go.set()
        for thread in self._threads:
            thread.join(60)

    def _majority(self, name: str):
        return self._database.get_collection(name, write_concern=WriteConcern("majority", wtimeout=2000),
                                             read_concern=ReadConcern("majority"))

    def _run(self, number: int, write, size: int) -> None:
        count = 0
        while not self._ended:
            if not self._go.is_set():
                self._idle[number].set()
                self._go.wait()
                self._idle[number].clear()
                continue
            documents = [self._document(number, count + i) for i in range(size)]
            count += size
            write(documents)
            time.sleep(size / self._pauses)

    def _document(self, writer: int, number: int) -> dict:
        spread = number * 7 + writer
        last = f"f{spread // WORKSPACES % WORKFLOWS}"
        return {"_id": f"{writer}-{number:06d}", "workspace_id": f"w{spread % WORKSPACES}", "workflow_id": last,
                "function_id": last, "level": LEVELS[number % len(LEVELS)], "message": f"line {number} of writer {writer}"}

    def _write_one(self, documents: list[dict]) -> None:
        self._insist("etl", documents, lambda: self._majority("etl").insert_one(documents[0]))

    def _write_many(self, documents: list[dict]) -> None:
        self._insist("faas", documents, lambda: self._majority("faas").insert_many(documents, ordered=False))

    def _write_transaction(self, documents: list[dict]) -> None:
        def write() -> None:
            concern = WriteConcern("majority", wtimeout=2000)
            with self._client.start_session() as session, session.start_transaction(write_concern=concern):
                self._database.etl.insert_many(documents[:2], session=session)
                self._database.faas.insert_many(documents[2:], session=session)

        self._insist("faas", documents[2:], write, documents[:2])

    def _write_noise(self, documents: list[dict]) -> None:
        try:
            self._database.noise.insert_many([{"n": d["_id"]} for d in documents])
            self._database.etl.update_one({"_id": "first"}, {"$inc": {"n": 1}})
            self._database.noise.delete_one({"n": documents[0]["_id"]})
        except PyMongoError:
            pass

    def _insist(self, name: str, documents: list[dict], write, etl: list[dict] = ()) -> None:
        """Write until a majority has them all: an error may mean that they are there, that they are not, or that some are."""
        while True:
            try:
                write()
                break
            except PyMongoError:
                time.sleep(0.02)
            if self._are_there(name, documents) and self._are_there("etl", etl):
                break
        now = time.monotonic()
        with self._lock:
            self._acked += [d["_id"] for d in [*documents, *etl]]
            self.count += len(documents) + len(etl)
            self.silence_s = max(self.silence_s, now - self._acked_at)
            self._acked_at = now

    def _are_there(self, name: str, documents: list[dict]) -> bool:
        try:
            return self._majority(name).count_documents({"_id": {"$in": [d["_id"] for d in documents]}}) == len(documents)
        except PyMongoError:
            return False
