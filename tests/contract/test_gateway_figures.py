"""The gateway's counts: Prometheus is told what its own counters would tell, the hub what the last seconds were."""

import json
import timeit
from dataclasses import asdict, dataclass
from random import Random
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import TypeAdapter

from pierhead.core.routes import GatewayReport, Route, RouteTable, Target, table
from pierhead.core.traffic import SPAN, STEPS, ServiceFigures, step
from pierhead.gateway.exposition import Metrics
from pierhead.gateway.figures import Figures
from pierhead.gateway.metering import Counted
from pierhead.gateway.recent import Recent, Waiting
from pierhead.gateway.table import LiveTable

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
CREATED = "_created"  #: series that only some settings of the library show


@dataclass
class Request:
    """A request that ended."""

    service: str = "foo"
    status: int = 200
    broken: bool = False
    first_byte: float | None = None
    last_byte: float | None = None
    chunks: int = 1
    held: float = 0.0
    queued: float = 0.0
    tokens: Counted | None = None


def series(text: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
        if not sample.name.endswith(CREATED)
    }


class Reference:
    """The library's own counters, told of the same requests."""

    def __init__(self) -> None:
        name, self.registry = "pierhead_gateway", CollectorRegistry()
        given: dict[str, Any] = {"registry": self.registry}
        service = ["service"]
        self.requests = Counter(
            f"{name}_requests", "Requests answered", [*service, "code"], **given
        )
        self.seconds = Histogram(f"{name}_request_seconds", "x", service, buckets=SECONDS, **given)
        self.ttft = Histogram(f"{name}_ttft_seconds", "x", service, buckets=SECONDS, **given)
        self.broken = Counter(f"{name}_broken_streams", "x", service, **given)
        self.tokens = Counter(f"{name}_tokens", "x", [*service, "kind"], **given)

    def request(self, one: Request, begun: float, ended: float, label: str) -> None:
        self.requests.labels(label, str(one.status)).inc()
        self.seconds.labels(label).observe(ended - begun)
        if one.first_byte is not None:
            self.ttft.labels(label).observe(one.first_byte - begun)
        if one.broken:
            self.broken.labels(label).inc()
        if one.tokens:
            self.tokens.labels(label, "prompt").inc(one.tokens.prompt)
            self.tokens.labels(label, "completion").inc(one.tokens.completion)


def test_prometheus_is_told_what_its_own_counters_would_tell() -> None:
    rng, reference = Random(3), Reference()
    metrics = Metrics(lambda: {}, lambda: {})
    metrics.follow(["foo", "bar"], [])
    for number in range(2000):
        service = rng.choice(["foo", "bar", "gone", ""])
        begun = float(number)
        first = begun + rng.choice([*SECONDS, rng.random(), 700.0])
        one = Request(
            service,
            rng.choice([200, 404, 499, 503]),
            broken=rng.random() < 0.1,
            first_byte=rng.choice([first, None]),
            tokens=rng.choice([None, Counted(rng.randrange(100), rng.randrange(100))]),
        )
        label = service if service in {"foo", "bar"} else "-"
        metrics.figures.ended(one, begun, first + 0.5)
        if one.tokens:
            metrics.used(service, one.tokens)
        reference.request(one, begun, first + 0.5, label)
    ours, theirs = series(metrics.text()), series(generate_latest(reference.registry))
    assert {key: ours.get(key) for key in theirs} == pytest.approx(theirs)
    mine = ("_requests_total", "request_seconds", "ttft", "broken", "tokens_total")
    extra = [key for key in ours if key[0].endswith(mine) and key not in theirs]
    assert extra == []


def test_the_library_is_told_the_same() -> None:
    """Law: the text is what the library would make of the same figures."""
    metrics = Metrics(lambda: {"r0": 1}, lambda: {"r1": "silent"}, queued=lambda: {"foo": 2})
    odd = 'a"b\\c\nd'
    metrics.follow(["foo", odd], [])
    for service in ("foo", odd, ""):
        one = Request(service, 500, first_byte=0.1, last_byte=0.4, chunks=9, held=0.5, queued=0.7)
        one.broken, one.tokens = True, Counted(3, 8)
        metrics.figures.ended(one, 0.0, 0.5)
        metrics.used(service, Counted(3, 8))
        metrics.refused(service, odd)
        metrics.ejection(service, "r1", "silent")
        metrics.woken(service)
    theirs = generate_latest(metrics._registry)
    assert series(metrics.text()) == series(theirs)
    assert kinds(metrics.text()) == kinds(theirs)
    assert kinds(metrics.text(names=False)) == kinds(theirs)


def kinds(text: bytes) -> set[str]:
    return {line for line in text.decode().splitlines() if line.startswith("# ")}


def test_figures_of_streams_are_of_what_came_after_the_first_piece() -> None:
    metrics = Metrics(lambda: {}, lambda: {})
    metrics.follow(["foo"], [])
    stream = Request(first_byte=1.0, last_byte=2.0, chunks=41, tokens=Counted(9, 41))
    metrics.figures.ended(stream, 0.0, 2.0)
    metrics.figures.ended(Request(first_byte=1.0, last_byte=1.0, tokens=Counted(9, 41)), 0.0, 1.0)
    guessed = Request(first_byte=1.0, last_byte=3.0, chunks=3, tokens=Counted(9, 3, guessed=True))
    metrics.figures.ended(guessed, 0.0, 3.0)
    found = series(metrics.text())
    name, label = "pierhead_gateway_", (("service", "foo"),)
    assert found[f"{name}inter_token_seconds_count", label] == 2
    assert found[f"{name}inter_token_seconds_sum", label] == pytest.approx(0.025 + 1.0)
    assert found[f"{name}tokens_per_second_count", label] == 1
    assert found[f"{name}tokens_per_second_sum", label] == pytest.approx(40.0)
    assert found[f"{name}inter_token_seconds_bucket", (("le", "0.025"), *label)] == 1


def test_what_is_told_besides() -> None:
    waiting = {"foo": 3, "bar": 0, "gone": 2}
    metrics = Metrics(
        lambda: {"r0": 2}, lambda: {"r1": "silent"}, queued=lambda: waiting, held=lambda: waiting
    )
    metrics.follow(["foo", "bar"], [])
    metrics.figures.ended(Request(held=2.0, queued=0.5, status=502), 0.0, 3.0)
    metrics.ejection("foo", "r1", "silent")
    metrics.refused("foo", "rpm")
    metrics.woken("foo")
    metrics.revision.set(5)
    metrics.hub.set(1)
    lines = metrics.text().decode().splitlines()
    for line in (
        'requests_total{code="502",service="foo"} 1.0',
        'inflight{replica="r0"} 2.0',
        'out_of_rotation{replica="r1",why="silent"} 1.0',
        'ejected_total{service="foo",why="silent"} 1.0',
        'refused_total{limit="rpm",service="foo"} 1.0',
        'wakes_total{service="foo"} 1.0',
        'queued{service="foo"} 3.0',
        'held{service="-"} 2.0',
        'held_seconds_bucket{le="2.5",service="foo"} 1.0',
        'queued_seconds_bucket{le="0.25",service="foo"} 0.0',
        "table_revision 5.0",
        "hub_reachable 1.0",
    ):
        assert f"pierhead_gateway_{line}" in lines
    assert not any('service="bar"' in line for line in lines)


def test_strangers_see_sums_without_a_name() -> None:
    metrics = Metrics(lambda: {"r0": 2, "r1": 3}, lambda: {})
    metrics.follow(["foo", "bar"], [])
    for service in ("foo", "bar"):
        metrics.figures.ended(Request(service, first_byte=0.3), 0.0, 1.0)
        metrics.used(service, Counted(4, 5))
    text = metrics.text(names=False).decode()
    assert "foo" not in text and "r0" not in text
    lines = text.splitlines()
    assert 'pierhead_gateway_requests_total{code="200"} 2.0' in lines
    assert 'pierhead_gateway_request_seconds_bucket{le="+Inf"} 2.0' in lines
    assert 'pierhead_gateway_ttft_seconds_bucket{le="0.25"} 0.0' in lines
    assert 'pierhead_gateway_tokens_total{kind="completion"} 10.0' in lines
    assert "pierhead_gateway_inflight 5.0" in lines


def test_series_of_services_that_are_gone_are_dropped() -> None:
    metrics = Metrics(lambda: {}, lambda: {})
    metrics.follow(["foo", "bar"], [])
    for service in ("foo", "bar", ""):
        metrics.figures.ended(Request(service), 0.0, 1.0)
    metrics.follow([], ["foo"])
    metrics.figures.ended(Request("foo"), 0.0, 1.0)  # it was let in before
    found = series(metrics.text())
    name = "pierhead_gateway_requests_total"
    counts = {dict(key[1])["service"]: value for key, value in found.items() if key[0] == name}
    assert counts == {"bar": 1.0, "-": 2.0}


def test_a_request_costs_next_to_nothing() -> None:
    """It is 0.8 us on a common machine; the library's counters take ten times the bound."""
    figures = Figures()
    figures.follow([f"s{number}" for number in range(1000)], [])
    one = Request("s5", first_byte=0.1, last_byte=0.9, chunks=65, tokens=Counted(9, 64))
    best = min(timeit.repeat(lambda: figures.ended(one, 0.0, 1.0), number=2000, repeat=20)) / 2000
    assert best < 8e-6


# ---- what the hub is told --------------------------------------------------------------------------


class World:
    """One gateway's counts, its table and its clock."""

    def __init__(self, services: int = 2) -> None:
        self.now, self.figures, self.live = 1000.0, Figures(), LiveTable()
        self.busy: dict[str, int] = {}
        self.queued: dict[str, int] = {}
        self.held: dict[str, int] = {}
        self.streaming: dict[str, int] = {}
        self.live.watchers.append(
            lambda _served, change: self.figures.follow(change.names_come, change.names_gone)
        )
        self.live.swap(self.table(1, *(f"s{number}" for number in range(services))))
        waiting = Waiting(lambda: self.queued, lambda: self.held, lambda: self.streaming)
        self.recent = Recent(self.figures, self.live, lambda: self.now, lambda: self.busy, waiting)

    def table(self, revision: int, *names: str) -> RouteTable:
        routes = [
            Route(f"id-{name}", name, targets=(Target(f"{name}-r", "127.0.0.1", 1),))
            for name in names
        ]
        return table(revision, routes)

    def end(self, count: int = 1, service: str = "s0", seconds: float = 0.09, **more: Any) -> None:
        for _ in range(count):
            one = Request(service, first_byte=self.now + seconds, **more)
            self.figures.ended(one, self.now, self.now + seconds)

    def pass_by(self, seconds: float) -> dict[str, ServiceFigures]:
        """So much later: what is told then."""
        self.now += seconds
        return self.recent()


def test_rates_are_of_the_last_seconds() -> None:
    world = World()
    assert world.recent() == {}
    for second in range(30):
        world.end(5)
        world.figures.used("s0", Counted(10, 20))
        told = world.pass_by(1.0)["id-s0"]
        assert told.requests == pytest.approx(5.0), second
        assert (told.prompt, told.tokens) == pytest.approx((10.0, 20.0))
        assert told.ttft == {step(0.09): 5 * min(second + 1, SPAN)}
    assert told.ttft_at(0.5) == pytest.approx(0.1, rel=0.2)
    for _ in range(int(SPAN) - 1):
        assert world.pass_by(1.0)["id-s0"].requests > 0
    assert world.pass_by(1.0) == {}, "idle ones are left out"
    world.pass_by(500)
    world.end(3)
    assert world.pass_by(1.0)["id-s0"].requests == pytest.approx(3.0), "and a break does not count"


def test_reports_that_come_close_together_make_no_crowd() -> None:
    world = World()
    world.pass_by(1.0)
    for _ in range(10):
        world.end()
        told = world.pass_by(0.02)["id-s0"]
        assert told.requests <= 10.0
    assert world.pass_by(0.8)["id-s0"].requests == pytest.approx(10.0)
    assert world.pass_by(4.0)["id-s0"].requests == pytest.approx(2.0)


def test_errors_are_of_replicas_and_of_us_not_of_clients() -> None:
    world = World()
    for status in (200, 404, 429, 450, 499, 500, 502, 503, 504):
        world.end(status=status)
    world.end(status=200, broken=True)
    assert world.pass_by(1.0)["id-s0"].errors == pytest.approx(5.0)


def test_who_waits_and_where_is_told_by_service() -> None:
    world = World(3)
    world.busy = {"s0-r": 4, "stranger": 7, "s2-r": 0}
    world.queued, world.held = {"s0": 2}, {"s1": 3, "gone": 1}
    assert world.pass_by(1.0) == {
        "id-s0": ServiceFigures(in_flight=4, queued=2),
        "id-s1": ServiceFigures(held=3),
    }


def test_a_replica_that_left_the_table_is_busy_still() -> None:
    world = World()
    world.busy = {"s0-r": 2}
    world.pass_by(1.0)
    leaving = Route("id-s0", "s0", targets=(Target("s0-new", "127.0.0.1", 2),))
    for revision in (2, 3):
        world.live.swap(table(revision, [leaving], frozenset({"s0-r"})))
        assert world.pass_by(1.0) == {"id-s0": ServiceFigures(in_flight=2)}
    world.busy = {}
    assert world.pass_by(1.0) == {}


def test_tokens_of_a_long_stream_count_while_they_are_written() -> None:
    world = World()
    for second in range(1, 21):
        world.streaming = {"s0": 50 * second}
        assert world.pass_by(1.0)["id-s0"].tokens == pytest.approx(50.0)
    world.streaming = {}
    world.figures.used("s0", Counted(7, 1000))
    world.end()
    assert world.pass_by(1.0)["id-s0"].tokens == pytest.approx(45.0), "not a second time at its end"


def test_a_service_that_comes_again_begins_anew() -> None:
    world = World()
    world.end(100)
    world.pass_by(1.0)
    world.live.swap(world.table(2, "s1"))
    assert world.pass_by(1.0) == {}
    world.live.swap(world.table(3, "s0", "s1"))
    world.end(2)
    assert world.pass_by(1.0)["id-s0"].requests == pytest.approx(2.0)


REPORT: TypeAdapter[GatewayReport] = TypeAdapter(GatewayReport)


def test_a_report_arrives_as_it_was_sent() -> None:
    told = ServiceFigures(1.5, 0.1, 20.0, 30.0, 4, 5, 6, {0: 1, len(STEPS): 2})
    report = GatewayReport("gw-1", 7, {"r0": 1}, services={"id-foo": told})
    assert REPORT.validate_json(json.dumps(asdict(report))) == report


def test_gateways_and_hubs_of_other_releases_understand_each_other() -> None:
    older = {"gateway": "gw-1", "revision": 7, "outstanding": {"r0": 1}}
    assert REPORT.validate_json(json.dumps(older)).services == {}
    newer = older | {"services": {"id-foo": {"requests": 2.0, "novelty": 1}}, "more": {"a": 1}}
    found = REPORT.validate_json(json.dumps(newer))
    assert found.services == {"id-foo": ServiceFigures(requests=2.0)}
