"""What tests of downloads share: a remote in memory that misbehaves, and OSS folders on the double."""

import hashlib
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

from oss_double import OssDouble
from pierhead.core.manifest import Entry, Manifest, safe
from pierhead.sources.addresses import Egress
from pierhead.sources.crc64 import crc64
from pierhead.sources.download import Options
from pierhead.sources.oss import Keys, OssFolder, address
from pierhead.sources.progress import Progress
from pierhead.sources.remote import Changed, Missing

KIB = 1024
LOCAL = Egress(private=True)


def options(**changes: Any) -> Options:
    """Small parts and no pauses."""
    usual: dict[str, Any] = {
        "part_bytes": 64 * KIB,
        "pause": 0.001,
        "headroom": 0,
        "connections": 4,
    }
    return Options(**{**usual, **changes})


def content(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def nobody(_: Progress) -> None:
    """Hears nothing."""


def never() -> bool:
    return False


@dataclass(slots=True)
class Memory:
    """A remote whose objects are bytes; `fault(entry, start, length)` may answer in the store's place."""

    objects: dict[str, bytes]
    fault: Callable[[Entry, int, int], Iterator[bytes] | None] = lambda *_: None
    sums: bool = True
    name: str = "memory://test/"
    identity: str = "memory test"
    asked: list[tuple[str, int, int]] = field(default_factory=list)
    listed: int = 0
    _turn: Lock = field(default_factory=Lock)

    def listing(self) -> Manifest:
        self.listed += 1
        return safe(Entry(key, len(raw), etag(raw)) for key, raw in self.objects.items())

    def read(self, entry: Entry, start: int, length: int) -> Iterator[bytes]:
        with self._turn:
            self.asked.append((entry.key, start, length))
        raw = self.objects.get(entry.key)
        if raw is None:
            raise Missing(self.name, "it is gone")
        if etag(raw) != entry.etag:
            raise Changed(self.name, "it changed")
        answer = self.fault(entry, start, length)
        if answer is not None:
            yield from answer
            return
        for at in range(start, start + length, 16 * KIB):
            yield raw[at : min(at + 16 * KIB, start + length)]

    def crc64(self, entry: Entry) -> int | None:
        return crc64(self.objects[entry.key]) if self.sums else None

    def check(self, entry: Entry) -> str:
        return ""

    def bytes_asked(self) -> int:
        return sum(length for _, _, length in self.asked)


def etag(raw: bytes) -> str:
    return hashlib.md5(raw).hexdigest().upper()


def oss(double: OssDouble, prefix: str = "m/", **keys: str) -> OssFolder:
    """A folder of the bucket `weights` on the double."""
    given = Keys(**{"access_key_id": "AKTEST", "secret": "SKTEST", **keys})
    place = address("weights", prefix, double.url, "cn-shanghai")
    return OssFolder(place, lambda: given, LOCAL, time.time)


def same(folder: Path, objects: dict[str, bytes]) -> bool:
    """Are exactly these files below the folder?"""
    files = {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }
    return files == objects
