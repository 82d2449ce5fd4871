"""min_level, level, q and max_rate: judged on the event as it is sent, live and on resume; what is dropped is told."""

from __future__ import annotations

import pytest

from conftest import ETL
from deadline import until

KEYS = {"workspace_id": "w", "workflow_id": "f"}
CHANNELS = {"channels": "logs:etl:w:f"}
DOCUMENTS = [
    {"n": 0, "level": "TRACE", "message": "begin"},
    {"n": 1, "level": "info", "message": "Connection Timeout"},
    {"n": 2, "level": 40, "message": "slow"},
    {"n": 3, "level": "ERROR", "detail": {"causes": [{"text": "time\nout"}, "zeit-über"]}},
    {"n": 4, "message": "no level, timeout"},
    {"n": 5, "level": "FATAL", "timeout": 5},
]


def numbers(stream) -> list[int]:
    return [f.json["log_data"]["n"] for f in stream.events]


@pytest.mark.parametrize("asked, expected", [
    ({"min_level": "warn"}, [2, 3, 4, 5]),
    ({"min_level": "45"}, [3, 4, 5]),
    ({"level": "info,error"}, [1, 3]),
    ({"level": "warning"}, [2]),
    ({"q": "TIMEOUT"}, [1, 4]),
    ({"q": "time\nout"}, [3]),
    ({"q": "ZEIT-über"}, [3]),
    ({"q": "timeout", "min_level": "info", "level": "info"}, [1]),
    ({"q": "workspace_id"}, []),
])
def test_filters_live_and_resumed(etl, db, hub, asked, expected):
    """The same events pass when they are pushed, and when they are pulled after a cut."""
    live = hub.open(etl.port, CHANNELS | asked)
    everything = hub.open(etl.port, CHANNELS)
    start = live.wait_ready().id
    everything.wait_ready()
    db.etl_logs.insert_many([KEYS | d for d in DOCUMENTS])
    everything.wait_events(len(DOCUMENTS))
    resumed = hub.open(etl.port, CHANNELS | asked, headers={"Last-Event-ID": start})
    resumed.wait_control("caught-up")
    resumed.wait_events(len(expected))  # its loop may not have carried them yet: then they come live, behind caught-up
    assert numbers(resumed) == expected
    live.wait_events(len(expected))
    assert numbers(live) == expected


def test_omitted_fields_cannot_be_found(serve, db, hub):
    """q and level see what is sent, not what is stored."""
    server = serve(mappings=[{"collections": ["etl_logs"], "channel": "logs:etl:{workspace_id}:{workflow_id}", "omit": ["secret", "level"]}])
    found = hub.open(server.port, CHANNELS | {"q": "hidden"})
    levels = hub.open(server.port, CHANNELS | {"level": "error"})
    every = hub.open(server.port, CHANNELS)
    for stream in (found, levels, every):
        stream.wait_ready()
    db.etl_logs.insert_one(KEYS | {"n": 1, "secret": "hidden", "level": "error"})
    db.etl_logs.insert_one(KEYS | {"n": 2, "shown": "hidden"})
    every.wait_events(2)
    found.wait_events(1)
    assert numbers(found) == [2] and numbers(levels) == []


@pytest.mark.parametrize("asked, parameter", [
    ({"min_level": "loud"}, "min_level"), ({"level": "info,,"}, "level"), ({"q": "q" * 257}, "q"),
    ({"max_rate": "0"}, "max_rate"), ({"max_rate": "many"}, "max_rate"), ({"max_rate": "5x"}, "max_rate"),
])
def test_bad_filters_are_refused_by_name(shared, asked, parameter):
    query = "&".join(f"{k}={v}" for k, v in (CHANNELS | asked).items())
    answer = shared.get(f"/api/logs/stream?{query}")
    assert answer.status == 400
    assert answer.problem["code"] == "invalid_filter" and answer.problem["detail"].startswith(parameter + ":")


def test_max_rate_drops_and_tells(serve, db, hub):
    """No more than the rate; `skipped` counts the rest by level, and stands before the next frame that has an id."""
    server = serve(ETL, heartbeat_s=1)
    slow = hub.open(server.port, CHANNELS | {"max_rate": "10"})
    every = hub.open(server.port, CHANNELS)
    slow.wait_ready()
    every.wait_ready()
    db.etl_logs.insert_many([KEYS | {"n": i, "level": "info" if i % 2 else "error"} for i in range(200)])
    every.wait_events(200)

    def told() -> int:
        return sum(f.json["events"] for f in slow.control("skipped"))

    until(lambda: len(slow.events) + told() == 200, "every event received or counted")
    assert 10 <= len(slow.events) < 100
    assert numbers(slow) == sorted(numbers(slow))
    levels = [f.json["levels"] for f in slow.control("skipped")]
    assert sum(sum(counts.values()) for counts in levels) == told()
    assert set().union(*levels) == {"info", "error"}
    frames = [f for f in slow.frames if f.data is not None]
    for before, after in zip(frames, frames[1:], strict=False):
        if before.event == "skipped":
            assert before.id is None and after.id is not None
    assert not every.control("skipped")
