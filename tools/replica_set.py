#!/usr/bin/env python3
"""replica_set.py PORT PID [SECONDS] - make the mongod on 127.0.0.1:PORT (process PID) the primary of its own replica set.

Speaks MongoDB's OP_MSG with the standard library only, because a fresh machine has neither mongosh nor pymongo. A data
folder that was initiated on another port is configured anew, so that the port may change between runs.
"""

from __future__ import annotations

import socket
import struct
import sys
import time

NAME = "tailwater"
OP_MSG = 2013
ALREADY_INITIALIZED = 23


def encode(document: dict) -> bytes:
    """BSON of the few types that the commands here need."""
    body = b""
    for key, value in document.items():
        name = key.encode() + b"\0"
        if isinstance(value, bool):
            body += b"\x08" + name + struct.pack("<?", value)
        elif isinstance(value, int):
            body += b"\x10" + name + struct.pack("<i", value)
        elif isinstance(value, str):
            text = value.encode() + b"\0"
            body += b"\x02" + name + struct.pack("<i", len(text)) + text
        elif isinstance(value, list):
            body += b"\x04" + name + encode({str(i): v for i, v in enumerate(value)})
        else:
            body += b"\x03" + name + encode(value)
    return struct.pack("<i", len(body) + 5) + body + b"\0"


def decode(data: bytes) -> dict:
    """The top-level numbers, booleans and strings of a BSON document; other values are passed over."""
    fixed = {0x01: "<d", 0x08: "<?", 0x10: "<i", 0x12: "<q"}
    widths = {0x07: 12, 0x09: 8, 0x0A: 0, 0x11: 8, 0x13: 16}
    found, at = {}, 4
    while data[at]:
        kind, end = data[at], data.index(b"\0", at + 1)
        key, at = data[at + 1:end].decode(), end + 1
        if kind in fixed:
            found[key] = struct.unpack_from(fixed[kind], data, at)[0]
            at += struct.calcsize(fixed[kind])
        elif kind in widths:
            at += widths[kind]
        else:  # all others begin with their length
            length = struct.unpack_from("<i", data, at)[0]
            if kind == 0x02:
                found[key] = data[at + 4:at + 3 + length].decode(errors="replace")
            at += length + {0x02: 4, 0x03: 0, 0x04: 0, 0x05: 5}[kind]
    return found


def receive(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            raise OSError("mongod closed the connection")
        data += part
    return data


def command(port: int, document: dict) -> dict:
    body = struct.pack("<iB", 0, 0) + encode({**document, "$db": "admin"})
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(struct.pack("<iiii", len(body) + 16, 1, 0, OP_MSG) + body)
        length = struct.unpack("<i", receive(connection, 4))[0]
        return decode(receive(connection, length - 4)[17:])  # header, flag bits, kind of section


def configure(port: int) -> None:
    """The node has no valid configuration: give it one, or correct the one that names another port."""
    config = {"_id": NAME, "members": [{"_id": 0, "host": f"127.0.0.1:{port}"}]}
    answer = command(port, {"replSetInitiate": config})
    if answer.get("code") == ALREADY_INITIALIZED:
        config.update(version=1, protocolVersion=1)  # with force, MongoDB picks a higher version
        answer = command(port, {"replSetReconfig": config, "force": True})
    if answer.get("ok") != 1:
        sys.exit(f"mongod refused to become a replica set: {answer.get('errmsg', answer)}")


def is_running(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def main(port: int, pid: int, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    configured = False
    while time.monotonic() < end:
        if not is_running(pid):
            sys.exit("mongod ended")
        try:
            state = command(port, {"hello": 1})
            if state.get("isWritablePrimary"):
                return
            if state.get("isreplicaset") and not configured:
                configure(port)
                configured = True
        except OSError:
            pass  # not listening yet
        time.sleep(0.03)
    sys.exit(f"mongod was not ready within {seconds:.0f} s")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
