"""
Connections that drip a byte of a request head a second and come back when they are ended. A process of its own, so that it
takes nothing from the clients that are measured meanwhile:

    python drip.py PORT COUNT      until its standard input ends; each second it prints "OPEN ENDED"
"""

from __future__ import annotations

import select
import socket
import sys
import time

BEGIN = b"GET /health HTTP/1.1\r\nX-Slow: "


def start(port: int) -> socket.socket:
    s = socket.create_connection(("127.0.0.1", port), timeout=20)
    s.sendall(BEGIN)
    s.setblocking(False)
    return s


def is_over(s: socket.socket) -> bool:
    """Drip; has the server ended it?"""
    try:
        while s.recv(65536):
            pass
        return True
    except BlockingIOError:
        pass
    except OSError:
        return True
    try:
        s.send(b"a")
    except OSError:
        return True
    return False


def main() -> None:
    port, count = int(sys.argv[1]), int(sys.argv[2])
    dripping: list[socket.socket] = []
    ended = 0
    while not select.select([sys.stdin], [], [], 0)[0]:
        due = time.monotonic() + 1
        over = [s for s in dripping if is_over(s)]
        for s in over:
            s.close()
        ended += len(over)
        dripping = [s for s in dripping if s.fileno() >= 0]
        dripping += [start(port) for _ in range(count - len(dripping))]
        print(len(dripping), ended, flush=True)
        time.sleep(max(0.0, due - time.monotonic()))


main()
