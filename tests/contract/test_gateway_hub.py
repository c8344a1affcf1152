"""The gateway and its hub: tables come, reports go, and requests are served whatever the hub does."""

# ruff: noqa: PLR0915
# A scenario is one story, told from top to bottom.

import asyncio
import json
import platform
import signal
import stat
import time
from itertools import pairwise
from pathlib import Path

from contract.gateway_harness import (
    CHUNKED_HEAD,
    INTERNAL_KEY,
    TOKEN,
    Bench,
    Engine,
    Hub,
    bench,
    gateway,
    piece,
    plain,
    raw,
    route,
    until,
)
from pierhead.core.routes import RouteTable, dump, load, table
from pierhead.gateway.sealing import Seal

AUTH = {"Authorization": TOKEN}
STREAM = f"GET /api/predict/foo/s HTTP/1.1\r\nHost: x\r\nAuthorization: {TOKEN}\r\nConnection: close\r\n\r\n"


async def status(b: Bench, path: str = "/api/predict/foo") -> int:
    async with b.client.get(b.gateway.url + path, headers=AUTH) as answer:
        await answer.read()
        return answer.status


def table_file(folder: Path) -> Path:
    return folder / "gateway" / "routes.json"


def saved(file: Path) -> RouteTable:
    return load(Seal(INTERNAL_KEY).open(file.read_bytes()))


def keeps(file: Path) -> int:
    """Revision of the table on disk; 0 = none was written yet."""
    return saved(file).revision if file.exists() else 0


def test_a_change_is_served_at_once_and_kept_on_disk(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as b:
            file = table_file(tmp_path)
            for number in range(2, 6):
                begun = time.monotonic()
                b.hub.publish(route(f"svc{number}", *b.engines))
                while await status(b, f"/api/predict/svc{number}") != 200:
                    assert time.monotonic() - begun < 0.25
                await until(lambda: keeps(file) == number, "saved")  # noqa: B023
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
            assert saved(file) == b.hub.table
            assert TOKEN.encode() not in file.read_bytes()
            assert [path.name for path in file.parent.iterdir()] == ["routes.json"]
            assert "pierhead_gateway_table_revision 5.0" in await b.metrics()

    asyncio.run(scenario())


def test_serves_while_the_hub_is_down_and_after_its_own_restart(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as b:
            assert (await b.health())["hub"] == "connected"
            assert "pierhead_gateway_hub_reachable 1.0" in await b.metrics()
            await until(lambda: table_file(tmp_path).exists(), "saved")
            port = b.hub.port
            await b.hub.close()
            deadline = time.monotonic() + 5
            while not (await b.health())["hub"].startswith("unreachable since 20"):
                assert time.monotonic() < deadline
            assert await status(b) == 200
            assert "pierhead_gateway_hub_reachable 0.0" in await b.metrics()
            async with gateway(tmp_path, b.hub) as second:
                answer = await raw(second.port, STREAM.encode())
                assert answer.startswith(b"HTTP/1.1 200 ")
                assert (await b.health())["revision"] == 1
            # A hub that comes back counts anew: its table is taken although the number is the same.
            fresh = Hub()
            fresh.port = port
            fresh.publish(route("bar", *b.engines))
            await fresh.open()
            try:
                begun = time.monotonic()
                while await status(b, "/api/predict/bar") != 200:
                    assert time.monotonic() - begun < 2
                assert await status(b) == 404
                await until(lambda: fresh.last.get("revision") == 1, "reports go on")
                warnings = [x for x in b.gateway.lines if x.get("level") == "warning"]
                assert len(warnings) == 1, "told once, not at each try"
                await until(
                    lambda: "hub is reachable again" in [x.get("event") for x in b.gateway.lines],
                    "a log line",
                )
            finally:
                await fresh.close()

    asyncio.run(scenario())


def test_nothing_is_known_before_the_first_table(tmp_path: Path) -> None:
    async def scenario() -> None:
        hub = await Hub().open()
        async with gateway(tmp_path, hub) as run:
            answer = await raw(run.port, STREAM.encode())
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert answer.endswith(b"no healthy upstream")
            models = STREAM.replace("/api/predict/foo/s", "/v1/models").encode()
            assert (await raw(run.port, models)).startswith(b"HTTP/1.1 503 ")
            hub.publish()
            deadline = time.monotonic() + 3
            while not (await raw(run.port, STREAM.encode())).startswith(b"HTTP/1.1 404 "):
                assert time.monotonic() < deadline
        await hub.close()

    asyncio.run(scenario())


def test_the_first_request_finds_what_changed_after_the_table_on_disk(tmp_path: Path) -> None:
    """A gateway that was killed within a second of a change must not deny what came with it."""

    async def scenario() -> None:
        hub, engine = await Hub().open(), await Engine("r0").open()
        hub.publish(route("older", engine))
        async with gateway(tmp_path, hub) as run:
            await until(lambda: keeps(table_file(tmp_path)) == 1, "saved")
        hub.publish(route("older", engine), route("foo", engine))
        hub.slow = 0.2
        async with gateway(tmp_path, hub) as run:
            assert (await raw(run.port, STREAM.encode())).startswith(b"HTTP/1.1 200 ")
        hub.slow = 60.0  # one that hangs is not waited for: what is on disk is served
        begun = time.monotonic()
        async with gateway(tmp_path, hub) as run:
            assert (await raw(run.port, STREAM.encode())).startswith(b"HTTP/1.1 200 ")
            assert time.monotonic() - begun < 10.0
        await engine.close()
        await hub.close()

    asyncio.run(scenario())


def test_a_plain_table_of_an_older_release_is_read_once_more_and_sealed(tmp_path: Path) -> None:
    async def scenario() -> None:
        file = table_file(tmp_path)
        file.parent.mkdir()
        engine = await Engine("r0").open()
        document = json.loads(dump(table(7, [route("foo", engine)])))
        for each in document["routes"]:
            each["tokens"] = [token["secret"] for token in each["tokens"]]  # as it was then
        file.write_text(json.dumps(document))
        hub = await Hub().open()
        await hub.close()
        async with gateway(tmp_path, hub) as run:
            assert (await raw(run.port, STREAM.encode())).startswith(b"HTTP/1.1 200 ")
            assert TOKEN.encode() not in file.read_bytes()
            assert saved(file).revision == 7
        await engine.close()
        # With another key, as in another data folder, it opens nothing.
        async with gateway(tmp_path, hub, internal_key="another") as run:
            assert (await raw(run.port, STREAM.encode())).startswith(b"HTTP/1.1 503 ")

    asyncio.run(scenario())


def test_a_broken_plain_table_goes_for_good(tmp_path: Path) -> None:
    async def scenario() -> None:
        file = table_file(tmp_path)
        file.parent.mkdir()
        file.write_text('{"revision": 3, "routes": [{"tokens": ["a-secret"')
        hub = await Hub().open()
        await hub.close()
        async with gateway(tmp_path, hub) as run:
            assert (await raw(run.port, STREAM.encode())).startswith(b"HTTP/1.1 503 ")
            assert "a-secret" not in "".join(run.text)
        assert list(file.parent.iterdir()) == []

    asyncio.run(scenario())


def test_a_broken_table_file_is_set_aside(tmp_path: Path) -> None:
    async def scenario() -> None:
        file = table_file(tmp_path)
        file.parent.mkdir()
        file.write_bytes(Seal(INTERNAL_KEY).close(b"{}")[:-1])
        hub = await Hub().open()
        await hub.close()
        async with gateway(tmp_path, hub) as run:
            assert (await raw(run.port, STREAM.encode())).startswith(b"HTTP/1.1 503 ")
            events = [line for line in run.lines if line.get("level") == "error"]
            assert events[0]["event"] == "route table file is broken"
            assert events[0]["file"] == str(file)
        assert [path.name for path in file.parent.iterdir()] == ["routes.json.broken"]

    asyncio.run(scenario())


def test_an_unwritable_table_file_does_not_stop_the_service(tmp_path: Path) -> None:
    async def scenario() -> None:
        (tmp_path / "gateway").write_text("a file where the folder should be")
        async with bench(tmp_path) as b:
            assert await status(b) == 200
            await until(
                lambda: "route table cannot be saved" in [x.get("event") for x in b.gateway.lines],
                "a log line",
            )
            (tmp_path / "gateway").unlink()
            await b.publish(route("foo", *b.engines))
            await until(lambda: table_file(tmp_path).exists(), "saved at the next chance")

    asyncio.run(scenario())


def test_a_hub_with_nonsense_is_a_hub_that_is_not_there(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path, poll_seconds=0.2) as b:
            answers = [
                plain(200, b"[]"),
                plain(200, b'{"revision":1}'),
                plain(200, b"not json"),
                plain(500, b"{}"),
                plain(302, b"", b"Location: http://127.0.0.1:1/\r\n"),
                b"garbage\r\n\r\n",
            ]

            async def play(request: object, writer: asyncio.StreamWriter) -> None:
                del request
                writer.write(answers[0])

            b.hub._routes = play  # type: ignore[method-assign]
            while len(answers) > 1:
                seen = len(b.hub.requests)
                await until(lambda: len(b.hub.requests) > seen + 1, "it asks again")  # noqa: B023
                assert await status(b) == 200
                assert (await b.health())["revision"] == 1
                del answers[0]

    asyncio.run(scenario())


def test_wrong_internal_key_is_told(tmp_path: Path) -> None:
    async def scenario() -> None:
        hub = await Hub().open()
        hub.publish()
        async with gateway(tmp_path, hub, internal_key="wrong") as run:
            await until(lambda: [x for x in run.lines if "401" in x.get("error", "")], "a log line")
            assert "wrong" not in "".join(run.text)
        await hub.close()

    asyncio.run(scenario())


async def _stream(engine: Engine) -> list[asyncio.StreamWriter]:
    writers: list[asyncio.StreamWriter] = []

    async def play(request: object, reader: asyncio.StreamReader, writer: object) -> bool:
        del request
        assert isinstance(writer, asyncio.StreamWriter)
        writer.write(CHUNKED_HEAD + piece(b"data: 1\n\n"))
        writers.append(writer)
        await reader.read(1)
        return False

    engine.play = play
    return writers


def test_drain_is_reported_when_the_last_byte_is_out(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path, 2) as b:
            old, new = b.engines
            await b.publish(route("foo", old))
            streams = await _stream(old)
            clients = [asyncio.create_task(raw(b.gateway.port, STREAM.encode())) for _ in range(3)]
            await until(lambda: len(streams) == 3, "streams begin")
            draining = frozenset({"r0"})
            revision = b.hub.publish(route("foo", new), draining=draining)
            published = time.monotonic()
            await until(lambda: b.hub.last.get("revision") == revision, "the swap is reported")
            assert b.hub.reports[-1][0] - published < 0.25
            assert b.hub.last["outstanding"] == {"r0": 3}
            assert b.hub.last["gateway"].startswith("gw-")
            for stream in streams[:2]:
                stream.write(b"0\r\n\r\n")
            await asyncio.wait(clients, return_when=asyncio.FIRST_COMPLETED)
            await until(lambda: b.hub.last["outstanding"] == {"r0": 1}, "the next report")
            streams[2].write(b"0\r\n\r\n")
            for client in clients:
                assert (await client).endswith(b"data: 1\n\n\r\n0\r\n\r\n")
            ended = time.monotonic()
            await until(lambda: b.hub.last["outstanding"] == {}, "the drain is reported")
            assert b.hub.reports[-1][0] - ended < 0.15
            assert len(new.requests) == 0

    asyncio.run(scenario())


def test_a_drained_replica_gets_nothing_more_not_even_a_late_body(tmp_path: Path) -> None:
    """A request that was let in by the old table goes by the new one."""

    async def scenario() -> None:
        async with bench(tmp_path, 2) as b:
            old, new = b.engines
            await b.publish(route("foo", old))
            reader, writer = await b.open()
            head = STREAM.replace("GET", "POST").replace(
                "\r\n\r\n", "\r\nContent-Length: 4\r\n\r\n"
            )
            writer.write(head.encode() + b"ab")
            await writer.drain()
            await status(b)
            await b.publish(route("foo", new), draining=frozenset({"r0"}))
            before = len(old.requests)
            writer.write(b"cd")
            assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
            assert len(old.requests) == before
            assert new.requests[-1].body == b"abcd"

    asyncio.run(scenario())


def test_reports_come_every_second(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path, report_seconds=0.2) as b:
            await until(lambda: len(b.hub.reports) >= 4, "reports")
            times = [moment for moment, _ in b.hub.reports]
            gaps = [late - early for early, late in pairwise(times)]
            assert min(gaps) > 0.1
            names = {report["gateway"] for _, report in b.hub.reports}
            assert len(names) == 1
            assert b.hub.last["outstanding"] == {}
            assert not any(report["leaves"] for _, report in b.hub.reports)
            places = {report["place"] for _, report in b.hub.reports}
            # Its port was left open by its settings: without the real one all gateways were at one place.
            assert places == {f"{platform.node()} 127.0.0.1:{b.gateway.port}"}

    asyncio.run(scenario())


def test_sigterm_lets_requests_end_and_exits_0(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as b:
            streams = await _stream(b.engines[0])
            client = asyncio.create_task(raw(b.gateway.port, STREAM.encode()))
            idle_reader, _ = await b.open()
            await until(lambda: streams, "the stream begins")
            b.gateway.process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(idle_reader.read(), 5) == b"", "idle ones are closed"
            await _refused(b.gateway.port)
            streams[0].write(piece(b"last") + b"0\r\n\r\n")
            assert (await client).endswith(b"4\r\nlast\r\n0\r\n\r\n")
            assert await asyncio.wait_for(b.gateway.process.wait(), 5) == 0
            assert b.hub.last["leaves"], "it says farewell: nobody waits for what it had"

    asyncio.run(scenario())


def test_requests_that_do_not_end_are_cut_at_the_stop(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path, 2, stop_seconds=1) as b:
            silent, streaming = b.engines
            silent.play = silent.silence
            streams = await _stream(streaming)
            await b.publish(route("foo", streaming), route("mute", silent))
            stream = asyncio.create_task(raw(b.gateway.port, STREAM.encode()))
            mute = STREAM.replace("/foo/", "/mute/").encode()
            waiting = asyncio.create_task(raw(b.gateway.port, mute))
            await until(lambda: streams and silent.requests, "both are in work")
            begun = time.monotonic()
            b.gateway.process.send_signal(signal.SIGINT)
            assert not (await stream).endswith(b"0\r\n\r\n")
            answer = await waiting
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "stopping"
            assert await asyncio.wait_for(b.gateway.process.wait(), 5) == 0
            assert 0.8 < time.monotonic() - begun < 3
            await until(lambda: silent.left, "the engine is told")

    asyncio.run(scenario())


async def _refused(port: int) -> None:
    deadline = time.monotonic() + 5
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            return
        writer.transport.abort()
        assert time.monotonic() < deadline, "it still accepts"
        await asyncio.sleep(0.01)
