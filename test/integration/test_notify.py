"""A service manager is told how the server does: sd_notify on a socket of the test's own, and the unit that asks for it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import time

import pytest

from conftest import ETL
from deadline import PATIENCE, until
from server import ROOT, binary
from threads import held, threads

UNIT = ROOT / "deploy/systemd/tailwater.service"
EXPOSURE_MAX = 2.0


class Manager:
    """The end of systemd: a datagram socket in the abstract space, and what was told."""

    def __init__(self) -> None:
        self.name = f"@tailwater-manager-{os.getpid()}-{time.monotonic_ns()}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + self.name[1:])
        self._socket.setblocking(False)
        self.told: list[str] = []

    @property
    def environment(self) -> dict[str, str]:
        return {"NOTIFY_SOCKET": self.name, "WATCHDOG_USEC": "30000000"}

    def read(self) -> list[str]:
        """Everything so far; the watchdog's datagrams too."""
        while True:
            try:
                self.told.append(self._socket.recv(4096).decode())
            except BlockingIOError:
                return self.told

    def wait(self, begins: str) -> str:
        """The first one that begins so, since the last call of forget()."""
        return until(lambda: next((t for t in self.read() if t.startswith(begins)), None), f"told {begins}")

    def forget(self) -> None:
        self.read()
        self.told = []

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager():
    manager = Manager()
    yield manager
    manager.close()


def test_life(serve, hub, manager):
    """Ready, a status that counts, reloading and ready again, alive, stopping."""
    server = serve(ETL, env=manager.environment, drain_delay_s=1)
    manager.wait("READY=1")
    hub.open(server.port, {"channels": "logs:etl:w1:f1"}).wait_ready()
    manager.wait("STATUS=1 connections")
    manager.forget()
    before = time.monotonic_ns() // 1000
    server.signal(signal.SIGHUP)
    at = int(manager.wait("RELOADING=1\nMONOTONIC_USEC=").rpartition("=")[2])
    assert before <= at <= time.monotonic_ns() // 1000
    manager.wait("READY=1")
    assert manager.told.index("READY=1") > 0
    manager.forget()
    manager.wait("WATCHDOG=1")
    server.stop()
    assert manager.wait("STOPPING=1") == "STOPPING=1\nSTATUS=stopping\nEXTEND_TIMEOUT_USEC=31000000"


def test_ready_without_mongodb(launch, manager):
    """MongoDB that is away must not keep the service manager from starting what needs this service."""
    config = {"mongodb": {"uri": "mongodb://127.0.0.1:1/logs?serverSelectionTimeoutMS=500"}}
    launch(config, env=manager.environment, healthy=False)
    manager.wait("READY=1")


def test_a_stuck_loop_is_not_alive(serve, manager):
    """The watchdog's datagrams end while one loop of two stands still, and come again when it goes on."""
    server = serve(ETL, env=manager.environment, loops=2)
    manager.wait("WATCHDOG=1")
    quiet_s = 2.5  # they come once a second

    def is_silent() -> bool:
        manager.forget()
        end = time.monotonic() + quiet_s
        until(lambda: "WATCHDOG=1" in manager.read() or time.monotonic() > end, "alive or time is over")
        return "WATCHDOG=1" not in manager.told

    with held(threads(server.pid, "tw-loop-1")[0]):
        until(is_silent, "not reported as alive", 30 * PATIENCE)
    manager.forget()
    manager.wait("WATCHDOG=1")


# --- the unit ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def unit(tmp_path):
    """The unit with this build's program."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd is not installed")
    file = tmp_path / UNIT.name
    file.write_text(UNIT.read_text().replace("/usr/bin/tailwater", binary()))
    return file


def test_unit_is_accepted(unit):
    checked = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, timeout=60)
    assert checked.returncode == 0 and "tailwater" not in checked.stdout + checked.stderr, checked.stderr


def test_unit_says_what_is_wrong(unit):
    """The control: verify does find a mistake."""
    unit.write_text(unit.read_text().replace("ProtectHome=yes", "ProtectHomes=yes"))
    checked = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, timeout=60)
    assert "ProtectHomes" in checked.stderr


def test_unit_is_hardened(unit):
    """systemd's own judgement, 0 (nothing is exposed) to 10."""
    judged = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager", unit], capture_output=True, text=True,
                            timeout=60)
    exposure = float(re.search(r"Overall exposure level for \S+: ([0-9.]+)", judged.stdout)[1])
    assert exposure <= EXPOSURE_MAX, judged.stdout


