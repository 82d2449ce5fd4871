"""`tailwater token`: making, examining and hashing tokens on the command line."""

from __future__ import annotations

import hashlib
import subprocess

from conftest import ETL
from identities import SECRET, STREAM, bearer, by_secret
from secrets_seen import remember
from server import binary, clean_environment, run_cli

BAD_CONFIG = 78  # EX_CONFIG
AUTH = {"auth": {"jwt": {"secret": SECRET}, "grants": {"everyone": ["alerts:{user}"]}}}


def make(*arguments: str, config: dict = AUTH) -> str:
    """A token, which is all that is said; no MongoDB is configured."""
    result = run_cli("token", "make", *arguments, config=config)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.count("\n") == 1
    return remember(result.stdout.strip())


def hashed(token: bytes, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([binary(), "token", "hash", *arguments], input=token, capture_output=True,
                          env=clean_environment(), timeout=30)


def test_made_and_examined():
    """Who it is, until when, and what they may read by token and configuration."""
    token = make("--user", "a:*", "--workspace=w1", "--channels", "logs:etl:*,metrics:w1", "--expires=90s")
    result = run_cli("token", "check", token, config=AUTH)
    assert result.returncode == 0
    lines = result.stdout.splitlines()
    assert lines[:2] == ["user: a:*", "workspace: w1"]
    assert lines[2].startswith("expires: 20") and 80 <= int(lines[2].split("in ")[1].split()[0]) <= 90
    assert lines[3:] == ["may read:", "  alerts:a%3A%2A", "  logs:etl:*", "  metrics:w1"]


def test_what_is_wrong_with_it():
    """A sentence and exit code 1; the token is in no output."""
    token = make("--user=ann")
    other = {"auth": {"jwt": {"secret": remember("another-secret-of-at-least-32-bytes!")}}}
    for config, reason in ((other, "the token's signature is wrong"), ({}, "no auth is configured"),
                           ({"auth": AUTH["auth"] | {"jwt": {"secret": SECRET, "audience": "x"}}}, "audience")):
        result = run_cli("token", "check", token, config=config)
        assert result.returncode == 1 and reason in result.stderr, result
        assert token not in result.stdout + result.stderr and result.stdout == ""


def test_nothing_to_sign_with():
    """With a key set alone it says what to do; a bad configuration is told as ever."""
    result = run_cli("token", "make", "--user=ann", config={"auth": {"anonymous": ["a"]}})
    assert result.returncode == 1 and "auth.jwt.secret is not configured" in result.stderr
    result = run_cli("token", "make", "--user=ann", config={"auth": {"jwt": {"secret": "short"}}})
    assert result.returncode == BAD_CONFIG and "at least 32" in result.stderr
    assert run_cli("token", "make", config=AUTH).returncode == 2


def test_hash():
    """SHA-256 of what comes on standard input, never of an argument."""
    token = b"a-service-token-of-some-length"
    result = hashed(token + b"\n")
    assert result.stdout.decode() == f"token_sha256: {hashlib.sha256(token).hexdigest()}\n" and result.stderr == b""
    result = hashed(b"", "--new")
    made, digest = (line.split(": ")[1] for line in result.stdout.decode().splitlines())
    assert hashlib.sha256(made.encode()).hexdigest() == digest and len(made) == 64
    refused = run_cli("token", "hash", remember("a-token-on-the-command-line"))
    assert refused.returncode == 2 and "standard input" in refused.stderr


def test_a_made_token_reads(serve):
    """What the command line makes, the server believes."""
    server = serve(ETL, auth=by_secret())
    token = make("--user=ann", "--channels=logs:etl:w1:*", config=server.config)
    assert server.request("HEAD", f"{STREAM}?channels=logs:*", bearer(token)).status == 200
