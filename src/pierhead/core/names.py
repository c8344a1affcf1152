"""What a service may be called, and which names stand for one."""

import re
import unicodedata
from collections.abc import Callable, Iterator

from pierhead.core.errors import Conflict, Invalid

_NAME = re.compile(r"[a-z0-9_]{3,63}")
_LONGEST = 63
#: Digits of the uuid that a made-up name ends in: so many, and more while the name is taken.
_DIGITS, _MORE = 8, 4
#: No service name has a colon, so no name can pass for an id.
_BY_ID = "id:"
#: So many digits of an id are enough to mean one service.
ID_DIGITS = 18


def service_name(name: str, field: str = "ServiceName") -> str:
    """`name`, if it is legal: lower-case letters, digits, underscore, 3 to 63 characters.

    Raises:
        Invalid: it is not; the message names `field`.
    """
    if _NAME.fullmatch(name) is None:
        raise Invalid(field, f"[{name[:80]}]", "3 to 63 lower-case letters, digits and underscores")
    return name


def slug(name: str, uuid: str, taken: Callable[[str], bool]) -> str:
    """The service name of a deployment with the display name `name`: legal, and not taken.

    `chat` stays `chat`; `Chat-Model` becomes `chat_model_3a1db51b`, a second `chat` `chat_fb30c858`.

    Raises:
        Conflict: every name that can be made of the two is taken.
    """
    for candidate in _candidates(name, uuid):
        if not taken(candidate):
            return candidate
    raise Conflict("service", name[:80], "has no free service name left")


def _candidates(name: str, uuid: str) -> Iterator[str]:
    if _NAME.fullmatch(name) is not None:
        yield name
    stem = _stem(name)
    for digits in range(_DIGITS, len(uuid) + 1, _MORE):
        yield f"{stem[: _LONGEST - 1 - digits].rstrip('_')}_{uuid[:digits]}"


def _stem(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    stem = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")
    if not stem[:1].isalpha():
        stem = f"g_{stem}"
    return stem[: _LONGEST - 1 - _DIGITS].strip("_")


def by_id(digits: str) -> str:
    """How to name a service by its id, or by the first ID_DIGITS digits of it."""
    return f"{_BY_ID}{digits}"


def id_of(name: str) -> str | None:
    """The digits in a name made by `by_id`; None for any other name."""
    return name.removeprefix(_BY_ID) if name.startswith(_BY_ID) else None


def replica_name(service: str, tail: str) -> str:
    """The id of a new replica: readable, unique, safe as a folder name."""
    safe = re.sub(r"[^a-z0-9_-]", "-", service.lower())[:40]
    return f"{safe}-{tail}"
