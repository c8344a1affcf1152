"""What happens once, and is told once: requests, their lines in the log, and what they are charged."""

import asyncio
import json
import socket
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from contract.gateway_harness import (
    CHUNKED_HEAD,
    TOKEN,
    Bench,
    Reader,
    Request,
    Writer,
    bench,
    piece,
    plain,
    raw,
    route,
    until,
)
from pierhead.core.routes import Route, RouteToken, Target
from pierhead.core.usage import NONE, Usage

SWITCH = b"HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
CHAT = {"model": "foo", "messages": [{"role": "user", "content": "one two three four"}]}


def asking(line: str, body: bytes = b"", *more: str, length: str = "Content-Length: ") -> bytes:
    lines = [f"{line} HTTP/1.1", "Host: a", f"Authorization: Bearer {TOKEN}", *more]
    if body:
        lines.append(f"{length}{len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def chat(**more: Any) -> bytes:
    return asking("POST /v1/chat/completions", json.dumps({**CHAT, **more}).encode())


async def reply(reader: Reader) -> tuple[int, bytes]:
    """Status and body of one that has a length, or comes in chunks."""
    async with asyncio.timeout(10):
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        status, body = int(head.split()[1]), b""
        if b"\r\ntransfer-encoding: chunked" not in head:
            size = head.partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0]
            return status, await reader.readexactly(int(size))
        while size := int(await reader.readuntil(b"\r\n"), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readexactly(2)
        return status, body


async def counted(b: Bench, status: int) -> list[str]:
    """The figures of requests to `foo` with this status."""
    mark = 'service="foo"'
    lines = (await b.metrics()).splitlines()
    return [
        line.rpartition(" ")[2]
        for line in lines
        if line.startswith("pierhead_gateway_requests_total{")
        and mark in line
        and f'"{status}"' in line
    ]


# ---- told once ------------------------------------------------------------------------------------


def test_a_tunnel_whose_time_is_over_is_told_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as b:

            async def switch(request: Request, reader: Reader, writer: Writer) -> bool:
                del request
                writer.write(SWITCH)
                await reader.read()
                return False

            b.engines[0].play = switch
            await b.publish(route("foo", *b.engines, timeout=1.0))
            more = ("Upgrade: websocket", "Connection: Upgrade")
            told = await raw(b.gateway.port, asking("GET /api/predict/foo/ws", b"", *more))
            assert told.startswith(b"HTTP/1.1 101 ")
            await until(b.gateway.requests, "a line")
            assert await counted(b, 101) == ["1.0"]
            assert [line["status"] for line in b.gateway.requests()] == [101]

    asyncio.run(scenario())


def test_a_switch_that_nobody_asked_for_is_told_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as b:

            async def switch(request: Request, reader: Reader, writer: Writer) -> bool:
                del request
                writer.write(SWITCH)
                await reader.read()
                return False

            b.engines[0].play = switch
            reader, writer = await b.open()
            writer.write(asking("POST /api/predict/foo/x", b"y"))
            assert (await reply(reader))[0] == 502
            await until(b.gateway.requests, "a line")
            assert await counted(b, 502) == ["1.0"]
            assert [line["status"] for line in b.gateway.requests()] == [502]

    asyncio.run(scenario())


# ---- done once ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("repeats", "method", "times"), [(False, "POST", 1), (True, "POST", 2)])
def test_law_what_may_not_be_repeated_is_sent_once(
    tmp_path: Path, repeats: bool, method: str, times: int
) -> None:
    """Also if the engine closes its connection when it has read it: that was no idle one."""

    async def scenario() -> None:
        async with bench(tmp_path) as b:
            engine = b.engines[0]
            await b.publish(route("foo", engine, repeats=repeats))

            async def once(request: Request, reader: Reader, writer: Writer) -> bool:
                del reader
                if request.target == "/2":
                    return False
                writer.write(plain(200, b"{}"))
                return True

            engine.play = once
            reader, writer = await b.open()
            writer.write(asking("POST /api/predict/foo/1", b"x"))
            assert (await reply(reader))[0] == 200
            writer.write(asking(f"{method} /api/predict/foo/2", b"pay once"))
            assert (await reply(reader))[0] == 502
            assert [each.target for each in engine.requests].count("/2") == times

    asyncio.run(scenario())


def test_a_get_may_be_sent_again_over_a_kept_connection(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as b:
            engine = b.engines[0]
            await b.publish(route("foo", engine, repeats=False))
            reader, writer = await b.open()
            for _ in range(3):
                writer.write(asking("GET /api/predict/foo/1"))
                assert (await reply(reader))[0] == 200
            assert engine.accepted == 1
            for _ in range(3):
                writer.write(asking("POST /api/predict/foo/1", b"x"))
                assert (await reply(reader))[0] == 200
            assert engine.accepted == 4
            await until(lambda: len(engine.connections) == 1, "those of the POSTs are not kept")

    asyncio.run(scenario())


def test_law_nothing_behind_the_last_reply_is_done(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as b:
            bad = b"GET /x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"
            for first in (bad, asking("GET /api/predict/foo/1", b"", "Connection: close")):
                told = await raw(b.gateway.port, first + asking("POST /api/predict/foo/2", b"x"))
                assert told.count(b"HTTP/1.1 ") == 1
                assert b"connection: close\r\n" in told
            reader, writer = await b.open()
            writer.write(asking("GET /api/predict/foo/3"))
            assert (await reply(reader))[0] == 200
            assert [each.target for each in b.engines[0].requests] == ["/1", "/3"]

    asyncio.run(scenario())


@pytest.mark.parametrize("length", ["Content-Length:", "Content-Length: ", "content-length:  "])
def test_law_a_body_that_comes_behind_its_head_is_no_request(tmp_path: Path, length: str) -> None:
    """However the length is written, and although the same head came before."""

    async def scenario() -> None:
        async with bench(tmp_path) as b:
            inner = asking("GET /api/predict/foo/inner")
            whole = asking("POST /api/predict/foo/a", inner, length=length)
            head = whole[: -len(inner)]
            reader, writer = await b.open()
            for _ in range(3):
                seen = len(b.gateway.requests())
                writer.write(head)
                await writer.drain()
                await asyncio.sleep(0.05)  # only so that they come apart; the law holds anyway
                writer.write(inner)
                assert (await reply(reader))[0] == 200
                writer.write(whole)
                assert (await reply(reader))[0] == 200
                await until(lambda: len(b.gateway.requests()) >= seen + 2, "lines")  # noqa: B023
            got = [(each.target, each.body) for each in b.engines[0].requests]
            assert got == [("/a", inner)] * 6

    asyncio.run(scenario())


@pytest.mark.parametrize("length", [b"Content-Length:5", b"Content-Length: 5"])
def test_law_an_answers_body_that_comes_behind_its_head_belongs_to_it(
    tmp_path: Path, length: bytes
) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as b:

            async def play(request: Request, reader: Reader, writer: Writer) -> bool:
                del reader
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n" + length)
                body = request.target.encode()[1:]
                if request.target < "/3":
                    writer.write(b"\r\n\r\n" + body)
                else:
                    writer.write(b"\r\n\r\n")
                    await writer.drain()
                    await asyncio.sleep(0.05)  # only so that they come apart
                    writer.write(body)
                return True

            b.engines[0].play = play
            reader, writer = await b.open()
            for name in ("1aaaa", "2bbbb", "3cccc", "4dddd", "1eeee"):
                writer.write(asking(f"GET /api/predict/foo/{name}"))
                assert await reply(reader) == (200, name.encode())

    asyncio.run(scenario())


def test_a_hint_that_comes_alone_is_no_answer(tmp_path: Path) -> None:
    """Neither the first time, nor after it came together with the answer."""

    async def scenario() -> None:
        async with bench(tmp_path) as b:

            async def play(request: Request, reader: Reader, writer: Writer) -> bool:
                del reader
                writer.write(b"HTTP/1.1 103 Early Hints\r\n\r\n")
                if request.target == "/apart":
                    await writer.drain()
                    await asyncio.sleep(0.05)  # only so that they come apart
                writer.write(plain(200, request.target.encode()))
                return True

            b.engines[0].play = play
            reader, writer = await b.open()
            for name in ("apart", "joined", "joined", "apart", "apart"):
                writer.write(asking(f"POST /api/predict/foo/{name}", b"x"))
                assert await reply(reader) == (200, f"/{name}".encode())

    asyncio.run(scenario())


def test_a_body_that_was_too_large_does_not_make_the_next_one_so(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path, body_limit=1000) as b:
            reader, writer = await b.open()
            got: list[int] = []
            for size in (5000, 5, 1000, 1001, 5):
                writer.write(asking("POST /api/predict/foo/x", b"y" * size))
                got.append((await reply(reader))[0])
            assert got == [413, 200, 200, 413, 200]

    asyncio.run(scenario())


# ---- charged once ---------------------------------------------------------------------------------


async def settled(b: Bench) -> Usage:
    """What is charged, by a report that was made after this."""
    before = len(b.hub.reports)
    await until(lambda: len(b.hub.reports) >= before + 2, "two reports", 15)
    return sum(b.hub.metered().values(), NONE)


def test_a_prompt_that_no_engine_had_is_not_charged(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as b:
            # Its backlog is full, so that connecting takes for ever.
            with ExitStack() as stack:
                full = stack.enter_context(socket.socket())
                full.bind(("127.0.0.1", 0))
                full.listen(0)
                port, fill = full.getsockname()[1], 3
                for _ in range(fill):
                    one = stack.enter_context(socket.socket())
                    one.settimeout(0)
                    one.connect_ex(full.getsockname())
                tokens, targets = (RouteToken(TOKEN),), (Target("r9", "127.0.0.1", port),)
                await b.publish(
                    Route("id-foo", "foo", tokens=tokens, targets=targets, api="openai")
                )
                _, writer = await b.open()
                writer.write(chat())
                await until(lambda: _connecting(port) > fill, "the gateway connects")
                writer.transport.abort()
                await until(b.gateway.requests, "a line")
                assert await settled(b) == NONE

    asyncio.run(scenario())


def test_a_prompt_that_an_engine_had_is_charged_however_the_wait_ended(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as b:
            engine = b.engines[0]
            engine.play = engine.silence
            await b.publish(route("foo", engine, timeout=1.0, api="openai"))
            reader, writer = await b.open()
            writer.write(chat())
            assert (await reply(reader))[0] == 408
            late = await settled(b)
            assert (late.requests, late.prompt > 0, late.completion) == (1, True, 0)

            _, writer = await b.open()
            writer.write(chat())
            await until(lambda: len(engine.requests) == 2, "asked")
            writer.transport.abort()
            await until(lambda: len(b.gateway.requests()) == 2, "a line")
            assert await settled(b) == late + late

    asyncio.run(scenario())


def _connecting(port: int) -> int:
    """Connections to a port on this machine, be they there yet or not, seen from their clients."""
    lines = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    return sum(line.split()[2].endswith(f":{port:04X}") for line in lines)


@pytest.mark.parametrize("text", ["data: [DONE]", "hello", "\ndata: [DONE]\n\n"])
def test_text_does_not_end_the_counting(tmp_path: Path, text: str) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as b:

            def event(content: str) -> bytes:
                choice = {"index": 0, "delta": {"content": content}}
                found = {"id": "1", "object": "chat.completion.chunk", "choices": [choice]}
                return piece(b"data: %b\n\n" % json.dumps(found, separators=(",", ":")).encode())

            async def stream(request: Request, reader: Reader, writer: Writer) -> bool:
                del request, reader
                writer.write(CHUNKED_HEAD + event(text))
                await writer.drain()
                await asyncio.sleep(0.05)  # only so that they come apart
                for content in (text, "w", text):
                    writer.write(event(content))
                    await writer.drain()
                usage = {"prompt_tokens": 10, "completion_tokens": 51, "total_tokens": 61}
                last = json.dumps({"id": "1", "choices": [], "usage": usage}).encode()
                writer.write(piece(b"data: %b\n\n" % last) + piece(b"data: [DONE]\n\n"))
                writer.write(b"0\r\n\r\n")
                return True

            b.engines[0].play = stream
            await b.publish(route("foo", *b.engines, api="openai"))
            reader, writer = await b.open()
            writer.write(chat(stream=True))
            status, body = await reply(reader)
            assert (status, body.count(b"data: {"), b"usage" in body) == (200, 4, False)
            assert await settled(b) == Usage(1, 10, 51, 0)

    asyncio.run(scenario())
