"""/metrics: what its table says, no more, no less; counters that agree with what a test did; a real Prometheus reads it."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.parse
from pathlib import Path

import pytest
from bson import ObjectId

import http1
from conftest import ETL
from deadline import until
from exposition import figures, ops, ops_port, promtool, rows
from identities import by_secret, reader, sha256
from mongod import free_port
from secrets_seen import remember

STREAM = "/api/logs/stream?channels=logs:etl:w1:*"
LABELS = {"source", "state", "reason", "code", "level", "loop", "le", "version", "libmongoc", "libevent", "openssl"}
PUBLISHER = remember("a-publisher-of-metrics-tests")


def insert(db, count: int, workspace: str = "w1") -> None:
    db.etl_logs.insert_many([{"workspace_id": workspace, "workflow_id": f"f{n % 3}", "n": n} for n in range(count)])


@pytest.fixture
def metered(serve, mongo, db) -> object:
    """A server with everything that can be counted, and some traffic to count."""
    db.etl_logs.insert_one({"workspace_id": "w0", "workflow_id": "f0"})
    return serve(ETL, **ops(), loops=2)


def test_table_and_output_agree(metered, hub, db):
    stream = hub.open(metered.port, STREAM)
    stream.wait_ready()
    insert(db, 5)
    stream.wait_events(5)
    seen, table = figures(metered), rows()
    assert seen.types == {name: kind for name, (kind, _) in table.items()}
    assert list(seen.types) == list(table), "the order of the table"
    assert all(seen.helps[name].endswith((".", "read it")) for name in table)
    families = {seen.family(name) for name, _ in seen.samples}
    assert families <= set(table)
    # What only some servers have: TLS, a grants collection, a known oplog.
    rare = {"tailwater_tls_certificate_expiry_timestamp_seconds", "tailwater_grants_current",
            "tailwater_source_oplog_window_seconds"}
    assert set(table) - families <= rare
    for name, (kind, unit) in table.items():
        words = name.removesuffix("_total").split("_")
        assert name.startswith(("tailwater_", "process_"))
        assert (kind == "counter") == name.endswith("_total"), name
        assert unit == "none" or unit in words, f"{name} does not say that it is in {unit}"
    assert promtool(seen.text).stdout == "" and promtool(seen.text).returncode == 0, promtool(seen.text)


def test_labels_name_nobody(serve, hub, db):
    server = serve(ETL, **ops())
    secret = f"ws{ObjectId()}"
    stream = hub.open(server.port, f"/api/logs/stream?channels=logs:etl:{secret}:f0")
    stream.wait_ready()
    insert(db, 3, secret)
    stream.wait_events(1)
    seen = figures(server)
    assert {label for _, labels in seen.samples for label, _ in labels} <= LABELS
    assert secret not in seen.text and "127.0.0.1" not in seen.text


def test_deliveries_and_latency(metered, hub, db):
    """Events times streams, and so many ages; the bytes are those that arrived."""
    before = figures(metered)
    streams = hub.open_many(metered.port, [STREAM] * 7)
    for stream in streams:
        stream.wait_ready()
    for part in range(4):
        insert(db, 25)
    for stream in streams:
        stream.wait_events(100)
    seen = until(lambda: (f := figures(metered)).get("events_sent_total") == 700 and f, "700 events")
    assert seen.get("source_events_total", source="logs") - before.get("source_events_total", source="logs") == 100
    assert seen.get("delivery_latency_seconds_count") == 700
    buckets = [(float(dict(labels)["le"]), value) for (name, labels), value in seen.samples.items()
               if name == "tailwater_delivery_latency_seconds_bucket"]
    assert len(buckets) == 16 and buckets[-1] == (float("inf"), 700)
    assert buckets == sorted(buckets) and [v for _, v in buckets] == sorted(v for _, v in buckets)
    assert 0 < seen.get("delivery_latency_seconds_sum") < 700 * 10
    assert seen.get("connections") == 7 and seen.get("connections_opened_total") == 7
    assert seen.get("channels") == 1
    arrived = until(lambda: (n := sum(s.received_bytes for s in streams)) == figures(metered).get("sent_bytes_total")
                    and n, "as many bytes sent as arrived")
    assert arrived > 700 * 100
    assert seen.get("http_responses_total", code="200") >= 7
    for stream in streams:
        stream.abort()
    until(lambda: figures(metered).get("connections") == 0, "none is left")
    assert figures(metered).get("connections_opened_total") == 7


def test_latency_is_what_it_was(serve, mongo, hub, db):
    """A server that is stopped for a while delivers old events: the histogram shows their age."""
    import signal
    server = serve(ETL, **ops())
    stream = hub.open(server.port, STREAM)
    stream.wait_ready()
    server.signal(signal.SIGSTOP)
    insert(db, 10)
    time.sleep(1.2)  # their age
    server.signal(signal.SIGCONT)
    stream.wait_events(10)
    seen = until(lambda: (f := figures(server)).get("delivery_latency_seconds_count") == 10 and f, "counted")
    assert seen.get("delivery_latency_seconds_bucket", le="1") == 0
    assert seen.get("delivery_latency_seconds_bucket", le="60") == 10
    assert 12 <= seen.get("delivery_latency_seconds_sum") < 300


def test_what_was_before(metered, hub, db):
    """Resumed from memory, from rows; an id that is none."""
    first = hub.open(metered.port, STREAM)
    first.wait_ready()
    insert(db, 20)
    first.wait_events(20)
    resumed = hub.open(metered.port, f"{STREAM}&last_event_id={first.events[4].id}")
    resumed.wait_events(15)
    tail = hub.open(metered.port, f"{STREAM}&tail=8")
    tail.wait_control("caught-up")
    invalid = hub.open(metered.port, f"{STREAM}&last_event_id=nonsense")
    invalid.wait_control("gap")
    seen = figures(metered)
    assert seen.get("resumes_total", reason="journal") == 1
    assert seen.get("resumes_total", reason="rows") == 1
    assert seen.get("gaps_total", reason="invalid_id") == 1
    assert seen.get("gaps_total", reason="history_lost") == 0
    assert seen.get("rows_sent_total") == 8
    until(lambda: figures(metered).get("events_sent_total") == 20 + 15 + 8, "all are counted")
    # The resumed ones were pulled: their age says nothing about how fast this server is.
    assert figures(metered).get("delivery_latency_seconds_count") == 20
    journal = figures(metered)
    assert journal.get("journal_events", source="logs") >= 20
    assert journal.get("journal_bytes", source="logs") > 20 * 100
    assert journal.get("source_up", source="logs") == 1
    states = {dict(l)["state"]: v for (n, l), v in journal.samples.items() if n == "tailwater_source_state"}
    assert states["streaming"] == 1 and sum(states.values()) == 1


def test_refusals_and_auth(serve, hub, db):
    auth = by_secret(services=[{"name": "etl", "token_sha256": sha256(PUBLISHER), "publish": ["logs:*"]}])
    server = serve(ETL, **ops(), limits={"connections": 1}, auth=auth)
    ann = reader("ann", ["logs:etl:w1:*"])
    first = hub.open(server.port, STREAM, headers=ann)
    first.wait_ready()
    for _ in range(3):
        refused = hub.open(server.port, STREAM, headers=ann)
        refused.wait_control("refused")
    assert server.get(STREAM).status == 401
    assert server.get(STREAM, {"Authorization": "Bearer nonsense"}).status == 401
    assert server.get("/api/logs/stream?channels=logs:etl:w2:f1", ann).status == 403
    assert server.get("/nothing").status == 404
    assert server.request("POST", "/api/logs/ticket", ann).status == 404
    body = {"service": "etl", "workspace_id": "w1", "workflow_id": "f1", "logData": {"message": "m"}}
    headers = {"Authorization": f"Bearer {PUBLISHER}", "Content-Type": "application/json"}
    assert server.request("POST", "/api/logs/publish", headers, body=json.dumps(body).encode()).status == 201
    assert server.get("/api/logs/history?channels=logs:etl:w1:f1", ann).status == 200
    seen = figures(server)
    assert seen.get("refused_total", reason="too_many_connections") == 3
    assert sum(v for (n, _), v in seen.samples.items() if n == "tailwater_refused_total") == 3
    assert seen.get("auth_failures_total") == 2
    assert seen.get("denied_total") == 1
    assert seen.get("published_total") == 1
    assert seen.get("history_requests_total") == 1
    assert seen.get("http_responses_total", code="401") == 2
    assert seen.get("http_responses_total", code="403") == 1
    assert seen.get("http_responses_total", code="404") == 2
    assert seen.get("http_responses_total", code="201") == 1


def test_load_on_mongodb(metered, mongo, db):
    """One change stream; commands are those of this server."""
    assert figures(metered).get("mongodb_change_streams", source="logs") == 1
    first = figures(metered).get("mongodb_commands_total", source="logs")
    assert first > 0
    until(lambda: figures(metered).get("mongodb_commands_total", source="logs") >= first + 5, "it goes on asking")
    assert figures(metered).get("source_opens_total", source="logs") == 1
    assert figures(metered).get("source_behind_seconds", source="logs") < 30


def test_process(metered):
    seen = figures(metered)
    assert abs(seen.get("process_resident_memory_bytes") / 1024 - metered.rss_kb()) < 32 * 1024
    assert abs(seen.get("process_cpu_seconds_total") - metered.cpu_s()) < 1
    assert abs(time.time() - seen.get("process_start_time_seconds")) < 60
    open_now = len(list(Path(f"/proc/{metered.pid}/fd").iterdir()))
    assert abs(seen.get("process_open_fds") - open_now) <= 3
    assert seen.get("ready") == 1


def test_lines_of_the_log(metered):
    def written(level: str) -> int:
        return sum(f'"level":"{level}"' in line for line in list(metered.lines))

    for level in ("debug", "info", "warn", "error"):
        until(lambda: written(level) == figures(metered).get("log_lines_total", level=level), f"lines of {level}")
    assert written("info") > 0


def test_a_real_prometheus_scrapes_it(metered, hub, db, tmp_path):
    stream = hub.open(metered.port, STREAM)
    stream.wait_ready()
    insert(db, 9)
    stream.wait_events(9)
    port = free_port()
    config = {"global": {"scrape_interval": "200ms", "scrape_timeout": "200ms"},
              "scrape_configs": [{"job_name": "tailwater",
                                  "static_configs": [{"targets": [f"127.0.0.1:{ops_port(metered)}"]}]}]}
    (tmp_path / "prometheus.yml").write_text(json.dumps(config))
    process = subprocess.Popen(
        ["prometheus", f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data",
         f"--web.listen-address=127.0.0.1:{port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def query(expression: str) -> float | None:
        try:
            answer = http1.request(port, "GET", f"/api/v1/query?query={urllib.parse.quote(expression)}")
        except OSError:
            return None
        found = answer.json["data"]["result"] if answer.status == 200 else []
        return float(found[0]["value"][1]) if found else None

    try:
        until(lambda: query("up") == 1, "it is up")
        until(lambda: query("tailwater_events_sent_total") == 9, "its counter")
        assert query("tailwater_delivery_latency_seconds_count") == 9
        assert query("histogram_quantile(0.99, tailwater_delivery_latency_seconds_bucket)") > 0
        assert query('tailwater_source_up{source="logs"}') == 1
        assert query("scrape_samples_scraped") == len(figures(metered).samples)
    finally:
        process.terminate()
        process.wait(20)
