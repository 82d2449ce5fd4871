"""What is in deploy/ works: the example configuration, and nginx in front of tailwater."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from conftest import ROOT, TAILWATER, clean_environment, free_port, until

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/sbin")
STREAM = "/api/logs/stream?channels=logs:*"


def accept(configuration: Path) -> None:
    result = subprocess.run([TAILWATER, "check", "--offline", "--config", configuration], env=clean_environment(),
                            capture_output=True, text=True, timeout=30)
    assert result.returncode == 0, result.stdout + result.stderr


#: The public key of RFC 7517, appendix A.1.
EC_KEY = {"kty": "EC", "crv": "P-256", "kid": "1", "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
          "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}


def test_example_configuration():
    accept(ROOT / "deploy/tailwater.yaml")


def test_example_configuration_with_all_that_is_commented_out(tmp_path):
    text = (ROOT / "deploy/tailwater.yaml").read_text().replace("/etc/tailwater", str(tmp_path)).replace('"…"', f'"{"ab" * 32}"')
    text = re.sub(r"^# ?((  )*([a-z_]+:( .*)?|- {.*}))$", r"\1", text, flags=re.M)
    (tmp_path / "ticket.secret").write_text("ticket secret of 32 bytes or more")
    (tmp_path / "jwks.json").write_text(json.dumps({"keys": [EC_KEY]}))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost",
                    "-keyout", tmp_path / "tls.key", "-out", tmp_path / "tls.crt"], check=True, capture_output=True)
    file = tmp_path / "all.yaml"
    file.write_text(re.sub(r"^  # (max_await_ms.*)$", r"  \1", text, flags=re.M))
    accept(file)
    assert "\ndrain_delay_s" in text and "\n    jwks_file" in text and "\n  key_file" in text


class Proxy:
    def __init__(self, folder: Path, upstream: int):
        self.port = free_port()
        text = (ROOT / "deploy/nginx/tailwater.conf").read_text()
        text = text.replace("127.0.0.1:3002 ", f"127.0.0.1:{upstream} ").replace("127.0.0.1:8080;", f"127.0.0.1:{self.port};")
        places = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        file = folder / "nginx.conf"
        file.write_text(f"pid {folder}/pid;\nevents {{}}\nhttp {{\naccess_log off;\n{places}{text}\n}}\n")
        command = [NGINX, "-c", file, "-e", folder / "error.log"]
        checked = subprocess.run([*command, "-t"], capture_output=True, text=True, timeout=30)
        assert checked.returncode == 0 and "warn" not in checked.stderr, checked.stderr
        self._process = subprocess.Popen([*command, "-g", "daemon off;"], stderr=subprocess.DEVNULL)
        until(self._listens, "nginx listens")

    def _listens(self) -> bool:
        try:
            return self.get("/").status > 0
        except OSError:
            return False

    def get(self, path: str, **headers: str) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request("GET", path, headers=headers)
        return connection.getresponse()

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(20)


@pytest.fixture
def proxy(tmp_path):
    if not NGINX:
        pytest.skip("nginx is not installed")
    proxies = []

    def start(upstream: int) -> Proxy:
        proxies.append(Proxy(tmp_path, upstream))
        return proxies[-1]

    yield start
    for one in proxies:
        one.stop()


@pytest.mark.parametrize("path", [STREAM, "/api/sse?channels=logs:*"])
def test_nginx_keeps_streams_coming_back_while_tailwater_is_away(proxy, path):
    answer = proxy(free_port()).get(path)
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/event-stream"
    assert answer.headers["Cache-Control"] == "no-store"
    assert re.fullmatch(rb"retry: (1000|1400|1800|2200)\n\n", answer.read())


def test_nginx_tells_the_truth_elsewhere(proxy):
    assert proxy(free_port()).get("/health").status == 502


def test_nginx_passes_streams_at_once(proxy, run, mongod_on_path):
    one = run(PATH=mongod_on_path).wait_started()
    front = proxy(one.port)
    assert front.get("/health").status == 200
    answer = front.get(STREAM)
    assert answer.headers["Transfer-Encoding"] == "chunked", "HTTP/1.1 all the way: a cut is no end"
    lines = [answer.readline() for _ in range(40)]
    assert any(b'"log_data"' in line for line in lines)
    assert one.process.poll() is None
