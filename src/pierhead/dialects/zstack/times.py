"""Times as this wire writes them: `Nov 14, 2017 10:20:57 PM`, the server's local time, no zone."""

import time
from functools import lru_cache

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def time_text(epoch: float) -> str:
    """Epoch seconds as the wire's text; never a locale's words, so `strftime` is out."""
    return second_text(int(epoch))


@lru_cache(4096)  # a list shows the same times again and again
def second_text(epoch: int) -> str:
    """The same of a whole second."""
    at = time.localtime(epoch)
    half = "AM" if at.tm_hour < 12 else "PM"
    return (
        f"{_MONTHS[at.tm_mon - 1]} {at.tm_mday}, {at.tm_year} "
        f"{at.tm_hour % 12 or 12}:{at.tm_min:02}:{at.tm_sec:02} {half}"
    )
