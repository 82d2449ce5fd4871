"""
The grants collection as the watcher follows it (src/mongo/grants_feed.c, by the program grants-watch): which changes are
in the journal, in which place, and what the book says.
"""

from __future__ import annotations

import json
import os
import queue
import random
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bson import Binary, Int64, ObjectId
from pymongo import InsertOne, ReplaceOne, UpdateOne

from conftest import ETL
from deadline import WAIT_S, until
from mongod import PASSWORD, Mongod
from server import clean_environment, run_cli

BUILD = Path(os.environ.get("TAILWATER_BUILD") or Path(__file__).resolve().parents[2] / "build")


def log(n: int, **more) -> dict:
    return {"workspace_id": "w1", "workflow_id": "f1", "n": n, **more}


class Watch:
    """One grants-watch: its frames, its log and its book."""

    def __init__(self, uri: str, database: str, grants: str, folder: Path, max_age_ms: int = 60000,
                 max_bytes: int = 1 << 26, warm_s: int = 0):
        file = folder / f"mappings-{ObjectId()}.json"
        file.write_text(json.dumps([ETL.config]))
        command = [BUILD / "test/tools/grants-watch", uri, file, database, grants,
                   str(max_age_ms), str(max_bytes), str(warm_s)]
        self.frames: list[dict] = []
        self.lines: list[str] = []
        self._answers: queue.Queue[dict] = queue.Queue()
        self._process = subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         stderr=subprocess.PIPE, env=clean_environment())
        threading.Thread(target=self._read, daemon=True).start()
        threading.Thread(target=self._read_log, daemon=True).start()

    def _read(self) -> None:
        for line in self._process.stdout:
            value = json.loads(line)
            if value["kind"] == "book":
                self._answers.put(value)
            else:
                self.frames.append(value)

    def _read_log(self) -> None:
        for line in self._process.stderr:
            self.lines.append(line.rstrip("\n"))

    def book(self, user: str = "") -> dict:
        self._process.stdin.write(user + "\n")
        self._process.stdin.flush()
        return self._answers.get(timeout=WAIT_S)

    def patterns(self, user: str) -> list[str]:
        """What the user has; nothing and an empty set are the same."""
        return self.book(user)["patterns"] or []

    def loaded(self) -> "Watch":
        until(lambda: self.book()["state"] == "current", "the grants are loaded")
        return self

    def streaming(self) -> "Watch":
        until(lambda: any("change stream open" in line for line in self.lines), "the source is open")
        return self

    def seen(self, count: int) -> list:
        """The first frames in short: 7 an event with n = 7, ("ann", […]) a change, "all" everything anew."""
        until(lambda: len(self.frames) >= count, f"{count} frames ({self.lines[-3:]})")
        return [short(f) for f in self.frames]

    def close(self) -> None:
        self._process.stdin.close()
        assert self._process.wait(30) == 0, self.lines[-20:]
        text = "\n".join(self.lines)
        assert PASSWORD not in text and "Sanitizer" not in text, text


def short(frame: dict):
    if frame["kind"] == "event":
        return frame["data"]["log_data"]["n"]
    if frame["kind"] == "grants":
        return "all" if frame["user"] is None else (frame["user"], frame["patterns"])
    return frame["kind"]


@pytest.fixture
def watch(mongo: Mongod, dbname: str, tmp_path: Path) -> Iterator[Callable[..., Watch]]:
    """A factory: watch() follows <the test's database>.grants."""
    started: list[Watch] = []

    def start(grants: str | None = None, uri: str | None = None, **more) -> Watch:
        started.append(Watch(uri or mongo.uri, dbname, grants or f"{dbname}.grants", tmp_path, **more))
        return started[-1]

    yield start
    for one in started:
        one.close()


def fail_find(node: Mongod, namespace: str, code: int, mode: object):
    """Let find fail on the collection; returns how to end that."""
    return fail(node, "find", code, mode, namespace=namespace)


def fail(node: Mongod, command: str, code: int, mode: object, **more):
    data = {"failCommands": [command], "errorCode": code, **more}
    node.client.admin.command({"configureFailPoint": "failCommand", "mode": mode, "data": data})
    return lambda: node.client.admin.command({"configureFailPoint": "failCommand", "mode": "off"})


# --- in order -----------------------------------------------------------------------------------------


def test_is_loaded_and_each_change_stands_in_its_place(db, watch):
    db.grants.insert_one({"_id": "ann", "read": ["logs:etl:w1:*"]})
    w = watch().loaded().streaming()
    assert w.book("ann")["patterns"] == ["logs:etl:w1:*"] and w.book()["count"] == 1
    assert w.book("bob")["patterns"] is None
    db.etl_logs.insert_one(log(1))
    db.grants.insert_one({"_id": "bob", "read": ["logs:*"]})
    db.etl_logs.insert_one(log(2))
    db.grants.update_one({"_id": "ann"}, {"$push": {"read": "alerts:ann"}})
    db.etl_logs.insert_one(log(3))
    db.grants.replace_one({"_id": "ann"}, {"read": ["alerts:ann"]})
    db.etl_logs.insert_one(log(4))
    db.grants.delete_one({"_id": "ann"})
    db.etl_logs.insert_one(log(5))
    assert w.seen(9) == [1, ("bob", ["logs:*"]), 2, ("ann", ["alerts:ann", "logs:etl:w1:*"]), 3,
                         ("ann", ["alerts:ann"]), 4, ("ann", []), 5]
    times = [f["time"] for f in w.frames]
    assert times == sorted(times)
    # Who is changed once in an answer is read as of its last change.
    assert all(f["time"] <= f["as_of"] <= times[-1] for f in w.frames if f["kind"] == "grants")
    assert w.patterns("ann") == [] and w.patterns("bob") == ["logs:*"] and w.book()["count"] == 1


def test_a_transaction_keeps_its_order(mongo, db, watch):
    db.create_collection("etl_logs")
    db.grants.insert_one({"_id": "ann", "read": ["logs:*"]})
    w = watch().loaded().streaming()
    with mongo.client.start_session() as session, session.start_transaction():
        db.etl_logs.insert_one(log(1), session=session)
        db.grants.delete_one({"_id": "ann"}, session=session)
        db.etl_logs.insert_one(log(2), session=session)
    assert w.seen(3) == [1, ("ann", []), 2]
    assert len({f["time"] for f in w.frames}) == 1


def test_every_state_of_one_user_is_seen_also_in_one_answer(db, watch):
    """Taken away and given again before anyone looks: both are told, each as it was."""
    w = watch().loaded().streaming()
    changes = [ReplaceOne({"_id": "ann"}, {"read": [f"logs:{i}"]}, upsert=True) for i in range(50)]
    db.grants.bulk_write(changes)
    assert w.seen(50) == [("ann", [f"logs:{i}"]) for i in range(50)]


def test_many_users_changed_at_once_are_read_together(mongo, db, watch):
    users = [f"u{i}" for i in range(3000)]
    db.grants.insert_many([{"_id": u, "read": ["logs:a"]} for u in users])
    w = watch().loaded().streaming()
    finds = mongo.client.admin.command("serverStatus")["opcounters"]["query"]
    db.grants.update_many({}, {"$set": {"read": ["logs:b"]}})
    assert w.seen(3000) == [(u, ["logs:b"]) for u in users]
    # Measured: some 60; the first answers hold few changes each.
    assert mongo.client.admin.command("serverStatus")["opcounters"]["query"] - finds < 600


def test_a_drop_a_rename_and_what_takes_its_place(db, watch):
    db.grants.insert_one({"_id": "ann", "read": ["logs:a"]})
    w = watch().loaded().streaming()
    db.etl_logs.insert_one(log(1))
    db.grants.drop()
    db.etl_logs.insert_one(log(2))
    assert w.seen(3) == [1, "all", 2]
    assert w.patterns("ann") == []
    db.staged.insert_one({"_id": "bob", "read": ["logs:b"]})
    db.staged.rename("grants")
    db.etl_logs.insert_one(log(3))
    assert w.seen(5)[3:] == ["all", 3]
    assert w.patterns("bob") == ["logs:b"]
    db.made.insert_one({"_id": "cyd", "read": ["logs:c"]})
    db.made.aggregate([{"$out": "grants"}])
    db.etl_logs.insert_one(log(4))
    until(lambda: [f for f in w.frames if short(f) == 4], "the last event")
    assert w.patterns("bob") == [] and w.patterns("cyd") == ["logs:c"]
    db.grants.rename("old")
    db.etl_logs.insert_one(log(5))
    until(lambda: [short(f) for f in w.frames][-2:] == ["all", 5], "the end")
    assert w.patterns("cyd") == []


def test_a_dropped_database_revokes_everything(mongo, db, dbname, watch):
    db.grants.insert_one({"_id": "ann", "read": ["logs:a"]})
    w = watch().loaded().streaming()
    mongo.client.drop_database(dbname)
    until(lambda: w.frames and short(w.frames[-1]) == "all", "all was loaded anew")
    assert w.patterns("ann") == []
    db.grants.insert_one({"_id": "ann", "read": ["logs:b"]})
    until(lambda: w.patterns("ann") == ["logs:b"], "it is followed again")


def test_grants_in_another_database(mongo, db, dbname, watch):
    other = mongo.client[f"{dbname}_x"]
    try:
        other.grants.insert_one({"_id": "ann", "read": ["logs:a"]})
        w = watch(f"{dbname}_x.grants").loaded().streaming()
        db.etl_logs.insert_one(log(1))
        other.grants.delete_one({"_id": "ann"})
        db.grants.insert_one({"_id": "ann", "read": ["logs:b"]})  # of the same name, elsewhere
        other.etl_logs.insert_one(log(2))
        db.etl_logs.insert_one(log(3))
        assert w.seen(3) == [1, ("ann", []), 3]
        mongo.client.drop_database(other.name)
        assert w.seen(4)[3] == "all"
    finally:
        mongo.client.drop_database(other.name)


def test_what_a_warm_start_reads_again_is_in_already(db, watch):
    db.grants.insert_one({"_id": "ann", "read": ["logs:a"]})
    db.etl_logs.insert_one(log(1))
    db.grants.update_one({"_id": "ann"}, {"$set": {"read": ["logs:b"]}})
    db.etl_logs.insert_one(log(2))
    w = watch(warm_s=600).loaded().streaming()
    assert w.patterns("ann") == ["logs:b"]
    db.grants.delete_one({"_id": "ann"})
    assert w.seen(3) == [1, 2, ("ann", [])]


class Writer:
    """Writes at random what the frames must be, one thing after the other."""

    def __init__(self, client, db, dice: random.Random):
        self.client, self.db, self.dice = client, db, dice
        self.expected: list = []
        self.now: dict[str, list[str]] = {}

    def write(self, session=None) -> list:
        """One log or one change; its frame in short."""
        user = self.dice.choice(["ann", "bob", "cyd", "dan"])
        kind = self.dice.choice(["log", "log", "set", "set", "delete"])
        if kind == "log":
            number = self.dice.randrange(1 << 30)
            self.db.etl_logs.insert_one(log(number), session=session)
            return [number]
        if kind == "set":
            patterns = sorted({f"logs:{self.dice.randrange(100)}" for _ in range(self.dice.randrange(3))})
            self.db.grants.update_one({"_id": user}, {"$set": {"read": patterns, "n": self.dice.random()}},
                                      upsert=True, session=session)
            self.now[user] = patterns
            return [(user, patterns)]
        deleted = self.db.grants.delete_one({"_id": user}, session=session).deleted_count
        self.now.pop(user, None)
        return [(user, [])] if deleted else []

    def write_transaction(self) -> None:
        with self.client.start_session() as session, session.start_transaction():
            frames = [f for _ in range(self.dice.randrange(1, 8)) for f in self.write(session)]
        self.expected += [f if isinstance(f, int) else (f[0], self.now.get(f[0], [])) for f in frames]

    def step(self) -> None:
        if self.dice.random() < 0.2:
            self.write_transaction()
        else:
            self.expected += self.write()


def test_any_sequence_of_changes_in_order_with_failures(mongo, db, dbname, watch, seed):
    db.create_collection("etl_logs")
    db.create_collection("grants")
    w = watch().loaded().streaming()
    writer = Writer(mongo.client, db, random.Random(seed))
    end = fail_find(mongo, f"{dbname}.grants", 91, {"activationProbability": 0.05})
    try:
        for _ in range(400):
            writer.step()
        assert w.seen(len(writer.expected)) == writer.expected
    finally:
        end()
    assert {u: p for u in ("ann", "bob", "cyd", "dan") if (p := w.patterns(u))} == {
        u: p for u, p in writer.now.items() if p}


# --- documents as they may be ---------------------------------------------------------------------------


def test_what_is_no_grant_grants_nothing(db, watch):
    oid = ObjectId()
    w = watch().loaded().streaming()
    db.grants.bulk_write([InsertOne(d) for d in (
        {"_id": "one", "read": "logs:a"},
        {"_id": "odd", "read": ["logs:a", 7, "logs:**", "a b", "logs:*:x", "", None, "logs:a\nb", "logs:a"]},
        {"_id": "none"},
        {"_id": "typed", "read": {"a": 1}},
        {"_id": oid, "read": ["logs:o"]},
        {"_id": 42, "read": ["logs:i"]},
        {"_id": Int64(43), "read": ["logs:j"]},
        {"_id": 1.5, "read": ["logs:*"]},
        {"_id": "", "read": ["logs:*"]},
        {"_id": "x\ny", "read": ["logs:*"]},
        {"_id": "u" * 257, "read": ["logs:*"]},
        {"_id": "u" * 100000, "read": ["logs:*"]},
        {"_id": Binary(b"ab"), "read": ["logs:*"]},
        {"_id": {"a": 1}, "read": ["logs:*"]},
        {"_id": "u" * 256, "read": ["logs:u"]},
        {"_id": "many", "read": [f"logs:{i}" for i in range(1001)]},
    )])
    seen = w.seen(9)
    assert seen[:8] == [("one", ["logs:a"]), ("odd", ["logs:*:x", "logs:a"]), ("none", []), ("typed", []),
                        (str(oid), ["logs:o"]), ("42", ["logs:i"]), ("43", ["logs:j"]), ("u" * 256, ["logs:u"])]
    assert seen[8][0] == "many" and len(seen[8][1]) == 1000 and len(seen) == 9
    fresh = watch().loaded()  # the same when all is loaded at once
    for user, patterns in seen:
        assert fresh.patterns(user) == patterns
    assert all(line.startswith("{") for line in w.lines + fresh.lines)


def test_two_documents_of_one_user_count_together(db, watch):
    w = watch().loaded().streaming()
    db.grants.insert_one({"_id": 7, "read": ["logs:number"]})
    db.grants.insert_one({"_id": "7", "read": ["logs:text"]})
    db.grants.delete_one({"_id": 7})
    assert w.seen(3) == [("7", ["logs:number"]), ("7", ["logs:number", "logs:text"]), ("7", ["logs:text"])]


def test_a_giant_grants_document_is_nothing_special(db, watch):
    """Its change is 15 MB, what is read of it is small; its _id alone could not be sent."""
    w = watch().loaded().streaming()
    db.grants.insert_one({"_id": "ann", "read": ["logs:a"], "note": "x" * (15 << 20)})
    db.grants.update_one({"_id": "ann"}, {"$set": {"note": "y" * (15 << 20), "read": ["logs:b"]}})
    db.grants.insert_one({"_id": "z" * (3 << 20), "read": ["logs:*"]})
    db.grants.delete_one({"_id": "ann"})
    db.etl_logs.insert_one(log(1))
    until(lambda: [f for f in w.frames if short(f) == 1], "the event behind")
    seen = [s for s in map(short, w.frames) if s != "oversize"]
    assert seen == [("ann", ["logs:a"]), ("ann", ["logs:b"]), ("ann", []), 1]


# --- failures -------------------------------------------------------------------------------------------


def test_a_failed_read_is_tried_again_and_nothing_passed_over(mongo, db, dbname, watch):
    db.grants.insert_one({"_id": "ann", "read": ["logs:a"]})
    w = watch().loaded().streaming()
    fail_find(mongo, f"{dbname}.grants", 91, {"times": 2})
    db.etl_logs.insert_one(log(1))
    db.grants.delete_one({"_id": "ann"})
    db.etl_logs.insert_one(log(2))
    assert w.seen(3) == [1, ("ann", []), 2]


def test_a_transaction_cut_by_a_failed_read_goes_on_where_it_was(mongo, db, dbname, watch):
    db.create_collection("etl_logs")
    db.grants.insert_many([{"_id": u, "read": ["logs:a"]} for u in ("ann", "bob")])
    w = watch().loaded().streaming()
    fail_find(mongo, f"{dbname}.grants", 91, {"times": 1})
    with mongo.client.start_session() as session, session.start_transaction():
        db.etl_logs.insert_one(log(1), session=session)
        db.grants.delete_one({"_id": "ann"}, session=session)
        db.etl_logs.insert_one(log(2), session=session)
        db.grants.update_one({"_id": "ann"}, {"$set": {"read": ["logs:b"]}}, upsert=True, session=session)
        db.grants.delete_one({"_id": "bob"}, session=session)
        db.etl_logs.insert_one(log(3), session=session)
    assert w.seen(6) == [1, ("ann", ["logs:b"]), 2, ("ann", ["logs:b"]), ("bob", []), 3]


def test_what_cannot_be_read_at_all_revokes_everything_and_logs_go_on(mongo, db, dbname, watch):
    db.grants.insert_many([{"_id": u, "read": ["logs:a"]} for u in ("ann", "bob")])
    w = watch().loaded().streaming()
    end = fail_find(mongo, f"{dbname}.grants", 13, "alwaysOn")
    try:
        db.etl_logs.insert_one(log(1))
        db.grants.delete_one({"_id": "ann"})
        db.etl_logs.insert_one(log(2))
        assert w.seen(3) == [1, "all", 2]
        assert w.book("bob") | {"as_of": 0} == {"kind": "book", "state": "loading", "count": 0, "patterns": [],
                                                "as_of": 0, "source": "streaming"}
    finally:
        end()
    w.loaded()
    assert w.patterns("ann") == [] and w.patterns("bob") == ["logs:a"]
    assert w.seen(4)[3] == "all"
    assert any("find and changeStream" in line for line in w.lines)


def test_grants_that_cannot_be_loaded_keep_no_log_back(mongo, db, dbname, watch):
    db.grants.insert_one({"_id": "ann", "read": ["logs:a"]})
    end = fail_find(mongo, f"{dbname}.grants", 13, "alwaysOn")
    try:
        w = watch().streaming()
        db.grants.insert_one({"_id": "bob", "read": ["logs:b"]})  # before it was loaded: no frame, but in
        db.etl_logs.insert_one(log(1))
        assert w.seen(1) == [1] and w.book()["state"] == "loading"
    finally:
        end()
    w.loaded()
    assert w.patterns("ann") == ["logs:a"] and w.patterns("bob") == ["logs:b"]
    db.grants.delete_one({"_id": "bob"})
    assert w.seen(2) == [1, ("bob", [])]


def test_a_server_without_that_snapshot_is_read_by_majority(mongo, db, dbname, watch):
    db.grants.insert_one({"_id": "ann", "read": ["logs:a"]})
    w = watch().loaded().streaming()
    fail_find(mongo, f"{dbname}.grants", 239, {"times": 1})
    db.grants.update_one({"_id": "ann"}, {"$set": {"read": ["logs:b"]}})
    assert w.seen(1) == [("ann", ["logs:b"])]
    assert not any("cannot be read" in line for line in w.lines)


def test_more_than_memory_allows_is_refused_in_whole(db, watch):
    db.grants.insert_many([{"_id": f"u{i}", "read": ["logs:" + "x" * 100]} for i in range(2000)])
    w = watch(max_bytes=65536).streaming()
    assert w.book()["state"] == "loading" and w.book()["count"] == 0
    assert any("limits.grants_bytes" in line for line in w.lines)
    db.grants.delete_many({"_id": {"$ne": "u1"}})
    w.loaded()
    assert w.book()["count"] == 1


def test_grown_too_large_nobody_keeps_what_was_taken_away(db, watch):
    w = watch(max_bytes=65536).loaded().streaming()
    db.grants.insert_one({"_id": "ann", "read": ["logs:a"]})
    db.grants.update_one({"_id": "ann"}, {"$set": {"read": [f"logs:{'x' * 100}:{i}" for i in range(1000)]}})
    db.grants.insert_one({"_id": "bob", "read": ["logs:b"]})
    assert w.seen(3) == [("ann", ["logs:a"]), ("ann", []), ("bob", ["logs:b"])]
    assert w.patterns("ann") == []


# --- the stream is away ---------------------------------------------------------------------------------


def test_they_grow_stale_while_mongodb_is_away_and_are_current_again(mongo, db, watch):
    db.grants.insert_one({"_id": "ann", "read": ["logs:a"]})
    w = watch(max_age_ms=1500).loaded().streaming()
    end = fail(mongo, "getMore", 91, "alwaysOn")
    try:
        until(lambda: w.book()["state"] == "stale", "the grants are too old")
        assert w.patterns("ann") == ["logs:a"]
        db.grants.delete_one({"_id": "ann"})
    finally:
        end()
    until(lambda: w.patterns("ann") == [], "what was missed is in")
    until(lambda: w.book()["state"] == "current", "they are followed again")
    assert w.seen(1) == [("ann", [])]


def test_they_stay_current_on_a_quiet_deployment(more_mongod, tmp_path):
    node = more_mongod("--setParameter", "periodicNoopIntervalSecs=10")
    w = Watch(node.uri, "own", "own.grants", tmp_path, max_age_ms=400)
    try:
        w.loaded().streaming()
        states = {w.book()["state"] for _ in range(2000)}
        assert states == {"current"}
    finally:
        w.close()


def test_after_a_loss_they_are_loaded_anew(more_mongod, tmp_path):
    node = more_mongod()
    db = node.client["own"]
    db.grants.insert_many([{"_id": u, "read": ["logs:a"]} for u in ("ann", "bob")])
    w = Watch(node.uri, "own", "own.grants", tmp_path)
    try:
        w.loaded().streaming()
        fail(node, "getMore", 286, {"times": 1})
        until(lambda: "loss" in [short(f) for f in w.frames], "the loss")
        seen = until(lambda: "all" in map(short, w.frames) and [short(f) for f in w.frames], "all anew")
        assert seen.index("loss") < seen.index("all")
        times = [f["time"] for f in w.frames]
        assert times == sorted(times)
        db.grants.delete_one({"_id": "ann"})
        until(lambda: short(w.frames[-1]) == ("ann", []), "it is followed again")
    finally:
        w.close()


# --- polling --------------------------------------------------------------------------------------------


def test_a_standalone_is_looked_at_and_told_only_what_changed(more_mongod, tmp_path):
    node = more_mongod(replica_set=False)
    db = node.client["own"]
    db.grants.insert_one({"_id": "ann", "read": ["logs:a"]})
    w = Watch(node.uri, "own", "own.grants", tmp_path, max_age_ms=2000)
    try:
        w.loaded()
        until(lambda: w.book()["source"] == "polling", "it polls")
        db.grants.insert_one({"_id": "bob", "read": ["logs:b"]})
        until(lambda: w.patterns("bob") == ["logs:b"], "what was added")
        assert w.seen(1) == ["all"]
        db.etl_logs.insert_one(log(1))
        assert w.seen(2) == ["all", 1]
        db.grants.delete_one({"_id": "ann"})
        assert w.seen(3) == ["all", 1, "all"]
        assert w.patterns("ann") == []
        times = [f["time"] for f in w.frames]
        assert times == sorted(times)
    finally:
        w.close()


def test_from_polling_to_a_stream(more_mongod, tmp_path):
    node = more_mongod(replica_set=False)
    node.client["own"].grants.insert_one({"_id": "ann", "read": ["logs:a"]})
    w = Watch(node.uri, "own", "own.grants", tmp_path)
    try:
        w.loaded()
        until(lambda: w.book()["source"] == "polling", "it polls")
        node.client.close()
        node.replica_set = True
        node._options += ["--replSet", "tw", "--oplogSize", "200"]
        node.restart()
        until(lambda: w.book()["source"] == "streaming", "there is a stream")
        node.client["own"].grants.delete_one({"_id": "ann"})
        until(lambda: short(w.frames[-1]) == ("ann", []), "in the stream")
        assert [short(f) for f in w.frames][:1] == ["mode"]
    finally:
        w.close()


# --- the program ----------------------------------------------------------------------------------------


def test_check_reads_them(mongo, db, dbname):
    db.grants.insert_one({"_id": "somebody", "read": ["logs:*"]})
    config = {"mongodb": {"uri": mongo.uri}, "sources": [{"name": "logs", "database": dbname}],
              "auth": {"grants_collection": f"{dbname}.grants", "anonymous": ["logs:*"]}}
    good = run_cli("check", config=config)
    assert good.returncode == 0 and f"{dbname}.grants: grants of 1 user" in good.stdout
    end = fail_find(mongo, f"{dbname}.grants", 13, "alwaysOn")
    try:
        bad = run_cli("check", config=config)
    finally:
        end()
    assert bad.returncode == 78 and f"{dbname}.grants: the grants cannot be read" in bad.stdout
    assert "somebody" not in good.stdout + bad.stdout
