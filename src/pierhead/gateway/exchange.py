"""One request and its reply: what came in, what went out, and what is to be noted about it."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from random import Random
from typing import Any

from pierhead.gateway.answers import CLOSE, Answer, ClientLeft, Refusal

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

#: A client's own request id is kept if it is short and printable: it goes into logs and headers.
_REQUEST_ID = re.compile(r"[!-~]{1,128}")
LEFT = 499  #: nginx's number for a client that went away; in logs and metrics only


class Exchange:
    """The ASGI triple in the gateway's words."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, rng: Random) -> None:
        self.method: str = scope["method"]
        self.raw_path: bytes = scope["raw_path"]
        self.query: bytes = scope["query_string"]
        self.raw_headers: list[tuple[bytes, bytes]] = scope["headers"]
        #: Lower-case names; of repeated ones the first.
        self.headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in self.raw_headers[::-1]}
        self.scheme: str = scope["scheme"]
        self.client: str = (scope["client"] or ("",))[0]
        self.server: tuple[str, int] = scope["server"]
        own = self.headers.get("x-request-id", "")
        self.request_id = own if _REQUEST_ID.fullmatch(own) else f"{rng.getrandbits(128):032x}"
        self._receive, self._send = receive, send

        self.openai = False  #: errors are told in OpenAI's shape
        self.noted = True  #: counted and logged
        self.service = ""  #: the route's name, once one is known
        self.replica = ""
        self.status = 0  #: 0 until the reply begins
        self.first_byte: float | None = None  #: when the first byte of the reply's body went out
        self.broken = False  #: cut off after it had begun
        self.finished = False
        self._unread = "expect" in self.headers

    async def body(self, limit: int, seconds: float) -> bytes:
        """The request's whole body.

        Raises:
            Refusal: longer than `limit` bytes, or not there after `seconds`.
            ClientLeft: the connection was lost before its end.
        """
        announced = self.headers.get("content-length", "0")
        if announced.isdigit() and int(announced) > limit:
            raise self._too_large(limit)
        try:
            async with asyncio.timeout(seconds):
                body = await self._read(limit)
        except TimeoutError:
            message = f"The request body did not arrive within {seconds:g} s."
            raise Refusal(408, "body_timeout", message, close=True) from None
        if not body and "upgrade" in self.headers and self._has_body(announced):
            # The server's parser takes what follows such a head for another protocol's bytes.
            message = "A request with an Upgrade header may not have a body: leave the header out."
            raise Refusal(400, "upgrade_with_body", message, close=True)
        return body

    async def gone(self) -> None:
        """Returns when the client's connection is lost or the reply is complete."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def start(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Sends the reply's head."""
        self.status = status
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def chunk(self, data: bytes, *, more: bool) -> None:
        """Sends one piece of the reply's body."""
        if not more:
            self.finished = True
        await self._send({"type": "http.response.body", "body": data, "more_body": more})

    async def answer(self, answer: Answer) -> None:
        """Sends a reply of the gateway's own."""
        headers = [
            (b"content-type", answer.content_type),
            (b"content-length", str(len(answer.body)).encode()),
            (b"x-request-id", self.request_id.encode()),
            *answer.headers,
        ]
        if self._unread:
            headers.append(CLOSE)  # nobody knows whether the body that was announced still comes
        await self.start(answer.status, headers)
        await self.chunk(answer.body, more=False)

    def _has_body(self, announced: str) -> bool:
        return announced != "0" or "transfer-encoding" in self.headers

    async def _read(self, limit: int) -> bytes:
        self._unread = False
        parts: list[bytes] = []
        size, more = 0, True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientLeft
            parts.append(message["body"])
            size += len(message["body"])
            more = message["more_body"]
            if size > limit:
                raise self._too_large(limit)
        return b"".join(parts)

    def _too_large(self, limit: int) -> Refusal:
        # Not closed: a client that still sends would meet a reset before it reads why.
        return Refusal(413, "body_too_large", f"The request body is larger than {limit} bytes.")
