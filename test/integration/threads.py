"""Threads of a process under test: found by name, and held still."""

from __future__ import annotations

import ctypes
import os
from contextlib import contextmanager
from pathlib import Path

PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH, WALL = 0x4206, 0x4207, 17, 0x40000000


def threads(pid: int, name: str) -> list[int]:
    """Those of a process with this name."""
    folders = Path(f"/proc/{pid}/task").iterdir()
    return [int(t.name) for t in folders if (t / "comm").read_text().strip() == name]


@contextmanager
def held(tid: int):
    """One thread of another process stands still."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    for what in (PTRACE_SEIZE, PTRACE_INTERRUPT):
        if libc.ptrace(what, tid, None, None) != 0:
            raise OSError(ctypes.get_errno(), "ptrace")
    os.waitpid(tid, WALL)
    try:
        yield
    finally:
        libc.ptrace(PTRACE_DETACH, tid, None, None)
