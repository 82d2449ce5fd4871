"""What the process needs of the machine: nothing that a hardened service does not have, and nothing on disk."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import server as program
from conftest import ETL
from exposition import ask, figures, ops
from identities import by_secret
from server import Server, is_sanitized

SANDBOX = [sys.executable, str(Path(__file__).with_name("sandbox.py"))]
CHANNEL = "logs:etl:w1:f1"
KEYS = {"workspace_id": "w1", "workflow_id": "f1"}


@pytest.fixture(scope="module")
def sandbox() -> list[str]:
    """The prefix of a command that is to run in the sandbox; skips where there can be none."""
    probe = subprocess.run([*SANDBOX, "--probe"], capture_output=True, text=True)
    if probe.returncode != 0:
        pytest.skip(probe.stderr.strip() or f"the sandbox ended with status {probe.returncode}")
    return SANDBOX


def status_of(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def files_open_for_writing(pid: int) -> list[str]:
    """Regular files; what stands in /proc/PID/fdinfo are the flags of open(2), in octal."""
    found = []
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            target = os.readlink(fd)
            flags = int(Path(f"/proc/{pid}/fdinfo/{fd.name}").read_text().split("flags:")[1].split()[0], 8)
            if target.startswith("/") and not target.startswith("/dev/") and flags & os.O_ACCMODE != os.O_RDONLY:
                found.append(target)
    return found


def test_the_sandbox_is_one(sandbox):
    """The control: in it nothing can be written, and a call that no service needs kills."""
    write = subprocess.run([*sandbox, "touch", "/tmp/written"], capture_output=True, text=True)
    assert write.returncode != 0 and "Read-only" in write.stderr
    mount = subprocess.run([*sandbox, sys.executable, "-c", "import ctypes; ctypes.CDLL(None).mount(b'', b'/', b'', 0, None)"])
    assert mount.returncode == -signal.SIGSYS


def test_a_hardened_service(sandbox, serve, db, hub, monkeypatch):
    """Read-only root, no capabilities, no new privileges, @system-service: it serves, resumes, looks up and stops."""
    monkeypatch.setattr(Server, "prefix", sandbox)
    # Searching for leaks at the end takes ptrace(), which no service is allowed.
    options = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"} if is_sanitized() else {}
    server = serve(ETL, env=options)
    status = status_of(server.pid)
    assert [int(status[name], 16) for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb")] == [0, 0, 0, 0]
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"

    stream = hub.open(server.port, {"channels": CHANNEL})
    stream.wait_ready()
    first = str(db.etl_logs.insert_one({**KEYS, "n": 1}).inserted_id)
    (frame,) = stream.wait_events(1)
    stream.abort()
    missed = str(db.etl_logs.insert_one({**KEYS, "n": 2}).inserted_id)
    again = hub.open(server.port, {"channels": CHANNEL}, headers={"Last-Event-ID": frame.id})
    assert again.wait_events(1)[0].json["log_data"]["_id"] == missed
    tail = hub.open(server.port, {"channels": CHANNEL, "tail": "2"})
    assert [f.json["log_data"]["_id"] for f in tail.wait_events(2)] == [first, missed]
    assert server.get(f"/api/logs/event?channel={CHANNEL}&id={first}").status == 200
    assert files_open_for_writing(server.pid) == []


def test_what_the_process_gives_up_by_itself(etl):
    """Started without any of that: no new privileges; no core dump, as the MongoDB URI holds a password; no file."""
    assert status_of(etl.pid)["NoNewPrivs"] == "1"
    limits = Path(f"/proc/{etl.pid}/limits").read_text().splitlines()
    assert next(line for line in limits if line.startswith("Max core file size")).split()[4:6] == ["0", "0"]
    assert files_open_for_writing(etl.pid) == []
    assert not Path(f"/dev/shm/mongoc-{etl.pid}").exists()


def test_the_counters_of_the_driver(etl, monkeypatch):
    """The MongoDB driver puts a file into /dev/shm before main() begins, unless it is told not to: it is gone at once."""
    etl.stop()
    environment = program.clean_environment
    monkeypatch.setattr(program, "clean_environment",
                        lambda extra=None: {k: v for k, v in environment(extra).items() if k != "MONGOC_DISABLE_SHM"})
    etl.start()
    assert not Path(f"/dev/shm/mongoc-{etl.pid}").exists()


def test_figures_of_a_hardened_service(sandbox, serve, monkeypatch):
    """With a secret in it the process may not be looked into; it may still count its own memory and descriptors."""
    monkeypatch.setattr(Server, "prefix", sandbox)
    options = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"} if is_sanitized() else {}
    server = serve(ETL, env=options, auth=by_secret(anonymous=["*"]), **ops())
    seen = figures(server)
    for name in ("process_resident_memory_bytes", "process_open_fds", "process_max_fds", "process_start_time_seconds",
                 "process_cpu_seconds_total"):
        assert seen.get(name) > 0, name
    assert ask(server, "/readyz").status == 200
