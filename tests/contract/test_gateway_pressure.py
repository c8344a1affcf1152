"""Large bodies and slow peers: what the gateway holds of them, and what it does not."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from contract.gateway_harness import until
from contract.wire import Message, Tape, Writer, ok
from contract.wire_stage import LONG, Client, Performance, Stage, performed, request

MB = 1_000_000
BLOCK = bytes(range(256)) * 256  #: 64 KiB
GROWTH = 20 * MB


@pytest.fixture(scope="module")
def perform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Performance]:
    yield from performed(tmp_path_factory.mktemp("gateway"))


class Pour:
    """A play that sends so many blocks as fast as they are taken; `chunked` or by length."""

    def __init__(self, blocks: int, *, chunked: bool) -> None:
        self.blocks, self.chunked, self.sent = blocks, chunked, 0

    async def __call__(self, message: Message, tape: Tape, writer: Writer) -> bool:
        if message.target != "/x":
            return await ok(message, tape, writer)
        framed = b"Content-Length: %d" % (self.blocks * len(BLOCK))
        framed = b"Transfer-Encoding: chunked" if self.chunked else framed
        writer.write(b"HTTP/1.1 200 OK\r\n" + framed + b"\r\n\r\n")
        while self.sent < self.blocks:
            writer.write(b"%x\r\n%s\r\n" % (len(BLOCK), BLOCK) if self.chunked else BLOCK)
            await writer.drain()
            self.sent += 1
        if self.chunked:
            writer.write(b"0\r\n\r\n")
        return True


@asynccontextmanager
async def _tight(stage: Stage) -> AsyncGenerator[Client]:
    """A client whose own buffers hold next to nothing."""
    async with stage.client(limit=1 << 16) as client:
        yield client


async def _at_rest(count: Any) -> int:
    """The count once it has not moved for half a second."""
    last = -1
    while last != (last := count()):  # noqa: ASYNC110 - until nothing moves any more
        await asyncio.sleep(0.5)
    return last


@pytest.mark.parametrize("chunked", [False, True])
def test_a_slow_reader_holds_the_engine_back(perform: Performance, chunked: bool) -> None:
    """64 MiB to a client that does not read: they stay with the engine, not in the gateway."""

    async def scenario() -> None:
        pour = perform.stage.foo.play = Pour(1024, chunked=chunked)
        before = perform.stage.resident()
        async with _tight(perform.stage) as client:
            client.send(request("/x"))
            assert await _at_rest(lambda: pour.sent) < 512, "the engine is held back"
            assert perform.stage.resident() - before < GROWTH
            assert (await perform.stage.ask(request("/y"))).body == b"/y:", "others are served"
            answer = await client.answer(seconds=30)
            assert answer.body == BLOCK * 1024
            assert perform.stage.resident() - before < GROWTH

    perform(scenario())


def test_a_slow_engine_costs_a_large_body_once_at_most(perform: Performance) -> None:
    """A body may be held, so that another replica can get it, but not twice."""
    size, go = 48 * MB, asyncio.Event()

    async def slow(message: Message, tape: Tape, writer: Writer) -> bool:
        if message.target == "/x":
            await go.wait()
            assert message.length is not None
            message.body = await (tape.exactly(size) if message.length >= 0 else _unchunked(tape))
        return await ok(message, tape, writer)

    async def scenario() -> None:
        stage = perform.stage
        stage.foo.play, stage.foo.early = slow, True
        before = stage.resident()
        async with stage.client() as client:
            client.send(request("/x", method="POST", body=b"b" * size))
            await until(lambda: stage.foo.messages, "the engine is asked", LONG)
            await _at_rest(lambda: stage.resident() // MB)
            assert stage.resident() - before < size + GROWTH
            assert (await stage.ask(request("/y"))).body == b"/y:"
            go.set()
            assert len((await client.answer(seconds=30)).body) == size + 3
        # Next to nothing of it stays.
        await until(lambda: stage.resident() - before < GROWTH, "it is given back", LONG)

    perform(scenario())


async def _unchunked(tape: Tape) -> bytes:
    return (await tape.chunked())[0]


def test_a_large_body_arrives_as_it_was_sent(perform: Performance) -> None:
    async def scenario() -> None:
        body = BLOCK * 100
        cuts = [body[at : at + 99_991] for at in range(0, len(body), 99_991)]
        chunked = request("/x", "Transfer-Encoding: chunked", method="POST")
        chunked += b"".join(b"%x\r\n%s\r\n" % (len(cut), cut) for cut in cuts) + b"0\r\n\r\n"
        for sent in (request("/x", method="POST", body=body), chunked):
            async with perform.stage.client() as client:
                client.send(sent)
                assert (await client.answer()).body == b"/x:" + body

    perform(scenario())


def test_a_hundred_slow_readers_share_little(perform: Performance) -> None:
    async def scenario() -> None:
        async def pour(message: Message, tape: Tape, writer: Writer) -> bool:
            return await Pour(64, chunked=True)(message, tape, writer)

        perform.stage.foo.play = pour
        before, clients = perform.stage.resident(), list[Client]()
        try:
            for _ in range(100):
                opening = perform.stage.client(limit=1 << 16)
                clients.append(await opening.__aenter__())
                clients[-1].send(request("/x"))
            await until(lambda: len(perform.stage.foo.messages) == 100, "all are asked", LONG)
            assert (await perform.stage.ask(request("/y"))).body == b"/y:"
            grown = perform.stage.resident() - before
            assert grown < 100 * MB, "less than a megabyte for each"
        finally:
            for client in clients:
                await client.__aexit__()

    perform(scenario())
