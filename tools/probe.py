#!/usr/bin/env python3
"""Questions about this machine's loopback.

probe.py port FIRST COUNT          print the first of COUNT ports from FIRST that nobody listens on
probe.py health PORT PID SECONDS   wait until the tailwater of process PID answers GET /health on PORT
"""

from __future__ import annotations

import http.client
import socket
import sys
import time

from replica_set import is_running


def is_free(port: int) -> bool:
    """Without SO_REUSEPORT: a tailwater that listens there would share the port."""
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def find_port(first: int, count: int) -> None:
    for port in range(first, min(first + count, 65536)):
        if is_free(port):
            print(port)
            return
    sys.exit(1)


def answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def wait_health(port: int, pid: int, seconds: int) -> None:
    end = time.monotonic() + seconds
    while not answers(port):
        if not is_running(pid):
            sys.exit("it ended")
        if time.monotonic() > end:
            sys.exit(f"no answer from /health within {seconds} s")
        time.sleep(0.03)


if __name__ == "__main__":
    {"port": find_port, "health": wait_health}[sys.argv[1]](*map(int, sys.argv[2:]))
