"""Certificates for tests, made by the openssl program: self-signed, for localhost and 127.0.0.1."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Certificate:
    chain: Path
    key: Path

    @property
    def options(self) -> dict[str, str]:
        """The server's section `tls`."""
        return {"certificate_file": str(self.chain), "key_file": str(self.key)}


def openssl(*arguments: str | Path, text: str | None = None) -> str:
    """Run the openssl program; returns what it says on both outputs."""
    done = subprocess.run(["openssl", *map(str, arguments)], input=text, capture_output=True, text=True, timeout=60)
    return done.stdout + done.stderr


def make(folder: Path, name: str, *more: str, key: tuple[str, ...] = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
         ) -> Certificate:
    """A certificate with this common name; more: further arguments of `openssl req`."""
    made = Certificate(folder / f"{name}.pem", folder / f"{name}.key")
    said = openssl("req", "-x509", *key, "-nodes", "-keyout", made.key, "-out", made.chain, "-subj", f"/CN={name}",
                   "-days", "2", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", *more)
    assert made.chain.exists() and made.key.exists(), said
    made.key.chmod(0o600)
    return made


def make_expired(folder: Path, name: str) -> Certificate:
    """One whose time is over."""
    made = make(folder, name)
    said = openssl("x509", "-in", made.chain, "-signkey", made.key, "-days", "-1", "-out", folder / "past.pem")
    (folder / "past.pem").rename(made.chain)
    assert "error" not in said, said
    return made
