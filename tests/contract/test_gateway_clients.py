"""The clients that people have: `openai` and `eas-prediction`, unchanged, against a real gateway."""

import asyncio
import json
import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openai
import pytest

from contract.gateway_harness import (
    CHUNKED_HEAD,
    TOKEN,
    Bench,
    Request,
    bench,
    echo,
    piece,
    plain,
    route,
)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its source has escapes that Python no longer likes
    import eas_prediction
    from eas_prediction.exception import PredictException

ANSWER = {
    "id": "c1",
    "object": "chat.completion",
    "created": 1,
    "model": "foo",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}
    ],
}


async def chat(request: Request, reader: Any, writer: Any) -> bool:
    """Enough of OpenAI's protocol for its client."""
    if not request.target.startswith("/v1/chat"):
        return await echo(request, reader, writer)
    if not json.loads(request.body).get("stream"):
        writer.write(plain(200, json.dumps(ANSWER).encode()))
        return True
    writer.write(CHUNKED_HEAD)
    for word in ("hel", "lo"):
        event = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "foo"}
        event["choices"] = [{"index": 0, "delta": {"content": word}}]
        writer.write(piece(f"data: {json.dumps(event)}\n\n".encode()))
    writer.write(piece(b"data: [DONE]\n\n") + b"0\r\n\r\n")
    return True


def with_gateway(folder: Path, use: Callable[[Bench], None], **settings: Any) -> None:
    """Runs a blocking client in a thread beside the gateway's engines."""

    async def scenario() -> None:
        async with bench(folder, 2, **settings) as b:
            for engine in b.engines:
                engine.play = chat
            await asyncio.to_thread(use, b)

    asyncio.run(scenario())


@pytest.mark.parametrize("base", ["/api/predict/foo/v1", "/v1"])
def test_openai(tmp_path: Path, base: str) -> None:
    def use(b: Bench) -> None:
        messages: Any = [{"role": "user", "content": "hi"}]
        with openai.OpenAI(base_url=b.gateway.url + base, api_key=TOKEN, max_retries=0) as client:
            whole = client.chat.completions.create(model="foo", messages=messages)
            assert whole.choices[0].message.content == "hello"
            with client.chat.completions.create(
                model="foo", messages=messages, stream=True
            ) as stream:
                words = [event.choices[0].delta.content for event in stream]
            assert "".join(word or "" for word in words) == "hello"
            if base == "/v1":
                assert [model.id for model in client.models.list()] == ["foo"]
                assert client.models.retrieve("foo").owned_by == "pierhead"
                with pytest.raises(openai.NotFoundError) as missing:
                    client.chat.completions.create(model="nope", messages=messages)
                assert missing.value.code == "model_not_found"
                assert missing.value.param == "model"
        with (
            openai.OpenAI(base_url=b.gateway.url + base, api_key="bad", max_retries=0) as stranger,
            pytest.raises(openai.AuthenticationError) as refused,
        ):
            stranger.chat.completions.create(model="foo", messages=messages)
        assert refused.value.code == "invalid_api_key"
        assert TOKEN.encode() not in b"".join(
            request.head for engine in b.engines for request in engine.requests
        )

    with_gateway(tmp_path, use)


def _predict(
    b: Bench, kind: str, token: str = TOKEN, url: str = ""
) -> eas_prediction.PredictClient:
    client = eas_prediction.PredictClient(b.gateway.url, "foo", custom_url=url)
    client.set_token(token)
    client.set_endpoint_type(kind)
    client.init()
    client.logger.setLevel(logging.CRITICAL)
    return client


@pytest.mark.filterwarnings("ignore:URLs without a scheme:FutureWarning")  # DIRECT mode's own
@pytest.mark.parametrize("kind", ["", eas_prediction.ENDPOINT_TYPE_DIRECT])
def test_eas_prediction(tmp_path: Path, kind: str) -> None:
    def use(b: Bench) -> None:
        client = _predict(b, kind)
        try:
            answer = client.predict(eas_prediction.StringRequest('[{"a": 1}]'))
            seen = json.loads(answer.response_data)
            assert bytes.fromhex(seen["body"]) == b'[{"a": 1}]'
            assert seen["line"] == "POST / HTTP/1.1"
            for number in range(20):
                client.predict(eas_prediction.StringRequest(f"{number}"))
            assert sum(len(engine.requests) for engine in b.engines) == 21
        finally:
            client.destroy()
            client.connection_pool.clear()
            if kind:
                client.endpoint.http.clear()
        if kind:
            assert "/api/v1" not in "".join(r.target for e in b.engines for r in e.requests)

    with_gateway(tmp_path, use)


def test_eas_prediction_refused_and_by_custom_url(tmp_path: Path) -> None:
    def use(b: Bench) -> None:
        for token in ("bad", ""):
            client = _predict(b, "", token)
            with pytest.raises(PredictException) as refused:
                client.predict(eas_prediction.StringRequest("x"))
            assert refused.value.code == 401
            client.destroy()
            client.connection_pool.clear()
        assert not [request for engine in b.engines for request in engine.requests]
        client = _predict(b, "", url=f"{b.gateway.url}/api/predict/foo/sub?x=1")
        client.predict(eas_prediction.StringRequest("x"))
        client.destroy()
        client.connection_pool.clear()
        assert [r.target for engine in b.engines for r in engine.requests] == ["/sub?x=1"]

    with_gateway(tmp_path, use)


def test_eas_prediction_sees_a_stopped_service(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as b:
            await b.publish(route("foo"))

            def use() -> None:
                client = _predict(b, "")
                with pytest.raises(PredictException) as refused:
                    client.predict(eas_prediction.StringRequest("x"))
                assert refused.value.code == 503
                assert "no healthy upstream" in str(refused.value)
                client.destroy()
                client.connection_pool.clear()

            await asyncio.to_thread(use)

    asyncio.run(scenario())
