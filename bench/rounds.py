"""Rounds that end in time, also on a machine that is busy with other things."""

import time
from collections.abc import Iterator

#: Fewer than these say nothing.
LEAST = 3


def rounds(count: int, seconds: float) -> Iterator[int]:
    """0, 1, ... up to `count` of them; fewer, but no less than LEAST, once `seconds` are over."""
    ends = time.monotonic() + seconds
    for number in range(count):
        if number >= LEAST and time.monotonic() > ends:
            return
        yield number
