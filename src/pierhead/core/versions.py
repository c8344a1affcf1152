"""Versions `x.y.z` as they stand in paths and in names of YAML services. Pure."""

import re

_TRIPLE = r"v?(\d{1,9}\.\d{1,9}\.\d{1,9})"
_PATH = re.compile(rf"(?:^|[-_/:@]){_TRIPLE}/?$")
_ANYWHERE = re.compile(rf":{_TRIPLE}\b")
_TAG = re.compile(rf":{_TRIPLE}$")


def of_path(path: str) -> str | None:
    """`/models/dify_1.11.1` -> `1.11.1`; None when the path does not end so."""
    found = _PATH.search(path)
    return found[1] if found else None


def of_name(name: str) -> str | None:
    """`model:1.2.0` -> `1.2.0`; None when the name's tag is no version."""
    found = _TAG.search(name)
    return found[1] if found else None


def of_text(text: str) -> str | None:
    """The first thing in a text that may be a name's version: asked before the text is parsed."""
    found = _ANYWHERE.search(text)
    return found[1] if found else None


def newer(one: str | None, other: str | None) -> bool:
    """Is version `one` newer than `other`? Never when one of them is not known."""
    return one is not None and other is not None and _numbers(one) > _numbers(other)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
