"""A replica set of three mongods on loopback, whose members can be killed, frozen and told to fail."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile

import pymongo
from pymongo.errors import PyMongoError

from deadline import until
from mongod import find_mongod, free_port

ELECTION_MS = 2000


class Member:
    def __init__(self) -> None:
        self.port = free_port()
        self.folder = tempfile.mkdtemp(prefix="tailwater-member-")
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            [find_mongod(), "--dbpath", self.folder, "--port", str(self.port), "--bind_ip", "127.0.0.1", "--nounixsocket",
             "--logpath", f"{self.folder}/mongod.log", "--logappend", "--replSet", "tw", "--oplogSize", "100",
             "--wiredTigerCacheSizeGB", "0.25", "--setParameter", "enableTestCommands=1",
             "--setParameter", "diagnosticDataCollectionEnabled=false"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.process.pid, number)

    def kill(self) -> None:
        if self.process:
            self.signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait(30)
            self.process = None

    def direct(self) -> pymongo.MongoClient:
        return pymongo.MongoClient("127.0.0.1", self.port, directConnection=True, serverSelectionTimeoutMS=1000)


class Cluster:
    def __enter__(self) -> "Cluster":
        self.members = [Member() for _ in range(3)]
        for member in self.members:
            member.start()
        try:
            self._initiate()
        except BaseException:
            self._remove()
            raise
        # A writer that hangs with a frozen member would hide how long we are silent.
        self.client = pymongo.MongoClient(self.uri, serverSelectionTimeoutMS=30000, socketTimeoutMS=1500, heartbeatFrequencyMS=500)
        return self

    def __exit__(self, *_) -> None:
        self.client.close()
        self._remove()

    def _remove(self) -> None:
        for member in self.members:
            member.kill()
            shutil.rmtree(member.folder, ignore_errors=True)

    @property
    def uri(self) -> str:
        return "mongodb://" + ",".join(f"127.0.0.1:{m.port}" for m in self.members) + "/?replicaSet=tw"

    def _initiate(self) -> None:
        first = self.members[0].direct()
        members = [{"_id": i, "host": f"127.0.0.1:{m.port}"} for i, m in enumerate(self.members)]
        settings = {"electionTimeoutMillis": ELECTION_MS, "heartbeatIntervalMillis": 500}

        def initiate() -> bool:
            try:
                first.admin.command("replSetInitiate", {"_id": "tw", "members": members, "settings": settings})
                return True
            except PyMongoError as error:
                return "already initialized" in str(error)

        until(initiate, "the set is initiated")
        until(lambda: self.primary() is not None, "a primary")
        first.close()

    def primary(self) -> Member | None:
        for member in self.members:
            client = member.direct()
            try:
                if member.process and client.admin.command("hello").get("isWritablePrimary"):
                    return member
            except PyMongoError:
                pass
            finally:
                client.close()
        return None

    def step_down(self) -> None:
        """The primary steps down and another one is elected."""
        direct = until(self.primary, "a primary").direct()
        try:
            direct.admin.command("replSetStepDown", 5, secondaryCatchUpPeriodSecs=3)
        finally:
            direct.close()

    def heal(self) -> None:
        """All members up and running, one of them primary, the others in step."""
        for member in self.members:
            if member.process:
                member.signal(signal.SIGCONT)
            else:
                member.start()
        until(lambda: self.primary() is not None, "a primary", 60)
        until(self._is_in_step, "secondaries in step", 60)

    def _is_in_step(self) -> bool:
        try:
            states = self.client.admin.command("replSetGetStatus")["members"]
        except PyMongoError:
            return False
        return sorted(m["stateStr"] for m in states) == ["PRIMARY", "SECONDARY", "SECONDARY"]

    def fail(self, commands: list[str], times: int, **how) -> None:
        """Make the primary's next `times` runs of these commands by tailwater fail: errorCode=286, closeConnection=True, …"""
        data = {"failCommands": commands, "appName": "tailwater"} | how
        direct = self.primary().direct()
        direct.admin.command("configureFailPoint", "failCommand", mode={"times": times}, data=data)
        direct.close()
