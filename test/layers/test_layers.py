"""The layers of src/README.md hold: what a layer must not include, it cannot include.

Each forbidden header is preprocessed with the very flags that the layer is compiled with, and must not be found.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src"
BUILD = Path(os.environ.get("TAILWATER_BUILD") or ROOT / "build")

#: The layers that each may see, besides itself; app sees all.
SEES = {"base": [], "core": ["base"], "auth": ["base", "core"], "mongo": ["base", "core"],
        "http": ["base", "core", "auth"]}
LAYERS = [*SEES, "app"]


def headers(layer: str) -> list[str]:
    return sorted(p.name for p in (SOURCE / layer).glob("*.h"))


@cache
def flags(layer: str) -> tuple[str, ...]:
    """How one of the layer's files is compiled: compiler, include directories, definitions."""
    for entry in json.loads((BUILD / "compile_commands.json").read_text()):
        if re.search(rf"src/{layer}/\w+\.c$", entry["file"]):
            command = entry.get("arguments") or shlex.split(entry["command"])
            return (command[0], *(a for a in command[1:] if re.match(r"-(I|isystem|D|std)", a)))
    raise LookupError(f"no file of {layer} in {BUILD}/compile_commands.json")


def include(layer: str, header: str) -> str:
    """Preprocess a file of the layer that includes a header; what the compiler complains of."""
    result = subprocess.run([*flags(layer), "-E", "-x", "c", "-o", os.devnull, "-"], cwd=BUILD, text=True,
                            input=f'#include "{header}"\n', capture_output=True)
    return result.stderr if result.returncode else ""


def is_missing(complaint: str, header: str) -> bool:
    return re.search(rf"{re.escape(header)}.*(No such file|file not found)", complaint) is not None


@pytest.mark.parametrize("layer", LAYERS)
def test_sees_what_it_may(layer):
    for below in [layer, *SEES.get(layer, [])]:
        for header in headers(below):
            assert not is_missing(include(layer, header), header), f"{layer} does not find {below}/{header}"


@pytest.mark.parametrize("layer", SEES)
def test_does_not_see_the_layers_above_and_beside(layer):
    for other in LAYERS:
        if other != layer and other not in SEES[layer]:
            for header in headers(other):
                assert is_missing(include(layer, header), header), f"{layer} can include {other}/{header}"


@pytest.mark.parametrize("layer", ["base", "core", "auth", "http"])
@pytest.mark.parametrize("header", ["mongoc/mongoc.h", "bson/bson.h"])
def test_only_mongo_sees_the_driver(layer, header):
    assert is_missing(include(layer, header), header)


def including(pattern: str) -> list[str]:
    found = []
    for file in sorted(SOURCE.rglob("*.[ch]")):
        if re.search(rf'^\s*#\s*include\s*[<"]{pattern}', file.read_text(), re.M):
            found.append(str(file.relative_to(SOURCE)))
    return found


def test_no_include_climbs_out_of_its_layer():
    assert including(r"\.\./") == []


def test_one_file_knows_evhttp():
    """Its traps are kept in one place (these headers lie where every layer's compiler looks)."""
    assert including(r"event2/http(_struct)?\.h") == ["http/exchange.c"]


def test_only_http_and_app_know_libevent():
    assert {name.split("/")[0] for name in including(r"event2/")} <= {"http", "app"}
