"""The figures of a service over the last hours, as they were written down."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from pierhead.core import series
from pierhead.core.errors import Invalid, Unavailable, Unsupported
from pierhead.core.moments import read_moment
from pierhead.core.principals import Principal
from pierhead.operations import services
from pierhead.operations.platform import Platform

_HOUR = 3600.0
#: What is asked for at most, in seconds: no clock is further ahead.
_LATEST = 4_000_000_000.0


@dataclass(frozen=True, slots=True)
class Asked:
    """Which figures, as texts: "" = what is usual."""

    since: str = ""  #: usual: an hour before the end
    until: str = ""  #: usual: now
    step: int = 0  #: seconds; 0 = as few as an answer allows
    metrics: str = ""  #: names with commas between them; usual: all


@dataclass(frozen=True, slots=True)
class Series:
    """Points at the same moments, of several figures."""

    start: int  #: epoch seconds
    step: int  #: seconds
    points: Mapping[str, list[float | None]]


async def of_service(platform: Platform, actor: Principal, name: str, asked: Asked) -> Series:
    """The figures of a service, newest last.

    Raises:
        NotFound: there is no such service.
        Forbidden: they are not for `actor`.
        Invalid: a moment, the step or a figure's name is not legal.
        Unsupported: no figures are kept here.
        Unavailable: the disk or the database does not answer.
    """
    service, _seen = await services.find(platform, name, actor)
    now = platform.clock()
    window, names = check(asked, now)
    files = platform.series
    if files is None:
        raise Unsupported("Series of figures", "the setting series.hours is 0, so none are kept")

    # A ring is read back from the end: from one in the future it would not reach what is known.
    end = min(window.end, int(now // series.STEP) + 1)

    def read() -> Mapping[str, list[float | None]]:
        return series.points(files.read(service.id, window.first, end), window, names)

    try:
        found = await asyncio.to_thread(read)
    except OSError as error:
        raise Unavailable("The figures", str(error)) from error
    return Series(window.start, window.step, found)


def check(asked: Asked, now: float) -> tuple[series.Window, tuple[str, ...]]:
    """Which points of which figures are asked for.

    Raises:
        Invalid: a moment, the step or a figure's name is not legal.
    """
    names = series.chosen(asked.metrics)
    until = _moment("Until", asked.until, now)
    since = _moment("Since", asked.since, until - _HOUR)
    return series.window(since, until, asked.step), names


def _moment(field: str, text: str, usual: float) -> float:
    if not text:
        return usual
    if text.isascii() and text.isdigit() and len(text) <= 10:
        return min(float(text), _LATEST)
    found = read_moment(text)
    if found is None or not 0 <= found <= _LATEST:
        raise Invalid(field, f"[{text[:40]}]", "2026-11-21T19:27:22Z, or seconds since 1970")
    return float(found)
