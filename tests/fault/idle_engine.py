"""A model server for tests of idle streams: thousands of them in one process, on which nothing comes until it is told.

Run as `python -I idle_engine.py`; it prints its port.
    /stream    an event at once, a second one and the end when it is told
    /go        tells all streams to end
    /          answers at once
"""

import asyncio
import resource

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
FIRST, LAST = b'f\r\ndata: {"n":1}\n\n\r\n', b'1d\r\ndata: {"n":2}\n\ndata: [DONE]\n\n\r\n0\r\n\r\n'
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class Engine:
    """What all of its connections share."""

    def __init__(self) -> None:
        self.go = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                await self.answer(head.split(b" ", 2)[1], writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def answer(self, path: bytes, writer: asyncio.StreamWriter) -> None:
        if path == b"/stream":
            writer.write(HEAD + FIRST)
            await self.go.wait()
            writer.write(LAST)
            return
        if path == b"/go":
            self.go.set()
        writer.write(OK)


async def main() -> None:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    server = await asyncio.start_server(Engine().serve, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
