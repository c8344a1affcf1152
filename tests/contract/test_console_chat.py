"""The playground's relay on a real port, before a gateway that plays what each test needs."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import aiohttp
import uvicorn
from yarl import URL

from pierhead.core.errors import Forbidden, NotFound
from pierhead.core.principals import Principal
from pierhead.listener import listen
from pierhead.operations.chatting import Opened
from pierhead.web.chat import Gateway, chat
from pierhead.web.console import Console, Visitor
from pierhead.web.edge import Edge, Rules

LIMIT = 10 * 1024
Play = Callable[["Call"], Awaitable[None]]


class Call:
    """One request that came to the gateway."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.line, self.headers = "", dict[str, str]()

    async def read_head(self) -> None:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        self.line = head[0]
        self.headers = {
            name.lower(): value for name, _, value in (each.partition(": ") for each in head[1:])
        }

    async def chunk(self) -> bytes:
        """One chunk of the body; b"" at its end."""
        size = int(await self.reader.readuntil(b"\r\n"), 16)
        return (await self.reader.readexactly(size + 2))[:-2]

    async def say(self, text: str) -> None:
        self.writer.write(text.encode())
        await self.writer.drain()

    async def start(self, status: str = "200 OK", more: str = "") -> None:
        await self.say(f"HTTP/1.1 {status}\r\nTransfer-Encoding: chunked\r\n{more}\r\n")

    async def send(self, text: str) -> None:
        await self.say(f"{len(text.encode()):x}\r\n{text}\r\n")

    async def left(self) -> None:
        """Until whoever asked is gone."""
        while await self.reader.read(1000):
            pass


class Stage:
    """The console on a port, with a gateway behind it."""

    def __init__(self, play: Play) -> None:
        self.play, self.calls, self.ended = play, list[Call](), asyncio.Event()
        self.began = asyncio.Event()
        self.opened: list[tuple[str, str, Mapping[str, str]]] = []
        self.gateway = self.console = ""  #: where they are

    async def enter(self, _request: Any) -> Visitor:
        return Visitor(Principal("1", "7", name="Zhang"), "csrf", 1e10, "cookie")

    async def lasts(self, _visitor: Visitor) -> bool:
        return True

    async def open_(self, who: Principal, service: str, circumstances: Mapping[str, str]) -> Opened:
        self.opened.append((who.name, service, circumstances))
        if service == "closed":
            raise Forbidden("pierhead:GetServiceToken", "acs:eas:local:1:service/closed")
        if service != "by-id":
            raise NotFound("service", service)
        return Opened("组.llm", "the token")

    async def served(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        call = Call(reader, writer)
        self.calls.append(call)
        try:
            await call.read_head()
            self.began.set()
            await self.play(call)
        finally:
            writer.close()
            self.ended.set()


@asynccontextmanager
async def staged(
    play: Play, *, reachable: bool = True
) -> AsyncIterator[tuple[Stage, aiohttp.ClientSession]]:
    stage = Stage(play)
    gateway = await asyncio.start_server(stage.served, "127.0.0.1", 0)
    stage.gateway = f"http://127.0.0.1:{gateway.sockets[0].getsockname()[1]}"
    with listen("127.0.0.1", 0, 8) as nobody, listen("127.0.0.1", 0, 8) as listener:
        closed = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        nobody.close()
        known = [Gateway(closed), Gateway(stage.gateway)][: 2 if reachable else 1]
        async with chat(stage.open_, known) as relay, gateway:
            console = Console(stage, lambda: "AN-ID", lambda: 1000.0)
            relay_route, models = relay.routes()[1], relay.routes()[0]
            console.add(
                models,
                type(relay_route)("POST", relay_route.pattern, relay_route.handler, body=LIMIT),
            )
            server = uvicorn.Server(
                uvicorn.Config(Edge(console, Rules()), log_config=None, lifespan="off", ws="none")
            )
            serving = asyncio.ensure_future(server.serve([listener]))
            stage.console = f"http://127.0.0.1:{listener.getsockname()[1]}"
            async with asyncio.timeout(60), aiohttp.ClientSession(stage.console) as browser:
                yield stage, browser
            server.should_exit = True
            await serving


PATH = "/console/api/chat/by-id/v1/chat/completions"


def test_both_ways_go_on_as_they_come() -> None:
    came, sent, more = list[bytes](), asyncio.Event(), asyncio.Event()

    async def play(call: Call) -> None:
        came.append(await call.chunk())
        sent.set()  # the browser goes on only now: nothing was kept back
        came.append(await call.chunk())
        assert await call.chunk() == b""
        await call.start(more="Content-Type: text/event-stream\r\n")
        await call.send("data: 一\n\n")
        await more.wait()
        await call.send("data: 2\n\n")
        await call.say("0\r\n\r\n")

    async def body() -> AsyncIterator[bytes]:
        yield b"one"
        await sent.wait()
        yield b"two"

    async def run() -> None:
        async with staged(play) as (_stage, browser), browser.post(PATH, data=body()) as answer:
            assert answer.headers["Content-Type"] == "text/event-stream"
            assert await answer.content.readany() == "data: 一\n\n".encode()
            more.set()
            assert await answer.content.read() == b"data: 2\n\n"

    asyncio.run(run())
    assert came == [b"one", b"two"]


def test_what_is_passed_on_and_back() -> None:
    async def play(call: Call) -> None:
        await call.start(more="Set-Cookie: a=b\r\nX-Odd: 1\r\nContent-Type: text/plain\r\n")
        await call.say("0\r\n\r\n")

    async def run() -> None:
        said = {"Cookie": "pierhead_session=x", "Content-Type": "application/json", "X-Odd": "1"}
        async with staged(play) as (stage, browser):
            path = f"{PATH}?a=b%20c&d=/%E4"
            async with browser.post(URL(path, encoded=True), data=b"{}", headers=said) as answer:
                told = answer.headers
            assert told["Content-Type"] == "text/plain"
            assert told["X-Pierhead-Relayed"] == "true" and told["x-acs-request-id"] == "AN-ID"
            assert "Set-Cookie" not in told and "X-Odd" not in told
            (call,) = stage.calls
            target = "/api/predict/%E7%BB%84.llm/v1/chat/completions?a=b%20c&d=/%E4"
            assert call.line == f"POST {target} HTTP/1.1"
            assert call.headers["authorization"] == "the token"
            assert call.headers["content-type"] == "application/json"
            assert call.headers["content-length"] == "2"
            assert not {"cookie", "x-odd"} & set(call.headers)
            ((who, service, circumstances),) = stage.opened
            assert (who, service) == ("Zhang", "by-id")
            assert circumstances["acs:SourceIp"] == "127.0.0.1"

    asyncio.run(run())


def test_a_browser_that_leaves_takes_the_gateway_along() -> None:
    async def before(call: Call) -> None:
        await call.left()

    async def amidst(call: Call) -> None:
        await call.start()
        await call.send("a token")
        await call.left()

    async def run(play: Play, *, begun: bool) -> None:
        async with staged(play) as (stage, browser):
            asking = asyncio.ensure_future(browser.post(PATH, data=b"{}"))
            if begun:
                answer = await asking
                await answer.content.readany()
                answer.close()
            else:
                await stage.began.wait()
                asking.cancel()
            await stage.ended.wait()

    asyncio.run(run(before, begun=False))
    asyncio.run(run(amidst, begun=True))


def test_a_gateway_that_goes_away_cuts_the_answer_off() -> None:
    async def play(call: Call) -> None:
        await call.start()
        await call.send("half")

    async def run() -> None:
        async with staged(play) as (_stage, browser), browser.post(PATH, data=b"{}") as answer:
            try:
                await answer.read()
            except aiohttp.ClientPayloadError:
                return
            raise AssertionError("the browser took half an answer for a whole one")

    asyncio.run(run())


def test_what_a_service_says_is_the_services() -> None:
    async def play(call: Call) -> None:
        more = "Location: http://elsewhere/\r\nRetry-After: 7\r\nContent-Type: text/html\r\n"
        await call.start("307 Temporary Redirect", more)
        await call.send("<script>")
        await call.say("0\r\n\r\n")

    async def run() -> None:
        async with staged(play) as (stage, browser):
            path = "/console/api/chat/by-id/v1/models"
            async with browser.get(path, allow_redirects=False) as answer:
                assert (answer.status, await answer.text()) == (307, "<script>")
                assert answer.headers["Retry-After"] == "7"
                assert "Location" not in answer.headers
                assert "sandbox" in answer.headers["Content-Security-Policy"]
            assert stage.calls[0].line.startswith("GET /api/predict/")
            assert "content-length" not in stage.calls[0].headers

    asyncio.run(run())


async def _never(call: Call) -> None:
    raise AssertionError(call.line)


async def _refused(
    browser: aiohttp.ClientSession, base: str, path: str, method: str = "POST", **more: Any
) -> tuple[int, str, str]:
    # Whole, as what is joined to a base loses its dots.
    async with browser.request(method, URL(base + path, encoded=True), **more) as answer:
        body = json.loads(await answer.read())
        assert set(body) >= {"Code", "Message", "RequestId"}
        assert "x-pierhead-relayed" not in answer.headers
        return answer.status, body["Code"], body["Message"]


def test_refusals_are_clear() -> None:
    async def run() -> None:
        async with staged(_never) as (stage, browser):
            refused = partial(_refused, browser, stage.console)
            chat_ = "/console/api/chat"
            for path in ("/by-id/../x", "/by-id/a/%2e%2e/b", "/by-id/a%2f..%2fb", "/by-id/./x"):
                status, code, _ = await refused(chat_ + path)
                assert (status, code) == (400, "InvalidParameter"), path
            assert (await refused(f"{chat_}/by-id/a%0d%0aX:%20y"))[0] == 400
            assert (await refused(f"{chat_}/by-id/{'a' * 2001}"))[0] == 400
            assert (await refused(f"{chat_}/closed/v1"))[:2] == (403, "NoPermission")
            assert (await refused(f"{chat_}/nobody/v1"))[:2] == (404, "NotFound")
            assert (await refused(f"{chat_}/%00%0a/v1"))[:2] == (404, "NotFound")
            assert (await refused(f"{chat_}/by-id/v1/x", "GET"))[0] == 405
            mock = await refused(PATH, data=b"{}", headers={"X-Pierhead-Mock": "true"})
            assert mock[:2] == (400, "InvalidParameter") and "no mock" in mock[2]
            large = await refused(PATH, data=b"x" * (LIMIT + 1))
            assert large[:2] == (400, "InvalidParameter") and str(LIMIT) in large[2]

    asyncio.run(run())


def test_a_body_that_grows_too_large_on_the_way_is_refused() -> None:
    async def play(call: Call) -> None:
        await call.left()

    async def body() -> AsyncIterator[bytes]:
        for _ in range(LIMIT // 1000 + 1):
            yield b"x" * 1000

    async def run() -> None:
        async with staged(play) as (stage, browser):
            async with browser.post(PATH, data=body()) as answer:
                assert answer.status == 400
                assert (await answer.json())["Code"] == "InvalidParameter"
            await stage.ended.wait()

    asyncio.run(run())


def test_no_gateway_is_said() -> None:
    async def run() -> None:
        async with (
            staged(_never, reachable=False) as (_stage, browser),
            browser.post(PATH, data=b"{}") as answer,
        ):
            assert answer.status == 503
            body = await answer.json()
            assert body["Code"] == "ServiceUnavailable" and "gateway" in body["Message"]

    asyncio.run(run())
