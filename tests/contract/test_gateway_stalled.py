"""Peers that stop reading: what the gateway waits for, and for how long; and that nothing is mixed up by it."""

import asyncio
import re
import select
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contract.gateway_harness import TOKEN, Bench, Request, bench, plain, route, until
from pierhead.core.routes import Route, RouteToken, Target

MB = 1_000_000
ZEROS = bytes(65536)


def asking(target: str, body: bytes | None = None, *, method: str = "POST") -> bytes:
    """A request to `foo`; without a body it is GET."""
    method = method if body is not None else "GET"
    head = f"{method} /api/predict/foo{target} HTTP/1.1\r\nHost: a\r\nAuthorization: {TOKEN}\r\n"
    length = f"Content-Length: {len(body)}\r\n" if body is not None else ""
    return f"{head}{length}\r\n".encode() + (body or b"")


async def sized(request: Request, reader: Any, writer: Any) -> bool:
    """So many bytes as the target's last part says, named by the part before."""
    del reader
    _, tag, size = request.target.split("/")
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Tag: {tag}\r\n"
    writer.write(f"{head}Content-Length: {size}\r\n\r\n".encode())
    left = int(size)
    while left > 0:
        writer.write(ZEROS[:left])
        left -= len(ZEROS)
        await writer.drain()
    return True


async def tight(b: Bench) -> socket.socket:
    """A client whose kernel holds next to nothing for it."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
    made.settimeout(0)
    await asyncio.get_running_loop().sock_connect(made, ("127.0.0.1", b.gateway.port))
    return made


def is_cut(client: socket.socket) -> bool:
    """Was the connection reset? Nothing is read for that."""
    poll = select.poll()
    poll.register(client, 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


async def read_on(
    client: socket.socket, enough: Callable[[bytearray], bool], seconds: float = 20.0
) -> bytes:
    """What comes until it is enough, or the end."""
    loop, data = asyncio.get_running_loop(), bytearray()
    async with asyncio.timeout(seconds):
        while not enough(data):
            piece = await loop.sock_recv(client, 1 << 20)
            if not piece:
                break
            data += piece
    return bytes(data)


def test_an_idle_client_that_does_not_take_its_replies_is_cut(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path, keep_alive_seconds=1, write_seconds=1) as b:
            b.engines[0].play = sized
            client, loop = await tight(b), asyncio.get_running_loop()
            # Less than the gateway holds before it stops reading from the engine, more than the kernel
            # takes: the replies are over for the gateway, and not for its client.
            for number in range(8):
                await loop.sock_sendall(client, asking(f"/{number}/150000"))
                await until(lambda: len(b.engines[0].requests) or is_cut(client), "asked")
            await until(lambda: is_cut(client), "the client is cut", 15)
            client.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("timeout", [None, 1.0])
def test_a_client_that_reads_nothing_lets_go_of_the_engine(
    tmp_path: Path, timeout: float | None
) -> None:
    async def scenario() -> None:
        async with bench(tmp_path, write_seconds=1) as b:
            engine = b.engines[0]
            await b.publish(route("foo", engine, timeout=timeout))
            engine.play = sized
            client = await tight(b)
            await asyncio.get_running_loop().sock_sendall(client, asking("/x/100000000"))
            await until(lambda: engine.requests, "asked")
            await until(lambda: not engine.connections, "the engine is told", 15)
            await until(lambda: is_cut(client), "the client is cut", 15)
            client.close()

    asyncio.run(scenario())


def test_a_client_that_reads_slowly_is_not_cut(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path, write_seconds=2) as b:
            b.engines[0].play = sized
            client, loop = await tight(b), asyncio.get_running_loop()
            await loop.sock_sendall(client, asking("/x/2000000"))
            begun, taken = time.monotonic(), 0
            while time.monotonic() - begun < 5:  # in which it takes far less than all
                taken += len(await loop.sock_recv(client, 2048))
                await asyncio.sleep(0.1)
            assert taken < MB
            rest = await read_on(client, lambda data: taken + len(data) > 2 * MB)
            assert taken + len(rest) > 2 * MB
            client.close()

    asyncio.run(scenario())


def test_bodies_of_requests_that_nobody_looked_at_yet_are_not_read(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as b:
            go = asyncio.Event()

            async def late(request: Request, reader: Any, writer: Any) -> bool:
                del reader
                await go.wait()
                writer.write(plain(200, b"%d" % len(request.body)))
                return True

            b.engines[0].play = late
            client, loop = await tight(b), asyncio.get_running_loop()
            await loop.sock_sendall(client, asking("/first"))
            await until(lambda: b.engines[0].requests, "asked")
            left = memoryview(asking("/x", bytes(30 * MB)) * 4)
            whole, since = len(left), time.monotonic()
            while time.monotonic() - since < 1:  # until nothing more is taken
                try:
                    left, since = left[client.send(left) :], time.monotonic()
                except BlockingIOError:
                    await asyncio.sleep(0.01)
            assert whole - len(left) < 15 * MB  # the kernel's buffers, most of it
            go.set()
            sending = asyncio.ensure_future(loop.sock_sendall(client, left))
            told = await read_on(client, lambda data: data.count(b"\r\n\r\n30000000") == 4, 60)
            assert told.count(b"HTTP/1.1 200") == 5
            await sending
            client.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("size", [20_000, 300_000, 700_000])
def test_pipelined_bodies_that_come_in_pieces_all_arrive(tmp_path: Path, size: int) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as b:
            bodies = [bytes([65 + number]) * (size + number) for number in range(14)]
            reader, writer = await b.open()
            sending = asyncio.ensure_future(
                _write(writer, b"".join(asking("/x", x) for x in bodies))
            )
            async with asyncio.timeout(60):
                for _ in bodies:
                    head = await reader.readuntil(b"\r\n\r\n")
                    assert head.startswith(b"HTTP/1.1 200 ")
                    length = re.search(rb"content-length: (\d+)", head)
                    assert length is not None
                    await reader.readexactly(int(length[1]))
            await sending
            assert [each.body for each in b.engines[0].requests] == bodies

    asyncio.run(scenario())


async def _write(writer: Any, data: bytes) -> None:
    writer.write(data)
    await writer.drain()


def test_law_a_client_that_reads_late_gets_its_replies_in_order(tmp_path: Path) -> None:
    """Also the one to a head that came before, in one piece: such are read by a way of their own."""

    async def scenario() -> None:
        async with bench(tmp_path) as b:
            b.engines[0].play = sized
            client, loop = await tight(b), asyncio.get_running_loop()
            sent = ["A"]
            await loop.sock_sendall(client, asking("/A/10"))
            await until(lambda: b.engines[0].requests, "asked")
            for number in range(20):
                two = asking(f"/B{number}/200000") + asking(f"/C{number}/200000")
                await loop.sock_sendall(client, two)
                await asyncio.sleep(0.02)
                await loop.sock_sendall(client, asking("/A/10"))
                await asyncio.sleep(0.02)  # only so that they come apart; the order holds anyway
                sent += [f"B{number}", f"C{number}", "A"]
            # Looked for where it has not been: eight million bytes come in very small pieces.
            seen = [0, 0]

            def all_there(data: bytearray) -> bool:
                seen[:] = seen[0] + data.count(b"X-Tag", seen[1]), max(0, len(data) - 4)
                return seen[0] == len(sent)

            data = await read_on(client, all_there)
            assert [tag.decode() for tag in re.findall(rb"X-Tag: (\w+)", data)] == sent
            client.close()

    asyncio.run(scenario())


def test_law_no_request_goes_behind_the_rest_of_another_ones_body(tmp_path: Path) -> None:
    """An engine that answers early and reads no more of the body gets nothing else on that connection."""

    async def scenario() -> None:
        over, heads = asyncio.Event(), list[bytes]()

        async def early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(plain(200, b"{}"))
            await over.wait()
            writer.transport.abort()

        async with bench(tmp_path) as b:
            server = await asyncio.start_server(early, "127.0.0.1", 0, limit=1 << 16)
            port = server.sockets[0].getsockname()[1]
            tokens, targets = (RouteToken(TOKEN),), (Target("r9", "127.0.0.1", port),)
            await b.publish(Route("id-foo", "foo", tokens=tokens, targets=targets))
            for body in (bytes(30 * MB), None):
                reader, writer = await b.open()
                sending = asyncio.ensure_future(_write(writer, asking("/x", body)))
                async with asyncio.timeout(10):
                    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
                await sending
            assert [head.split()[0] for head in heads] == [b"POST", b"GET"]
            over.set()
            server.close()

    asyncio.run(scenario())
