"""Services without a token and services that OpenAI's paths do not show, through a real gateway."""

import asyncio
import json
from pathlib import Path

from contract.gateway_harness import TOKEN, Bench, bench, route
from contract.test_gateway_requests import error_of, send, sign

ASK = json.dumps({"model": "free", "prompt": "Hi"}).encode()


async def models(b: Bench, **headers: str) -> tuple[int, list[str]]:
    status, body, _ = await send(b, "GET", "/v1/models", **headers)
    return status, [card["id"] for card in json.loads(body).get("data", [])]


def test_an_open_service_asks_for_no_token_and_its_neighbour_does(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as b:
            (engine,) = b.engines
            await b.publish(
                route("free", engine, open=True, api="openai"),
                route("locked", engine, api="openai"),
            )
            path = "/api/predict/free/x"
            for shown in ({}, {"Authorization": "wrong"}, {"Authorization": f"Bearer {TOKEN}"}):
                status, body, _ = await send(b, "POST", path, b"{}", **shown)
                assert status == 200, body
                assert engine.requests[-1].header("authorization") is None, "it is for nobody else"
            tampered = sign("other", path, b"{}")
            assert (await send(b, "POST", path, b"{changed}", **tampered))[0] == 200
            for shown in ({}, {"Authorization": "wrong"}):
                status, body, _ = await send(b, "GET", "/api/predict/locked/x", **shown)
                assert (status, error_of(body)["code"]) == (401, "invalid_api_key")

            before = len(engine.requests)
            for shown in ({}, {"Authorization": "Bearer EMPTY"}):
                assert await models(b, **shown) == (200, ["free"])
                assert (await send(b, "POST", "/v1/completions", ASK, **shown))[0] == 200
                other = ASK.replace(b"free", b"locked")
                status, body, _ = await send(b, "POST", "/v1/completions", other, **shown)
                assert (status, error_of(body)["code"]) == (404, "model_not_found")
            assert len(engine.requests) == before + 2
            assert await models(b, Authorization=TOKEN) == (200, ["free", "locked"])

            await b.publish(route("free", engine, api="openai"))
            assert (await send(b, "GET", path))[0] == 401, "it is locked from the next table on"
            assert (await models(b))[0] == 401

    asyncio.run(scenario())


def test_a_private_service_is_reached_by_its_own_path_alone(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as b:
            (engine,) = b.engines
            await b.publish(
                route("app", engine, listed=False, tokens=("app-token",)),
                route("chat", engine, api="openai"),
            )
            auth = {"Authorization": "app-token"}
            assert (await send(b, "GET", "/api/predict/app/page", **auth))[0] == 200
            assert await models(b, **auth) == (200, [])
            status, body, _ = await send(b, "GET", "/v1/models/app", **auth)
            assert (status, error_of(body)["code"]) == (404, "model_not_found")
            before = len(engine.requests)
            ask = ASK.replace(b"free", b"app")
            status, body, _ = await send(b, "POST", "/v1/completions", ask, **auth)
            assert (status, error_of(body)["code"]) == (404, "model_not_found")
            assert len(engine.requests) == before
            assert await models(b, Authorization=TOKEN) == (200, ["chat"])

    asyncio.run(scenario())


def test_open_and_private_survive_the_table_on_disk(tmp_path: Path) -> None:
    """Law: the gateway serves on without its hub, by the same rules."""

    async def scenario() -> None:
        async with bench(tmp_path) as b:
            (engine,) = b.engines
            await b.publish(route("free", engine, open=True, listed=False))
            await b.hub.close()
            assert (await send(b, "GET", "/api/predict/free/"))[0] == 200
            assert (await models(b)) == (200, [])

    asyncio.run(scenario())


def test_strangers_are_told_no_names(tmp_path: Path) -> None:
    """Law: who may not list services learns none of their names from figures or health."""

    async def scenario() -> None:
        async with bench(tmp_path) as b:
            (engine,) = b.engines
            await b.publish(route("zebra", engine), route("other", engine))
            for path in ("zebra", "other", "none"):
                await send(b, "GET", f"/api/predict/{path}/x", Authorization=TOKEN)
            named = await b.metrics()
            assert 'pierhead_gateway_requests_total{code="200",service="zebra"} 1.0' in named
            for token in ("", "wrong", TOKEN):
                told = await b.metrics(token)
                assert "zebra" not in told
                assert "service=" not in told
                assert engine.target().replica not in told
                assert 'pierhead_gateway_requests_total{code="200"} 2.0' in told
                assert 'pierhead_gateway_requests_total{code="404"} 1.0' in told
                assert "pierhead_gateway_request_seconds_count 3.0" in told
                assert 'pierhead_gateway_request_seconds_bucket{le="+Inf"} 3.0' in told
                assert "pierhead_gateway_table_revision" in told
            assert "zebra" not in json.dumps(await b.health())

    asyncio.run(scenario())
