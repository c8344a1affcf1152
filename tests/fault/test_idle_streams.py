"""Ten thousand streams on which nothing comes, as of users who wait for a long thought to end."""

import asyncio
import resource
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import psutil
from stage import PATIENCE, Count

from contract.gateway_harness import TOKEN, Bench, Hub, client, gateway
from pierhead.core.routes import Route, RouteToken, Target

STREAMS, SPARE = 10_000, 300  #: a gateway needs two files for a stream, and some for all else
MEMORY = 600  #: MiB, of a gateway with 10,000 of them
SHORT = 300  #: short requests beside them
QUICK = 0.1 * PATIENCE  #: seconds that 99 of 100 of these may take
OPENING = 120.0
ENGINE = Path(__file__).with_name("idle_engine.py")
FIRST, END = b'data: {"n":1}\n\n', b"data: [DONE]\n\n\r\n0\r\n\r\n"


class Stream(asyncio.Protocol):
    """A client that reads."""

    def __init__(self, request: bytes) -> None:
        self._request, self.data = request, b""
        loop = asyncio.get_running_loop()
        self.begun, self.ended = loop.create_future(), loop.create_future()
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self.data += data
        if FIRST in self.data and not self.begun.done():
            self.begun.set_result(None)
        if self.data.endswith(END):
            self.ended.set_result(None)
        elif self.data[9:12] not in {b"", b"200"} and self.transport is not None:
            self.transport.close()  # it is told below

    def connection_lost(self, exc: Exception | None) -> None:
        for future in (self.begun, self.ended):
            if not future.done():
                future.set_exception(ConnectionResetError(f"broken after {self.data!r}: {exc}"))


@asynccontextmanager
async def engine() -> AsyncGenerator[int]:
    """Its port."""
    command = (sys.executable, "-I", str(ENGINE))
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout
    try:
        yield int(await process.stdout.readline())
    finally:
        process.kill()
        await process.wait()


async def opened(port: int, count: int) -> list[Stream]:
    """So many streams whose first event has come."""
    loop, turns = asyncio.get_running_loop(), asyncio.Semaphore(200)
    request = f"GET /api/predict/foo/stream HTTP/1.1\r\nHost: x\r\nAuthorization: {TOKEN}\r\n\r\n"

    async def one() -> Stream:
        async with turns:
            made = Stream(request.encode())
            await loop.create_connection(lambda: made, "127.0.0.1", port)
            await made.begun
            return made

    async with asyncio.timeout(OPENING):
        return await asyncio.gather(*(one() for _ in range(count)))


async def asked(session: aiohttp.ClientSession, url: str) -> float:
    """Seconds that a short request took."""
    began = time.monotonic()
    async with session.get(url, headers={"Authorization": TOKEN}) as answer:
        await answer.read()
        assert answer.status == 200
    return time.monotonic() - began


def room() -> int:
    """How many streams this machine lets a gateway have."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return min(STREAMS, (hard - SPARE) // 2)


def test_ten_thousand_idle_streams_cost_little_and_nobody_notices(
    tmp_path: Path, record_property: Count
) -> None:
    """Law: ten thousand idle streams cost little memory, short requests stay quick beside them, and each
    stream goes on to its end (F22)."""
    count = room()

    async def scenario() -> None:
        hub = await Hub().open()
        async with engine() as port:
            target = Target("r0", "127.0.0.1", port)
            hub.publish(Route("id", "foo", tokens=(RouteToken(TOKEN),), targets=(target,)))
            async with gateway(tmp_path, hub) as run, client() as session:
                url = f"{run.url}/api/predict/foo/"
                await Bench(hub, [], run, session).served(1)
                streams = await opened(run.port, count)
                taken = sorted([await asked(session, url) for _ in range(SHORT)])
                memory = psutil.Process(run.process.pid).memory_info().rss / 2**20
                assert memory <= MEMORY
                late = taken[round(SHORT * 0.99) - 1]
                assert late <= QUICK, f"1 of 100 took {late * 1000:.0f} ms"
                await asked(session, url + "go")
                async with asyncio.timeout(OPENING):
                    await asyncio.gather(*(each.ended for each in streams))
                for each in streams:
                    assert each.transport is not None
                    each.transport.close()
                print(f"{count} streams: {memory:.0f} MiB, short requests p99 {late * 1000:.1f} ms")
        await hub.close()

    asyncio.run(scenario())
    record_property("idle streams", count)
