"""The playground's line to a service: what the browser sends goes to the gateway, what comes back goes on.

The gateway is another origin, which the pages' policy lets nobody call; and so a service's token never
has to be in a browser. Neither direction is kept: a chunk goes on as it comes. When the browser leaves,
the gateway is left, and the engine stops computing.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from ssl import SSLContext
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from pierhead.core.errors import Invalid, NotFound, PierheadError, Unavailable
from pierhead.core.principals import Principal
from pierhead.operations.chatting import Opened
from pierhead.optional import Later
from pierhead.web.console import Asked, Route

if TYPE_CHECKING:
    import aiohttp
    import yarl
else:  # most hubs never chat
    aiohttp, yarl = Later("aiohttp"), Later("yarl")

#: Bytes that one request may have: pictures come as text within JSON.
BODY = 32 * 1024 * 1024
_PATH = 2000
_CONNECT_SECONDS = 5.0
#: Of what the browser says: what its call means. Its cookie and its address are not the service's business.
_PASSED_ON = ("content-type", "accept")
#: Of what the service says: not what browsers obey, such as cookies and redirects.
_PASSED_BACK = ("content-type", "retry-after", "x-request-id")
#: An answer is text to be read, whatever the service calls it: nothing in it runs as a page of the console.
_GUARDS = {
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
    "cache-control": "no-store",
    "x-accel-buffering": "no",
    #: The service's own words, not the console's: a 401 does not mean that the session ended.
    "x-pierhead-relayed": "true",
}
#: What makes a call of an operation one that is only tried out.
_MOCK = "x-pierhead-mock"
_QUERY_SAFE = "%=&+,;:@/?!$'()*~-._"

#: Lets somebody speak to a service, by its name: (who, service, circumstances of the call).
Open = Callable[[Principal, str, Mapping[str, str]], Awaitable[Opened]]


@dataclass(frozen=True, slots=True)
class Gateway:
    """Where a gateway is."""

    url: str  #: without a slash at the end
    trust: SSLContext | None = None  #: how it proves who it is; None for plain HTTP


@dataclass(slots=True)
class Upload:
    """What the browser sends, as it comes, up to a limit in bytes."""

    request: Request
    limit: int
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    failure: PierheadError | ClientDisconnect | None = None
    size: int = 0

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body; ends early, with `failure` set, when the client leaves or sends too much."""
        try:
            async for chunk in self.request.stream():
                self.size += len(chunk)
                if self.size > self.limit:
                    raise _too_large(self.limit)
                if chunk:
                    yield chunk
        except (ClientDisconnect, PierheadError) as error:
            self.failure = error
            raise
        finally:
            self.ended.set()

    async def left(self) -> None:
        """Returns when the client is gone."""
        await self.ended.wait()
        if isinstance(self.failure, ClientDisconnect):
            return
        while (await self.request.receive())["type"] != "http.disconnect":
            pass


class Chat:
    """Relays requests to the gateway."""

    def __init__(self, open_: Open, gateways: Sequence[Gateway]) -> None:
        """`gateways`: the first that can be reached is asked."""
        self._open, self._gateways = open_, gateways
        self._client: aiohttp.ClientSession | None = None

    def routes(self) -> tuple[Route, ...]:
        """For the console."""
        return (
            Route("GET", "/console/api/chat/{service}/v1/models", self.models),
            Route("POST", "/console/api/chat/{service}/{path...}", self.relay, body=BODY),
        )

    async def close(self) -> None:
        """Hang up."""
        if self._client is not None:
            await self._client.close()

    async def models(self, asked: Asked) -> Response:
        """What the service calls its models."""
        return await self._relay(asked, "v1/models")

    async def relay(self, asked: Asked) -> Response:
        """Any other request to it."""
        return await self._relay(asked, asked.parts["path"])

    async def _relay(self, asked: Asked, path: str) -> Response:
        """The service's answer, as it comes.

        Raises:
            NotFound: there is no such service.
            Forbidden: its token is not the visitor's to know.
            Invalid: the path leads elsewhere, or the body is too large.
            Unavailable: no gateway answers.
            ClientDisconnect: the browser left before the answer began.
        """
        _check(asked, path)
        name = asked.parts["service"]
        opened = await self._open(asked.principal, name, asked.circumstances())
        target = f"/api/predict/{quote(opened.service, safe='')}/{quote(path, safe='/')}"
        if asked.request.url.query:
            target += f"?{quote(asked.request.url.query, safe=_QUERY_SAFE)}"
        upload = Upload(asked.request, asked.body_limit)
        gone = asyncio.ensure_future(upload.left())
        answer = asyncio.ensure_future(self._ask(upload, target, opened.token))
        try:
            await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                raise ClientDisconnect
            return Relayed(answer.result(), gone)
        except BaseException:  # cancelled as well: neither task may go on; raised again
            await _dropped(answer, gone)
            raise

    async def _ask(self, upload: Upload, target: str, token: str) -> "aiohttp.ClientResponse":
        """The head of the answer, of the first gateway that can be reached."""
        why = "none is known"
        for gateway in self._gateways:
            try:
                return await self._send(upload, gateway, target, token)
            except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
                why = str(error)  # nothing was read of the body: another one can be asked
            except (aiohttp.ClientError, TimeoutError) as error:
                if upload.failure is not None:
                    raise upload.failure from error
                why = str(error) or type(error).__name__
                break
        raise Unavailable("The gateway", why)

    async def _send(
        self, upload: Upload, gateway: Gateway, target: str, token: str
    ) -> "aiohttp.ClientResponse":
        said, posts = upload.request.headers, upload.request.method == "POST"
        headers = {name: said[name] for name in _PASSED_ON if name in said}
        headers |= {"authorization": token, "accept-encoding": "identity"}
        if posts and "content-length" in said:
            headers["content-length"] = said["content-length"]
        if not posts:
            upload.ended.set()
        return await self._session().request(
            "POST" if posts else "GET",
            yarl.URL(f"{gateway.url}{target}", encoded=True),
            headers=headers,
            data=upload.chunks() if posts else None,
            allow_redirects=False,
            ssl=gateway.trust or True,
        )

    def _session(self) -> "aiohttp.ClientSession":
        if self._client is None:
            # A connection for each request: one that was kept could be closed just as it is used.
            self._client = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, force_close=True),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS),
                auto_decompress=False,
                trust_env=False,
            )
        return self._client


class Relayed(Response):
    """The gateway's answer, which goes on as it comes; ended as soon as either side is gone."""

    def __init__(self, answer: "aiohttp.ClientResponse", gone: asyncio.Future[None]) -> None:
        passed = {name: answer.headers[name] for name in _PASSED_BACK if name in answer.headers}
        super().__init__(status_code=answer.status, headers={**passed, **_GUARDS})
        del self.headers["content-length"]  # as much as comes
        self._answer, self._gone = answer, gone

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, unless the browser leaves."""
        pump = asyncio.ensure_future(self._pump(send))
        try:
            await asyncio.wait({pump, self._gone}, return_when=asyncio.FIRST_COMPLETED)
            if pump.done():
                pump.result()
        finally:
            self._answer.close()
            await _dropped(pump, self._gone)

    async def _pump(self, send: Send) -> None:
        start = {"type": "http.response.start", "status": self.status_code}
        await send({**start, "headers": self.raw_headers})
        # A gateway that goes away leaves the answer without its end, and so the browser sees that
        # it was cut off: there is no other way to say so by now.
        with suppress(aiohttp.ClientError, TimeoutError):
            async for chunk in self._answer.content.iter_any():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})


async def _dropped(*tasks: asyncio.Future[Any]) -> None:
    """Both come to an end now."""
    for task in tasks:
        task.cancel()
    for found in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(found, aiohttp.ClientResponse):
            found.close()


def _check(asked: Asked, path: str) -> None:
    """What can be said before anything is done."""
    if len(path) > _PATH:
        raise Invalid("path", f"it is longer than {_PATH} characters")
    if any(part in (".", "..") for part in path.split("/")) or not path.isprintable():
        raise Invalid("path", "it leads elsewhere than to this service")
    if _MOCK in asked.request.headers:
        raise Invalid("X-Pierhead-Mock", "the service itself answers here, and it has no mock")
    if not asked.parts["service"].isprintable():
        raise NotFound("service", ascii(asked.parts["service"][:80]))
    declared = asked.request.headers.get("content-length", "")
    if declared.isdigit() and int(declared[:20]) > asked.body_limit:
        raise _too_large(asked.body_limit)


def _too_large(limit: int) -> Invalid:
    return Invalid("body", f"it is larger than {limit} bytes")


@asynccontextmanager
async def chat(open_: Open, gateways: Sequence[Gateway]) -> AsyncGenerator[Chat]:
    """A relay, and at the end none of its connections is left."""
    found = Chat(open_, gateways)
    try:
        yield found
    finally:
        await found.close()
