"""Properties of src/mongo/bson_json.c: any document becomes one line of valid JSON that says what it should.

Needs the program bson-event: $TAILWATER_BSON_EVENT, else build*/test/tools/bson-event. Repeat a run with
TAILWATER_SEED=<the seed that it printed>.
"""

from __future__ import annotations

import json
import math
import os
import random
import re
import struct
import subprocess
from collections.abc import Iterable
from pathlib import Path

import bson
import pytest
from bson import json_util

from raw_bson import PIECES, Members, any_document, document, nested, plain, repaired, string

SEED = int(os.environ.get("TAILWATER_SEED") or random.SystemRandom().randrange(2**32))
ROOT = Path(__file__).resolve().parents[2]
RUN_S = 60  # far above what any run needs
UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")  # must stand escaped: some clients split lines there


@pytest.fixture
def rnd(request) -> random.Random:
    print(f"TAILWATER_SEED={SEED}")
    return random.Random(f"{SEED} {request.node.name}")


@pytest.fixture(scope="session")
def program() -> str:
    named = os.environ.get("TAILWATER_BSON_EVENT")
    built = sorted(ROOT.glob("build*/test/tools/bson-event"), key=lambda p: p.stat().st_mtime)
    if not named and not built:
        pytest.skip("bson-event is not built: meson compile -C build")
    return named or str(built[-1])


def convert(program: str, documents: Iterable[bytes], *arguments: str) -> list[str]:
    """One line a document."""
    stdin = b"".join(struct.pack("<I", len(d)) + d for d in documents)
    done = subprocess.run([program, *arguments], input=stdin, capture_output=True, timeout=RUN_S)
    assert done.returncode == 0 and not done.stderr, done.stderr.decode(errors="replace")
    lines = done.stdout.decode("utf-8").split("\n")
    assert lines.pop() == ""
    return lines


def parse(line: str) -> object:
    """Strictly: no NaN, no line separator of any kind inside, objects as pairs."""
    def refuse(name: str) -> None:
        raise ValueError(name)

    assert not UNSAFE.search(line), repr(line)
    return json.loads(line, object_pairs_hook=Members, parse_constant=refuse)


def same(got: object, want: object) -> bool:
    """Equal, and of the same type; doubles to the bit."""
    if isinstance(want, float):
        return isinstance(got, float) and got == want and math.copysign(1, got) == math.copysign(1, want)
    if isinstance(want, Members):
        return isinstance(got, Members) and [k for k, _ in got] == [k for k, _ in want] and all(same(g, w) for (_, g), (_, w) in zip(got, want))
    if isinstance(want, list):
        return type(got) is list and len(got) == len(want) and all(map(same, got, want))
    return type(got) is type(want) and got == want


def test_any_document(program, rnd):
    """Every type, any bytes in strings and keys, duplicate keys: equal to the reference conversion."""
    documents = [any_document(rnd) for _ in range(6000)]
    for source, line in zip(documents, convert(program, documents, "json"), strict=True):
        assert same(parse(line), plain(source)), f"seed {SEED}: {source.hex()} became {line}"


def test_utf8_is_repaired_as_python_does(program, rnd):
    """One U+FFFD for each maximal bad part, as bytes.decode("utf-8", "replace") does it."""
    texts = [rnd.randbytes(rnd.randint(1, 12)) for _ in range(3000)]
    texts += [b"".join(rnd.choices(PIECES, k=rnd.randint(1, 8))) for _ in range(3000)]
    texts += [bytes([a, b, c]) for a in (0xE0, 0xED, 0xEF, 0xF0, 0xF4) for b in (0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0) for c in (0x41, 0x80, 0xBF)]
    documents = [document(b"\x02s\0" + string(t)) for t in texts]
    for text, line in zip(texts, convert(program, documents, "json"), strict=True):
        assert parse(line) == [("s", repaired(text))], f"seed {SEED}: {text.hex()}"


def test_doubles_read_back(program, rnd):
    """Every finite double comes back to the bit, and short ones are short."""
    values = [struct.unpack("<d", rnd.randbytes(8))[0] for _ in range(8000)]
    values += [round(rnd.uniform(-1e9, 1e9), rnd.randint(0, 9)) for _ in range(4000)]
    values += [rnd.randint(-2**70, 2**70) * 2.0**rnd.randint(-80, 20) for _ in range(2000)]
    values = [v for v in values if math.isfinite(v)]
    documents = [document(b"\x01d\0" + struct.pack("<d", v)) for v in values]
    for value, line in zip(values, convert(program, documents, "json"), strict=True):
        ((_, got),) = parse(line)
        assert same(got, value), f"seed {SEED}: {value!r} became {line}"
        assert len(line) <= len('{"d":}') + max(len(repr(value)) + 2, 24)


def test_depth_is_bounded(program):
    """Level 101 is null; twenty thousand levels are no problem."""
    for array in (False, True):
        for levels in (99, 100, 101, 150, 20_000):
            (line,) = convert(program, [nested(levels, array)], "json")
            assert line.count("[") + line.count("{") == min(levels, 100)
            assert ("null" in line) == (levels > 100)
            parse(line)


def broken(rnd: random.Random, source: bytes) -> bytes:
    """Bytes changed, cut off or put in; the outer length is mostly put right, so that the inside is read."""
    data = bytearray(source)
    for _ in range(rnd.randint(1, 4)):
        at = rnd.randrange(4, len(data))
        kind = rnd.randrange(5)
        if kind == 0:
            data[at] = rnd.randrange(256)
        elif kind == 1:
            del data[at:at + rnd.randint(1, 8)]
        elif kind == 2:
            data[at:at] = rnd.randbytes(rnd.randint(1, 8))
        elif kind == 3 and len(data) > 12:
            at = min(at, len(data) - 4)
            data[at:at + 4] = struct.pack("<I", rnd.choice([0, 1, 4, 5, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, len(data)]))
        else:
            data[at] ^= 1 << rnd.randrange(8)
        if len(data) < 6:
            break
    if rnd.random() < 0.9 and len(data) >= 5:
        data[:4] = struct.pack("<I", len(data))
        data[-1] = 0
    return bytes(data)


@pytest.mark.parametrize("style", ["plain", "relaxed"])
def test_broken_documents(program, rnd, style):
    """Corrupt bytes never crash, never hang and always give one line of valid JSON."""
    documents = [broken(rnd, any_document(rnd)) for _ in range(8000)]
    for source, line in zip(documents, convert(program, documents, "json", "--style", style), strict=True):
        try:
            parse(line)
        except ValueError as problem:
            pytest.fail(f"seed {SEED}: {source.hex()} became {line!r}: {problem}")


def decoded(source: bytes) -> dict | None:
    try:
        return bson.decode(source)
    except (bson.errors.BSONError, ValueError, OverflowError):
        return None


def test_relaxed_is_extended_json(program, rnd):
    """What pymongo reads from the Extended JSON is what it reads from the BSON."""
    pairs = [(d, decoded(d)) for d in (any_document(rnd) for _ in range(4000))]
    pairs = [(d, v) for d, v in pairs if v is not None and len(plain(d)) == len(v)]
    assert len(pairs) > 200
    lines = convert(program, [d for d, _ in pairs], "json", "--style", "relaxed")
    options = json_util.JSONOptions(json_mode=json_util.JSONMode.RELAXED, tz_aware=False)
    for (source, value), line in zip(pairs, lines, strict=True):
        parse(line)
        try:
            want = json_util.loads(json_util.dumps(value, json_options=options), json_options=options)
        except (ValueError, OverflowError, TypeError):
            continue  # pymongo's own writer cannot do this one
        got = json_util.loads(line, json_options=options)
        assert repr(got) == repr(want), f"seed {SEED}: {source.hex()} became {line}"


def project(value: object, paths: list[list[str]], only: bool, top: bool = True) -> object:
    """only and omit, as a projection does it: arrays are passed through."""
    if type(value) is list:
        kept = [v for v in value if isinstance(v, list) or not only]
        return [project(v, paths, only, False) if isinstance(v, list) else v for v in kept]
    result = Members()
    for key, inner in value:
        here = [p[1:] for p in paths if p[0] == key]
        if [] in here:
            if only:
                result.append((key, inner))
        elif here:
            if isinstance(inner, list):
                result.append((key, project(inner, here, only, False)))
            elif not only:
                result.append((key, inner))
        elif not only or (top and key == "_id"):
            result.append((key, inner))
    return result


@pytest.mark.parametrize("option", ["only", "omit"])
def test_filters(program, rnd, option):
    """--only and --omit give the projection of the unfiltered result."""
    for _ in range(40):
        names = ["a", "b", "c", "_id"]
        documents = [bson.encode(tree(rnd, names)) for _ in range(60)]
        paths = [[rnd.choice(names) for _ in range(rnd.randint(1, 3))] for _ in range(rnd.randint(1, 4))]
        lines = convert(program, documents, "json", f"--{option}", ",".join(".".join(p) for p in paths))
        for source, line in zip(documents, lines, strict=True):
            assert same(parse(line), project(plain(source), paths, option == "only")), f"seed {SEED}: {paths} {line}"


def tree(rnd: random.Random, names: list[str], depth: int = 0) -> dict:
    return {n: branch(rnd, names, depth) for n in rnd.sample(names, rnd.randint(0, len(names)))}


def branch(rnd: random.Random, names: list[str], depth: int) -> object:
    if depth > 3 or rnd.random() < 0.35:
        return rnd.choice([1, "x", None, True])
    if rnd.random() < 0.4:
        return [branch(rnd, names, depth + 1) for _ in range(rnd.randint(0, 3))]
    return tree(rnd, names, depth + 1)


MAPPINGS = [{"collections": ["etl"], "channel": "logs:etl:{w}:{f}", "labels": {"service": "etl"}}]


@pytest.mark.parametrize("most", [400, 1000, 60_000])
def test_events_always_fit(program, rnd, tmp_path, most):
    """The event of any document is valid JSON and never longer than max_event_bytes; a cut one tells its size."""
    file = tmp_path / "mappings.json"
    file.write_text(json.dumps(MAPPINGS))
    head = b"\x02w\0" + string(b"w1") + b"\x02f\0" + string(b"f1")
    documents = []
    for _ in range(400):
        fields = [rnd.choice([b"_id", b"level", b"time", b"message", b"pad"]) for _ in range(4)]
        body = b"".join(b"\x02" + f + b"\0" + string(b"".join(rnd.choices(PIECES, k=rnd.randint(0, 3 * most // 16)))) for f in fields)
        documents.append(document(head + body))
    arguments = [str(file), "shop", "etl", "--max", str(most)]
    cut = convert(program, documents, "event", *arguments)
    whole = convert(program, documents, "event", *arguments, "--whole")
    for source, cut_line, whole_line in zip(documents, cut, whole, strict=True):
        outcome, channel, line = cut_line.split("\t")
        full = whole_line.split("\t")[2]
        assert (outcome, channel) == ("built", "logs:etl:w1:f1")
        event = dict(parse(line))
        size = len(full.encode())
        assert len(line.encode()) <= most
        assert ("truncated" in event) == (size > most)
        assert event.get("size", size) == size
        assert {k for k, _ in event["log_data"]} <= {k for k, _ in plain(source)}
