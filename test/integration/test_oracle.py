"""Many clients against the oracle: each gets exactly its events, in the order of a reference change stream."""

from __future__ import annotations

import random
import threading

import pytest

from conftest import AUDIT, ETL, FAAS, JOBS
from deadline import WAIT_S
from oracle import Workload, assert_exact, matching, read_truth
from stream import own_view, parse_with_httpx_sse, parse_with_sseclient

RULES = [ETL, FAAS, AUDIT, JOBS]
SENTINEL = "logs:etl:sentinel:end"


def random_subscription(rnd: random.Random) -> list[str]:
    """One to four channels and patterns over the values that the workload uses, some that nothing matches."""
    def one() -> str:
        service = rnd.choice(["etl", "faas", "audit", "jobs", "*"])
        workspace = rnd.choice(["w1", "w2", "w3", "w4", "w5", "*"])
        last = rnd.choice(["f1", "f2", "f3", "f4", "f5", "*"])
        return rnd.choice([f"logs:{service}:{workspace}:{last}"] * 6 + [f"logs:{service}:{workspace}", "logs:*", f"logs:{service}:*"])

    return list(dict.fromkeys([one() for _ in range(rnd.choice([1, 1, 2, 3, 4]))]))


def widened(patterns: list[str]) -> list[str]:
    """`logs:{a}:{b}` with an unknown service a also means logs:*:{a}:{b}."""
    extra = []
    for p in patterns:
        parts = p.split(":")
        if len(parts) == 3 and parts[1] not in ("etl", "faas", "audit", "jobs", "*"):
            extra.append(f"logs:*:{parts[1]}:{parts[2]}")
    return patterns + extra


def write_interleaved(mongo, dbname: str, seed: int, documents: int, writers: int = 4) -> None:
    """Four writers at once: single, many, transactions, replaces, and noise."""
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            Workload(mongo.client, dbname, RULES, seed + number).run(documents // writers)
        except BaseException as error:  # noqa: BLE001 - told by the test
            failures.append(error)

    Workload(mongo.client, dbname, RULES, seed)  # creates the collections
    threads = [threading.Thread(target=work, args=(i,)) for i in range(writers)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures, failures


def end_marker(db):
    return db.etl_logs.insert_one({"workspace_id": "sentinel", "workflow_id": "end"}).inserted_id


def check_against_oracle(server, mongo, db, hub, seed: int, clients: int, documents: int, late: int) -> int:
    """The body of both tests below; returns the number of deliveries that were compared."""
    rnd = random.Random(seed)
    start = mongo.now()
    subscriptions = [random_subscription(rnd) for _ in range(clients + late)]
    targets = [{"channels": ",".join([*s, SENTINEL])} for s in subscriptions]
    streams = hub.open_many(server.port, targets[:clients], keep_body=True)
    for stream in streams:
        stream.wait_ready()
    writer = threading.Thread(target=write_interleaved, args=(mongo, db.name, seed, documents))
    writer.start()
    streams += hub.open_many(server.port, targets[clients:], keep_body=True)
    writer.join()
    last = end_marker(db)
    truth = read_truth(db, RULES, start, lambda d: d["_id"] == last)
    assert len({t.cluster_time for t in truth}) < len(truth), "no transaction in the workload"
    compared = 0
    for number, (stream, subscription) in enumerate(zip(streams, subscriptions)):
        stream.wait(lambda s: s.events and s.events[-1].json["channel"] == SENTINEL, "the last event", WAIT_S * 2)
        want = matching(truth, [*widened(subscription), SENTINEL])
        if number >= clients:
            begin = stream.control("ready")[0].id
            assert len(begin) == 16, f"a live stream starts at a position, not at {begin}"
            want = [t for t in want if t.cluster_time >= begin]
        assert_exact(stream.events, want, f"client {number} of seed {seed}, {subscription}")
        compared += len(want)
    for stream in streams[::10]:
        own, body = own_view(stream.frames), bytes(stream.body)
        assert parse_with_httpx_sse(body) == own
        assert parse_with_sseclient(body).events == own.events
    for stream in streams[:5]:
        by_key = {(t.key, t.cluster_time): t for t in truth}
        for frame in stream.events:
            data = frame.json
            assert data == by_key[(data["channel"], data["log_data"]["_id"]), frame.id[:16]].data()
    return compared


def test_two_hundred_clients(serve, mongo, db, hub, seed):
    """200 clients, four services, interleaved single, many, transactional inserts and replaces; 20 come in between."""
    server = serve(*RULES)
    compared = check_against_oracle(server, mongo, db, hub, seed, clients=180, documents=500, late=20)
    print(f"\n{compared} deliveries compared")


@pytest.mark.long
@pytest.mark.parametrize("round_", range(10))
def test_two_hundred_clients_many_loops(serve, mongo, db, hub, seed, round_):
    """The same over 4 loops with a small queue, so that some clients are pulled from the journal."""
    server = serve(*RULES, loops=4, limits={"queue_bytes": 65536})
    check_against_oracle(server, mongo, db, hub, seed + round_, clients=180, documents=1500, late=20)


def test_two_instances_agree(serve, mongo, db, hub, seed):
    """Two instances on the same database: both give the truth, with equal ids."""
    servers = [serve(*RULES), serve(*RULES)]
    start = mongo.now()
    streams = [hub.open(s.port, {"channels": "logs:*"}) for s in servers]
    for stream in streams:
        stream.wait_ready()
    write_interleaved(mongo, db.name, seed, 200)
    last = end_marker(db)
    truth = read_truth(db, RULES, start, lambda d: d["_id"] == last)
    for stream in streams:
        stream.wait_events(len(truth))
        assert_exact(stream.events, truth)
    assert [f.id for f in streams[0].events] == [f.id for f in streams[1].events]
    assert len({f.id for f in streams[0].events}) == len(truth), "ids are unique"


def test_same_id_in_two_collections_and_replaced_in_one_transaction(serve, mongo, db, hub):
    """Equal _ids in two collections, and several replacements of one document in one transaction, have ids of their own."""
    server = serve(*RULES)
    db.create_collection("etl_logs")
    stream = hub.open(server.port, {"channels": "logs:*"})
    stream.wait_ready()
    db.faas_logs.insert_one({"_id": 1, "workspace_id": "w", "function_id": "f", "n": 0})
    stream.wait_events(1)

    def work(session) -> None:
        db.etl_logs.insert_one({"_id": 1, "workspace_id": "w", "workflow_id": "f", "n": 1}, session=session)
        for n in (2, 3, 4):
            db.faas_logs.replace_one({"_id": 1}, {"workspace_id": "w", "function_id": "f", "n": n}, session=session)

    with mongo.client.start_session() as session:
        session.with_transaction(work)
    frames = stream.wait_events(5)[1:]
    assert [f.json["log_data"]["n"] for f in frames] == [1, 2, 3, 4]
    assert len({f.id[:16] for f in frames}) == 1 and len({f.id for f in frames}) == 4
    for cut in range(4):
        again = hub.open(server.port, {"channels": "logs:*", "last_event_id": frames[cut].id})
        again.wait_ready()
        rest = again.wait_events(3 - cut) if cut < 3 else []
        assert [f.raw for f in rest] == [f.raw for f in frames[cut + 1:]]
        assert again.ready["resumed"] in ("exact", "pending")
