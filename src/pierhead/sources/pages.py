"""Reads a listing page by page to its last: one that is cut short would be weights that are missing."""

import time
from collections.abc import Callable

from pierhead.core.manifest import MOST_OBJECTS, Entry
from pierhead.sources.remote import Rejected

_EMPTY = 20  #: pages in a row that bring nothing; some stores give a few
_SECONDS = 300.0  #: for all pages together

#: `ask(token)` gives a page's objects, and what asks for the next one; "" = there is none.
Ask = Callable[[str], tuple[list[Entry], str]]


def all_pages(name: str, ask: Ask) -> list[Entry]:
    """The objects of all pages; it ends once there are too many, as `core.manifest.safe` tells then.

    Raises:
        Rejected: the listing does not end. And what `ask` raises.
    """
    found: list[Entry] = []
    token, empty, end = "", 0, time.monotonic() + _SECONDS
    while True:
        page, following = ask(token)
        found.extend(page)
        empty = 0 if page else empty + 1
        if not following or len(found) > MOST_OBJECTS:
            return found
        if following == token or empty > _EMPTY or time.monotonic() > end:
            raise Rejected(name, "its listing does not end")
        token = following
