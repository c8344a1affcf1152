"""TLS on a real port: what is spoken, what a wrong client is told, and a certificate that is replaced."""

import asyncio
import shutil
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from pierhead import tls
from pierhead.bootstrap.tls import ready, trust
from pierhead.core.errors import Unavailable
from pierhead.server import HttpLimits, Server
from pierhead.settings import BadSetting, Settings

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the keys")
GET = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def own(folder: Path, **more: Any) -> Settings:
    return Settings(data_dir=folder, tls_self_signed=True, **more)


async def app(scope: Any, _receive: Any, send: Any) -> None:
    body = str(scope["scheme"]).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def serving(context: ssl.SSLContext) -> AsyncIterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, http="httptools", ws="none", lifespan="off", log_config=None)
    config.timeout_graceful_shutdown = 1
    server = Server(config, HttpLimits(head_seconds=0.5), context)
    task = asyncio.create_task(server.serve([listener]))
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = server.force_exit = True
        await task


def play(settings: Settings, act: Callable[[int], Coroutine[Any, Any, None]]) -> None:
    served = ready(settings)
    assert served is not None

    async def main() -> None:
        async with asyncio.timeout(20), serving(served.context) as port:
            await act(port)

    asyncio.run(main())


async def ask(port: int, context: ssl.SSLContext, name: str = "localhost") -> bytes:
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=context, server_hostname=name
    )
    writer.write(GET)
    answer = await reader.read()
    writer.close()
    return answer


def test_a_certificate_is_made_once_and_only_its_owner_reads_the_key(tmp_path: Path) -> None:
    settings = own(tmp_path, advertise="https://pier.example:8090")
    assert ready(settings) is not None
    first = settings.tls_certificate.read_bytes()
    assert settings.tls_key.stat().st_mode & 0o777 == 0o600
    assert ready(settings) is not None and settings.tls_certificate.read_bytes() == first
    assert settings.hub_endpoint.startswith("https://")


def test_it_serves_https_under_each_of_its_names(tmp_path: Path) -> None:
    settings = own(tmp_path, advertise="https://pier.example:8090")

    async def act(port: int) -> None:
        context = tls.trusting(str(settings.tls_certificate))
        for name in ("localhost", "127.0.0.1", "pier.example"):
            answer = await ask(port, context, name)
            assert answer.startswith(b"HTTP/1.1 200") and answer.endswith(b"https")
        with pytest.raises(ssl.SSLCertVerificationError):
            await ask(port, context, "other.example")
        with pytest.raises(ssl.SSLCertVerificationError):
            await ask(port, tls.trusting())

    play(settings, act)


def test_law_nothing_older_than_tls_1_2_is_spoken(tmp_path: Path) -> None:
    settings = own(tmp_path)

    async def act(port: int) -> None:
        for version, works in ((ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_1, False)):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.load_verify_locations(settings.tls_certificate)
            context.set_ciphers("ALL:@SECLEVEL=0")
            import warnings

            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                context.minimum_version = ssl.TLSVersion.TLSv1
                context.maximum_version = version
            if works:
                assert (await ask(port, context)).startswith(b"HTTP/1.1 200")
            else:
                with pytest.raises((ssl.SSLError, ConnectionError)):
                    await ask(port, context)

    play(settings, act)


def test_who_speaks_http_to_the_port_is_told_in_one_line(tmp_path: Path) -> None:
    async def act(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET)
        answer = await reader.read()
        writer.close()
        assert answer.startswith(b"HTTP/1.1 400 ")
        body = answer.partition(b"\r\n\r\n")[2]
        assert b"HTTPS" in body and body.count(b"\n") == 1

    play(own(tmp_path), act)


def test_law_a_handshake_that_does_not_go_on_ends(tmp_path: Path) -> None:
    async def act(port: int) -> None:
        for sent in (b"", b"\x16\x03\x01\x02\x00\x01"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(sent)
            try:
                async with asyncio.timeout(5):
                    assert await reader.read() == b""
            except ConnectionError:
                pass  # it was reset, which is as good
            writer.close()

    play(own(tmp_path), act)


def test_a_gateway_beside_its_hub_trusts_that_certificate_and_no_other(tmp_path: Path) -> None:
    settings, other = own(tmp_path / "a"), own(tmp_path / "b")

    async def act(port: int) -> None:
        pin = trust(settings)
        assert pin is not None
        assert (await ask(port, pin, "whatever.example")).startswith(b"HTTP/1.1 200")
        assert ready(other) is not None
        wrong = trust(other)
        assert wrong is not None
        with pytest.raises(ssl.SSLCertVerificationError):
            await ask(port, wrong)

    play(settings, act)


def test_a_replaced_certificate_is_served_and_open_connections_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls, "LOOK", 0.05)
    settings, newer = own(tmp_path / "a"), own(tmp_path / "b")
    assert ready(settings) is not None and ready(newer) is not None
    said: list[str] = []

    async def main() -> None:
        served = ready(settings)
        assert served is not None
        old, pin = tls.trusting(str(settings.tls_certificate)), trust(settings)
        certificate, key = settings.tls_certificate, settings.tls_key
        following = asyncio.create_task(
            tls.follow(served.context, certificate, key, said.append, pin)
        )
        async with serving(served.context) as port:
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, ssl=old, server_hostname="localhost"
            )
            # First the certificate alone, which is of no use without its key: the old ones serve on.
            newer.tls_certificate.replace(certificate)
            await until(lambda: len(said) == 1)
            assert "serve on" in said[0]
            assert (await ask(port, old)).startswith(b"HTTP/1.1 200")
            newer.tls_key.replace(key)
            await until(lambda: len(said) == 2)
            assert (await ask(port, tls.trusting(str(certificate)))).startswith(b"HTTP/1.1 200")
            assert pin is not None and (await ask(port, pin)).startswith(b"HTTP/1.1 200")
            with pytest.raises(ssl.SSLCertVerificationError):
                await ask(port, old)
            writer.write(GET)
            assert (await reader.readline()) == b"HTTP/1.1 200 OK\r\n"
            writer.close()
        following.cancel()

    asyncio.run(asyncio.wait_for(main(), 20))


async def until(met: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not met():  # noqa: ASYNC110 - a file is looked at every now and then
            await asyncio.sleep(0.01)


def elsewhere(folder: Path, **more: Any) -> Settings:
    """Of a gateway whose hub is another machine's."""
    return Settings(data_dir=folder / "gateway", hub_url="https://localhost:8443", **more)


def test_a_gateway_elsewhere_trusts_the_authorities_that_it_is_told_of(tmp_path: Path) -> None:
    settings, other = own(tmp_path / "a"), own(tmp_path / "b")
    assert ready(other) is not None

    async def act(port: int) -> None:
        told = trust(elsewhere(tmp_path, tls_hub_ca=settings.tls_certificate))
        assert told is not None
        assert (await ask(port, told)).startswith(b"HTTP/1.1 200")
        with pytest.raises(ssl.SSLCertVerificationError):  # by its name, too
            await ask(port, told, "other.example")
        for more in ({}, {"tls_hub_ca": other.tls_certificate}):
            wrong = trust(elsewhere(tmp_path, **more))
            assert wrong is not None
            with pytest.raises(ssl.SSLCertVerificationError):
                await ask(port, wrong)

    play(settings, act)
    with pytest.raises(Unavailable, match=r"nowhere\.pem"):
        trust(elsewhere(tmp_path, tls_hub_ca=tmp_path / "nowhere.pem"))
    for url in ("", "http://hub:8080"):
        with pytest.raises(BadSetting, match=r"tls\.hub_ca .* needs hub_url with https://"):
            Settings(data_dir=tmp_path, hub_url=url, tls_hub_ca=settings.tls_certificate)


def test_authorities_that_are_put_in_the_files_place_are_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls, "LOOK", 0.05)
    settings, first = own(tmp_path / "a"), own(tmp_path / "b")
    assert ready(first) is not None
    file = tmp_path / "authorities.pem"
    file.write_bytes(first.tls_certificate.read_bytes())
    said: list[str] = []

    async def act(port: int) -> None:
        told = trust(elsewhere(tmp_path, tls_hub_ca=file))
        assert told is not None
        following = asyncio.create_task(tls.follow_authorities(told, file, said.append))
        with pytest.raises(ssl.SSLCertVerificationError):
            await ask(port, told)
        (tmp_path / "half").write_text("half a file")
        (tmp_path / "half").replace(file)
        await until(lambda: len(said) == 1)
        assert "cannot be used" in said[0]
        (tmp_path / "whole").write_bytes(settings.tls_certificate.read_bytes())
        (tmp_path / "whole").replace(file)
        await until(lambda: len(said) == 2)
        assert (await ask(port, told)).startswith(b"HTTP/1.1 200")
        following.cancel()

    play(settings, act)


def test_without_openssl_it_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(Unavailable, match=r"openssl.*tls\.certificate"):
        ready(own(tmp_path))


def test_files_that_are_no_certificate_are_named(tmp_path: Path) -> None:
    for name in ("c.pem", "k.pem"):
        (tmp_path / name).write_text("nothing")
    settings = Settings(
        data_dir=tmp_path, tls_certificate=tmp_path / "c.pem", tls_key=tmp_path / "k.pem"
    )
    with pytest.raises(Unavailable, match=r"c\.pem.*tls\.certificate"):
        ready(settings)
    with pytest.raises(BadSetting, match=r"need each other"):
        Settings(data_dir=tmp_path, tls_certificate=tmp_path / "c.pem")
