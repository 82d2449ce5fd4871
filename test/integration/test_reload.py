"""SIGHUP: secrets and grants are read again without dropping a stream, or the file is rejected as a whole."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

from conftest import ETL
from deadline import until
from identities import (END, HS, MISSING, STREAM, Key, assert_unauthorized, bearer, by_secret, claims, end_marker, ids,
                        log, reader, token, wait_end_marker)
from secrets_seen import remember

ASK = f"{STREAM}?channels=logs:*"
OTHER = Key("HS256", remember("another-signing-secret-of-32-bytes!").encode())


def write(server, text: str) -> None:
    """Another configuration file, in one step."""
    folder = Path(server._folder.name)
    (folder / "next").write_text(text)
    os.replace(folder / "next", folder / "config.yaml")


def reload(server, **changes) -> None:
    """SIGHUP with another configuration; until it says something about it."""
    lines = len(server.lines)
    write(server, json.dumps(server.config | changes, indent=1))
    server.signal(signal.SIGHUP)
    until(lambda: len(server.lines) > lines, "a line in the log")


def status(server, by: Key = HS, user: str = "ann") -> int:
    return server.request("HEAD", ASK, bearer(token(claims(user, ["logs:etl:own:*"]), by))).status


def test_grants_of_the_configuration(serve, db, hub):
    """What is taken away ends on live streams, what is added begins; others notice nothing."""
    everyone = ["logs:etl:all:*"]
    server = serve(ETL, auth=by_secret(grants={"users": {"ann": ["logs:etl:w1:*", END]}, "everyone": everyone}))
    ann, bob = (hub.open(server.port, {"channels": "logs:*"}, headers=reader(u, [END])) for u in ("ann", "bob"))
    assert "logs:etl:w1:*" in ann.wait_ready().json["channels"]
    bob.wait_ready()
    reload(server, auth=by_secret(grants={"users": {"ann": ["logs:etl:w2:*", END]}, "everyone": everyone}))
    assert ann.wait_control("revoked").json["channels"] == ["logs:etl:w1:*"]
    ann.wait(lambda s: "logs:etl:w2:*" in s.control("ready")[-1].json["channels"], "the new grant")
    written = {w: log(db, w) for w in ("w1", "w2", "all")}
    end_marker(db)
    for stream in (ann, bob):
        wait_end_marker(stream)
    assert ids(ann)[:-1] == [written["w2"], written["all"]] and ids(bob)[:-1] == [written["all"]]
    assert len(bob.control("ready")) == 1 and not bob.control("revoked") and not bob.control("goaway")


def test_secrets(serve, hub, db):
    """Another signing secret: old tokens are refused from then on, streams that they opened live on."""
    server = serve(ETL, auth=by_secret())
    stream = hub.open(server.port, {"channels": "logs:*"}, headers=reader("ann", ["logs:*"]))
    stream.wait_ready()
    assert (status(server), status(server, OTHER)) == (200, 401)
    auth = by_secret()
    reload(server, auth=auth | {"jwt": auth["jwt"] | {"secret": OTHER.private.decode()}})
    until(lambda: status(server, OTHER) == 200, "the new secret")
    assert status(server) == 401
    mine = log(db, "w1")
    stream.wait_events(1)
    assert ids(stream) == [mine] and not stream.ended


def test_a_bad_file_changes_nothing(serve, hub, db):
    """Not a part of it: the good grants beside a mistake are not taken either; the log says what is wrong."""
    server = serve(ETL, auth=by_secret(grants={"everyone": ["logs:etl:w1:*"]}))
    stream = hub.open(server.port, {"channels": "logs:*"}, headers=reader("ann"))
    stream.wait_ready()
    for bad in (json.dumps(server.config | {"auth": by_secret(grants={"everyone": ["logs:etl:w2:*", "logs:b*"]})}),
                json.dumps(server.config | {"auth": by_secret(), "nonsense": 1}), "{", ""):
        lines = len(server.lines)
        write(server, bad)
        server.signal(signal.SIGHUP)
        until(lambda: len(server.lines) > lines, "a line in the log")
        assert any('"error"' in line or '"warn"' in line for line in server.lines[lines:])
        assert status(server) == 200
        assert_unauthorized(server.get(ASK), MISSING)
        mine = log(db, "w1")
        stream.wait(lambda s: ids(s)[-1:] == [mine], "the event")
    assert len(stream.control("ready")) == 1 and not stream.control("revoked")
