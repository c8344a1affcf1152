"""Kubernetes' texts for amounts and moments, as numbers. Pure."""

import re
from collections.abc import Mapping
from datetime import datetime

_UNITS: Mapping[str, float] = {
    "": 1.0,
    "n": 1e-9,
    "u": 1e-6,
    "m": 1e-3,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
    "P": 1e15,
    "E": 1e18,
    "Ki": 2.0**10,
    "Mi": 2.0**20,
    "Gi": 2.0**30,
    "Ti": 2.0**40,
    "Pi": 2.0**50,
    "Ei": 2.0**60,
}
_QUANTITY = re.compile(r"([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)([A-Za-z]{0,2})")
_SPAN = re.compile(r"(?:(\d+)h)?(?:(\d+)m(?!s))?(?:([\d.]+)s)?")
_FRACTION = re.compile(r"\.\d+")


def quantity(text: object) -> float:
    """`1500m` -> 1.5, `2Gi` -> 2147483648; 0 for what is no quantity."""
    found = _QUANTITY.fullmatch(str(text))
    if found is None or found[2] not in _UNITS:
        return 0.0
    try:
        return float(found[1]) * _UNITS[found[2]]
    except ValueError:
        return 0.0


def moment(text: object) -> float | None:
    """An RFC 3339 time in epoch seconds; None for what is none."""
    if not isinstance(text, str) or not text:
        return None
    # A log's lines have nine digits after the point, of which six can be read.
    plain = _FRACTION.sub(lambda found: found[0][:7].ljust(7, "0"), text, count=1)
    try:
        found = datetime.fromisoformat(plain.replace("Z", "+00:00"))
    except ValueError:
        return None
    return None if found.tzinfo is None else found.timestamp()


def span(text: str) -> float | None:
    """`1m20s` -> 80; None for what is no such span."""
    found = _SPAN.fullmatch(text)
    if found is None or not text:
        return None
    hours, minutes, seconds = found.groups(default="0")
    return int(hours) * 3600.0 + int(minutes) * 60.0 + float(seconds)
