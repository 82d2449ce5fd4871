"""
Tests of ./run itself and of what is in deploy/. Driven by `./run test run`; by hand:

    TAILWATER_BUILD=build TAILWATER_TEST_MONGOD=/path/to/mongod pytest test/run

Every ./run here has a folder of its own for data and logs (RUN_DIR), and uses a build that exists (BUILD_DIR).
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("TAILWATER_BUILD") or ROOT / "build").resolve()
TAILWATER = BUILD / "src/app/tailwater"
STARTED = "Ctrl-C stops everything"
LIMIT_S = 90


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def find_mongod() -> Path:
    named = os.environ.get("TAILWATER_TEST_MONGOD")
    assert named, "TAILWATER_TEST_MONGOD is not set"
    return Path(named)


def until(condition: Callable[[], object], what: str, seconds: float = 30):
    end = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        time.sleep(0.02)
    return result


def children(pid: int) -> dict[str, int]:
    """The programs that a process started: name -> pid."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            head, _, rest = stat.read_text().rpartition(")")
            if int(rest.split()[1]) == pid and rest.split()[0] != "Z":
                command = (stat.parent / "cmdline").read_bytes().split(b"\0")
                name = "demo" if b"demo" in command else head.partition("(")[2]
                found[name] = int(stat.parent.name)
        except (OSError, IndexError):
            pass
    return found


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def clean_environment() -> dict[str, str]:
    """The environment without what would configure ./run or tailwater by accident."""
    ours = ("TAILWATER_", "MONGODB_URI", "PORT", "RUN_DIR", "BUILD_DIR", "LOG_LEVEL", "ALLOWED_ORIGINS", "REDIS_URL")
    return {k: v for k, v in os.environ.items() if not k.startswith(ours)}


class Run:
    """One ./run, as a user at a terminal would have it: a process group of its own, which Ctrl-C reaches."""

    def __init__(self, folder: Path, *arguments: str, tree: Path = ROOT, build: Path = BUILD, **environment: str):
        self.folder = folder
        self._output = Path(tempfile.mkstemp(prefix="output-", dir=folder.parent)[1])
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", "./run", *arguments], cwd=tree, stdin=subprocess.DEVNULL, stdout=self._output.open("wb"),
            stderr=subprocess.STDOUT, start_new_session=True,
            env=clean_environment() | {"RUN_DIR": str(folder), "BUILD_DIR": str(build)} | environment)

    @property
    def output(self) -> str:
        return self._output.read_text(errors="replace")

    def wait(self, seconds: float = LIMIT_S) -> int:
        return self.process.wait(seconds)

    def wait_started(self) -> "Run":
        def started() -> bool:
            assert self.process.poll() is None, f"it ended:\n{self.output}"
            return STARTED in self.output

        until(started, f"it starts; so far: {self.output}", LIMIT_S)
        return self

    @property
    def port(self) -> int:
        return int(re.search(r"Page +http://localhost:(\d+)/", self.output)[1])

    @property
    def mongodb(self) -> str:
        return re.search(r"mongodb://[^\s\"]+", self.output)[0]

    def children(self) -> dict[str, int]:
        return children(self.process.pid)

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
            return answer.read()

    def health(self) -> dict:
        return json.loads(self.get("/health"))

    def interrupt(self) -> int:
        """Ctrl-C: the signal goes to the whole foreground process group."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.wait(40)

    def dispose(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(40)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """RUN_DIR with what `./run test` has fetched already, so that nothing is downloaded."""
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    return run_dir


@pytest.fixture
def with_wheel(folder: Path) -> Path:
    """The virtual environment of ./run test: holds the fetched mongod."""
    venv = find_mongod()
    while venv.name != "venv":
        if venv == venv.parent:
            pytest.skip("TAILWATER_TEST_MONGOD is not the fetched one")
        venv = venv.parent
    (folder / "venv").symlink_to(venv)
    return folder


@pytest.fixture
def run(folder: Path) -> Iterator[Callable[..., Run]]:
    """run("--no-demo", PORT="..."): start ./run; disposed of at the end."""
    runs: list[Run] = []

    def start(*arguments: str, **more) -> Run:
        runs.append(Run(folder, *arguments, **more))
        return runs[-1]

    yield start
    for one in runs:
        one.dispose()


@pytest.fixture
def refused(run) -> Callable[..., str]:
    """Run something that must fail: returns the last line, one sentence or a line to type. No shell's own complaints."""

    def start(*arguments: str, **more) -> str:
        one = run(*arguments, **more)
        status = one.wait()
        last = one.output.strip().splitlines()[-1]
        assert status == 1, one.output
        assert last.startswith("run: ") and (last.endswith(".") or ", type: " in last), one.output
        assert not re.search(r"line \d+:|unbound variable|Traceback", one.output), one.output
        assert one.children() == {}
        return last

    return start


@pytest.fixture
def programs(tmp_path: Path) -> Callable[..., str]:
    """programs(without=[...], apt_get="exit 1"): a PATH with this machine's programs, some missing, some replaced."""

    def make(without: tuple[str, ...] = (), **scripts: str) -> str:
        folder = tmp_path / "bin"
        folder.mkdir()
        for directory in ("/usr/bin", "/bin", "/usr/sbin", "/sbin"):
            for program in Path(directory).iterdir():
                link = folder / program.name
                if program.name not in without and not link.is_symlink():
                    link.symlink_to(program)
        for name, text in scripts.items():
            file = folder / name.replace("_", "-")
            file.unlink(missing_ok=True)
            file.write_text(f"#!/bin/sh\n{text}\n")
            file.chmod(0o755)
        return str(folder)

    return make


@pytest.fixture
def mongod_on_path(tmp_path: Path) -> str:
    """A PATH on which there is a mongod."""
    folder = tmp_path / "mongod-bin"
    folder.mkdir()
    (folder / "mongod").symlink_to(find_mongod())
    return f"{folder}:{os.environ['PATH']}"


@pytest.fixture
def standalone(tmp_path: Path) -> Iterator[int]:
    """The port of a mongod that is no replica set."""
    port, data = free_port(), tmp_path / "standalone"
    data.mkdir()
    process = subprocess.Popen(
        [find_mongod(), "--dbpath", data, "--port", str(port), "--bind_ip", "127.0.0.1", "--nounixsocket",
         "--wiredTigerCacheSizeGB", "0.25", "--logpath", data / "log"], stdout=subprocess.DEVNULL)

    def listens() -> bool:
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", port)) == 0

    until(listens, "mongod listens")
    yield port
    process.kill()
    process.wait()
