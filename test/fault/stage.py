"""
The stage of a fault: two tailwaters on one database of a replica set, each with a network of its own in between, writers, a
crowd of clients, and the judge at the end of each window. crowd.py says how a test uses it.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from cluster import Cluster
from crowd import Change, Crowd, Interest
from deadline import PATIENCE, until
from judge import Truth, Verdict, judge
from oracle import covers
from proxy import Network
from server import Server
from traffic import WORKFLOWS, WORKSPACES, Load, mappings

CLIENTS = 300
EVERYTHING = 8  # that want everything; the first of the crowd
HEARTBEAT_S = 1
RETRY_MS = 500
STALL_S = 3
#: A server that is silent is noticed after max_await_ms (0.5 s) + 3 s; the rest is for a busy machine.
NOTICED_S = 4.0 * PATIENCE

_numbers = itertools.count(1)


def pattern(name: str, text: str, is_dense: bool = False, **query) -> Interest:
    """Everything that a channel or pattern covers."""
    return Interest(name, (("channels", text), *query.items()), lambda c: covers(text, c.channel), is_dense)


def of_level(text: str, least: str, levels: set[str]) -> Interest:
    def wants(change: Change) -> bool:
        return change.level in levels and covers(text, change.channel)

    return Interest(f"{text} {least}", (("channels", text), ("min_level", least)), wants)


def two_services() -> Interest:
    texts = ["logs:etl:w1:*", "logs:faas:w2:f3"]
    return Interest("two channels", (("channels", ",".join(texts)),), lambda c: any(covers(t, c.channel) for t in texts))


def interests(count: int = CLIENTS) -> list[Interest]:
    """A mix as it is in practice: few want everything, most want one workflow."""
    chosen = [pattern("everything", "logs:*", True)] * EVERYTHING
    chosen += [pattern("a service", "logs:etl:*", True)] * 8
    chosen += [of_level("logs:*", "error", {"error"}), of_level("logs:faas:*", "warn", {"warn", "error"}), two_services()] * 4
    chosen += [pattern("a workspace", f"logs:*:w{i % WORKSPACES}:*") for i in range(40)]
    singles = ((s, w, f) for w in range(WORKSPACES) for f in range(WORKFLOWS) for s in ("etl", "faas"))
    one = [pattern("a workflow", f"logs:{s}:w{w}:f{f}") for s, w, f in singles]
    chosen += itertools.islice(itertools.cycle(one), max(0, count - len(chosen)))
    return chosen[:count]


class Fault:
    """One fault's window: what it is called in the report, and the verdict when it is over."""

    def __init__(self, name: str):
        self.name = name
        self.verdict: Verdict | None = None
        self.notes: dict[str, float | int | str] = {}  # further figures for the report


class Stage:
    """Everything that plays a part; where a test fails in the middle, a new stage is made for the next one."""

    def __init__(self, cluster: Cluster, report, clients: int = CLIENTS, rate: float = 150, uri_options: str = "", **options):
        """options: of tailwater's configuration, over the suite's own."""
        self.cluster = cluster
        self.broken = False
        self.database = f"stage{os.getpid() % 100000}_{next(_numbers)}"
        self._report = report
        self.load = Load(cluster.client, self.database, rate)
        self.truth = Truth(cluster.client, self.database)
        self.networks = [Network([m.port for m in cluster.members]) for _ in range(2)]
        self.servers = [Server(self._config(n.uri + uri_options, options)).start() for n in self.networks]
        self.crowd = Crowd([s.port for s in self.servers], interests(clients))
        self.crowd.wait_connected()
        self.crowd.take_records()

    def _config(self, uri: str, options: dict) -> dict:
        source = {"name": "logs", "tag": "a", "database": self.database, "mappings": mappings()}
        return {"mongodb": {"uri": uri}, "sources": [source], "heartbeat_s": HEARTBEAT_S, "retry_ms": RETRY_MS,
                "limits": {"stall_s": STALL_S}} | options

    def close(self) -> None:
        """The servers must end as servers should, also when a test has left everything in ruins."""
        for network in self.networks:
            network.heal()
        self.cluster.heal()
        self.load.close()
        self.crowd.close()
        try:
            for server in self.servers:
                server.dispose()
        finally:
            for network in self.networks:
                network.close()
            self.cluster.client.drop_database(self.database)

    # --- for tests ----------------------------------------------------------------------------------

    @contextmanager
    def fault(self, name: str, gaps: bool = False) -> Iterator[Fault]:
        """Writers write inside; afterwards all heals, and every client's record is compared with the truth."""
        fault = Fault(name)
        self.broken = True
        self.load.go()
        self.flow(40)
        yield fault
        self.heal()
        fault.verdict = self._close_window(name)
        self._report(fault)
        self._demand(fault.verdict, gaps)
        self.broken = False

    def flow(self, documents: int = 60, timeout_s: float = 60) -> None:
        """Until so many more documents are written, and received by those who want everything."""
        received = self._least() + documents
        self.flow_written(documents, timeout_s)
        until(lambda: self._least() >= received, f"{documents} more were received", timeout_s)

    def flow_written(self, documents: int, timeout_s: float = 60) -> None:
        """Until so many more documents are written."""
        written = self.load.count + documents
        until(lambda: self.load.count >= written, f"{documents} more were written", timeout_s)

    def _least(self) -> int:
        return min(c.events for c in self.crowd.clients[:EVERYTHING])

    def heal(self) -> None:
        """Whatever was broken works again; all clients are connected."""
        for network in self.networks:
            network.heal()
        self.cluster.heal()
        self.crowd.wait_connected(60)

    def busiest(self) -> Server:
        """The tailwater with the most clients."""
        return max(self.servers, key=lambda s: s.connections)

    def at_primary(self) -> None:
        """All tailwaters read from the primary: after an election a change stream stays with its member, whatever it is now."""
        for network, server in zip(self.networks, self.servers):
            opens = self.opens(server)
            network.reset()
            until(lambda: self.opens(server) > opens, "the change stream is open again")  # noqa: B023

    def noticed(self, server: Server, before: int, timeout_s: float = 20) -> float:
        """Seconds until this tailwater counts an error of its source beyond `before`."""
        began = time.monotonic()
        until(lambda: self.errors(server) > before, "the fault is noticed", timeout_s)
        return time.monotonic() - began

    @staticmethod
    def opens(server: Server) -> int:
        return server.health()["sources"][0]["opens"]

    @staticmethod
    def errors(server: Server) -> int:
        return server.health()["sources"][0]["errors"]

    # --- the end of a window ------------------------------------------------------------------------

    def _close_window(self, name: str) -> Verdict:
        acked = self.load.pause()
        truth, end = self.truth.close_window()
        unseen = set(acked) - {c.key for c in truth}
        assert not unseen, f"{name}: MongoDB acknowledged what its change stream never showed: {sorted(unseen)[:5]}"
        self._wait_delivered(truth, end)
        verdict = judge(self.crowd.take_records(), truth)
        verdict.writers_silence_s = self.load.silence_s
        return verdict

    def _wait_delivered(self, truth: list[Change], end: str, timeout_s: float = 40) -> None:
        """Until each client has as many events as it should, or an id behind the window's end. At the deadline it is the
        judge who says what is missing."""
        due = {i: sum(map(i.wants, truth)) for i in {c.interest for c in self.crowd.clients}}
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline and not self.crowd.fatal:
            if all(c.events >= due[c.interest] or (c.last_id or "")[:16] > end for c in self.crowd.clients):
                return
            time.sleep(0.02)

    def _demand(self, verdict: Verdict, gaps: bool) -> None:
        assert not self.crowd.fatal, self.crowd.fatal[:5]
        if verdict.wrong:
            print("\n".join(verdict.extract))
            for server in self.servers:
                print(f"--- the log of port {server.port}", server.log_tail(200), sep="\n")
        assert not verdict.wrong, verdict
        assert verdict.events >= 40 and verdict.delivered + verdict.rows >= verdict.events, verdict
        if not gaps:
            assert not verdict.gaps, verdict
