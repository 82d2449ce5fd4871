"""Cut and resume: what was received before and after a cut is together exactly the truth, or an explicit gap."""

from __future__ import annotations

import os
import random
import signal
import threading
import time

import pytest
from bson import Timestamp

from conftest import AUDIT, ETL, FAAS, JOBS
from deadline import WAIT_S, until
from oracle import Truth, Workload, assert_exact, hex_time, matching, read_truth
from stream import EVENT_ID, POSITION, Stream

RULES = [ETL, FAAS, AUDIT, JOBS]
SENTINEL = "logs:etl:sentinel:end"
TINY_JOURNAL = {"journal": {"bytes": 65536}}
FILL = {"workspace_id": "fill", "workflow_id": "fill", "pad": "x" * 4000}


def headers(event_id: str) -> dict[str, str]:
    return {"Last-Event-ID": event_id}


def outcome(stream: Stream) -> str:
    """How the resume ended: ready's word, or caught-up's where ready said pending."""
    word = stream.wait_ready().json["resumed"]
    return stream.wait_control("caught-up").json["resumed"] if word == "pending" else word


def is_end(stream: Stream) -> bool:
    return any(f.json["channel"] == SENTINEL for f in stream.events[-1:])


def end_marker(db):
    return db.etl_logs.insert_one({"workspace_id": "sentinel", "workflow_id": "end"}).inserted_id


def push_out_of_journal(db, server) -> None:
    """
    60 events, more bytes than a tiny journal holds. The last one goes alone, when the server has read the others: a
    journal never drops the batch that it is given, whatever its size.
    """
    def read() -> int:
        return server.health()["sources"][0]["events"]

    before = read()
    db.etl_logs.insert_many([dict(FILL) for _ in range(59)])
    until(lambda: read() >= before + 59, "the server has read the filling")
    db.etl_logs.insert_one(dict(FILL))


def cut_after(count: int):
    """An on_frame that cuts the connection at exactly the count-th event frame."""
    seen = 0

    def on_frame(_stream: Stream, frame) -> bool:
        nonlocal seen
        seen += frame.data is not None and not frame.is_control
        return seen >= count

    return on_frame


def run_cut_round(servers, mongo, db, hub, seed: int, miss: bool) -> None:
    """
    A client that is cut at random moments, again and again, while documents are written; it comes back with its last id
    on one of the servers, by header or query. miss: enough is written while it is away to need a catch-up stream.
    """
    rnd = random.Random(seed)
    workload = Workload(mongo.client, db.name, RULES, seed, pad=rnd.choice([0, 1500]) if miss else 0)
    start = mongo.now()
    patterns = rnd.choice([["logs:*"], ["logs:*:w1:*", "logs:etl:*"], ["logs:faas:*", "logs:audit:*:f1"]]) + [SENTINEL]
    target = {"channels": ",".join(patterns)}
    streams = [hub.open(servers[0].port, target)]
    last = streams[0].wait_ready().id
    for _ in range(rnd.randint(2, 5)):
        workload.run(workload.count + rnd.randint(1, 40))
        wait_for_some(streams[-1], rnd.choice([0, 0, 1, 3, 10]), patience_s=rnd.random() * 0.2)
        streams[-1].abort()
        last = streams[-1].last_id or last
        workload.run(workload.count + rnd.randint(0, 30))
        if miss:
            push_out_of_journal(db, servers[0])
        form = rnd.choice(["Last-Event-ID", "last_event_id", "lastEventId"])
        query = target if form == "Last-Event-ID" else target | {form: last}
        more = {"headers": headers(last)} if form == "Last-Event-ID" else {}
        on_frame = cut_after(rnd.choice([1, 2, 5, 20, 10**9]))
        streams.append(hub.open(rnd.choice(servers).port, query, on_frame=on_frame, **more))
        until(lambda: streams[-1].frames or streams[-1].ended, "the first frame")
    marker = end_marker(db)
    while not is_end(streams[-1]):
        until(lambda: streams[-1].ended or is_end(streams[-1]), "the end or a cut")
        if not is_end(streams[-1]):
            last = streams[-1].last_id or last
            streams.append(hub.open(rnd.choice(servers).port, target, headers=headers(last)))
    streams[-1].abort()
    truth = matching(read_truth(db, RULES, start, lambda d: d["_id"] == marker), patterns)
    assert_exact([f for s in streams for f in s.events], truth, f"seed {seed}")
    assert not [f for s in streams for f in s.control("gap")]


def wait_for_some(stream: Stream, count: int, patience_s: float) -> None:
    """Until count events are there, or a random moment has come."""
    end = time.monotonic() + patience_s
    until(lambda: stream.ended or len(stream.events) >= count or time.monotonic() > end, "a random moment")


def test_random_cuts_served_from_the_journal(serve, mongo, db, hub, seed, rounds):
    """Random cuts, journal hit, two instances: the concatenation is exactly the truth."""
    servers = [serve(*RULES), serve(*RULES)]
    for i in range(rounds):
        run_cut_round(servers, mongo, db, hub, seed * 1000 + i, miss=False)


def test_random_cuts_served_by_catch_up(serve, mongo, db, hub, seed, rounds):
    """The same with journals that hold only the newest events, also cut inside the catch-up."""
    servers = [serve(*RULES, **TINY_JOURNAL), serve(*RULES, **TINY_JOURNAL)]
    for i in range(rounds):
        run_cut_round(servers, mongo, db, hub, seed * 1000 + 500 + i, miss=True)


@pytest.mark.parametrize("miss", [False, True], ids=["journal", "catch-up"])
def test_cut_at_each_frame_of_a_transaction(serve, mongo, db, hub, seed, miss):
    """Ids inside a transaction, which share one cluster time, resume at exactly their frame."""
    server = serve(*RULES, **TINY_JOURNAL)
    workload = Workload(mongo.client, db.name, RULES, seed)
    stream = hub.open(server.port, {"channels": "logs:*"})
    begin = stream.wait_ready().id
    workload.transaction(8)
    frames = list(stream.wait_events(8))
    assert len({f.id[:16] for f in frames}) == 1
    count = 8
    if miss:
        push_out_of_journal(db, server)
        count += 60
    frames = list(stream.wait_events(count))
    points = [begin] + [f.id for f in frames[:8]]
    streams = [hub.open(server.port, {"channels": "logs:*"}, headers=headers(p)) for p in points]
    for number, again in enumerate(streams):
        assert outcome(again) == "exact", f"frame {number}"
        if number < count:
            again.wait_events(count - number)
        assert [f.raw for f in again.events] == [f.raw for f in frames[number:]], f"frame {number}"
        if number < count:  # it did not start live, and says once when it is
            again.wait_control("caught-up")
        assert len(again.control("caught-up")) <= 1
        assert again.control("ready")[0].id == points[number]


def test_cut_inside_a_transaction_that_is_cut_again(serve, mongo, db, hub, seed):
    """One frame a connection: cut after each single frame through a transaction of 8, all in the catch-up."""
    server = serve(*RULES, **TINY_JOURNAL)
    workload = Workload(mongo.client, db.name, RULES, seed)
    stream = hub.open(server.port, {"channels": "logs:*"})
    last = stream.wait_ready().id
    workload.transaction(8)
    want = [f.raw for f in stream.wait_events(8)]
    push_out_of_journal(db, server)
    got = []
    for _ in range(8):
        one = hub.open(server.port, {"channels": "logs:*"}, headers=headers(last), on_frame=cut_after(1))
        until(lambda: one.ended, "one frame")
        got += [f.raw for f in one.events]
        last = one.last_id
    assert got == want


def test_catch_up_tells_when_it_is_over(serve, mongo, db, hub):
    """Journal miss: ready says pending, caught-up comes once, with counts, behind the missed events; then live."""
    server = serve(*RULES, **TINY_JOURNAL)
    stream = hub.open(server.port, {"channels": "logs:*"})
    begin = stream.wait_ready().id
    db.etl_logs.insert_one({"workspace_id": "w", "workflow_id": "f", "n": 1})
    push_out_of_journal(db, server)
    stream.wait_events(61)
    again = hub.open(server.port, {"channels": "logs:etl:w:*"}, headers=headers(begin))
    assert again.wait_ready().json["resumed"] == "pending"
    done = again.wait_control("caught-up")
    assert done.json["resumed"] == "exact"
    assert [f.event for f in again.frames if f.data is not None and f.event != "heartbeat"] == ["ready", "logs", "caught-up"]
    db.etl_logs.insert_one({"workspace_id": "w", "workflow_id": "f", "n": 2})
    assert [f.json["log_data"]["n"] for f in again.wait_events(2)] == [1, 2]
    assert len(again.control("caught-up")) == 1


def test_fresh_instance_resumes_what_it_never_saw(serve, mongo, db, hub):
    """An instance started after the events serves them exactly: no state, no sticky sessions."""
    first = serve(*RULES, journal={"warm_s": 0})
    stream = hub.open(first.port, {"channels": "logs:*"})
    begin = stream.wait_ready().id
    Workload(mongo.client, db.name, RULES, 7).run(60)
    marker = end_marker(db)
    stream.wait(is_end, "the end")
    frames = stream.events
    first.stop()
    second = serve(*RULES, journal={"warm_s": 0})
    for point, want in [(begin, frames), (frames[10].id, frames[11:]), (frames[-1].id, [])]:
        again = hub.open(second.port, {"channels": "logs:*"}, headers=headers(point))
        assert outcome(again) == "exact"
        if want:
            again.wait(is_end, "the end")
        assert [f.raw for f in again.events] == [f.raw for f in want]
    assert marker


def test_heartbeat_positions_resume(serve, mongo, db, hub):
    """The id of a heartbeat is a resume point like any other: everything behind it, nothing before it."""
    server = serve(*RULES, heartbeat_s=1)
    quiet = hub.open(server.port, {"channels": "logs:etl:w:f"})
    quiet.wait_ready()
    db.etl_logs.insert_one({"workspace_id": "w", "workflow_id": "f", "n": 1})
    (first,) = quiet.wait_events(1)
    db.etl_logs.insert_one({"workspace_id": "other", "workflow_id": "f", "n": 2})
    beat = quiet.wait(lambda s: [f for f in s.control("heartbeat") if f.id[:16] > first.id[:16]], "a position", 20)[0]
    assert POSITION.fullmatch(beat.id)
    quiet.abort()
    db.etl_logs.insert_many([{"workspace_id": "w", "workflow_id": "f", "n": n} for n in (3, 4)])
    again = hub.open(server.port, {"channels": "logs:etl:w:f"}, headers=headers(beat.id))
    assert [f.json["log_data"]["n"] for f in again.wait_events(2)] == [3, 4]
    assert again.ready["resumed"] == "exact"


def test_position_is_before_every_event_of_its_time(serve, mongo, db, hub, seed):
    """The 16 digits of an event's id alone give all of its cluster time again."""
    server = serve(*RULES)
    stream = hub.open(server.port, {"channels": "logs:*"})
    stream.wait_ready()
    Workload(mongo.client, db.name, RULES, seed).transaction(5)
    frames = stream.wait_events(5)
    again = hub.open(server.port, {"channels": "logs:*"}, headers=headers(frames[3].id[:16]))
    assert [f.raw for f in again.wait_events(5)] == [f.raw for f in frames]


def test_no_point_lies_behind_an_event_to_come(more_mongod, launch, hub):
    """
    The point that an instance tells before it has read anything lies at or before the next event, also when that event
    gets the very next cluster time: cut there and resumed, it still comes.
    """
    node = more_mongod()
    db = node.client["d"]
    db.create_collection("etl_logs")
    for n in range(5):
        until(lambda: time.time() % 1 < 0.2, "the beginning of a second")  # start and insert share their seconds
        node.tick()
        server = launch({"mongodb": {"uri": node.uri},
                         "sources": [{"name": "logs", "tag": "a", "database": "d", "mappings": [ETL.config]}]})
        stream = hub.open(server.port, {"channels": "logs:*"})
        stream.wait_ready()
        db.etl_logs.insert_one({"workspace_id": "w", "workflow_id": "f", "n": n})
        (event,) = stream.wait_events(1)
        points = [f.id for f in stream.frames[:stream.frames.index(event)] if f.id]
        assert all(p[:16] <= event.id[:16] for p in points), (points, event)
        for point in points:
            again = hub.open(server.port, {"channels": "logs:*"}, headers=headers(point))
            assert [f.raw for f in again.wait_events(1)] == [event.raw]
        server.stop()


@pytest.mark.parametrize("miss", [False, True], ids=["journal", "catch-up"])
def test_unknown_hash_is_an_overlap(serve, mongo, db, hub, seed, miss):
    """An id whose event is not found: all of its cluster time is sent again rather than any lost, and it is said."""
    server = serve(*RULES, **TINY_JOURNAL)
    stream = hub.open(server.port, {"channels": "logs:*"})
    stream.wait_ready()
    Workload(mongo.client, db.name, RULES, seed).transaction(5)
    frames = stream.wait_events(5)
    if miss:
        push_out_of_journal(db, server)
        frames = stream.wait_events(65)
    wrong = frames[2].id[:-12] + f"{int(frames[2].id[-12:], 16) ^ 0xFFF:012x}"
    again = hub.open(server.port, {"channels": "logs:*"}, headers=headers(wrong))
    assert outcome(again) == "overlap"
    again.wait_events(len(frames))
    assert [f.raw for f in again.events] == [f.raw for f in frames]


@pytest.mark.parametrize("miss", [False, True], ids=["journal", "catch-up"])
def test_raw_token_is_used_as_its_cluster_time(serve, mongo, db, hub, seed, miss):
    """A raw resume token of MongoDB is accepted; all of its cluster time is sent again."""
    server = serve(*RULES, **TINY_JOURNAL)
    start = mongo.now()
    stream = hub.open(server.port, {"channels": "logs:*"})
    stream.wait_ready()
    Workload(mongo.client, db.name, RULES, seed).transaction(5)
    marker = end_marker(db)
    truth = read_truth(db, RULES, start, lambda d: d["_id"] == marker)
    assert len(truth) == 6 and truth[2].token.startswith("82")
    frames = stream.wait_events(6)
    if miss:
        push_out_of_journal(db, server)
        frames = stream.wait_events(66)
    for token, want in [(truth[2].token, frames), (truth[5].token, frames[5:])]:
        again = hub.open(server.port, {"channels": "logs:*"}, headers=headers(token))
        assert [f.raw for f in again.wait_events(len(want))] == [f.raw for f in want]
        assert outcome(again) in ("exact", "overlap")


def test_header_wins_over_query(serve, db, hub):
    """The browser's own header is newer than the URL it was given once."""
    server = serve(*RULES)
    stream = hub.open(server.port, {"channels": "logs:*"})
    begin = stream.wait_ready().id
    db.etl_logs.insert_many([{"workspace_id": "w", "workflow_id": "f", "n": i} for i in range(3)])
    frames = stream.wait_events(3)
    again = hub.open(server.port, {"channels": "logs:*", "last_event_id": begin}, headers=headers(frames[1].id))
    assert [f.raw for f in again.wait_events(1)] == [frames[2].raw]
    empty = hub.open(server.port, {"channels": "logs:*", "last_event_id": frames[0].id}, headers=headers(""))
    empty.wait_ready()


def test_resume_with_another_subscription(serve, db, hub):
    """Ids do not depend on the subscription: any id resumes any channel."""
    server = serve(*RULES)
    stream = hub.open(server.port, {"channels": "logs:etl:*"})
    stream.wait_ready()
    db.etl_logs.insert_one({"workspace_id": "w", "workflow_id": "f"})
    (first,) = stream.wait_events(1)
    db.faas_logs.insert_one({"workspace_id": "w", "function_id": "f"})
    again = hub.open(server.port, {"channels": "logs:faas:*"}, headers=headers(first.id))
    assert again.wait_events(1)[0].json["channel"] == "logs:faas:w:f"
    assert again.ready["resumed"] == "exact"


GOOD = "{now}-0123456789ab"


@pytest.mark.parametrize("bad", [
    "garbage", "<script>", "0", "{now}-", "{now}-0123456789a", "{now}-0123456789abc", "{now}-0123456789AG", "{short}", "-0123456789ab",
    "82", "82zz", "8263", "x" * 4000, "82" + "0" * 4095, "{future}-0123456789ab", "{future}", "ffffffffffffffff", "{now} {now}", "{now},{now}",
    "0000000000000000", "null", "undefined", "82FFFFFFFFFFFFFFFF",
])
def test_invalid_ids_begin_with_a_gap(shared, mongo, hub, bad):
    """What is no id is told: gap invalid_id, ready with the live position, then live; never an error, never silence."""
    now = mongo.now()
    future = Timestamp(now.time + 70, 1)
    text = bad.format(now=hex_time(now), short=hex_time(now)[:15], future=hex_time(future))
    stream = hub.open(shared.port, {"channels": "logs:*"}, headers=headers(text))
    ready = stream.wait_ready()
    assert ready.json["resumed"] == "gap"
    gap = stream.wait_control("gap")
    assert gap.json["reason"] == "invalid_id" and gap.id is None
    assert POSITION.match(ready.id) and ready.id[:16] <= hex_time(future)
    assert [f.event for f in stream.frames if f.data is not None][:2] == ["ready", "gap"]
    shared.db.etl_logs.insert_one({"workspace_id": "w", "workflow_id": "f", "n": 1})
    assert [f.json["log_data"]["n"] for f in stream.wait_events(1)] == [1]


def test_id_a_little_ahead_waits_for_it(etl, mongo, db, hub):
    """A point less than 60 s ahead is accepted (another instance was faster): nothing at or before it is sent."""
    ahead = hex_time(Timestamp(mongo.now().time + 3, 1))
    stream = hub.open(etl.port, {"channels": "logs:*"}, headers=headers(ahead))
    ready = stream.wait_ready()
    assert ready.id == ahead and not stream.control("gap")
    db.etl_logs.insert_one({"workspace_id": "w", "workflow_id": "f", "n": 0})
    until(lambda: hex_time(mongo.now()) > ahead, "cluster time passes it", 15, every_s=0.1)
    db.etl_logs.insert_one({"workspace_id": "w", "workflow_id": "f", "n": 1})
    assert [f.json["log_data"]["n"] for f in stream.wait_events(1)] == [1]


def test_id_vector_of_one_source_and_plain_id(etl, db, hub):
    """An id by tag, `a<id>`, is the same as the plain id."""
    stream = hub.open(etl.port, {"channels": "logs:*"})
    begin = stream.wait_ready().id
    db.etl_logs.insert_one({"workspace_id": "w", "workflow_id": "f"})
    want = stream.wait_events(1)[0]
    again = hub.open(etl.port, {"channels": "logs:*"}, headers=headers("a" + begin))
    assert [f.raw for f in again.wait_events(1)] == [want.raw]


def test_history_lost_is_told(more_mongod, launch, hub):
    """An id that the oplog no longer reaches: gap history_lost, what the collection still has of that minute, then live."""
    node = more_mongod("--syncdelay", "1", oplog_mb=5)
    config = {"mongodb": {"uri": node.uri}, "journal": {"warm_s": 0},
              "sources": [{"name": "logs", "tag": "a", "database": "d", "mappings": [ETL.config]}]}
    first = launch(config)
    stream = hub.open(first.port, {"channels": "logs:*"})
    stream.wait_ready()
    db = node.client["d"]
    db.etl_logs.insert_one({"workspace_id": "w", "workflow_id": "f", "n": 1})
    (event,) = stream.wait_events(1)
    first.stop()
    roll_oplog_over(node, event.id[:16])
    second = launch(config)
    again = hub.open(second.port, {"channels": "logs:*"}, headers=headers(event.id))
    ready = again.wait_ready()
    gap = again.wait_control("gap").json
    assert gap["reason"] == "history_lost" and gap["replayed"] == 1 and gap["complete"] is True
    assert "from" in gap and "to" in gap
    assert ready.json["resumed"] in ("gap", "pending")
    over = again.wait_control("caught-up")
    assert over.json["rows"] == 1 and over.json["resumed"] == "gap" and over.id
    db.etl_logs.insert_one({"workspace_id": "w", "workflow_id": "f", "n": 2})
    row, live = again.wait_events(2)
    assert row.json["log_data"]["n"] == 1 and row.json["replay"] is True and row.id is None
    assert live.json["log_data"]["n"] == 2 and EVENT_ID.fullmatch(live.id) and "replay" not in live.json
    third = hub.open(second.port, {"channels": "logs:*"}, headers=headers(live.id))
    assert outcome(third) == "exact"


def test_quiet_for_longer_than_the_oplog(more_mongod, launch, hub):
    """A client that got nothing but heartbeats while the oplog rolled over resumes all the same, on an instance that
    has seen nothing of it."""
    node = more_mongod("--syncdelay", "1", "--setParameter", "periodicNoopIntervalSecs=1", oplog_mb=5)
    config = {"mongodb": {"uri": node.uri}, "journal": {"warm_s": 0}, "heartbeat_s": 1,
              "sources": [{"name": "logs", "tag": "a", "database": "d", "mappings": [ETL.config]}]}
    quiet = hub.open(launch(config).port, {"channels": "logs:*"})
    begin = quiet.wait_ready().id
    roll_oplog_over(node, begin[:16])
    beat = quiet.wait(lambda s: [f for f in s.control("heartbeat") if f.id[:16] > hex_time(node.oldest())], "a beat", 20)[-1]
    quiet.abort()
    node.client["d"].etl_logs.insert_one({"workspace_id": "w", "workflow_id": "f", "n": 1})
    again = hub.open(launch(config).port, {"channels": "logs:*"}, headers=headers(beat.id))
    (event,) = again.wait_events(1)
    assert event.json["log_data"]["n"] == 1 and outcome(again) == "exact" and not again.control("gap")


@pytest.mark.long
def test_oplog_rolls_over_a_frozen_watcher(more_mongod, launch, hub):
    """The source itself loses history: every connection is told of it in its place, and goes on live."""
    node = more_mongod("--syncdelay", "1", oplog_mb=5)
    server = launch({"mongodb": {"uri": node.uri},
                     "sources": [{"name": "logs", "tag": "a", "database": "d", "mappings": [ETL.config]}]})
    stream = hub.open(server.port, {"channels": "logs:*"})
    stream.wait_ready()
    db = node.client["d"]
    db.etl_logs.insert_one({"workspace_id": "w", "workflow_id": "f", "n": 1})
    (event,) = stream.wait_events(1)
    os.kill(server.pid, signal.SIGSTOP)
    try:
        db.etl_logs.insert_one({"workspace_id": "w", "workflow_id": "f", "n": 2})
        roll_oplog_over(node, hex_time(node.now()))
    finally:
        os.kill(server.pid, signal.SIGCONT)
    seen = lambda s: [f for f in s.events if f.json["log_data"]["n"] >= 3]  # noqa: E731
    number = 3
    while not seen(stream):
        db.etl_logs.insert_one({"workspace_id": "w", "workflow_id": "f", "n": number})
        number += 1
        until(lambda: seen(stream), "live again") if number > 30 else stream.wait(lambda s: True, "alive")
    rows = [f.json["log_data"]["n"] for f in stream.events if "replay" in f.json]
    numbers = [f.json["log_data"]["n"] for f in stream.events if "replay" not in f.json]
    gaps = [f.json["reason"] for f in stream.control("gap")]
    assert gaps == ["history_lost"] or 2 in numbers
    assert 2 in rows or 2 in numbers
    assert numbers == sorted(set(numbers)) and not {n for n in rows if n > 2} & set(numbers)
    assert event.id


def roll_oplog_over(node, point: str) -> None:
    """Write elsewhere until the oplog's oldest entry lies behind the point."""
    filler = node.client["filler"]["rows"]

    def rolled() -> bool:
        filler.insert_many([{"pad": "x" * 100_000} for _ in range(40)])
        filler.drop()
        return hex_time(node.oldest()) > point

    until(rolled, "the oplog rolled over", WAIT_S * 2, every_s=0.1)


def test_resume_storm_shares_catch_ups(serve, mongo, db, hub):
    """150 clients that come back at once, from different points, journal miss: all exact, few change streams."""
    server = serve(*RULES, **TINY_JOURNAL)
    stream = hub.open(server.port, {"channels": "logs:*"})
    begin = stream.wait_ready().id
    db.etl_logs.insert_many([{"workspace_id": "w", "workflow_id": "f", "n": i} for i in range(300)])
    push_out_of_journal(db, server)
    frames = stream.wait_events(360)
    points = [begin] + [f.id for f in frames]
    sampler = CursorSampler(mongo, db.name)
    chosen = [(i * 2) % 300 for i in range(150)]
    streams = [hub.open(server.port, {"channels": "logs:*"}, headers=headers(points[i])) for i in chosen]
    for i, again in zip(chosen, streams):
        again.wait_events(360 - i)
        assert [f.raw for f in again.events] == [f.raw for f in frames[i:]]
    print(f"\nchange streams open at most: {sampler.stop()}")


class CursorSampler:
    """How many change streams are open on a database, sampled in the background."""

    def __init__(self, mongo, database: str):
        self._stop = threading.Event()
        self._most = 0
        self._mongo, self._database = mongo, database
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> int:
        self._stop.set()
        self._thread.join()
        return self._most

    def _run(self) -> None:
        from test_resources import change_streams

        while not self._stop.wait(0.02):
            self._most = max(self._most, change_streams(self._mongo, self._database))
