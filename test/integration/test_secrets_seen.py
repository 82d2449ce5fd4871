"""The search for secrets in logs finds them: whole, in pieces, and in what a real server and a real command write."""

from __future__ import annotations

import secrets

import pytest

import secrets_seen
from conftest import ETL
from secrets_seen import PIECE, judge, remember
from server import run_cli


@pytest.fixture
def secret():
    """A secret that is forgotten afterwards, for this module puts it into logs on purpose."""
    before = dict(secrets_seen._pieces)
    yield remember(secrets.token_hex(40))
    secrets_seen._pieces.clear()
    secrets_seen._pieces.update(before)


def test_whole_and_in_pieces(secret):
    judge("a line\nanother with nothing", "the log")
    for leaked in secret, secret[:2 * PIECE], secret[7:7 + 2 * PIECE], f"x{secret[-2 * PIECE:]}y":
        with pytest.raises(AssertionError, match="a secret is in the log"):
            judge(f"a line\nsomething {leaked} else", "the log")
    judge(secret[:PIECE - 1], "the log")
    with pytest.raises(AssertionError, match="too short"):
        remember("short")


def test_in_the_log_of_a_server(serve, secret):
    """A server is judged by all that it wrote."""
    server = serve(ETL)
    server.judge_log()
    server.lines.append(f"token {secret}")
    with pytest.raises(AssertionError, match="a secret is in the log"):
        server.judge_log()
    server.lines.pop()


def test_in_what_a_command_says(secret):
    with pytest.raises(AssertionError, match="standard error"):
        run_cli("check", config={secret: 1})
