"""What a remote folder holds: its objects with their sizes and versions, and whether they may be stored here.

A snapshot on disk is named by its manifest's digest: other content is another snapshot.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from pierhead.core.errors import Invalid
from pierhead.core.events import Notice

MOST_OBJECTS = 10_000
_MOST_BYTES = 1 << 50  #: of one object; no store holds larger ones
_KEY_BYTES = 1023  #: what OSS and S3 allow
_NAME_BYTES = 255  #: what file systems allow
_PICKLED = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """One object."""

    key: str  #: its path below the remote folder, with `/`
    size: int  #: bytes
    etag: str = ""  #: the store's mark of this version, without quotes
    crc64: int | None = None  #: CRC-64/XZ of the content, where the listing tells it
    check: str = ""  #: `sha256:HEX` or `git:HEX` of the content, where the listing tells it


@dataclass(frozen=True, slots=True, init=False)
class Manifest:
    """All objects of a remote folder, by key."""

    entries: tuple[Entry, ...]

    def __init__(self, entries: Iterable[Entry]) -> None:
        object.__setattr__(self, "entries", tuple(sorted(entries, key=lambda entry: entry.key)))

    @property
    def bytes(self) -> int:
        """Size of all objects together."""
        return sum(entry.size for entry in self.entries)

    @property
    def digest(self) -> str:
        """sha256 of the canonical JSON, 64 hex digits."""
        text = json.dumps(self.rows(), ensure_ascii=True, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def rows(self) -> list[dict[str, Any]]:
        """JSON of the entries."""
        return [
            {"key": entry.key, "size": entry.size, "etag": entry.etag, "crc64": entry.crc64}
            # Left out where there is none, so that other manifests keep their digests.
            | ({"check": entry.check} if entry.check else {})
            for entry in self.entries
        ]

    @staticmethod
    def of(rows: Sequence[dict[str, Any]]) -> "Manifest":
        """The manifest that `rows` was made of.

        Raises:
            KeyError, TypeError: a row is none.
        """
        return Manifest(
            Entry(row["key"], int(row["size"]), row["etag"], row["crc64"], row.get("check", ""))
            for row in rows
        )


def safe(entries: Iterable[Entry]) -> Manifest:
    """The manifest of what can be stored below a folder; empty markers of folders are left out.

    Raises:
        Invalid: a key leads elsewhere or is no path, two keys exclude each other, there are too
            many objects or none.
    """
    found = list(_checked(entries))
    if not found:
        raise Invalid("prefix", "there are no objects below it")
    manifest = Manifest(found)
    _apart(manifest)
    return manifest


def advice(manifest: Manifest) -> tuple[Notice, ...]:
    """What the owner of the objects should know."""
    names = [entry.key for entry in manifest.entries if entry.key.lower().endswith(_PICKLED)]
    if not names:
        return ()
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    text = (
        f"Files in pickle's format can run code when they are loaded: {shown}. "
        "Safetensors or GGUF files cannot."
    )
    return (Notice("PickledWeights", text),)


def _checked(entries: Iterable[Entry]) -> Iterator[Entry]:
    for count, entry in enumerate(entries):
        if count >= MOST_OBJECTS:
            raise Invalid("prefix", f"there are more than {MOST_OBJECTS} objects below it")
        if entry.size < 0:
            raise Invalid("key", f"{_shown(entry.key)} has a negative size")
        if entry.size > _MOST_BYTES:
            raise Invalid("key", f"{_shown(entry.key)} has an impossible size")
        if entry.key.endswith("/") and not entry.size:
            _refuse_unsafe(entry.key[:-1])
            continue
        if entry.key.endswith("/"):
            raise Invalid("key", f"{_shown(entry.key)} is named as a folder and has content")
        _refuse_unsafe(entry.key)
        yield entry


def _refuse_unsafe(key: str) -> None:
    problem = _problem(key)
    if problem:
        raise Invalid("key", f"{_shown(key)} {problem}")


def _problem(key: str) -> str:
    """Why an object of this name cannot be a file below a folder; "" when it can."""
    try:
        raw = key.encode()
    except UnicodeEncodeError:
        return "is no text"
    names = key.split("/")
    rules = (
        (not key, "is empty"),
        (key.startswith("/"), "is an absolute path"),
        ("\\" in key, "has a backslash in it"),
        (any(ord(sign) < 32 or 127 <= ord(sign) < 160 for sign in key), "has control characters"),
        (any(name in {".", ".."} for name in names), "leads out of its folder"),
        (not all(names), "has an empty name in it"),
        (len(raw) > _KEY_BYTES, f"is longer than {_KEY_BYTES} bytes"),
        (any(len(name.encode()) > _NAME_BYTES for name in names), "has too long a name in it"),
    )
    return next((problem for broken, problem in rules if broken), "")


def _apart(manifest: Manifest) -> None:
    """No key twice, and none that is a file for one object and a folder for another."""
    keys = [entry.key for entry in manifest.entries]
    twice = next((one for one, other in pairwise(keys) if one == other), None)
    if twice is not None:
        raise Invalid("key", f"{_shown(twice)} is listed twice")
    files = set(keys)
    for key in keys:
        names = key.split("/")
        above = ("/".join(names[:count]) for count in range(1, len(names)))
        both = next((path for path in above if path in files), None)
        if both is not None:
            raise Invalid("key", f"{_shown(both)} is a file and a folder at once")


def _shown(key: str) -> str:
    """As it may stand in a message: short, on one line."""
    return ascii(key if len(key) <= 80 else f"{key[:77]}...")
