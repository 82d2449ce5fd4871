"""
Who may read what: subscription and grants cut with each other, told in `ready`, and obeyed by every way to an event.
What is not granted leaves no trace on the wire.
"""

from __future__ import annotations

import itertools
import json
import random
import time
from urllib.parse import urlencode

import pytest

from conftest import ETL, FAAS
from deadline import until
from identities import (NOTHING_GRANTED, STREAM, bearer, by_secret, claims, end_marker, ids, log, module_server, reader,
                        refusal, token, wait_end_marker)
from oracle import Rule, covers
from stream import EVENT_ID, Stream

SHARED = Rule("shared_logs", "functions", ("workspace_id", "function_id"))
BOARDS = Rule("board_logs", "dashboards", ("board",))
JSON = {"Content-Type": "application/json"}
NDJSON = {"Accept": "application/x-ndjson"}


@pytest.fixture(scope="module")
def server(mongo):
    grants = {"users": {"configured": ["logs:etl:cfg:*"]}, "everyone": ["functions:shared:*"]}
    with module_server(mongo, "grants", ETL, FAAS, SHARED, auth=by_secret(grants=grants), loops=2) as server:
        yield server


def ready_for(server, hub, grants: list[str], asked: str, **more) -> dict:
    stream = hub.open(server.port, {"channels": asked}, headers=reader(channels=grants, **more))
    ready = stream.wait_ready().json
    stream.abort()
    return ready


# --- subscription ∩ grants ------------------------------------------------------------------------------


@pytest.mark.parametrize("grants, asked, channels, denied", [
    (["logs:etl:ws1:*"], "logs:*", ["logs:etl:ws1:*"], None),
    (["logs:*:ws1:*"], "logs:etl:*", ["logs:etl:ws1:*"], None),
    (["logs:etl:*"], "logs:*:ws1:*", ["logs:etl:ws1:*"], None),
    (["logs:*:ws1:f1"], "logs:etl:*:f1", ["logs:etl:ws1:f1"], None),
    (["logs:*:a:*"], "logs:etl:*:b", ["logs:etl:a:b"], None),
    (["logs:*:*:f1"], "logs:etl:*", ["logs:etl:*:f1"], None),
    (["logs:*:ws1"], "logs:*", ["logs:*:ws1"], None),
    (["*:*:ws1:*"], "logs:*", ["logs:*:ws1:*"], None),
    (["*"], "logs:*", ["logs:*"], []),
    (["logs:*"], "logs:etl:ws1", ["logs:etl:ws1"], []),
    (["logs:etl:ws1:f1"], "logs:etl:ws1:f1", ["logs:etl:ws1:f1"], []),
    (["logs:etl:ws1:*"], "logs:etl:ws1:f1,logs:etl:ws2:f2", ["logs:etl:ws1:f1"], ["logs:etl:ws2:f2"]),
    (["logs:etl:a:*", "logs:faas:b:*"], "logs:*", ["logs:etl:a:*", "logs:faas:b:*"], None),
    (["logs:etl:a:f"], "logs:etl:a:f,logs:etl:a,logs:etl:b:*,logs:faas:*", ["logs:etl:a:f"],
     ["logs:etl:a", "logs:etl:b:*", "logs:faas:*"]),
])
def test_what_is_granted_of_what_was_asked_for(server, hub, grants, asked, channels, denied):
    """ready lists the cut; denied names what was asked for and came to nothing, as it was asked for."""
    ready = ready_for(server, hub, grants, asked)
    assert sorted(ready["channels"]) == sorted(channels)
    assert denied is None or sorted(ready["denied"]) == sorted(denied)
    assert set(ready["denied"]) <= set(asked.split(","))


@pytest.mark.parametrize("grants, asked", [
    ([], "logs:*"), (None, "logs:*"), (["logs:etl:ws1:*"], "logs:etl:ws1"), (["logs:etl:ws1"], "logs:etl:ws1:*"),
    (["logs:etl:ws1:*"], "logs:etl:ws10:f1"), (["logs:etl:ws1:f"], "logs:etl:ws1:f1"),
    (["logs:*:ws1"], "logs:etl:ws1:f1"), (["logs:%2A"], "logs:etl:a"), (["logs:etl:*:f1"], "logs:etl:a:f2"),
    (["Logs:*"], "logs:*"), (["metrics:*"], "logs:*,alerts:x"),
])
def test_nothing_granted(server, grants, asked):
    """403 with a code, for streams and history; `everyone` here grants something else."""
    headers = reader(channels=grants)
    for path in (STREAM, "/api/logs/history", "/api/sse"):
        assert refusal(server.get(f"{path}?channels={asked}", headers)) == (403, NOTHING_GRANTED), path
    assert server.request("HEAD", f"{STREAM}?channels={asked}", headers).status == 403
    answer = server.request("POST", STREAM, headers | JSON, body=json.dumps({"channels": asked.split(",")}).encode())
    assert refusal(answer) == (403, NOTHING_GRANTED)


UNIVERSE = [":".join(("alerts", *tail)) for letters in ((), ("xy",), ("xy", "pq"), ("xy", "pq", "mn"))
            for tail in itertools.product(*letters)]


def random_pattern(rnd: random.Random) -> str:
    parts = [rnd.choice(["alerts", "alerts", "alerts", "*"])]
    for letters in ("xy", "pq", "mn")[:rnd.randint(0, 3)]:
        parts.append(rnd.choice([*letters, "*"]))
    return ":".join(parts)


def test_random_cuts(server, hub, seed):
    """The channels of ready cover exactly what some grant and something asked for both cover."""
    rnd = random.Random(seed)
    for _ in range(150):
        grants, asked = ([random_pattern(rnd) for _ in range(rnd.randint(1, 3))] for _ in range(2))
        both = {c for c in UNIVERSE if any(covers(g, c) for g in grants) and any(covers(a, c) for a in asked)}
        stream = hub.open(server.port, {"channels": ",".join(asked)}, headers=reader(channels=grants))
        until(lambda: stream.status and (stream.frames or stream.status != 200), "an answer")
        if stream.status != 200:
            assert stream.status == 403 and not both, (grants, asked, both)
            continue
        channels = stream.wait_ready().json["channels"]
        got = {c for c in UNIVERSE if any(covers(p, c) for p in channels)}
        assert got == both, (seed, grants, asked, channels)
        assert set(stream.ready["denied"]) <= set(asked)
        stream.abort()


def test_configured_grants_and_everyone(server, hub):
    """The union of claim, configuration and `everyone`."""
    stream = hub.open(server.port, {"channels": "*"}, headers=reader("configured", ["logs:faas:own:*"]))
    assert set(stream.wait_ready().json["channels"]) == {"logs:etl:cfg:*", "functions:shared:*", "logs:faas:own:*"}
    other = hub.open(server.port, {"channels": "*"}, headers=reader("Configured"))
    assert other.wait_ready().json["channels"] == ["functions:shared:*"]
    log(server.db, "secret")
    server.db.shared_logs.insert_one({"workspace_id": "secret", "function_id": "f1"})
    mine = [log(server.db, "cfg")]
    mine.append(str(server.db.shared_logs.insert_one({"workspace_id": "shared", "function_id": "f1"}).inserted_id))
    stream.wait_events(2)
    other.wait_events(1)
    assert ids(stream) == mine and ids(other) == mine[1:]
    stream.abort()
    other.abort()


@pytest.mark.parametrize("grants", ["logs:a* logs::", {"read": ["logs:*"]}, [["logs:*"]], [{"*": 1}], True,
                                    ["logs:a*", "logs::", "", 7, "logs:etl\n"]])
def test_malformed_claims_grant_nothing(server, grants):
    """What is no list of patterns is not guessed at."""
    answer = server.get(f"{STREAM}?channels=logs:etl:ws1:f1", bearer(token(claims() | {"channels": grants})))
    assert answer.status in (401, 403) and answer.problem["code"], answer


def test_claim_of_words(server, hub):
    """One text with blanks or commas between the patterns, as providers write scopes; what is none is left out."""
    ready = ready_for(server, hub, "openid logs:etl:a:* logs:b* logs:faas:b,logs:etl:c", "logs:*")
    assert sorted(ready["channels"]) == ["logs:etl:a:*", "logs:etl:c", "logs:faas:b"]


def test_unmatched_tells_nothing_about_what_is_not_granted(server, hub):
    """Whether a channel can come about is told only to those who may read it."""
    asked = ("functions:shared:f,nobody:makes:this,logs:nothing:like:that,logs:etl:secret:f,logs:etl:secret,"
             "logs:zzz:secret")
    ready = ready_for(server, hub, [], asked)
    assert ready["channels"] == ["functions:shared:f"] and ready["unmatched"] == []
    assert sorted(ready["denied"]) == sorted(asked.split(",")[1:])
    ready = ready_for(server, hub, ["nobody:*"], asked)
    assert ready["unmatched"] == ["nobody:makes:this"]


def test_forms_of_a_subscription(server, serve, hub):
    """What was widened, or made from parameters or an alias, is cut alike; denied names what was asked for."""
    headers = reader("ann", ["logs:etl:ws1:*"])
    whole, one = ["logs:etl:ws1:*"], ["logs:etl:ws1:f1"]
    for asked, channels, denied in (
            ({"workspace_id": "ws1"}, whole, []), ({"service": "etl", "workspace_id": "ws1"}, whole, []),
            ({"channels": "logs:ws1:f1"}, one, []), ({"channels": "logs:ws2:f1,logs:ws1:f1"}, one, ["logs:ws2:f1"])):
        stream = hub.open(server.port, asked, headers=headers)
        ready = stream.wait_ready().json
        assert (ready["channels"], ready["denied"], ready["unmatched"]) == (channels, denied, []), asked
        stream.abort()
    for asked in ("workspace_id=ws2", "service=etl&workspace_id=ws2", "service=faas&workspace_id=ws1",
                  "channels=logs:ws2:f1"):
        assert refusal(server.get(f"{STREAM}?{asked}", headers)) == (403, NOTHING_GRANTED), asked
    path = {"path": "/my/logs", "channel": "logs:etl:{workspace_id}:{workflow_id}"}
    alias = serve(ETL, auth=by_secret(), aliases=[path])
    stream = hub.open(alias.port, "/my/logs?workspace_id=ws1&workflow_id=f1", headers=headers)
    assert stream.wait_ready().json["channels"] == ["logs:etl:ws1:f1"]
    assert refusal(alias.get("/my/logs?workspace_id=ws2&workflow_id=f1", headers)) == (403, NOTHING_GRANTED)


# --- one of forty -----------------------------------------------------------------------------------------

NAMES = [f"board{i:02d}-{random.Random(i).getrandbits(60):015x}" for i in range(40)]
MINE = NAMES[7]


@pytest.fixture(scope="module")
def boards(mongo):
    with module_server(mongo, "boards", BOARDS, ETL, auth=by_secret(), heartbeat_s=1) as server:
        server.db.board_logs.insert_many(documents(5))
        yield server


def documents(each: int) -> list[dict]:
    return [{"_id": f"{name}-{random.getrandbits(40):010x}", "board": name, "message": f"of {name}", "level": "INFO"}
            for _ in range(each) for name in NAMES]


def assert_silent(what: bytes, where: str, allowed: str = MINE) -> None:
    """None of the other 39, not even a number of theirs as it stands in all their names."""
    for name in NAMES:
        for marker in (name, name.partition("-")[2]):
            assert name == allowed or marker.encode() not in what, f"{name} is in {where}: {what[:2000]!r}"


def test_a_user_with_one_of_forty(boards, hub):
    """Every way in at once, heartbeats and gaps included: the bytes hold nothing of the other 39."""
    headers = reader("one", [f"dashboards:{MINE}"])
    marker = hub.open(boards.port, {"channels": "dashboards:*"}, headers=reader("all", ["*"]))
    start = marker.wait_ready().id
    targets = [{"channels": "dashboards:*"}, {"channels": "*"}, {"channels": "dashboards:*", "tail": 1000},
               {"channels": "dashboards:*", "since": "-15m"}, {"channels": "dashboards:*", "last_event_id": start},
               {"channels": f"dashboards:{MINE},unheard:of"}, {"channels": "dashboards:*", "max_rate": 1},
               {"channels": "dashboards:*", "min_level": "info"}, {"channels": "dashboards:*", "q": "of "}]
    streams = hub.open_many(boards.port, targets, headers=headers, keep_body=True)
    streams += hub.open_many(boards.port, targets[:5], headers=headers | NDJSON, keep_body=True)
    for stream, target in zip(streams, targets + targets[:5]):
        assert stream.wait_ready().json["channels"] == [f"dashboards:{MINE}"]
        if "tail" in target or "since" in target:
            stream.wait_control("caught-up")
    rows = documents(10)
    boards.db.board_logs.insert_many(rows)
    boards.db.board_logs.insert_one({"_id": NAMES[11] * 50000, "board": NAMES[11]})  # oversize
    boards.db.board_logs.insert_one({"_id": "last", "board": MINE, "message": "of it"})
    of_mine = [r["_id"] for r in rows if r["board"] == MINE]
    for stream, target in zip(streams, targets + targets[:5]):
        if "max_rate" not in target:
            stream.wait(lambda s: s.events and ids(s)[-1] == "last", "the last one")
            assert ids(stream)[-11:] == [*of_mine, "last"], target
    written = time.monotonic()
    for stream, target in zip(streams, targets + targets[:5]):
        where = str(target)
        stream.wait(lambda s: [f for f in s.control("heartbeat") if f.at > written], "a heartbeat behind it")
        assert_silent(bytes(stream.body) + str(stream.headers).encode(), where)
        assert b"board_logs" not in stream.body and boards.db.name.encode() not in stream.body, where
    assert marker.control("gap") and streams[0].control("gap")
    assert [f.json["rows"] for f in streams[2].control("caught-up")] == [5]
    for stream in [*streams, marker]:
        stream.abort()


def test_a_gap_is_told_to_whom_it_may_concern(boards, hub):
    """An event too large to be read: whoever may read nothing of its collection is not told of it."""
    elsewhere = hub.open(boards.port, {"channels": "*"}, headers=reader("else", ["logs:*"]))
    elsewhere.wait_ready()
    boards.db.board_logs.insert_one({"_id": NAMES[12] * 50000, "board": NAMES[12]})
    mine = log(boards.db, "w1")
    elsewhere.wait_events(1)
    assert ids(elsewhere) == [mine] and not elsewhere.control("gap")
    elsewhere.abort()


def test_one_of_forty_asks_around(boards, hub):
    """History, single events, PATCH, health, pages and errors are as silent as streams."""
    headers = reader("one", [f"dashboards:{MINE}"])
    foreign = boards.db.board_logs.find_one({"board": NAMES[3]})["_id"]
    seen = b""
    for params in ({"limit": 1000}, {"before": foreign}, {"after": foreign}, {"q": NAMES[3][:7]}, {"q": "board"},
                   {"min_level": "error"}):
        answer = boards.get("/api/logs/history?" + urlencode({"channels": "dashboards:*"} | params), headers)
        assert answer.status in (200, 400), answer
        seen += answer.body
        assert {e["channel"] for e in answer.json.get("events", [])} <= {f"dashboards:{MINE}"}
    assert MINE.encode() in seen
    for channel in (f"dashboards:{MINE}", "dashboards:*"):
        answer = boards.get("/api/logs/event?" + urlencode({"channel": channel, "id": foreign}), headers)
        assert answer.status in (400, 403, 404), answer
        seen += answer.body.replace(foreign.encode(), b"")
    stream = hub.open(boards.port, {"channels": f"dashboards:{MINE}"}, headers=headers)
    name = stream.wait_ready().json["connection_id"]
    for change in ({"add": ["dashboards:*", "*"]}, {"remove": ["dashboards:*"]}):
        answer = boards.request("PATCH", f"{STREAM}/{name}", headers | JSON, body=json.dumps(change).encode())
        assert answer.status == 200 and answer.json["channels"] == [f"dashboards:{MINE}"], answer
        seen += answer.body
    for path in ("/health", "/", "/live.js", "/nothing", "/api/logs/history", STREAM):
        seen += boards.get(path, headers).body
    assert_silent(seen, "some answer")
    for text in ("board_logs", "etl_logs", boards.db.name, "dashboards:*:"):
        assert text.encode() not in boards.get("/health").body, text
    stream.abort()


def test_a_foreign_event_does_not_exist(boards):
    """Asked for by its own channel it is the same refusal, whether it exists or not."""
    headers = reader("one", [f"dashboards:{MINE}"])
    foreign = boards.db.board_logs.find_one({"board": NAMES[3]})["_id"]
    answers = [boards.get("/api/logs/event?" + urlencode({"channel": f"dashboards:{NAMES[3]}", "id": i}), headers)
               for i in (foreign, foreign[:-1] + "x")]
    assert [refusal(a) for a in answers] == [(403, NOTHING_GRANTED)] * 2
    assert answers[0].body == answers[1].body


def test_answers_do_not_depend_on_others(serve, db, hub):
    """Not a count, not a hint: history and the words of a stream are the same whether the others write or not."""
    channel = "logs:any:{workspace_id}:{workflow_id|function_id|resource_id}"
    server = serve(ETL, mappings=[{"collections": ["any_logs"], "channel": channel}], auth=by_secret(), scan_max=100)
    headers = reader("ann", ["logs:*:w1:mine", "logs:etl:w2:50%25"])
    for i in range(30):
        log(db, "w1", "mine", n=i)
        log(db, "w2", "50%", n=i)
        name = ["workflow_id", "function_id", "resource_id"][i % 3]
        db.any_logs.insert_one({"workspace_id": "w1", name: "mine", "n": i})

    def look() -> list:
        told = []
        for channels in ("logs:*", "*", "logs:any:*", "logs:etl:w2:*", "logs:w1:mine"):
            for more in ({}, {"limit": 7}, {"limit": 1000, "q": "n"}, {"after": "1970-01-01", "limit": 20}):
                answer = server.get("/api/logs/history?" + urlencode({"channels": channels} | more), headers)
                told.append((channels, more, answer.status, answer.body))
            stream = hub.open(server.port, {"channels": channels, "tail": 50}, headers=headers)
            told.append((channels, stream.wait_ready().json | {"connection_id": "", "resume_window_s": 0, "renew": ""},
                         stream.wait_control("caught-up").data, ids(stream)))
            stream.abort()
        return told

    before = look()
    for i in range(150):
        log(db, "w1", "other", n=i)
        log(db, "w2", "50", n=i)
        db.any_logs.insert_one({"workspace_id": "w1", "workflow_id": "other", "function_id": "mine", "n": i})
        db.any_logs.insert_one({"workspace_id": {"odd": 1}, "resource_id": "mine", "n": i})
    for was, now in zip(before, look()):
        assert now == was
    assert before[0][2] == 200 and b"mine" in before[0][3]


# --- every way to an event ----------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["live", "tail", "since", "since and tail", "resume", "ndjson"])
def test_ways_of_streams(server, hub, way):
    """Live, tail, since, resume: what is not granted is not there, what is granted is complete."""
    everything = reader("root", ["*"])
    probe = hub.open(server.port, {"channels": "logs:*"}, headers=everything)
    start = probe.wait_ready().id
    workspace = f"ws-{way.replace(' ', '-')}"
    headers = reader("ann", [f"logs:*:{workspace}:f1", "logs:etl:end:end"]) | (NDJSON if way == "ndjson" else {})

    def write() -> list[str]:
        wanted = []
        for i in range(20):
            log(server.db, workspace, "f2")
            log(server.db, f"{workspace}x", "f1")
            wanted.append(log(server.db, workspace, "f1", n=i))
        return wanted

    before = write()
    probe.wait(lambda s: ids(s)[-1:] == before[-1:], "the server has read all of it")  # live begins where it is
    probe.abort()
    more = {"live": {}, "tail": {"tail": 10}, "since": {"since": "-1m"}, "since and tail": {"since": "-1m", "tail": 10},
            "resume": {"last_event_id": start}, "ndjson": {"tail": 10}}[way]
    stream = hub.open(server.port, {"channels": "logs:*"} | more, headers=headers)
    stream.wait_ready()
    after = write()
    end_marker(server.db)
    wait_end_marker(stream)
    skipped = {"live": 20, "tail": 10, "ndjson": 10, "since and tail": 10}.get(way, 0)
    got = [i for i, f in zip(ids(stream), stream.events) if f.json["workspace_id"] != "end"]
    assert got[-20:] == after and set(got) <= set(before + after)
    if way in ("since", "resume", "live"):
        assert got == before[skipped:] + after
    stream.abort()


def test_event(server):
    """One document: its channel must be the one asked for, and granted."""
    workspace, other = log(server.db, "ev1"), log(server.db, "ev2")
    headers = reader("ann", ["logs:etl:ev1:*"])

    def ask(channel: str, name: str, who: dict | None = headers) -> int:
        return server.get("/api/logs/event?" + urlencode({"channel": channel, "id": name}), who).status

    assert ask("logs:etl:ev1:f1", workspace) == 200
    assert ask("logs:etl:ev2:f1", other) == 403
    assert ask("logs:etl:ev1:f1", other) == 404
    assert ask("logs:etl:ev2:f1", other, reader("bob", ["logs:etl:ev2:*"])) == 200
    assert ask("logs:etl:ev1:f1", workspace, None) == 401


def test_history(server):
    """Only granted rows, and whoever may read nothing of what he asks for is told 403."""
    wanted = []
    for i in range(30):
        log(server.db, "hist2")
        wanted.append(log(server.db, "hist1", n=i))
    headers, path = reader("ann", ["logs:*:hist1:*"]), "/api/logs/history?"
    for channels in ("logs:*", "logs:etl:hist1:*", "logs:etl:hist1:f1,logs:etl:hist2:f1"):
        page = server.get(path + urlencode({"channels": channels, "limit": 1000}), headers).json
        assert [e["log_data"]["_id"] for e in page["events"]] == wanted[::-1], channels
    assert refusal(server.get(path + "channels=logs:etl:hist2:*", headers)) == (403, NOTHING_GRANTED)
    page = server.get(path + "channels=logs:*&limit=10", headers).json
    foreign = server.get(path + urlencode({"channels": "logs:*", "before": page["next"]}),
                         reader("bob", ["logs:*:hist2:*"]))
    assert foreign.status in (200, 400)
    if foreign.status == 200:
        assert {e["workspace_id"] for e in foreign.json["events"]} <= {"hist2"}


def patch(server, stream: Stream, headers: dict, **change):
    name = stream.wait_ready().json["connection_id"]
    return server.request("PATCH", f"{STREAM}/{name}", headers | JSON, body=json.dumps(change).encode())


def test_patch_is_cut_with_grants(server, hub):
    headers = reader("ann", ["logs:etl:p1:*", "logs:etl:p2:*", "logs:etl:end:*"])
    stream = hub.open(server.port, {"channels": "logs:etl:p1:f1,logs:etl:end:end"}, headers=headers)
    answer = patch(server, stream, headers, add=["logs:*:p2:*", "logs:etl:p3:f1"])
    assert answer.status == 200
    assert sorted(answer.json["channels"]) == ["logs:etl:end:end", "logs:etl:p1:f1", "logs:etl:p2:*"]
    assert answer.json["denied"] == ["logs:etl:p3:f1"]
    ready = stream.wait(lambda s: s.control("ready")[1:], "ready")[0].json
    assert (ready["channels"], ready["denied"]) == (answer.json["channels"], answer.json["denied"])
    log(server.db, "p3")
    wanted = [log(server.db, "p2", "any"), log(server.db, "p1")]
    wanted.append(end_marker(server.db))
    wait_end_marker(stream)
    assert ids(stream) == wanted and all(EVENT_ID.fullmatch(f.id) for f in stream.events)
    stream.abort()


def test_patch_by_another(server, hub):
    """Same identity only; anyone else learns nothing, not even that the connection lives."""
    channels = ["logs:*"]
    stream = hub.open(server.port, {"channels": "logs:etl:p1:f1"}, headers=reader("ann", channels))
    strangers = [reader("bob", channels), reader("Ann", channels), reader("root", ["*"])]
    nowhere = server.request("PATCH", f"{STREAM}/{'0' * 32}", strangers[0] | JSON, body=b'{"add":["logs:etl:x:y"]}')
    for headers in strangers:
        answer = patch(server, stream, headers, add=["logs:etl:x:y"])
        assert refusal(answer) == (404, "connection_not_found")
        assert answer.body == nowhere.body
    assert patch(server, stream, {}, add=["logs:etl:x:y"]).status == 401
    assert len(stream.control("ready")) == 1
    assert patch(server, stream, reader("ann", channels, exp_s=500), add=["logs:etl:x:y"]).status == 200
    stream.abort()


def test_q_does_not_find_what_is_omitted(serve, db, hub):
    """A filter sees the event as sent: live, by tail, since and in history."""
    server = serve(mappings=[ETL.config | {"omit": ["secret"]}], auth=by_secret())
    headers = reader("ann", ["logs:*"])
    query = {"channels": "logs:*", "q": "needle"}
    live = hub.open(server.port, query, headers=headers)
    live.wait_ready()
    log(db, "w1", secret="a needle")
    found = log(db, "w1", note="a needle")
    assert [f.json["log_data"]["_id"] for f in live.wait_events(1)] == [found]
    for more in ({"tail": 10}, {"since": "-1m"}):
        stream = hub.open(server.port, query | more, headers=headers)
        stream.wait_control("caught-up")
        assert ids(stream) == [found], more
    page = server.get("/api/logs/history?" + urlencode(query), headers).json
    assert [e["log_data"]["_id"] for e in page["events"]] == [found]
    whole = server.get("/api/logs/event?" + urlencode({"channel": "logs:etl:w1:f1", "id": found}), headers)
    assert whole.status == 200 and b"secret" not in whole.body
