"""Reading parts of an object that may lack any of them. Pure."""

from collections.abc import Mapping
from typing import Any, cast

from pierhead.runtimes.kubernetes.api import Manifest


def at(found: Any, *path: str) -> Any:
    """The part at a path; None where there is none."""
    for name in path:
        if not isinstance(found, dict):
            return None
        found = cast("dict[str, Any]", found).get(name)
    return found


def text(found: Any, *path: str) -> str:
    """The text there; "" where there is none."""
    part = at(found, *path)
    return "" if part is None else str(part)


def number(found: Any, *path: str) -> int:
    """The whole number there; 0 where there is none."""
    part = at(found, *path)
    return part if isinstance(part, int) and not isinstance(part, bool) else 0


def mapping(found: Any, *path: str) -> Mapping[str, Any]:
    """The object there; empty where there is none."""
    part = at(found, *path)
    return cast("dict[str, Any]", part) if isinstance(part, dict) else {}


def many(found: Any, *path: str) -> list[Manifest]:
    """The objects in the list there; empty where there is none."""
    part = at(found, *path)
    if not isinstance(part, list):
        return []
    each = cast("list[Any]", part)
    return [cast("Manifest", one) for one in each if isinstance(one, dict)]
