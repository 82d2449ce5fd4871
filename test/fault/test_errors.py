"""
Every row of the error table (src/mongo/stream_error.c), when a change stream is read and when it is opened, for the
watcher and for the sweep of a client that comes back from before the journal: what may be lost is told, everything else
comes; tailwater never retries in a hot loop, and its health says what to do.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from bson import ObjectId, Timestamp

from deadline import until
from foreign import ALL, Failing, Verdict, configuration, is_replayed, judge, number, operations, running, status, wait_number
from mongod import PASSWORD, Mongod
from server import Server
from stream import Hub, Stream
from traffic import Writer

REPLICA_SET, RIGHTS, VIEWS = "rs.initiate()", "changeStream", "views"

#: Rows that cost nothing but a new stream.
REOPEN = {
    6: "HostUnreachable", 7: "HostNotFound", 43: "CursorNotFound", 50: "MaxTimeMSExpired", 63: "StaleShardVersion",
    89: "NetworkTimeout", 91: "ShutdownInProgress", 133: "FailedToSatisfyReadPreference", 150: "StaleEpoch",
    175: "QueryPlanKilled", 189: "PrimarySteppedDown", 211: "KeyNotFound", 234: "RetryChangeStream", 237: "CursorKilled",
    262: "ExceededTimeLimit", 9001: "SocketException", 10107: "NotWritablePrimary", 11600: "InterruptedAtShutdown",
    11601: "Interrupted", 11602: "InterruptedDueToReplStateChange", 13388: "StaleConfig", 13435: "NotPrimaryNoSecondaryOk",
    13436: "NotPrimaryOrSecondary", 999999: "a code of tomorrow",
}
#: Rows after which the server may no longer have what comes next: a gap, but what it does have all the same.
LOST = {286: "ChangeStreamHistoryLost", 136: "CappedPositionLost", 280: "ChangeStreamFatalError"}
TOO_LARGE = {10334: "BSONObjectTooLarge"}
#: Rows that somebody must do something about, and what the advice speaks of.
ADVISED = {
    40573: REPLICA_SET, 13: RIGHTS, 18: RIGHTS, 8000: RIGHTS, 166: VIEWS, 73: VIEWS, 40324: VIEWS, 115: VIEWS,
}
#: For the short form of what takes seconds: one of each action, and some that cost nothing but a new stream.
ONE_EACH = [40573, 13, 166]
SOME = [6, 43, 189, 262, 11601, 13435, 999999]


@dataclass
class Rig:
    """A server with a writer that never pauses, and two clients."""

    node: Mongod
    server: Server
    writer: Writer
    streams: list[Stream]

    def marks(self) -> list[int]:
        return [len(s.frames) for s in self.streams]

    def catch_up(self) -> int:
        """Until both clients have what is being written now."""
        last = self.writer.written
        until(lambda: self.writer.written > last + 4, "more is written")
        for stream, wants in zip(self.streams, (range(4), (1,)), strict=True):
            wait_number(stream, next(n for n in range(last, last + 5) if n % 4 in wants), 60)
        return last

    def judge(self, verdict: Verdict, marks: list[int], reasons: list[str]) -> None:
        """Frames since the marks are without a hole, whatever the number they begin with."""
        for stream, mark, step in zip(self.streams, marks, (1, 4), strict=True):
            frames = stream.frames[mark:]
            live = [number(f) for f in stream.events if not is_replayed(f)]
            before = sum(1 for f in stream.frames[:mark] if f.data is not None and not f.is_control and not is_replayed(f))
            after = live[before:]  # none, where all of it was replayed
            missing = judge(verdict, frames, range(after[0], after[-1] + 1, step) if after else [], reasons)
            assert not missing, f"lost, though the oplog has it: {missing[:10]}"


@pytest.fixture(scope="module")
def node() -> Iterator[Mongod]:
    node = Mongod("--setParameter", "periodicNoopIntervalSecs=1")
    yield node.start()
    node.stop()


@pytest.fixture(scope="module")
def rig(node: Mongod, hub: Hub) -> Iterator[Rig]:
    with running(configuration(node.uri, "errors")) as server:
        streams = [hub.open(server.port, ALL), hub.open(server.port, {"channels": "logs:etl:w1:*"})]
        for stream in streams:
            stream.wait_ready()
        with Writer(node.client, "errors") as writer:
            for stream in streams:
                stream.wait_events(2)
            yield Rig(node, server, writer, streams)
        for stream in streams:
            stream.abort()


def error_of(code: int) -> dict:
    """A failpoint's data; the server makes this one only with details."""
    details = {"ns": "errors.etl", "vReceived": Timestamp(1, 1), "vReceivedEpoch": ObjectId(), "shardId": "one"}
    more = {"errorExtraInfo": details | {"vReceivedTimestamp": Timestamp(1, 1)}} if code == 13388 else {}
    return {"errorCode": code} | more


def at(place: str) -> list[str]:
    """What must fail: reading, or also opening again."""
    return ["getMore"] if place == "read" else ["getMore", "aggregate"]


def run_row(rig: Rig, verdict: Verdict, code: int, place: str, reasons: list[str]) -> dict:
    """One row at one place; returns the source's health just after the error."""
    rig.catch_up()
    marks, before = rig.marks(), status(rig.server)
    times = {"read": 1, "open": 3, "open once": 2}[place]
    with Failing(rig.node.client, at(place), {"times": times}, **error_of(code)) as point:
        seen = until(lambda: (s := status(rig.server))["errors"] > before["errors"] and s, "the error is seen")
        until(lambda: status(rig.server)["opens"] > before["opens"], "open again", 60)
        rig.catch_up()
    assert point.failures == times
    rig.judge(verdict, marks, reasons)
    return seen


@pytest.mark.parametrize("codes, place", [
    (list(REOPEN), "read"), (SOME, "open"), pytest.param(list(REOPEN), "open", marks=pytest.mark.long),
], ids=["read", "open", "open-all"])
def test_watcher_reopens(rig, report, codes, place):
    """Network, step-down, killed cursors and what nobody has heard of: nothing is lost, nobody is told."""
    verdict = Verdict(f"watcher, {len(codes)} codes, {place}")
    for code in codes:
        seen = run_row(rig, verdict, code, place, [])
        assert f"(code {code})" in seen["last_error"], seen
    report(str(verdict))


@pytest.mark.parametrize("place", ["read", "open"])
@pytest.mark.parametrize("code", LOST)
def test_watcher_loses_history(rig, report, code, place):
    """One gap, however often it fails; and everything, for the oplog still has it."""
    verdict = Verdict(f"watcher, {code}, {place}")
    losses = status(rig.server)["losses"]
    run_row(rig, verdict, code, place, ["history_lost"])
    assert status(rig.server)["losses"] == losses + 1
    report(str(verdict))


def test_watcher_meets_a_giant(rig, report):
    """The server says too large, twice: everyone is told that something may be missing, and everything else comes."""
    verdict = Verdict("watcher, 10334, read")
    rig.catch_up()
    marks, before = rig.marks(), status(rig.server)
    with Failing(rig.node.client, ["getMore"], {"times": 2}, errorCode=10334):
        until(lambda: status(rig.server)["errors"] >= before["errors"] + 2, "the errors are seen")
        rig.catch_up()
    gaps = [sum(f.event == "gap" for f in s.frames[m:]) for s, m in zip(rig.streams, marks, strict=True)]
    assert gaps in ([1, 1], [2, 2])
    rig.judge(verdict, marks, ["oversize"] * gaps[0])
    report(str(verdict))


@pytest.mark.parametrize("code, place", [
    (13, "read"), *(pytest.param(c, "read", marks=pytest.mark.long) for c in ADVISED if c != 13),
    *(pytest.param(c, "open once", marks=pytest.mark.long) for c in ADVISED),
])
def test_watcher_waits_for_somebody(rig, report, code, place):
    """What somebody must repair is tried again after seconds, and told with what to do; then nothing is missing."""
    verdict = Verdict(f"watcher, {code}, {place}")
    seen = run_row(rig, verdict, code, place, [])
    assert f"(code {code})" in seen["last_error"] and ADVISED[code] in seen["last_error"], seen
    report(str(verdict))


#: action -> (a code, the most failures in five seconds)
PACE = {"reopen": (11601, 12), "lost": (286, 12), "advised": (13, 4), "too-large": (10334, 12)}


@pytest.mark.parametrize("action, commands", [
    pytest.param(a, c, marks=[] if (a, len(c)) == ("reopen", 2) else pytest.mark.long)
    for a in PACE for c in (["aggregate", "getMore"], ["getMore"])
], ids=lambda v: v if isinstance(v, str) else "+".join(v))
def test_no_hot_loop(rig, report, action, commands):
    """A command that fails for five seconds is tried a few times, not hundreds; then everything comes."""
    code, most = PACE[action]
    rig.catch_up()
    marks, before, cpu_s = rig.marks(), status(rig.server), rig.server.cpu_s()
    with Failing(rig.node.client, commands, "alwaysOn", errorCode=code) as point:
        time.sleep(5)  # the time is what is measured
        seen = status(rig.server)
    cpu_s = rig.server.cpu_s() - cpu_s
    until(lambda: status(rig.server)["opens"] > before["opens"], "open again", 60)
    rig.catch_up()
    verdict = Verdict(f"{code} for 5 s on {'+'.join(commands)}")
    verdict.more = [f"{point.failures} failures", f"{seen['errors'] - before['errors']} errors", f"{cpu_s:.2f} s of CPU"]
    if action == "lost":  # after some attempts the watcher goes on at the present
        for stream, mark in zip(rig.streams, marks, strict=True):
            assert [g.json["reason"] for g in stream.frames[mark:] if g.event == "gap"] == ["history_lost"]
    elif action == "too-large":
        assert all(f.json["reason"] == "oversize" for s, m in zip(rig.streams, marks, strict=True)
                   for f in s.frames[m:] if f.event == "gap")
    else:
        rig.judge(verdict, marks, [])
    report(str(verdict))
    assert 1 <= point.failures <= most and seen["errors"] - before["errors"] <= most
    assert cpu_s < 1


def test_no_hot_loop_when_every_other_command_fails(rig, report):
    """Even when each new stream answers once before it fails."""
    rig.catch_up()
    marks, before = rig.marks(), status(rig.server)
    with Failing(rig.node.client, ["getMore"], {"activationProbability": 0.5}, errorCode=43):
        time.sleep(3)  # the time is what is measured
        opens = status(rig.server)["opens"] - before["opens"]
    rig.catch_up()
    verdict = Verdict("every other getMore fails for 3 s", more=[f"{opens} opens"])
    rig.judge(verdict, marks, [])
    report(str(verdict))
    assert 1 <= opens <= 120


def test_cut_connections(rig, report):
    """The connection breaks in the middle of a command, once and twenty times."""
    verdict = Verdict("connection cut, read and open")
    for times in (1, 20):
        rig.catch_up()
        marks, before = rig.marks(), status(rig.server)
        with Failing(rig.node.client, ["aggregate", "getMore"], {"times": times}, closeConnection=True):
            until(lambda: status(rig.server)["errors"] > before["errors"], "the error is seen")
        rig.catch_up()
        rig.judge(verdict, marks, [])
    report(str(verdict))


# --- a client that comes back from before the journal -------------------------------------------------------------


#: Failpoints are told apart by the name of the application: the other server must not be hit.
LATE = "tailwater-late"


@dataclass
class Late:
    """A server whose journal holds the newest few of 400 events, and the position just before the first."""

    node: Mongod
    server: Server
    begin: str
    count: int


@pytest.fixture(scope="module")
def late(node: Mongod, hub: Hub) -> Iterator[Late]:
    """The watcher waits four seconds in a getMore: what fails meanwhile is the sweep's."""
    options = {"journal": {"bytes": 65536}, "max_await_ms": 4000}
    with running(configuration(f"{node.uri}&appName={LATE}", "late", **options)) as server:
        stream = hub.open(server.port, ALL)
        stream.wait_ready()
        target = node.client["late"]["etl"]
        count = 400
        for first in range(0, count, 100):  # batch by batch: a journal keeps the batch that it is given
            target.insert_many([{"_id": n, "workspace_id": "w", "workflow_id": "f", "n": n, "pad": "x" * 1000}
                                for n in range(first, first + 100)])
            stream.wait_events(first + 100)
        target.insert_one({"_id": count, "workspace_id": "w", "workflow_id": "f", "n": count})
        begin = stream.wait_events(count + 1)[0].id[:16]
        stream.abort()
        yield Late(node, server, begin, count + 1)


def resume_through(late: Late, hub: Hub, verdict: Verdict, command: str, times: int, reasons: list[str] | None, **how) -> None:
    """
    Come back with the old id while the sweep's command fails; everything comes, with gaps for these reasons (None: one of lost
    history, or none).
    """
    resting(late, 1.5 if times > 1 else 0.7)
    before = status(late.server)
    with Failing(late.node.client, [command], {"times": times}, LATE, **how) as point:
        stream = hub.open(late.server.port, ALL, headers={"Last-Event-ID": late.begin})
        assert stream.wait_ready().json["resumed"] == "pending"
        word = stream.wait_control("caught-up", 60).json["resumed"]
    assert point.failures == times or reasons is None and 1 <= point.failures < times  # it may give up what is there
    gaps = [g.json["reason"] for g in stream.control("gap")]
    if reasons is None:
        assert gaps in ([], ["history_lost"])
    missing = judge(verdict, stream.frames, range(late.count), gaps if reasons is None else reasons)
    assert not missing, f"lost, though the oplog has it: {missing[:10]}"
    assert word == ("gap" if gaps else "exact")
    after = status(late.server)
    assert reasons is None or after["catchup_opens"] > before["catchup_opens"]
    assert (after["opens"], after["losses"]) == (before["opens"], before["losses"]), "the watcher was hit"
    stream.abort()


def resting(late: Late, seconds: float) -> None:
    """Until the watcher's getMore is going to wait so long."""
    def begun() -> bool:
        waiting = operations(late.node.client, LATE)
        return len(waiting) == 1 and waiting[0]["microsecs_running"] < (4 - seconds) * 1e6

    until(begun, "the watcher waits")


@pytest.mark.parametrize("codes", [[6, 43, 189, 11601, 13], pytest.param([*REOPEN, *ADVISED], marks=pytest.mark.long)], ids=["some", "all"])
@pytest.mark.parametrize("command", ["getMore", "aggregate"])
def test_sweep_survives(late, hub, report, command, codes):
    """Nothing is lost or told by anything but the rows of lost history and the giants."""
    verdict = Verdict(f"sweep, {len(codes)} codes, {command}")
    for code in codes:
        resume_through(late, hub, verdict, command, 1, [], **error_of(code))
    resume_through(late, hub, verdict, command, 4, [], errorCode=11601)
    resume_through(late, hub, verdict, command, 3, [], closeConnection=True)
    report(str(verdict))


@pytest.mark.parametrize("command", ["getMore", "aggregate"])
@pytest.mark.parametrize("code", LOST)
def test_sweep_loses_history(late, hub, report, code, command):
    """A gap, unless the oplog turns out to have everything; and everything, live or replayed."""
    verdict = Verdict(f"sweep, {code}, {command}")
    resume_through(late, hub, verdict, command, 1, None, errorCode=code)
    resume_through(late, hub, verdict, command, 3, None, errorCode=code)
    report(str(verdict))


def test_sweep_meets_a_giant(late, hub, report):
    """Said twice, in case that the first is taken as a reason to look closer: a gap, and everything else."""
    verdict = Verdict("sweep, 10334, getMore")
    resting(late, 1.5)
    with Failing(late.node.client, ["getMore"], {"times": 2}, LATE, errorCode=10334) as point:
        stream = hub.open(late.server.port, ALL, headers={"Last-Event-ID": late.begin})
        stream.wait_control("caught-up", 60)
    gaps = len(stream.control("gap"))
    assert point.failures == 2 and gaps in (1, 2)
    judge(verdict, stream.frames, range(late.count), ["oversize"] * gaps)
    stream.abort()
    report(str(verdict))


@pytest.mark.long
def test_sweep_has_no_hot_loop(late, hub, report):
    """Opening fails for four seconds: a few attempts; then the client gets everything."""
    resting(late, 1.5)
    with Failing(late.node.client, ["aggregate"], "alwaysOn", LATE, errorCode=11601) as point:
        stream = hub.open(late.server.port, ALL, headers={"Last-Event-ID": late.begin})
        time.sleep(4)  # the time is what is measured
    stream.wait_control("caught-up", 60)
    verdict = Verdict("sweep, 11601 for 4 s", more=[f"{point.failures} failures"])
    judge(verdict, stream.frames, range(late.count))
    report(str(verdict))
    assert 1 <= point.failures <= 12
    stream.abort()


# --- who may not ------------------------------------------------------------------------------------------------


def test_password_changed(node, hub, report):
    """
    The driver finds it out before any command: told like the server's own code, and tried again after seconds only. With the
    old password again, everything comes.
    """
    def change(password: str) -> None:
        node.client.admin.command("updateUser", "changed", pwd=password)

    verdict = Verdict("password changed for 3 s")
    node.client.admin.command("createUser", "changed", pwd="first", roles=["root"])
    uri = node.uri.replace(f"tailwater:{PASSWORD}", "changed:first") + "&appName=changed"
    with running(configuration(uri, "changed")) as server:
        stream = hub.open(server.port, ALL)
        stream.wait_ready()
        change("second")
        with Failing(node.client, ["getMore"], {"times": 1}, "changed", closeConnection=True):
            until(lambda: "Authentication failed" in (status(server)["last_error"] or ""), "the error is seen")
        time.sleep(3)  # the time is what is measured
        seen = status(server)
        node.client["changed"].etl.insert_many([{"workspace_id": "w", "workflow_id": "f", "n": n} for n in range(3)])
        change("first")
        wait_number(stream, 2, 60)
        judge(verdict, stream.frames, range(3))
        verdict.more = [f"{seen['errors']} errors"]
        report(str(verdict))
        assert "(code 18)" in seen["last_error"] and ADVISED[18] in seen["last_error"], seen
        assert seen["errors"] <= 4
        stream.abort()
