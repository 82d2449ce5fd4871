"""
Random requests at a real server, beside a healthy stream that must not notice. Under a sanitizer build this is the memory
check. TAILWATER_TEST_REQUESTS says how many (default 8000, with --long 100,000), TAILWATER_TEST_SEED which ones.
"""

from __future__ import annotations

import itertools
import os
import threading

import pytest

from conftest import ETL
from deadline import until
from identities import bearer, by_secret, claims, sha256, token
from random_requests import Tally, ask_many
from secrets_seen import remember

ALIASES = [{"path": "/x/stream", "channel": "logs:etl:{workspace_id}:{workflow_id}"}]
CHANNEL = "logs:etl:w1:healthy"
SERVICE, ADMIN = remember("a-service-token-for-random-requests"), remember("an-admin-token-for-random-requests")


@pytest.fixture
def count(request: pytest.FixtureRequest) -> int:
    default = "100000" if request.config.getoption("--long") else "8000"
    return int(os.environ.get("TAILWATER_TEST_REQUESTS", default))


class Writer:
    """Writes documents of the healthy stream until it is stopped."""

    def __init__(self, collection):
        self.written: list[str] = []
        self._collection = collection
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Writer":
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        for n in itertools.count():
            document = {"workspace_id": "w1", "workflow_id": "healthy", "n": n}
            self.written.append(str(self._collection.insert_one(document).inserted_id))
            if self._stop.wait(0.01):
                return


def judge_server(server, stream, writer: Writer, tally: Tally) -> None:
    """It lives and answers, nothing is left over, and the stream beside it got everything, once, in order."""
    assert server.running and server.health()["status"] == "healthy"
    stream.wait_events(len(writer.written))
    assert [f.json["log_data"]["_id"] for f in stream.events] == writer.written
    assert stream.ended is None and not stream.control("gap")
    stream.abort()
    until(lambda: server.connections == 0, "no stream is left")
    print(f"{tally.asked} requests, {tally.cut} cut, {tally.streams} streams, {dict(sorted(tally.statuses.items()))}")
    assert {200, 400, 404, 405} <= set(tally.statuses) and tally.streams > 0 and tally.cut > 0


def test_in_open_mode(serve, db, hub, count, seed):
    """Everyone may read, so that everything behind the door is reached."""
    server = serve(ETL, aliases=ALIASES, env={"ALLOWED_ORIGINS": "https://app.example"})
    stream = hub.open(server.port, {"channels": CHANNEL})
    stream.wait_ready()
    with Writer(db.etl_logs) as writer:
        tally = ask_many(server.port, count // 2, seed, [])
    judge_server(server, stream, writer, tally)


def test_with_identities(serve, db, hub, count, seed):
    """Readers, services and an administrator, with good credentials and bad ones."""
    auth = by_secret(
        cookie="tw", anonymous=["logs:etl:public:*"], ticket_secret=remember("a-ticket-secret-for-random-requests"),
        proxies=["127.0.0.0/8"], grants={"everyone": ["logs:*:{workspace}:*", "alerts:{user}"]}, admin_token_sha256=sha256(ADMIN),
        services=[{"name": "etl-service", "service": "etl", "token_sha256": sha256(SERVICE), "publish": ["logs:*", "metrics:*"]}])
    server = serve(ETL, auth=auth, aliases=ALIASES, test_endpoints=True, env={"ALLOWED_ORIGINS": "https://app.example"})
    good = token(claims(channels=["logs:*"]))
    credentials = [good, token(claims(channels=["logs:etl:w9:*"])), token(claims(exp_s=-300)), good[:-6] + "AAAAAA", SERVICE, ADMIN]
    stream = hub.open(server.port, {"channels": CHANNEL}, headers=bearer(good))
    stream.wait_ready()
    with Writer(db.etl_logs) as writer:
        tally = ask_many(server.port, count - count // 2, seed, [f"Bearer {text}" for text in credentials])
    judge_server(server, stream, writer, tally)
    assert {201, 401, 403} <= set(tally.statuses)
