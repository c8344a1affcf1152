"""What was used of tokens: told by gateways as totals, added up by the hub, told to the others."""

import asyncio
import json
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

import pytest
from front_door import an_inside
from identity_stage import Stage
from starlette.applications import Starlette
from starlette.testclient import TestClient

from builders import ROOT, FakeClock, FakeEntropy, a_template
from pierhead.core.errors import Invalid, NotFound, Unavailable
from pierhead.core.routes import GatewayReport
from pierhead.core.usage import Meter, Usage
from pierhead.operations import services, usage
from pierhead.operations.services import Draft
from pierhead.operations.usage import GONE, NOTED, Ledger
from pierhead.store import db, schema
from pierhead.store import usage as rows
from pierhead.telemetry import HubFigures
from pierhead.web.app import FrontDoor

NOW = "2026-09"  # the month of the tests' clock
DAY = 86400.0
Scene = Callable[[Stage], Coroutine[Any, Any, None]]


@pytest.fixture(params=["sqlite", "postgresql"])
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Scene], None]:
    url: str = (
        db.sqlite_url(tmp_path / "pierhead.db")
        if request.param == "sqlite"
        else request.getfixturevalue("postgres_made_url")
    )

    def run(scene: Scene) -> None:
        schema.migrate(url)
        stage = Stage(url, FakeClock(), FakeEntropy())
        try:
            asyncio.run(scene(stage))
        finally:
            stage.close()

    return run


def meter(token: str, tokens: int, month: str = NOW, service: str = "s1") -> Meter:
    return Meter(service, token, month, Usage(1, tokens, 0))


def report(gateway: str, *meters: Meter) -> GatewayReport:
    return GatewayReport(gateway, 1, {}, meters=meters)


async def started(stage: Stage) -> Ledger:
    ledger = Ledger(stage.db, stage.clock)
    await ledger.start()
    return ledger


def test_totals_that_are_told_twice_count_once(play: Callable[[Scene], None]) -> None:
    async def scene(stage: Stage) -> None:
        ledger = await started(stage)
        for total in (10, 10, 25, 25):
            assert await ledger.take(report("gw-1", meter("ci", total)), []) == {}
        assert ledger.spent("s1", "ci") == 25
        (found,) = await stage.db.read(rows.of_service, "s1")
        assert found == Meter("s1", "ci", NOW, Usage(1, 25, 0))
        again = await started(stage)
        assert again.spent("s1", "ci") == 25

    play(scene)


def test_each_gateway_hears_what_the_others_used_of_limited_tokens(
    play: Callable[[Scene], None],
) -> None:
    async def scene(stage: Stage) -> None:
        ledger = await started(stage)
        limited = [("s1", "ci"), ("s1", "quiet")]
        assert await ledger.take(report("gw-1", meter("ci", 10), meter("free", 7)), limited) == {}
        heard = await ledger.take(report("gw-2", meter("ci", 5)), limited)
        assert heard == {"s1/ci": 10}
        assert await ledger.take(report("gw-1"), limited) == {"s1/ci": 5}
        assert await ledger.take(report("gw-3"), limited) == {"s1/ci": 15}
        assert ledger.spent("s1", "ci") == 15

    play(scene)


def test_a_new_month_begins_with_nothing_and_the_last_one_is_kept(
    play: Callable[[Scene], None],
) -> None:
    async def scene(stage: Stage) -> None:
        ledger, limited = await started(stage), [("s1", "ci")]
        await ledger.take(report("gw-1", meter("ci", 10)), limited)
        stage.clock.advance(31 * DAY)
        assert ledger.spent("s1", "ci") == 0
        late = report("gw-1", meter("ci", 12), meter("ci", 3, "2026-10"))
        await ledger.take(late, limited)
        assert ledger.spent("s1", "ci") == 3
        found = await stage.db.read(rows.of_service, "s1")
        assert [(one.month, one.usage.tokens) for one in found] == [("2026-10", 3), (NOW, 12)]

    play(scene)


@pytest.mark.parametrize("month", ["2026-13", "later", "", "2031-01", "2026-9"])
def test_months_that_cannot_be_are_left_out(play: Callable[[Scene], None], month: str) -> None:
    async def scene(stage: Stage) -> None:
        ledger = await started(stage)
        await ledger.take(report("gw-1", meter("ci", 10, month)), [])
        assert await stage.db.read(rows.of_service, "s1") == []

    play(scene)


def test_a_report_without_news_writes_nothing(play: Callable[[Scene], None]) -> None:
    async def scene(stage: Stage) -> None:
        ledger = await started(stage)
        await ledger.take(report("gw-1", meter("ci", 10)), [("s1", "ci")])
        before = stage.writes
        for _ in range(100):
            stage.clock.advance(1)
            await ledger.take(report("gw-1"), [("s1", "ci")])
        assert stage.writes == before

    play(scene)


def test_rows_of_gateways_that_are_gone_become_one_and_no_sum_changes(
    play: Callable[[Scene], None],
) -> None:
    async def scene(stage: Stage) -> None:
        ledger = await started(stage)
        for number in range(5):
            await ledger.take(report(f"gw-{number}", meter("ci", 10), meter("x", number)), [])
        stays = report("gw-stays", meter("ci", 1))
        await ledger.take(stays, [])
        # One that has nothing new to tell, and tells that every second, is not gone.
        for _ in range(int(GONE / NOTED) + 2):
            stage.clock.advance(NOTED + 1)
            await ledger.take(report("gw-stays"), [])
        before = await stage.db.read(rows.of_service, "s1")
        await ledger.tidy()
        left = {gateway for gateway, _ in await stage.db.read(rows.of_month, NOW)}
        assert left == {rows.GONE, "gw-stays"}
        assert await stage.db.read(rows.of_service, "s1") == before
        assert ledger.spent("s1", "ci") == 51
        await ledger.take(report("gw-stays", meter("ci", 4)), [])
        assert ledger.spent("s1", "ci") == 54
        stage.clock.advance(GONE + DAY)
        again = await started(stage)
        totals = await stage.db.read(rows.totals)
        assert sorted(one.usage.tokens for one in totals) == [10, 54]
        assert again.spent("s1", "ci") in {0, 54}  # by the month that it is by then

    play(scene)


def test_usage_is_told_by_month_and_token(play: Callable[[Scene], None]) -> None:
    async def scene(stage: Stage) -> None:
        draft = Draft("svc_one", "eas.app", a_template(), 1, {})
        made = await services.create(stage.platform, ROOT, draft)
        ledger = await started(stage)
        for gateway in ("gw-1", "gw-2"):
            told = [Meter(made.id, "ci", NOW, Usage(2, 30, 4, 1)), meter("ci", 9)]
            told.append(Meter(made.id, "default", "2026-08", Usage(1, 1, 1)))
            await ledger.take(report(gateway, *told), [])
        found = await usage.of_service(stage.platform, ROOT, "svc_one")
        assert found == [
            Meter(made.id, "ci", NOW, Usage(4, 60, 8, 2)),
            Meter(made.id, "default", "2026-08", Usage(2, 2, 2)),
        ]
        of = usage.of_service
        assert await of(stage.platform, ROOT, made.id, NOW) == found[:1]
        assert await of(stage.platform, ROOT, "svc_one", token="default") == found[1:]
        with pytest.raises(Invalid, match="Month"):
            await of(stage.platform, ROOT, "svc_one", "2026")
        with pytest.raises(NotFound):
            await of(stage.platform, ROOT, "svc_none")

    play(scene)


def test_figures_have_names_only_for_who_may_see_them() -> None:
    figures = HubFigures()
    totals = [
        Meter("s1", "ci", "", Usage(3, 20, 5)),
        Meter("s1", "default", "", Usage(1, 2, 1)),
        Meter("s2", "ci", "", Usage(1, 7, 0)),
        Meter("gone", "ci", "", Usage(1, 100, 0)),
    ]
    figures.tokens.show(totals, {"s1": "chat", "s2": "search"})
    text = figures.exposition()[0].decode()
    assert 'pierhead_tokens_total{kind="prompt",service="chat",token="ci"} 20.0' in text
    assert 'pierhead_tokens_total{kind="completion",service="chat",token="ci"} 5.0' in text
    assert 'service="search"' in text
    assert "gone" not in text
    figures.tokens.show(totals, None)
    text = figures.exposition()[0].decode()
    assert 'pierhead_tokens_total{kind="prompt"} 129.0' in text
    assert "chat" not in text


# --- the door that gateways knock at -------------------------------------------------------------


def the_door(
    heard: Callable[[GatewayReport], Coroutine[Any, Any, Mapping[str, int]]],
) -> TestClient:
    async def metrics(names: bool) -> tuple[bytes, str]:
        return (b"named" if names else b"nameless"), "text/plain"

    inside = an_inside(heard=heard, metrics=metrics, metrics_token="figures")
    nobody = Starlette()
    return TestClient(FrontDoor(inside, nobody, nobody, nobody))


def test_a_report_is_answered_with_what_others_spent() -> None:
    told: list[GatewayReport] = []

    async def heard(one: GatewayReport) -> Mapping[str, int]:
        told.append(one)
        return {"s1/ci": 15}

    body = {"gateway": "gw-1", "revision": 3, "outstanding": {}, "ejected": []}
    meters = [{"service": "s1", "token": "ci", "month": NOW, "usage": {"requests": 1, "prompt": 2}}]
    key = {"authorization": "Bearer internal"}
    with the_door(heard) as door:
        for document in (body, body | {"meters": meters}):  # of an older gateway, and of this one
            answer = door.post("/internal/report", content=json.dumps(document), headers=key)
            assert (answer.status_code, answer.json()) == (200, {"spent": {"s1/ci": 15}})
        assert door.post("/internal/report", content=json.dumps(body)).status_code == 403
    assert [one.meters for one in told] == [(), (Meter("s1", "ci", NOW, Usage(1, 2)),)]


def test_a_report_that_cannot_be_kept_is_to_be_told_again() -> None:
    async def heard(_one: GatewayReport) -> Mapping[str, int]:
        raise Unavailable("The database", "disk full")

    with the_door(heard) as door:
        body = {"gateway": "gw-1", "revision": 3, "outstanding": {}}
        key = {"authorization": "Bearer internal"}
        answer = door.post("/internal/report", content=json.dumps(body), headers=key)
        assert answer.status_code == 503


def test_names_of_figures_are_for_who_has_their_token() -> None:
    async def heard(_one: GatewayReport) -> Mapping[str, int]:
        return {}

    with the_door(heard) as door:
        assert door.get("/metrics").text == "nameless"
        assert door.get("/metrics", headers={"authorization": "Bearer wrong"}).text == "nameless"
        assert door.get("/metrics", headers={"authorization": "Bearer figures"}).text == "named"
