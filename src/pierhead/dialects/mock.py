"""Calls that are only tried out: judged as real ones are, answered with the documented example.

Whoever sends `X-Pierhead-Mock: true` (or `1`) is authenticated and authorized, and the values are
checked. Nothing is written to the database then: no object, no nonce, no use of a key, no line in the
audit trail unless it is refused. The header is no part of what is signed, so a nonce that was used this
way is refused afterwards like any other, by the next hub as well, and a signed call without a nonce
cannot be tried out: what was overheard cannot be sent again as a real one.
"""

from collections.abc import Iterable

from pierhead.core.errors import Invalid

HEADER = "x-pierhead-mock"
#: What every answer to such a call carries.
TOLD = (HEADER.encode(), b"true")
_YES = frozenset({"true", "1"})


def is_asked(headers: Iterable[tuple[str, str]]) -> bool:
    """Is the call only tried out? Headers by lower-case names.

    Raises:
        Invalid: the header says something else than yes; then it is not known what was meant.
    """
    given = [value.strip().lower() for name, value in headers if name == HEADER]
    if not given:
        return False
    odd = next((value for value in given if value not in _YES), None)
    if odd is not None:
        raise Invalid("X-Pierhead-Mock", f"[{odd[:40]}]", "true, 1; leave it out for a real call")
    return True
