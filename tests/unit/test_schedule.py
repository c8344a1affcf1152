"""Cron expressions against a reference that looks at every second, over changes of the clock too."""

from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pierhead.core import schedule
from pierhead.core.errors import Invalid

BERLIN = ZoneInfo("Europe/Berlin")
#: Their clocks change at different hours, by different amounts, in both hemispheres; or never.
ZONES = [
    BERLIN,
    ZoneInfo("America/New_York"),
    ZoneInfo("Australia/Lord_Howe"),
    ZoneInfo("Pacific/Chatham"),
    ZoneInfo("America/Santiago"),
    ZoneInfo("Asia/Kolkata"),
    ZoneInfo("Asia/Shanghai"),
]


def epoch(text: str, zone: ZoneInfo = BERLIN, fold: int = 0) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).timestamp())


@cache
def shifts(zone: ZoneInfo) -> list[int]:
    """Moments in 2026 at which the zone's clocks change."""
    hours = range(epoch("2026-01-01", zone), epoch("2027-01-01", zone), 1800)
    offsets = [(at, datetime.fromtimestamp(at, zone).utcoffset()) for at in hours]
    return [at for (_, a), (at, b) in pairwise(offsets) if a != b]


def naive(cron: schedule.Schedule, zone: ZoneInfo, after: int, until: int) -> list[int]:
    """Every second by itself; what a jump leaves out comes with it."""
    found: list[int] = []
    for at in range(after + 1, until + 1):
        now, before = (datetime.fromtimestamp(one, zone) for one in (at, at - 1))
        hit = cron.matches(now)
        gap = now.replace(tzinfo=None) - before.replace(tzinfo=None)
        for lost in range(1, int(gap.total_seconds())):
            hit = hit or cron.matches(before.replace(tzinfo=None) + timedelta(seconds=lost))
        if hit:
            found.append(at)
    return found


def field(low: int, high: int) -> st.SearchStrategy[str]:
    numbers = st.integers(low, high)
    one = numbers.map(str)
    pair = st.tuples(numbers, numbers).map(lambda two: f"{min(two)}-{max(two)}")
    steps = st.tuples(st.sampled_from(["*", str(low)]), st.integers(1, 20)).map(
        lambda two: f"{two[0]}/{two[1]}"
    )
    part = st.one_of(one, pair, steps)
    return st.one_of(st.just("*"), st.lists(part, min_size=1, max_size=3).map(",".join))


crons = st.tuples(
    st.one_of(st.just("0"), field(0, 59)),
    field(0, 59),
    st.one_of(field(0, 23), st.sampled_from(["1", "2", "3", "1-3"])),
    st.one_of(st.just("*"), field(1, 28)),
    st.just("*"),
    st.one_of(st.just("*"), field(0, 6)),
).map(" ".join)


@given(
    crons,
    st.sampled_from(ZONES),
    st.integers(0, 1),
    st.integers(-5400, 5400),
    st.sampled_from(["change", "plain"]),
)
@example("0 30 2 * * *", BERLIN, 0, -600, "change")
@example("0 30 2 * * *", BERLIN, 1, -4000, "change")
@example("0 15 2 * * *", ZONES[2], 1, -1000, "change")
@settings(max_examples=40, deadline=None)
def test_as_if_one_looked_every_second(
    text: str, zone: ZoneInfo, which: int, away: int, near: str
) -> None:
    changes = shifts(zone) if near == "change" else []
    middle = changes[which % len(changes)] if changes else epoch("2026-05-31T00:00", zone)
    after, until = middle + away - 2700, middle + away + 2700
    cron = schedule.read(text)
    expected = naive(cron, zone, after, until)
    assert schedule.latest(cron, zone, after, until) == (expected[-1] if expected else None)
    assert schedule.first(cron, zone, after, until) == (expected[0] if expected else None)
    walked: list[int] = []
    while (found := schedule.first(cron, zone, walked[-1] if walked else after, until)) is not None:
        walked.append(found)
    assert walked == expected


def test_a_moment_that_the_jump_leaves_out_comes_with_it() -> None:
    cron = schedule.read("0 30 2 * * *")
    jump = epoch("2026-03-29T03:00")
    assert schedule.first(cron, BERLIN, jump - 3600, jump + 80000) == jump
    assert schedule.first(cron, BERLIN, jump, jump + 90000) == epoch("2026-03-30T02:30")


def test_a_moment_that_is_had_twice_comes_twice() -> None:
    cron = schedule.read("0 30 2 * * *")
    early, late = (epoch("2026-10-25T02:30", fold=fold) for fold in (0, 1))
    assert late - early == 3600
    assert schedule.first(cron, BERLIN, early - 10, late + 10) == early
    assert schedule.latest(cron, BERLIN, early - 10, late + 10) == late


def test_days_of_month_and_of_week_together_mean_either() -> None:
    cron = schedule.read("0 0 0 13 * FRI")
    start = epoch("2026-06-01", ZONES[-1])
    found = [schedule.first(cron, ZONES[-1], start, start + 40 * 86400)]
    for _ in range(2):
        found.append(schedule.first(cron, ZONES[-1], found[-1] or 0, start + 40 * 86400))
    dates = [datetime.fromtimestamp(at or 0, ZONES[-1]).strftime("%d %a") for at in found]
    assert dates == ["05 Fri", "12 Fri", "13 Sat"]


def test_a_leap_day_is_found_from_afar() -> None:
    cron = schedule.read("0 0 12 29 FEB ?")
    assert schedule.first(cron, UTC, epoch("2026-03-01"), epoch("2029-01-01")) == epoch(
        "2028-02-29T12:00", ZoneInfo("UTC")
    )
    assert schedule.latest(cron, UTC, epoch("2023-01-01"), epoch("2026-03-01")) == epoch(
        "2024-02-29T12:00", ZoneInfo("UTC")
    )


def test_dates_that_are_left_out() -> None:
    cron, weekend = schedule.read("0 0 9 * * *"), schedule.read("* * * * * 0,6")
    friday = epoch("2026-06-05T09:00")
    assert schedule.first(cron, BERLIN, friday, friday + 5 * 86400, (weekend,)) == epoch(
        "2026-06-08T09:00"
    )
    assert (
        schedule.latest(cron, BERLIN, friday - 1, epoch("2026-06-07T20:00"), (weekend,)) == friday
    )
    always = schedule.read("* * * * * *")
    assert schedule.latest(cron, BERLIN, friday - 1, friday + 86400, (always,)) is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "0 fields"),
        ("* * * * *", "5 fields"),
        ("* * * * * * *", "7 fields"),
        ("60 * * * * *", r"\[60\] is no second"),
        ("* 61 * * * *", r"\[61\] is no minute"),
        ("* * 24 * * *", r"\[24\] is no hour"),
        ("* * * 0 * *", r"\[0\] is no day-of-month"),
        ("* * * 32 * *", r"\[32\] is no day-of-month"),
        ("* * * * 13 *", r"\[13\] is no month"),
        ("* * * * MON *", r"\[MON\] is no month"),
        ("* * * * * 7", r"\[7\] is no day-of-week"),
        ("* * * * * JAN", r"\[JAN\] is no day-of-week"),
        ("*/0 * * * * *", r"\[\*/0\] is no second"),
        ("5-1 * * * * *", r"\[5-1\] is no second"),
        ("*-3 * * * * *", "is no second"),
        ("1, * * * * *", r"\[\] is no second"),
        ("-1 * * * * *", "is no second"),
        ("٣ * * * * *", "is no second"),
        ("@daily", "1 fields"),
        ("0 0 0 30 2 *", "no month of it has"),
        ("0 0 0 31 4,6 *", "no month of it has"),
        ("0 " * 6 + "x" * 300, "fields"),
    ],
)
def test_what_is_no_schedule(text: str, problem: str) -> None:
    with pytest.raises(Invalid, match=problem) as caught:
        schedule.read(text, "ScaleJobs[0].Schedule")
    assert caught.value.field == "ScaleJobs[0].Schedule"


def test_words_and_steps() -> None:
    cron = schedule.read("0  0 8-18/5 ? JAN-mar,Dec SUN,tue-THU")
    assert cron.text == "0 0 8-18/5 ? JAN-mar,Dec SUN,tue-THU"
    assert cron.hours == {8, 13, 18}
    assert cron.months == {1, 2, 3, 12}
    assert cron.weekdays == {0, 2, 3, 4}
    assert not cron.either
    assert schedule.read("50/5 * * * * *").seconds == {50, 55}
