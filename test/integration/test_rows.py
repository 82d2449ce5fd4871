"""Rows out of collections (src/mongo/rows_read.c, by the program rows-read): what a tail and a replay are made of."""

from __future__ import annotations

import datetime
import json
import os
import random
import subprocess
import threading
import time
from pathlib import Path

import pytest
from bson import Int64, ObjectId, Timestamp
from pymongo import WriteConcern

from conftest import AUDIT, ETL, FAAS
from oracle import Rule, Workload, covers, hex_time, iso, read_truth

BUILD = Path(os.environ.get("TAILWATER_BUILD") or Path(__file__).resolve().parents[2] / "build")
RULES = (ETL, FAAS, AUDIT)
STAMPED = {"collections": ["stamped"], "channel": "logs:stamped:{w}", "order": "at"}


class Reader:
    """One rows-read."""

    def __init__(self, uri: str, mappings: list[dict], database: str, folder: Path):
        file = folder / f"mappings-{ObjectId()}.json"
        file.write_text(json.dumps(mappings))
        self._process = subprocess.Popen([BUILD / "test/tools/rows-read", uri, file, database], text=True,
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def read(self, **request) -> dict:
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        self._process.stdin.close()
        assert self._process.wait(30) == 0


@pytest.fixture
def reader(mongo, dbname, tmp_path):
    """A factory: reader(ETL, …) or reader(mappings=[…])."""
    readers = []

    def start(*rules: Rule, mappings: list[dict] | None = None) -> Reader:
        readers.append(Reader(mongo.uri, [r.config for r in rules] + (mappings or []), dbname, tmp_path))
        return readers[-1]

    yield start
    for r in readers:
        r.close()


def docs(answer: dict) -> list[dict]:
    return [r["data"]["log_data"] for r in answer["rows"]]


def numbers(answer: dict) -> list:
    return [d["n"] for d in docs(answer)]


def fail_find(mongo, db, collection: str, code: int, times: int = 1):
    data = {"failCommands": ["find"], "errorCode": code, "namespace": f"{db.name}.{collection}"}
    mongo.client.admin.command({"configureFailPoint": "failCommand", "mode": {"times": times}, "data": data})


@pytest.fixture
def failing(mongo, db):
    """fail_find() that is over at the end."""
    yield lambda *more: fail_find(mongo, db, *more)
    mongo.client.admin.command({"configureFailPoint": "failCommand", "mode": "off"})


def at_second(i: float) -> datetime.datetime:
    return datetime.datetime(2026, 11, 1, tzinfo=datetime.timezone.utc) + datetime.timedelta(seconds=i)


def ms(i: float) -> int:
    return int(at_second(i).timestamp() * 1000)


# --- what is read -------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [[], ["logs:*"], ["logs:etl:w1:*"], ["logs:etl:w1:f1", "logs:faas:*:f2"], ["logs:*:w2:f3"], ["logs:etl:w1"], ["logs:nobody:*"]])
def test_the_newest_of_several_collections(reader, mongo, db, seed, channels):
    """Each collection's newest in its order, merged by time, oldest first; as events with the fields of live ones."""
    Workload(mongo.client, db.name, RULES, seed).run(400)
    every = [(r, d) for r in RULES for d in db[r.collection].find().sort("_id", 1)]
    rows = reader(*RULES)
    for limit in (1, 7, 100, 10000):
        got = rows.read(channels=channels, limit=limit)
        want = [str(d["_id"]) for r, d in every if (c := r.channel(d)) and (not channels or any(covers(p, c) for p in channels))]
        ids = [d["_id"] for d in docs(got)]
        assert len(set(ids)) == len(ids) == min(limit, len(want)) and got["complete"] and got["advice"] is None
        seconds = sorted(int(i[:8], 16) for i in want)
        assert [int(i[:8], 16) for i in ids] == seconds[-limit:] if limit else not ids
        for r in RULES:
            own = [str(d["_id"]) for rule, d in every if rule is r and str(d["_id"]) in ids]
            assert [x["data"]["log_data"]["_id"] for x in got["rows"] if x["data"]["channel"].startswith(r.prefix)] == own
        assert all(x["data"]["type"] == "log" and x["event"] == "logs" for x in got["rows"])


def test_more_than_a_batch(reader, db):
    """getMore goes on in the snapshot's session."""
    db.etl_logs.insert_many([{"workspace_id": "w", "workflow_id": "f", "n": i, "pad": "x" * 2000} for i in range(3500)])
    got = reader(ETL).read(channels=["logs:etl:w:f"], limit=3400)
    assert numbers(got) == list(range(100, 3500)) and got["complete"] and got["covered"] == got["until"]


def test_filter_is_that_of_the_event_as_sent(reader, db):
    """min_level and q; what truncation cut away cannot be found."""
    db.etl_logs.insert_many([{"workspace_id": "w", "workflow_id": "f", "n": i, "level": lv, "message": m, "pad": pad} for i, (lv, m, pad) in enumerate(
        [("INFO", "a needle", ""), ("ERROR", "hay", ""), ("WARN", "NEEDLE", ""), ("ERROR", "big", "x" * 70000 + "needle")])])
    rows = reader(ETL)
    assert numbers(rows.read(q="needle")) == [0, 2]
    assert [d["level"] for d in docs(rows.read(min_level="warn", limit=2))] == ["WARN", "ERROR"]
    cut = rows.read(q="big")["rows"][0]["data"]
    assert cut["truncated"] and "pad" not in cut["log_data"]


def test_replay_mark(reader, db):
    """The last member of the line, which stays as short as others."""
    db.etl_logs.insert_many([{"workspace_id": "w", "workflow_id": "f", "n": i, "pad": "x" * size} for i, size in enumerate((0, 59790, 59890, 59900, 70000))])
    plain, marked = reader(ETL).read()["rows"], reader(ETL).read(replay=True)["rows"]
    assert all("replay" not in r["data"] for r in plain)
    for row in marked:
        assert list(row["data"])[-1] == "replay" and row["data"]["replay"] is True
        assert len(json.dumps(row["data"], separators=(",", ":"))) <= 60000


def test_nothing_to_read(reader, mongo):
    """The border is a place in the present all the same."""
    before = mongo.client.admin.command("ping")["operationTime"]
    got = reader(ETL).read(channels=["logs:*"])
    assert got["rows"] == [] and got["complete"] and got["until"] == got["covered"] >= hex_time(before)


def test_a_standalone_server(more_mongod, tmp_path):
    """It has no cluster time; its rows come all the same."""
    node = more_mongod(replica_set=False)
    node.client.d.etl_logs.insert_many([{"workspace_id": "w", "workflow_id": "f", "n": i} for i in range(300)])
    rows = Reader(node.uri, [ETL.config], "d", tmp_path)
    got = rows.read(limit=200)
    assert numbers(got) == list(range(100, 300)) and got["complete"] and int(got["covered"], 16) == int(got["until"], 16) == 0
    rows.close()


def test_views_and_many_collections(reader, db):
    """Views are left out; beyond 256 collections the answer is incomplete."""
    rows = reader(mappings=[{"collections": ["*"], "channel": "logs:{$collection}:{w}"}])
    for i in range(258):
        db[f"c{i:03}"].insert_one({"w": "w", "n": i})
    db.create_collection("a_view", viewOn="c000", pipeline=[])
    got = rows.read(channels=["logs:*"])
    assert len(got["rows"]) == 256 and not got["complete"]
    assert numbers(rows.read(channels=["logs:c007:*", "logs:a_view:*"])) == [7]


# --- the border ---------------------------------------------------------------------------------------


class Writers:
    """Threads that insert into all collections all the time: majority, w:1, many at once, transactions."""

    def __init__(self, mongo, db, seed: int, rules=RULES, count: int = 4):
        self.stop = threading.Event()
        self.mongo, self.db, self.rules = mongo, db, rules
        for r in rules:
            if r.collection not in db.list_collection_names():
                db.create_collection(r.collection)
        self.threads = [threading.Thread(target=self._write, args=(i, seed + i)) for i in range(count)]

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for t in self.threads:
            t.join()

    def _write(self, number: int, seed: int) -> None:
        load = Workload(self.mongo.client, self.db.name, self.rules, seed)
        rnd = random.Random(seed)
        while not self.stop.is_set():
            rule = rnd.choice(self.rules)
            target = self.db.get_collection(rule.collection, write_concern=WriteConcern(1 if number % 2 else "majority"))
            if number == 0 and rnd.random() < 0.3 and not any("capped" in r.collection for r in self.rules):
                load.transaction(3)
            elif rnd.random() < 0.2:
                target.insert_many([load.document(rule) for _ in range(5)])
            else:
                target.insert_one(load.document(rule))
            time.sleep(rnd.random() * 0.004)


def truth_of(db, rules, start):
    last = ObjectId()
    db[rules[0].collection].insert_one({"_id": last, "workspace_id": "end", "workflow_id": "end"})
    return read_truth(db, rules, start, lambda d: d["_id"] == last)


def test_exact_at_the_border(reader, mongo, db, seed, rounds):
    """While writers write: all that was written up to `covered` and nothing behind it, again and again."""
    start = mongo.now()
    rows = reader(*RULES)
    with Writers(mongo, db, seed):
        answers = [rows.read(channels=["logs:*"]) for _ in range(rounds * 5)]
    truth = truth_of(db, RULES, start)
    for got in answers:
        assert got["covered"] == got["until"] and got["complete"]
        assert {d["_id"] for d in docs(got)} == {str(t.document["_id"]) for t in truth if t.cluster_time <= got["covered"]}
    assert len(answers[-1]["rows"]) > len(answers[0]["rows"])


def test_a_capped_collection_is_read_by_majority(reader, mongo, db, seed, rounds):
    """Everything up to `covered`, and nothing behind `until`."""
    capped = Rule("capped_logs", "logs:capped", ("workspace_id", "workflow_id"))
    db.create_collection("capped_logs", capped=True, size=1 << 24)
    rules = (ETL, capped)
    start = mongo.now()
    rows = reader(*rules)
    with Writers(mongo, db, seed, rules):
        answers = [rows.read(channels=["logs:*"]) for _ in range(rounds * 5)]
        snapshot = rows.read(channels=["logs:etl:*"])
    truth = truth_of(db, rules, start)
    for got in answers:
        ids = {d["_id"] for d in docs(got)}
        assert {str(t.document["_id"]) for t in truth if t.cluster_time <= got["covered"]} <= ids
        assert ids <= {str(t.document["_id"]) for t in truth if t.cluster_time <= got["until"]}
    assert any(g["covered"] < g["until"] for g in answers)
    assert snapshot["covered"] == snapshot["until"]


def test_collections_that_are_made_meanwhile(reader, mongo, db, rounds):
    """None that existed at the border is missing."""
    rows = reader(mappings=[{"collections": ["*"], "channel": "logs:{$collection}:{w}"}])
    stop, start = threading.Event(), mongo.now()

    def make() -> None:
        for i in range(100):
            db[f"c{i}"].insert_one({"w": "w", "n": i})
            if stop.wait(0.005):
                return

    thread = threading.Thread(target=make)
    thread.start()
    try:
        answers = [rows.read(channels=["logs:*"]) for _ in range(rounds * 2)]
    finally:
        stop.set()
        thread.join()
    rules = [Rule(f"c{i}", f"logs:c{i}", ("w",)) for i in range(100)] + [Rule("end", "logs:end", ("w",))]
    last = db.end.insert_one({"w": "w"}).inserted_id
    truth = read_truth(db, rules, start, lambda d: d["_id"] == last)
    for got in answers:
        ids = {d["_id"] for d in docs(got)}
        assert {str(t.document["_id"]) for t in truth if t.cluster_time <= got["covered"]} <= ids
        assert ids <= {str(t.document["_id"]) for t in truth if t.cluster_time <= got["until"]}


@pytest.mark.parametrize("code", [246, 239, 72, 115])
def test_a_refused_snapshot(reader, mongo, db, failing, code):
    """Everything is read again by majority."""
    db.etl_logs.insert_many([{"workspace_id": "w", "workflow_id": "f", "n": i} for i in range(30)])
    db.audit_logs.insert_one({"_id": ObjectId("f" * 24), "workspace_id": "w", "resource_id": "f", "n": 30})
    failing("audit_logs", code)
    got = reader(ETL, AUDIT).read(channels=["logs:*"], limit=20)
    assert numbers(got) == list(range(11, 31)) and got["complete"]


def test_other_errors_are_told(reader, db, failing):
    db.etl_logs.insert_one({"workspace_id": "w", "workflow_id": "f"})
    failing("etl_logs", 13, 2)
    rows = reader(ETL)
    assert rows.read() == {"error": "code 13"}
    failing("etl_logs", 246, 2)
    assert rows.read() == {"error": "code 246"}
    assert len(rows.read()["rows"]) == 1


# --- spans --------------------------------------------------------------------------------------------

KINDS = {
    "date": at_second,
    "milliseconds": ms,
    "milliseconds as double": lambda i: float(ms(i)),
    "seconds": lambda i: int(at_second(i).timestamp()),
    "seconds as double": lambda i: float(at_second(i).timestamp()),
    "text": lambda i: iso(at_second(i)),
    "text with zone": lambda i: at_second(i).astimezone(datetime.timezone(datetime.timedelta(hours=(i % 25) - 12))).isoformat(),
    "timestamp": lambda i: Timestamp(int(at_second(i).timestamp()), 1),
    "oid": lambda i: ObjectId.from_datetime(at_second(i)),
}


@pytest.mark.parametrize("kind", list(KINDS))
def test_spans(reader, db, kind):
    """from and to are both inside; the bounds are found by index, whatever tells the time."""
    value = KINDS[kind]
    db.stamped.create_index([("at", 1), ("_id", 1)])
    far = [-86400 * 400, -86400 * 300, -86400 * 5]
    steps = far + list(range(0, 300))
    db.stamped.insert_many([{"_id": i, "w": "w", "n": n, "at": value(n)} for i, n in enumerate(steps)])
    rows = reader(mappings=[STAMPED])
    for low, high in ((0, 299), (100, 199), (250, 10**6), (-86400 * 6, 10), (299, 299), (300, 400)):
        got = rows.read(from_ms=ms(low), to_ms=ms(high), scan_max=10000)
        assert sorted(numbers(got)) == [n for n in steps if low <= n <= high], (low, high)
        assert got["complete"] and got["advice"] is None
        if kind != "text with zone":
            assert numbers(got) == sorted(numbers(got))
    assert not rows.read(from_ms=ms(100), limit=10)["complete"] and rows.read(from_ms=ms(100), limit=200)["complete"]
    if kind != "text with zone":
        assert numbers(rows.read(from_ms=ms(100), limit=10)) == list(range(290, 300))
        assert numbers(rows.read(to_ms=ms(99), limit=10)) == list(range(90, 100))


def test_a_short_span_reads_little(reader, db):
    """Old rows are not read at all: within scan_max although there are many, also for channels that are rare."""
    for name in ("date", "milliseconds", "seconds", "text"):
        db[name].create_index([("at", 1), ("_id", 1)])
        db[name].insert_many([{"w": "w", "n": i, "at": KINDS[name](i * 3600)} for i in range(3000)])
    rows = reader(mappings=[{"collections": ["date", "milliseconds", "seconds", "text"], "channel": "logs:{$collection}:{w}", "order": "at"}])
    for name in ("date", "milliseconds", "seconds", "text"):
        got = rows.read(channels=[f"logs:{name}:*"], from_ms=ms(2980 * 3600), scan_max=100, limit=100)
        assert numbers(got) == list(range(2980, 3000)) and got["complete"], name


def test_the_second_of_an_object_id(reader, db):
    """The second counts, and inside of it the document's own time where it has one."""
    base = int(at_second(10).timestamp())
    rows = [(base, None), (base, 200), (base, 700), (base, 90000), (base + 1, None), (base - 1, None), (base - 1, 950)]
    db.etl_logs.insert_many([{"_id": ObjectId(f"{s:08x}{i:016x}"), "workspace_id": "w", "workflow_id": "f", "n": i,
                              **({"time": datetime.datetime.fromtimestamp(s + own / 1000, datetime.timezone.utc)} if own else {})}
                             for i, (s, own) in enumerate(rows)])
    got = reader(ETL).read(from_ms=ms(10) + 500, to_ms=ms(10) + 999)
    assert sorted(numbers(got)) == [0, 2, 3]
    assert sorted(numbers(reader(ETL).read(from_ms=ms(10), to_ms=ms(10)))) == [0, 3]


def test_unknown_times_pass(reader, db):
    """Where neither the order nor the document tells a time the row belongs to every span."""
    db.stamped.create_index([("at", 1), ("_id", 1)])
    values = [None, "no time", True, {"k": 1}, at_second(5), at_second(500), Int64(-3), Int64(2**60), ms(5), ms(500), "2020-01-01", "2026-11-01T00:00:05Z"]
    db.stamped.insert_many([{"_id": i, "w": "w", "n": i, **({} if v is None else {"at": v})} for i, v in enumerate(values)])
    got = reader(mappings=[STAMPED]).read(from_ms=ms(0), to_ms=ms(100))
    assert sorted(numbers(got)) == [0, 1, 2, 3, 4, 6, 7, 8, 11] and got["complete"]
    db.etl_logs.insert_many([{"_id": i, "workspace_id": "w", "workflow_id": "f", "n": i, **({"time": at_second(i)} if i % 2 else {})} for i in range(10)])
    assert numbers(reader(ETL).read(from_ms=ms(4), to_ms=ms(8))) == [0, 2, 4, 5, 6, 7, 8]


# --- bounds -------------------------------------------------------------------------------------------


def test_scan_max(reader, db):
    """A tail that is not found within scan_max is incomplete; one that is, is not."""
    db.etl_logs.insert_many([{"workspace_id": "w", "workflow_id": "f", "n": i, "level": "ERROR" if i % 50 == 0 else "INFO"} for i in range(1000)])
    rows = reader(ETL)
    got = rows.read(min_level="error", limit=5, scan_max=100)
    assert numbers(got) == [900, 950] and not got["complete"]
    got = rows.read(min_level="error", limit=2, scan_max=100)
    assert numbers(got) == [900, 950] and got["complete"]
    assert len(rows.read(limit=500, scan_max=100)["rows"]) == 500


def test_max_bytes(reader, db):
    """The newest that fit, never more; incomplete."""
    db.etl_logs.insert_many([{"workspace_id": "w", "workflow_id": "f", "n": i, "pad": "x" * 1000} for i in range(300)])
    rows = reader(ETL)
    for most in (0, 100, 5000, 100000):
        got = rows.read(max_bytes=most)
        assert numbers(got) == list(range(300 - len(got["rows"]), 300)) and not got["complete"]
        assert got["bytes"] <= most or not got["rows"]
    assert len(got["rows"]) > 60
    exact = rows.read(limit=10)["bytes"]
    assert numbers(rows.read(limit=10, max_bytes=exact)) == list(range(290, 300))
    assert numbers(rows.read(limit=10, max_bytes=exact - 1)) == list(range(291, 300))


def test_a_missing_order_index(reader, db):
    """The newest by _id, sorted by time here; the index is named; with it the answer is exact."""
    rnd = random.Random(3)
    order = list(range(400))
    rnd.shuffle(order)
    rows = reader(ETL, mappings=[STAMPED])
    db.stamped.insert_many([{"w": "w", "n": n, "at": at_second(n)} for n in order])
    db.etl_logs.insert_one({"_id": ObjectId.from_datetime(at_second(395.5)), "workspace_id": "w", "workflow_id": "f", "n": 395.5})
    want = [390 + i for i in range(6)] + [395.5, 396, 397, 398, 399]
    advice = 'db.getCollection("stamped").createIndex({"at": 1, "_id": 1})'
    got = rows.read(limit=11)
    assert sorted(numbers(got)) == sorted(want) and got["complete"] and advice in got["advice"]
    assert [n for n in numbers(got) if n != 395.5] == [n for n in want if n != 395.5]
    got = rows.read(limit=5, scan_max=100)
    assert numbers(got) == sorted(numbers(got)) and len(numbers(got)) == 5 and not got["complete"] and advice in got["advice"]
    got = rows.read(from_ms=ms(100), to_ms=ms(109))
    assert numbers(got) == list(range(100, 110)) and got["complete"]
    got = rows.read(max_bytes=20000, limit=1000)
    assert numbers(got)[-1] == 399 and not got["complete"]
    db.stamped.create_index([("at", 1), ("_id", 1)])
    got = rows.read(limit=11)
    assert got["complete"] and got["advice"] is None and sorted(numbers(got)) == sorted(want)


@pytest.mark.parametrize("code", [50, 292])
def test_a_query_that_takes_too_long(reader, db, failing, code):
    """It is asked again without the channels; where that is not enough the index for them is named."""
    db.etl_logs.insert_many([{"workspace_id": f"w{i % 50}", "workflow_id": "f", "n": i} for i in range(450)])
    rows = reader(ETL)
    failing("etl_logs", code)
    got = rows.read(channels=["logs:etl:w7:*"], limit=5, scan_max=100)
    assert numbers(got) == [357, 407] and not got["complete"]
    assert 'db.getCollection("etl_logs").createIndex({"workspace_id": 1, "_id": 1})' in got["advice"]
    failing("etl_logs", code)
    got = rows.read(channels=["logs:etl:w7:f", "logs:etl:*:f", "logs:other:*"], limit=100, scan_max=100)
    assert 'createIndex({"workflow_id": 1, "_id": 1})' in got["advice"]
    failing("etl_logs", 50, 3)
    got = rows.read(channels=["logs:etl:w7:f"], limit=5)
    assert got["rows"] == [] and not got["complete"]
    assert 'createIndex({"workspace_id": 1, "workflow_id": 1, "_id": 1})' in got["advice"]
    db.etl_logs.create_index([("workspace_id", 1)])
    failing("etl_logs", 50, 3)
    assert rows.read(channels=["logs:etl:w7:f"], limit=5)["advice"] is None
    assert numbers(rows.read(channels=["logs:etl:w7:f"], limit=2)) == [357, 407]
