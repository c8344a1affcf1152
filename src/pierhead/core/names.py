"""What a service may be called."""

import re

from pierhead.core.errors import Invalid

_NAME = re.compile(r"[a-z0-9_]{3,63}")


def service_name(name: str, field: str = "ServiceName") -> str:
    """`name`, if it is legal: lower-case letters, digits, underscore, 3 to 63 characters.

    Raises:
        Invalid: it is not; the message names `field`.
    """
    if _NAME.fullmatch(name) is None:
        raise Invalid(field, f"[{name[:80]}]", "3 to 63 lower-case letters, digits and underscores")
    return name


def replica_name(service: str, tail: str) -> str:
    """The id of a new replica: readable, unique, safe as a folder name."""
    safe = re.sub(r"[^a-z0-9_-]", "-", service.lower())[:40]
    return f"{safe}-{tail}"
