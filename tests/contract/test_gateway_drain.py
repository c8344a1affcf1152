"""SIGTERM: what runs may end, what is idle goes, nothing new comes in, and streams get their time."""

import asyncio
import signal
import time
from pathlib import Path

from contract.gateway_harness import until
from contract.wire import Closed, CutOff, Message, Tape, Writer, ok
from contract.wire_stage import LONG, Client, Stage, opened, request

STOP = 3  #: seconds that a stream gets


class Play:
    """`/slow` is answered when told; `/stream` never ends."""

    def __init__(self) -> None:
        self.go = asyncio.Event()

    async def __call__(self, message: Message, tape: Tape, writer: Writer) -> bool:
        if message.target == "/slow":
            await self.go.wait()
        if message.target != "/stream":
            return await ok(message, tape, writer)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"6\r\ntoken\n\r\n")
            await writer.drain()
            await asyncio.sleep(0.02)
        return False


async def _refused(stage: Stage) -> bool:
    try:
        async with stage.client() as client:
            client.send(request("/new"))
            await client.answer()
    except (ConnectionError, CutOff, Closed):
        return True
    return False


async def _tokens(client: Client) -> float:
    """Reads a stream until it is cut; when that was."""
    try:
        async with asyncio.timeout(LONG):
            while await client.tape.until(b"\r\n") != b"0":
                pass
    except (CutOff, Closed):
        return time.monotonic()
    raise AssertionError("a stream that was cut looks whole")


def test_law_a_stop_breaks_nothing_before_its_time(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path, stop_seconds=STOP) as stage:
            play = stage.foo.play = Play()
            async with (
                stage.client() as idle,
                stage.client() as silent,
                stage.client() as slow,
                stage.client() as stream,
            ):
                idle.send(request("/idle"))
                assert (await idle.answer()).status == 200
                slow.send(request("/slow"))
                stream.send(request("/stream"))
                await until(lambda: len(stage.foo.messages) == 3, "all of them are asked")
                cut = asyncio.create_task(_tokens(stream))
                began = time.monotonic()
                stage.gateway.process.send_signal(signal.SIGTERM)
                await idle.ends(LONG)
                await silent.ends(LONG)
                assert time.monotonic() - began < STOP, "what is idle does not wait for the streams"
                while not await _refused(stage):  # noqa: ASYNC110 - of another process
                    await asyncio.sleep(0.01)
                assert stage.gateway.process.returncode is None
                assert not cut.done(), "the stream goes on"
                play.go.set()
                answer = await slow.answer()
                assert (answer.status, answer.body) == (200, b"/slow:")
                await slow.ends(LONG)
                assert STOP - 0.1 < await cut - began < STOP + 5
            async with asyncio.timeout(LONG):
                assert await stage.gateway.process.wait() == 0
            stage.clean()

    asyncio.run(scenario())


def test_a_stop_with_nothing_to_do_is_quick(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path, stop_seconds=60) as stage, stage.client() as idle:
            idle.send(request("/idle"))
            assert (await idle.answer()).status == 200
            stage.gateway.process.send_signal(signal.SIGTERM)
            await idle.ends(LONG)
            async with asyncio.timeout(LONG):
                assert await stage.gateway.process.wait() == 0

    asyncio.run(scenario())
