"""How long a crashed replica waits before it runs again: 1, 2, 4 ... 60 s, each +-20 %."""

import hashlib

CAP = 60.0
LONGEST = 1.2 * CAP  #: with its jitter
#: A run that was ready this long wipes the slate: the next crash counts as the first.
GOOD_SPELL = 10.0


def delay(failures: int, seed: str) -> float:
    """Seconds to wait after the `failures`-th crash in a row (>= 1).

    The jitter comes from `seed` (replica id + run), so a restarted hub computes the same instant.
    """
    base = min(2.0 ** min(max(failures, 1) - 1, 16), CAP)
    spread = hashlib.sha256(f"{seed}/{failures}".encode()).digest()[0] / 255  # 0..1
    return base * (0.8 + 0.4 * spread)


def failures_after(previous: int, ready_for: float) -> int:
    """Crashes in a row, given that the run that just ended had been ready for so many seconds."""
    return 1 if ready_for >= GOOD_SPELL else previous + 1
