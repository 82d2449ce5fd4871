"""`tailwater healthcheck`: 0 while it serves, also without MongoDB; 1 while it drains or when there is nobody; one line."""

from __future__ import annotations

import signal
import socket
import time

import certificates
from conftest import ETL
from deadline import PATIENCE, until
from mongod import free_port
from server import run_cli
from tls_client import TlsServer


def check(config: dict) -> tuple[int, str]:
    ended = run_cli("healthcheck", config=config)
    assert ended.stdout.endswith("\n") and ended.stdout.count("\n") == 1 and ended.stderr == ""
    return ended.returncode, ended.stdout.strip()


def test_healthy(etl):
    assert check(etl.config) == (0, f"127.0.0.1 port {etl.port}: healthy (HTTP status 200)")


def test_every_address_is_asked_on_the_loopback(serve):
    port = free_port()
    server = serve(ETL, port=port, listen=f"0.0.0.0:{port}", insecure=True)
    assert check(server.config) == (0, f"127.0.0.1 port {port}: healthy (HTTP status 200)")
    assert check({"listen": f"[::]:{port}", "insecure": True})[1].startswith(f"::1 port {port}: ")


def test_degraded_is_no_reason_to_start_anew(launch):
    config = {"mongodb": {"uri": "mongodb://127.0.0.1:1/logs?serverSelectionTimeoutMS=500"}}
    server = launch(config, healthy=False)
    code, line = check(server.config)
    assert code == 0 and "degraded (HTTP status 200)" in line


def test_draining(serve):
    server = serve(ETL, drain_delay_s=3)
    server.signal(signal.SIGTERM)
    until(lambda: not server.running or check(server.config)[0] == 1, "not healthy", 10 * PATIENCE)
    until(lambda: not server.running, "it ends", 20 * PATIENCE)


def test_tls(mongo, dbname, tmp_path):
    source = {"name": "logs", "tag": "a", "database": dbname, "mappings": [ETL.config]}
    server = TlsServer(certificates.make(tmp_path, "localhost"), {"mongodb": {"uri": mongo.uri}, "sources": [source]})
    try:
        server.start()
        assert check(server.config) == (0, f"127.0.0.1 port {server.port}: healthy (HTTP status 200)")
        plain = {k: v for k, v in server.config.items() if k != "tls"}
        assert check(plain)[0] == 1
    finally:
        server.dispose()


def test_nobody_listens():
    port = free_port()
    assert check({"listen": f"127.0.0.1:{port}"}) == (1, f"127.0.0.1 port {port}: cannot connect: Connection refused")


def test_somebody_else_listens():
    """One that never answers: over in time."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        code, line = check({"listen": f"127.0.0.1:{silent.getsockname()[1]}"})
        assert code == 1 and line.endswith("no answer within 5 s")
        assert 4 < time.monotonic() - began < 10 * PATIENCE


def test_wrong_configuration():
    assert run_cli("healthcheck", config={"lisen": "127.0.0.1:1"}).returncode == 78
