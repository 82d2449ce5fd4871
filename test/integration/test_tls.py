"""The listener speaking TLS: versions, streams, slow readers, certificates that change, clients that don't belong."""

from __future__ import annotations

import os
import random
import select
import signal
import socket
import ssl
import stat
import subprocess
import threading
import time
from pathlib import Path

import pytest

import certificates
from certificates import Certificate, openssl
from conftest import ETL
from deadline import PATIENCE, WAIT_S, until
from http1 import head_bytes
from server import is_sanitized, run_cli
from test_resources import open_file_limit
from test_strict_http import HEALTH, SHAPES, answers, get, judge_refusal
from tls_client import TlsServer, connect, exchange, open_streams, read_all, read_answer, trusting

STREAM = "/api/logs/stream?channels=logs:etl:w1:f1"
KEYS = {"workspace_id": "w1", "workflow_id": "f1"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def certificate(folder) -> Certificate:
    return certificates.make(folder, "localhost")


@pytest.fixture
def secure(mongo, dbname, certificate):
    """Start servers that speak TLS, on the test's database."""
    servers: list[TlsServer] = []

    def start(use: Certificate = certificate, **options) -> TlsServer:
        source = {"name": "logs", "tag": "a", "database": dbname, "mappings": [ETL.config]}
        config = {"mongodb": {"uri": mongo.uri, "max_await_ms": 100}, "sources": [source], **options}
        servers.append(TlsServer(use, config))
        return servers[-1].start()

    yield start
    failures = []
    for server in servers:
        try:
            server.dispose()
        except AssertionError as error:
            failures.append(str(error))
    assert not failures, "\n".join(failures)


def insert(db, count: int, pad: int = 0, start: int = 0) -> None:
    for at in range(start, start + count, 500):
        numbers = range(at, min(at + 500, start + count))
        db.etl_logs.insert_many([KEYS | {"n": n, "pad": "x" * pad} for n in numbers])


def numbers(stream) -> list[int]:
    return [f.json["log_data"]["n"] for f in stream.events]


# --- speaking ------------------------------------------------------------------------------------------------


def test_streams_and_answers(secure, db, hub):
    """Everything that works without TLS works with it; the log names the address as https."""
    server = secure()
    assert any(f"https://127.0.0.1:{server.port}" in line for line in server.lines)
    assert server.get("/").status == 200 and server.get("/nothing").status == 404
    stream, old = (open_streams(hub, server, [STREAM], version=v)[0] for v in ("1.1", "1.0"))
    for s in (stream, old):
        s.wait_ready()
    insert(db, 200)
    for s in (stream, old):
        s.wait_events(200)
        assert numbers(s) == list(range(200))
    page = server.get("/api/logs/history?channels=logs:etl:w1:f1&limit=200")
    assert page.status == 200 and len(page.json["events"]) == 200
    resumed = open_streams(hub, server, [f"{STREAM}&last_event_id={stream.events[99].id}"])[0]
    resumed.wait_events(100)
    assert numbers(resumed) == list(range(100, 200))
    until(lambda: server.connections == 3, "three streams")
    for s in (stream, old, resumed):
        s.abort()
    until(lambda: server.connections == 0, "they are gone")


def test_versions_and_ciphers(secure, certificate):
    """TLS 1.3 and 1.2 with forward secrecy; nothing older, nothing weaker, no other protocol inside."""
    server = secure()
    for version, suites in ((ssl.TLSVersion.TLSv1_3, None), (ssl.TLSVersion.TLSv1_2, "ECDHE+AESGCM")):
        context = trusting(certificate)
        context.minimum_version = context.maximum_version = version
        if suites:
            context.set_ciphers(suites)
        with connect(server.port, context) as s:
            assert s.version() in ("TLSv1.2", "TLSv1.3") and s.selected_alpn_protocol() == "http/1.1"
            s.sendall(HEALTH)
            assert read_answer(s).status == 200
    for arguments in (("-tls1", "-cipher", "ALL:@SECLEVEL=0"), ("-tls1_1", "-cipher", "ALL:@SECLEVEL=0"),
                      ("-tls1_2", "-cipher", "AES128-SHA:AES128-GCM-SHA256:@SECLEVEL=0"),
                      ("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0"), ("-alpn", "h2")):
        said = openssl("s_client", "-connect", f"127.0.0.1:{server.port}", *arguments, text="")
        assert "alert" in said and "Cipher is (NONE)" in said, (arguments, said)
    assert server.get("/health").status == 200


def test_renegotiation_and_early_data_are_refused(secure, folder):
    """Neither lets a client make the server work, or say a request twice."""
    server = secure()
    client = subprocess.Popen(["openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", "-tls1_2"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    client.stdin.write("R\n")
    client.stdin.flush()
    try:
        said, _ = client.communicate(timeout=WAIT_S)
    except subprocess.TimeoutExpired:
        client.kill()
        raise
    assert "RENEGOTIATING" in said and "no renegotiation" in said, said
    session, request = folder / "session", folder / "request"
    request.write_bytes(HEALTH)
    first = openssl("s_client", "-connect", f"127.0.0.1:{server.port}", "-tls1_3", "-sess_out", session, "-ign_eof",
                    text=get(b"Connection: close\r\n").decode())
    assert "Max Early Data: 0" in first, first
    second = openssl("s_client", "-connect", f"127.0.0.1:{server.port}", "-tls1_3", "-sess_in", session, "-early_data",
                     request, text="")
    assert "Early data was not sent" in second or "Early data was rejected" in second, second


def test_sessions_are_resumed(secure, certificate):
    """A client that comes again spares both sides the signature."""
    server = secure()
    context = trusting(certificate)
    with connect(server.port, context) as s:
        s.sendall(HEALTH)
        s.recv(65536)
        session = s.session
    with connect(server.port, context, session) as s:
        s.sendall(HEALTH)
        assert s.recv(65536).startswith(b"HTTP/1.1 200") and s.session_reused


# --- large and slow -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pad, queue_bytes", [(100, 65536), (4000, 65536), (50_000, 1_000_000)])
def test_slow_reader_gets_everything(secure, db, hub, pad, queue_bytes):
    """Small frames, shared ones and shared runs through full sockets: the slow one gets the quick one's bytes."""
    server = secure(limits={"queue_bytes": queue_bytes}, journal={"bytes": 128 * 1024 * 1024})
    slow = open_streams(hub, server, [STREAM], receive_buffer=4096)[0]
    quick = open_streams(hub, server, [STREAM] * 2)
    for stream in (slow, *quick):
        stream.wait_ready()
    slow.pause()
    count = 20_000_000 // (pad + 400) // (4 if pad == 100 else 1)
    insert(db, count, pad)
    for stream in quick:
        stream.wait_events(count, WAIT_S * 2)
    before, began = server.cpu_s(), time.monotonic()
    until(lambda: time.monotonic() - began > 1, "a second of standing still", every_s=0.1)
    assert is_sanitized() or server.cpu_s() - before < 0.25  # nobody spins while it stands still
    slow.resume()
    slow.wait_events(count, WAIT_S * 2)
    assert numbers(slow) == list(range(count))
    assert [f.raw for f in slow.events] == [f.raw for f in quick[0].events]
    assert not slow.control("gap")


def test_stop_and_go_at_random(secure, db, hub):
    """Readers that stop and go, of small and large events mixed: each gets all, in order."""
    server = secure(limits={"queue_bytes": 32768}, journal={"bytes": 1024 * 1024})
    rng = random.Random(3)
    streams = open_streams(hub, server, [STREAM] * 6, receive_buffer=4096)
    for stream in streams:
        stream.wait_ready()
    for at in range(0, 3000, 100):
        for stream in rng.sample(streams, 3):
            rng.choice([stream.pause, stream.resume])()
        insert(db, 100, rng.choice([10, 1000, 8000]), at)
    for stream in streams:
        stream.resume()
    for stream in streams:
        stream.wait_events(3000, WAIT_S * 2)
        assert numbers(stream) == list(range(3000))


def test_who_takes_nothing_is_cut(secure, db, hub):
    """A reader that stands still for stall_s is gone; the others are not touched."""
    server = secure(limits={"queue_bytes": 65536, "stall_s": 1})
    slow = open_streams(hub, server, [STREAM], receive_buffer=4096)[0]
    quick = open_streams(hub, server, [STREAM])[0]
    for stream in (slow, quick):
        stream.wait_ready()
    slow.pause()
    insert(db, 3000, 4000)
    quick.wait_events(3000, WAIT_S * 2)
    until(lambda: server.connections == 1, "the one that stood still is gone")


def test_pipelined_requests_without_end(secure):
    """Requests in large records whose answers are not taken: the server stops reading, then goes on where it was,
    also with what lies decrypted already."""
    server = secure()
    one = HEALTH * 400
    with connect(server.port, server.context) as s:
        s.setblocking(False)
        sent, pause = 0, 1.0
        while select.select([], [s], [], pause)[1]:
            try:
                sent += s.send(one[sent % len(HEALTH):][:16000])
            except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
                if not select.select([], [s], [], pause)[1]:
                    break
            if sent > 30_000_000:
                break
        assert sent < 30_000_000, "the server takes requests without end"
        s.settimeout(WAIT_S)
        whole = sent // len(HEALTH)
        rest = sent % len(HEALTH)
        finisher = threading.Thread(target=s.sendall, args=(HEALTH[rest:] + get(b"Connection: close\r\n"),))
        finisher.start()
        answered, data = 0, b""
        while part := s.recv(1 << 20):
            *lines, data = (data + part).split(b"\r\n")
            answered += sum(line.endswith(b"HTTP/1.1 200 OK") for line in lines)
        finisher.join(WAIT_S)
    print(f"\n{sent / 1e6:.1f} MB of requests taken, {answered} answers")
    assert answered in (whole + 2, whole + 1)


def test_what_was_decrypted_while_reading_was_suspended(secure, db):
    """More requests than are kept behind one that waits for MongoDB: reading stops amid a record whose rest OpenSSL holds;
    nothing more comes from the socket, and yet all are answered at once."""
    server = secure()
    insert(db, 5000, 200)
    slow = get(line=b"GET /api/logs/history?channels=logs:etl:w1:f1&limit=1&q=nothing-like-it HTTP/1.1")
    count = 82_000 // len(HEALTH)
    data = slow + HEALTH * count
    for _ in range(5):
        with connect(server.port, server.context) as s:
            began = time.monotonic()
            for at in range(0, len(data), 16_000):
                s.sendall(data[at:at + 16_000])
            for _ in range(1 + count):
                assert read_answer(s).status == 200
            assert time.monotonic() - began < 5 * PATIENCE


# --- ends -----------------------------------------------------------------------------------------------------


def test_leaving_in_every_way(secure, db, hub):
    """RST, close_notify with FIN, FIN without close_notify: noticed at once, and nothing is left."""
    server = secure()

    def leave_politely(s: ssl.SSLSocket) -> None:
        s.settimeout(WAIT_S)
        try:
            s.unwrap()
        except (OSError, ssl.SSLError):
            pass
        s.close()

    def leave_rudely(s: ssl.SSLSocket) -> None:
        os.close(s.detach())

    def reset(s: ssl.SSLSocket) -> None:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        os.close(s.detach())

    request = head_bytes(server.port, "GET", STREAM, {"Accept": "text/event-stream"}, None)
    for leave in (leave_politely, leave_rudely, reset):
        clients = [connect(server.port, server.context) for _ in range(10)]
        for s in clients:
            s.sendall(request)
            s.recv(65536)
        until(lambda: server.connections == 10, "ten streams")
        for s in clients:
            leave(s)
        until(lambda: server.connections == 0, f"gone: {leave.__name__}", 10 * PATIENCE)
    before, began = server.cpu_s(), time.monotonic()
    until(lambda: time.monotonic() - began > 1, "a second of silence", every_s=0.1)
    assert is_sanitized() or server.cpu_s() - before < 0.2


def test_memory_after_thousands_of_visits(secure):
    """Handshakes, answers and leaving leave nothing behind."""
    server = secure(loops=1)
    sizes = []
    for _ in range(4):
        for i in range(500):
            s = connect(server.port, server.context)
            s.sendall(HEALTH if i % 2 else HEALTH[:20])
            if i % 2:
                s.recv(65536)
            s.close()
        sizes.append(server.rss_kb())
    growth = [later - earlier for earlier, later in zip(sizes, sizes[1:])]
    print(f"\nRSS after each 500 visits: {sizes} KiB")
    assert is_sanitized() or min(growth) < 500


@pytest.mark.parametrize("end", ["cut", "clean"])
def test_sigterm(secure, hub, end):
    """Streams are told, their last bytes leave, and TLS says that nothing follows."""
    server = secure(end_of_stream=end)
    with connect(server.port, server.context) as s:
        s.sendall(head_bytes(server.port, "GET", STREAM, {"Accept": "text/event-stream"}, None))
        data = s.recv(65536)
        server.stop()
        data += read_all(s)  # raises where close_notify is missing
    assert b"event: goaway" in data
    assert data.endswith(b"0\r\n\r\n") == (end == "clean")


# --- strict HTTP inside -------------------------------------------------------------------------------------------


def test_shapes_are_refused(secure):
    """The guard sees what was decrypted: the same refusals, the end of the connection said."""
    server = secure()
    for name, (status, data) in SHAPES.items():
        if len(data) > 100_000:
            continue
        found = answers(exchange(server.port, server.context, HEALTH + data + HEALTH))
        assert [a.status for a in found] == [200, status], name
        judge_refusal(found[-1], status)


def test_bodies_over_the_limit(secure):
    """413 before the body is taken."""
    server = secure()
    before = server.rss_kb()
    with connect(server.port, server.context) as s:
        s.sendall(b"POST /api/logs/stream HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\n")
        judge_refusal(answers(read_all(s))[0], 413)
    with connect(server.port, server.context) as s:
        s.sendall(HEALTH)
        assert read_answer(s).status == 200  # and before it come the session tickets
        s.sendall(b"POST /api/logs/stream HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        while not select.select([s], [], [], 0)[0]:
            s.sendall(b"1000\r\n" + b"x" * 4096 + b"\r\n")
        judge_refusal(answers(read_all(s))[0], 413)
    assert is_sanitized() or server.rss_kb() - before < 8000


# --- who does not belong ------------------------------------------------------------------------------------------


def test_plain_http_is_closed_without_noise(secure, hub):
    """Requests without TLS, garbage, and connections that end at once: closed, and the log stays quiet."""
    server = secure()
    stream = open_streams(hub, server, [STREAM])[0]
    stream.wait_ready()
    lines = len(server.lines)
    for data in (HEALTH, b"\0" * 100, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 600, b""):
        for _ in range(100):
            with socket.create_connection(("127.0.0.1", server.port), timeout=WAIT_S) as s:
                s.sendall(data)
                if data:
                    try:
                        answer = s.recv(1000)
                        assert not answer.startswith(b"HTTP"), answer
                    except ConnectionResetError:
                        pass
    assert server.get("/health").status == 200
    assert len(server.lines) - lines <= 2, server.lines[lines:]
    assert not stream.ended


def test_handshake_has_a_deadline(secure, certificate):
    """Silence, and a handshake a byte at a time, end after limits.head_s."""
    server = secure(limits={"head_s": 2})
    hello = bytearray()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    half = trusting(certificate).wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        half.do_handshake()
    hello += outgoing.read()
    silent = socket.create_connection(("127.0.0.1", server.port), timeout=WAIT_S)
    dripping = socket.create_connection(("127.0.0.1", server.port), timeout=WAIT_S)
    began = time.monotonic()
    for s in (silent, dripping):
        s.setblocking(False)

    def is_over(s: socket.socket) -> bool:
        try:
            return s.recv(1000) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def drip() -> bool:
        if is_over(dripping):
            return True
        try:
            dripping.send(bytes([hello.pop(0)]))
        except OSError:
            return True
        return False

    until(drip, "the dripping one's end", every_s=0.1)
    took = time.monotonic() - began
    assert 1.9 <= took < 5 * PATIENCE and hello
    until(lambda: is_over(silent), "the silent one's end")
    for s in (silent, dripping):
        s.close()


# --- certificates ---------------------------------------------------------------------------------------------


def name_shown(port: int) -> str:
    """The common name of the certificate that a new connection is shown."""
    said = openssl("s_client", "-connect", f"127.0.0.1:{port}", "-servername", "localhost", text="")
    return next(line for line in said.splitlines() if line.startswith("subject=")).rpartition("=")[2].strip()


def test_reload(secure, db, hub, folder):
    """SIGHUP: new connections see the new certificate, open streams go on; a bad one changes nothing."""
    first, second, other = (certificates.make(folder, name) for name in ("first", "second", "other"))
    used = Certificate(folder / "used.pem", folder / "used.key")

    def install(chain: bytes, key: bytes) -> None:
        used.chain.write_bytes(chain)
        used.key.write_bytes(key)
        used.key.chmod(0o600)

    install(first.chain.read_bytes(), first.key.read_bytes())
    server = secure(used)
    stream = open_streams(hub, server, [STREAM])[0]
    stream.wait_ready()
    assert name_shown(server.port) == "first"

    install(second.chain.read_bytes(), second.key.read_bytes())
    server.signal(signal.SIGHUP)
    until(lambda: name_shown(server.port) == "second", "the new certificate", every_s=0.2)
    assert any("certificate was read again" in line for line in server.lines)

    for chain, key, sentence in ((b"nonsense", second.key.read_bytes(), "tls.certificate_file"),
                                 (second.chain.read_bytes(), other.key.read_bytes(), "does not belong to the certificate")):
        lines = len(server.lines)
        install(chain, key)
        server.signal(signal.SIGHUP)
        until(lambda: any("the old certificate stays" in line and sentence in line for line in server.lines[lines:]),
              "the refusal is logged")
        assert name_shown(server.port) == "second"
    insert(db, 10)
    stream.wait_events(10)
    server.context = trusting(second)
    assert server.get("/health").status == 200
    install(second.chain.read_bytes(), second.key.read_bytes())


def unreachable(options: dict) -> dict:
    """A configuration with these options of `tls`; nothing is asked of MongoDB before they are checked."""
    return {"tls": options, "mongodb": {"uri": "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=100"},
            "sources": [{"name": "logs", "tag": "a", "database": "d", "mappings": [ETL.config]}]}


def test_bad_options_are_refused_at_the_start(folder, certificate):
    """One sentence that names option and file, and status 78."""
    other = certificates.make(folder, "elsewhere")
    rsa = certificates.make(folder, "rsa", key=("-newkey", "rsa:2048"))
    weak = certificates.make(folder, "weak", key=("-newkey", "rsa:1024"))
    locked, empty = folder / "locked.key", folder / "empty.pem"
    openssl("pkey", "-in", certificate.key, "-aes256", "-passout", "pass:secret", "-out", locked)
    empty.write_text("")
    for options, sentence in [
        ({"certificate_file": str(certificate.chain)}, "tls.certificate_file: TLS needs both"),
        ({"key_file": str(certificate.key)}, "tls.key_file: TLS needs both"),
        ({"certificate_file": "/nowhere.pem", "key_file": str(certificate.key)}, "cannot read /nowhere.pem: No such file"),
        ({"certificate_file": str(certificate.chain), "key_file": "/nowhere.key"}, "cannot read /nowhere.key: No such file"),
        ({"certificate_file": str(empty), "key_file": str(certificate.key)}, "tls.certificate_file: "),
        ({"certificate_file": str(certificate.chain), "key_file": str(certificate.chain)}, "tls.key_file: "),
        ({"certificate_file": str(certificate.chain), "key_file": str(other.key)}, "does not belong to the certificate"),
        ({"certificate_file": str(certificate.chain), "key_file": str(rsa.key)}, "does not belong to the certificate"),
        ({"certificate_file": str(certificate.chain), "key_file": str(locked)}, "is encrypted"),
        (weak.options, "tls.certificate_file: "),
    ]:
        ended = run_cli("check", config=unreachable(options))
        assert ended.returncode == 78 and sentence in ended.stderr + ended.stdout, (options, ended)
        assert "config.yaml:" in ended.stderr + ended.stdout


def test_open_key_and_old_certificate_are_warned_of(folder):
    """They are taken, and the operator is told."""
    old = certificates.make_expired(folder, "old")
    old.key.chmod(old.key.stat().st_mode | stat.S_IROTH)
    ended = run_cli("check", config=unreachable(old.options))
    said = ended.stderr + ended.stdout
    assert "everyone on this machine may read" in said and str(old.key) in said
    assert "the certificate has expired" in said


# --- cost -----------------------------------------------------------------------------------------------------


@pytest.mark.heavy
def test_memory_of_idle_streams(secure, hub):
    """1,000 idle streams: what each costs the server."""
    if open_file_limit() < 4000:
        pytest.skip("4,000 descriptors are needed")
    server = secure()
    open_streams(hub, server, [STREAM] * 20)
    before = server.rss_kb()
    streams = open_streams(hub, server, [STREAM] * 1000)
    for stream in streams:
        stream.wait_ready()
    each = (server.rss_kb() - before) / 1000
    print(f"\n{each:.1f} KiB a stream")
    assert is_sanitized() or each < 40
    for stream in streams:
        stream.abort()
    until(lambda: server.connections == 20, "they are gone")
