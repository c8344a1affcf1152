"""Limits and meters of tokens through a real gateway: never exceeded by more than one, exact to the token."""

import asyncio
import json
import os
import re
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from contract.gateway_harness import (
    CHUNKED_HEAD,
    TOKEN,
    Bench,
    Reader,
    Request,
    Writer,
    bench,
    piece,
    plain,
    route,
    until,
)
from demo_miniature import write_demo_miniature
from pierhead.core.endpoint_tokens import Limits
from pierhead.core.routes import Route, RouteToken, Target
from pierhead.core.usage import NONE, Usage

COMPLETIONS = "/api/predict/foo/v1/completions"
SOURCE = Path(__file__).parent.parent.parent / "src"


@dataclass
class Model:
    """A double of an engine that counts words, by itself."""

    used: Usage = NONE
    now: int = 0
    most: int = 0  #: requests at the same time
    pause: float = 0.0
    largest: int = 0
    asked: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    async def play(self, request: Request, reader: Reader, writer: Writer) -> bool:
        del reader
        document = json.loads(request.body)
        self.asked.append(document)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(self.pause)
            return await self._answer(document, writer)
        finally:
            self.now -= 1

    async def _answer(self, document: dict[str, Any], writer: Writer) -> bool:
        prompt, written = len(document["prompt"].split()), document["max_tokens"]
        told = {"prompt_tokens": prompt, "completion_tokens": written}
        self.used += Usage(1, prompt, written)
        self.largest = max(self.largest, prompt + written)
        if not document.get("stream"):
            writer.write(plain(200, json.dumps({"choices": [{}], "usage": told}).encode()))
            return True
        writer.write(CHUNKED_HEAD)
        for _ in range(written):
            writer.write(piece(WORD))
            await asyncio.sleep(0)
        if document.get("stream_options", {}).get("include_usage"):
            writer.write(piece(EXTRA % json.dumps(told).encode()))
        writer.write(piece(DONE) + b"0\r\n\r\n")
        return True


WORD = b'data: {"choices":[{"index":0,"text":" word"}]}\n\n'
EXTRA = b'data: {"choices":[],"usage":%s}\n\n'
DONE = b"data: [DONE]\n\n"


@dataclass
class Crowd:
    """Clients that ask one after the other, each over a connection of its own."""

    bench: Bench
    token: str = TOKEN
    statuses: Counter[int] = field(default_factory=Counter[int])
    codes: Counter[str] = field(default_factory=Counter[str])

    async def ask(self, number: int) -> None:
        words, most = 1 + number % 5, 1 + number * 7 % 11
        document = {"prompt": "word " * words, "max_tokens": most, "stream": number % 3 == 0}
        headers = {"Authorization": self.token}
        url = self.bench.gateway.url + COMPLETIONS
        async with self.bench.client.post(url, json=document, headers=headers) as answer:
            said = await answer.read()
        self.statuses[answer.status] += 1
        if answer.status != 200:
            self.codes[json.loads(said)["error"]["limit"]] += 1
            assert int(answer.headers["retry-after"]) >= 1
        elif document["stream"]:
            assert said == WORD * most + DONE

    async def come(self, clients: int, each: int) -> None:
        async def one(client: int) -> None:
            for number in range(each):
                await self.ask(client + number)

        await asyncio.gather(*map(one, range(clients)))


async def open_to(b: Bench, model: Model, *tokens: RouteToken) -> None:
    b.engines[0].play = model.play
    await b.publish(route("foo", b.engines[0], tokens=tokens, api="openai"))


async def metered(b: Bench, token: str, requests: int) -> Usage:
    """What the hub was told of a token, once it was told of so many requests."""
    return await until(
        lambda: (
            (used := b.hub.metered().get(("id-foo", token), NONE)).requests == requests and used
        ),
        f"{requests} requests of {token} are told",
    )


def test_10000_requests_by_50_clients_exceed_no_limit_by_more_than_one_and_are_counted_exactly(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as b:
            model, limit = Model(), 20_000
            bounded = RouteToken(TOKEN, "bounded", limits=Limits(monthly_tokens=limit))
            await open_to(b, model, bounded, RouteToken("free", "free"))
            crowd, others = Crowd(b), Crowd(b, "free")
            await asyncio.gather(crowd.come(40, 200), others.come(10, 200))
            assert sum(crowd.statuses.values()) + sum(others.statuses.values()) == 10_000
            assert others.statuses == {200: 2000}
            assert set(crowd.statuses) == {200, 429}
            assert set(crowd.codes) == {"monthly_tokens"}
            mine = await metered(b, "bounded", crowd.statuses[200])
            free = await metered(b, "free", 2000)
            assert mine + free == model.used, "to the token"
            assert mine.estimated == 0
            assert limit <= mine.tokens < limit + model.largest, "by one request at most"
            text = await b.metrics()
            assert figure(text, 'tokens_total{kind="prompt",service="foo"}') == model.used.prompt
            completion = 'tokens_total{kind="completion",service="foo"}'
            assert figure(text, completion) == model.used.completion
            refused = 'refused_total{limit="monthly_tokens",service="foo"}'
            assert figure(text, refused) == crowd.statuses[429]

    asyncio.run(scenario())


def figure(text: str, name: str) -> int:
    found = re.search(rf"^pierhead_gateway_{re.escape(name)} (\S+)$", text, re.MULTILINE)
    assert found, name
    return int(float(found[1]))


@pytest.mark.parametrize(
    "limits", [Limits(rpm=300), Limits(tpm=3000), Limits(rpm=400, concurrency=7)]
)
def test_the_limits_of_a_minute_hold_under_a_crowd(tmp_path: Path, limits: Limits) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as b:
            model = Model(pause=0.002)
            await open_to(b, model, RouteToken(TOKEN, "t", limits=limits))
            crowd, begun = Crowd(b), time.monotonic()
            await crowd.come(50, 120)
            assert time.monotonic() - begun < 59, "all of it within one window"
            used = await metered(b, "t", crowd.statuses[200])
            assert used == model.used
            if limits.rpm:
                assert used.requests <= limits.rpm
                assert model.most <= (limits.concurrency or 50)
            if limits.rpm and not limits.concurrency:
                assert used.requests == limits.rpm, "nobody was refused for nothing"
            if limits.tpm:
                assert limits.tpm <= used.tokens < limits.tpm + model.largest

    asyncio.run(scenario())


def test_a_client_that_asks_one_after_the_other_meets_no_limit_of_one_at_a_time(
    tmp_path: Path,
) -> None:
    """The end of an answer is the end of the request, also as the client sees it."""

    async def scenario() -> None:
        async with bench(tmp_path) as b:
            one = Limits(concurrency=1, tpm=10**9)
            await open_to(b, Model(), RouteToken(TOKEN, "t", limits=one))
            crowd = Crowd(b)
            await crowd.come(1, 300)
            assert crowd.statuses == {200: 300}

    asyncio.run(scenario())


def test_a_refusal_says_which_limit_and_when_to_come_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as b:
            await open_to(b, Model(), RouteToken(TOKEN, "t", limits=Limits(rpm=1)))
            crowd = Crowd(b)
            await crowd.ask(1)
            for path in (COMPLETIONS, "/v1/completions", "/api/predict/foo/native"):
                body = {"model": "foo", "prompt": "x", "max_tokens": 1}
                headers = {"Authorization": TOKEN}
                url = b.gateway.url + path
                async with b.client.post(url, json=body, headers=headers) as answer:
                    said = await answer.json()
                assert answer.status == 429
                assert 55 <= int(answer.headers["retry-after"]) <= 61
                error = said["error"]
                assert (error["code"], error["type"]) == ("rate_limit_exceeded", "requests")
                assert (error["limit"], error["value"]) == ("rpm", 1)
                assert ("param" in error) == ("/v1/" in path), "OpenAI's shape, or the gateway's"

    asyncio.run(scenario())


def test_requests_that_no_engine_answered_count_nothing(tmp_path: Path) -> None:
    async def hang_up(request: Request, reader: Reader, writer: Writer) -> bool:
        del request, reader, writer
        return False

    async def scenario() -> None:
        async with bench(tmp_path) as b:
            model = Model()
            limits = Limits(monthly_tokens=1000, concurrency=1)
            await open_to(b, model, RouteToken(TOKEN, "t", limits=limits))
            b.engines[0].play = hang_up
            url, headers = b.gateway.url + COMPLETIONS, {"Authorization": TOKEN}
            for _ in range(5):
                async with b.client.post(url, json={"prompt": "x"}, headers=headers) as answer:
                    assert answer.status == 502
            b.engines[0].play = model.play
            await Crowd(b).ask(1)
            assert await metered(b, "t", 1) == model.used

    asyncio.run(scenario())


def test_a_client_that_leaves_a_stream_is_counted_by_what_it_was_sent(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as b:
            engine = b.engines[0]

            async def play(request: Request, reader: Reader, writer: Writer) -> bool:
                writer.write(CHUNKED_HEAD + piece(WORD) * 3)
                return await engine.silence(request, reader, writer)

            await open_to(b, Model(), RouteToken(TOKEN, "t", limits=Limits(concurrency=1)))
            engine.play = play
            url, headers = b.gateway.url + COMPLETIONS, {"Authorization": TOKEN}
            body = {"prompt": "one two three four", "stream": True}
            async with b.client.post(url, json=body, headers=headers) as answer:
                assert await answer.content.readexactly(3 * len(WORD)) == 3 * WORD
            used = await metered(b, "t", 1)
            assert (used.completion, used.estimated) == (3, 1)
            assert used.prompt == len("one two three four") // 4
            await until(lambda: engine.left, "the engine is told")

    asyncio.run(scenario())


def test_a_client_that_leaves_before_the_first_token_is_counted_by_its_prompt(
    tmp_path: Path,
) -> None:
    """Law: what an engine worked on is metered and marked, also when nobody waits for it (F23)."""

    async def scenario() -> None:
        async with bench(tmp_path) as b:
            engine = b.engines[0]
            await open_to(b, Model(), RouteToken(TOKEN, "t", limits=Limits(concurrency=1)))
            engine.play = engine.silence
            body = json.dumps({"prompt": "one two three four", "stream": True}).encode()
            _, writer = await b.open()
            head = f"POST {COMPLETIONS} HTTP/1.1\r\nHost: x\r\nAuthorization: {TOKEN}\r\n"
            writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            await until(lambda: engine.requests, "the engine is asked")
            gone = time.monotonic()
            writer.close()
            await until(lambda: engine.left, "the engine is told")
            assert engine.left[0] - gone < 1.0
            used = await metered(b, "t", 1)
            prompt = len("one two three four") // 4
            assert (used.prompt, used.completion, used.estimated) == (prompt, 0, 1)
            await until(b.gateway.requests, "an access line")
            assert b.gateway.requests()[-1]["status"] == 499

    asyncio.run(scenario())


def test_the_usage_goes_to_the_client_if_it_asked_for_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as b:
            model = Model()
            await open_to(b, model, RouteToken(TOKEN, "t"))
            url, headers = b.gateway.url + COMPLETIONS, {"Authorization": TOKEN}
            told = EXTRA % b'{"prompt_tokens": 1, "completion_tokens": 2}'
            for options, rest in (
                ({"include_usage": True}, told),
                ({"include_usage": False}, b""),
                (None, b""),
            ):
                body = {"prompt": "x", "max_tokens": 2, "stream": True, "stream_options": options}
                async with b.client.post(url, json=body, headers=headers) as answer:
                    assert await answer.read() == WORD * 2 + rest + DONE
                assert model.asked[-1]["stream_options"] == {"include_usage": True}
            assert await metered(b, "t", 3) == Usage(3, 3, 6)

    asyncio.run(scenario())


def test_an_engine_of_unknown_protocol_is_asked_for_nothing_more(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as b:
            model = Model()
            b.engines[0].play = model.play
            await b.publish(route("foo", b.engines[0]))
            crowd = Crowd(b)
            await crowd.ask(0)
            assert "stream_options" not in model.asked[-1]
            used = await metered(b, "default", 1)
            assert (used.completion, used.estimated) == (1, 1), "its events are counted"

    asyncio.run(scenario())


def test_the_hub_tells_what_other_gateways_used_and_hears_the_rest_at_the_stop(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        async with bench(tmp_path, report_seconds=0.2) as b:
            model, limits = Model(), Limits(monthly_tokens=1000)
            token = RouteToken(TOKEN, "t", limits=limits)
            await open_to(b, model, token)
            crowd = Crowd(b)
            await crowd.ask(1)
            b.hub.spent = {"id-foo/t": 1000}
            seen = len(b.hub.reports)
            await until(lambda: len(b.hub.reports) > seen + 1, "the hub's word was heard")
            await crowd.ask(1)
            assert crowd.statuses == {200: 1, 429: 1}
            b.hub.spent = {"id-foo/t": 0}
            seen = len(b.hub.reports)
            await until(lambda: len(b.hub.reports) > seen + 1, "the hub's word was heard")
            assert all(not report["meters"] for _, report in b.hub.reports[-1:]), "only changes"
            for number in range(20):
                await crowd.ask(number)
            b.gateway.process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(b.gateway.process.wait(), 10) == 0
            assert b.hub.metered()["id-foo", "t"] == model.used

    asyncio.run(scenario())


def test_a_token_that_ends_is_refused_from_that_moment(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as b:
            both = RouteToken(TOKEN, "t"), RouteToken("before", "t")
            model = Model()
            await open_to(b, model, *both)
            old, new = Crowd(b, "before"), Crowd(b)
            await old.ask(1)
            ends = time.time() + 0.5
            await open_to(b, model, both[0], replace(both[1], until=ends))
            url, body = b.gateway.url + COMPLETIONS, {"prompt": "x", "max_tokens": 1}
            while True:
                begun = time.time()
                headers = {"Authorization": "before"}
                async with b.client.post(url, json=body, headers=headers) as answer:
                    await answer.read()
                if answer.status != 200:
                    break
                assert begun < ends
                await asyncio.sleep(0.01)
            assert answer.status == 401
            assert ends <= time.time()
            await new.ask(1)
            assert (new.statuses, old.statuses) == ({200: 1}, {200: 1})
            # Both secrets are one token.
            await until(lambda: b.hub.metered()[("id-foo", "t")].requests > 2, "all is told")

    asyncio.run(scenario())


# ---- a real engine --------------------------------------------------------------------------------


@asynccontextmanager
async def llama(model: Path) -> AsyncIterator[int]:
    """The embedded engine with this model; its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pierhead.engines.llama_cpp_server", "--alias", "foo"),
        *("--model", str(model), "--port", str(port), "--slots", "2"),
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(60):
            while not await _answers(port):  # noqa: ASYNC110 another process knows no event
                await asyncio.sleep(0.1)
        yield port
    finally:
        process.kill()
        await process.wait()


async def _answers(port: int) -> bool:
    try:
        async with aiohttp.request("GET", f"http://127.0.0.1:{port}/health") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


async def engine_figures(b: Bench, port: int) -> tuple[int, int]:
    """Tokens that the engine read and wrote, by its own count."""
    async with b.client.get(f"http://127.0.0.1:{port}/metrics") as answer:
        text = await answer.text()
    names = ("prompt_tokens_total", "prompt_tokens_cached_total", "tokens_predicted_total")
    found = {name: re.search(rf"^llamacpp:{name} (\d+)$", text, re.MULTILINE) for name in names}
    read, cached, written = (int(found[name][1]) if found[name] else 0 for name in names)
    return read + cached, written


QUESTIONS: list[tuple[str, dict[str, Any]]] = [
    ("/v1/chat/completions", {"messages": [{"role": "user", "content": "Hi, who are you?"}]}),
    ("/v1/chat/completions", {"messages": [{"role": "user", "content": "Hi"}], "stream": True}),
    ("/v1/completions", {"prompt": "The capital of France is"}),
    ("/v1/completions", {"prompt": "Once upon a time", "stream": True}),
    ("/v1/completions", {"prompt": ["One", "Two and three"], "stream": True}),
    ("/completion", {"prompt": "A native prompt", "n_predict": 5}),
    ("/completion", {"prompt": "A native prompt", "n_predict": 5, "stream": True}),
    ("/v1/messages", {"messages": [{"role": "user", "content": "Hello"}], "stream": True}),
    ("/v1/responses", {"input": "Hello", "max_output_tokens": 4, "stream": True}),
]


def test_usage_equals_a_real_engines_own_counters(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with llama(write_demo_miniature(tmp_path / "m.gguf")) as port, bench(tmp_path) as b:
            limits = Limits(monthly_tokens=700)
            target = Target("r9", "127.0.0.1", port)
            tokens = (RouteToken(TOKEN, "t"), RouteToken("b", "bounded", limits=limits))
            await b.publish(Route("id-foo", "foo", targets=(target,), tokens=tokens, api="openai"))
            statuses: Counter[int] = Counter()

            async def ask(client: int, number: int) -> int:
                path, body = QUESTIONS[(client + number) % len(QUESTIONS)]
                body = {"model": "foo", "max_tokens": 3 + number % 4, **body}
                headers = {"Authorization": "b" if client % 2 else TOKEN}
                url = f"{b.gateway.url}/api/predict/foo{path}"
                async with b.client.post(url, json=body, headers=headers) as answer:
                    said = await answer.read()
                    statuses[answer.status] += 1
                    assert answer.status in {200, 429}, said
                    if path == "/v1/chat/completions":
                        assert b'"choices":[]' not in said, "nobody asked for it"
                return answer.status

            async def one(client: int) -> None:
                for number in range(25):
                    await ask(client, number)

            await asyncio.gather(*map(one, range(8)))
            assert sum(statuses.values()) == 200
            # Beside others it may be refused early; alone it gets all that its limit has.
            while await ask(1, statuses[200]) == 200:
                pass
            both = await until(
                lambda: (
                    sum(b.hub.metered().values(), NONE).requests == statuses[200]
                    and b.hub.metered()
                ),
                "all is told",
            )
            total = both["id-foo", "t"] + both["id-foo", "bounded"]
            assert total.estimated == 0
            assert (total.prompt, total.completion) == await engine_figures(b, port)
            assert 700 <= both["id-foo", "bounded"].tokens < 800

    asyncio.run(scenario())
