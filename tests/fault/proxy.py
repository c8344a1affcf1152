"""A TCP proxy whose faults are switched on and off while it runs: delay, silence, reset."""

import asyncio
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter


@dataclass(slots=True)
class Proxy:
    """What it does to the bytes; set from any thread."""

    target: tuple[str, int]
    port: int = 0
    delay: float = 0.0  #: seconds that each piece is held, both ways
    swallow: bool = (
        False  #: connections stay open, and nothing that is sent on them arrives ever again
    )
    cut: bytes | None = None  #: after these bytes of the target's both ends are reset
    _dead: set[Writer] = field(default_factory=set[Writer])

    @property
    def swallowed(self) -> bool:
        """Was something sent that will never arrive?"""
        return bool(self._dead)

    async def serve(self, stop: asyncio.Event, ready: threading.Event) -> None:
        """Run until told to stop."""
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        await stop.wait()
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    async def _connection(self, reader: Reader, writer: Writer) -> None:
        try:
            there, out = await asyncio.open_connection(*self.target)
        except OSError:
            writer.transport.abort()
            return
        pumps = self._pump(reader, out, writer), self._pump(there, writer, out, back=True)
        try:
            await asyncio.gather(*pumps)
        except (OSError, asyncio.CancelledError):
            pass  # one end is gone, or the test is over
        finally:
            out.transport.abort()
            writer.transport.abort()

    async def _pump(
        self, reader: Reader, writer: Writer, other: Writer, back: bool = False
    ) -> None:
        while data := await reader.read(65536):
            await asyncio.sleep(self.delay)
            if self.swallow:
                self._dead |= {writer, other}
            if writer in self._dead:
                continue
            if back and self.cut is not None and self.cut in data:
                writer.write(data[: data.index(self.cut) + len(self.cut)])
                await writer.drain()
                await asyncio.sleep(0.02)  # else the reset overtakes them
                raise ConnectionResetError
            writer.write(data)
            await writer.drain()
        if writer not in self._dead:
            raise ConnectionResetError


@contextmanager
def before(host: str, port: int) -> Generator[Proxy]:
    """A proxy before an address, in a thread of its own."""
    proxy, ready, stop = Proxy((host, port)), threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_until_complete, args=(proxy.serve(stop, ready),))
    thread.start()
    assert ready.wait(5)
    try:
        yield proxy
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(5)
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
