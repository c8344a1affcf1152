"""What load asks for, and how the count follows: limits, windows, policies, tolerance, gaps, zero."""

from collections.abc import Callable
from dataclasses import replace
from math import ceil
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import T0
from pierhead.core import scaling_texts
from pierhead.core.autoscale import Load, Memory, Outcome, Why, decide
from pierhead.core.errors import Invalid
from pierhead.core.scalers import AutoScaler, Direction, Metric, Policy, Strategy, check

PERIOD = 5.0
CPU = Strategy(Metric.CPU, 50.0)
QPS = Strategy(Metric.QPS, 10.0)


def a_scaler(*strategies: Strategy, **fields: Any) -> AutoScaler:
    usual: dict[str, Any] = {"low": 1, "high": 10, "strategies": strategies or (QPS,)}
    return AutoScaler(**usual | fields)


def a_load(**fields: Any) -> Load:
    usual: dict[str, Any] = {"ready": 1, "requests": 0.0, "in_flight": 0.0}
    return Load(**usual | fields)


class Service:
    """A service whose replicas are there as soon as they are wanted."""

    def __init__(self, scaler: AutoScaler, replicas: int = 1) -> None:
        self.scaler, self.replicas = scaler, replicas
        self.memory: Memory = Memory()
        self.now = T0
        self.last: Outcome | None = None

    def look(self, load: Load, away: float = PERIOD) -> Outcome:
        """One decision, carried out, and `away` seconds later."""
        self.last = decide(self.scaler, self.replicas, {"": load}, self.memory, self.now)
        self.replicas, self.memory = self.last.replicas, self.last.memory
        self.now += away
        return self.last

    def run(self, load: Callable[[int], Load], seconds: float, every: float = PERIOD) -> list[int]:
        """Counts over a time in which the load follows the count."""
        counts: list[int] = []
        end = self.now + seconds
        while self.now < end:
            counts.append(self.look(load(self.replicas), every).replicas)
        return counts


def qps(total: float) -> Callable[[int], Load]:
    return lambda replicas: a_load(ready=replicas, requests=total, in_flight=total / 10)


# ---- by example -------------------------------------------------------------------------------


def test_more_replicas_come_at_once() -> None:
    its = Service(a_scaler())
    outcome = its.look(a_load(requests=47.3))
    assert (outcome.replicas, outcome.asked, outcome.why) == (5, 5, Why.LOAD)
    reason, sentence = scaling_texts.changed(its.scaler, 1, outcome)
    assert reason == "ScaledOut"
    assert sentence == (
        "Auto-scaler: from 1 to 5 replicas. requests per second: 47.3 in all, 47.3 per replica, "
        "threshold 10 per replica. The limits are 1 to 10."
    )


def test_fewer_come_after_their_window() -> None:
    its = Service(a_scaler(), replicas=6)
    counts = its.run(qps(12.0), 299)
    assert set(counts) == {6}
    assert its.last is not None
    assert its.last.why is Why.WINDOW
    its.run(qps(12.0), 10)
    assert its.replicas == 2


def test_the_highest_advice_of_the_window_holds() -> None:
    its = Service(a_scaler(), replicas=2)
    its.run(qps(60.0), 10)
    its.run(qps(12.0), 200)
    its.run(qps(35.0), 5)
    counts = its.run(qps(12.0), 290)
    assert (counts[0], counts[-1]) == (6, 4)
    its.run(qps(12.0), 20)
    assert its.replicas == 2


def test_a_window_for_more_replicas() -> None:
    its = Service(a_scaler(up=Direction(60.0)))
    assert set(its.run(qps(90.0), 30)) == {1}
    its.run(qps(30.0), 5)
    counts = its.run(qps(90.0), 55)
    assert max(counts) == 3
    its.run(qps(90.0), 10)
    assert its.replicas == 9


def test_what_is_within_the_tolerance_changes_nothing() -> None:
    its = Service(a_scaler(down=Direction(0.0)), replicas=4)
    assert its.look(a_load(ready=4, requests=43.9)).replicas == 4
    assert its.look(a_load(ready=4, requests=36.1)).replicas == 4
    assert its.look(a_load(ready=4, requests=44.1)).replicas == 5
    exact = Direction(0.0, tolerance=0.0)
    its = Service(a_scaler(up=exact, down=exact), replicas=4)
    assert its.look(a_load(ready=4, requests=40.1)).replicas == 5


def test_the_strategy_that_asks_for_most_wins() -> None:
    its = Service(a_scaler(QPS, CPU), replicas=2)
    assert its.look(a_load(ready=2, requests=25.0, cpu=120.0)).replicas == 5


def test_another_services_load_decides() -> None:
    front = Strategy(Metric.QPS, 10.0, "front")
    outcome = decide(
        a_scaler(front), 1, {"": a_load(), "front": a_load(requests=33.0)}, Memory(), T0
    )
    assert outcome.replicas == 4


@pytest.mark.parametrize(
    ("ready", "cpu", "count"),
    [
        (2, 150.0, 6),  # two of four work at 150 %: they ask for six
        (2, 80.0, 4),  # two of four: the other two will take their part
        (2, 5.0, 3),  # the two that are missing count as if they were at their threshold
        (4, 100.0, 8),
        (4, 5.0, 1),
    ],
)
def test_means_when_some_replicas_are_not_ready(ready: int, cpu: float, count: int) -> None:
    its = Service(a_scaler(CPU, down=Direction(0.0)), replicas=4)
    its.look(a_load(ready=4, cpu=50.0))
    assert its.look(a_load(ready=ready, cpu=cpu)).replicas == count


def test_policies_bound_each_step() -> None:
    slow = Direction(0.0, (Policy("Pods", 2, 60.0),))
    its = Service(a_scaler(up=slow))
    counts = its.run(qps(100.0), 130)
    assert counts[0] == 3
    assert counts[11] == 3
    assert counts[12] == 5
    assert its.replicas == 7
    assert its.last is not None
    assert its.last.why is Why.POLICY


def test_the_widest_policy_counts_unless_the_narrowest_is_asked_for() -> None:
    both = (Policy("Pods", 1, 60.0), Policy("Percent", 100, 60.0))
    assert Service(a_scaler(up=Direction(0.0, both)), 4).look(qps(99.0)(4)).replicas == 8
    least = Direction(0.0, both, "Min")
    assert Service(a_scaler(up=least), 4).look(qps(99.0)(4)).replicas == 5
    never = Direction(0.0, both, "Disabled")
    assert Service(a_scaler(up=never), 4).look(qps(99.0)(4)).replicas == 4


def test_half_of_them_may_go_each_minute() -> None:
    halves = Direction(0.0, (Policy("Percent", 50, 60.0),))
    its = Service(a_scaler(down=halves), replicas=10)
    its.look(qps(100.0)(10))
    counts = its.run(qps(1.0), 200)
    assert [counts[0], counts[13], counts[26]] == [5, 2, 1]


def test_a_count_that_somebody_set_is_where_windows_begin() -> None:
    its = Service(a_scaler(), replicas=2)
    its.run(qps(15.0), 600)
    its.replicas = 7
    assert set(its.run(qps(15.0), 299)) == {7}
    its.run(qps(15.0), 10)
    assert its.replicas == 2


def test_a_count_outside_the_limits_is_put_right() -> None:
    outcome = Service(a_scaler(), replicas=40).look(Load())
    assert (outcome.replicas, outcome.why) == (10, Why.BOUNDS)
    assert Service(a_scaler(low=3), replicas=1).look(Load()).replicas == 3
    assert Service(a_scaler(low=3), replicas=0).look(Load()).replicas == 3


def test_the_last_replica_goes_after_its_grace() -> None:
    its = Service(a_scaler(low=0, grace=120.0))
    assert set(its.run(qps(0.0), 120)) == {1}
    outcome = its.look(a_load())
    assert (outcome.replicas, outcome.why) == (0, Why.IDLE)
    reason, sentence = scaling_texts.changed(its.scaler, 1, outcome)
    assert (reason, "no request for 120 s" in sentence) == ("ScaledToZero", True)
    assert set(its.run(lambda _: a_load(ready=0), 600)) == {0}


def test_one_request_begins_the_grace_anew() -> None:
    its = Service(a_scaler(low=0, grace=120.0))
    its.run(qps(0.0), 100)
    its.look(a_load(in_flight=1.0))
    assert set(its.run(qps(0.0), 120)) == {1}
    its.run(qps(0.0), 10)
    assert its.replicas == 0


def test_who_has_no_replica_and_is_asked_for_gets_some() -> None:
    its = Service(a_scaler(low=0, activation=3), replicas=0)
    outcome = its.look(Load(queue=1.0))
    assert (outcome.replicas, outcome.why) == (3, Why.BUSY)
    assert scaling_texts.changed(its.scaler, 0, outcome)[0] == "ServiceWoken"


@pytest.mark.parametrize("missing", ["requests", "in_flight"])
def test_who_may_be_in_use_is_not_put_to_sleep(missing: str) -> None:
    its = Service(a_scaler(CPU, low=0, grace=10.0))
    load = replace(a_load(cpu=1.0), **{missing: None})
    assert set(its.run(lambda _: load, 600)) == {1}


def test_what_no_replica_answers_says_nothing() -> None:
    its = Service(a_scaler(down=Direction(0.0)), replicas=3)
    outcome = its.look(a_load(ready=0))
    assert (outcome.replicas, outcome.why) == (3, Why.UNKNOWN)


def test_what_is_missing_is_told() -> None:
    its = Service(a_scaler(QPS, CPU, Strategy(Metric.QUEUE, 2.0)), replicas=3)
    outcome = its.look(a_load(ready=3))
    assert scaling_texts.blind(outcome).startswith(
        "It is not known: CPU percent, waiting requests."
    )
    assert outcome.replicas == 3


def test_what_the_limits_cut_is_told() -> None:
    its = Service(a_scaler())
    outcome = its.look(a_load(requests=123.0))
    assert (outcome.replicas, outcome.asked) == (10, 13)
    assert "asks for 13 replicas" in scaling_texts.at_limit(its.scaler, outcome)


# ---- for all ----------------------------------------------------------------------------------

numbers = st.one_of(st.none(), st.floats(0, 1e6))
loads = st.builds(
    Load,
    ready=st.integers(0, 30),
    requests=numbers,
    in_flight=numbers,
    queue=numbers,
    tokens=numbers,
    cpu=numbers,
    gpu=numbers,
)
policies = st.lists(
    st.builds(
        Policy,
        st.sampled_from(["Pods", "Percent"]),
        st.integers(1, 200),
        st.floats(1, 300),
    ),
    max_size=3,
).map(tuple)
directions = st.builds(
    Direction,
    window=st.floats(0, 600),
    policies=policies,
    select=st.sampled_from(["Max", "Min", "Disabled"]),
    tolerance=st.floats(0, 0.5),
)
strategies = st.builds(Strategy, st.sampled_from(list(Metric)), st.floats(0.01, 1000))


@st.composite
def some_scalers(draw: st.DrawFn) -> AutoScaler:
    low = draw(st.integers(0, 10))
    some = tuple(draw(st.lists(strategies, min_size=1, max_size=3)))
    high = low + draw(st.integers(1, 20))
    up, down, grace = draw(directions), draw(directions), draw(st.floats(0, 900))
    return check(AutoScaler(low, high, some, up, down, grace))


scalers = some_scalers()
looks = st.lists(st.tuples(loads, st.floats(0, 400)), min_size=1, max_size=25)


@given(scalers, st.integers(0, 40), looks)
@settings(deadline=None)
def test_never_outside_its_limits(
    scaler: AutoScaler, replicas: int, seen: list[tuple[Load, float]]
) -> None:
    its = Service(scaler, replicas)
    for load, away in seen:
        assert scaler.low <= its.look(load, away).replicas <= scaler.high


@given(scalers, looks)
@settings(deadline=None)
def test_what_is_not_known_takes_nothing_away(
    scaler: AutoScaler, seen: list[tuple[Load, float]]
) -> None:
    its = Service(scaler, scaler.high)
    for load, away in seen:
        before = its.replicas
        outcome = its.look(load, away)
        if outcome.blind or load.ready == 0:
            assert outcome.replicas >= before


@given(scalers, looks)
@settings(deadline=None)
def test_an_empty_memory_takes_nothing_away_in_its_window(
    scaler: AutoScaler, seen: list[tuple[Load, float]]
) -> None:
    """A hub that was started anew has seen nothing: it has to look for as long as the window is."""
    its = Service(scaler, scaler.high)
    for load, away in seen:
        if its.now - T0 >= scaler.down.window:
            return
        busy = load if load.busy else replace(load, in_flight=1.0)
        assert its.look(busy, away).replicas == scaler.high


@given(scalers, st.floats(0, 500), st.integers(1, 30))
@settings(max_examples=100, deadline=None)
def test_a_constant_load_comes_to_rest(scaler: AutoScaler, total: float, replicas: int) -> None:
    """Sums do not depend on the count, means are shared out by it: in the end nothing moves."""

    def load(count: int) -> Load:
        share = total / max(1, count)
        return Load(count, total, total, total, total, share, share)

    scaler = replace(scaler, grace=1.0)
    its = Service(scaler, scaler.bounded(replicas))
    its.run(load, 12000 if scaler.up.policies or scaler.down.policies else 1300, every=40)
    resting = its.run(load, 700, every=40)
    assert len(set(resting)) == 1


@given(scalers, st.floats(0, 500), st.integers(1, 30))
@settings(max_examples=60, deadline=None)
def test_on_its_way_it_never_turns_back(scaler: AutoScaler, total: float, replicas: int) -> None:
    start = max(1, scaler.bounded(replicas))
    its = Service(scaler, start)

    def load(count: int) -> Load:
        return Load(count, total, total, total, total, total / max(1, count), total / max(1, count))

    counts = [start, *its.run(load, 1500, every=15)]
    assert counts in (sorted(counts), sorted(counts, reverse=True))


@given(st.floats(0, 1000), st.integers(1, 10))
@settings(deadline=None)
def test_alone_a_sum_asks_for_its_share(total: float, replicas: int) -> None:
    exact = Direction(0.0, tolerance=0.0)
    its = Service(a_scaler(high=1000, up=exact, down=exact), replicas)
    its.look(a_load(ready=replicas, requests=total))
    found = its.look(a_load(ready=its.replicas, requests=total)).replicas
    assert found == max(1, ceil(total / 10 - 1e-6))


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"low": -1}, "min"),
        ({"low": 3, "high": 3}, "max"),
        ({"high": 1001}, "max"),
        ({"strategies": ()}, "scaleStrategies"),
        ({"strategies": (Strategy(Metric.QPS, 0.0),)}, r"scaleStrategies[0].threshold"),
        ({"strategies": (Strategy(Metric.QPS, float("nan")),)}, r"scaleStrategies[0].threshold"),
        ({"grace": -1.0}, "behavior.onZero.scaleDownGracePeriodSeconds"),
        ({"activation": 11}, "behavior.onZero.scaleUpActivationReplicas"),
        ({"up": Direction(3601.0)}, "behavior.scaleUp.stabilizationWindowSeconds"),
        ({"down": Direction(0.0, tolerance=2.0)}, "behavior.scaleDown.tolerance"),
        (
            {"down": Direction(0.0, (Policy("Pods", 0, 60.0),))},
            "behavior.scaleDown.policies[0].value",
        ),
        (
            {"up": Direction(0.0, (Policy("Pods", 1, 0.0),))},
            "behavior.scaleUp.policies[0].periodSeconds",
        ),
    ],
)
def test_what_no_scaler_can_be(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(Invalid) as caught:
        check(a_scaler(**fields), "autoscaler.")
    assert caught.value.field == f"autoscaler.{named}"
