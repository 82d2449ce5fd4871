"""Property of src/mongo/inverse.c: the query finds every document whose channel is asked for, and few others.

Needs the programs bson-event and inverse-query ($TAILWATER_BUILD/test/tools, else build/) and a mongod, as the integration
tests do. Repeat a run with TAILWATER_SEED=<the seed that it printed>.
"""

from __future__ import annotations

import json
import os
import random
import struct
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import bson
import pytest
from bson import Binary, Decimal128, Int64, ObjectId, json_util

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "test/integration"))

from mongod import Mongod, find_mongod  # noqa: E402
from oracle import covers  # noqa: E402

SEED = int(os.environ.get("TAILWATER_SEED") or random.SystemRandom().randrange(2**32))
ROUNDS, DOCUMENTS, ASKED = 40, 150, 25
FIELDS = ["w", "f", "g", "m.w", "m.n.w"]
OID, UUID = "6b0169cd6b0169cd6b0169cd", "12345678-1234-5678-1234-567812345678"
VALUES = [5, Int64(5), "5", -7, "-7", "05", Int64(2**40), str(2**40), ObjectId(OID), OID, Binary.from_uuid(uuid.UUID(UUID)), UUID,
          "a", "b", "*", "a:b", "x y", "%41", "ü", "\0", "c_1", "db"]
STRANGE = [None, "", 1.5, 5.0, True, [], ["a"], [None], {}, {"w": "a"}, Decimal128("5"), "x" * 129, Binary(b"x" * 16)]


@pytest.fixture(scope="module")
def tools() -> Path:
    folder = Path(os.environ.get("TAILWATER_BUILD") or ROOT / "build") / "test/tools"
    if not (folder / "inverse-query").exists():
        pytest.skip("inverse-query is not built: meson compile -C build")
    return folder


@pytest.fixture(scope="module")
def mongo() -> Iterator[Mongod]:
    if not find_mongod():
        pytest.skip("no mongod found: set TAILWATER_TEST_MONGOD")
    node = Mongod(replica_set=False)
    try:
        yield node.start()
    finally:
        node.stop()


def random_template(rnd: random.Random) -> str:
    fields = rnd.sample(FIELDS, len(FIELDS))
    parts = [rnd.choice(["logs", "x"])]
    for _ in range(rnd.randint(1, 4)):
        kind = rnd.randrange(8)
        if kind < 5 and fields:
            names = [fields.pop() for _ in range(min(len(fields), rnd.choice([1, 1, 2, 3])))]
            parts.append("{" + "|".join(names) + "}")
        else:
            parts.append(rnd.choice(["lit", "{$collection}", "{$database}"]))
    return ":".join(parts)


def put(document: dict, path: str, value: object, rnd: random.Random) -> None:
    """Set a dotted path: nested, as one key that holds the dots, or below an array."""
    cut = rnd.randint(1, path.count(".") + 1) if "." in path and rnd.random() < 0.3 else 1
    *above, last = path.split(".")
    if cut > 1:
        last = ".".join([*above, last][-cut:])
        above = path.split(".")[:-cut]
    for step in above:
        inner = document.setdefault(step, {})
        if not isinstance(inner, dict):
            return
        document = inner
    document[last] = [{"w": value}] if "." in path and rnd.random() < 0.05 else value


def random_document(rnd: random.Random, number: int) -> dict:
    document: dict = {"_id": number}
    for path in FIELDS:
        if rnd.random() < 0.65:
            put(document, path, rnd.choice(VALUES if rnd.random() < 0.85 else STRANGE), rnd)
    return document


def random_pattern(rnd: random.Random, channels: list[str]) -> str:
    parts = rnd.choice(channels).split(":")
    parts = [rnd.choice(["*", "a", "5", "%2A"]) if rnd.random() < 0.2 else p for p in parts]
    if rnd.random() < 0.4:
        parts = parts[:rnd.randint(1, len(parts))] + ["*"]
    return ":".join(parts[:8])


def forward(tools: Path, mappings: Path, documents: list[dict]) -> list[str | None]:
    """The channel of each document, None where it has none."""
    stdin = b"".join(struct.pack("<I", len(d)) + d for d in map(bson.encode, documents))
    done = subprocess.run([tools / "bson-event", "event", mappings, "db", "c_1"], input=stdin, capture_output=True, check=True, timeout=60)
    rows = [line.split("\t") for line in done.stdout.decode().split("\n")[:-1]]
    return [r[1] if r[0] == "built" else None for r in rows]


def queries(tools: Path, mappings: Path, asked: list[list[str]]) -> list[dict | None]:
    stdin = "".join(f"c_1\t{','.join(patterns)}\n" for patterns in asked)
    done = subprocess.run([tools / "inverse-query", mappings, "db"], input=stdin.encode(), capture_output=True, check=True, timeout=60)
    lines = done.stdout.decode().split("\n")[:-1]
    return [None if line == "nothing" else json_util.loads(line) for line in lines]


def test_the_query_never_misses(tools, mongo, tmp_path):
    """Random templates, documents and patterns: all wanted documents; none other that has a channel, unless fields have dots."""
    print(f"TAILWATER_SEED={SEED}")
    rnd = random.Random(SEED)
    found_all = wanted_all = 0
    for n in range(ROUNDS):
        template = random_template(rnd)
        mappings = tmp_path / f"{n}.json"
        mappings.write_text(json.dumps([{"collections": ["c_1"], "channel": template, "event": "log"}]))
        documents = [random_document(rnd, i) for i in range(DOCUMENTS)]
        collection = mongo.client.db[f"r{n}"]
        collection.insert_many(documents)
        channels = forward(tools, mappings, documents)
        known = [c for c in channels if c] or ["logs:none"]
        asked = [[random_pattern(rnd, known) for _ in range(rnd.randint(1, 4))] for _ in range(ASKED)]
        for patterns, query in zip(asked, queries(tools, mappings, asked), strict=True):
            wanted = {i for i, c in enumerate(channels) if c and any(covers(p, c) for p in patterns)}
            found = set() if query is None else {d["_id"] for d in collection.find(query, {"_id": 1})}
            where = f"seed {SEED}: {template} asked for {patterns}: {query}"
            assert wanted <= found, f"{where} misses {[documents[i] for i in wanted - found][:3]}"
            routable = {i for i in found if channels[i]}
            if "." not in template:
                assert routable == wanted, f"{where} also finds {[documents[i] for i in routable - wanted][:3]}"
            found_all, wanted_all = found_all + len(routable), wanted_all + len(wanted)
    assert wanted_all > ROUNDS * 20 and found_all < wanted_all * 3, (found_all, wanted_all)
