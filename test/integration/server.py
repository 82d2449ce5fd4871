"""The program under test: started with a configuration of its own, watched, and judged when it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import http1
import secrets_seen
from deadline import PATIENCE, until
from mongod import free_port

ROOT = Path(__file__).resolve().parents[2]
SANITIZER = re.compile(r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:|SUMMARY: \w+Sanitizer")


def binary() -> str:
    """TAILWATER_BIN, else the build folder of this work tree."""
    return os.environ.get("TAILWATER_BIN") or str(ROOT / "build/src/app/tailwater")


def is_sanitized() -> bool:
    """Is it a sanitizer build? Its memory figures mean nothing."""
    data = Path(binary()).read_bytes()
    return b"__asan_init" in data or b"__tsan_init" in data


def clean_environment(extra: dict[str, str] | None = None) -> dict[str, str]:
    """The environment without anything that would configure tailwater by accident."""
    ours = ("TAILWATER_", "MONGODB_URI", "PORT", "ALLOWED_ORIGINS", "LOG_LEVEL", "REDIS_URL")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    quiet = {"MONGOC_DISABLE_SHM": "1"}  # the driver complains, before main(), about what killed processes left in /dev/shm
    return kept | quiet | (extra or {})


def run_cli(*arguments: str, config: dict | str | None = None, env: dict[str, str] | None = None,
            timeout_s: float = 30) -> subprocess.CompletedProcess:
    """Run the program to its end; config (object or text) is passed as --config FILE."""
    with tempfile.TemporaryDirectory(prefix="tailwater-cli-") as folder:
        command = [binary(), *arguments]
        if config is not None:
            file = Path(folder, "config.yaml")
            file.write_text(config if isinstance(config, str) else json.dumps(config, indent=1))
            command += ["--config", str(file)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s * PATIENCE,
                               env=clean_environment(env), cwd=folder)
        secrets_seen.judge(ended.stderr, f"what {arguments} wrote to standard error")
        return ended


class Server:
    """One `tailwater serve`."""

    prefix: list[str] = []  # a program with arguments that becomes the server, under the same process id

    def __init__(self, config: dict | None, env: dict[str, str] | None = None, port: int | None = None):
        self.port = port or free_port()
        self.config = None if config is None else {"listen": f"127.0.0.1:{self.port}", **config}
        self.env = env or {}
        self.lines: list[str] = []
        self._folder = tempfile.TemporaryDirectory(prefix="tailwater-serve-")
        self._process: subprocess.Popen | None = None
        self._reader: threading.Thread | None = None

    # --- life -------------------------------------------------------------------------------------

    def start(self, healthy: bool = True) -> "Server":
        """Start and wait until it answers; healthy: until its sources are open."""
        command = [*self.prefix, binary(), "serve"]
        if self.config is not None:
            file = Path(self._folder.name, "config.yaml")
            file.write_text(json.dumps(self.config, indent=1))
            command += ["--config", str(file)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                         env=clean_environment(self.env), cwd=self._folder.name)
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True)
        self._reader.start()
        until(lambda: self._answers(healthy), "the server is healthy" if healthy else "the server answers")
        return self

    def stop(self) -> None:
        """SIGTERM must end it within 5 s with status 0; then its log is judged."""
        if not self._process:
            return
        self.signal(signal.SIGTERM)
        try:
            began = time.monotonic()
            code = self._process.wait(5 * max(PATIENCE, 1))
            self.stop_s = time.monotonic() - began
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise AssertionError("SIGTERM did not end the server within 5 s:\n" + self.log_tail()) from None
        finally:
            self._reader.join(5)
            self._process = None
        assert code == 0, f"exit status {code} after SIGTERM:\n{self.log_tail()}"
        self.judge_log()

    def kill(self) -> None:
        """SIGKILL, as a crash would."""
        self._process.kill()
        self._process.wait()
        self._reader.join(5)
        self._process = None
        self.judge_log()

    def dispose(self) -> None:
        """What a test leaves behind is stopped and judged."""
        try:
            self.stop()
        finally:
            self._folder.cleanup()

    def signal(self, how: signal.Signals) -> None:
        self._process.send_signal(how)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return bool(self._process) and self._process.poll() is None

    def rss_kb(self) -> int:
        """Resident memory [KiB]."""
        text = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", text)[1])

    def cpu_s(self) -> float:
        """Processor time so far [s]."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    # --- logs -------------------------------------------------------------------------------------

    def log_tail(self, count: int = 40) -> str:
        return "\n".join(self.lines[-count:])

    def judge_log(self) -> None:
        """No sanitizer report and no secret in anything it wrote."""
        text = "\n".join(self.lines)
        found = SANITIZER.search(text)
        assert not found, f"{found[0]}:\n{text[max(0, found.start() - 500):found.start() + 4000]}"
        secrets_seen.judge(text, "the log")

    # --- requests ---------------------------------------------------------------------------------

    def get(self, target: str, headers: dict[str, str] | None = None, **more) -> http1.Response:
        return http1.request(self.port, "GET", target, headers, **more)

    def request(self, method: str, target: str, headers: dict[str, str] | None = None, **more) -> http1.Response:
        return http1.request(self.port, method, target, headers, **more)

    def health(self) -> dict:
        response = self.get("/health")
        assert response.status == 200, response
        return response.json

    @property
    def connections(self) -> int:
        return self.health()["connections"]

    # --- inside -----------------------------------------------------------------------------------

    def _answers(self, healthy: bool) -> bool:
        code = self._process.poll()
        assert code is None, f"the server ended with status {code}:\n{self.log_tail()}"
        try:
            health = self.get("/health")
        except OSError:
            return False
        return health.status == 200 and (not healthy or health.json["status"] == "healthy")

    def _read(self, pipe) -> None:
        for line in pipe:
            self.lines.append(line.decode(errors="replace").rstrip("\n"))
