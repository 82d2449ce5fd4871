"""The command line: what is wrong is said in one sentence, with the right exit status."""

from __future__ import annotations

import re
import socket

import pytest

from conftest import ETL
from mongod import PASSWORD, free_port
from server import run_cli

BAD_CONFIG = 78  # EX_CONFIG


def source(**mapping) -> dict:
    return {"sources": [{"name": "logs", "tag": "a", "database": "d",
                         "mappings": [{"collections": ["c"], "channel": "logs:c:{workspace_id}"} | mapping]}]}


def sentence(result) -> str:
    """The message: short, no stack, no secret."""
    text = (result.stderr + result.stdout).strip()
    assert text, "nothing was said"
    assert PASSWORD not in text
    assert len(text.splitlines()) <= 5, text
    return text


BAD = [
    ({"heartbaet_s": 5}, "heartbeat_s"),
    ({"limits": {"conections": 5}}, "connections"),
    ({"heartbeat_s": "soon"}, "heartbeat_s"),
    ({"heartbeat_s": 0}, "heartbeat_s"),
    ({"listen": "nowhere"}, "listen"),
    ({"listen": "127.0.0.1:99999"}, "listen"),
    (source(operations=["insert", "update"]), "update"),
    (source(operations=["delete"]), "delete"),
    (source(match={"$expr": {"$eq": [1, 1]}}), r"\$expr"),
    (source(match={"a": {"$where": "1"}}), r"\$where"),
    (source(event="ready"), "ready"),
    (source(event="message"), "message"),
    (source(channel="logs:{workspace_id"), "channel"),
    (source(channel=""), "channel"),
    (source(colections=["x"]), "collections"),
    ({"sources": [{"name": "a", "tag": "a"}, {"name": "b", "tag": "a"}]}, "tag"),
    ({"sources": [{"name": f"s{i}", "tag": chr(97 + i)} for i in range(5)]}, "sources"),
    ({"sources": [{"name": "a", "tag": "toolong"}]}, "tag"),
    ({"aliases": [{"path": "no-slash", "channel": "logs:{x}"}]}, "path"),
    ({"mode": "magic"}, "mode"),
]


@pytest.mark.parametrize("config, named", BAD, ids=[named for _, named in BAD])
def test_check_names_what_is_wrong(config, named):
    """A bad configuration: exit 78 and a sentence with the key's right name, for check and serve alike."""
    config = {"listen": "127.0.0.1:0", "mongodb": {"uri": "mongodb://127.0.0.1:1/"}} | config
    for command in ("check", "serve"):
        result = run_cli(command, config=config)
        assert result.returncode == BAD_CONFIG, (command, result)
        assert re.search(named, sentence(result)), result.stderr


def test_unknown_key_is_told_with_its_line():
    """The line of the mistake and the nearest name."""
    result = run_cli("check", config="listen: 127.0.0.1:3002\nmongodb:\n  uri: mongodb://127.0.0.1/\n\nheartbeet_s: 5\n")
    assert result.returncode == BAD_CONFIG
    text = sentence(result)
    assert re.search(r"\b5\b", text) and "heartbeat_s" in text and "heartbeet_s" in text


@pytest.mark.parametrize("text", ["a: [", "a: b: c", "\tx: 1", "- just\n- a list", "listen: 1\nlisten: 2", "x: &a [*a]", "\xff\xfe"])
def test_broken_yaml(text):
    """What is no YAML mapping, or has a key twice, is refused with a line or a reason."""
    result = run_cli("check", config=text)
    assert result.returncode == BAD_CONFIG
    sentence(result)


def test_missing_file():
    result = run_cli("check", "--config", "/nonexistent/tailwater.yaml")
    assert result.returncode != 0 and "/nonexistent/tailwater.yaml" in sentence(result)


def test_no_uri_at_all():
    """Without a MongoDB it says which setting is missing."""
    result = run_cli("check")
    assert result.returncode == BAD_CONFIG and "MONGODB_URI" in sentence(result)


@pytest.mark.parametrize("env", [{"PORT": "many"}, {"TAILWATER_HEARTBEAT_S": "-1"}, {"LOG_LEVEL": "loud"}, {"TAILWATER_LIMITS_CONNECTIONS": "x"}])
def test_bad_environment(env):
    """A bad value in the environment is named by its variable."""
    result = run_cli("check", env={"MONGODB_URI": "mongodb://127.0.0.1:1/"} | env)
    assert result.returncode == BAD_CONFIG and next(iter(env)) in sentence(result)


def test_check_of_a_good_configuration(mongo, dbname):
    """All right: exit 0."""
    config = {"listen": f"127.0.0.1:{free_port()}", "mongodb": {"uri": mongo.uri},
              "sources": [{"name": "logs", "tag": "a", "database": dbname, "mappings": [ETL.config]}]}
    result = run_cli("check", config=config)
    assert result.returncode == 0, result
    assert PASSWORD not in result.stdout + result.stderr


def test_environment_wins_over_file(launch, mongo, dbname, hub):
    """Defaults < file < environment."""
    server = launch({"mongodb": {"uri": "mongodb://127.0.0.1:1/"}, "heartbeat_s": 9,
                     "sources": [{"name": "logs", "tag": "a", "database": dbname}]},
                    env={"MONGODB_URI": mongo.uri, "TAILWATER_HEARTBEAT_S": "11"})
    stream = hub.open(server.port, {"channels": "logs:*"})
    assert stream.wait_ready().json["heartbeat_s"] == 11


def test_secret_from_a_file(launch, mongo, dbname, tmp_path):
    """MONGODB_URI_FILE reads the URI from a file."""
    file = tmp_path / "uri"
    file.write_text(mongo.uri + "\n")
    launch({"sources": [{"name": "logs", "tag": "a", "database": dbname}]}, env={"MONGODB_URI_FILE": str(file)})


def test_standalone_mongod(more_mongod):
    """A mongod that is no replica set cannot have change streams: the sentence says what to do."""
    node = more_mongod(replica_set=False)
    config = {"listen": f"127.0.0.1:{free_port()}", "mode": "change_stream", "mongodb": {"uri": node.uri},
              "sources": [{"name": "logs", "tag": "a", "database": "d"}]}
    for command in ("check", "serve"):
        result = run_cli(command, config=config)
        assert result.returncode != 0 and "rs.initiate()" in sentence(result), (command, result)


def test_port_is_busy(mongo, dbname):
    """A port that another program has: a sentence with the port, no endless retry."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = run_cli("serve", config={"listen": f"127.0.0.1:{port}", "mongodb": {"uri": mongo.uri},
                                          "sources": [{"name": "logs", "tag": "a", "database": dbname}]})
    assert result.returncode not in (0, None) and str(port) in result.stderr + result.stdout


def test_port_is_busy_with_another_tailwater(etl, mongo, dbname):
    """Two instances never share a port by accident (SO_REUSEPORT would let them)."""
    result = run_cli("serve", config={"listen": f"127.0.0.1:{etl.port}", "mongodb": {"uri": mongo.uri},
                                      "sources": [{"name": "logs", "tag": "a", "database": dbname}]})
    assert result.returncode not in (0, None) and str(etl.port) in result.stderr + result.stdout
    assert etl.health()["status"] == "healthy"


@pytest.mark.parametrize("uri", ["mongo://127.0.0.1", "http://127.0.0.1", "mongodb://", "mongodb://u:%zz@h/", ""])
def test_wrong_uri(uri):
    """A URI that cannot be one is a bad configuration; its password is not repeated."""
    result = run_cli("check", config={"mongodb": {"uri": uri}})
    assert result.returncode == BAD_CONFIG
    sentence(result)


def test_unreachable_mongodb():
    """check says that nobody answers, and where."""
    port = free_port()
    result = run_cli("check", config={"mongodb": {"uri": f"mongodb://user:{PASSWORD}@127.0.0.1:{port}/?serverSelectionTimeoutMS=1000"}})
    assert result.returncode != 0 and f"127.0.0.1:{port}" in sentence(result)


def test_wrong_password(mongo):
    """check tells an authentication failure from an unreachable server, without the password."""
    uri = mongo.uri.replace(PASSWORD, "wrong-" + PASSWORD[:3])
    result = run_cli("check", config={"mongodb": {"uri": uri}})
    assert result.returncode != 0 and re.search("auth", sentence(result), re.I)
    assert "wrong-" not in result.stdout + result.stderr


@pytest.mark.parametrize("listen", ["0.0.0.0:{port}", "[::]:{port}", "192.0.2.1:{port}"])
def test_non_loopback_without_authentication_is_refused(mongo, listen):
    """Nobody's logs are served to the network by accident."""
    result = run_cli("serve", config={"listen": listen.format(port=free_port()), "mongodb": {"uri": mongo.uri}})
    assert result.returncode == BAD_CONFIG and "insecure" in sentence(result)


def test_insecure_allows_it(launch, mongo, dbname, hub):
    """insecure: true serves on all addresses, with any Host."""
    port = free_port()
    server = launch({"listen": f"0.0.0.0:{port}", "insecure": True, "mongodb": {"uri": mongo.uri},
                     "sources": [{"name": "logs", "tag": "a", "database": dbname}]}, port=port)
    hub.open(server.port, "/api/logs/stream?channels=logs:*", headers={"Host": "logs.example"}).wait_ready()


def test_help_and_version():
    """--help names every command; --version is one line; unknown commands and flags are told."""
    text = run_cli("--help").stdout
    assert "serve" in text and "check" in text
    assert re.match(r"tailwater \d+\.\d+\.\d+", run_cli("--version").stdout)
    for arguments in (["frobnicate"], ["serve", "--frobnicate"]):
        result = run_cli(*arguments)
        assert result.returncode not in (0, None) and "frobnicate" in sentence(result)
