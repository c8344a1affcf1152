"""What the gateway's tests stand on: a gateway process, engines and a hub on real ports of one loop.

The hub here is a double: it serves the two internal paths and nothing else. The engines are doubles too.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import aiohttp

from contract.gateway_forks import Forked
from pierhead.core.routes import Route, RouteTable, RouteToken, Target, dump, table
from pierhead.core.usage import NONE, Usage
from ports import free_port

INTERNAL_KEY = "internal-key-1"
METRICS_TOKEN = "metrics-token-of-the-tests"
TOKEN = "svc-token-1"


async def until(met: Callable[[], Any], what: str, seconds: float = 5.0) -> Any:
    """Polls until `met()` is true; its value."""
    deadline = time.monotonic() + seconds
    while not (value := met()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        await asyncio.sleep(0.005)
    return value


@dataclass
class Request:
    """A request as its bytes came."""

    head: bytes
    body: bytes

    @property
    def line(self) -> str:
        return self.head.split(b"\r\n", 1)[0].decode("latin-1")

    @property
    def target(self) -> str:
        return self.line.split(" ")[1]

    @property
    def headers(self) -> list[tuple[str, str]]:
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        return [(n.lower(), v.strip()) for n, _, v in (x.partition(":") for x in lines) if n]

    def header(self, name: str) -> str | None:
        return dict(self.headers).get(name)


Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter
Play = Callable[[Request, Reader, Writer], Awaitable[bool]]  # false: hang up


async def echo(request: Request, reader: Reader, writer: Writer) -> bool:
    """200 with what came in."""
    del reader
    document = {"line": request.line, "headers": request.headers, "body": request.body.hex()}
    answer = plain(200, json.dumps(document).encode())
    writer.write(answer.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if is_head(request) else answer)
    return True


def is_head(request: Request) -> bool:
    return request.line.startswith("HEAD ")


def plain(status: int, body: bytes, extra: bytes = b"") -> bytes:
    head = b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\n%s" % (status, extra)
    return head + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


CHUNKED_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
)


def piece(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


class Server:
    """One listening port of this loop; keep-alive, one request after the other."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.connections: set[Writer] = set()
        self.accepted = 0
        self._server: asyncio.Server | None = None
        self._closed = False
        self.port = 0

    async def open(self) -> Self:
        self._closed = False
        # No port of the kernel's choice: while this one is closed it could be another connection's.
        self._server = await asyncio.start_server(
            self._connection, "127.0.0.1", self.port or free_port(), limit=1 << 20
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def close(self) -> None:
        """Like a kill: the port is closed and every connection reset."""
        if self._server is None:
            return
        self._closed = True
        self._server.close()
        self._server = None
        for writer in list(self.connections):
            writer.transport.abort()
        await until(lambda: not self.connections, "connections of a closed server end")

    async def handle(self, request: Request, reader: Reader, writer: Writer) -> bool:
        raise NotImplementedError

    async def _connection(self, reader: Reader, writer: Writer) -> None:
        if self._closed:  # it was taken just before the port was closed, and is told of only now
            writer.transport.abort()
            return
        self.accepted += 1
        self.connections.add(writer)
        try:
            while request := await self._read(reader):
                self.requests.append(request)
                if not await self.handle(request, reader, writer):
                    break
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass  # the peer went away
        finally:
            self.connections.discard(writer)
            writer.close()

    async def _read(self, reader: Reader) -> Request | None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return None
        request = Request(head, b"")
        size = int(request.header("content-length") or 0)
        request.body = await reader.readexactly(size)
        return request


class Engine(Server):
    """A replica."""

    def __init__(self, name: str, play: Play = echo) -> None:
        super().__init__()
        self.name, self.play = name, play
        self.left: list[float] = []  #: when connections were lost while a request was in work

    async def handle(self, request: Request, reader: Reader, writer: Writer) -> bool:
        return await self.play(request, reader, writer)

    def target(self, key: str = "") -> Target:
        return Target(self.name, "127.0.0.1", self.port, key)

    async def silence(self, request: Request, reader: Reader, writer: Writer) -> bool:
        """Answers nothing until the connection is lost."""
        del request, writer
        try:
            await reader.read(1)
        finally:
            self.left.append(time.monotonic())
        return False


class Hub(Server):
    """A double of the hub's two internal paths."""

    def __init__(self) -> None:
        super().__init__()
        self.table: RouteTable | None = None
        self.reports: list[tuple[float, dict[str, Any]]] = []
        self.spent: dict[str, int] = {}  #: told to gateways: what others used
        self.slow = 0.0  #: seconds before it tells its table
        self._ends = asyncio.Event()
        self._changed = asyncio.Event()

    def publish(self, *routes: Route, draining: frozenset[str] = frozenset()) -> int:
        revision = (self.table.revision if self.table else 0) + 1
        self.table = table(revision, list(routes), draining)
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
        return revision

    async def close(self) -> None:
        self._ends.set()
        self._changed.set()  # a long poll would sit out its time
        await super().close()

    def metered(self) -> dict[tuple[str, str], Usage]:
        """What the reports tell of each service and token, all months and gateways together."""
        totals: dict[tuple[str, str, str, str], Usage] = {}
        for _, report in self.reports:
            for each in report["meters"]:
                key = report["gateway"], each["service"], each["token"], each["month"]
                totals[key] = Usage(**each["usage"])
        sums: dict[tuple[str, str], Usage] = {}
        for (_, service, token, _), usage in totals.items():
            sums[service, token] = sums.get((service, token), NONE) + usage
        return sums

    @property
    def last(self) -> dict[str, Any]:
        """The last report; empty before the first."""
        return self.reports[-1][1] if self.reports else {}

    async def handle(self, request: Request, reader: Reader, writer: Writer) -> bool:
        if request.header("authorization") != f"Bearer {INTERNAL_KEY}":
            writer.write(plain(401, b"{}"))
        elif request.target == "/internal/report":
            self.reports.append((time.monotonic(), json.loads(request.body)))
            writer.write(plain(200, json.dumps({"spent": self.spent}).encode()))
        else:
            await self._routes(request, writer)
        return True

    async def _routes(self, request: Request, writer: Writer) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self.slow):
                await self._ends.wait()
        query = dict(x.split("=") for x in request.target.partition("?")[2].split("&"))
        if self.table and self.table.revision == int(query["revision"]):
            try:
                async with asyncio.timeout(float(query["wait"])):
                    await self._changed.wait()
            except TimeoutError:
                writer.write(b"HTTP/1.1 304 Not Modified\r\n\r\n")
                return
        body = dump(self.table).encode() if self.table else b'{"no":"table"}'
        writer.write(plain(200, body))


@dataclass
class GatewayProcess:
    """The gateway under test."""

    process: Forked
    port: int
    lines: list[dict[str, Any]] = field(default_factory=list)
    text: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def requests(self) -> list[dict[str, Any]]:
        return [line for line in self.lines if line.get("event") == "request"]

    async def follow(self) -> None:
        async for raw in self.process.stdout:
            self.take(raw)

    def take(self, raw: bytes) -> dict[str, Any]:
        self.text.append(raw.decode())
        line = json.loads(raw) if raw.startswith(b"{") else {}
        self.lines.append(line)
        return line


@asynccontextmanager
async def gateway(data_dir: Path, hub: Hub, **settings: Any) -> AsyncIterator[GatewayProcess]:
    """Starts one, and stops it by SIGTERM at the end."""
    given = {
        "data_dir": str(data_dir),
        "host": "127.0.0.1",
        "port": 0,
        "hub_url": f"http://127.0.0.1:{hub.port}",
        "internal_key": INTERNAL_KEY,
        "metrics_token": METRICS_TOKEN,
        **settings,
    }
    source = os.pathsep.join(path for path in sys.path if path)
    env = {**os.environ, "PYTHONPATH": source, "PYTHONUNBUFFERED": "1"}
    process = await Forked.begin(given, env)
    run = GatewayProcess(process, 0)
    async with asyncio.timeout(30):
        while not run.port:
            raw = await process.stdout.readline()
            assert raw, "the gateway did not start:\n" + "".join(run.text)
            line = run.take(raw)
            run.port = line["port"] if line.get("event") == "gateway serves" else 0
    follower = asyncio.create_task(run.follow())
    try:
        yield run
    finally:
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(20):
            await process.wait()
            await follower
    faults = [text for text in run.text if not text.startswith("{") or "unforeseen" in text]
    assert not faults, "".join(faults)


@dataclass
class Bench:
    """Hub, engines and gateway, started together."""

    hub: Hub
    engines: list[Engine]
    gateway: GatewayProcess
    client: aiohttp.ClientSession
    opened: list[Writer] = field(default_factory=list)

    async def open(self) -> tuple[Reader, Writer]:
        """A connection to the gateway, closed at the end at the latest."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.gateway.port)
        self.opened.append(writer)
        return reader, writer

    async def close(self) -> None:
        for writer in self.opened:
            writer.transport.abort()
            with suppress(OSError):
                await writer.wait_closed()

    async def served(self, revision: int) -> None:
        """Waits until the gateway serves by this revision."""
        deadline = time.monotonic() + 5
        while (await self.health())["revision"] != revision:
            assert time.monotonic() < deadline, f"revision {revision} is not served"
            await asyncio.sleep(0.005)

    async def health(self) -> dict[str, Any]:
        async with self.client.get(f"{self.gateway.url}/healthz") as answer:
            assert answer.status == 200
            return await answer.json()

    async def publish(self, *routes: Route, draining: frozenset[str] = frozenset()) -> None:
        await self.served(self.hub.publish(*routes, draining=draining))

    async def metrics(self, token: str | None = None) -> str:
        token = METRICS_TOKEN if token is None else token
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with self.client.get(f"{self.gateway.url}/metrics", headers=headers) as answer:
            return await answer.text()


def route(name: str, *engines: Engine, **more: Any) -> Route:
    """A route to `engines`; its tokens may be given by their bare text."""
    given = more.pop("tokens", (TOKEN,))
    more["tokens"] = tuple(RouteToken(x) if isinstance(x, str) else x for x in given)
    return Route(f"id-{name}", name, targets=tuple(e.target() for e in engines), **more)


@asynccontextmanager
async def bench(data_dir: Path, engines: int = 1, **settings: Any) -> AsyncIterator[Bench]:
    """A gateway that serves `foo` from all engines, r0, r1, ..."""
    hub = await Hub().open()
    replicas = [await Engine(f"r{i}").open() for i in range(engines)]
    hub.publish(route("foo", *replicas))
    try:
        async with gateway(data_dir, hub, **settings) as run, client() as session:
            parts = Bench(hub, replicas, run, session)
            try:
                await parts.served(1)
                yield parts
            finally:
                await parts.close()
    finally:
        for server in (hub, *replicas):
            await server.close()


def client() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar())


async def raw(port: int, request: bytes) -> bytes:
    """Sends bytes, returns all that comes until the connection is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        async with asyncio.timeout(10):
            return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()
