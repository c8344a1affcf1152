"""Clients that dawdle: with their requests' heads, with their bodies, with reading a large answer."""

import asyncio
import os
import socket
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.figures import Figure, figure
from bench.gateway.outcome import Outcome
from bench.gateway.programs import Door, driving, ended, faults, stop_at_once
from bench.gateway.stage import Launch, Stage, rss, spent, stage

CLIENTS = 2000
_BEAT = 0.5  #: seconds between two signs of life of such a client
_ANSWER = 8 * 2**20  #: bytes that the slow readers ask for
_TASTE = 2048  #: bytes that they read at a time
_POLL = 0.05
_P99_MS = 20.0
_MEMORY_MIB = 600.0
_RAMP, _CONNECT = 3.0, 10.0  #: seconds over which they come; and after which they must be there


@dataclass
class Dawdlers:
    """How the slow clients fared."""

    port: int
    door: Door
    seen: set[int] = field(default_factory=set[int])  #: who was connected at least once
    connected: Counter[str] = field(default_factory=Counter[str])
    sent_off: Counter[str] = field(default_factory=Counter[str])  #: they come back at once

    async def heads(self, sock: socket.socket) -> None:
        """A byte of a head now and then."""
        await self._send(sock, f"GET {self.door.base}/v1/models HTTP/1.1\r\nX-Long: ".encode())
        while await self._silent(sock):
            await self._send(sock, b"a")

    async def bodies(self, sock: socket.socket) -> None:
        """A whole head, and a few bytes of a body now and then."""
        await self._send(sock, self._head("POST", "/v1/chat/completions", 1_000_000))
        await self._send(sock, b'{"model":"')
        while await self._silent(sock):
            await self._send(sock, b"a" * 10)

    async def readers(self, sock: socket.socket) -> None:
        """A whole request, and a little of its answer now and then."""
        loop = asyncio.get_running_loop()
        await self._send(sock, self._head("GET", f"/big?bytes={_ANSWER}", 0))
        more = True
        while more:
            await asyncio.sleep(_BEAT)
            more = bool(await loop.sock_recv(sock, _TASTE))

    async def always(self, number: int) -> None:
        """One client, which connects anew whenever it is sent off; its number tells its kind."""
        kind = _KINDS[number % len(_KINDS)]
        behave: Callable[[socket.socket], Coroutine[Any, Any, None]] = getattr(self, kind)
        while True:
            with socket.socket() as sock:
                sock.settimeout(0)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                try:
                    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self.port))
                    self.seen.add(number)
                    self.connected[kind] += 1
                    await behave(sock)
                except OSError:
                    pass  # counted below: being sent off is what slow clients may expect
            self.sent_off[kind] += 1
            await asyncio.sleep(_BEAT)

    def _head(self, method: str, sub: str, size: int) -> bytes:
        return (
            f"{method} {self.door.base}{sub} HTTP/1.1\r\nHost: bench\r\n"
            f"Authorization: Bearer {self.door.token}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {size}\r\n\r\n"
        ).encode()

    @staticmethod
    async def _send(sock: socket.socket, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(sock, data)

    @staticmethod
    async def _silent(sock: socket.socket) -> bool:
        """After a beat: has the gateway neither answered nor hung up?"""
        await asyncio.sleep(_BEAT)
        try:
            sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        return False


_KINDS = ("heads", "bodies", "readers")


def measure(folder: Path, launch: Launch, clients: int, seconds: float) -> Outcome:
    """Others' requests, first alone and then beside `clients` slow ones."""
    with stage(folder, launch) as made:
        return asyncio.run(_measure(made, clients, seconds))


async def _measure(made: Stage, clients: int, seconds: float) -> Outcome:
    outcome, pid = Outcome(), made.gateway.process.pid
    alone = await _others(made, seconds, outcome)
    before = rss(pid)
    dawdlers = Dawdlers(made.gateway.port, made.gateway.door())
    tasks: list[asyncio.Task[None]] = []
    for at in range(clients):
        tasks.append(asyncio.create_task(dawdlers.always(at)))
        if not at % 50:
            await asyncio.sleep(_RAMP * 50 / clients)
    if late := await _not_connected(dawdlers, clients):
        outcome.faults.append(f"{late} slow clients could not even connect")
    cpu = spent(pid)
    beside = await _others(made, seconds, outcome)
    cpu, memory, kernel = (spent(pid) - cpu) / beside["seconds"], rss(pid), _kernel_mib()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    outcome.figures = [
        *_latencies(alone, "without them", None),
        *_latencies(beside, "beside them", _P99_MS),
        figure("memory (RSS)", "MiB", [memory], _MEMORY_MIB, note=f"{before:.0f} MiB before"),
        figure("TCP buffers of the kernel", "MiB", [kernel], note="of the whole machine"),
        figure("CPU", "% of a core", [cpu * 100], note="with the others' requests"),
    ]
    outcome.numbers = {"alone": alone, "beside": beside, "connected": dict(dawdlers.connected)}
    outcome.numbers |= {"sent_off": dict(dawdlers.sent_off), "rss_mib": memory}
    outcome.text = f"connected: {dict(dawdlers.connected)}; sent off: {dict(dawdlers.sent_off)}"
    return outcome


async def _not_connected(dawdlers: Dawdlers, clients: int) -> int:
    """How many have never been connected, at the latest after `_CONNECT` seconds."""
    waited = 0.0
    while len(dawdlers.seen) < clients and waited < _CONNECT:
        waited += _POLL
        await asyncio.sleep(_POLL)
    return clients - len(dawdlers.seen)


async def _others(made: Stage, seconds: float, outcome: Outcome) -> dict[str, Any]:
    running = driving(made.programs.driver, "open", made.gateway.door(), seconds, r=100, c=32)
    try:
        run = await asyncio.to_thread(ended, running, seconds)
    finally:
        stop_at_once(running)
    if wrong := faults(run):
        outcome.faults.append(f"{wrong} requests of others went wrong")
    return run


def _kernel_mib() -> float:
    """Where it is short of them, every connection of the machine stalls for seconds."""
    lines = Path("/proc/net/sockstat").read_text().splitlines()
    words = next(line for line in lines if line.startswith("TCP:")).split()
    return int(words[words.index("mem") + 1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def _latencies(run: dict[str, Any], when: str, goal: float | None) -> list[Figure]:
    return [
        figure(f"other requests {when}, {name}", "ms", [run[f"request_{name}_us"] / 1000], bar)
        for name, bar in (("p50", None), ("p99", goal))
    ]
