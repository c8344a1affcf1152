"""What Prometheus is told of a gateway of several workers, whichever of them it reaches."""

import asyncio
import stat
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from pierhead.gateway import siblings
from pierhead.gateway.siblings import Siblings, summed
from pierhead.gateway.workers import Worker

COUNT = 3


class Figures:
    """Of one worker."""

    def __init__(self, number: int) -> None:
        self.registry = registry = CollectorRegistry()
        requests = Counter("pierhead_gateway_requests", "Requests", ["service"], registry=registry)
        requests.labels("all of us").inc(number + 1)
        requests.labels(f"only {number}").inc(10)
        seconds = Histogram("pierhead_gateway_seconds", "Time", buckets=(1, 2), registry=registry)
        seconds.observe(number)
        revision = Gauge("pierhead_gateway_table_revision", "Table", registry=registry)
        revision.set(7 + number)
        out = Gauge("pierhead_gateway_out_of_rotation", "Out", ["replica"], registry=registry)
        out.labels("r 1").set(1)

    def text(self, names: bool) -> bytes:
        return generate_latest(self.registry) if names else b"# HELP a b\n# TYPE a gauge\na 1.0\n"


def samples(text: bytes) -> dict[tuple[str, str], float]:
    return {
        (sample.name, " ".join(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def check(text: bytes, workers: int) -> None:
    found = samples(text)
    own = range(workers)
    assert found["pierhead_gateway_requests_total", "all of us"] == sum(n + 1 for n in own)
    assert all(found["pierhead_gateway_requests_total", f"only {n}"] == 10 for n in own)
    assert found["pierhead_gateway_seconds_count", ""] == workers
    assert found["pierhead_gateway_seconds_bucket", "1.0"] == 2
    assert found["pierhead_gateway_table_revision", ""] == 7
    assert found["pierhead_gateway_out_of_rotation", "r 1"] == 1
    heads = [line for line in text.splitlines() if line.startswith(b"# ")]
    assert len(heads) == len(set(heads))


def test_pages_are_added_up() -> None:
    check(summed(Figures(number).text(names=True) for number in range(COUNT)), COUNT)


def test_one_page_stays_as_it_is() -> None:
    one = Figures(1).text(names=True)
    assert summed([one]) == one


def test_whoever_is_asked_tells_of_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(siblings, "_PATIENCE", 5.0)
    folder = tmp_path / ("a folder whose name is too long for a socket " * 3)
    folder.mkdir()

    async def whole() -> None:
        async with AsyncExitStack() as stack:
            all_ = [
                Siblings(Worker(number, COUNT, folder), Figures(number).text)
                for number in range(COUNT)
            ]
            for one in all_[1:]:
                await stack.enter_async_context(one.answering())
            async with all_[0].answering():
                for one in all_:
                    check(await one.metrics(names=True), COUNT)
                assert samples(await all_[1].metrics(names=False)) == {("a", ""): COUNT}
                sockets = list(folder.iterdir())
                assert len(sockets) == COUNT
                assert {stat.S_IMODE(one.stat().st_mode) for one in sockets} == {0o600}
            check(await all_[1].metrics(names=True), COUNT)  # what it said last
            async with all_[0].answering():  # in its stead, at the same place
                check(await all_[2].metrics(names=True), COUNT)

    asyncio.run(whole())


def test_one_that_hangs_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(siblings, "_PATIENCE", 0.05)

    async def whole() -> None:
        hangs, ended = asyncio.Event(), asyncio.Event()

        async def silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await hangs.wait()
            writer.close()
            await writer.wait_closed()
            ended.set()

        own = Figures(0).text
        one = Siblings(Worker(0, 2, tmp_path), own)
        server = await asyncio.start_unix_server(silent, tmp_path / "figures-1")
        assert await one.metrics(names=True) == own(names=True)
        hangs.set()
        await ended.wait()
        server.close()
        await server.wait_closed()

    asyncio.run(whole())


def test_of_one_that_dies_in_its_answer_counts_what_it_said_last(tmp_path: Path) -> None:
    async def whole() -> None:
        one, other = (
            Siblings(Worker(number, 2, tmp_path), Figures(number).text) for number in (0, 1)
        )
        async with other.answering():
            before = await one.metrics(names=True)
        page = Figures(1).text(names=True)
        # In a number, in a letter, between two lines, before and within the length, and no length.
        for cut in (
            b"%d\n%b" % (len(page), page[:-5]),
            b"%d\n%b" % (len(page), page.replace(b"R", b"\xc3")[:90]),
            b"%d\n%b" % (len(page), page[: page.index(b"\n") + 1]),
            b"",
            b"12",
            b"x\n",
        ):

            async def dies(
                reader: asyncio.StreamReader, writer: asyncio.StreamWriter, said: bytes = cut
            ) -> None:
                assert await reader.readexactly(1) == b"1"
                writer.write(said)
                writer.close()
                await writer.wait_closed()

            (tmp_path / "figures-1").unlink(missing_ok=True)
            server = await asyncio.start_unix_server(dies, tmp_path / "figures-1")
            assert await one.metrics(names=True) == before, cut
            server.close()
            await server.wait_closed()

    asyncio.run(whole())
