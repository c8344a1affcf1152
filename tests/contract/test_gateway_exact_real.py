"""Metering against the real engine: what gateways tell, what clients were told, and the engine's own counters."""

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

from contract.gateway_harness import TOKEN, Bench, bench, until
from contract.test_gateway_usage import engine_figures, llama
from demo_miniature import write_demo_miniature
from demo_weights import demo_model
from pierhead.core.routes import Route, RouteToken, Target
from pierhead.core.usage import NONE, Usage

REQUESTS, AT_ONCE = 200, 8
CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
TOLD = {"stream": True, "stream_options": {"include_usage": True}}
SAID = {"messages": [{"role": "user", "content": "Say something about harbours."}]}
KINDS: list[tuple[str, dict[str, Any]]] = [
    (CHAT, SAID),
    (CHAT, SAID | TOLD),
    (COMPLETIONS, {"prompt": "The harbour of"}),
    (COMPLETIONS, {"prompt": "Ships that"} | TOLD),
    ("/v1/responses", {"input": "Hello there"}),
    ("/v1/messages", {"messages": [{"role": "user", "content": "Hello"}]}),
]


def usage_of(body: bytes) -> Usage:
    """What an answer tells its client, in the words of each protocol."""
    if body.startswith(b"data:"):
        parts = [line[5:] for line in body.splitlines() if line.startswith(b"data:")]
        documents = [json.loads(part) for part in parts if part.strip() != b"[DONE]"]
        (usage,) = [one["usage"] for one in documents if one.get("usage")]
    else:
        usage = json.loads(body)["usage"]
    read = usage.get("prompt_tokens", usage.get("input_tokens"))
    # Anthropic's protocol tells apart what was remembered.
    read += usage.get("cache_read_input_tokens", 0)
    return Usage(1, read, usage.get("completion_tokens", usage.get("output_tokens")))


async def serve(b: Bench, port: int) -> None:
    target = Target("r9", "127.0.0.1", port)
    tokens = (RouteToken(TOKEN, "stays"), RouteToken("leaving", "leaves"))
    await b.publish(Route("id-foo", "foo", targets=(target,), tokens=tokens, api="openai"))


async def ask(b: Bench, number: int) -> Usage:
    path, body = KINDS[number % len(KINDS)]
    most = "max_output_tokens" if path == "/v1/responses" else "max_tokens"
    document = {"model": "foo", most: 2 + number % 7, **body}
    url = f"{b.gateway.url}/api/predict/foo{path}"
    async with b.client.post(url, json=document, headers={"Authorization": TOKEN}) as answer:
        said = await answer.read()
        assert answer.status == 200, said
    return usage_of(said)


async def leave(b: Bench, events: int) -> int:
    """A stream that is left after so many events; how many came with the last of them."""
    document = {"model": "foo", "prompt": "Once upon a time", "max_tokens": 400, "stream": True}
    url = f"{b.gateway.url}/api/predict/foo{COMPLETIONS}"
    seen = b""
    async with b.client.post(url, json=document, headers={"Authorization": "leaving"}) as answer:
        assert answer.status == 200
        async for data in answer.content.iter_any():
            seen += data
            if seen.count(b"\n\n") >= events:
                break
        answer.close()
    return seen.count(b"\n\n")


def metered(b: Bench, token: str) -> Usage:
    return b.hub.metered().get(("id-foo", token), NONE)


def test_200_requests_to_a_real_engine_are_counted_as_it_counted_and_told(tmp_path: Path) -> None:
    """Law: the gateway's meters, the sum of what clients were told, and the engine's own counters agree."""

    async def scenario() -> None:
        model = write_demo_miniature(tmp_path / "model.gguf")
        async with llama(model) as port, bench(tmp_path) as b:
            await serve(b, port)
            turn = asyncio.Semaphore(AT_ONCE)

            async def one(number: int) -> Usage:
                async with turn:
                    return await ask(b, number)

            told = sum(await asyncio.gather(*map(one, range(REQUESTS))), NONE)
            await until(lambda: metered(b, "stays").requests == REQUESTS, "all is told", 10)
            assert metered(b, "stays") == told
            assert (told.prompt, told.completion) == await engine_figures(b, port)

    asyncio.run(scenario())


def test_streams_of_a_real_engine_that_are_left_are_counted_by_what_came(tmp_path: Path) -> None:
    """Between what clients had and what the engine wrote: it goes on until it sees that nobody listens."""

    async def scenario() -> None:
        async with llama(demo_model()) as port, bench(tmp_path) as b:
            await serve(b, port)
            had = [await leave(b, 1 + number % 9) for number in range(24)]
            await until(lambda: metered(b, "leaves").requests == len(had), "all is told", 10)
            found, counts = metered(b, "leaves"), Counter(had)
            assert found.estimated == found.requests == counts.total()
            assert sum(had) <= found.completion < 400 * len(had)
            await until(lambda: not b.hub.last["outstanding"], "nothing is under way", 10)
            _, written = await engine_figures(b, port)
            # A read may hold several events, and one more token is under way when the end is seen.
            assert found.completion <= written + len(had), (found, had, written)

    asyncio.run(scenario())
