"""Moments as clients write them in conditions. Pure but for the local time zone."""

import re
from datetime import UTC, datetime
from functools import lru_cache
from math import floor

_MILLISECONDS = re.compile(r"[+-]?[0-9]{1,18}")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WIRE_TIME = re.compile(
    r"([A-Za-z]{3}) ([0-9]{1,2}), ([0-9]{4}),? ([0-9]{1,2}):([0-9]{2}):([0-9]{2}) ([AaPp])[Mm]"
)


def utc(epoch: float) -> str:
    """`2026-11-22T10:31:02Z`, to the second."""
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@lru_cache(4096)  # the same few moments stand in many rows
def read_moment(text: str) -> int | None:
    """Whole epoch seconds of a time; None when it is none.

    `Nov 14, 2017 10:20:57 PM`, ISO 8601 or epoch milliseconds. Without a zone it is local time.
    """
    text = " ".join(text.split())
    if _MILLISECONDS.fullmatch(text):
        return int(text) // 1000
    wire = _WIRE_TIME.fullmatch(text)
    try:
        at = _wire_time(*wire.groups()) if wire else datetime.fromisoformat(text)
        return floor(at.timestamp())
    except (ValueError, OverflowError, OSError):
        return None


def _wire_time(*parts: str) -> datetime:
    month, day, year, hour, minute, second, half = parts
    if not 1 <= int(hour) <= 12:
        raise ValueError(hour)
    of_day = int(hour) % 12 + (12 if half in "Pp" else 0)
    number = _MONTHS.index(month.lower()) + 1
    return datetime(int(year), number, int(day), of_day, int(minute), int(second)).astimezone()
