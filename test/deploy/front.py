"""Proxies in front of several tailwaters: nginx with deploy/nginx/tailwater.conf, HAProxy and Caddy as docs/deployment.md has them."""

from __future__ import annotations

import http.client
import re
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import certificates
from conftest import ROOT
from deadline import until
from mongod import free_port

SEARCH = "/usr/sbin:/usr/bin:/sbin:/usr/local/bin"


class Login:
    """The session check of a login service: who has the cookie is ann of w1."""

    def __init__(self) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                knows = "session=ann" in self.headers.get("Cookie", "")
                self.send_response(200 if knows else 401)
                if knows:
                    self.send_header("X-User-Id", "ann")
                    self.send_header("X-Workspace-Id", "w1")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Front:
    """A proxy that runs; port speaks plain HTTP, tls_port (nginx only) HTTP/2 over TLS."""

    tls_port = 0

    def __init__(self, folder: Path, program: str):
        found = shutil.which(program, path=SEARCH)
        if not found:
            pytest.skip(f"{program} is not installed")
        self.program, self.folder, self.port = found, folder, free_port()
        self._process: subprocess.Popen | None = None

    def start(self, *command: str | Path) -> None:
        log = (self.folder / "proxy.log").open("wb")
        self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder, env={"HOME": str(self.folder)})
        until(self._listens, "the proxy listens")

    def _listens(self) -> bool:
        assert self._process.poll() is None, (self.folder / "proxy.log").read_text()
        try:
            return self.get("/health").status > 0
        except OSError:
            return False

    def get(self, path: str, **headers: str) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request("GET", path, headers={"Host": f"localhost:{self.port}"} | headers)
        return connection.getresponse()

    def stop(self) -> None:
        """Caddy would wait for the streams' end."""
        if self._process:
            self._process.terminate()
            try:
                self._process.wait(3)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(20)


class Nginx(Front):
    def __init__(self, folder: Path, upstreams: list[int], login: int):
        super().__init__(folder, "nginx")
        self.tls_port = free_port()
        certificate = certificates.make(folder, "localhost")
        text = (ROOT / "deploy/nginx/tailwater.conf").read_text()
        changes = {
            "  server 127.0.0.1:3002 max_fails=0;": "\n".join(f"  server 127.0.0.1:{p} max_fails=0;" for p in upstreams),
            "listen 127.0.0.1:8080;": f"listen 127.0.0.1:{self.port};",
            "# listen 443 ssl http2;": f"listen 127.0.0.1:{self.tls_port} ssl http2;",
            "# ssl_certificate     /etc/tailwater/tls.crt;": f"ssl_certificate {certificate.chain};",
            "# ssl_certificate_key /etc/tailwater/tls.key;": f"ssl_certificate_key {certificate.key};",
            "http://127.0.0.1:4000/": f"http://127.0.0.1:{login}/",
        }
        for old, new in changes.items():
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        places = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        file = folder / "nginx.conf"
        file.write_text(f"pid {folder}/pid;\nworker_rlimit_nofile 8192;\nevents {{ worker_connections 4096; }}\n"
                        f"http {{\naccess_log off;\n{places}{text}\n}}\n")
        command = [self.program, "-c", file, "-e", folder / "error.log"]
        checked = subprocess.run([*command, "-t"], capture_output=True, text=True, timeout=30)
        assert checked.returncode == 0 and "warn" not in checked.stderr, checked.stderr
        self.start(*command, "-g", "daemon off;")


def documented(language: str) -> str:
    """The one block of docs/deployment.md in this language."""
    (block,) = re.findall(rf"^```{language}\n(.*?)^```", (ROOT / "docs/deployment.md").read_text(), re.S | re.M)
    return block


class HAProxy(Front):
    def __init__(self, folder: Path, upstreams: list[int]):
        super().__init__(folder, "haproxy")
        text = documented("haproxy").replace(":8080", f":{self.port}")
        (line,) = re.findall(r"^  server a .*\n", text, re.M)
        text = re.sub(r"^  server .*\n", "", text, flags=re.M)
        servers = "".join(line.replace("server a", f"server s{port}").replace("3002", str(port)) for port in upstreams)
        (folder / "come-back.http").write_text(documented("http"))
        text = text.replace("/etc/haproxy/come-back.http", str(folder / "come-back.http"))
        (folder / "haproxy.cfg").write_text(text.rstrip("\n") + "\n" + servers)
        self.start(self.program, "-db", "-f", folder / "haproxy.cfg")


class Caddy(Front):
    def __init__(self, folder: Path, upstreams: list[int]):
        super().__init__(folder, "caddy")
        text = documented("caddy").replace(":8080", f":{self.port}")
        text = re.sub(r"127\.0\.0\.1:3002( 127\.0\.0\.1:\d+)*", " ".join(f"127.0.0.1:{port}" for port in upstreams), text)
        (folder / "Caddyfile").write_text("{\n  admin off\n  auto_https off\n}\n" + text)
        self.start(self.program, "run", "--adapter", "caddyfile", "--config", folder / "Caddyfile")
