"""Requests through a real gateway: who gets in, what the engine sees, what the client gets back."""

# ruff: noqa: PLR0915
# A scenario is one story, told from top to bottom.

import asyncio
import base64
import gzip
import hashlib
import hmac
import json
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

from contract.gateway_harness import TOKEN, Bench, Request, bench, plain, raw, route

VECTORS = json.loads((Path(__file__).parent / "vectors" / "dataplane.json").read_text())
AUTH = {"Authorization": TOKEN}


async def send(
    b: Bench, method: str, path: str, body: bytes = b"", **headers: str
) -> tuple[int, bytes, dict[str, str]]:
    """One request over a connection of its own, byte for byte as written here."""
    lines = [f"{method} {path} HTTP/1.1", "Host: gw.example", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    answer = await raw(b.gateway.port, "\r\n".join([*lines, "", ""]).encode() + body)
    return parse(answer)


def parse(answer: bytes) -> tuple[int, bytes, dict[str, str]]:
    head, _, rest = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in lines)}
    return int(first.split()[1]), rest, headers


def sign(
    token: str, path: str, body: bytes, kind: str = "application/octet-stream"
) -> dict[str, str]:
    md5 = hashlib.md5(body).hexdigest()
    date = "Sat, 01 Jan 2000 00:00:00 GMT"
    text = f"POST\n{md5}\n{kind}\n{date}\n{path}"
    made = base64.b64encode(hmac.new(token.encode(), text.encode(), "sha1").digest()).decode()
    return {"Content_MD5": md5, "Content_Type": kind, "Date": date, "Authorization": f"EAS {made}"}


def error_of(body: bytes) -> dict[str, Any]:
    document = json.loads(body)
    assert document["request_id"]
    assert isinstance(document["error"]["message"], str)
    return document["error"]


def test_vectors_and_each_tampered_variant(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as b:
            names = {v["request_line"].split("/")[3].split(" ")[0] for v in VECTORS["vectors"]}
            await b.publish(*(route(n, b.engines[0]) for n in names))
            assert len(VECTORS["vectors"]) == 3
            for vector in VECTORS["vectors"]:
                method, path, _ = vector["request_line"].split(" ")
                headers = {k.replace("-", "_"): v for k, v in vector["headers"]}
                for dropped in ("Host", "Content_Length"):
                    headers.pop(dropped)
                body = vector["body"].encode()

                async def status(
                    body: bytes = body, path: str = path, method: str = method, **changed: str
                ) -> int:
                    sent = {k: v for k, v in {**headers, **changed}.items() if v}  # noqa: B023
                    return (await send(b, method, path, body, **sent))[0]

                assert await status() == 200
                assert b.engines[0].requests[-1].body == body
                assert await status(Content_MD5=headers["Content_MD5"].upper()) == 401
                seen = len(b.engines[0].requests)
                assert await status(body=body + b" ") == 401
                assert await status(body=b"") == 401
                assert await status(path=path + "/x") == 401
                assert await status(path=path + "?q=1") == 200, "the query is not signed"
                assert await status(method="PUT") == 401
                assert await status(Date="Sat, 21 Nov 2026 19:35:30 GMT") == 401
                assert await status(Content_Type="application/json") == 401
                assert await status(Content_Type="") == 200, "the default type is signed"
                assert await status(Content_MD5="") == 401
                assert await status(Content_MD5="0" * 32) == 401
                wrong = base64.b64encode(b"\0" * 20).decode()
                assert await status(Authorization=f"EAS {wrong}") == 401
                assert await status(Authorization="EAS !!!") == 401
                assert await status(Authorization="EAS") == 401
                assert await status(Authorization="EAS ") == 401
                assert len(b.engines[0].requests) == seen + 2

    asyncio.run(scenario())


def test_token_forms(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as b:
            await b.publish(
                route("foo", b.engines[0], tokens=("other", TOKEN)),
                route("none", b.engines[0], tokens=()),
                route("empty", b.engines[0], tokens=("",)),
            )
            for good in (
                TOKEN,
                f"Bearer {TOKEN}",
                f"bEaReR   {TOKEN}",
                "other",
                f"BEARER {TOKEN} ",
            ):
                for path in ("/api/predict/foo", "/api/predict/foo/v1/x", "/v1/models"):
                    assert (await send(b, "GET", path, Authorization=good))[0] == 200, good
            for bad in (TOKEN[:-1], TOKEN + "x", f"Basic {TOKEN}", "Bearer", "Bearer ", "x", " "):
                for path in ("/api/predict/foo", "/api/predict/foo/v1/x", "/v1/models"):
                    assert (await send(b, "GET", path, Authorization=bad))[0] == 401, bad
            for service in ("none", "empty"):
                for value in ("", TOKEN, "Bearer "):
                    path = f"/api/predict/{service}"
                    assert (await send(b, "GET", path, Authorization=value))[0] == 401
            body = json.dumps({"model": "foo"}).encode()
            signed = sign("other", "/v1/embeddings", body)
            assert (await send(b, "POST", "/v1/embeddings", body, **signed))[0] == 200
            status, _, _ = await send(b, "POST", "/v1/embeddings", body + b" ", **signed)
            assert status == 401
            assert TOKEN not in "".join(b.gateway.text)

    asyncio.run(scenario())


def test_order_of_refusals_and_their_bodies(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path, body_limit=1000, body_seconds=0.3) as b:
            await b.publish(route("foo", b.engines[0]), route("cold"))
            status, body, headers = await send(b, "POST", "/api/predict/nope", Authorization="bad")
            assert (status, error_of(body)["code"]) == (404, "service_not_found")
            assert "param" not in error_of(body)
            assert headers["x-request-id"] == json.loads(body)["request_id"]
            status, body, _ = await send(b, "POST", "/api/predict/nope/v1/x")
            assert (status, error_of(body)["param"]) == (404, None)
            status, body, _ = await send(b, "POST", "/api/predict/cold", Authorization="bad")
            assert (status, error_of(body)["code"]) == (401, "invalid_api_key")
            status, body, headers = await send(b, "POST", "/api/predict/cold", **AUTH)
            assert (status, body) == (503, b"no healthy upstream")
            assert headers["content-type"] == "text/plain"
            cold = b'{"model":"cold"}'
            status, body, _ = await send(b, "POST", "/v1/chat/completions", cold, **AUTH)
            assert (status, body) == (503, b"no healthy upstream")
            queue = {**AUTH, "X_EAS_QueueService_Redis_Uid": "1"}
            status, body, _ = await send(b, "GET", "/api/predict/foo", **queue)
            assert (status, error_of(body)["code"]) == (501, "queue_service")
            status, body, _ = await send(b, "POST", "/api/predict/foo", b"x" * 1001, **AUTH)
            assert (status, error_of(body)["code"]) == (413, "body_too_large")
            chunked = (
                f"POST /api/predict/foo HTTP/1.1\r\nHost: x\r\nAuthorization: {TOKEN}\r\n"
                "Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
            ).encode()
            status, body, _ = parse(await raw(b.gateway.port, chunked + b"3e9\r\n" + b"x" * 1001))
            assert status == 413
            status, body, headers = parse(await raw(b.gateway.port, chunked + b"5\r\nab"))
            assert (status, error_of(body)["code"]) == (408, "body_timeout")
            assert headers["connection"] == "close"
            for path in ("/", "/api/predict", "/api/predictfoo", "/v1", "/x/v1/models"):
                status, body, _ = await send(b, "GET", path, **AUTH)
                assert (status, error_of(body)["code"]) == (404, "path_not_found"), path
            assert (await send(b, "GET", "/api/predict//v1", **AUTH))[0] == 404
            assert not b.engines[0].requests
            metrics = await b.metrics()
            assert 'pierhead_gateway_requests_total{code="404",service="-"}' in metrics
            assert 'pierhead_gateway_requests_total{code="503",service="cold"} 2.0' in metrics
            assert "nope" not in metrics

    asyncio.run(scenario())


def test_path_and_query_reach_the_engine_byte_for_byte(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as b:
            await b.publish(
                route("foo", b.engines[0], aliases=("grp.foo",)), route("ü-x", b.engines[0])
            )
            cases = {
                "/api/predict/foo": "/",
                "/api/predict/foo/": "/",
                "/api/predict/foo?x=1": "/?x=1",
                "/api/predict/f%6Fo/a": "/a",
                "/api/predict/grp.foo/a": "/a",
                "/api/predict/%C3%BC-x/%C3%BC?q=%E4%BD%A0": "/%C3%BC?q=%E4%BD%A0",
                "/api/predict/foo/a%2Fb/%2e%2e/c%20d": "/a%2Fb/%2e%2e/c%20d",
                "/api/predict/foo//a//b": "//a//b",
                "/api/predict/foo/../bar/./x": "/../bar/./x",
                "/api/predict/foo/a+b;c=d,e@f:g!$&'()*~": "/a+b;c=d,e@f:g!$&'()*~",
                "/api/predict/foo/?a=1&a=2&b=%2F+%zz&c&=&?x=?/": "/?a=1&a=2&b=%2F+%zz&c&=&?x=?/",
                '/api/predict/foo/p|q[1]{2}^`"<>': '/p|q[1]{2}^`"<>',
            }
            for sent, expected in cases.items():
                status, _, _ = await send(b, "GET", sent, **AUTH)
                assert status == 200, sent
                assert b.engines[0].requests[-1].target == expected
            seen = len(b.engines[0].requests)
            for bad in ("/api/predict/foo/?q=ü", "/api/predict/ü-x"):
                assert (await send(b, "GET", bad, **AUTH))[0] == 400, "a URL is ASCII"
            assert len(b.engines[0].requests) == seen

    asyncio.run(scenario())


def test_methods_and_bodies_pass(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as b:
            engine = b.engines[0]
            for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"):
                for body in (b"", b"\x00\xff" * 700_000):
                    url = f"{b.gateway.url}/api/predict/foo/m"
                    async with b.client.request(
                        method, url, data=BytesIO(body), headers=AUTH
                    ) as answer:
                        got = await answer.read()
                        assert answer.status == 200, (method, len(body), got)
                    assert engine.requests[-1].line == f"{method} /m HTTP/1.1"
                    assert engine.requests[-1].body == body
                    assert (got == b"") == (method == "HEAD")
            assert int(answer.headers["Content-Length"]) > 0, "HEAD keeps the length"

            async def pieces() -> Any:
                for part in (b"ab", b"cd"):
                    yield part

            async with b.client.post(
                f"{b.gateway.url}/api/predict/foo", data=pieces(), headers=AUTH
            ) as answer:
                assert answer.status == 200
            assert engine.requests[-1].body == b"abcd"
            h2c = {**AUTH, "Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c"}
            async with b.client.post(
                f"{b.gateway.url}/api/predict/foo", data=b"java", headers=h2c
            ) as answer:
                assert answer.status == 400, "never passed on without its body"
                assert error_of(await answer.read())["code"] == "upgrade_with_body"
            async with b.client.get(f"{b.gateway.url}/api/predict/foo", headers=h2c) as answer:
                assert answer.status == 200
            assert engine.requests[-1].header("upgrade") is None

    asyncio.run(scenario())


def test_headers_both_ways(tmp_path: Path) -> None:
    async def reply(request: Request, reader: Any, writer: Any) -> bool:
        del request, reader
        extra = (
            b"Connection: x-hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nSet-Cookie: a=1\r\n"
            b"Set-Cookie: b=2\r\nX-Request-Id: of-the-engine\r\nServer: engine\r\nX-Utf8: \xc3\xbc\r\n"
            b"Content-Encoding: gzip\r\n"
        )
        writer.write(plain(207, gzip.compress(b"zipped"), extra))
        return True

    async def scenario() -> None:
        async with bench(tmp_path) as b:
            engine = b.engines[0]
            engine.play = reply
            keyed = route("foo")
            target = engine.target("engine-key")
            await b.publish(replace(keyed, targets=(target,)))
            sent = {
                **AUTH,
                "X_Forwarded_For": "10.0.0.1",
                "TE": "trailers",
                "Keep_Alive": "5",
                "Proxy_Authorization": "secret",
                "X_Request_Id": "my-id",
                "Cookie": "c=1",
                "X_Name": "ü",
            }
            status, body, headers = await send(b, "GET", "/api/predict/foo", **sent)
            assert (status, gzip.decompress(body)) == (207, b"zipped")
            assert headers["content-encoding"] == "gzip"
            assert headers["x-request-id"] == "my-id"
            assert headers["server"] == "engine"
            assert "x-hop" not in headers
            assert "keep-alive" not in headers
            seen = engine.requests[-1]
            assert sorted(seen.headers) == sorted(
                [
                    ("host", f"127.0.0.1:{engine.port}"),
                    ("authorization", "Bearer engine-key"),
                    ("x-forwarded-for", "10.0.0.1, 127.0.0.1"),
                    ("x-forwarded-proto", "http"),
                    ("x-forwarded-host", "gw.example"),
                    ("x-request-id", "my-id"),
                    ("cookie", "c=1"),
                    ("x-name", "ü".encode().decode("latin-1")),
                ]
            )
            url = f"{b.gateway.url}/api/predict/foo"
            async with b.client.get(url, headers=AUTH) as answer:
                assert answer.headers.getall("Set-Cookie") == ["a=1", "b=2"]
                assert answer.headers["X-Utf8"] == "ü"
            forged = {**AUTH, "X_Request_Id": "a b" * 100}
            _, _, headers = await send(b, "GET", "/api/predict/foo", **forged)
            assert len(headers["x-request-id"]) == 32
            assert engine.requests[-1].header("x-request-id") == headers["x-request-id"]
            await b.publish(route("foo", engine))
            await send(b, "GET", "/api/predict/foo", **AUTH)
            assert engine.requests[-1].header("authorization") is None
            assert TOKEN.encode() not in b"".join(r.head for r in engine.requests)

    asyncio.run(scenario())


def test_status_of_the_container_passes(tmp_path: Path) -> None:
    async def reply(request: Request, reader: Any, writer: Any) -> bool:
        del reader
        status = int(request.target.rpartition("/")[2])
        writer.write(plain(status, b"\x00own body\xff", b"Location: /elsewhere\r\n"))
        return True

    async def scenario() -> None:
        async with bench(tmp_path) as b:
            b.engines[0].play = reply
            statuses = (201, 302, 400, 404, 405, 408, 429, 450, 500, 501, 503, 505, 599)
            for count, status in enumerate(statuses, 1):
                path = f"/api/predict/foo/{status}"
                got, body, headers = await send(b, "POST", path, b"{}", **AUTH)
                assert (got, body) == (status, b"\x00own body\xff")
                assert headers["location"] == "/elsewhere"
                assert len(b.engines[0].requests) == count, "asked once, no redirect followed"

    asyncio.run(scenario())


def test_openai_paths(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path, 2) as b:
            one, two = b.engines
            await b.publish(
                route("foo", one, aliases=("grp.foo",), created=1700000000.7),
                route("bar", two, tokens=("bar-token",), models=("bar", "m2")),
                route("both", two, tokens=(TOKEN, "bar-token")),
            )

            async def ask(token: str, document: Any, path: str = "/v1/chat/completions") -> Any:
                body = document if isinstance(document, bytes) else json.dumps(document).encode()
                return await send(b, "POST", path, body, Authorization=f"Bearer {token}")

            async def listed(token: str, name: str = "") -> Any:
                path = f"/v1/models{name}"
                return await send(b, "GET", path, Authorization=f"Bearer {token}")

            status, body, _ = await listed(TOKEN)
            document = json.loads(body)
            assert (status, document["object"]) == (200, "list")
            assert [card["id"] for card in document["data"]] == ["both", "foo"]
            assert document["data"][1] == {
                "id": "foo",
                "object": "model",
                "created": 1700000000,
                "owned_by": "pierhead",
            }
            assert json.loads((await listed(TOKEN, "/grp.foo"))[1])["id"] == "grp.foo"
            assert (await listed(TOKEN, "/bar"))[0] == 404
            hidden, unknown = await listed(TOKEN, "/bar"), await listed(TOKEN, "/rab")
            assert (
                error_of(hidden[1])["message"].replace("bar", "rab")
                == error_of(unknown[1])["message"]
            )
            assert (await listed("bad"))[0] == 401
            payload = b' {"stream": false, "model" : "grp.foo", "x":1.0}'
            assert (await ask(TOKEN, payload))[0] == 200
            assert one.requests[-1].body == payload
            assert one.requests[-1].target == "/v1/chat/completions"
            assert (await ask("bar-token", {"model": "bar"}, "/v1/completions?x=1"))[0] == 200
            assert two.requests[-1].target == "/v1/completions?x=1"
            for token, model, expected in (
                ("bad", "foo", 401),
                ("", "foo", 401),
                (TOKEN, "bar", 404),
                (TOKEN, "nope", 404),
                ("bar-token", "both", 200),
            ):
                assert (await ask(token, {"model": model}))[0] == expected, (token, model)
            status, body, _ = await ask(TOKEN, {"model": "bar"})
            error = error_of(body)
            assert (error["code"], error["param"]) == ("model_not_found", "model")
            assert error["type"] == "invalid_request_error"
            for bad in (b"", b"{", b"[]", b'{"model":1}', b"{}", b'{"model":' + b"[" * 100_000):
                status, body, _ = await ask(TOKEN, bad)
                assert (status, error_of(body)["code"]) == (400, "model_required"), bad[:20]
            # A service's own list of model names, on its own path.
            path = "/api/predict/bar/v1/chat/completions"
            status, body, _ = await ask("bar-token", {"model": "wrong"}, path)
            assert (status, error_of(body)["code"]) == (404, "model_not_found")
            assert "bar, m2" in error_of(body)["message"]
            for fine in ({"model": "m2"}, {"x": 1}, {"model": 7}, b"no json", b"[1]"):
                assert (await ask("bar-token", fine, path))[0] == 200
            assert (await ask("bar-token", {"model": "wrong"}, "/api/predict/bar/predict"))[
                0
            ] == 200
            assert (await ask(TOKEN, {"model": "\ud800"}))[0] == 404

    asyncio.run(scenario())


def test_discovery_names_the_gateway_alone(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path, advertise="192.0.2.7:8090") as b:
            for name in ("foo", "no-such-service"):
                path = f"/api/v1/servicediscovery/upstreams/{name}?internal=true"
                status, body, _ = await send(b, "GET", path)
                items = json.loads(body)["endpoints"]["items"]
                assert status == 200
                assert items == [{"ip": "192.0.2.7", "port": 8090, "weight": 100}]

    asyncio.run(scenario())


def test_expect_continue(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as b:
            head = "POST /api/predict/foo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n"
            refused = await raw(b.gateway.port, f"{head}\r\n".encode())
            assert parse(refused)[0] == 401, "and the connection is closed: no body is awaited"
            reader, writer = await b.open()
            writer.write(f"{head}Connection: close\r\nAuthorization: {TOKEN}\r\n\r\n".encode())
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(b"ok")
            assert parse(await reader.read())[0] == 200
            writer.close()
            assert b.engines[0].requests[-1].body == b"ok"
            assert b.engines[0].requests[-1].header("expect") is None

    asyncio.run(scenario())
