"""
What must never be in a log: every token, ticket and secret that a test uses.

    from secrets_seen import remember

    token = remember(make_jwt(...))              # returns what it was given, so that it can stand where the token is made
    server.get("/api/logs/stream", {"Authorization": f"Bearer {remember('service-token-1')}"})

remember() it before a server gets it, wrong and expired ones, too. Nothing else is needed: whatever a server of this run
writes is searched when it ends (Server.judge_log), and what commands write to standard error (run_cli); a secret, or a
piece of PIECE or more bytes of one, fails the test. A value that is expected in a log by itself (a user's name) is no
secret; a text shorter than SHORTEST would be found by chance and is refused.
"""

from __future__ import annotations

from mongod import PASSWORD

SHORTEST = 8  # bytes of a secret
PIECE = 20    # a part of a longer one that counts as found

_pieces: dict[str, None] = {}  # in the order they came


def remember(secret: str) -> str:
    """From now on no log may hold it; returns it."""
    assert len(secret) >= SHORTEST, f"too short to be searched for: {secret!r}"
    _pieces[secret] = None
    for at in range(0, len(secret) - PIECE + 1, PIECE):
        _pieces[secret[at:at + PIECE]] = None
    return secret


def found_in(text: str) -> str | None:
    """The first remembered secret, or piece of one, that text holds."""
    return next((piece for piece in _pieces if piece in text), None)


def judge(text: str, where: str) -> None:
    """Fails when text holds a secret; says with which line."""
    piece = found_in(text)
    if piece is not None:
        line = next((line for line in text.splitlines() if piece in line), "")
        raise AssertionError(f"a secret is in {where}: {piece!r} in {line[:400]!r}")


remember(PASSWORD)
