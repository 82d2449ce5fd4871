"""The steps of a Dockerfile, carried out in chroots: as much of the language as ours uses; anything else is an error."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

from chroot import Chroot


def instructions(text: str) -> list[tuple[str, str]]:
    """(name, rest) in order; lines that end with a backslash are joined."""
    text = "".join(line for line in text.splitlines(keepends=True) if not line.lstrip().startswith("#"))
    lines = (line.strip() for line in re.sub(r"\\\n\s*", " ", text).splitlines())
    return [(line.split(None, 1)[0].upper(), line.split(None, 1)[1]) for line in lines if line]


class Image:
    """A stage: its root, and what a container of it starts with."""

    def __init__(self, chroot: Chroot, base: str):
        self.chroot, self.base = chroot, base
        self.user, self.workdir = "0:0", "/"
        self.environment: dict[str, str] = {}
        self.settings: dict[str, object] = {}

    def command(self, *words: str) -> list[str]:
        """As a container engine starts it with --read-only --cap-drop=ALL."""
        return self.chroot.confined(self.user, *self.settings["ENTRYPOINT"], *words)


class Builder:
    def __init__(self, archive: Path, folder: Path, context: Path):
        self._archive, self._folder, self._context = archive, folder, context
        self._stages: dict[str, Image] = {}
        self.image: Image | None = None

    def build(self, text: str) -> Image:
        for name, rest in instructions(text):
            getattr(self, f"_{name.lower()}")(rest)
        return self.image

    def _from(self, rest: str) -> None:
        base, *alias = rest.split()
        number = len(self._stages)
        self.image = Image(Chroot(self._archive, self._folder / f"stage{number}"), base)
        self._stages[alias[1] if alias else str(number)] = self.image

    def _run(self, rest: str) -> None:
        assert self.image.user == "0:0", "a step as another user than root is not carried out here"
        self.image.chroot.run("sh", "-ec", rest, environment=self.image.environment, cwd=self.image.workdir)

    def _workdir(self, rest: str) -> None:
        self.image.workdir = rest
        (self.image.chroot.root / rest.lstrip("/")).mkdir(parents=True, exist_ok=True)

    def _copy(self, rest: str) -> None:
        words = rest.split()
        origin = self._context
        if words[0].startswith("--from="):
            origin = self._stages[words.pop(0).partition("=")[2]].chroot.root
        source, target = words
        to = self.image.chroot.root / (Path(self.image.workdir) / target).as_posix().lstrip("/")
        if (origin / source.lstrip("/")).is_dir():
            subprocess.run(["cp", "-a", f"{origin / source.lstrip('/')}/.", to], check=True, timeout=60)
        else:
            shutil.copy2(origin / source.lstrip("/"), to)

    def _env(self, rest: str) -> None:
        self.image.environment |= dict(word.split("=", 1) for word in shlex.split(rest))

    def _user(self, rest: str) -> None:
        self.image.user = rest

    def _expose(self, rest: str) -> None:
        self.image.settings["EXPOSE"] = rest

    def _stopsignal(self, rest: str) -> None:
        self.image.settings["STOPSIGNAL"] = rest

    def _entrypoint(self, rest: str) -> None:
        self.image.settings["ENTRYPOINT"] = json.loads(rest)

    def _cmd(self, rest: str) -> None:
        self.image.settings["CMD"] = json.loads(rest)

    def _healthcheck(self, rest: str) -> None:
        self.image.settings["HEALTHCHECK"] = json.loads(rest.partition("CMD ")[2])
