"""Moments that repeat: six-field cron expressions in a time zone, and what falls into a stretch of time.

    second minute hour day-of-month month day-of-week      0 30 8 * * MON-FRI

Pure: a time zone comes in as a `tzinfo`. Where clocks are put forward, a moment of the hour that is left out
comes with the jump; where they are put back, a moment of the hour that is had twice comes twice.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from pierhead.core.errors import Invalid

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
#: Of each month in a leap year.
_LAST_DAY = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_LENGTH = 200
_HOUR = 60
LEGAL = (
    "six fields, second minute hour day-of-month month day-of-week, such as `0 30 8 * * MON-FRI`"
)


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    low: int
    high: int
    words: tuple[str, ...] = ()


_FIELDS = (
    _Field("second", 0, 59),
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day-of-month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day-of-week", 0, 6, _DAYS),
)
_PART = re.compile(
    r"(\*|\?|[0-9]{1,2}|[A-Za-z]{3})(?:-([0-9]{1,2}|[A-Za-z]{3}))?(?:/([0-9]{1,2}))?"
)


@dataclass(frozen=True, slots=True)
class Schedule:
    """A cron expression that was read; `text` is how it was written."""

    text: str
    seconds: frozenset[int]
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]  #: 0 = Sunday
    either: bool  #: both kinds of day are limited: one of them is enough

    def matches(self, local: datetime) -> bool:
        """Is this wall-clock time one of its moments, to the second?"""
        return local.second in self.seconds and self.in_minute(local)

    def in_minute(self, local: datetime) -> bool:
        """Is the minute of this wall-clock time one of its minutes?"""
        return local.minute in self.minutes and self.in_hour(local)

    def in_hour(self, local: datetime) -> bool:
        """Is the hour of this wall-clock time one of its hours, on one of its days?"""
        if local.hour not in self.hours or local.month not in self.months:
            return False
        day, weekday = local.day in self.days, local.isoweekday() % 7 in self.weekdays
        return day or weekday if self.either else day and weekday


def read(text: str, field: str = "Schedule") -> Schedule:
    """The schedule that a cron expression means.

    Raises:
        Invalid: it is none, or no day will ever be one of its days; the message names `field`.
    """
    parts = text.split()
    if len(text) > _LENGTH or len(parts) != len(_FIELDS):
        raise Invalid(field, f"[{text[:_LENGTH]}] has {len(parts)} fields", LEGAL)
    sets = [_values(part, one, field) for part, one in zip(parts, _FIELDS, strict=True)]
    seconds, minutes, hours, days, months, weekdays = sets
    limited = len(days) < 31, len(weekdays) < 7
    if not limited[1] and not any(min(days) <= _LAST_DAY[month - 1] for month in months):
        raise Invalid(field, f"[{text}] names a day that no month of it has", LEGAL)
    return Schedule(" ".join(parts), seconds, minutes, hours, days, months, weekdays, all(limited))


def _values(text: str, of: _Field, field: str) -> frozenset[int]:
    return frozenset(n for part in text.split(",") for n in _range(part, of, field))


def _range(part: str, of: _Field, field: str) -> range:
    """`*`, `?`, `3`, `3-9`, each with `/step`; `3/5` goes on to the end, as `*/5` does."""
    problem = Invalid(field, f"[{part[:40]}] is no {of.name}", LEGAL)
    matched = _PART.fullmatch(part)
    if matched is None:
        raise problem
    first, last, step = matched.groups()
    low, high = of.low, of.high
    if first not in {"*", "?"}:
        low = _number(first, of, problem)
        high = _number(last, of, problem) if last else (high if step else low)
    elif last:
        raise problem
    if low > high or (step is not None and int(step) < 1):
        raise problem
    return range(low, high + 1, int(step or 1))


def _number(text: str, of: _Field, problem: Invalid) -> int:
    if text.isdigit():
        number = int(text)
    elif text.upper() in of.words:
        number = of.words.index(text.upper()) + of.low
    else:
        raise problem
    if not of.low <= number <= of.high:
        raise problem
    return number


def latest(
    schedule: Schedule, zone: tzinfo, after: float, until: float, but: tuple[Schedule, ...] = ()
) -> int | None:
    """The newest of its moments, in epoch seconds, after `after` and not after `until`.

    `but`: moments that one of these matches, too, do not count.
    """
    for minute in _minutes(schedule, zone, int(until // 60), int(after // 60)):
        for at in reversed(_in_minute(schedule, zone, minute)):
            if after < at <= until and not _left_out(at, zone, but):
                return at
    return None


def first(
    schedule: Schedule, zone: tzinfo, after: float, until: float, but: tuple[Schedule, ...] = ()
) -> int | None:
    """The first of its moments, in epoch seconds, after `after` and not after `until`; see `latest`."""
    for minute in _minutes(schedule, zone, int(after // 60), int(until // 60)):
        for at in _in_minute(schedule, zone, minute):
            if after < at <= until and not _left_out(at, zone, but):
                return at
    return None


def _left_out(at: int, zone: tzinfo, but: tuple[Schedule, ...]) -> bool:
    local = datetime.fromtimestamp(at, zone)
    return any(one.matches(local) for one in but)


def _in_minute(schedule: Schedule, zone: tzinfo, minute: int) -> list[int]:
    """Its moments within one minute, counted from the epoch, in their order."""
    local = _local(minute, zone)
    within = schedule.seconds if schedule.in_minute(local) else frozenset[int]()
    if _jumped(schedule, minute, local, zone):
        within |= {0}
    return [minute * 60 + second for second in sorted(within)]


def _minutes(schedule: Schedule, zone: tzinfo, start: int, end: int) -> Iterator[int]:
    """The minutes from `start` to `end`, in either direction, that hold one of its moments."""
    step = 1 if end >= start else -1
    at = start
    while (end - at) * step >= 0:
        local = _local(at, zone)
        if schedule.in_minute(local) or _jumped(schedule, at, local, zone):
            yield at
            at += step
        elif schedule.in_hour(local):
            at += step
        else:
            at += _over_the_hour(at, local, zone, step)


def _over_the_hour(at: int, local: datetime, zone: tzinfo, step: int) -> int:
    """How far the next hour is, or one minute where the clock is changed on the way there."""
    away = _HOUR - local.minute if step > 0 else -(local.minute + 1)
    return away if _local(at + away, zone).utcoffset() == local.utcoffset() else step


def _jumped(schedule: Schedule, minute: int, local: datetime, zone: tzinfo) -> bool:
    """Was the clock put forward at this minute, over one of its moments?"""
    if local.minute % 15:  # clocks are changed at quarters of an hour only, and looking costs time
        return False
    before = _local(minute - 1, zone)
    left_out = _minutes_between(before, local)
    return any(schedule.in_minute(datetime.fromtimestamp(one * 60, UTC)) for one in left_out)


def _minutes_between(before: datetime, local: datetime) -> range:
    """Wall-clock minutes that nobody saw, as if they were UTC's."""
    seen, now = (int(each.replace(tzinfo=UTC).timestamp()) // 60 for each in (before, local))
    return range(seen + 1, now)


def _local(minute: int, zone: tzinfo) -> datetime:
    return datetime.fromtimestamp(minute * 60, zone)
