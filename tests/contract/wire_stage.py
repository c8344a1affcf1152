"""One gateway process for all tests of a module, with strict engines behind it and raw clients before it."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from contract.gateway_harness import (
    GatewayProcess,
    Hub,
    gateway,
    route,
)
from contract.wire import AUTH, HOST, Answer, Reader, Tape, WireEngine, Writer, read_answer

LONG = 15.0  #: seconds; only a fault lasts as long


class Client:
    """A client's connection, byte by byte."""

    def __init__(self, reader: Reader, writer: Writer) -> None:
        self.tape, self.writer = Tape(reader), writer

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.transport.abort()
        with suppress(OSError):
            await self.writer.wait_closed()

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self, method: str = "GET", seconds: float = LONG) -> Answer:
        async with asyncio.timeout(seconds):
            return await read_answer(self.tape, method)

    async def ends(self, seconds: float = LONG) -> None:
        """Waits for the connection's end; nothing may come before it."""
        async with asyncio.timeout(seconds):
            rest = await self.tape.rest()
        assert rest == b"", rest

    async def silent(self, seconds: float = 0.3) -> None:
        """Nothing comes for so long, and the connection stays."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                data = await self.tape.reader.read(1000)
                raise AssertionError(f"came: {data!r}")


@dataclass
class Stage:
    """A gateway that serves `foo` and `bar` from an engine each; `cold` has none."""

    gateway: GatewayProcess
    foo: WireEngine
    bar: WireEngine
    hub: Hub = field(repr=False)

    def client(self, limit: int = 1 << 20, **more: Any) -> "_Opening":
        return _Opening(self.gateway.port, limit, more)

    async def ask(self, request: bytes, method: str = "GET") -> Answer:
        """The answer to one request on a connection of its own."""
        async with self.client() as client:
            client.send(request)
            return await client.answer(method)

    def clean(self) -> None:
        """Nothing that reached an engine was in any but the plain form."""
        assert not self.foo.faults, self.foo.faults
        assert not self.bar.faults, self.bar.faults

    def fresh(self) -> None:
        self.foo.forget()
        self.bar.forget()

    def resident(self) -> int:
        """Bytes of memory that the gateway has."""
        status = Path(f"/proc/{self.gateway.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) * 1024


class _Opening:
    def __init__(self, port: int, limit: int, more: dict[str, Any]) -> None:
        self._port, self._limit, self._more = port, limit, more

    async def __aenter__(self) -> Client:
        streams = await asyncio.open_connection(
            "127.0.0.1", self._port, limit=self._limit, **self._more
        )
        self._client = Client(*streams)
        return self._client

    async def __aexit__(self, *_: object) -> None:
        await self._client.__aexit__()


def request(
    path: str = "",
    *lines: str,
    method: str = "GET",
    body: bytes | None = None,
    version: str = "1.1",
) -> bytes:
    """A request to `foo` that is let in; `body` adds its length."""
    head = f"{method} /api/predict/foo{path} HTTP/{version}\r\n".encode() + HOST + AUTH
    head += b"".join(line.encode("latin-1") + b"\r\n" for line in lines)
    if body is None:
        return head + b"\r\n"
    return head + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


@asynccontextmanager
async def opened(data_dir: Path, **settings: Any) -> AsyncGenerator[Stage]:
    """The stage, until the gateway has stopped in good order."""
    hub, foo, bar = await Hub().open(), await WireEngine().open(), await WireEngine().open()
    hub.publish(
        replace(route("foo"), targets=(foo.target("r-foo"),)),
        replace(route("bar", tokens=("token-of-bar",)), targets=(bar.target("r-bar"),)),
        route("cold"),
    )
    try:
        async with gateway(data_dir, hub, **settings) as process:
            stage = Stage(process, foo, bar, hub)
            await _serving(stage)
            yield stage
    finally:
        for server in (hub, foo, bar):
            await server.close()


async def _serving(stage: Stage) -> None:
    async with asyncio.timeout(LONG):
        while (await stage.ask(request())).status != 200:  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.01)
    stage.fresh()


class Performance:
    """A stage and the loop that it lives in, for tests that are plain functions."""

    def __init__(self, stage: Stage, runner: asyncio.Runner) -> None:
        self.stage, self._runner = stage, runner

    def __call__(self, scenario: Coroutine[Any, Any, Any], seconds: float = 60.0) -> Any:
        """Runs a scenario to its end, and looks at what reached the engines."""
        self.stage.fresh()

        async def bounded() -> Any:
            async with asyncio.timeout(seconds):
                return await scenario

        found = self._runner.run(bounded())
        self.stage.clean()
        return found


def performed(data_dir: Path, **settings: Any) -> Iterator[Performance]:
    """What a fixture yields from."""
    with asyncio.Runner() as runner:
        context = opened(data_dir, **settings)
        stage = runner.run(context.__aenter__())
        try:
            yield Performance(stage, runner)
        finally:
            runner.run(context.__aexit__(None, None, None))
