"""Hold and wake: a service at zero is woken by its first request, and whoever came meanwhile is answered."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import openai
import pytest

from contract.gateway_harness import (
    CHUNKED_HEAD,
    TOKEN,
    Reader,
    Request,
    Writer,
    plain,
    route,
    until,
)
from contract.waking_hub import Asleep, Wake, asleep
from pierhead.core.endpoint_tokens import Limits
from pierhead.core.routes import RouteToken

CHAT = {"model": "foo", "messages": [{"role": "user", "content": "hi"}]}
STREAM = {**CHAT, "stream": True}
COLD = 1.5  #: seconds that a start takes here
LONG = 60.0  #: more than any test takes: whoever waits for it would fail by its own limit
#: Paths, and whether errors are told in OpenAI's shape there.
OPENAI = ["/v1/chat/completions", "/api/predict/foo/v1/chat/completions"]
PLACES = [*((path, True) for path in OPENAI), ("/api/predict/foo", False)]
STOPPED = "Its owner stopped it."


def play(scenario: Callable[[Asleep], Awaitable[None]], folder: Path, **settings: Any) -> None:
    """Runs a scenario with a service that is asleep."""

    async def run() -> None:
        async with asyncio.timeout(LONG), asleep(folder, **settings) as stage:
            await scenario(stage)

    asyncio.run(run())


async def answer(
    stage: Asleep, path: str, body: bytes | dict[str, Any] = b"x", token: str = TOKEN
) -> tuple[int, Any, bytes]:
    """Status, headers and body of a whole answer."""
    async with stage.post(path, token, body) as reply:
        return reply.status, reply.headers, await reply.read()


async def woken(stage: Asleep, service: str = "id-foo") -> Wake:
    return await until(lambda: (stage.hub.woken(service) or [None])[0], "the hub is asked")


def unavailable(status: int, headers: Any, body: bytes, *, openai_shape: bool) -> str:
    """Checks a 503 that says when to come again; its message."""
    assert status == 503, body
    assert int(headers["Retry-After"]) >= 1
    told = json.loads(body)
    assert told["request_id"] == headers["X-Request-Id"]
    assert told["error"]["code"] and told["error"]["type"] == "server_error"
    assert ("param" in told["error"]) == openai_shape
    return told["error"]["message"]


# ---- held, then answered ---------------------------------------------------------------------


def test_forty_requests_are_held_for_one_load_and_answered(tmp_path: Path) -> None:
    async def scenario(stage: Asleep) -> None:
        large = bytes(3 * 1024 * 1024)
        calls = [answer(stage, "/v1/chat/completions", STREAM) for _ in range(8)]
        calls += [answer(stage, "/v1/chat/completions", CHAT) for _ in range(11)]
        calls += [answer(stage, "/api/predict/foo", b"x" * size) for size in range(20)]
        calls += [answer(stage, "/api/predict/foo/large", large)]
        held = [asyncio.create_task(call) for call in calls]
        first = await woken(stage)
        await asyncio.sleep(COLD)  # the start itself
        assert not any(task.done() for task in held), "nobody can have been answered yet"
        await stage.ready()
        answers = await asyncio.gather(*held)
        assert [status for status, _, _ in answers] == [200] * 40
        assert all(b"three" in body and b"[DONE]" in body for _, _, body in answers[:8])
        assert all(b"one two three" in body for _, _, body in answers[8:19])
        sizes = [json.loads(body)["size"] for _, _, body in answers[19:]]
        assert sizes == [*range(20), len(large)]
        assert len(stage.engines[0].requests) == 40, "each was asked once"
        assert stage.hub.at_once == {"id-foo": 1}
        times = [first.begun, *(wake.begun for wake in stage.hub.wakes[1:])]
        assert all(later - earlier > 1.0 for earlier, later in pairwise(times)), times

    play(scenario, tmp_path, hold_heartbeat_seconds=LONG)


def test_one_call_wakes_however_long_the_hub_takes_to_answer_it(tmp_path: Path) -> None:
    async def scenario(stage: Asleep) -> None:
        stage.hub.answers.clear()
        held = [asyncio.create_task(answer(stage, "/api/predict/foo")) for _ in range(10)]
        await woken(stage)
        await asyncio.sleep(2.5)  # more than the time after which news are asked for
        assert stage.hub.at_once == {"id-foo": 1}
        await stage.ready()
        assert {status for status, _, _ in await asyncio.gather(*held)} == {200}

    play(scenario, tmp_path)


def test_services_wake_apart_from_each_other(tmp_path: Path) -> None:
    async def scenario(stage: Asleep) -> None:
        await stage.asleep("foo", "bar")
        stage.hub.answers.clear()
        held = [
            asyncio.create_task(answer(stage, f"/api/predict/{name}"))
            for name in ("foo", "bar", "foo", "bar")
        ]
        await woken(stage, "id-foo")
        await woken(stage, "id-bar")
        await stage.publish(route("foo", wakes=True), route("bar", *stage.engines, wakes=True))
        assert {(await held[place])[0] for place in (1, 3)} == {200}
        assert not held[0].done() and not held[2].done()
        await stage.ready("foo", "bar")
        assert {(await held[place])[0] for place in (0, 2)} == {200}
        assert stage.hub.at_once == {"id-foo": 1, "id-bar": 1}

    play(scenario, tmp_path)


def test_a_service_that_sleeps_again_is_woken_again(tmp_path: Path) -> None:
    async def scenario(stage: Asleep) -> None:
        for turn in range(3):
            held = asyncio.create_task(answer(stage, "/api/predict/foo"))
            await until(lambda turn=turn: len(stage.hub.wakes) > turn, "it is woken")
            await stage.ready()
            assert (await held)[0] == 200
            wakes = len(stage.hub.wakes)
            assert (await answer(stage, "/api/predict/foo"))[0] == 200
            assert len(stage.hub.wakes) == wakes, "what is awake is not woken"
            await stage.asleep()

    play(scenario, tmp_path)


# ---- heartbeats ------------------------------------------------------------------------------


async def heartbeat(reply: aiohttp.ClientResponse, *words: str) -> str:
    """The next comment of a stream that has all the words; until then it may hold nothing else."""
    async with asyncio.timeout(20):
        while raw := await reply.content.readline():
            line = raw.decode().strip()
            assert not line or line.startswith(": "), line
            if line and all(word in line for word in words):
                return line
    raise AssertionError(f"the stream ended without {words}")


async def events(reply: aiohttp.ClientResponse) -> list[str]:
    """What follows `data: ` up to the end of the stream."""
    async with asyncio.timeout(20):
        told = (await reply.content.read()).decode().splitlines()
    return [line[6:] for line in told if line.startswith("data: ")]


@pytest.mark.parametrize("path", OPENAI)
def test_a_stream_hears_how_far_the_start_is(tmp_path: Path, path: str) -> None:
    async def scenario(stage: Asleep) -> None:
        async with stage.post(path, TOKEN, STREAM) as reply:
            assert reply.status == 200
            assert reply.headers["Content-Type"].startswith("text/event-stream")
            assert reply.headers["X-Request-Id"]
            for _ in range(3):
                await heartbeat(reply, "loading", "40")
            await stage.ready()
            told = await events(reply)
        words = [json.loads(event)["choices"][0]["delta"]["content"] for event in told[:-1]]
        assert (words, told[-1]) == (["one ", "two ", "three"], "[DONE]")
        assert stage.engines[0].requests[0].header("x-request-id") == reply.headers["X-Request-Id"]

    play(scenario, tmp_path, hold_heartbeat_seconds=0.1)


def test_heartbeats_tell_the_newest_phase(tmp_path: Path) -> None:
    async def scenario(stage: Asleep) -> None:
        stage.hub.news = {"phase": "fetching", "percent": 7, "seconds": 30, "replicas": 0}
        async with stage.post("/v1/chat/completions", TOKEN, STREAM) as reply:
            await heartbeat(reply, "fetching", "7")
            stage.hub.news = {"phase": "loading", "percent": 93, "seconds": 1, "replicas": 0}
            await heartbeat(reply, "loading", "93")

    play(scenario, tmp_path, hold_heartbeat_seconds=0.1)


def test_openai_does_not_notice_the_heartbeats(tmp_path: Path) -> None:
    async def scenario(stage: Asleep) -> None:
        base = f"{stage.gateway.url}/v1"
        async with openai.AsyncOpenAI(base_url=base, api_key=TOKEN, max_retries=0) as client:
            asked = asyncio.create_task(
                client.chat.completions.create(
                    model="foo", messages=[{"role": "user", "content": "hi"}], stream=True
                )
            )
            stream = await asked  # the heartbeats have begun: its head is there
            await stage.ready()
            words = [chunk.choices[0].delta.content or "" async for chunk in stream]
            assert "".join(words) == "one two three"

    play(scenario, tmp_path, hold_heartbeat_seconds=0.1)


def test_who_wants_no_stream_gets_no_heartbeat(tmp_path: Path) -> None:
    async def refusing(request: Request, reader: Reader, writer: Writer) -> bool:
        del request, reader
        writer.write(plain(422, b'{"error":{"message":"not like this"}}'))
        return True

    async def scenario(stage: Asleep) -> None:
        stage.engines[0].play = refusing
        held = [
            asyncio.create_task(answer(stage, "/v1/chat/completions", CHAT)),
            asyncio.create_task(answer(stage, "/api/predict/foo", b'{"stream": true}')),
        ]
        await woken(stage)
        await asyncio.sleep(0.5)  # five heartbeats
        assert not any(task.done() for task in held)
        await stage.ready()
        for status, _, body in await asyncio.gather(*held):
            assert (status, body) == (422, b'{"error":{"message":"not like this"}}')

    play(scenario, tmp_path, hold_heartbeat_seconds=0.1)


def test_an_error_of_the_engine_after_heartbeats_comes_as_an_event(tmp_path: Path) -> None:
    async def refusing(request: Request, reader: Reader, writer: Writer) -> bool:
        del request, reader
        body = {
            "error": {"message": "too many words", "type": "invalid_request_error", "code": 400}
        }
        writer.write(plain(400, json.dumps(body).encode()))
        return True

    async def scenario(stage: Asleep) -> None:
        stage.engines[0].play = refusing
        async with stage.post("/v1/chat/completions", TOKEN, STREAM) as reply:
            await heartbeat(reply)
            await stage.ready()
            told = [json.loads(event) for event in await events(reply) if event != "[DONE]"]
        assert [event["error"]["message"] for event in told] == ["too many words"]
        await stage.asleep()
        base = f"{stage.gateway.url}/v1"
        async with openai.AsyncOpenAI(base_url=base, api_key=TOKEN, max_retries=0) as client:
            stream = await client.chat.completions.create(
                model="foo", messages=[{"role": "user", "content": "hi"}], stream=True
            )
            await stage.ready()
            with pytest.raises(openai.APIError) as caught:
                async for _ in stream:
                    pass
            assert "too many words" in caught.value.message

    play(scenario, tmp_path, hold_heartbeat_seconds=0.1)


def test_a_replica_that_hangs_up_after_heartbeats_is_told_as_an_event(tmp_path: Path) -> None:
    async def hanging_up(request: Request, reader: Reader, writer: Writer) -> bool:
        del request, reader, writer
        return False

    async def scenario(stage: Asleep) -> None:
        stage.engines[0].play = hanging_up
        async with stage.post("/v1/chat/completions", TOKEN, STREAM) as reply:
            await heartbeat(reply)
            await stage.ready()
            told = [json.loads(event) for event in await events(reply) if event != "[DONE]"]
        assert [event["error"]["code"] for event in told] == ["bad_upstream"]

    play(scenario, tmp_path, hold_heartbeat_seconds=0.1)


def test_a_stream_that_breaks_off_after_heartbeats_ends_without_its_last_event(
    tmp_path: Path,
) -> None:
    async def breaking(request: Request, reader: Reader, writer: Writer) -> bool:
        del request, reader
        writer.write(CHUNKED_HEAD)
        writer.write(b"5\r\ndata:")
        await writer.drain()
        return False

    async def scenario(stage: Asleep) -> None:
        stage.engines[0].play = breaking
        async with stage.post("/v1/chat/completions", TOKEN, STREAM) as reply:
            await heartbeat(reply)
            await stage.ready()
            # Broken, or ended by an event that says so: never like a stream that is whole.
            try:
                told = await events(reply)
            except aiohttp.ClientPayloadError:
                return
        assert told and "error" in json.loads(told[-1])

    play(scenario, tmp_path, hold_heartbeat_seconds=0.1)


# ---- how much is held, and how long ----------------------------------------------------------


async def split(tasks: list["asyncio.Task[tuple[int, Any, bytes]]"], refused: int) -> list[Any]:
    """Waits until so many are refused; their answers."""
    await until(lambda: sum(task.done() for task in tasks) >= refused, f"{refused} are refused")
    return [task.result() for task in tasks if task.done()]


def test_more_than_the_limit_is_told_to_come_again(tmp_path: Path) -> None:
    async def scenario(stage: Asleep) -> None:
        held = [asyncio.create_task(answer(stage, "/api/predict/foo")) for _ in range(7)]
        for status, headers, body in await split(held, 4):
            assert status in {429, 503}
            assert int(headers["Retry-After"]) >= 1
            assert json.loads(body)["error"]["code"]
        assert sum(not task.done() for task in held) == 3
        await stage.ready()
        statuses = sorted([task.result()[0] for task in (await asyncio.wait(held))[0]])
        assert statuses[:3] == [200] * 3 and statuses[3] != 200
        assert len(stage.engines[0].requests) == 3

    play(scenario, tmp_path, hold_limit=3)


def test_bodies_are_held_up_to_their_limit(tmp_path: Path) -> None:
    async def scenario(stage: Asleep) -> None:
        body = bytes(400_000)
        held = [asyncio.create_task(answer(stage, "/api/predict/foo", body)) for _ in range(3)]
        ((status, headers, _),) = await split(held, 1)
        assert status in {429, 503}
        assert int(headers["Retry-After"]) >= 1
        small = asyncio.create_task(answer(stage, "/api/predict/foo", b"small"))
        held.append(small)
        await woken(stage)
        await stage.ready()
        statuses = sorted([task.result()[0] for task in (await asyncio.wait(held))[0]])
        assert statuses[:3] == [200] * 3
        assert small.result()[0] == 200, "a small one has room beside two large ones"

    play(scenario, tmp_path, hold_bytes=1_000_000)


def test_bytes_and_places_are_free_again_after_a_wake(tmp_path: Path) -> None:
    async def scenario(stage: Asleep) -> None:
        for _ in range(3):
            held = asyncio.create_task(answer(stage, "/api/predict/foo", bytes(900_000)))
            known = len(stage.hub.wakes)
            await until(lambda known=known: len(stage.hub.wakes) > known, "it is woken")
            await stage.ready()
            assert (await held)[0] == 200
            await stage.asleep()

    play(scenario, tmp_path, hold_limit=1, hold_bytes=1_000_000)


def test_what_is_kept_of_a_stream_counts_twice_against_the_bytes(tmp_path: Path) -> None:
    """Its body, and the one that asks for its usage."""

    async def scenario(stage: Asleep) -> None:
        await stage.asleep(api="openai")
        stream = {**STREAM, "user": "x" * 400_000}
        held = asyncio.create_task(answer(stage, "/v1/chat/completions", stream))
        await woken(stage)
        assert (await answer(stage, "/v1/chat/completions", stream))[0] == 503
        await stage.ready(api="openai")
        assert (await held)[0] == 200

    play(scenario, tmp_path, hold_bytes=1_000_000, hold_heartbeat_seconds=LONG)


def test_a_crowd_at_one_service_keeps_no_other_from_being_held(tmp_path: Path) -> None:
    async def scenario(stage: Asleep) -> None:
        await stage.asleep("foo", "bar", "baz")
        crowd = [asyncio.create_task(answer(stage, "/api/predict/foo")) for _ in range(3)]
        await woken(stage)
        await until_held(stage, foo=3)
        others = list[asyncio.Task[tuple[int, Any, bytes]]]()
        for number, name in enumerate(("bar", "baz"), start=1):
            others.append(asyncio.create_task(answer(stage, f"/api/predict/{name}")))
            await woken(stage, f"id-{name}")
            assert {each[0] for each in await split(crowd, number)} == {503}
        assert sum(not task.done() for task in crowd) == 1
        more = await answer(stage, "/api/predict/bar")
        assert more[0] == 503, "each has as many as the others"
        await stage.ready("foo", "bar", "baz")
        statuses = [(await task)[0] for task in (*crowd, *others)]
        assert sorted(statuses) == [200, 200, 200, 503, 503]

    play(scenario, tmp_path, hold_limit=3)


async def until_held(stage: Asleep, **counts: int) -> None:
    """Waits until so many are held of each service."""
    lines = [f'_held{{service="{name}"}} {count:.1f}' for name, count in counts.items()]
    async with asyncio.timeout(10):
        told = ""
        while not all(line in told for line in lines):
            told = await stage.metrics()


def test_who_finds_no_room_wakes_the_service_all_the_same(tmp_path: Path) -> None:
    async def scenario(stage: Asleep) -> None:
        await stage.asleep("foo", "bar")
        held = asyncio.create_task(answer(stage, "/api/predict/foo"))
        await woken(stage)
        assert (await answer(stage, "/api/predict/bar"))[0] == 503
        await woken(stage, "id-bar")
        await stage.ready("foo", "bar")
        assert (await held)[0] == 200
        assert (await answer(stage, "/api/predict/bar"))[0] == 200, "when it comes again"

    play(scenario, tmp_path, hold_limit=1)


def test_who_is_released_waits_for_a_slot_beyond_the_places_of_the_queue(tmp_path: Path) -> None:
    async def scenario(stage: Asleep) -> None:
        narrow: dict[str, Any] = {"slots": 1, "queue": 2}
        await stage.asleep(**narrow)
        held = [asyncio.create_task(answer(stage, "/api/predict/foo")) for _ in range(20)]
        await until_held(stage, foo=20)
        await stage.ready(**narrow)
        assert [status for status, _, _ in await asyncio.gather(*held)] == [200] * 20

    play(scenario, tmp_path)


def test_who_was_held_is_not_refused_by_the_rate_at_the_end(tmp_path: Path) -> None:
    """It was counted as it came: then one learns at once that it is too much."""

    async def scenario(stage: Asleep) -> None:
        await stage.asleep(rate=8)
        held = [asyncio.create_task(answer(stage, "/api/predict/foo")) for _ in range(8)]
        await until_held(stage, foo=8)
        await stage.ready(rate=1)
        assert [status for status, _, _ in await asyncio.gather(*held)] == [200] * 8
        await stage.asleep("bar", rate=1)
        both = [asyncio.create_task(answer(stage, "/api/predict/bar")) for _ in range(2)]
        ((status, _, _),) = await split(both, 1)
        assert status == 429, "at once, and not after the start"
        await stage.ready("bar", rate=1)
        assert sorted([(await each)[0] for each in both]) == [200, 429]

    play(scenario, tmp_path)


def test_who_is_held_by_a_token_that_is_revoked_is_let_in_no_more(tmp_path: Path) -> None:
    async def scenario(stage: Asleep) -> None:
        tokens = (RouteToken(TOKEN, "a"), RouteToken("svc-token-2", "b"))
        await stage.asleep(tokens=tokens)
        held = [
            asyncio.create_task(answer(stage, "/api/predict/foo", token=token.secret))
            for token in tokens
        ]
        await until_held(stage, foo=2)
        await stage.asleep(tokens=tokens[1:])
        await stage.ready(tokens=tokens[1:])
        assert [(await each)[0] for each in held] == [401, 200]
        assert len(stage.engines[0].requests) == 1

    play(scenario, tmp_path)


@pytest.mark.parametrize(("path", "shape"), PLACES)
def test_the_deadline_ends_the_wait_in_the_shape_of_the_path(
    tmp_path: Path, path: str, shape: bool
) -> None:
    async def scenario(stage: Asleep) -> None:
        message = unavailable(*await answer(stage, path, CHAT), openai_shape=shape)
        assert "foo" in message
        assert "loading" in message, "what it was busy with is worth knowing"
        assert stage.hub.wakes
        assert stage.engines[0].requests == []

    play(scenario, tmp_path, hold_seconds=1.5, hold_heartbeat_seconds=LONG)


def test_the_deadline_of_a_stream_that_heard_heartbeats_is_an_event(tmp_path: Path) -> None:
    async def scenario(stage: Asleep) -> None:
        async with stage.post("/v1/chat/completions", TOKEN, STREAM) as reply:
            assert reply.status == 200
            told = [json.loads(event) for event in await events(reply) if event != "[DONE]"]
        assert len(told) == 1
        assert told[0]["error"]["type"] == "server_error"
        assert told[0]["error"]["message"]

    play(scenario, tmp_path, hold_seconds=0.7, hold_heartbeat_seconds=0.1)


def test_who_leaves_frees_a_place(tmp_path: Path) -> None:
    async def scenario(stage: Asleep) -> None:
        head = (
            f"POST /api/predict/foo HTTP/1.1\r\nHost: x\r\nAuthorization: {TOKEN}\r\n"
            "Content-Length: 1\r\n\r\nx"
        )
        _, writer = await stage.open()
        writer.write(head.encode())
        await woken(stage)
        assert (await answer(stage, "/api/predict/foo"))[0] in {429, 503}, "the place is taken"
        writer.transport.abort()
        while True:
            both = [asyncio.create_task(answer(stage, "/api/predict/foo")) for _ in range(2)]
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            left = (await asyncio.wait(both, timeout=1))[1]
            if left:
                break  # one of both was refused, the other one got the place
        await stage.ready()
        assert (await left.pop())[0] == 200
        assert len(stage.engines[0].requests) == 1, "for who left nothing is asked"

    play(scenario, tmp_path, hold_limit=1)


# ---- what does not wake ----------------------------------------------------------------------

REFUSALS = [
    (409, {"error": {"code": "ServiceStopped", "message": STOPPED}}, STOPPED),
    (404, {"error": {"code": "NoSuchService", "message": "Nobody has it."}}, "Nobody has it."),
]


@pytest.mark.parametrize(("path", "shape"), PLACES)
@pytest.mark.parametrize(("status", "news", "reason"), REFUSALS)
def test_a_hub_that_refuses_is_quoted(
    tmp_path: Path, path: str, shape: bool, status: int, news: dict[str, Any], reason: str
) -> None:
    async def scenario(stage: Asleep) -> None:
        stage.hub.status, stage.hub.news = status, news
        told = await answer(stage, path, CHAT)
        assert reason in unavailable(*told, openai_shape=shape)
        stage.hub.status, stage.hub.news = 200, {"phase": "loading", "replicas": 0}
        held, asked = asyncio.create_task(answer(stage, path, CHAT)), len(stage.hub.wakes)
        async with asyncio.timeout(20):  # it may be left in peace for a moment
            while len(stage.hub.wakes) == asked:
                if held.done():
                    assert held.result()[0] == 503
                    held = asyncio.create_task(answer(stage, path, CHAT))
                await asyncio.sleep(0.05)
        await stage.ready()
        assert (await held)[0] == 200

    play(scenario, tmp_path)


def test_the_next_request_of_one_that_was_refused_asks_the_hub_anew(tmp_path: Path) -> None:
    """It comes at once, on the same connection: not to those that were refused with the first."""

    async def scenario(stage: Asleep) -> None:
        stage.hub.answers.clear()
        stage.hub.status, stage.hub.news = REFUSALS[0][:2]
        one = (
            f"POST /api/predict/foo HTTP/1.1\r\nHost: x\r\nAuthorization: {TOKEN}\r\n"
            "Content-Length: 1\r\n\r\nx"
        )
        reader, writer = await stage.open()
        writer.write(one.encode() * 3)
        await woken(stage)
        other = asyncio.create_task(answer(stage, "/api/predict/foo"))
        await until_held(stage, foo=2)
        stage.hub.answers.set()
        async with asyncio.timeout(20):
            for _ in range(3):
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                assert head.startswith("http/1.1 503 ")
                size = head.partition("content-length: ")[2].partition("\r\n")[0]
                await reader.readexactly(int(size))
        assert (await other)[0] == 503
        assert len(stage.hub.wakes) == 3

    play(scenario, tmp_path)


def test_a_hub_that_is_away_is_named(tmp_path: Path) -> None:
    async def scenario(stage: Asleep) -> None:
        await stage.hub.close()
        told = await answer(stage, "/v1/chat/completions", CHAT)
        message = unavailable(*told, openai_shape=True)
        assert "hub" in message
        assert "127.0.0.1" not in message and str(stage.hub.port) not in message, "where it is"
        assert stage.hub.wakes == []
        known = [line for line in stage.gateway.lines if line.get("service") == "foo"]
        away = [line for line in known if "hub was not asked" in line["event"]]
        assert len(away) == 1, "told once, however often it was tried"
        assert str(stage.hub.port) in away[0]["error"]

    play(scenario, tmp_path, hold_seconds=3.0)


def test_a_hub_that_comes_back_in_time_wakes(tmp_path: Path) -> None:
    async def scenario(stage: Asleep) -> None:
        await stage.hub.close()
        await stage.hub.open()
        held = asyncio.create_task(answer(stage, "/api/predict/foo"))
        await woken(stage)
        await stage.ready()
        assert (await held)[0] == 200

    play(scenario, tmp_path)


def test_an_answer_that_says_nothing_still_wakes(tmp_path: Path) -> None:
    """Gateway and hub are not replaced in the same moment: an answer may lack what is asked of it."""

    async def scenario(stage: Asleep) -> None:
        stage.hub.news = {}
        async with stage.post("/v1/chat/completions", TOKEN, STREAM) as reply:
            await heartbeat(reply)
            await heartbeat(reply)
            await stage.ready()
            assert (await events(reply))[-1] == "[DONE]"

    play(scenario, tmp_path, hold_heartbeat_seconds=0.1)


def test_who_may_not_in_wakes_nothing(tmp_path: Path) -> None:
    async def scenario(stage: Asleep) -> None:
        once = RouteToken("tok-once", "once", limits=Limits(rpm=1))
        tokens = (TOKEN, once)
        await stage.ready(tokens=tokens)
        assert (await answer(stage, "/api/predict/foo", token="tok-once"))[0] == 200
        await stage.asleep(tokens=tokens)
        refused = [
            (401, "/api/predict/foo", "wrong", b"x"),
            (401, "/v1/chat/completions", "wrong", CHAT),
            (401, "/api/predict/foo", "", b"x"),
            (404, "/api/predict/nobody", TOKEN, b"x"),
            (404, "/v1/chat/completions", TOKEN, {**CHAT, "model": "nobody"}),
            (400, "/v1/chat/completions", TOKEN, {"messages": []}),
            (413, "/api/predict/foo", TOKEN, bytes(2_000)),
            (429, "/api/predict/foo", "tok-once", b"x"),
            (429, "/v1/chat/completions", "tok-once", CHAT),
        ]
        for status, path, token, body in refused:
            assert (await answer(stage, path, body, token))[0] == status, (status, path, token)
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with stage.client.get(f"{stage.gateway.url}/v1/models", headers=headers) as listed:
            assert [card["id"] for card in (await listed.json())["data"]] == ["foo"]
        assert stage.hub.wakes == []
        held = asyncio.create_task(answer(stage, "/api/predict/foo"))
        await woken(stage)
        await stage.ready(tokens=tokens)
        assert (await held)[0] == 200

    play(scenario, tmp_path, body_limit=1_000)


def test_held_requests_of_a_token_with_one_place_go_one_after_the_other(tmp_path: Path) -> None:
    async def scenario(stage: Asleep) -> None:
        tokens = (RouteToken("tok-one", "one", limits=Limits(concurrency=1)),)
        await stage.asleep(tokens=tokens)
        held = [
            asyncio.create_task(answer(stage, "/api/predict/foo", token="tok-one"))
            for _ in range(3)
        ]
        await woken(stage)
        at_once = most = 0

        async def one(request: Request, reader: Reader, writer: Writer) -> bool:
            nonlocal at_once, most
            del request, reader
            at_once += 1
            most = max(most, at_once)
            await asyncio.sleep(0.05)
            at_once -= 1
            writer.write(plain(200, b"{}"))
            return True

        stage.engines[0].play = one
        await stage.ready(tokens=tokens)
        assert [status for status, _, _ in await asyncio.gather(*held)] == [200] * 3
        assert most == 1

    play(scenario, tmp_path)


def test_a_service_that_was_stopped_is_neither_held_nor_woken(tmp_path: Path) -> None:
    async def scenario(stage: Asleep) -> None:
        await stage.publish(route("foo"))
        for path in ("/api/predict/foo", "/v1/chat/completions"):
            status, _, body = await answer(stage, path, CHAT)
            assert (status, body) == (503, b"no healthy upstream")
        assert stage.hub.wakes == []

    play(scenario, tmp_path)


@pytest.mark.parametrize("left", [(), (route("foo"),)], ids=["deleted", "stopped"])
def test_who_is_held_hears_that_the_service_went(tmp_path: Path, left: tuple[Any, ...]) -> None:
    async def scenario(stage: Asleep) -> None:
        held = asyncio.create_task(answer(stage, "/api/predict/foo"))
        await woken(stage)
        await stage.publish(*left)
        async with asyncio.timeout(10):  # not the deadline of 300 s
            assert (await held)[0] in {404, 503}
        assert stage.engines[0].requests == []

    play(scenario, tmp_path)


def test_a_gateway_that_ends_tells_those_it_holds(tmp_path: Path) -> None:
    async def scenario(stage: Asleep) -> None:
        held = asyncio.create_task(answer(stage, "/api/predict/foo"))
        await woken(stage)
        stage.gateway.process.terminate()
        status, _, body = await held
        assert (status, json.loads(body)["error"]["code"]) == (503, "stopping")

    play(scenario, tmp_path, stop_seconds=1)
