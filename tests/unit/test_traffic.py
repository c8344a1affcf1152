"""The figures of the last seconds: how those of several gateways add up, and what can be read off them."""

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pierhead.core.traffic import STEPS, ServiceFigures, Traffic, quantile, step, together, traffic


def counted(times: list[float]) -> dict[int, int]:
    found: dict[int, int] = {}
    for each in times:
        found[step(each)] = found.get(step(each), 0) + 1
    return found


def test_a_time_that_is_a_bound_belongs_below_it() -> None:
    assert [STEPS[step(each)] for each in (0.0, 0.001, 0.005, 0.0051, 600.0)] == [
        0.001,
        0.001,
        0.005,
        0.006,
        600.0,
    ]
    assert step(600.1) == len(STEPS)
    assert list(STEPS) == sorted(set(STEPS))
    assert all(b / a < 1.34 for a, b in pairwise(STEPS))


@given(st.lists(st.floats(0.0005, 599), min_size=1, max_size=200), st.floats(0, 1))
def test_a_percentile_is_off_by_a_step_at_most(times: list[float], share: float) -> None:
    found = quantile(counted(times), share)
    assert found is not None
    rank = max(0, min(len(times) - 1, -(-share * len(times) // 1) - 1))
    true = sorted(times)[int(rank)]
    assert step(true) - 1 <= step(found) <= step(true), (found, true)


def test_nothing_has_no_percentile_and_too_long_is_the_last_bound() -> None:
    assert quantile({}, 0.5) is None
    assert quantile({3: 0}, 0.5) is None
    assert quantile({len(STEPS): 2}, 0.5) == STEPS[-1]


def test_several_gateways_are_as_one() -> None:
    """Law: percentiles of a sum are those of all requests, whichever gateway they went through."""
    rng = random.Random(7)
    times = [rng.expovariate(3) for _ in range(500)]
    parts = [times[0:20], times[20:100], times[100:]]
    told = [
        ServiceFigures(
            requests=len(part) / 10,
            errors=1.0,
            prompt=2.0,
            tokens=3.0,
            in_flight=number,
            queued=1,
            held=2,
            ttft=counted(part),
        )
        for number, part in enumerate(parts)
    ]
    whole = together(told)
    assert whole == ServiceFigures(50.0, 3.0, 6.0, 9.0, 3, 3, 6, counted(times))
    assert whole.ttft_at(0.95) == quantile(counted(times), 0.95)


def test_what_gateways_tell_is_summed_by_service_and_by_replica() -> None:
    one, two = ServiceFigures(requests=1.0, in_flight=1), ServiceFigures(requests=2.5)
    found = traffic(
        [({"a": one, "b": two}, {"a-1": 1}), ({"a": two}, {"a-1": 1, "c-1": 4}), ({}, {})]
    )
    assert found.gateways == 3
    assert found.of("a", ["a-1"]) == ServiceFigures(requests=3.5, in_flight=2)
    assert found.of("b") == two
    assert found.of("nobody").idle
    assert Traffic() == traffic([])


def test_a_gateway_of_an_older_release_still_tells_who_is_busy() -> None:
    found = traffic([({}, {"a-1": 2, "a-2": 3})])
    assert found.of("a", ["a-1", "a-2", "a-3"]) == ServiceFigures(in_flight=5)


@pytest.mark.parametrize("field", ["requests", "tokens", "in_flight", "queued", "held", "errors"])
def test_whoever_has_any_figure_is_not_idle(field: str) -> None:
    assert not ServiceFigures(**{field: 1}).idle
    assert not ServiceFigures(ttft={3: 1}).idle
    assert ServiceFigures(ttft={}).idle
