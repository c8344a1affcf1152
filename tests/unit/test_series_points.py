"""Figures over time: which points an answer has, and what several samples come to."""

from math import inf, nan

import pytest

from pierhead.core.errors import Invalid
from pierhead.core.series import METRICS, MOST, NAMES, STEP, UNKNOWN, Sample, chosen, points, window

HOUR, DAY = 3600, 86400


def sample(tick: int, **known: float) -> Sample:
    """A sample that knows only these figures."""
    return tick, tuple(known.get(name, nan) for name in NAMES)


@pytest.mark.parametrize(
    ("span", "step", "count"),
    [(HOUR, 10, 360), (2 * HOUR, 10, 720), (3 * HOUR, 20, 540), (DAY, 120, 720), (5, 10, 1)],
)
def test_an_answer_has_as_fine_points_as_it_may(span: int, step: int, count: int) -> None:
    found = window(0, span)
    assert (found.start, found.step, found.count) == (0, step, count)


@pytest.mark.parametrize("since", [0.0, 7.0, 1_790_000_003.5])
@pytest.mark.parametrize("span", [1, 59, 3600, 86399, 86400, 700_000])
def test_points_hold_the_whole_span_and_are_never_too_many(since: float, span: float) -> None:
    found = window(since, since + span)
    assert found.start + found.count * found.step >= since + span and found.count <= MOST
    assert found.start % found.step == 0
    missing = found.start - since  # where one has to go, it is the oldest
    assert missing <= (found.step if found.count == MOST else 0)


def test_a_step_may_be_longer_but_not_so_short_that_points_are_too_many() -> None:
    assert window(0, DAY, 600).step == 600
    assert window(0, HOUR, 15).step == 20  # whole samples
    with pytest.raises(Invalid, match="at least 120"):
        window(0, DAY, 60)
    with pytest.raises(Invalid, match="Until"):
        window(10, 10)


def test_rates_are_means_and_percentiles_the_worst() -> None:
    samples = [sample(0, Qps=1, P95=0.5, Ready=2), sample(1, Qps=4, P95=2.0, Ready=1)]
    found = points(samples, window(0, 40, 20), ("Qps", "P95", "Ready", "TtftP50"))
    assert found == {
        "Qps": [2.5, None],
        "P95": [2.0, None],
        "Ready": [1.0, None],
        "TtftP50": [None, None],
    }


def test_gaps_stay_gaps_and_strangers_are_left_out() -> None:
    samples = [sample(1, Qps=3), (2, UNKNOWN), sample(99, Qps=7), sample(-1, Qps=7)]
    samples.append(sample(3, Qps=inf))  # no number of JSON
    assert points(samples, window(0, 4 * STEP), ("Qps",))["Qps"] == [None, 3.0, None, None]


def test_figures_are_chosen_by_name() -> None:
    assert chosen("") == NAMES and len(METRICS) == len(NAMES)
    assert chosen(" P95, Qps,,Qps") == ("P95", "Qps")
    with pytest.raises(Invalid, match="TokensPerSecond"):
        chosen("Qps,qps")
