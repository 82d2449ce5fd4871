"""Figures in Prometheus' text format, and the table that they come from."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import http1
from mongod import free_port
from server import ROOT

TABLE = ROOT / "src/http/metrics.def"
ROW = re.compile(r"^METRIC_(VALUE|SOURCE|LIST)\((counter|gauge|histogram), (\w+), (none|seconds|bytes),", re.M)
SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (-?[0-9.e+-]+)$")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"(?:,|$)')


def rows() -> dict[str, tuple[str, str]]:
    """Name to type and unit, as the table has it."""
    found = {m[3]: (m[2], m[4]) for m in ROW.finditer(Path(TABLE).read_text())}
    assert len(found) == Path(TABLE).read_text().count("\nMETRIC_"), "a row of metrics.def is not understood"
    return found


class Figures:
    """One scrape."""

    def __init__(self, text: str):
        self.text = text
        self.samples: dict[tuple[str, frozenset], float] = {}
        self.types: dict[str, str] = {}
        self.helps: dict[str, str] = {}
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split(" ")
                assert name not in self.types, f"{name} twice"
                self.types[name] = kind
            elif line.startswith("# HELP "):
                _, _, name, words = line.split(" ", 3)
                self.helps[name] = words
            else:
                self._add(line)

    def _add(self, line: str) -> None:
        match = SAMPLE.match(line)
        assert match, line
        key = match[1], frozenset(LABEL.findall(match[2] or ""))
        assert key not in self.samples, line
        self.samples[key] = float(match[3])

    def get(self, name: str, **labels: str) -> float:
        return self.samples[f"tailwater_{name}" if not name.startswith("process_") else name,
                            frozenset(labels.items())]

    def family(self, name: str) -> str:
        """The metric that a sample belongs to."""
        base = re.sub(r"_(bucket|sum|count)$", "", name)
        return base if self.types.get(base) == "histogram" else name


def ops(port: int | None = None) -> dict:
    """Configuration of an ops listener on a port of its own."""
    return {"ops_listen": f"127.0.0.1:{port or free_port()}"}


def ops_port(server) -> int:
    return int(server.config["ops_listen"].rpartition(":")[2])


def ask(server, path: str, method: str = "GET") -> http1.Response:
    return http1.request(ops_port(server), method, path)


def figures(server) -> Figures:
    answer = ask(server, "/metrics")
    assert answer.status == 200, answer
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return Figures(answer.body.decode())


def promtool(text: str) -> subprocess.CompletedProcess:
    return subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=30)
