"""The container file: its steps are carried out, and what they make runs as a container would, without an engine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

import pytest

import http1
from conftest import ROOT
from deadline import PATIENCE, until
from dockerfile import Builder, instructions
from mongod import free_port

FOLDER = ROOT / "deploy/container"
KEYS = {"workspace_id": "w1", "workflow_id": "f1"}


def test_final_stage_is_restricted():
    """Not root, no shell in what is started, a health check by the program itself, Debian's supported release."""
    found = instructions((FOLDER / "Dockerfile").read_text())
    assert [rest.split()[0] for name, rest in found if name == "FROM"] == ["debian:bookworm-slim"] * 2
    last = found[max(i for i, (name, _) in enumerate(found) if name == "FROM"):]
    settings = dict(last)
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", settings["USER"])
    assert settings["ENTRYPOINT"] == '["/usr/bin/tailwater"]' and settings["CMD"] == '["serve"]'
    assert settings["HEALTHCHECK"].endswith('CMD ["/usr/bin/tailwater", "healthcheck"]')
    names = [name for name, _ in last]
    assert "RUN" not in names[names.index("USER"):]


def test_build_packages_are_those_of_run():
    """What ./run installs to build, apart from what Debian's own python and tests want, is installed in the first stage."""
    listed = re.search(r"BUILD_NEEDS=\((.*?)\)", (ROOT / "tools/packages.sh").read_text(), re.S)[1]
    needed = {entry.partition("=")[0] for entry in listed.split()}
    first = next(rest for name, rest in instructions((FOLDER / "Dockerfile").read_text()) if name == "RUN")
    assert needed <= set(first.split()), needed - set(first.split())


def test_compose_file():
    import yaml

    compose = yaml.safe_load((FOLDER / "compose.yaml").read_text())
    services = compose["services"]
    ours = services["tailwater"]
    assert (FOLDER / ours["build"]["context"]).resolve() == ROOT
    assert (ROOT / ours["build"]["dockerfile"]).is_file()
    assert ours["read_only"] and ours["cap_drop"] == ["ALL"]
    assert all(port.startswith("127.0.0.1:") for service in services.values() for port in service.get("ports", []))
    for service in services.values():
        assert set(service.get("depends_on", {})) <= set(services)
    if shutil.which("docker") and subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0:
        subprocess.run(["docker", "compose", "-f", FOLDER / "compose.yaml", "config", "--quiet"], check=True, timeout=60)


@pytest.fixture(scope="module")
def image(debian, tmp_path_factory):
    """Built from what git would give."""
    context = tmp_path_factory.mktemp("context")
    tree = subprocess.run(["git", "-C", ROOT, "ls-files", "-co", "--exclude-standard", "-z"], capture_output=True, check=True)
    subprocess.run(["cpio", "-pdm0", "--quiet", context] if shutil.which("cpio") else
                   ["tar", "--null", "-T", "-", "-cf", context / "tree.tar"], input=tree.stdout, cwd=ROOT, check=True)
    if (context / "tree.tar").exists():
        subprocess.run(["tar", "-xf", context / "tree.tar", "-C", context], check=True)
        (context / "tree.tar").unlink()
    yield Builder(debian, tmp_path_factory.mktemp("image") / "stages", context).build((FOLDER / "Dockerfile").read_text())


@pytest.mark.long
def test_image_runs(image, mongo):
    """As nobody, with a read-only root, without capabilities and without any shell: serves, is healthy, stops."""
    image.chroot.remove(["/bin/sh", "/bin/bash", "/bin/dash", "/usr/bin/sh", "/usr/bin/bash", "/usr/bin/dash"])
    port = free_port()
    environment = image.environment | {"PORT": str(port), "MONGODB_URI": mongo.uri, "TAILWATER_INSECURE": "true",
                                       "PATH": os.environ["PATH"]}
    health = image.chroot.confined(image.user, *image.settings["HEALTHCHECK"])
    assert subprocess.run(health, env=environment, timeout=30, stdout=subprocess.DEVNULL).returncode == 1
    process = subprocess.Popen(image.command(*image.settings["CMD"]), env=environment, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True)
    try:
        def healthy() -> bool:
            assert process.poll() is None, process.stdout.read()
            return subprocess.run(health, env=environment, timeout=30, stdout=subprocess.DEVNULL).returncode == 0

        until(healthy, "the health check succeeds", 30 * PATIENCE, every_s=0.2)
        status = dict(line.split(":", 1) for line in open(f"/proc/{process.pid}/status"))
        assert status["Uid"].split() == ["65532"] * 4 and int(status["CapEff"], 16) == 0
        assert status["Name"].strip() == "tailwater" and status["NoNewPrivs"].strip() == "1"
        mongo.client.logs.etl_logs.insert_one(KEYS | {"message": "in the container"})
        until(lambda: b"in the container" in http1.request(port, "GET", "/api/logs/history?channels=logs:*").body, "history")
    finally:
        process.terminate()
        code = process.wait(20 * PATIENCE)
        mongo.client.drop_database("logs")
    assert code == 0


@pytest.mark.long
def test_image_refuses_to_serve_everyone(image, mongo):
    """What is reached from outside wants auth, or a word that says otherwise."""
    environment = image.environment | {"MONGODB_URI": mongo.uri, "PATH": os.environ["PATH"]}
    ended = subprocess.run(image.command("serve"), env=environment, capture_output=True, text=True, timeout=30)
    assert ended.returncode == 78 and "insecure" in ended.stderr
