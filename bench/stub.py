"""A stub engine that answers at once: `python -m bench.stub --port N`. What is left is the gateway.

POST /v1/completions answers a short JSON; with `"stream": true` it sends `max_tokens` events,
PAUSE apart, so that each is a chunk of its own on the wire. GET answers 200.
"""

import argparse
import asyncio
import json
from contextlib import suppress

PAUSE = 0.002
_TOKEN = b'data: {"id":"c","object":"text_completion","choices":[{"index":0,"text":" word"}]}\n\n'
_CHUNK = b"%x\r\n%s\r\n" % (len(_TOKEN), _TOKEN)
_LAST = b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"
_ANSWER = json.dumps(
    {
        "id": "c",
        "object": "text_completion",
        "choices": [{"index": 0, "text": " word" * 40, "finish_reason": "length"}],
        "usage": {"prompt_tokens": 8, "completion_tokens": 40, "total_tokens": 48},
    }
).encode()
_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
)
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One kept-alive connection."""
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            _, found, rest = head.partition(b"content-length:")
            length = int(rest.split(b"\r\n", 1)[0]) if found else 0
            body = json.loads(await reader.readexactly(length)) if length else {}
            if body.get("stream"):
                await _stream(writer, int(body["max_tokens"]))
            else:
                writer.write(_HEAD % len(_ANSWER) + _ANSWER)
                await writer.drain()
    writer.close()


async def _stream(writer: asyncio.StreamWriter, tokens: int) -> None:
    writer.write(_STREAM_HEAD)
    for _ in range(tokens):
        writer.write(_CHUNK)
        await writer.drain()
        await asyncio.sleep(PAUSE)
    writer.write(_LAST)
    await writer.drain()


async def main(port: int) -> None:
    """Serve until killed."""
    server = await asyncio.start_server(serve, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    asyncio.run(main(parser.parse_args().port))
