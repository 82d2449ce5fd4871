"""
A network that can fail: TCP proxies of our own, on one asyncio loop in a thread of its own.

    network = Network([27101, 27102, 27103])      # one proxy in front of each member of a replica set
    server = {"mongodb": {"uri": network.uri}}    # tailwater alone goes through them
    network.hole(0)                               # member 0 is swallowed: accepts, answers nothing, no FIN
    network.heal()

A driver finds members by the addresses that they tell in `hello`, so the proxies write their own ports over the members' in
the answers that pass (five digits each, so that no length changes). Members among themselves, writers and the oracle use the
true ports and notice nothing of these faults. A Network per tailwater instance: each can fail alone.

    door = Proxies([server.port])                 # plain: in front of any port, e.g. of tailwater itself
    door.ports[0]

Methods are for test threads; without arguments they concern all ports.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading

REWRITE_BELOW_BYTES = 16384  # answers with addresses are small; events are passed as they are
PIECE_BYTES = 4096


def reset(writer: asyncio.StreamWriter) -> None:
    """End a connection by RST."""
    sock = writer.get_extra_info("socket")
    if sock is not None and sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class Proxy:
    """One port in front of another. Lives on the loop of its Proxies."""

    def __init__(self, upstream: int, names: dict[bytes, bytes]):
        self.upstream = upstream
        self.port = 0
        self._names = names  # what to write over in answers of MongoDB; empty: any protocol
        self._flows = asyncio.Event()
        self._flows.set()
        self._refuses = False
        self._bytes_s = 0.0
        self._latency_s = 0.0
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task] = set()
        self._server: asyncio.Server | None = None

    async def listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        self._server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # --- faults -----------------------------------------------------------------------------------

    async def reset(self) -> None:
        for writer in list(self._writers):
            reset(writer)

    async def refuse(self) -> None:
        self._refuses = True
        await self.reset()

    async def hole(self) -> None:
        self._flows.clear()

    async def forget(self) -> None:
        self._flows.clear()
        self._flows = asyncio.Event()
        self._flows.set()

    async def slow(self, bytes_s: float, latency_s: float) -> None:
        self._bytes_s, self._latency_s = bytes_s, latency_s

    async def heal(self) -> None:
        """What was swallowed is delivered now, as a network that comes back does."""
        self._refuses = False
        self._bytes_s = self._latency_s = 0.0
        self._flows.set()

    # --- inside -----------------------------------------------------------------------------------

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            await self._serve(reader, writer)
        except (OSError, EOFError, asyncio.CancelledError):
            pass
        finally:
            reset(writer)
            self._writers.discard(writer)
            self._tasks.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refuses:
            return
        flows = self._flows
        await flows.wait()
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.upstream)
        self._writers.add(up_writer)
        answers = self._pump_messages if self._names else self._pump
        pumps = [asyncio.create_task(self._pump(reader, up_writer, flows)),
                 asyncio.create_task(answers(up_reader, writer, flows))]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            reset(up_writer)
            self._writers.discard(up_writer)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, flows: asyncio.Event) -> None:
        while data := await reader.read(65536):
            await self._forward(data, writer, flows)

    async def _pump_messages(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, flows: asyncio.Event) -> None:
        """MongoDB's messages one by one; addresses are written over."""
        while True:
            head = await reader.readexactly(16)
            message = head + await reader.readexactly(int.from_bytes(head[:4], "little") - 16)
            if len(message) < REWRITE_BELOW_BYTES:
                for old, new in self._names.items():
                    message = message.replace(old, new)
            await self._forward(message, writer, flows)

    async def _forward(self, data: bytes, writer: asyncio.StreamWriter, flows: asyncio.Event) -> None:
        if self._latency_s:
            await asyncio.sleep(self._latency_s)
        at = 0
        while at < len(data):
            size = PIECE_BYTES if self._bytes_s else len(data) - at
            if self._bytes_s:
                await asyncio.sleep(size / self._bytes_s)
            await flows.wait()
            writer.write(data[at:at + size])
            await writer.drain()
            at += size


class Proxies:
    """Proxies in front of some ports, and their faults."""

    def __init__(self, upstreams: list[int], is_mongodb: bool = False):
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        names: dict[bytes, bytes] = {}
        self._proxies = self._run(self._listen(upstreams, names))
        if is_mongodb:
            names.update({f"127.0.0.1:{p.upstream}".encode(): f"127.0.0.1:{p.port}".encode() for p in self._proxies})
            assert all(len(old) == len(new) for old, new in names.items()), names

    @property
    def ports(self) -> list[int]:
        return [p.port for p in self._proxies]

    def reset(self, *which: int) -> None:
        """Connections that there are end by RST; new ones are served."""
        self._each(which, "reset")

    def refuse(self, *which: int) -> None:
        """The same, and new ones end at once."""
        self._each(which, "refuse")

    def hole(self, *which: int) -> None:
        """A black hole: everything is accepted, nothing is passed, nothing is ended."""
        self._each(which, "hole")

    def forget(self, *which: int) -> None:
        """Connections that there are fall into a black hole for good; new ones are served: a NAT or firewall lost its table."""
        self._each(which, "forget")

    def slow(self, *which: int, bytes_s: float = 0, latency_s: float = 0) -> None:
        self._each(which, "slow", bytes_s, latency_s)

    def heal(self, *which: int) -> None:
        self._each(which, "heal")

    def close(self) -> None:
        self._each((), "close")
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    async def _listen(self, upstreams: list[int], names: dict[bytes, bytes]) -> list[Proxy]:
        proxies = [Proxy(port, names) for port in upstreams]
        for proxy in proxies:
            await proxy.listen()
        return proxies

    def _each(self, which: tuple[int, ...], action: str, *arguments) -> None:
        async def run() -> None:
            for i in which or range(len(self._proxies)):
                await getattr(self._proxies[i], action)(*arguments)

        self._run(run())

    def _run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)


class Network(Proxies):
    """Between one tailwater and the members of a replica set."""

    def __init__(self, members: list[int]):
        super().__init__(members, is_mongodb=True)

    @property
    def uri(self) -> str:
        return "mongodb://" + ",".join(f"127.0.0.1:{port}" for port in self.ports) + "/?replicaSet=tw"
