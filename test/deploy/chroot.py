"""A Debian in a folder, in which commands run as root, with the network of this machine; needs root and mmdebstrap."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

ROOT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def need_root(*programs: str) -> None:
    missing = [p for p in programs if not shutil.which(p)]
    if os.geteuid() != 0 or missing:
        pytest.skip("needs root" if os.geteuid() != 0 else f"{', '.join(missing)} not installed")


def make_archive(folder: Path) -> Path:
    need_root("mmdebstrap")
    archive = folder / "bookworm.tar"
    made = subprocess.run(["mmdebstrap", "--variant=minbase", "bookworm", archive], capture_output=True, text=True, timeout=600)
    if made.returncode != 0:
        pytest.skip(f"no Debian can be fetched here: {made.stderr[-300:]}")
    return archive


class Chroot:
    def __init__(self, archive: Path, folder: Path):
        need_root("unshare", "chroot")
        self.root = folder
        folder.mkdir(parents=True)
        subprocess.run(["tar", "-xpf", archive, "-C", folder], check=True, timeout=120)
        shutil.copy("/etc/resolv.conf", folder / "etc/resolv.conf")
        # No service is started by the installation of a package.
        (folder / "usr/sbin/policy-rc.d").write_text("#!/bin/sh\nexit 101\n")
        (folder / "usr/sbin/policy-rc.d").chmod(0o755)

    def run(self, *command: str, environment: dict[str, str] | None = None, cwd: str = "/") -> str:
        """Run to its end, which must be a good one; what it wrote."""
        inside = ["unshare", "--mount", "--pid", "--fork", f"--mount-proc={self.root}/proc", "chroot", str(self.root), "env",
                  f"--chdir={cwd}", *command]
        ended = subprocess.run(inside, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=1200,
                               env={"PATH": ROOT_PATH, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"} | (environment or {}))
        assert ended.returncode == 0, f"{command}: status {ended.returncode}\n{ended.stdout[-4000:]}"
        return ended.stdout

    def confined(self, user: str, *command: str) -> list[str]:
        """The command line that becomes this program: as this user, without capabilities, with a read-only root."""
        script = ('mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && mount -t proc proc "$1/proc" && '
                  'mount --rbind /dev "$1/dev" && root=$1 user=$2 && shift 2 && '
                  'exec chroot --userspec="$user" "$root" "$@"')
        return ["unshare", "--mount", "--propagation", "private", "setpriv", "--no-new-privs", "sh", "-ec", script, "sh",
                str(self.root), user, *command]

    def remove(self, paths: Iterable[str]) -> None:
        for path in paths:
            (self.root / path.lstrip("/")).unlink(missing_ok=True)
