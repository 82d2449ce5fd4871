"""./run: what it starts, what it shows, and that it stops exactly that."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request

import pymongo
import pytest

from conftest import free_port, is_running, until


def first_event(port: int, channels: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", f"/api/logs/stream?channels={channels}")
    answer = connection.getresponse()
    assert answer.status == 200
    while True:
        line = answer.readline().decode()
        assert line, "the stream ended"
        if line.startswith("data:") and '"log_data"' in line:
            connection.close()
            return line


def refuse_all(listener: socket.socket) -> None:
    try:
        while True:
            listener.accept()[0].close()
    except OSError:
        pass  # closed


def test_everything_at_once(run, with_wheel):
    """The fetched mongod, the demo, the page, a stream that moves; Ctrl-C ends all of it, and only that."""
    one = run().wait_started()
    children = one.children()
    assert {"mongod", "tailwater", "demo"} <= set(children)
    assert b"<html" in one.get("/").lower()
    assert "workspace" in first_event(one.port, "logs:*")
    assert one.interrupt() == 0, one.output
    assert not any(is_running(pid) for pid in children.values())


def test_the_shown_command_publishes(run, mongod_on_path):
    """What ./run prints under Publish is run as it stands; its token is the same at the next start, and only the user's."""
    one = run("--no-demo", PATH=mongod_on_path).wait_started()
    command = one.output.partition("  Publish    ")[2].partition("\n  Admin ")[0]
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=30)
    assert json.loads(done.stdout)["channel"] == "logs:etl:workspace123:workflow456", (command, done)
    sources = one.output.partition("  Admin      ")[2].partition("\n")[0]
    shown = subprocess.run(sources, shell=True, capture_output=True, text=True, timeout=30)
    assert json.loads(shown.stdout)["sources"][0]["name"] == "logs", (sources, shown)
    tokens = one.folder / "tokens"
    assert tokens.stat().st_mode & 0o077 == 0
    stranger = urllib.request.Request(f"http://127.0.0.1:{one.port}/api/logs/history?channels=logs:*",
                                      headers={"Host": "evil.example"})
    with pytest.raises(urllib.error.HTTPError, match="403"):  # a page that points a name of its own at this machine
        urllib.request.urlopen(stranger, timeout=10)
    assert one.interrupt() == 0
    two = run("--no-demo", PATH=mongod_on_path).wait_started()
    assert command.partition("Bearer ")[2].partition("'")[0] in two.output


def test_data_survives_and_the_second_start_is_quick(run, mongod_on_path):
    port = free_port()
    one = run("--no-demo", f"--port={port}", PATH=mongod_on_path).wait_started()
    assert one.port == port
    with pymongo.MongoClient(one.mongodb, serverSelectionTimeoutMS=5000) as client:
        client.logs.etl.insert_one({"workspace_id": "w1", "workflow_id": "f1", "message": "kept"})
    assert one.interrupt() == 0
    two = run("--no-demo", "--port", str(port), PATH=mongod_on_path).wait_started()
    print(f"second start: {time.monotonic() - two.began:.2f} s")
    with pymongo.MongoClient(two.mongodb, serverSelectionTimeoutMS=5000) as client:
        assert client.logs.etl.count_documents({"message": "kept"}) == 1
    assert "demo" not in two.children()


def test_mongod_may_move_to_another_port(run, mongod_on_path):
    one = run("--no-demo", PATH=mongod_on_path).wait_started()
    address = one.mongodb
    assert one.interrupt() == 0
    port = int(address.split(":")[2].split("/")[0])
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("127.0.0.1", port))
        s.listen()
        threading.Thread(target=refuse_all, args=(s,), daemon=True).start()
        two = run("--no-demo", PATH=mongod_on_path).wait_started()
        assert two.mongodb != address
        until(lambda: two.health()["status"] == "healthy", "it is healthy")


def test_own_mongodb(run, mongod_on_path, tmp_path):
    """MONGODB_URI is used as it is, no mongod of our own is started, and its secrets are not shown."""
    first = run("--no-demo", PATH=mongod_on_path).wait_started()
    other = tmp_path / "other"
    uri = first.mongodb.replace("/logs", "/shop")
    two = run("--no-demo", RUN_DIR=str(other), MONGODB_URI=uri).wait_started()
    assert "mongod" not in two.children()
    assert "/shop" not in two.output and "$MONGODB_URI" in two.output
    assert two.port != first.port
    two.process.send_signal(signal.SIGTERM)
    assert two.wait(40) == 0
    assert first.process.poll() is None and first.health()["status"] == "healthy"


def test_killed_leaves_nothing_behind(run, mongod_on_path):
    one = run(PATH=mongod_on_path).wait_started()
    children = one.children()
    one.process.kill()
    one.process.wait()
    until(lambda: not any(is_running(pid) for pid in children.values()), "its children end")


def test_says_when_something_ends_by_itself(run, mongod_on_path):
    one = run("--no-demo", PATH=mongod_on_path).wait_started()
    children = one.children()
    os.kill(children["tailwater"], signal.SIGKILL)
    assert one.wait(40) == 1
    assert "tailwater ended by itself" in one.output.splitlines()[-1]
    assert not is_running(children["mongod"])


def test_interrupted_before_it_is_up(run, mongod_on_path):
    one = run(PATH=mongod_on_path)
    until(lambda: "mongod" in one.children(), "mongod starts")
    children = one.children()
    assert one.interrupt() in (0, 130), one.output
    assert not any(is_running(pid) for pid in children.values())
