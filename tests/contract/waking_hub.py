"""A double of the hub that is asked to wake services, and the stage with a service at zero on it."""

import asyncio
import io
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from contract.gateway_harness import (
    CHUNKED_HEAD,
    Bench,
    Engine,
    Hub,
    Reader,
    Request,
    Writer,
    client,
    gateway,
    is_head,
    piece,
    plain,
    route,
)

LOADING = {"phase": "loading", "percent": 40, "seconds": 3, "replicas": 0}


@dataclass
class Wake:
    """One call of a gateway."""

    service: str
    begun: float
    ended: float | None = None


class WakingHub(Hub):
    """Takes note of every call for a wake, and answers each in the same way."""

    def __init__(self) -> None:
        super().__init__()
        self.wakes: list[Wake] = []
        self.at_once: dict[str, int] = {}  #: most calls for a service at the same time
        self.status, self.news = 200, dict[str, Any](LOADING)
        self.answers = asyncio.Event()  #: cleared = calls for a wake are not answered
        self.answers.set()

    def woken(self, service: str = "id-foo") -> list[Wake]:
        """The calls for one service, in the order they came."""
        return [wake for wake in self.wakes if wake.service == service]

    async def close(self) -> None:
        self.answers.set()
        await super().close()

    async def handle(self, request: Request, reader: Reader, writer: Writer) -> bool:
        authorized = (request.header("authorization") or "").startswith("Bearer ")
        if request.line != "POST /internal/wake HTTP/1.1" or not authorized:
            return await super().handle(request, reader, writer)
        wake = Wake(json.loads(request.body)["service"], time.monotonic())
        self.wakes.append(wake)
        now = sum(each.ended is None for each in self.woken(wake.service))
        self.at_once[wake.service] = max(now, self.at_once.get(wake.service, 0))
        await self.answers.wait()
        wake.ended = time.monotonic()
        writer.write(plain(self.status, json.dumps(self.news).encode()))
        return True


async def chat(request: Request, reader: Reader, writer: Writer) -> bool:
    """A model that says three words, whole or streamed; to anything else the size of its body."""
    del reader
    if not request.target.startswith("/v1/chat"):
        body = b"" if is_head(request) else json.dumps({"size": len(request.body)}).encode()
        writer.write(plain(200, body))
        return True
    base: dict[str, Any] = {"id": "c1", "created": 1, "model": "foo"}
    if not json.loads(request.body).get("stream"):
        message = {"role": "assistant", "content": "one two three"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        whole = {**base, "object": "chat.completion", "choices": [choice]}
        writer.write(plain(200, json.dumps(whole).encode()))
        return True
    writer.write(CHUNKED_HEAD)
    for word in ("one ", "two ", "three"):
        choice = {"index": 0, "delta": {"content": word}}
        event = {**base, "object": "chat.completion.chunk", "choices": [choice]}
        writer.write(piece(f"data: {json.dumps(event)}\n\n".encode()))
        await writer.drain()
    writer.write(piece(b"data: [DONE]\n\n") + b"0\r\n\r\n")
    return True


@dataclass
class Asleep(Bench):
    """Gateway and engine, and a service `foo` at zero replicas that a request wakes."""

    hub: WakingHub

    async def ready(self, *names: str, **more: Any) -> None:
        """What a hub does once the replicas are ready."""
        names = names or ("foo",)
        await self.publish(*(route(name, *self.engines, wakes=True, **more) for name in names))

    async def asleep(self, *names: str, **more: Any) -> None:
        """Back to zero."""
        await self.publish(*(route(name, wakes=True, **more) for name in names or ("foo",)))

    def post(
        self, path: str, token: str, body: bytes | dict[str, Any] = b"x"
    ) -> "aiohttp.client._RequestContextManager":
        """A request, not sent yet."""
        # From a file: aiohttp does not like to be given large bytes.
        data = io.BytesIO(body if isinstance(body, bytes) else json.dumps(body).encode())
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        return self.client.post(f"{self.gateway.url}{path}", data=data, headers=headers)


@asynccontextmanager
async def asleep(data_dir: Path, **settings: Any) -> AsyncIterator[Asleep]:
    """The stage."""
    hub = WakingHub()
    await hub.open()
    engine = await Engine("r0", chat).open()
    hub.publish(route("foo", wakes=True))
    try:
        async with gateway(data_dir, hub, **settings) as run, client() as session:
            parts = Asleep(hub, [engine], run, session)
            try:
                await parts.served(1)
                yield parts
            finally:
                await parts.close()
    finally:
        for server in (hub, engine):
            await server.close()
