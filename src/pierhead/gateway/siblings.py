"""One page of figures for all workers of a gateway: whoever is scraped asks the others, over Unix sockets.

A worker that does not answer in time counts by what it said last. One that was started anew counts from 0,
as Prometheus expects of a process.
"""

import asyncio
import os
import socket
from collections.abc import AsyncGenerator, Callable, Generator, Iterable
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field

from prometheus_client.utils import floatToGoString  # pyright: ignore[reportUnknownVariableType]

from pierhead.gateway.workers import Worker

_PATIENCE = 1.0  #: seconds that a worker may take for its figures
#: Families of which a sum says nothing: the lowest value counts, or the highest.
_LEAST = ("pierhead_gateway_table_revision", "pierhead_gateway_hub_reachable")
_MOST = ("pierhead_gateway_out_of_rotation",)

Text = Callable[[bool], bytes]  #: a worker's own figures, with the names of services or without


class Siblings:
    """What the workers of one gateway tell each other."""

    def __init__(self, worker: Worker, text: Text) -> None:
        self._worker, self._text = worker, text
        self._last: dict[tuple[int, bool], bytes] = {}

    @asynccontextmanager
    async def answering(self) -> AsyncGenerator[None]:
        """Tells the others, as long as it is entered.

        Raises:
            OSError: the socket cannot be had.
        """
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with listener, _socket_path(self._worker, self._worker.number) as path:
            with suppress(FileNotFoundError):
                os.unlink(path)  # noqa: PTH108 it is not a path of the file system's
            listener.bind(path)
            os.chmod(path, 0o600)  # noqa: PTH101 as above
            server = await asyncio.start_unix_server(self._answer, sock=listener)
            try:
                yield
            finally:
                server.close()

    async def metrics(self, *, names: bool) -> bytes:
        """The figures of all workers, in Prometheus' text format."""
        others = [n for n in range(self._worker.count) if n != self._worker.number]
        told = await asyncio.gather(*(self._ask(number, names) for number in others))
        return summed([self._text(names), *told])

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            names = await reader.readexactly(1) == b"1"
            text = self._text(names)
            # Its length goes before: of one that dies meanwhile no half page is taken for a whole one.
            writer.write(b"%d\n%b" % (len(text), text))
            await writer.drain()
        await _closed(writer)

    async def _ask(self, number: int, names: bool) -> bytes:
        with suppress(OSError, ValueError, EOFError):  # it starts again, dies, or hangs
            async with asyncio.timeout(_PATIENCE):
                self._last[number, names] = await self._read(number, names=names)
        return self._last.get((number, names), b"")

    async def _read(self, number: int, *, names: bool) -> bytes:
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            line.setblocking(False)  # noqa: FBT003 - the standard library's signature
            with _socket_path(self._worker, number) as path:
                line.connect(path)
            reader, writer = await asyncio.open_unix_connection(sock=line)
        except OSError:
            line.close()
            raise
        try:
            writer.write(b"1" if names else b"0")
            return await reader.readexactly(int(await reader.readline()))
        finally:
            await _closed(writer)


async def _closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


@contextmanager
def _socket_path(worker: Worker, number: int) -> Generator[str]:
    """A worker's socket by a short name: that of a data folder may be longer than a socket's may."""
    folder = os.open(worker.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/figures-{number}"
    finally:
        os.close(folder)


@dataclass(slots=True)
class _Family:
    """The lines above its samples, and these by name and labels."""

    head: list[str] = field(default_factory=list[str])
    samples: dict[str, float] = field(default_factory=dict[str, float])


def summed(texts: Iterable[bytes]) -> bytes:
    """Pages of the same families as one: what is counted is added up."""
    families: dict[str, _Family] = {}
    for text in texts:
        _add(families, text.decode().splitlines())
    lines: list[str] = []
    for family in families.values():
        lines += family.head
        lines += (f"{key} {floatToGoString(value)}" for key, value in family.samples.items())
    return "".join(f"{line}\n" for line in lines).encode()


def _add(families: dict[str, _Family], lines: Iterable[str]) -> None:
    name, family = "", _Family()
    for line in lines:
        if line.startswith("# "):
            name = line.split(" ", 3)[2]
            family = families.setdefault(name, _Family())
            if line not in family.head:
                family.head.append(line)
            continue
        key, _, text = line.rpartition(" ")
        value, there = float(text), family.samples.get(key)
        family.samples[key] = value if there is None else _both(name, there, value)


def _both(family: str, one: float, other: float) -> float:
    if family in _LEAST or family.endswith("_created"):
        return min(one, other)
    return max(one, other) if family in _MOST else one + other
