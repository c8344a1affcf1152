"""What is told of a connection that broke: whether anything of an answer had come."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable

import aiohttp
import pytest
from aiohttp.client_proto import ResponseHandler

from pierhead.gateway.upstream import _BrokenOff, _Response

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read the request, and answer it with a reset."""
    await reader.readuntil(b"\r\n\r\n")
    await asyncio.sleep(0.05)
    linger = struct.pack("ii", 1, 0)
    writer.transport.get_extra_info("socket").setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, linger
    )
    writer.transport.abort()


async def head_and_reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Le")
    await writer.drain()
    await reset(reader, writer)


async def ended(talk: Talk) -> BaseException | None:
    """How a request to such a server ends."""
    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with server, aiohttp.ClientSession(response_class=_Response) as session:
        try:
            await session.post(url, data=b"once")
        except aiohttp.ClientError as error:
            return error
    return None


def test_a_reset_after_a_part_of_a_head_is_told() -> None:
    assert isinstance(asyncio.run(ended(head_and_reset)), _BrokenOff)


def test_a_call_without_data_is_no_part_of_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Law: what was not answered at all may be asked of another replica; aiohttp calls itself with nothing."""
    own = ResponseHandler.connection_lost

    def connection_lost(protocol: ResponseHandler, error: BaseException | None) -> None:
        protocol.data_received(b"")
        own(protocol, error)

    monkeypatch.setattr(ResponseHandler, "connection_lost", connection_lost)
    error = asyncio.run(ended(reset))
    assert isinstance(error, aiohttp.ClientOSError)
    assert not isinstance(error, _BrokenOff)
