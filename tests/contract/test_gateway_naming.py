"""An engine's own name for its model: it gets it in requests, and no client sees it in an answer."""

import asyncio
import gzip
import json
from dataclasses import replace
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.gateway_harness import (
    CHUNKED_HEAD,
    TOKEN,
    Bench,
    Reader,
    Request,
    Writer,
    bench,
    echo,
    piece,
    plain,
    route,
)
from contract.test_gateway_requests import error_of, send
from pierhead.gateway.naming import Restoring, renamed

AUTH = {"Authorization": TOKEN}
OWN = "/srv/models/größe 7b@main"  #: the worst kind: a path of this machine
KNOWN = frozenset({"foo", "grp.foo", "spec"})

# ---- requests: the name and nothing else ----------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        (b'{"model":"foo"}', b'{"model":"@own"}'),
        (b' \n{ "n" : 1e400, "model"\t:\r\n"foo" , "x":1.10 }', None),
        (b'{"big":12345678901234567890123,"z":-0.0,"model":"foo","u":"\\ud800\\u00e4"}', None),
        ('{"text":"ä𝄞\\n","model":"foo"}'.encode(), None),
        ('{"text":"ä","model":"foo"}'.encode("utf-16-le"), '{"text":"ä","model":"@own"}'),
        (b'{"model":"foo","messages":[{"model":"foo"}],"x":"\\"model\\":\\"foo\\""}', None),
        (b'{"model":"f\\u006fo"}', b'{"model":"@own"}'),
        (b'{"model":"foo","model":"spec"}', b'{"model":"@own","model":"@own"}'),
    ],
)
def test_the_name_alone_is_changed(body: bytes, sent: bytes | str | None) -> None:
    if isinstance(sent, str):
        sent = sent.encode("utf-16-le")
    expected = sent or body.replace(b'"foo"', b'"@own"', 1)
    assert renamed(body, KNOWN, "@own") == expected


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"{}",
        b'{"model"',
        b'{"model":',
        b'{"model" "foo"}',
        b'{"model":"foo',
        b'["model","foo"]',
        b'"foo"',
        b'{"model":7}',
        b'{"model":null}',
        b'{"model":["foo"]}',
        b'{"model":"other"}',
        b'{"x":{"model":"foo"}}',
        b'{"model":"\xff"}',
        b'\xef\xbb\xbf{"model":"foo"}',
        b"--form\r\n\r\nmodel",
        b'{"a":' + b"[" * 100_000,
    ],
)
def test_what_asks_for_no_known_model_stays_as_it_is(body: bytes) -> None:
    assert renamed(body, KNOWN, "@own") is body


scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8
)


@given(st.dictionaries(st.text(), values, max_size=4), st.booleans(), st.text(), st.integers(0, 4))
def test_every_engine_reads_the_same_request_but_for_the_name(
    rest: dict[str, Any], ascii_only: bool, name: str, place: int
) -> None:
    fields = [item for item in rest.items() if item[0] != "model"]
    fields.insert(place, ("model", "foo"))
    body = json.dumps(dict(fields), ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    changed = renamed(body, KNOWN, name)
    assert json.loads(changed) == {**dict(fields), "model": name}
    assert len(changed) - len(body) == len(json.dumps(name)) - len('"foo"')


# ---- answers: however they are cut ----------------------------------------------------------------


def restored(parts: list[bytes], own: str = OWN, name: str = "foo") -> list[bytes]:
    names = Restoring(own, name)
    return [names.passed(part, last=False) for part in parts] + [names.passed(b"", last=True)]


def forms(own: str) -> list[str]:
    """How engines may write the same name."""
    plain_form = json.dumps(own, ensure_ascii=False)
    return [plain_form, json.dumps(own), plain_form.replace("/", "\\/")]


@given(
    st.sampled_from(forms(OWN)),
    st.sampled_from(['"model":', '"model": ', '"model" :\n\t']),
    st.lists(st.integers(0, 400), max_size=6),
    st.sampled_from(["Füße", 'he said "model', '\\"model\\":', '"', "\\", "x" * 100]),
)
def test_no_cut_hides_the_name(written: str, key: str, cuts: list[int], text: str) -> None:
    """The text of an answer may hold anything, also what looks like the beginning of a name."""
    said = json.dumps({"content": text, "quoted": f'"model":{json.dumps(OWN)}'}, ensure_ascii=False)
    whole = f'data: {{{key}{written},"choices":[{said}],"r":{{{key}{written}}}}}\n\n'
    data = whole.encode()
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    parts = [data[a:b] for a, b in pairwise(edges)]
    expected = whole.replace(key + written, key + '"foo"')
    assert b"".join(restored(parts)) == expected.encode()


def test_every_single_cut_and_every_byte_by_itself() -> None:
    for written in forms(OWN):
        data = f'{{"id":"x","model": {written},"object":"m"}}'.encode()
        expected = b'{"id":"x","model": "foo","object":"m"}'
        assert b"".join(restored([bytes([byte]) for byte in data])) == expected
        for cut in range(len(data)):
            assert b"".join(restored([data[:cut], data[cut:]])) == expected


def test_an_event_that_is_whole_is_held_up_by_nothing() -> None:
    event = f'data: {{"choices":[{{"delta":{{"content":"\\""}}}}],"model":{json.dumps(OWN)}}}\n\n'
    names = Restoring(OWN, "foo")
    for _ in range(3):
        passed = names.passed(event.encode(), last=False)
        assert passed.endswith(b'"model":"foo"}\n\n')


def test_another_model_of_a_similar_name_is_told_as_it_is() -> None:
    for other in (OWN + "2", OWN[:-1], "x" + OWN, ""):
        data = json.dumps({"model": other}).encode()
        assert b"".join(restored([data[:20], data[20:]])) == data
    data = b'{"xmodel":"@own","models":"@own","model":["@own"]}'
    assert b"".join(restored([data], own="@own")) == data


# ---- through a real gateway -----------------------------------------------------------------------


def asks(model: object, **more: object) -> bytes:
    return json.dumps({"model": model, **more}, ensure_ascii=False).encode()


async def named(b: Bench, *models: str, **more: Any) -> None:
    """`foo`, each of whose engines has the name for its model that is given in its place."""
    targets = tuple(
        replace(engine.target(), model=model)
        for engine, model in zip(b.engines, models, strict=True)
    )
    names = ("foo", "grp.foo", "spec")
    shown = route("foo", aliases=("grp.foo",), models=names, api="openai", **more)
    await b.publish(replace(shown, targets=targets))


def tells(kind: bytes = b"application/json", extra: bytes = b"", **more: object) -> Any:
    """An engine's play: it says what it was asked for, and calls itself by its own name."""

    async def play(request: Request, reader: Reader, writer: Writer) -> bool:
        del reader
        own = json.loads(request.body)["model"] if request.body else OWN
        body = json.dumps({"id": "1", "model": own, **more}).encode()
        if extra:
            body = gzip.compress(body)
        answer = plain(200, body, extra).replace(b"application/json", kind, 1)
        writer.write(answer)
        return True

    return play


def test_the_engine_gets_its_name_and_the_client_the_services(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as b:
            (engine,) = b.engines
            engine.play = tells(usage={"total_tokens": 3})
            await named(b, OWN)
            for path, asked in (
                ("/v1/chat/completions", "foo"),
                ("/v1/chat/completions", "grp.foo"),
                ("/api/predict/foo/v1/chat/completions", "spec"),
                ("/api/predict/foo/anything", "foo"),
            ):
                body = asks(asked, x="ä𝄞", n=1.0)
                status, said, headers = await send(
                    b, "POST", path, body, **AUTH, Accept_Encoding="gzip, br"
                )
                assert status == 200
                assert "content-length" not in headers, "its length is another than the engine's"
                assert "größe" not in said.decode()
                assert unchunked(said) == {"id": "1", "model": "foo", "usage": {"total_tokens": 3}}
                seen = engine.requests[-1]
                assert json.loads(seen.body) == {"model": OWN, "x": "ä𝄞", "n": 1.0}
                assert b'"x": "\xc3\xa4' in seen.body, "the rest is not written anew"
                assert seen.header("accept-encoding") == "identity"
                assert [n for n, _ in seen.headers].count("accept-encoding") == 1

    asyncio.run(scenario())


def unchunked(body: bytes) -> Any:
    """The JSON of a chunked answer."""
    data, rest = b"", body
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        data, rest = data + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
    return json.loads(data)


def test_foreign_names_reach_no_engine_and_models_are_listed_by_the_gateway(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as b:
            (engine,) = b.engines
            await named(b, OWN)
            for path in ("/v1/completions", "/api/predict/foo/v1/completions"):
                for foreign in ("other", OWN, "/etc/passwd"):
                    status, said, _ = await send(b, "POST", path, asks(foreign), **AUTH)
                    assert (status, error_of(said)["code"]) == (404, "model_not_found")
            for path in ("/v1/models", "/api/predict/foo/v1/models"):
                status, said, _ = await send(b, "GET", path, **AUTH)
                assert (status, [m["id"] for m in json.loads(said)["data"]]) == (200, ["foo"])
                status, said, _ = await send(b, "GET", path + "/foo", **AUTH)
                assert (status, json.loads(said)["id"]) == (200, "foo")
                assert (await send(b, "GET", path + "/other", **AUTH))[0] == 404
            assert (await send(b, "GET", "/api/predict/foo/v1/models"))[0] == 401
            assert not engine.requests
            path = "/api/predict/foo/load"
            await send(b, "POST", path, asks("other"), **AUTH)
            assert json.loads(engine.requests[-1].body) == {"model": "other"}, "not OpenAI's path"

    asyncio.run(scenario())


def test_a_body_of_many_megabytes_arrives_whole(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as b:
            (engine,) = b.engines
            text = "größe " * 500_000
            engine.play = tells(said=text)
            await named(b, OWN)
            url = b.gateway.url + "/v1/completions"
            body = asks("foo", prompt=text)
            async with b.client.post(url, data=BytesIO(body), headers=AUTH) as answer:
                said = json.loads(await answer.read())
            assert said == {"id": "1", "model": "foo", "said": text}
            seen = engine.requests[-1]
            assert json.loads(seen.body) == {"model": OWN, "prompt": text}
            assert int(seen.header("content-length") or 0) == len(seen.body) != len(body)

    asyncio.run(scenario())


def test_a_stream_is_restored_event_by_event_without_waiting_for_more(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as b:
            (engine,) = b.engines
            go = asyncio.Event()

            async def play(request: Request, reader: Reader, writer: Writer) -> bool:
                del request, reader
                first = f'data: {{"model":{json.dumps(OWN)},"n":1}}\n\n'.encode()
                second = f'data: {{"n":2,"model": {json.dumps(OWN)}}}\n\n'.encode()
                writer.write(CHUNKED_HEAD + piece(first))
                await go.wait()
                for part in (second[:22], second[22:35], second[35:]):
                    writer.write(piece(part))
                    await writer.drain()
                writer.write(piece(b"data: [DONE]\n\n") + b"0\r\n\r\n")
                return True

            engine.play = play
            await named(b, OWN)
            url = b.gateway.url + "/v1/completions"
            async with asyncio.timeout(10):
                async with b.client.post(url, data=asks("foo", stream=True), headers=AUTH) as s:
                    assert await s.content.readline() == b'data: {"model":"foo","n":1}\n'
                    go.set()
                    rest = await s.content.read()
            assert rest == b'\ndata: {"n":2,"model": "foo"}\n\ndata: [DONE]\n\n'

    asyncio.run(scenario())


def test_what_is_compressed_all_the_same_or_is_no_json_goes_on_as_it_is(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as b:
            (engine,) = b.engines
            await named(b, OWN)
            engine.play = tells(extra=b"Content-Encoding: gzip\r\n")
            status, said, headers = await send(b, "POST", "/v1/completions", asks("foo"), **AUTH)
            assert (status, headers["content-encoding"]) == (200, "gzip")
            assert json.loads(gzip.decompress(said))["id"] == "1"
            engine.play = tells(kind=b"text/plain")
            status, said, headers = await send(b, "POST", "/v1/completions", asks("foo"), **AUTH)
            assert int(headers["content-length"]) == len(said)
            engine.play = echo
            status, said, headers = await send(b, "HEAD", "/api/predict/foo/x", **AUTH)
            assert (status, int(headers["content-length"]) > 0) == (200, True)

    asyncio.run(scenario())


def test_an_engine_that_knows_the_services_name_is_asked_by_it_and_its_answer_left_alone(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as b:
            (engine,) = b.engines
            engine.play = tells()
            await named(b, "foo")
            for asked in ("foo", "grp.foo"):
                status, said, headers = await send(
                    b, "POST", "/v1/completions", asks(asked), **AUTH, Accept_Encoding="gzip"
                )
                assert (status, int(headers["content-length"])) == (200, len(said))
                assert json.loads(said)["model"] == "foo"
                assert json.loads(engine.requests[-1].body) == {"model": "foo"}
                said_for = engine.requests[-1].header("accept-encoding")
                assert said_for == "identity", "its usage is to be read"
            assert engine.requests[-2].body == asks("foo"), "byte for byte"

    asyncio.run(scenario())


def test_each_replica_is_asked_by_its_own_name_also_when_another_failed_before(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        async with bench(tmp_path, engines=2) as b:
            for engine in b.engines:
                engine.play = tells()
            await named(b, "", OWN)
            for _ in range(8):
                status, said, _ = await send(b, "POST", "/v1/completions", asks("foo"), **AUTH)
                assert status == 200
                assert OWN.encode() not in said
            plainly, other = b.engines
            assert {r.body for r in plainly.requests} == {asks("foo")}
            assert {json.loads(r.body)["model"] for r in other.requests} == {OWN}
            await other.close()
            for _ in range(4):
                status, said, _ = await send(b, "POST", "/v1/completions", asks("foo"), **AUTH)
                assert (status, json.loads(said)["model"]) == (200, "foo")
            assert {r.body for r in plainly.requests} == {asks("foo")}

    asyncio.run(scenario())


# ---- paths ----------------------------------------------------------------------------------------


def test_an_engine_without_a_key_is_called_at_its_paths_alone(tmp_path: Path) -> None:
    """Law: whoever may call a service may not let its engine load another folder of the machine."""

    async def scenario() -> None:
        async with bench(tmp_path) as b:
            (engine,) = b.engines
            engine.play = tells()
            await named(b, OWN, paths=("/health", "/v1/chat/completions", "/v1/models"))
            for path in ("/v1/chat/completions", "/api/predict/foo/v1/chat/completions"):
                status, _, _ = await send(b, "POST", path, asks("foo"), **AUTH)
                assert status == 200
            before = len(engine.requests)
            for path in (
                "/api/predict/foo",
                "/api/predict/foo/load_model",
                "/api/predict/foo/v1/audio/transcriptions",
                "/api/predict/foo//v1/chat/completions",
                "/api/predict/foo/v1/../load_model",
                "/api/predict/foo/v1%2Fchat/completions",
                "/v1/audio/transcriptions",
            ):
                status, said, _ = await send(b, "POST", path, asks("foo"), **AUTH)
                assert (status, error_of(said)["code"]) == (404, "path_not_served")
            assert len(engine.requests) == before

    asyncio.run(scenario())
