#!/usr/bin/env python3
"""./run bench: how fast, how small, how complete - measured on this machine, printed, never asserted.

    bench.py [scenario ...] [--runs N] [--quick] [--json FILE]

  s1     latency: 100 clients on 10 channels, 100 inserts/s; a bare change stream beside it
  s2     fan-out: 1,000 clients on one channel, 20 events/s
  s3     idle: 10,000 connections, memory of each, and after they left
  s4     spread: 1,000 clients on a channel each, 2,000 events/s
  s5     reconnect storm: 1,000 clients, each misses 2,000 events
  s5old  the same with 5,000 clients on 50 channels whose ids are older than the journal: catch-up change streams

Each scenario has a server process of its own; one mongod serves them all. Server, mongod, clients and producer share
the machine: "CPU-s per million" is the server's own time per million deliveries, the figure that withstands neighbours
best.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import signal
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from bench_stack import BenchError, Mongod, Process, Server, Tool, binary, find_mongod, produce

SOURCES = "127.0.0.1..127.0.0.8"
SPARE_FILES = 128  # what a process needs besides its connections


class Stack:
    """What a scenario gets."""

    def __init__(self, mongod: Mongod, folder: Path, quick: bool):
        self.mongod = mongod
        self.folder = folder
        self.quick = quick
        self._collections = 0

    def collection(self, name: str) -> str:
        """A fresh collection, so that numbering starts anew; the mapping makes it the channel's second segment."""
        self._collections += 1
        return f"{name}n{self._collections}"

    def load(self, server: Server, *arguments: object) -> Tool:
        return Tool(self.folder, "tailwater-load", "--url", server.url, "--json", *arguments)


class Cpu:
    """CPU seconds of some processes since it was made."""

    def __init__(self, **processes: Process):
        self._processes = processes
        self._begun = {name: p.cpu_s() for name, p in processes.items()}
        self._at = time.monotonic()

    def spent(self) -> dict[str, float]:
        return {name: round(p.cpu_s() - self._begun[name], 3) for name, p in self._processes.items()}

    def seconds(self) -> float:
        return time.monotonic() - self._at


def verdict(result: dict, expected: int) -> dict:
    """Is what arrived what was inserted? Counts, to be looked at."""
    return {"expected": expected, "events": result["events"], "missing": result["missing"],
            "doubles": result["doubles"], "disorder": result["disorder"], "gaps": result["named"]["gap"],
            "refused": result["named"]["refused"], "failed": result["failed"], "ended": result["ended"]}


def floor_figures(floor_ms: dict | None, ours_ms: dict) -> dict:
    """MongoDB's share: what a bare change stream took for the same inserts."""
    if not floor_ms:
        return {}
    return {"floor_p50_ms": round(floor_ms["p50"], 2), "floor_p99_ms": round(floor_ms["p99"], 2),
            "above_floor_p50_ms": round(ours_ms["p50"] - floor_ms["p50"], 2)}


def fan_out(stack: Stack, name: str, clients: int, channels: int, rate: float, seconds: float, batch: int = 1,
            floor: bool = False) -> dict:
    """clients spread over channels, rate events a second in all; with floor a bare change stream watches too."""
    collection = stack.collection(name)
    count = int(rate * seconds)
    with ExitStack() as running:
        server = running.enter_context(Server(stack.mongod, stack.folder))
        produce(stack.mongod, "warmup", 50, 100)
        load = running.enter_context(stack.load(
            server, "--clients", clients, "--channels", f"logs:{collection}:w{{i%{channels}}}:*", "--seconds",
            seconds * 2 + 60, "--quiet", 2))
        load.wait_for("ready", 60)
        bare = None
        if floor:
            bare = running.enter_context(Tool(stack.folder, "tailwater-watch-floor", "--uri", stack.mongod.uri,
                                              "--seconds", seconds * 2 + 60, "--quiet", 1))
            bare.wait_for("open", 20)
            time.sleep(0.5)
        cpu = Cpu(server=server.process, mongod=stack.mongod.process)
        produced = produce(stack.mongod, collection, count, rate, channels, batch)
        time.sleep(0.3)
        spent, wall_s = cpu.spent(), cpu.seconds()
        result = load.wait_for("result", seconds * 2 + 60)
        floor_ms = bare.wait_for("result", 30)["latency_ms"] if bare else None
    return {"clients": clients, "channels": channels, "inserts_per_s": round(produced["per_s"], 1),
            "deliveries_per_s": round(result["events_per_s"]),
            **{f"{q}_ms": round(result["latency_ms"][q], 2) for q in ("p50", "p99", "max")},
            **floor_figures(floor_ms, result["latency_ms"]),
            "insert_p50_ms": round(produced["insert_ms"]["p50"], 2),
            "server_cpu_s_per_million": round(spent["server"] / max(1, result["events"]) * 1e6, 2),
            "server_cpu_percent": round(spent["server"] / wall_s * 100, 1),
            "mongod_cpu_percent": round(spent["mongod"] / wall_s * 100, 1),
            "client_cpu_s": round(result["own_cpu_s"], 2),
            **verdict(result, count * clients // channels)}


def s1(stack: Stack) -> dict:
    """Latency, with MongoDB's share beside it (floor: a bare change stream in the same run)."""
    return fan_out(stack, "sone", 100, 10, 100, 5 if stack.quick else 20, floor=True)


def s2(stack: Stack) -> dict:
    """Fan-out: everyone on one channel."""
    return fan_out(stack, "stwo", 200 if stack.quick else 1000, 1, 20, 5 if stack.quick else 10)


def s4(stack: Stack) -> dict:
    """Spread: each on a channel of its own."""
    clients = 200 if stack.quick else 1000
    return fan_out(stack, "sfour", clients, clients, 2000, 3 if stack.quick else 10, batch=20)


def s3(stack: Stack) -> dict:
    """Idle connections: connect, hold, leave; the memory is the server's PSS, from a fresh process."""
    clients = 1000 if stack.quick else 10000
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit < clients + SPARE_FILES:
        return {"skipped": f"{clients} connections need more open files than ulimit -n allows ({limit})"}
    with Server(stack.mongod, stack.folder) as server:
        produce(stack.mongod, "warmup", 50, 100)
        time.sleep(1)
        before = server.process.memory_kib()
        cpu = Cpu(server=server.process)
        with stack.load(server, "--clients", clients, "--channels", "logs:idle:w{i%100}:*", "--idle", "--seconds", 90,
                        "--source-addresses", SOURCES) as load:
            connected = load.wait_for("ready", 60)
            connect_cpu = cpu.spent()["server"]
            time.sleep(2)
            during = server.process.memory_kib()
            cpu = Cpu(server=server.process)
            time.sleep(1 if stack.quick else 5)
            idle_cpu = cpu.spent()["server"]
            load.stop()
            result = load.wait_for("result", 20)
        time.sleep(3)
        after = server.process.memory_kib()
        left = (server.health() or {}).get("connections")
    opened = max(1, connected["live"])
    return {"clients": clients, "opened": connected["live"], "failed": connected["failed"],
            "ended": result["ended"], "refused": result["named"]["refused"],
            "connect_s": round(connected["at_s"], 3), "connect_p99_ms": round(result["connect_ms"]["p99"], 1),
            "connect_cpu_s": connect_cpu, "idle_cpu_s": idle_cpu,
            "pss_kib_per_connection": round((during["Pss"] - before["Pss"]) / opened, 2),
            "rss_before_mib": round(before["Rss"] / 1024, 1), "rss_during_mib": round(during["Rss"] / 1024, 1),
            "rss_after_mib": round(after["Rss"] / 1024, 1), "connections_left": left}


def s5(stack: Stack) -> dict:
    """Reconnect storm: all drop, miss events that one scout counts, and come back at once with their last ids."""
    clients, missed = (200, 500) if stack.quick else (1000, 2000)
    return storm(stack, "sfive", clients, 1, missed)


def s5old(stack: Stack) -> dict:
    """A storm with ids older than the journal, which holds the last 150 events or so."""
    clients, missed = (500, 100) if stack.quick else (5000, 200)
    return storm(stack, "sfiveold", clients, 50, missed, {"journal": {"bytes": 65536}})


def storm(stack: Stack, name: str, clients: int, channels: int, missed: int, config: dict | None = None) -> dict:
    """All clients drop, miss `missed` events each, and come back at once."""
    collection = stack.collection(name)
    before_drop = 20
    with ExitStack() as running:
        server = running.enter_context(Server(stack.mongod, stack.folder, config))
        load = running.enter_context(stack.load(
            server, "--clients", clients, "--channels", f"logs:{collection}:w{{i%{channels}}}:*", "--storm", missed,
            "--seconds", 120))
        load.wait_for("ready", 30)
        produce(stack.mongod, collection, before_drop * channels, 40 * channels, channels)
        load.wait_for("dropped", 30)
        produce(stack.mongod, collection, missed * channels, 2000, channels, batch=20, first_seq=before_drop + 1)
        load.wait_for("returning", 30)
        rss_before = server.process.rss_kib()
        cpu = Cpu(server=server.process, mongod=stack.mongod.process)
        result, rss_peak = _watch_storm(load, server.process)
        spent = cpu.spent()
        opens = (server.health() or {"sources": [{}]})["sources"][0].get("catchup_opens")
        time.sleep(2)
        rss_after = server.process.rss_kib()
    storm = result["storm"]
    return {"clients": clients, "caught_up": storm["caught_up"], "missed_events": storm["missed_events"],
            "last_caught_up_s": round(storm["last_s"], 3),
            "median_caught_up_s": round(storm["each_ms"]["p50"] / 1e3, 3),
            "server_cpu_s": spent["server"], "mongod_cpu_s": spent["mongod"], "catchup_opens": opens,
            "client_cpu_s": round(result["own_cpu_s"], 2),
            "rss_growth_peak_mib": round((rss_peak - rss_before) / 1024, 1),
            "rss_growth_after_mib": round((rss_after - rss_before) / 1024, 1),
            **verdict(result, clients * (before_drop + missed))}


def _watch_storm(load: Tool, server: Process) -> tuple[dict, int]:
    """The result, and the server's largest RSS on the way."""
    peak = 0
    end = time.monotonic() + 120
    while time.monotonic() < end:
        peak = max(peak, server.rss_kib())
        result = load.poll("result", 0.02)
        if result:
            return result, peak
    raise BenchError("the storm does not end")


NEVER = ("missing", "doubles", "disorder", "gaps", "refused", "failed", "ended", "connections_left")
SENTENCES = {"skipped", "broken"}  # instead of figures
SCENARIOS = {"s1": s1, "s2": s2, "s3": s3, "s4": s4, "s5": s5, "s5old": s5old}


def median_of(key: str, values: list):
    """The median; of what must not happen the worst; texts and lists from the first run."""
    if not all(isinstance(value, (int, float)) for value in values):
        return values[0]
    if key in NEVER:
        return max(values)
    median = statistics.median(values)
    return round(median, 3) if isinstance(values[0], float) else round(median)


def median_row(rows: list[dict]) -> dict:
    """Of all runs; of the broken one when there is one."""
    rows = [row for row in rows if "broken" in row] or rows
    return {key: median_of(key, [row.get(key) for row in rows]) for key in rows[0]}


def machine() -> dict:
    models = [line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
              if line.startswith("model name")]
    return {"cpus": os.cpu_count(), "cpu": models[0] if models else platform.machine(), "kernel": platform.release(),
            "open_files": resource.getrlimit(resource.RLIMIT_NOFILE)[0], "load_before": os.getloadavg()[0],
            "mongod": find_mongod(), "server": str(binary())}


def print_progress(name: str, row: dict) -> None:
    brief = ("p50_ms", "p99_ms", "server_cpu_s_per_million", "pss_kib_per_connection", "last_caught_up_s",
             *SENTENCES)
    print(f"{name}: " + ", ".join(f"{key.replace('_', ' ')} {row[key]}" for key in brief if key in row), flush=True)


def print_table(scenarios: dict[str, dict], runs: int) -> None:
    """A column a scenario, a row a figure."""
    rows = {name: entry["median"] for name, entry in scenarios.items()}
    keys = list(dict.fromkeys(key for row in rows.values() for key in row if key not in SENTENCES))
    width = max((len(key) for key in keys), default=0)
    print(f"\n{f'median of {runs} runs' if runs > 1 else '':<{width}}" + "".join(f"{name:>12}" for name in rows))
    for key in keys:
        cells = (row.get(key, "") for row in rows.values())
        texts = (f"{cell:,}" if isinstance(cell, (int, float)) else str(cell) for cell in cells)
        print(f"{key.replace('_', ' '):<{width}}" + "".join(f"{text:>12}" for text in texts))
    for name, row in rows.items():
        for key in SENTENCES & row.keys():
            print(f"{name} {key}: {row[key]}")


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="run bench", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenario", nargs="*", help=f"{', '.join(SCENARIOS)} (default: all)")
    parser.add_argument("--runs", type=int, default=1, help="runs of each; the medians are printed")
    parser.add_argument("--quick", action="store_true", help="smaller and shorter, to see that all works")
    parser.add_argument("--json", metavar="FILE", help="where the figures go (default: bench.json in the build folder)")
    args = parser.parse_args(arguments)
    unknown = [s for s in args.scenario if s not in SCENARIOS]
    if unknown:
        parser.error(f"no scenario {unknown[0]}; there are {', '.join(SCENARIOS)}")
    return args


def attempt(scenario, stack: Stack) -> dict:
    """One run; what went wrong is a finding like another and does not keep the other scenarios from running."""
    try:
        return scenario(stack)
    except BenchError as error:
        return {"broken": str(error)}


def run(args: argparse.Namespace) -> dict:
    report = {"machine": machine(), "runs": args.runs, "quick": args.quick, "scenarios": {}}
    with tempfile.TemporaryDirectory(prefix="tailwater-bench-logs-") as folder, Mongod() as mongod:
        stack = Stack(mongod, Path(folder), args.quick)
        for name in dict.fromkeys(args.scenario or SCENARIOS):
            rows = [attempt(SCENARIOS[name], stack) for _ in range(max(1, args.runs))]
            report["scenarios"][name] = {"median": median_row(rows), "runs": rows}
            print_progress(name, median_row(rows))
    print_table(report["scenarios"], args.runs)
    return report


def main() -> int:
    args = parse(sys.argv[1:])
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that everything started is ended
    try:
        report = run(args)
        target = Path(args.json) if args.json else binary().parents[2] / "bench.json"
        target.write_text(json.dumps(report, indent=1) + "\n")
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: interrupted", file=sys.stderr)
        return 130
    print(f"\nwritten to {target}")
    return 1 if any("broken" in entry["median"] for entry in report["scenarios"].values()) else 0


if __name__ == "__main__":
    sys.exit(main())
