"""What clients of other protocols name a model by, and how they show their token."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import aiohttp
from hypothesis import given
from hypothesis import strategies as st

from contract.gateway_harness import TOKEN, bench, route
from contract.test_gateway_requests import AUTH, error_of, send
from pierhead.gateway.form_text import delimiter, field
from pierhead.gateway.naming import renamed_form

MODEL = json.dumps({"model": "foo", "max_tokens": 3}).encode()


def test_a_key_in_a_header_of_its_own(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path, 2) as b:
            one, two = b.engines
            await b.publish(route("foo", one), route("bar", two, tokens=("bar-token",)))
            key: dict[str, str] = {"X_Api_Key": TOKEN, "Anthropic_Version": "2023-06-01"}
            for path in (
                "/v1/messages",
                "/v1/messages/count_tokens",
                "/api/predict/foo/v1/messages?beta=true",
            ):
                status, _, _ = await send(b, "POST", path, MODEL, **key)
                assert status == 200, path
                seen = one.requests[-1]
                assert seen.header("x-api-key") is None, "it is for the gateway alone"
                assert seen.header("anthropic-version") == "2023-06-01"
            for shown, expected in (
                ({"X_Api_Key": "bad"}, 401),
                ({"X_Api_Key": ""}, 401),
                ({"X_Api_Key": "bar-token"}, 404),
                ({"X_Api_Key": TOKEN, "Authorization": "Bearer bad"}, 401),
                ({"X_Api_Key": "bad", "Authorization": f"Bearer {TOKEN}"}, 200),
            ):
                assert (await send(b, "POST", "/v1/messages", MODEL, **shown))[0] == expected, shown
            assert one.requests[-1].header("x-api-key") is None
            # Elsewhere it is the application's own.
            assert (await send(b, "POST", "/v1/chat/completions", MODEL, X_Api_Key=TOKEN))[0] == 401
            assert (await send(b, "POST", "/api/predict/foo/x", MODEL, X_Api_Key=TOKEN))[0] == 401
            mine = {"X_Api_Key": "mine", "Authorization": TOKEN}
            assert (await send(b, "POST", "/api/predict/foo/x", MODEL, **mine))[0] == 200
            assert one.requests[-1].header("x-api-key") == "mine"
            # On one connection: what one key opens says nothing of the next.
            async with aiohttp.ClientSession() as session:
                for token, expected in ((TOKEN, 200), (TOKEN, 200), ("bad", 401), (TOKEN, 200)):
                    url = f"{b.gateway.url}/v1/messages"
                    async with session.post(url, data=MODEL, headers={"x-api-key": token}) as got:
                        assert got.status == expected

    asyncio.run(scenario())


def test_a_group_is_a_model(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path, 3) as b:
            one, two, three = b.engines
            await b.publish(
                route("a", one, group="team", weight=100, created=5),
                route("b", two, group="team", weight=0),
                route("c", three, tokens=("c-token",), group="team", weight=300),
            )
            document = json.dumps({"model": "team"}).encode()
            path = "/v1/chat/completions"
            for _ in range(4):
                assert (await send(b, "POST", path, document, **AUTH))[0] == 200
            assert (len(one.requests), len(two.requests), len(three.requests)) == (4, 0, 0)
            assert (await send(b, "POST", path, document, Authorization="c-token"))[0] == 200
            assert len(three.requests) == 1
            assert (await send(b, "POST", path, document, Authorization="bad"))[0] == 401
            _, body, _ = await send(b, "GET", "/v1/models", b"", **AUTH)
            assert [card["id"] for card in json.loads(body)["data"]] == ["a", "b", "team"]
            status, body, _ = await send(b, "GET", "/v1/models/team", b"", **AUTH)
            assert (status, json.loads(body)["id"]) == (200, "team")
            assert (await send(b, "GET", "/v1/models/crew", b"", **AUTH))[0] == 404
            # A service of that name goes before the group.
            await b.publish(route("a", one, group="team"), route("team", two, tokens=("t-token",)))
            assert (await send(b, "POST", path, document, **AUTH))[0] == 404
            assert (await send(b, "POST", path, document, Authorization="t-token"))[0] == 200

    asyncio.run(scenario())


def _form(*parts: tuple[str, bytes], boundary: str = "xyz") -> bytes:
    lines = [
        b"--%b\r\nContent-Disposition: form-data; %b\r\n\r\n%b\r\n"
        % (boundary.encode(), about.encode(), value)
        for about, value in parts
    ]
    return b"".join(lines) + b"--%b--\r\n" % boundary.encode()


def test_a_form_names_a_model(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as b:
            (engine,) = b.engines
            named = replace(engine.target(), model="own/whisper")
            await b.publish(replace(route("foo", engine, api="openai"), targets=(named,)))
            kind = {"Content_Type": 'multipart/form-data; boundary="xyz"'}
            sound = ('name="file"; filename="a.wav"', b"RIFF\0\r\n--xy\r\n\xff")

            async def ask(body: bytes, **shown: str) -> tuple[int, bytes]:
                path = "/v1/audio/transcriptions"
                status, said, _ = await send(b, "POST", path, body, **{**AUTH, **kind, **shown})
                return status, said

            for parts in (
                [sound, ('name="model"', b"foo")],
                [('name="model"', b"foo"), sound],
                [('name="prompt"', b'name="model"\r\n\r\nbar'), ('name="model"', b"foo"), sound],
            ):
                assert (await ask(_form(*parts)))[0] == 200
                sent = [(x, b"own/whisper" if x == 'name="model"' else y) for x, y in parts]
                assert engine.requests[-1].body == _form(*sent)
            assert (await ask(_form(sound, ('name="model"', b"bar"))))[0] == 404
            for bad in (
                _form(sound),
                _form(('name="model"; filename="m"', b"foo")),
                _form(('name="model"', b"foo"), ('name="model"', b"bar")),
                _form(('name="model"', b"\xff")),
                _form(('name="model"', b"foo"))[:-12],
                b"",
            ):
                status, said = await ask(bad)
                assert (status, error_of(said)["code"]) == (400, "model_required"), bad
            whole = _form(sound, ('name="model"', b"foo"))
            assert (await ask(whole, Content_Type="multipart/form-data"))[0] == 400

    asyncio.run(scenario())


@given(st.binary(max_size=200) | st.text('-xyz\r\n:;="nameodl', max_size=80).map(str.encode))
def test_any_bytes_are_a_form_of_some_kind(noise: bytes) -> None:
    form = delimiter(b"multipart/form-data; boundary=xyz")
    span = field(noise, form, b"model")
    assert span is None or 0 <= span.start <= span.end <= len(noise)
    body = _form(("name=file; filename=f", noise.replace(b"--xyz", b"")), ('name="model"', b"foo"))
    assert (
        renamed_form(body, form, {"foo"}, "bar")
        == body[: body.rfind(b"foo")] + b"bar" + (body[body.rfind(b"foo") + 3 :])
    )
    assert renamed_form(body, form, {"other"}, "bar") == body
