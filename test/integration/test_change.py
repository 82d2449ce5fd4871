"""
PATCH /api/logs/stream/{connection_id}: a live subscription changes at a point, told in the answer and in the stream.
What must come is worked out from the reference stream and the points alone.
"""

from __future__ import annotations

import json
import random
import threading
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from conftest import AUDIT, ETL, FAAS, JOBS
from deadline import until
from http1 import Response
from oracle import Truth, Workload, assert_exact, key_of, matching, read_truth
from server import Server
from stream import EVENT_ID, Frame, Stream

RULES = [ETL, FAAS, AUDIT, JOBS]
END = "logs:etl:end:end"
JSON = {"Content-Type": "application/json"}
NDJSON = {"Accept": "application/x-ndjson"}
TINY_JOURNAL = {"journal": {"bytes": 65536}}
CHOICES = ["logs:etl:w1:f1", "logs:etl:w2:*", "logs:*:w3:*", "logs:faas:*", "logs:audit:w1", "logs:w4:f2",
           "logs:jobs:*:f3", "logs:etl:w4:f4", "logs:*:w1:f2"]
NOBODY = "0123456789abcdef" * 2


def connection_id(stream: Stream) -> str:
    stream.wait_ready()
    return stream.headers["x-connection-id"]


def send(server: Server, name: str, body: object, headers: dict | None = None) -> Response:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return server.request("PATCH", f"/api/logs/stream/{name}", JSON if headers is None else headers, body=raw)


def change(server: Server, stream: Stream, add: Iterable[str] = (), remove: Iterable[str] = ()) -> dict:
    """A change that must be made; its answer."""
    response = send(server, connection_id(stream), {"add": list(add), "remove": list(remove)})
    assert response.status == 200, response.body
    assert response.headers["content-type"] == "application/json"
    return response.json


def refused(response: Response) -> tuple[int, str]:
    return response.status, response.problem["code"]


def ready_of(stream: Stream, answer: dict) -> Frame:
    """The ready frame that tells this change: with the same id."""
    def told(s: Stream) -> list[Frame]:
        return [f for f in s.control("ready")[1:] if f.id == answer["id"] and f.json["channels"] == answer["channels"]]

    return stream.wait(told, f"ready {answer['id']}")[-1]


def end_marker(db):
    return db.etl_logs.insert_one({"workspace_id": "end", "workflow_id": "end"}).inserted_id


def wait_end(stream: Stream) -> None:
    stream.wait(lambda s: s.events and s.events[-1].json["channel"] == END, "the end marker")


class Order:
    """Where ids stand in the truth."""

    def __init__(self, truth: Sequence[Truth], frames: Iterable[Frame]):
        self.truth = truth
        self.times = [t.cluster_time for t in truth]
        self.keys = {f.id: key_of(f) for f in frames}

    def place(self, point: str) -> int:
        """The index of the first event after the point."""
        first = bisect_left(self.times, point[:16])
        if not EVENT_ID.fullmatch(point):
            return first
        return next(i for i in range(first, len(self.truth)) if self.truth[i].key == self.keys[point]) + 1

    def expected(self, readies: Sequence[Frame]) -> list[Truth]:
        """Between two points what the first one's list matches."""
        places = [self.place(f.id) for f in readies] + [len(self.truth)]
        assert places == sorted(places), [f.id for f in readies]
        return [t for f, begin, end in zip(readies, places, places[1:])
                for t in matching(self.truth[begin:end], f.json["channels"])]


def events_of(streams: Iterable[Stream]) -> list[Frame]:
    return [f for s in streams for f in s.events]


def change_at_random(server: Server, stream: Stream, workload: Workload, rnd: random.Random, times: int) -> None:
    """One change after the other, some documents apart; each is told in both places, with the same facts."""
    for i in range(times):
        wanted = workload.count + rnd.randint(0, 20)
        until(lambda: workload.count >= wanted, "some more documents", every_s=0.001)
        add, remove = rnd.sample(CHOICES, rnd.randint(0, 3)), rnd.sample(CHOICES, rnd.randint(1, 4))
        had = stream.control("ready")[-1].json["channels"]
        answer = change(server, stream, add, remove)
        ready = stream.wait(lambda s: s.control("ready")[i + 1:], "ready")[0]
        assert (ready.id, ready.json["channels"]) == (answer["id"], answer["channels"])
        assert ready.json["unmatched"] == answer["unmatched"] and ready.json["denied"] == answer["denied"] == []
        assert ready.json["connection_id"] == answer["connection_id"] == connection_id(stream)
        assert set(answer["not_subscribed"]) == set(remove) - set(had)
        assert set(add) <= set(answer["channels"]) and not set(answer["channels"]) & (set(remove) - set(add))


def test_changes_while_documents_are_written(serve, mongo, db, hub, seed):
    """Two loops, many connections, random changes, a writer without pause: before each point exactly the old list's
    events, after it exactly the new one's."""
    server = serve(*RULES, loops=2)
    workload = Workload(mongo.client, db.name, RULES, seed)
    start = mongo.now()
    streams = hub.open_many(server.port, [{"channels": f"{END},{c}"} for c in CHOICES * 4])
    for stream in streams:
        stream.wait_ready()
    over = threading.Event()

    def write() -> None:
        while not over.is_set():
            workload.step()

    with ThreadPoolExecutor(7) as pool:
        writer = pool.submit(write)
        try:
            jobs = [pool.submit(change_at_random, server, s, workload, random.Random(seed * 100 + i), 5)
                    for i, s in enumerate(streams)]
            for job in jobs:
                job.result()
        finally:
            over.set()
        writer.result()
    marker = end_marker(db)
    truth = read_truth(db, RULES, start, lambda d: d["_id"] == marker)
    for stream in streams:
        wait_end(stream)
    order = Order(truth, events_of(streams))
    for i, stream in enumerate(streams):
        assert_exact(stream.events, order.expected(stream.control("ready")), f"seed {seed}, stream {i}")
        assert not stream.control("gap") and not stream.control("caught-up")
    print(f"\n{len(truth)} events, {sum(len(s.events) for s in streams)} deliveries, {len(streams) * 5} changes")


@pytest.mark.parametrize("loops", [1, 3])
def test_found_from_every_loop(serve, hub, loops):
    """The request may arrive at any loop: the id leads to the stream's."""
    server = serve(ETL, loops=loops)
    streams = hub.open_many(server.port, [{"channels": END}] * 16)
    assert len({connection_id(s) for s in streams}) == 16
    for i, stream in enumerate(streams * 2):
        ready_of(stream, change(server, stream, [f"logs:etl:w:f{i}"]))
    for i, stream in enumerate(streams):
        wanted = sorted([END, f"logs:etl:w:f{i}", f"logs:etl:w:f{i + 16}"])
        assert stream.control("ready")[-1].json["channels"] == wanted
    assert server.health()["channels"] == 33


@pytest.mark.parametrize("where", ["a", "b"], ids=["within its channel", "within another"])
def test_slow_reader_within_a_transaction(serve, mongo, db, hub, where):
    """A reader that stands still in the middle of a transaction: its point lies there, the new list begins there."""
    server = serve(ETL, loops=2, limits={"queue_bytes": 65536})
    start = mongo.now()
    stream = hub.open(server.port, {"channels": f"logs:etl:{where}:*,{END}"}, receive_buffer=4096)
    quick = hub.open(server.port, {"channels": "logs:*"})
    stream.wait_ready()
    quick.wait_ready()
    stream.pause()
    db.create_collection("etl_logs")

    def insert(session) -> None:
        documents = [{"workspace_id": "a" if i % 3 else "b", "workflow_id": "f", "n": i, "pad": "x" * 4000}
                     for i in range(1500)]
        db.etl_logs.insert_many(documents, session=session)

    with mongo.client.start_session() as session:
        session.with_transaction(insert)
    quick.wait_events(1500)
    answer = change(server, stream, ["logs:etl:a:*", "logs:etl:b:f"], [f"logs:etl:{where}:*"] if where == "b" else [])
    again = change(server, stream, [], ["logs:etl:a:*"])
    assert EVENT_ID.fullmatch(answer["id"]) and answer["id"][:16] == again["id"][:16]
    stream.resume()
    marker = end_marker(db)
    truth = read_truth(db, RULES, start, lambda d: d["_id"] == marker)
    wait_end(stream)
    assert_exact(stream.events, Order(truth, quick.events + stream.events).expected(stream.control("ready")))
    seen = [f.json["workspace_id"] for f in stream.events]
    assert seen[0] == where and seen[-2] == "b" and len(seen) < 1500


def test_while_it_catches_up(serve, mongo, db, hub):
    """A stream that reads from a catch-up change stream: changed at its own point; caught-up comes once."""
    server = serve(ETL, loops=2, limits={"queue_bytes": 16384}, **TINY_JOURNAL)
    begin = hub.open(server.port, {"channels": END}).wait_ready().id
    start = mongo.now()
    for i in range(0, 2400, 100):
        db.etl_logs.insert_many([{"workspace_id": "ab"[k % 2], "workflow_id": "f", "n": i + k, "pad": "x" * 4000}
                                 for k in range(100)])
    until(lambda: server.health()["sources"][0]["events"] >= 2400, "the server has read everything")
    stream = hub.open(server.port, {"channels": f"logs:etl:a:*,{END}"}, headers={"Last-Event-ID": begin},
                      receive_buffer=4096)
    change(server, stream, ["logs:etl:b:*"])
    stream.wait_events(20)
    stream.pause()
    answer = change(server, stream, [], ["logs:etl:a:*"])
    stream.resume()
    assert stream.ready["resumed"] == ready_of(stream, answer).json["resumed"] == "pending"
    marker = end_marker(db)
    truth = read_truth(db, RULES, start, lambda d: d["_id"] == marker)
    wait_end(stream)
    readies = stream.control("ready")
    assert readies[0].id == begin and len(readies) == 3
    assert stream.frames.index(readies[2]) < stream.frames.index(stream.wait_control("caught-up"))
    assert_exact(stream.events, Order(truth, stream.events).expected(readies))
    assert [f.json["resumed"] for f in stream.control("caught-up")] == ["exact"] and not stream.control("gap")


@pytest.mark.parametrize("miss", [False, True], ids=["journal", "catch-up"])
def test_resume_after_a_change(serve, mongo, db, hub, seed, miss):
    """Cut at random after a change, back with the last id and the new list, on another instance: everything once."""
    servers = [serve(*RULES, loops=2, **(TINY_JOURNAL if miss else {})) for _ in range(2)]
    rnd = random.Random(seed)
    workload = Workload(mongo.client, db.name, RULES, seed, pad=1500 if miss else 0)
    start = mongo.now()
    channels, last, streams, readies = [END, "logs:etl:*"], None, [], []
    for i in range(8):
        stream = hub.open(servers[i % 2].port, {"channels": ",".join(channels)},
                          headers={"Last-Event-ID": last} if last else {})
        first = stream.wait_ready()
        readies += [first] if not readies else []
        workload.run(workload.count + rnd.randint(1, 30))
        answer = change(servers[i % 2], stream, rnd.sample(CHOICES, 2), rnd.sample(CHOICES + ["logs:etl:*"], 3))
        readies.append(ready_of(stream, answer))
        workload.run(workload.count + rnd.randint(0, 60))
        wanted = len(stream.events) + rnd.choice([0, 0, 1, 5])
        patience = threading.Timer(0.2, stream.abort)
        patience.start()
        until(lambda: stream.ended or len(stream.events) >= wanted, "some events or a random moment")
        patience.cancel()
        stream.abort()
        channels, last = answer["channels"], stream.last_id
        streams.append(stream)
    streams.append(hub.open(servers[0].port, {"channels": ",".join(channels)}, headers={"Last-Event-ID": last}))
    marker = end_marker(db)
    truth = read_truth(db, RULES, start, lambda d: d["_id"] == marker)
    wait_end(streams[-1])
    frames = events_of(streams)
    assert_exact(frames, Order(truth, frames).expected(readies), f"seed {seed}")
    assert not [f for s in streams for f in s.control("gap")]


def test_ndjson(serve, db, hub):
    server = serve(ETL)
    stream = hub.open(server.port, {"channels": "logs:etl:w1:f1"}, headers=NDJSON)
    answer = change(server, stream, ["logs:etl:w2:*"], ["logs:etl:w1:f1"])
    ready = ready_of(stream, answer)
    assert ready.id and ready.json["channels"] == ["logs:etl:w2:*"]
    db.etl_logs.insert_many([{"workspace_id": f"w{i}", "workflow_id": "f1"} for i in (1, 2)])
    assert [f.json["workspace_id"] for f in stream.wait_events(1)] == ["w2"]


def test_two_sources(serve, mongo, db, dbname, hub, launch):
    """The point is a vector, and one can resume from it."""
    sources = [{"name": r.collection, "tag": t, "database": dbname, "mappings": [r.config]}
               for r, t in ((ETL, "a"), (FAAS, "b"))]
    server = launch({"mongodb": {"uri": mongo.uri, "max_await_ms": 100}, "sources": sources, "loops": 2})
    stream = hub.open(server.port, {"channels": "logs:etl:w1:f1"})
    answer = change(server, stream, ["logs:faas:*"])
    ready_of(stream, answer)
    assert [part[0] for part in answer["id"].split("~")] == ["a", "b"]
    later = hub.open(server.port, {"channels": ",".join(answer["channels"])}, headers={"Last-Event-ID": answer["id"]})
    assert later.wait_ready().json["resumed"] == "exact"
    db.etl_logs.insert_one({"workspace_id": "w1", "workflow_id": "f1"})
    db.faas_logs.insert_one({"workspace_id": "w1", "function_id": "f1"})
    for s in (stream, later):
        assert {f.json["channel"] for f in s.wait_events(2)} == {"logs:etl:w1:f1", "logs:faas:w1:f1"}


def test_widening(serve, db, hub):
    """What is added is widened as at connect; what it was widened to goes with it, unless it was asked for by name."""
    server = serve(ETL, FAAS)
    stream = hub.open(server.port, {"channels": END})
    answer = change(server, stream, ["logs:w1:f1", "metrics:w1"])
    assert answer["channels"] == [END, "logs:w1:f1", "metrics:w1", "logs:*:w1:f1"]
    assert answer["unmatched"] == ["metrics:w1"]
    db.etl_logs.insert_one({"workspace_id": "w1", "workflow_id": "f1"})
    stream.wait_events(1)
    answer = change(server, stream, ["logs:*:w1:f1"], ["logs:w1:f1", "metrics:w1", "logs:w1:f1", "logs:no"])
    assert answer["channels"] == [END, "logs:*:w1:f1"] and answer["unmatched"] == []
    assert answer["not_subscribed"] == ["logs:no"]
    assert change(server, stream, [], ["logs:*:w1:f1"])["channels"] == [END]
    db.etl_logs.insert_one({"workspace_id": "w1", "workflow_id": "f1"})
    end_marker(db)
    assert [f.json["channel"] for f in stream.wait_events(2)] == ["logs:etl:w1:f1", END]


def test_at_once_on_one_stream(serve, hub):
    """Changes that arrive together are made one after the other: every answer is one of the ready frames."""
    server = serve(ETL, loops=2)
    stream = hub.open(server.port, {"channels": END})
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda i: change(server, stream, [f"logs:etl:w1:f{i}"]), range(40)))
    readies = stream.wait(lambda s: len(s.control("ready")) == 41 and s.control("ready"), "all ready frames")[1:]
    told = sorted((f.id, f.json["channels"]) for f in readies)
    assert told == sorted((a["id"], a["channels"]) for a in answers)
    assert [len(f.json["channels"]) for f in readies] == list(range(2, 42))


def test_no_such_connection(serve, hub):
    server = serve(ETL, loops=2)
    other = serve(ETL)
    stream = hub.open(server.port, {"channels": END})
    name = connection_id(stream)
    body = {"add": ["logs:etl:w1:f1"]}
    similar = name[:-1] + ("0" if name[-1] != "0" else "1")
    for unknown in (NOBODY, similar, name[:31], name + "0", name.upper() + "x", "%00", "x"):
        assert refused(send(server, unknown, body)) == (404, "connection_not_found"), unknown
    assert refused(send(other, name, body)) == (404, "connection_not_found")
    for path in ("", f"{name}/", f"{name}/x"):
        assert refused(send(server, path, body)) == (404, "not_found"), path
    stream.abort()
    until(lambda: server.connections == 0, "the stream is gone")
    assert refused(send(server, name, body)) == (404, "connection_not_found")


@pytest.mark.parametrize("body, code", [
    (b"", "invalid_body"), (b"{", "invalid_body"), (b"[]", "invalid_body"), (b"null", "invalid_body"),
    ({}, "invalid_body"),
    ({"add": "logs:*"}, "invalid_body"), ({"add": [1]}, "invalid_body"), ({"add": None}, "invalid_body"),
    ({"add": [], "remove": []}, "invalid_body"), ({"plus": ["logs:*"]}, "invalid_body"),
    ({"add": ["logs:*"], "channels": []}, "invalid_body"), (b'{"add":["a"],"add":["b"]}', "invalid_body"),
    (b'{"add":["a\\u0000"]}', "invalid_body"), (b'{"add":["\xff"]}', "invalid_body"),
    ({"add": [""]}, "invalid_channel"), ({"add": ["logs:a*"]}, "invalid_channel"),
    ({"add": ["a,b"]}, "invalid_channel"), ({"add": ["logs:%4"]}, "invalid_channel"),
    ({"remove": ["logs::x"]}, "invalid_channel"),
    ({"add": [f"l:{i}" for i in range(257)]}, "too_many_channels"),
    ({"add": [f"l:{i}" for i in range(256)]}, "too_many_channels"),
    ({"remove": [f"l:{i}" for i in range(257)]}, "too_many_channels"), ({"remove": [END]}, "missing_channels"),
])
def test_bad_bodies(shared, hub, body, code):
    """Refused with a sentence; the stream goes on as it was."""
    stream = hub.open(shared.port, {"channels": END})
    response = send(shared, connection_id(stream), body)
    assert refused(response) == (400, code)
    assert response.problem["detail"]
    end_marker(shared.db)
    stream.wait_events(1)
    assert len(stream.control("ready")) == 1
    stream.abort()


def test_names_what_is_wrong(shared, hub):
    stream = hub.open(shared.port, {"channels": END})
    for body, name in (({"plus": []}, "plus"), ({"add": [3]}, "add"), ({"remove": ["x*"]}, "x*"),
                       ({"add": ["y*"]}, "add")):
        assert name in send(shared, connection_id(stream), body).problem["detail"]
    name = connection_id(stream)
    assert refused(send(shared, name, {"add": ["a"]}, {})) == (415, "unsupported_media_type")
    text = {"Content-Type": "text/plain"}
    assert refused(send(shared, name, {"add": ["a"]}, text)) == (415, "unsupported_media_type")
    assert refused(send(shared, name, b" " * 1_100_000)) == (413, "body_too_large")
    stream.abort()


def test_limit_counts_what_is_there_after_the_change(serve, hub):
    server = serve(ETL)
    full = [f"logs:etl:w1:f{i}" for i in range(256)]
    body = json.dumps({"channels": full}).encode()
    stream = hub.open_many(server.port, ["/api/logs/stream"], method="POST", headers=JSON, body=body)[0]
    name = connection_id(stream)
    assert refused(send(server, name, {"add": ["logs:etl:w2:f1"]})) == (400, "too_many_channels")
    answer = change(server, stream, ["logs:etl:w2:f1"], full[:1])
    assert answer["channels"] == sorted(full[1:]) + ["logs:etl:w2:f1"]
    assert refused(send(server, name, {"remove": answer["channels"]})) == (400, "missing_channels")
    assert len(change(server, stream, [END], answer["channels"])["channels"]) == 1
    assert server.health()["channels"] == 1


def test_methods_and_origins(shared):
    """The path takes PATCH alone; a preflight of an allowed origin says so."""
    path = f"/api/logs/stream/{NOBODY}"
    response = shared.get(path)
    assert refused(response) == (405, "method_not_allowed") and response.headers["allow"] == "PATCH, OPTIONS"
    response = shared.request("PATCH", "/api/logs/stream", JSON, body=b"{}")
    assert refused(response) == (405, "method_not_allowed") and "PATCH" not in response.headers["allow"]
    origin = {"Origin": "https://app.example", "Access-Control-Request-Method": "PATCH"}
    response = shared.request("OPTIONS", path, origin)
    assert response.status == 204 and response.headers["access-control-allow-methods"] == "PATCH, OPTIONS"
    assert "Content-Type" in response.headers["access-control-allow-headers"]
    response = shared.request("PATCH", path, JSON | origin, body=b'{"add":["a"]}')
    assert refused(response) == (404, "connection_not_found")
    assert response.headers["access-control-allow-origin"] == "https://app.example"


def test_reader_that_takes_nothing_cannot_be_made_to_owe_without_end(serve, hub):
    """Each change is told by a frame; a reader that stands still gets so many, then changes are refused until it
    reads."""
    server = serve(ETL, limits={"queue_bytes": 16384})
    stream = hub.open(server.port, {"channels": END}, receive_buffer=4096)
    change(server, stream, [f"logs:etl:{'w' * 100}:f{i}" for i in range(200)])
    stream.pause()
    made = 1

    def one_more() -> Response | None:
        nonlocal made
        response = send(server, connection_id(stream), {"add": ["logs:etl:w1:f1"]})
        made += response.status == 200
        return None if response.status == 200 else response

    response = until(one_more, "changes are refused", every_s=0)
    assert refused(response) == (503, "reader_behind") and response.headers["retry-after"]
    stream.resume()
    stream.wait(lambda s: len(s.control("ready")) == made + 1, "every change that was made is told")
    until(lambda: not one_more(), "changes are made again")


def test_max_rate_and_filter_stay(serve, db, hub):
    """What was asked for besides channels goes on: a filter holds for what is added."""
    server = serve(ETL)
    stream = hub.open(server.port, {"channels": END, "min_level": "error"})
    change(server, stream, ["logs:etl:w1:*"])
    db.etl_logs.insert_many([{"workspace_id": "w1", "workflow_id": "f", "level": v} for v in ("INFO", "ERROR")])
    end_marker(db)
    wait_end(stream)
    assert [f.json["log_data"].get("level") for f in stream.events] == ["ERROR", None]


def test_while_rows_are_sent(serve, db, hub):
    """tail=: nothing has an id then, the change neither; what is removed ends within the rows, what is added begins
    live."""
    server = serve(ETL, loops=2)
    db.etl_logs.insert_many([{"workspace_id": "ab"[i % 2], "workflow_id": "f", "n": i, "pad": "x" * 4000}
                             for i in range(2000)])
    stream = hub.open(server.port, {"channels": f"logs:etl:a:*,logs:etl:b:*,{END}", "tail": 2000}, receive_buffer=4096)
    stream.wait_events(10)
    stream.pause()
    answer = change(server, stream, ["logs:etl:c:*"], ["logs:etl:a:*"])
    db.etl_logs.insert_many([{"workspace_id": w, "workflow_id": "f", "n": 2000 + i} for i, w in enumerate("abc")])
    stream.resume()
    end_marker(db)
    wait_end(stream)
    ready = ready_of(stream, answer)
    assert answer["id"] is None and ready.id is None
    assert stream.wait_control("caught-up").id
    after = [f.json["workspace_id"] for f in stream.frames[stream.frames.index(ready):] if not f.is_control]
    assert set(after) == {"b", "c", "end"}
    for workspace, wanted in (("b", [*range(1, 2000, 2), 2001]), ("c", [2002])):
        assert [f.json["log_data"]["n"] for f in stream.events if f.json["workspace_id"] == workspace] == wanted
