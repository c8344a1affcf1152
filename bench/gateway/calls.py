"""Single requests, for what the driver does not do: streams that are watched, and probes of a change."""

import json
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPConnection
from threading import Thread

from bench.gateway.programs import Door

_PAUSE = 0.001


@dataclass(frozen=True, slots=True)
class Answer:
    """What a probe got."""

    status: int
    replica: str


class Probe:
    """Small requests over one kept-alive connection."""

    def __init__(self, door: Door) -> None:
        self._path = f"{door.base}/v1/chat/completions"
        self._body = json.dumps({"model": door.model, "messages": []})
        self._headers = {
            "Authorization": f"Bearer {door.token}",
            "Content-Type": "application/json",
        }
        self._connection = HTTPConnection("127.0.0.1", door.port, timeout=10)

    def ask(self) -> Answer:
        """One request."""
        self._connection.request("POST", self._path, self._body, self._headers)
        answer = self._connection.getresponse()
        answer.read()
        return Answer(answer.status, answer.getheader("x-replica", ""))

    def until(self, met: Callable[[Answer], bool], began: float, seconds: float = 5.0) -> float:
        """Milliseconds from `began` (monotonic) to the first answer that is as it should be.

        Raises:
            TimeoutError: there was none.
        """
        while not met(answer := self.ask()):
            if time.monotonic() - began > seconds:
                raise TimeoutError(f"still {answer} after {seconds:g} s")
            time.sleep(_PAUSE)
        return (time.monotonic() - began) * 1000

    def close(self) -> None:
        """Ends the connection."""
        self._connection.close()


def probed(door: Door, met: Callable[[Answer], bool], began: float) -> float:
    """Milliseconds until a request through `door` is answered as it should be."""
    probe = Probe(door)
    try:
        return probe.until(met, began)
    finally:
        probe.close()


class Watched:
    """A stream that a thread reads to its end."""

    def __init__(self, door: Door, tokens: int) -> None:
        self._door, self._tokens = door, tokens
        self.replica = ""
        self.tokens, self.whole, self.told_usage = 0, False, False
        self._thread = Thread(target=self._read, daemon=True)
        self._thread.start()

    def wait(self, seconds: float) -> None:
        """Until it ended, one way or the other."""
        self._thread.join(seconds)

    @property
    def broken(self) -> bool:
        """Did it end before its end?"""
        return not (self.whole and self.tokens == self._tokens) or self.told_usage

    def _read(self) -> None:
        document: dict[str, object] = {
            "model": self._door.model,
            "messages": [],
            "max_tokens": self._tokens,
            "stream": True,
        }
        body = json.dumps(document)
        head = (
            f"POST {self._door.base}/v1/chat/completions HTTP/1.1\r\nHost: bench\r\n"
            f"Authorization: Bearer {self._door.token}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        )
        came = b""
        try:
            with socket.create_connection(("127.0.0.1", self._door.port), timeout=30) as sock:
                sock.sendall(head.encode())
                while not self.whole and (data := sock.recv(65536)):
                    came += data
                    self._take(came)
        except OSError:
            pass  # it is broken, which is what is asked

    def _take(self, came: bytes) -> None:
        head, _, body = came.partition(b"\r\n\r\n")
        for line in head.decode("latin-1").split("\r\n"):
            if line.lower().startswith("x-replica:"):
                self.replica = line.partition(":")[2].strip()
        self.tokens = body.count(b"@") // 2
        self.told_usage = b'"usage"' in body
        self.whole = body.endswith(b"0\r\n\r\n") and b"[DONE]" in body
