"""Where settings come from: the file, and what is said of names that it should not hold."""

import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pierhead.core.errors import Refused

#: Settings that are tables by nature.
_TABLES = frozenset(
    {
        "weights",
        "engines.choice",
        "kubernetes.engine_images",
        "kubernetes.fetch_variables",
        "kubernetes.gpu_labels",
        "kubernetes.gpu_resources",
        "kubernetes.node_labels",
    }
)


class BadSetting(Refused):
    """A setting is unknown or its value is not legal; the message says where it came from."""


def from_file(path: Path) -> Iterator[tuple[str, object, str]]:
    """(key, value, source) of each setting in a TOML file; none when there is no file.

    Raises:
        BadSetting: it cannot be read, or names the folder that it lies in.
    """
    if not path.is_file():
        return
    # Only a host that has such a file pays for the parser.
    import tomllib

    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as problem:
        raise BadSetting(f"{path} cannot be read: {problem}.") from problem
    if "data_dir" in document:
        raise BadSetting(
            f"{path}: data_dir cannot be set here, it says where this file lies; "
            "use --data-dir or PIERHEAD_DATA_DIR."
        )
    for key, value in _flat(document, ""):
        yield key, value, str(path)


def _flat(table: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, object]]:
    """Nested tables as dotted keys; settings that are tables by nature stay whole."""
    for name, value in table.items():
        key = prefix + name
        if isinstance(value, dict) and key not in _TABLES:
            yield from _flat(typing.cast("dict[str, Any]", value), key + ".")
        else:
            yield key, value


def nearest(key: str, known: Mapping[str, object]) -> str:
    """A hint at the name that was meant."""
    # Needed once in a life, when somebody mistyped a name.
    import difflib

    close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else "; `pierhead settings` lists all"
