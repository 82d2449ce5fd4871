"""docs/security.md says what works: its configurations, commands, nginx blocks, script and MongoDB role are run here."""

from __future__ import annotations

import http.server
import os
import re
import shutil
import subprocess
import threading
import time
from pathlib import Path

import pymongo
import pytest

import certificates
from conftest import ETL
from deadline import PATIENCE, WAIT_S, until
from identities import SECRET, TICKET_SECRET, bearer, by_secret, claims, ids, key, key_set, log, sha256, token
from mongod import Mongod, free_port
from secrets_seen import remember
from server import ROOT, binary, clean_environment, run_cli
from test_browser import browser  # noqa: F401 - a fixture
from test_nginx import NGINX

PAGE = (ROOT / "docs/security.md").read_text()
CHANNEL = "logs:etl:w1:f1"
PERMISSIONS = re.compile(r'resource: \{ db: "(\w*)", collection: "([\w.]*)" \}, actions: \[([^]]*)\]')


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.M | re.S)


def block(language: str, containing: str) -> str:
    (found,) = [text for text in blocks(language) if containing in text]
    return found


@pytest.fixture(scope="module")
def etc(tmp_path_factory) -> Path:
    """What the page calls /etc/tailwater."""
    folder = tmp_path_factory.mktemp("etc")
    certificate = certificates.make(folder, "localhost")
    for source, name in (certificate.chain, "tls.crt"), (certificate.key, "tls.key"):
        shutil.copy(source, folder / name)
    (folder / "jwks.json").write_text(key_set(key("RS256"), key("ES256")))
    (folder / "jwt.secret").write_text(SECRET + "\n")
    (folder / "ticket.secret").write_text(TICKET_SECRET + "\n")
    return folder


# --- configurations ---------------------------------------------------------------------------------


@pytest.mark.parametrize("text", blocks("yaml"), ids=lambda text: text.split("\n")[0][2:])
def test_configurations(text, etc):
    """Each is accepted as it stands; a relative path would not be."""
    env = {"MONGODB_URI": "mongodb://127.0.0.1:27017/logs"}
    result = run_cli("check", "--offline", config=text.replace("/etc/tailwater", str(etc)), env=env)
    assert result.returncode == 0, result.stderr


def test_links():
    """What the page refers to exists, its own headings too."""
    headings = {re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in re.findall(r"^#+ (.*)$", PAGE, re.M)}
    for target in re.findall(r"\]\(([^)]+)\)", PAGE):
        assert target[1:] in headings if target.startswith("#") else (ROOT / "docs" / target).exists(), target


# --- commands ---------------------------------------------------------------------------------------


def shell(text: str, etc: Path, **env: str) -> str:
    """Run it with the program on PATH; its output."""
    path = f"{os.path.dirname(binary())}:{os.environ['PATH']}"
    result = subprocess.run(["bash", "-euc", text.replace("/etc/tailwater", str(etc))], capture_output=True, text=True,
                            env=clean_environment({"PATH": path, **env}), timeout=60 * PATIENCE)
    assert result.returncode in (0, 28), (text, result)  # 28: curl's --max-time
    assert not result.stderr.strip().startswith("tailwater: "), result.stderr
    return result.stdout


def test_commands(serve, mongo, etc):
    """Tokens, secrets and hashes are made as the page says, and accepted."""
    assert re.fullmatch(r"token: [0-9a-f]{64}\ntoken_sha256: [0-9a-f]{64}\ntoken_sha256: ([0-9a-f]{64})\n",
                        shell(block("sh", "token hash --new"), etc, SERVICE_TOKEN=remember("the-token-of-a-service-in-hand")))
    (etc / "ticket.secret").unlink()
    shell(block("sh", "openssl rand"), etc)
    assert re.fullmatch(r"[0-9a-f]{64}\n", (etc / "ticket.secret").read_text())

    shared = block("yaml", "by token, with a shared secret").replace("/etc/tailwater", str(etc))
    (etc / "tailwater.yaml").write_text(shared)
    server = serve(ETL, auth={"jwt": {"secret": SECRET, "issuer": "https://login.example.com", "audience": "tailwater"}})
    said = shell(block("sh", "token make").replace("127.0.0.1:3002", f"127.0.0.1:{server.port}"), etc, MONGODB_URI=mongo.plain_uri)
    assert "user: ann\n" in said and "logs:etl:w1:*" in said and "event: ready\n" in said


# --- nginx ------------------------------------------------------------------------------------------


class SessionCheck(http.server.BaseHTTPRequestHandler):
    """A login's own check: the session cookie names the user."""

    def do_GET(self) -> None:
        cookie = self.headers.get("Cookie", "")
        self.send_response(200 if cookie.startswith("session=") else 401)
        if cookie.startswith("session="):
            self.send_header("X-User-Id", cookie.removeprefix("session="))
            self.send_header("X-Workspace-Id", "w1")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_) -> None:
        pass


@pytest.fixture
def login():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), SessionCheck) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.fixture
def nginx(tmp_path):
    """nginx(http_block) runs it with nothing else in the configuration."""
    if not NGINX:
        pytest.skip("nginx is not installed")
    processes = []

    def start(text: str) -> None:
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        temporary = "".join(f"{kind}_temp_path {tmp_path}/{kind};" for kind in kinds)
        user = "user root;" if os.geteuid() == 0 else ""
        (tmp_path / "nginx.conf").write_text(f"{user} pid {tmp_path}/pid; events {{}} http {{ {temporary}\n{text}\n}}")
        processes.append(subprocess.Popen([NGINX, "-c", tmp_path / "nginx.conf", "-e", tmp_path / "error.log", "-g", "daemon off;"]))

    yield start
    for process in processes:
        process.terminate()
        process.wait(20)


def test_behind_a_proxy_that_knows_the_user(serve, db, hub, nginx, login, tmp_path):
    """Way A: the session decides who reads; identity headers and tokens that a client sends do not."""
    grants = {"everyone": ["logs:*:{workspace}:*", "alerts:{user}"]}
    server, port = serve(ETL, auth={"proxies": ["127.0.0.1/32"], "grants": grants}), free_port()
    text = block("nginx", "auth_request") + block("nginx", "log_format")
    places = {"127.0.0.1:3002": f"127.0.0.1:{server.port}", "127.0.0.1:8080": f"127.0.0.1:{port}",
              "127.0.0.1:4000": f"127.0.0.1:{login}", "/var/log/nginx": str(tmp_path)}
    for old, new in places.items():
        assert old in text
        text = text.replace(old, new)
    nginx(text)
    ann = {"Cookie": "session=ann", "X-User-Id": "bob", "X-Workspace-Id": "w2", **bearer(token(claims("bob", ["*"])))}
    stream = until(lambda: opened(hub, port, ann), "nginx answers")
    assert stream.wait_ready().json["channels"] == ["alerts:ann", "logs:*:w1:*"]
    mine = log(db, "w1")
    stream.wait_events(1)
    assert ids(stream) == [mine]
    nobody = hub.open(port, {"channels": "logs:*"}, headers={"X-User-Id": "bob"})
    nobody.wait(lambda s: s.status, "an answer")
    assert nobody.status == 401
    lines = until(lambda: (tmp_path / "tailwater.log").read_text().splitlines(), "a line in nginx's log")
    assert "?" not in "".join(lines) and '"GET /api/logs/stream"' in lines[0]


def opened(hub, port: int, headers: dict[str, str]):
    try:
        return hub.open(port, {"channels": "logs:*,alerts:*"}, headers=headers)
    except ConnectionError:
        return None


# --- the script -------------------------------------------------------------------------------------


@pytest.fixture
def page(serve, browser):  # noqa: F811
    """page() starts the server, opens its page and follows with the script; again: another server at the same port."""
    port, made = free_port(), token(claims(channels=["logs:etl:w1:*"]))
    auth = by_secret(ticket_secret=TICKET_SECRET, anonymous=["notes:public"])
    servers = [serve(ETL, port=port, auth=auth, retry_ms=500)]
    browser.get(f"http://127.0.0.1:{port}/")
    browser.execute_script(block("js", "function follow") + """
        window.got = [];
        follow(["logs:etl:w1:*"], async () => arguments[0], (event) => got.push(event.log_data.n));
    """, made)

    def restart() -> None:
        servers[-1].stop()
        servers.append(serve(ETL, port=port, auth=auth, retry_ms=500))

    return lambda: browser.execute_script("return window.got"), restart


def follow_over_a_restart(db, page, pause_s: float) -> None:
    got, restart = page

    def arrives() -> bool:
        db.etl_logs.insert_one({"workspace_id": "w1", "workflow_id": "f1", "n": 0})
        return bool(got())

    until(arrives, "the first event in the page", every_s=0.2)
    time.sleep(pause_s)  # a ticket's age cannot be waited for otherwise
    db.etl_logs.insert_one({"workspace_id": "w1", "workflow_id": "f1", "n": 1})
    until(lambda: 1 in got(), "the event before", every_s=0.05)
    restart()
    for n in (2, 3):
        db.etl_logs.insert_one({"workspace_id": "w1", "workflow_id": "f1", "n": n})
        until(lambda: n in got(), "the events after", WAIT_S, every_s=0.05)
    assert [n for n in got() if n] == [1, 2, 3]


def test_the_script(db, page):
    """A page with a ticket gets events, and goes on after a restart."""
    follow_over_a_restart(db, page, 0)


@pytest.mark.long
def test_the_script_with_an_old_ticket(db, page):
    """The same when the ticket that the browser comes back with is too old: it goes on by `renew`."""
    follow_over_a_restart(db, page, 33)


# --- MongoDB ----------------------------------------------------------------------------------------


class LockedMongod(Mongod):
    """A mongod that lets nobody in without a password."""

    def _make_user(self) -> None:
        """By the exception for localhost, before there is anybody."""
        self.client.admin.command("createUser", "root", pwd=ROOT_PASSWORD, roles=["root"])
        self.client.close()
        self.client = pymongo.MongoClient(f"mongodb://root:{ROOT_PASSWORD}@127.0.0.1:{self.port}/?replicaSet=tw")


ROOT_PASSWORD, READER_PASSWORD = remember("the-password-of-root"), remember("the-password-of-tailwater")
SERVICE = remember("the-token-of-the-etl-service")


@pytest.fixture
def locked(tmp_path):
    (tmp_path / "key").write_text("aKeyThatTheMembersOfTheSetShare0123456789")
    (tmp_path / "key").chmod(0o400)
    node = LockedMongod("--auth", "--keyFile", str(tmp_path / "key"))
    try:
        yield node.start()
    finally:
        node.stop()


def test_the_role(locked, launch, hub):
    """With the privileges of the page, and no others, everything works: streams, history, grants, publishing."""
    granted = PERMISSIONS.findall(block("js", "createRole"))
    assert len(granted) == 4
    privileges = [{"resource": {"db": db, "collection": name}, "actions": re.findall(r"\w+", actions)} for db, name, actions in granted]
    admin = locked.client.admin
    admin.command("createRole", "tailwater", privileges=privileges, roles=[])
    admin.command("createUser", "tailwater", pwd=READER_PASSWORD, roles=["tailwater"])
    locked.client.datashop.grants.insert_one({"_id": "ann", "read": ["logs:etl:w1:*", "metrics:w1"]})

    uri = f"mongodb://tailwater:{READER_PASSWORD}@127.0.0.1:{locked.port}/?replicaSet=tw&authSource=admin"
    services = [{"name": "s", "service": "etl", "token_sha256": sha256(SERVICE), "publish": ["logs:etl:*", "metrics:*"]}]
    server = launch({"mongodb": {"uri": uri}, "sources": [{"name": "logs", "tag": "a", "database": "datashop", "mappings": [ETL.config]}],
                     "auth": by_secret(services=services, grants_collection="datashop.grants")})
    ann = bearer(token(claims("ann")))
    stream = hub.open(server.port, {"channels": "logs:*,metrics:*"}, headers=ann)
    stream.wait_ready()
    said = {"Content-Type": "application/json", **bearer(SERVICE)}
    keys = b'"service":"etl","workspace_id":"w1","workflow_id":"f1"'
    first = server.request("POST", "/api/logs/publish", said, body=b'{%s,"logData":{"n":1}}' % keys)
    second = server.request("POST", "/api/publish", said, body=b'{"channel":"metrics:w1","event":"tick","data":{"n":2}}')
    assert (first.status, second.status) == (201, 201), (first, second)
    assert [f.json["channel"] for f in stream.wait_events(2)] == [CHANNEL, "metrics:w1"]
    assert len(server.get("/api/logs/history?channels=logs:*", ann).json["events"]) == 1
    assert server.get(f"/api/logs/event?channel={CHANNEL}&id={first.json['_id']}", ann).status == 200
    source = server.health()["sources"][0]
    assert source["oplog_window_s"] >= 0 and source["errors"] == 0 and source["last_error"] is None
