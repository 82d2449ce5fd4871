"""
Where change streams are impossible: `mode: auto` polls and says so in every place, and goes back to a change stream as
soon as there can be one.
"""

from __future__ import annotations

import datetime
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from bson import ObjectId

from conftest import ETL
from deadline import WAIT_S, until
from mongod import Mongod, free_port
from server import Server, run_cli
from stream import POSITION, Hub, Stream

EVERYTHING = {"channels": "logs:*"}
SENTENCE = "order and completeness are not promised"


def document(n: int, **more) -> dict:
    return {"workspace_id": "w1", "workflow_id": "f1", "n": n, **more}


def numbers(stream: Stream) -> list[int]:
    return [f.json["log_data"]["n"] for f in stream.events]


def config_for(uri: str, database: str, mappings: list[dict] | None = None, **more) -> dict:
    source: dict = {"name": "logs", "tag": "a", "database": database}
    if mappings:
        source["mappings"] = mappings
    return {"mode": "auto", "heartbeat_s": 1, "poll": {"interval_ms": 100},
            "mongodb": {"uri": uri, "max_await_ms": 100}, "sources": [source], **more}


def state(server: Server) -> dict:
    return server.health()["sources"][0]


def become_replica_set(node: Mongod) -> None:
    """Restart the same data as a replica set of one, as the advice says."""
    node.client.close()
    node.replica_set = True
    node._options += ["--replSet", "tw", "--oplogSize", "200"]
    node.restart()


def become_standalone(node: Mongod) -> None:
    node.client.close()
    node.replica_set = False
    del node._options[-4:]
    node.restart()


@pytest.fixture(scope="module")
def standalone() -> Iterator[Mongod]:
    """For all tests that leave it as it is; each has a database of its own."""
    node = Mongod(replica_set=False)
    try:
        yield node.start()
    finally:
        node.stop()


@pytest.fixture
def own(more_mongod: Callable[..., Mongod]) -> Mongod:
    """For tests that end it or make something else of it."""
    return more_mongod(replica_set=False)


@pytest.fixture
def db(standalone: Mongod, dbname: str) -> Iterator:
    yield standalone.client[dbname]
    standalone.client.drop_database(dbname)


@pytest.fixture
def polling(launch, standalone: Mongod, db) -> Callable[..., Server]:
    """A server on the test's database, which has a past that nobody must get."""
    db.etl_logs.insert_many([document(-1 - i) for i in range(50)])

    def start(mappings: list[dict] | None = None, **more) -> Server:
        return launch(config_for(standalone.uri, db.name, mappings, **more))

    return start


# --- standalone ------------------------------------------------------------------------------------------


def test_events_come_once_and_without_ids(polling, db, hub: Hub):
    """Several collections, one of which appears later; oldest first within each, no past, no id anywhere."""
    server = polling()
    streams = [hub.open(server.port, EVERYTHING, headers={"Accept": kind})
               for kind in ("text/event-stream", "application/x-ndjson")]
    for stream in streams:
        ready = stream.wait_ready()
        assert ready.id is None and ready.json["mode"] == "polling" and ready.json["resumed"] == "no"
        assert ready.json["resume_window_s"] is None
    for n in range(0, 60, 2):
        db.etl_logs.insert_one(document(n))
        db.faas_logs.insert_one(document(n + 1))
    for stream in streams:
        stream.wait_events(60)
        stream.wait(lambda s: len(s.control("heartbeat")) > 1, "heartbeats go on")
        got = numbers(stream)
        assert sorted(got) == list(range(60))
        assert [n for n in got if n % 2 == 0] == list(range(0, 60, 2))
        assert all(f.id is None for f in stream.frames), stream.frames
        assert not stream.control("gap")
    assert {f.json["channel"] for f in streams[0].events} == {"logs:etl_logs:w1:f1", "logs:faas_logs:w1:f1"}


def test_it_is_said_everywhere(polling, standalone, db, hub):
    server = polling()
    source = state(server)
    assert source["mode"] == "polling" and source["state"] == "polling"
    assert SENTENCE in source["mode_note"] and "rs.initiate()" in source["mode_note"]
    assert server.health()["status"] == "healthy"
    assert len([line for line in server.lines if SENTENCE in line and "rs.initiate()" in line]) == 1
    stream = hub.open(server.port, EVERYTHING)
    beat = stream.wait_control("heartbeat")
    assert beat.id is None and beat.json["sources"][0]["state"] == "polling"
    checked = run_cli("check", config=config_for(standalone.uri, db.name))
    assert checked.returncode == 0 and "mode polling" in checked.stdout and "rs.initiate()" in checked.stdout


def test_late_ones_are_found(polling, db, hub):
    """Documents whose _id lies behind what was sent already, by a few seconds: clocks differ, and writers wait."""
    server = polling()
    stream = hub.open(server.port, EVERYTHING)
    stream.wait_ready()
    now = int(time.time())

    def oid(seconds: int, n: int) -> ObjectId:
        return ObjectId(f"{now + seconds:08x}{n:016x}")

    for n in range(10):
        db.etl_logs.insert_one(document(n, _id=oid(0, 100 - n)))  # each before the one before it
        stream.wait_events(n + 1)
    db.etl_logs.insert_one(document(10, _id=oid(-4, 1)))
    stream.wait_events(11)
    assert numbers(stream) == list(range(11))


def test_a_wrong_clock_takes_nothing_from_the_others(polling, db, hub):
    """An _id of tomorrow is sent, once; those of today still come after the overlap has passed."""
    server = polling(poll={"interval_ms": 100, "overlap_s": 1})
    stream = hub.open(server.port, EVERYTHING)
    stream.wait_ready()
    db.etl_logs.insert_one(document(0, _id=ObjectId(f"{int(time.time()) + 86400:08x}" + "0" * 16)))
    stream.wait_events(1)
    began = time.monotonic()
    for n in range(1, 1000):
        db.etl_logs.insert_one(document(n))
        stream.wait_events(n + 1)
        if time.monotonic() - began > 3:
            break
    assert numbers(stream) == list(range(n + 1))


@pytest.mark.parametrize("value", [
    lambda n: datetime.datetime.now(datetime.timezone.utc),
    lambda n: 10**12 + n,
    lambda n: datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc),  # all the same
], ids=["date", "int64", "one-date"])
def test_other_order_fields(polling, db, hub, value):
    """By a date or a number, with random _ids and ties."""
    db.etl_logs.create_index([("at", 1), ("_id", 1)])
    db.etl_logs.insert_many([document(-1 - i, at=value(i)) for i in range(20)])
    server = polling([ETL.config | {"order": "at"}], poll={"interval_ms": 50, "overlap_s": 1})
    stream = hub.open(server.port, EVERYTHING)
    stream.wait_ready()
    began = time.monotonic()
    for n in range(10_000):
        db.etl_logs.insert_one(document(n, _id=ObjectId().binary[::-1], at=value(100 + n)))
        if n % 20 == 19:
            stream.wait_events(n + 1)
            if time.monotonic() - began > 3:
                break
    assert sorted(numbers(stream)) == list(range(n + 1))


def test_no_index_for_the_order_field(polling, db, hub):
    """It is polled by _id then, and the command that creates the index is told."""
    server = polling([ETL.config | {"order": "at"}])
    stream = hub.open(server.port, EVERYTHING)
    stream.wait_ready()
    db.etl_logs.insert_one(document(1))
    stream.wait_events(1)
    assert any("createIndex" in line and "etl_logs" in line for line in server.lines)


def test_a_mapping_is_a_mapping(polling, db, hub):
    """match, omit and what cannot be routed are as ever."""
    server = polling([ETL.config | {"match": {"level": {"$ne": "TRACE"}}, "omit": ["secret"]}])
    stream = hub.open(server.port, EVERYTHING)
    stream.wait_ready()
    db.etl_logs.insert_many([document(1, level="TRACE"), document(2, level="INFO", secret=1), {"n": 3}, document(4)])
    stream.wait_events(2)
    assert numbers(stream) == [2, 4]
    assert "secret" not in stream.events[0].json["log_data"]
    assert state(server)["unroutable"] == 1


def test_tail_goes_on_live(polling, db, hub):
    """Rows first, then what is polled: nothing missing between them, nothing double, while somebody writes."""
    server = polling()
    writer = Writer(db)
    until(lambda: len(writer.written) > 20, "some documents")
    streams = []
    for _ in range(10):
        streams.append(hub.open(server.port, EVERYTHING | {"tail": "10000"}))
        streams[-1].wait_control("caught-up")
    written = writer.finish()
    for stream in streams:
        stream.wait(lambda s: set(written) <= set(numbers(s)), "everything")
        assert sorted(numbers(stream)) == [*range(-50, 0), *written]
        assert not stream.control("gap") and all(f.id is None for f in stream.frames)


def test_a_slow_tail(polling, db, hub):
    """What is written, and polled, while the rows still go out comes behind them."""
    db.etl_logs.insert_many([document(-100 - n, filler="x" * 20000) for n in range(600)])
    server = polling()
    slow = hub.open(server.port, EVERYTHING | {"tail": "10000"}, receive_buffer=4096)
    slow.wait(lambda s: s.events, "the first rows")
    slow.pause()
    other = hub.open(server.port, EVERYTHING)
    other.wait_ready()
    writer = Writer(db)
    other.wait_events(100)
    slow.resume()
    slow.wait_control("caught-up")
    written = writer.finish()
    slow.wait(lambda s: set(written) <= set(numbers(s)), "everything")
    got = numbers(slow)
    assert len(got) == 650 + len(written) == len(set(got))


@pytest.mark.parametrize("resume", ["6b0169cd00000001-5f3a9c1e0011", "6b0169cd00000001"])
def test_an_id_means_nothing_here(polling, db, hub, resume):
    server = polling()
    stream = hub.open(server.port, EVERYTHING, headers={"Last-Event-ID": resume})
    gap = stream.wait_control("gap")
    assert gap.id is None and gap.json["reason"] == "mode_changed" and not gap.json["complete"]
    assert stream.ready["resumed"] == "gap" and stream.ready["mode"] == "polling"
    assert stream.wait_control("caught-up").json["resumed"] == "gap"
    db.etl_logs.insert_one(document(1))
    assert numbers_after(stream, 1) == [1]
    assert all(f.id is None for f in stream.frames)


def numbers_after(stream: Stream, count: int) -> list[int]:
    stream.wait_events(count)
    return numbers(stream)


def test_a_slow_reader(polling, db, hub):
    """It reads on from the journal when it can; what fell out of that is told by a gap, and costs no memory."""
    server = polling(journal={"bytes": 262144}, limits={"queue_bytes": 16384})
    slow = hub.open(server.port, EVERYTHING, receive_buffer=4096)
    other = hub.open(server.port, EVERYTHING)
    slow.wait_ready()
    other.wait_ready()
    slow.pause()
    filler = "x" * 20000
    for start in range(0, 600, 50):
        db.etl_logs.insert_many([document(n, filler=filler) for n in range(start, start + 50)])
        other.wait_events(start + 50)
    assert numbers(other) == list(range(600))
    slow.resume()
    gap = slow.wait_control("gap")
    assert gap.json["reason"] == "history_lost" and gap.id is None
    db.etl_logs.insert_one(document(1000))
    slow.wait(lambda s: numbers(s)[-1:] == [1000], "it is live again")
    got = numbers(slow)
    assert got == sorted(set(got)) and all(f.id is None for f in slow.frames)


def test_history_and_whole_documents(polling, db):
    server = polling()
    page = server.get("/api/logs/history?channels=logs:*&limit=10").json
    assert len(page["events"]) == 10, page


def test_mongod_goes_away_and_comes_back(own, launch, hub):
    server = launch(config_for(own.uri, "d"))
    stream = hub.open(server.port, EVERYTHING)
    stream.wait_ready()
    own.client["d"].etl_logs.insert_one(document(1))
    stream.wait_events(1)
    cpu = server.cpu_s()
    own.client.close()
    own._end(signal.SIGKILL)
    until(lambda: state(server)["errors"] > 2, "it tries again and again")
    until(lambda: server.health()["status"] == "degraded", "it says so")
    own.start()
    own.client["d"].etl_logs.insert_one(document(2))
    stream.wait_events(2)
    until(lambda: state(server)["state"] == "polling", "it polls again")
    assert numbers(stream) == [1, 2] and not stream.control("gap")
    assert state(server)["errors"] < 100 and server.cpu_s() - cpu < 3  # never a hot loop


def test_it_stops_while_mongod_is_away(own, launch):
    server = launch(config_for(own.uri, "d"))
    own.client.close()
    own._end(signal.SIGKILL)
    until(lambda: state(server)["errors"] > 0, "the loss is noticed")
    server.stop()
    assert server.stop_s < 5


def test_it_stops_at_once(polling):
    server = polling(poll={"interval_ms": 3000})
    server.stop()
    assert server.stop_s < 2


# --- without `auto` --------------------------------------------------------------------------------------


def test_two_sources(standalone, db, mongo, dbname, launch, hub):
    """One is polled, the other has a change stream: ids tell of the latter alone, and it is resumed exactly."""
    polled, streamed = db, mongo.client[dbname]
    mapping = {"collections": ["*"], "channel": "logs:{$collection}:{workspace_id}"}
    config = config_for(mongo.uri, dbname, [mapping])
    old = {"name": "old", "tag": "b", "uri": standalone.uri, "database": dbname, "mappings": [mapping]}
    config["sources"].append(old)
    server = launch(config)
    stream = hub.open(server.port, EVERYTHING)
    ready = stream.wait_ready()
    assert ready.json["mode"] == "polling" and re.fullmatch("a[0-9a-f]{16}", ready.id)
    for n in range(0, 20, 2):
        polled.some.insert_one(document(n))
        streamed.some.insert_one(document(n + 1))
        stream.wait_events(n + 2)
    assert sorted(numbers(stream)) == list(range(20))
    assert all(re.fullmatch("a[0-9a-f]{16}(-[0-9a-f]{12})?", f.id) for f in stream.events)
    middle = next(f for f in stream.events if f.json["log_data"]["n"] == 9)
    again = hub.open(server.port, EVERYTHING, headers={"Last-Event-ID": middle.id})
    assert again.wait_control("gap").json["reason"] == "unknown_source"
    again.wait_events(5)
    assert numbers(again) == [11, 13, 15, 17, 19]


def test_change_stream_mode_refuses(standalone):
    config = config_for(standalone.uri, "d") | {"mode": "change_stream", "listen": f"127.0.0.1:{free_port()}"}
    for command in ("check", "serve"):
        result = run_cli(command, config=config)
        assert result.returncode != 0 and "rs.initiate()" in result.stdout + result.stderr, (command, result)


def test_change_stream_mode_waits(more_mongod, launch):
    """A server that loses its change streams while it runs says the sentence, and goes on when they are back."""
    node = more_mongod()
    server = launch(config_for(node.plain_uri.split("?")[0], "d") | {"mode": "change_stream"})
    become_standalone(node)
    until(lambda: "rs.initiate()" in (state(server)["last_error"] or ""), "the sentence")
    assert state(server)["mode"] == "change_stream"
    become_replica_set(node)
    until(lambda: state(server)["opens"] > 1, "open again", WAIT_S * 2)


# --- time-series and views ---------------------------------------------------------------------------------


def test_time_series(mongo, dbname, launch, hub):
    """On a replica set: a source of nothing but time-series collections polls by their time field."""
    db = mongo.client[dbname]
    db.create_collection("etl_logs", timeseries={"timeField": "at", "metaField": "workspace_id"})
    now = lambda: datetime.datetime.now(datetime.timezone.utc)  # noqa: E731
    db.etl_logs.insert_many([document(-1 - i, at=now()) for i in range(20)])
    server = launch(config_for(mongo.uri, dbname))
    assert state(server)["mode"] == "polling" and "time-series" in state(server)["mode_note"]
    stream = hub.open(server.port, EVERYTHING)
    assert stream.wait_ready().json["mode"] == "polling"
    for n in range(20):
        db.etl_logs.insert_one(document(n, at=now()))
    stream.wait_events(20)
    assert numbers(stream) == list(range(20)) and all(f.id is None for f in stream.frames)


@pytest.mark.parametrize("kind", ["timeseries", "view"])
def test_change_stream_mode_refuses_what_has_none(mongo, dbname, kind):
    db = mongo.client[dbname]
    if kind == "view":
        db.create_collection("v", viewOn="somewhere", pipeline=[])
    else:
        db.create_collection("v", timeseries={"timeField": "at"})
    for mappings in (None, [{"collections": ["v"], "channel": "logs:v:{workspace_id}"}]):
        config = config_for(mongo.uri, dbname, mappings) | {"listen": f"127.0.0.1:{free_port()}"}
        result = run_cli("check", config=config | {"mode": "change_stream"})
        assert result.returncode == 78 and "time-series" in result.stdout, result
        result = run_cli("check", config=config)
        assert result.returncode == 0 and "mode polling" in result.stdout, result


def test_a_view(mongo, dbname, launch, hub):
    db = mongo.client[dbname]
    db.hidden.insert_many([document(-1 - i) for i in range(20)])
    db.create_collection("shown", viewOn="hidden", pipeline=[{"$match": {"n": {"$ne": 3}}}])
    server = launch(config_for(mongo.uri, dbname, [{"collections": ["shown"], "channel": "logs:v:{workspace_id}"}]))
    stream = hub.open(server.port, EVERYTHING)
    stream.wait_ready()
    db.hidden.insert_many([document(n) for n in range(6)])
    stream.wait_events(5)
    assert numbers(stream) == [0, 1, 2, 4, 5]


# --- from one mode to the other ----------------------------------------------------------------------------


class Writer:
    """Inserts numbered documents all the time, as well as it can."""

    def __init__(self, db, first: int = 0):
        self.written: list[int] = []
        self._db, self._next, self._stop = db, first, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._db.etl_logs.insert_one(document(self._next))
                self.written.append(self._next)
            except Exception:  # noqa: BLE001 - mongod is being restarted: whether it was written is not known
                pass
            self._next += 1
            time.sleep(0.005)

    def finish(self) -> list[int]:
        self._stop.set()
        self._thread.join()
        return self.written


def test_back_to_a_change_stream(own, launch, hub):
    """The advice is followed: one gap, then ids again; nobody who stays connected loses anything, also not what is
    written while the change happens; and the id of the gap can be resumed from."""
    server = launch(config_for(own.uri, "d"))
    stream = hub.open(server.port, EVERYTHING)
    stream.wait_ready()
    own.client["d"].etl_logs.insert_one(document(0))
    stream.wait_events(1)
    become_replica_set(own)
    writer = Writer(own.client["d"], 1)
    gap = stream.wait_control("gap", WAIT_S * 2)
    assert gap.json["reason"] == "mode_changed" and POSITION.fullmatch(gap.id) and gap.json["from"] is None
    at = stream.frames.index(gap)
    stream.wait(lambda s: len([f for f in s.frames[at:] if f.event == "logs"]) > 20, "events with ids")
    written = writer.finish()
    stream.wait(lambda s: set(written) <= set(numbers(s)), "everything that was written")
    assert numbers(stream) == [0, *written]
    assert all(f.id is None for f in stream.frames[:at] if f.event == "logs")
    assert all(f.id for f in stream.frames[at:] if f.event == "logs")
    stream.wait(lambda s: s.frames[-1].event == "heartbeat", "a heartbeat")
    assert stream.frames[-1].id
    assert state(server)["mode"] == "change_stream" and state(server)["mode_note"] is None
    assert any("have become possible" in line for line in server.lines)

    again = hub.open(server.port, EVERYTHING, headers={"Last-Event-ID": gap.id})
    assert again.wait_ready().json["mode"] == "change_stream"
    again.wait_control("caught-up")
    assert again.ready["resumed"] == "exact" and not again.control("gap")
    assert numbers(again) == [f.json["log_data"]["n"] for f in stream.frames[at:] if f.event == "logs"]


def test_to_polling_and_back(more_mongod, launch, hub):
    """A replica set that is restarted without --replSet, and with it again: two gaps. What was polled between them is
    in no oplog, so an id from before is not resumed across it in silence."""
    node = more_mongod()
    server = launch(config_for(node.plain_uri.split("?")[0], "d"))
    stream = hub.open(server.port, EVERYTHING)
    assert stream.wait_ready().json["mode"] == "change_stream"
    node.client["d"].etl_logs.insert_one(document(0))
    first = stream.wait_events(1)[0]
    assert first.id

    become_standalone(node)
    gap = stream.wait_control("gap", WAIT_S * 2)
    assert gap.json["reason"] == "mode_changed" and gap.id is None
    assert state(server)["mode"] == "polling"
    node.client["d"].etl_logs.insert_one(document(1))
    assert stream.wait_events(2)[1].id is None
    beats = len(stream.control("heartbeat"))
    stream.wait(lambda s: len(s.control("heartbeat")) > beats, "a heartbeat")
    assert stream.control("heartbeat")[-1].id is None

    become_replica_set(node)
    stream.wait(lambda s: len(s.control("gap")) == 2, "the second gap", WAIT_S * 2)
    node.client["d"].etl_logs.insert_one(document(2))
    assert stream.wait_events(3)[2].id
    assert numbers(stream) == [0, 1, 2]

    late = hub.open(server.port, EVERYTHING, headers={"Last-Event-ID": first.id})
    assert late.wait_control("gap").json["reason"] == "mode_changed"
    node.client["d"].etl_logs.insert_one(document(3))
    assert numbers_after(late, 1) == [3]


def test_not_reachable_at_first(launch, more_mongod, hub):
    """Whoever waits since before anything was known gets what the first looks find."""
    node = more_mongod(replica_set=False)
    node.client.close()
    node._end(signal.SIGKILL)
    server = launch(config_for(node.uri, "d"), healthy=False)
    stream = hub.open(server.port, EVERYTHING, headers={"Last-Event-ID": "6b0169cd00000001"})
    assert stream.wait_ready().json["resumed"] == "pending"
    node.start()
    assert stream.wait_control("gap").json["reason"] == "mode_changed"
    node.client["d"].etl_logs.insert_one(document(1))
    assert numbers_after(stream, 1) == [1]
    assert all(f.id is None for f in stream.frames if f.event == "logs")
