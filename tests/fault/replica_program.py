"""A model server for fault tests: it tells who answers, streams, and notices clients that leave.

Run as `python -I -S replica_program.py MARK`; the mark only makes the process easy to find.
    /                 who answers
    /stream?n=&gap=   n server-sent events, `gap` seconds apart
    /work             who answers; 500 while there is a file BROKEN (REPLICA in it = the replica's id)
    /hang             never answers; notes when its client leaves
    /state            slow requests in flight, and when (monotonic) clients left
"""

import json
import os
import select
import socket
import threading
import time
from urllib.parse import parse_qs, urlsplit

ME = {
    "replica": os.environ["REPLICA_ID"],
    "pid": os.getpid(),
    "version": os.environ.get("VERSION", ""),
}
BROKEN = os.environ.get("BROKEN", "").replace("REPLICA", ME["replica"])
busy: list[str] = []
left: list[float] = []


def serve(client: socket.socket) -> None:
    with client:
        while path := read_request(client):
            parts = urlsplit(path)
            asked = {key: float(values[0]) for key, values in parse_qs(parts.query).items()}
            slow = [parts.path] if parts.path in {"/stream", "/hang"} else []
            busy.extend(slow)
            stays = answered(client, parts.path, asked)
            for done in slow:
                busy.remove(done)
            if not stays:
                left.append(time.monotonic())
                return


def answered(client: socket.socket, path: str, asked: dict[str, float]) -> bool:
    """Answer; False when the client left before the end."""
    try:
        answer(client, path, asked)
    except OSError:
        return False
    return True


def read_request(client: socket.socket) -> str:
    """The path of the next request, its body skipped; "" when the client has left."""
    data = b""
    try:
        while b"\r\n\r\n" not in data:
            more = client.recv(65536)
            if not more:
                return ""
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        length = next(
            (
                int(line.split(b":")[1])
                for line in head.lower().split(b"\r\n")
                if line.startswith(b"content-length:")
            ),
            0,
        )
        while len(body) < length:
            body += client.recv(65536)
    except OSError:
        return ""
    return head.split(b" ", 2)[1].decode()


def answer(client: socket.socket, path: str, asked: dict[str, float]) -> None:
    if path == "/stream":
        stream(client, int(asked["n"]), asked["gap"])
    elif path == "/hang":
        select.select([client], [], [], 60)
        raise BrokenPipeError  # nothing is sent on a connection that waits: readable means closed
    elif path == "/state":
        reply(client, {**ME, "busy": busy, "left": left})
    elif path == "/work" and BROKEN and os.path.exists(BROKEN):  # noqa: PTH110 -S: started often
        reply(client, ME, b"500 Broken")
    else:
        reply(client, ME)


def reply(client: socket.socket, document: object, status: bytes = b"200 OK") -> None:
    body = json.dumps(document).encode()
    client.sendall(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body)


def stream(client: socket.socket, count: int, gap: float) -> None:
    client.sendall(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    for number in range(count):
        event = b"data: " + json.dumps({**ME, "number": number}).encode() + b"\n\n"
        client.sendall(b"%x\r\n%s\r\n" % (len(event), event))
        if select.select([client], [], [], gap)[0]:
            raise BrokenPipeError
    client.sendall(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")


def main() -> None:
    time.sleep(float(os.environ.get("START_SECONDS", "0")))
    address = (os.environ.get("HOST", "127.0.0.1"), int(os.environ["PORT"]))
    server = socket.create_server(address, backlog=256)
    while True:
        client, _ = server.accept()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=serve, args=(client,), daemon=True).start()


if __name__ == "__main__":
    main()
