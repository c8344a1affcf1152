"""What one client may take up: heads, targets, slow senders, connections. Raw bytes on a real port."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import uvicorn

from pierhead.server import HttpLimits, Server

LIMITS = HttpLimits(
    head=4096, target=512, headers=20, head_seconds=0.4, rest_seconds=0.4, connections=0
)
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Reads no body; `/slow` takes its time; answers `ok`."""
    if scope["path"] == "/slow":
        await asyncio.sleep(1.0)
    if scope["path"] == "/read":
        while (await receive()).get("more_body"):
            pass
    headers = [(b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok"})


@asynccontextmanager
async def serving(limits: HttpLimits = LIMITS, keep_alive: int = 1) -> AsyncIterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        timeout_keep_alive=keep_alive,
        timeout_graceful_shutdown=1,
    )
    server = Server(config, limits)
    task = asyncio.create_task(server.serve([listener]))
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = server.force_exit = True
        await task


def play(act: Callable[[int], Coroutine[Any, Any, None]], **limits: Any) -> None:
    async def main() -> None:
        async with asyncio.timeout(20), serving(**limits) as port:
            await act(port)

    asyncio.run(main())


async def exchange(port: int, *parts: bytes, pause: float = 0.0) -> tuple[bytes, float]:
    """All that comes back until the server hangs up, and after how many seconds it did."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    began = time.monotonic()

    async def sending() -> None:
        try:
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(pause)
        except ConnectionError:
            pass

    task = asyncio.create_task(sending())
    try:
        answer = await reader.read()
    except ConnectionError:
        answer = b""
    took = time.monotonic() - began
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    writer.close()
    return answer, took


def test_a_plain_request_is_served_and_the_idle_connection_ends() -> None:
    async def act(port: int) -> None:
        answer, took = await exchange(port, GET)
        assert answer.startswith(b"HTTP/1.1 200 OK") and answer.endswith(b"ok")
        assert 0.8 < took < 4

    play(act)


def test_many_requests_on_one_connection_are_served() -> None:
    async def act(port: int) -> None:
        answer, _ = await exchange(port, *[GET] * 50, pause=0.002)
        assert answer.count(b"200 OK") == 50

    play(act)


def test_pipelined_requests_are_served() -> None:
    async def act(port: int) -> None:
        answer, _ = await exchange(port, GET * 30)
        assert answer.count(b"200 OK") == 30

    play(act)


def test_law_a_target_has_a_length() -> None:
    async def act(port: int) -> None:
        answer, took = await exchange(port, b"GET /" + b"a" * 600 + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 414 ") and took < 1

    play(act)


def test_law_headers_have_a_number() -> None:
    async def act(port: int) -> None:
        lines = b"".join(b"X-%d: 1\r\n" % n for n in range(30))
        answer, took = await exchange(port, b"GET / HTTP/1.1\r\n" + lines + b"\r\n")
        assert answer.startswith(b"HTTP/1.1 431 ") and took < 1

    play(act)


def test_law_one_endless_header_is_cut() -> None:
    """The parser tells of a header once it ended: bytes have to be counted before."""

    async def act(port: int) -> None:
        head = b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: "
        answer, _ = await exchange(port, head, *[b"a" * 1000] * 200, pause=0.001)
        assert answer.startswith(b"HTTP/1.1 431 ")

    play(act, limits=HttpLimits(head=4096, head_seconds=10))


def test_law_a_slow_head_ends_in_time_however_often_a_byte_comes() -> None:
    async def act(port: int) -> None:
        drip = [bytes([byte]) for byte in b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 200]
        answer, took = await exchange(port, *drip, pause=0.05)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert took < 1.5

    play(act)


def test_law_a_connection_that_says_nothing_ends() -> None:
    async def act(port: int) -> None:
        answer, took = await exchange(port)
        assert answer == b"" and took < 1.5

    play(act)


def test_law_line_ends_alone_keep_no_connection_open() -> None:
    async def act(port: int) -> None:
        answer, took = await exchange(port, GET, *[b"\r\n"] * 60, pause=0.05)
        assert answer.count(b"HTTP/1.1") <= 2 and took < 2.5

    play(act)


def test_law_a_slow_second_head_ends_in_time() -> None:
    async def act(port: int) -> None:
        drip = [bytes([byte]) for byte in b"GET / HTTP/1.1\r\nX: " + b"a" * 200]
        answer, took = await exchange(port, GET, *drip, pause=0.05)
        assert answer.startswith(b"HTTP/1.1 200 ") and b"HTTP/1.1 408 " in answer
        assert took < 2

    play(act)


def test_law_a_body_that_nobody_reads_ends_in_time() -> None:
    """The answer is out; the client goes on sending, slowly, and would keep the connection for ever."""

    async def act(port: int) -> None:
        head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"
        answer, took = await exchange(port, head, *[b"a"] * 200, pause=0.05)
        assert answer.startswith(b"HTTP/1.1 200 ") and took < 2

    play(act)


def test_a_body_that_is_read_may_take_longer_than_a_head() -> None:
    async def act(port: int) -> None:
        head = b"POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n"
        answer, _ = await exchange(port, head, *[b"a"] * 20, pause=0.05)
        assert answer.startswith(b"HTTP/1.1 200 ")

    play(act)


def test_a_slow_answer_is_not_cut() -> None:
    async def act(port: int) -> None:
        answer, _ = await exchange(port, b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(b"ok")

    play(act)


def test_law_length_and_chunks_together_are_refused() -> None:
    """Two servers in a row would read two different requests out of it."""

    async def act(port: int) -> None:
        head = (
            b"POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n"
        )
        answer, _ = await exchange(port, head + b"\r\n0\r\n\r\nGET /evil HTTP/1.1\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert answer.count(b"HTTP/1.1") == 1

    play(act)


def test_law_one_address_has_so_many_connections() -> None:
    from pierhead.server import Connections

    counts = Connections(HttpLimits(connections=2, trusted=lambda address: address == "10.0.0.9"))
    assert [counts.enter("10.0.0.1") for _ in range(3)] == [True, True, False]
    assert counts.enter("10.0.0.2")
    counts.leave("10.0.0.1")
    assert counts.enter("10.0.0.1")
    assert all(counts.enter("10.0.0.9") for _ in range(10)), "a trusted proxy has all its clients'"
    assert all(counts.enter(address) for address in ["127.0.0.1", "::1"] * 5)


def test_law_a_connection_too_many_is_closed_and_the_others_go_on(monkeypatch: Any) -> None:
    from pierhead.server import Connections

    monkeypatch.setattr(Connections, "_exempt", lambda _self, _address: False)

    async def act(port: int) -> None:
        first = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        answer, _ = await exchange(port, GET)
        assert answer == b""
        reader, writer = first[0]
        writer.write(GET)
        assert (await reader.readline()) == b"HTTP/1.1 200 OK\r\n"
        for _, open_ in first:
            open_.close()
            await open_.wait_closed()
        deadline = time.monotonic() + 5
        while not (await exchange(port, GET))[0].startswith(b"HTTP/1.1 200"):
            assert time.monotonic() < deadline

    play(act, limits=HttpLimits(connections=2))
