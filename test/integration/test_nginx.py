"""Behind nginx as Debian configures it, which speaks HTTP/1.0 to upstreams: the first frame comes at once."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import http1
from conftest import ETL
from deadline import until
from mongod import free_port

NGINX = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
DEBIAN = Path("/etc/nginx/nginx.conf")
STREAM = "/api/logs/stream?channels=logs:etl:w1:f1"
KEYS = {"workspace_id": "w1", "workflow_id": "f1"}


def debian_configuration(folder: str, port: int, upstream: int, location: str = "") -> str:
    """Debian's own nginx.conf with this test's paths, and one server with nothing but proxy_pass."""
    text = DEBIAN.read_text()
    text = re.sub(r"^user .*;", "user root;" if os.geteuid() == 0 else "", text, flags=re.M)
    text = re.sub(r"^pid .*;", f"pid {folder}/pid;", text, flags=re.M)
    text = re.sub(r"^error_log .*;", "", text, flags=re.M)
    text = re.sub(r"access_log .*;", f"access_log {folder}/access.log;", text)
    temporary = "".join(f"{kind}_temp_path {folder}/{kind}; " for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    block = f"{temporary} server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://127.0.0.1:{upstream}; {location} }} }}"
    text = re.sub(r"include /etc/nginx/sites-enabled/\*;", block, text)
    return re.sub(r"include /etc/nginx/conf.d/\*\.conf;", "", text)


@pytest.fixture
def proxy(serve) -> Iterator:
    """proxy(location_lines) starts nginx in front of a server; gives (nginx port, server)."""
    folder = tempfile.mkdtemp(prefix="tailwater-nginx-")
    processes = []

    def start(location: str = "", **options):
        if not NGINX or not DEBIAN.exists():
            pytest.skip("nginx is not installed")
        server, port = serve(ETL, **options), free_port()
        file = Path(folder, "nginx.conf")
        file.write_text(debian_configuration(folder, port, server.port, location))
        process = subprocess.Popen([NGINX, "-c", str(file), "-e", f"{folder}/error.log", "-g", "daemon off;"],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        processes.append(process)

        def answers() -> bool:
            assert process.poll() is None, Path(folder, "error.log").read_text()
            try:
                return http1.request(port, "GET", "/health").status == 200
            except OSError:
                return False

        until(answers, "nginx answers")
        return port, server

    yield start
    for process in processes:
        process.terminate()
        process.wait(20)
    shutil.rmtree(folder, ignore_errors=True)


def test_first_frame_at_once_through_nginx(proxy, db, hub):
    """Default configuration: ready and events are not held back by a buffer; the disconnect reaches the server."""
    port, server = proxy()
    stream = hub.open(port, STREAM)
    stream.wait_ready()
    assert stream.frames[0].at - stream.opened_at < 2
    for n in range(5):
        began = time.monotonic()
        db.etl_logs.insert_one(KEYS | {"n": n})
        frame = stream.wait_events(n + 1)[n]
        assert frame.json["log_data"]["n"] == n and frame.at - began < 2
    stream.abort()
    until(lambda: server.connections == 0, "the disconnect reaches the server")


def test_resume_through_nginx(proxy, db, hub):
    """A cut behind nginx and a Last-Event-ID resume exactly, with both HTTP versions to the upstream."""
    port, server = proxy("proxy_http_version 1.1;")
    stream = hub.open(port, STREAM)
    begin = stream.wait_ready().id
    db.etl_logs.insert_many([KEYS | {"n": i} for i in range(10)])
    frames = stream.wait_events(10)
    for i, point in enumerate([begin] + [f.id for f in frames[:9]]):
        again = hub.open(port, STREAM, headers={"Last-Event-ID": point})
        assert [f.raw for f in again.wait_events(10 - i)] == [f.raw for f in frames[i:]]


def curl_lines(port: int, *options: str) -> subprocess.Popen:
    return subprocess.Popen(["curl", "-sN", *options, f"http://127.0.0.1:{port}{STREAM}"], stdout=subprocess.PIPE)


@pytest.mark.parametrize("through_nginx", [False, True])
@pytest.mark.parametrize("options", [(), ("--http1.0",), ("-i",)])
def test_curl_shows_the_first_frame_at_once(proxy, serve, db, through_nginx, options):
    """curl -N shows ready within two seconds of its start, and an event when it happens."""
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    port = proxy()[0] if through_nginx else serve(ETL).port
    began = time.monotonic()
    process = curl_lines(port, *options)
    try:
        lines = iter(process.stdout)
        assert next(line for line in lines if line.startswith(b"event: ")) == b"event: ready\n"
        assert time.monotonic() - began < 2
        db.etl_logs.insert_one(KEYS | {"message": "for curl"})
        assert b"for curl" in next(line for line in lines if b"for curl" in line)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
