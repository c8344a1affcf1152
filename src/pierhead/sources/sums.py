"""Sums of whole files, as stores and hubs tell them: computed while a file arrives, or by reading it.

Such a sum has to see all bytes in their order. Parts arrive out of order, so it follows them as far as
there is no gap; with what is left at the end, nothing of the file is read after it has come.
"""

import hashlib
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from typing import Protocol, cast

from pierhead.sources.crc64 import Data

_NVME = 0x1AD93D23594C93659  #: polynomial of CRC-64/NVME
_MASK = (1 << 64) - 1


class Sum(Protocol):
    """A digest under way."""

    def update(self, data: Data, /) -> None: ...
    def hexdigest(self) -> str: ...


class Crc:
    """A CRC of 64 bits that is used as other digests are."""

    def __init__(self, compute: Callable[[Data, int], int]) -> None:
        self._compute, self._sum = compute, 0

    def update(self, data: Data, /) -> None:
        self._sum = self._compute(data, self._sum)

    def hexdigest(self) -> str:
        return f"{self._sum:016x}"


def _sha256(_size: int) -> Sum:
    return hashlib.sha256()


def _md5(_size: int) -> Sum:
    """What S3 has: it finds accidents, and the store could lie about the content anyhow."""
    return hashlib.md5(usedforsecurity=False)


def _git(size: int) -> Sum:
    """As git names a file: no accident is missed, though a forger could make two of one sum."""
    return hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)


def _crc64nvme(_size: int) -> Sum:
    return Crc(_nvme())


@lru_cache(maxsize=1)
def _nvme() -> Callable[[Data, int], int]:
    made = import_module("crcmod.crcmod").mkCrcFun(_NVME, initCrc=0, rev=True, xorOut=_MASK)
    return cast("Callable[[Data, int], int]", made)


#: Kind of a check -> what it is made with, for a file of so many bytes.
_SUMS: dict[str, Callable[[int], Sum]] = {
    "sha256": _sha256,
    "md5": _md5,
    "git": _git,
    "crc64nvme": _crc64nvme,
}


def begun(kind: str, size: int) -> Sum:
    """A sum of this kind, for a file of `size` bytes: `sha256`, `md5`, `git` or `crc64nvme`.

    Raises:
        KeyError: there is no such kind.
    """
    return _SUMS[kind](size)
