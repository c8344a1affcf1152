"""Limits of what is registered, by the wire's names of the fields."""

import re
from collections.abc import Iterable

from pierhead.core.errors import Invalid
from pierhead.core.ids import registry_id
from pierhead.core.query import Query
from pierhead.core.registry import Extras
from pierhead.operations.platform import Platform

#: (wire name, text, most characters)
Row = tuple[str, str | None, int]

NAME = 255
DESCRIPTION = 2048
PATH = 2048
MIB = 1024 * 1024
LONG = 2**63 - 1
INTEGER = 2**31 - 1
#: Every row there is.
ALL = Query(limit=INTEGER)
_UUID = re.compile(r"[0-9a-f]{12}[1-5][0-9a-f]{3}[89ab][0-9a-f]{15}")


def uuid_for(platform: Platform, extras: Extras) -> str:
    """The uuid of a new object: the wanted one, else a fresh one.

    Raises:
        Invalid: the wanted one is no uuid.
    """
    if not extras.uuid:
        return registry_id(platform.entropy)
    if _UUID.fullmatch(extras.uuid) is None:
        raise Invalid("resourceUuid", f"[{extras.uuid[:80]}]", "a UUID of 32 lower-case hex digits")
    return extras.uuid


def name(text: str) -> None:
    """Refuse a name that is empty or too long.

    Raises:
        Invalid: it is.
    """
    if not text:
        raise Invalid("name", "it is empty", f"1 to {NAME} characters")
    texts([("name", text, NAME)])


def texts(rows: Iterable[Row]) -> None:
    """Refuse texts that are too long.

    Raises:
        Invalid: the first one that is, by its field.
    """
    for field, text, most in rows:
        if text is not None and len(text) > most:
            raise Invalid(field, f"{len(text)} characters", f"at most {most} characters")
        if text is not None and "\0" in text:
            raise Invalid(field, "it has a NUL character", "text without it")


def between(field: str, value: int | None, least: int, most: int) -> None:
    """Refuse a number outside its range; None is none.

    Raises:
        Invalid: it is.
    """
    if value is not None and not least <= value <= most:
        raise Invalid(field, str(value), f"a whole number from {least} to {most}")
