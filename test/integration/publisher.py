"""
Who publishes in the tests: services with their tokens, items, and what answers must look like.
"""

from __future__ import annotations

import contextlib
import json

import http1
from identities import bearer, by_secret, claims, sha256, token
from secrets_seen import remember

LOGS, EVENTS = "/api/logs/publish", "/api/publish"
OWN = "tailwater_events"
ETL_TOKEN, ETL_NEXT = remember("the-token-of-l5-etl-service"), remember("the-next-token-of-l5-etl-service")
FAAS_TOKEN = remember("the-token-of-faas-service")
SERVICES = [
    {"name": "l5-etl-service", "service": "etl", "token_sha256": [sha256(ETL_TOKEN), sha256(ETL_NEXT)],
     "publish": ["logs:etl:*", "metrics:*"]},
    {"name": "faas", "token_sha256": sha256(FAAS_TOKEN), "publish": ["logs:*:w1:*", "alerts:ann"]},
]
AUTH = {"auth": by_secret(services=SERVICES)}
READER = bearer(token(claims(channels=["*"], exp_s=86400)))  # made once for all tests
LOG = {"service": "etl", "workspace_id": "w1", "workflow_id": "f1"}


def log(number: int = 0, **more) -> dict:
    return LOG | {"logData": {"level": "INFO", "n": number}} | more


def post(server, path: str, body, by: str | None = ETL_TOKEN, kind: str | None = "application/json",
         **more) -> http1.Response:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = (bearer(by) if by else {}) | ({"Content-Type": kind} if kind else {})
    return server.request("POST", path, headers, body=data, **more)


def stored(response: http1.Response, status: int = 201) -> dict:
    assert response.status == status, (response.status, response.body)
    assert response.headers["content-type"] == "application/json" if status < 400 else response.problem["code"] == "nothing_stored"
    return response.json


def refused(response: http1.Response, status: int, code: str) -> str:
    """Returns the sentence."""
    assert (response.status, response.problem["code"]) == (status, code), response.body
    assert ("retry-after" in response.headers) == (status in (429, 503))
    return response.problem["detail"]


@contextlib.contextmanager
def fail_point(client, mode="alwaysOn", **data):
    """Lets mongod's commands fail; data is the fail point's."""
    client.admin.command("configureFailPoint", "failCommand", mode=mode, data=data)
    try:
        yield
    finally:
        client.admin.command("configureFailPoint", "failCommand", mode="off")


def is_blocked(client) -> bool:
    """Is an insert of the server's held up by a fail point?"""
    operations = client.admin.aggregate([{"$currentOp": {}}, {"$match": {"appName": "tailwater"}}])
    return any("insert" in operation.get("command", {}) for operation in operations)


def as_body(items: list, ndjson: bool) -> tuple[bytes, str]:
    if ndjson:
        return b"\r\n\n".join(json.dumps(i).encode() for i in items) + b"\n", "application/x-ndjson"
    return json.dumps(items, indent=1).encode(), "application/json"
