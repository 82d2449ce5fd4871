"""The Debian package: built in a copy, installed into a fresh Debian, run there, and removed again."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

import http1
from chroot import Chroot, need_root
from conftest import ROOT
from deadline import PATIENCE, until
from mongod import free_port
from server import binary

FOLDER = ROOT / "deploy/debian"


def copy_of_the_tree(folder: Path) -> Path:
    """What git would give, with debian/ where its tools look for it."""
    tree = folder / "tailwater"
    names = subprocess.run(["git", "-C", ROOT, "ls-files", "-co", "--exclude-standard"], capture_output=True, text=True, check=True)
    for name in names.stdout.splitlines():
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tree / name)
    shutil.copytree(FOLDER, tree / "debian")
    return tree


def test_man_page(tmp_path):
    """It is made from what the program says: every command and option, nothing that troff does not understand."""
    made = subprocess.run(["python3", FOLDER / "man_page.py", binary()], capture_output=True, text=True, timeout=30, check=True)
    manual = subprocess.run([binary(), "help", "options"], capture_output=True, text=True, timeout=30, check=True).stdout
    options = re.findall(r"^\| `([a-z_.]+)`", manual, re.M)
    assert len(options) > 40
    bold = {line.replace("\\-", "-")[3:-3] for line in made.stdout.splitlines() if line.startswith("\\fB")}
    assert set(options) <= bold, set(options) - bold
    assert "healthcheck" in made.stdout
    page = tmp_path / "tailwater.1"
    page.write_text(made.stdout)
    if shutil.which("man"):
        shown = subprocess.run(["man", "--warnings", "-l", "-Tutf8", page], capture_output=True, text=True, timeout=30)
        assert shown.returncode == 0 and shown.stderr == "", shown.stderr


def test_versions_agree():
    project = re.search(r"version: '([^']+)'", (ROOT / "meson.build").read_text())[1]
    assert (FOLDER / "changelog").read_text().startswith(f"tailwater ({project})")


def test_build_dependencies_are_those_of_run():
    listed = re.search(r"BUILD_NEEDS=\((.*?)\)", (ROOT / "tools/packages.sh").read_text(), re.S)[1]
    ours = {name for entry in listed.split() if re.match(r"lib(?!c6)|uthash|meson", name := entry.partition("=")[0])}
    wanted = re.search(r"^Build-Depends:(.*?)^Standards", (FOLDER / "control").read_text(), re.S | re.M)[1]
    assert ours <= set(re.findall(r"[a-z0-9.+-]+", wanted))


def test_packaged_configuration(tmp_path):
    checked = subprocess.run([binary(), "check", "--offline", "--config", FOLDER / "tailwater.yaml"], capture_output=True, text=True,
                             env={"PATH": os.environ["PATH"], "MONGODB_URI": "mongodb://127.0.0.1:1/logs"}, timeout=30)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.fixture(scope="module")
def package(tmp_path_factory) -> Path:
    for program in ("dpkg-buildpackage", "dh"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed (Debian: dpkg-dev, debhelper)")
    tree = copy_of_the_tree(tmp_path_factory.mktemp("package"))
    built = subprocess.run(["dpkg-buildpackage", "-b", "-us", "-uc"], cwd=tree, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           text=True, timeout=1200, env=os.environ | {"DEB_BUILD_OPTIONS": "parallel=2"})
    assert built.returncode == 0, built.stdout[-4000:]
    (found,) = (p for p in tree.parent.glob("tailwater_*.deb"))
    return found


@pytest.fixture(scope="module")
def installed(package, debian, tmp_path_factory) -> Chroot:
    """A fresh Debian with nothing but the package and what it depends on."""
    need_root("unshare", "chroot")
    chroot = Chroot(debian, tmp_path_factory.mktemp("installed") / "root")
    shutil.copy(package, chroot.root / "tmp/tailwater.deb")
    chroot.run("sh", "-ec", "apt-get update && apt-get install -y --no-install-recommends /tmp/tailwater.deb")
    return chroot


@pytest.mark.long
def test_lintian(package):
    if not shutil.which("lintian"):
        pytest.skip("lintian is not installed")
    judged = subprocess.run(["lintian", "--fail-on", "error", "--suppress-tags", "bogus-mail-host,bogus-mail-host-in-debian-changelog", package], capture_output=True,
                            text=True, timeout=300)
    assert judged.returncode == 0, judged.stdout


@pytest.mark.long
def test_installed_files(installed):
    """Configuration is kept over upgrades; the connection string is root's alone and no conffile; the unit is ours."""
    secret = installed.root / "etc/tailwater/mongodb_uri"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600 and secret.stat().st_uid == 0
    assert installed.run("dpkg-query", "-W", "-f", "${Conffiles}", "tailwater").split()[0] == "/etc/tailwater/tailwater.yaml"
    unit = next(p for p in ("lib", "usr/lib") if (installed.root / p / "systemd/system/tailwater.service").exists())
    assert (installed.root / unit / "systemd/system/tailwater.service").read_text() == \
        (ROOT / "deploy/systemd/tailwater.service").read_text()
    assert installed.run("/usr/bin/tailwater", "--version").startswith("tailwater ")
    installed.run("/usr/bin/tailwater", "check", "--offline", "--config", "/etc/tailwater/tailwater.yaml",
                  environment={"MONGODB_URI_FILE": "/etc/tailwater/mongodb_uri"})


@pytest.mark.long
def test_installed_program_serves(installed, mongo):
    """With the unit's command line and environment, as a user without rights on a read-only root."""
    unit = (ROOT / "deploy/systemd/tailwater.service").read_text()
    command = re.search(r"^ExecStart=(.*)", unit, re.M)[1].split()
    credentials = installed.root / "run/credentials/tailwater.service"
    credentials.mkdir(parents=True)
    (credentials / "mongodb_uri").write_text(mongo.uri + "\n")
    port = free_port()
    environment = {"PATH": os.environ["PATH"], "PORT": str(port)}
    for line in re.findall(r"^Environment=(.*)", unit, re.M):
        name, _, value = line.partition("=")
        environment[name] = value.replace("%d", "/run/credentials/tailwater.service")
    process = subprocess.Popen(installed.confined("65500:65500", *command), env=environment, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True)
    try:
        def healthy() -> bool:
            assert process.poll() is None, process.stdout.read()
            try:
                return http1.request(port, "GET", "/health").json["status"] == "healthy"
            except OSError:
                return False

        until(healthy, "the installed program is healthy", 30 * PATIENCE)
    finally:
        process.terminate()
        code = process.wait(20 * PATIENCE)
    assert code == 0


@pytest.mark.long
def test_purge_leaves_nothing(installed):
    installed.run("apt-get", "purge", "-y", "tailwater")
    assert not (installed.root / "etc/tailwater").exists()
    assert not (installed.root / "usr/bin/tailwater").exists()
