"""Reads the header of a GGUF file, which comes from somebody else: every length in it is doubted."""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any

from pierhead.sources.header_window import (
    BadHeader,
    BudgetSpent,
    HeaderFile,
    Window,
    local_file,
)

ENTRIES = 4096
TENSORS = 100_000
TEXT_BYTES = 64 * 1024
_TEXTS = 16 * 1024 * 1024  #: bytes of all texts that are kept
_LISTED = 1024  #: longer lists of numbers are only counted
_ALL_LISTED = 64 * 1024  #: numbers in all lists that are kept
_DIMENSIONS = 4
_ALIGNMENT = 32

#: ggml's tensor types: number -> (name, numbers per block, bytes per block).
TYPES: Mapping[int, tuple[str, int, int]] = {
    0: ("F32", 1, 4), 1: ("F16", 1, 2), 2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20),
    6: ("Q5_0", 32, 22), 7: ("Q5_1", 32, 24), 8: ("Q8_0", 32, 34),
    10: ("Q2_K", 256, 84), 11: ("Q3_K", 256, 110), 12: ("Q4_K", 256, 144), 13: ("Q5_K", 256, 176),
    14: ("Q6_K", 256, 210), 15: ("Q8_K", 256, 292), 16: ("IQ2_XXS", 256, 66),
    17: ("IQ2_XS", 256, 74), 18: ("IQ3_XXS", 256, 98), 19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18), 21: ("IQ3_S", 256, 110), 22: ("IQ2_S", 256, 82),
    23: ("IQ4_XS", 256, 136), 24: ("I8", 1, 1), 25: ("I16", 1, 2), 26: ("I32", 1, 4),
    27: ("I64", 1, 8), 28: ("F64", 1, 8), 29: ("IQ1_M", 256, 56), 30: ("BF16", 1, 2),
    34: ("TQ1_0", 256, 54), 35: ("TQ2_0", 256, 66), 39: ("MXFP4", 32, 17), 40: ("NVFP4", 64, 36),
    41: ("Q1_0", 128, 18),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor of a file."""

    name: str
    type: str  #: `F16`, `Q4_K`, ...
    numbers: int
    bytes: int
    offset: int  #: from the beginning of the file's tensors
    sizes: tuple[int, ...] = ()  #: the row's length first


@dataclass(slots=True)
class Gguf:
    """What was read of a header."""

    facts: dict[str, Any] = field(default_factory=dict[str, Any])  #: single values, `GGUF.version`
    lists: dict[str, tuple[int, ...]] = field(default_factory=dict[str, tuple[int, ...]])
    counts: dict[str, int] = field(default_factory=dict[str, int])  #: of all lists
    #: Key, begin and end of every entry in the file.
    entries: list[tuple[str, int, int]] = field(default_factory=list[tuple[str, int, int]])
    tensors: tuple[Tensor, ...] = ()
    begin: int = 0  #: where in the file the tensors begin
    alignment: int = _ALIGNMENT
    whole: bool = False  #: the list of tensors was reached


def gguf_header(file: Path) -> dict[str, Any]:
    """Key-values of a GGUF header with `GGUF.version`, arrays left out; empty when it is none.

    Reading stops at the first thing that is out of bounds: what was read until then is kept.
    """
    found = Gguf()
    try:
        _Reader(local_file(file), found).pairs()
    except (OSError, BadHeader, BudgetSpent):
        return found.facts
    return found.facts


def read_gguf(file: HeaderFile) -> Gguf:
    """The header with its tensors; of a file far away no more than its budget allows.

    Raises:
        BadHeader: it is none, or cannot be true.
        OSError, RemoteError: it cannot be read.
    """
    found = Gguf()
    reader = _Reader(file, found)
    try:
        count = reader.pairs()
        found.tensors = reader.tensors(count)
        found.whole = True
    except BudgetSpent:
        if "general.architecture" not in found.facts:
            raise BadHeader(f"{file.shown} does not say early on what model it is.") from None
    return found


def _instead(first: bytes) -> str:
    """What a file is that is no GGUF file, by its first bytes."""
    if first.startswith(b"version https://git-lfs"):
        return "is a pointer of Git LFS, not the file itself"
    if first.lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return "is a web page, no GGUF file"
    return "is no GGUF file"


class _Reader:
    """Reads the parts of a GGUF header, one after the other."""

    _FORMS: Mapping[int, str] = {
        0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?",
        10: "<Q", 11: "<q", 12: "<d",
    }  # fmt: skip
    _WHOLE = frozenset({0, 1, 2, 3, 4, 5, 10, 11})
    _TEXT, _ARRAY = 8, 9

    def __init__(self, file: HeaderFile, found: Gguf) -> None:
        self._window = Window(file)
        self._found = found
        self._texts, self._numbers = _TEXTS, _ALL_LISTED  # that may still be kept

    def pairs(self) -> int:
        """Read all key-values; gives the number of tensors that follow."""
        window = self._window
        if window.file.size == 0:
            raise BadHeader(f"{window.file.shown} is empty.")
        if window.file.size < 24:
            raise BadHeader(f"{window.file.shown} is no GGUF file.")
        first = window.take(4)
        if first != b"GGUF":
            raise BadHeader(f"{window.file.shown} {_instead(first + window.take(20))}.")
        version, tensors, entries = window.numbers("<IQQ")
        if version in {2 << 24, 3 << 24}:
            raise window.bad("was written in the other byte order")
        if version not in {2, 3}:
            raise window.bad(f"has the version {version}; 2 and 3 are known")
        if entries > ENTRIES or tensors > TENSORS:
            raise window.bad(f"names {entries} entries and {tensors} tensors")
        self._found.facts["GGUF.version"] = version
        for _ in range(entries):
            self._pair()
        return tensors

    def tensors(self, count: int) -> tuple[Tensor, ...]:
        """Read the list of tensors, and see that they lie in the file, side by side."""
        found = tuple(self._tensor() for _ in range(count))
        alignment = self._found.facts.get("general.alignment", _ALIGNMENT)
        if not isinstance(alignment, int) or not 1 <= alignment <= TEXT_BYTES:
            raise self._window.bad(f"aligns its tensors to {alignment!a}")
        begin = -(-self._window.at // alignment) * alignment
        room = self._window.file.size - begin
        placed = sorted(found, key=lambda tensor: tensor.offset)
        if placed and placed[-1].offset + placed[-1].bytes > room:
            last = placed[-1]
            raise self._window.bad(
                f"puts {last.bytes} bytes of {last.name[:80]!a} at {last.offset}, with room for {room}"
            )
        for one, other in pairwise(placed):
            if one.offset + one.bytes > other.offset:
                raise self._window.bad(f"puts {one.name[:80]!a} over {other.name[:80]!a}")
        self._found.begin, self._found.alignment = begin, alignment
        return found

    def _pair(self) -> None:
        begin = self._window.at
        key = self._text()
        (kind,) = self._window.numbers("<I")
        if kind == self._ARRAY:
            self._list(key)
        elif kind == self._TEXT:
            self._found.facts[key] = self._text()
        elif kind in self._FORMS:
            (self._found.facts[key],) = self._window.numbers(self._FORMS[kind])
        else:
            raise self._window.bad(f"has a value of the unknown kind {kind}")
        self._found.entries.append((key, begin, self._window.at))

    def _text(self) -> str:
        (length,) = self._window.numbers("<Q")
        if length > min(TEXT_BYTES, self._texts):
            self._window.skip(length)
            return ""
        self._texts -= length
        return self._window.take(length).decode("utf-8", "replace")

    def _list(self, key: str) -> None:
        element, count = self._window.numbers("<IQ")
        self._found.counts[key] = count
        if element == self._TEXT:
            self._worth_it()
            self._window.skip_strings(count)
        elif element not in self._FORMS:  # lists of lists: nobody writes them
            raise self._window.bad(f"has a list of the kind {element}")
        elif count <= min(_LISTED, self._numbers) and element in self._WHOLE:
            self._numbers -= count
            form = f"<{count}{self._FORMS[element][1]}"
            self._found.lists[key] = self._window.numbers(form)
        else:
            self._window.skip(count * struct.calcsize(self._FORMS[element]))

    def _worth_it(self) -> None:
        """Of a file far away the vocabulary, megabytes of it, is left unread once the shape is known."""
        known = f"{self._found.facts.get('general.architecture')}.block_count" in self._found.facts
        if known and self._window.file.far:
            raise BudgetSpent(self._window.file.name)

    def _tensor(self) -> Tensor:
        name = self._text()
        (dimensions,) = self._window.numbers("<I")
        if not 1 <= dimensions <= _DIMENSIONS:
            raise self._window.bad(f"gives {name[:80]!a} {dimensions} dimensions")
        sizes = self._window.numbers(f"<{dimensions}Q")
        kind, offset = self._window.numbers("<IQ")
        if kind not in TYPES:
            raise self._window.bad(f"has a tensor of the unknown type {kind}")
        label, block, size = TYPES[kind]
        numbers = prod(sizes)
        if sizes[0] % block:
            raise self._window.bad(f"cuts a row of {name[:80]!a} within a block")
        return Tensor(name, label, numbers, numbers // block * size, offset, sizes)


def tables(tensors: tuple[Tensor, ...]) -> Iterator[Tensor]:
    """Those that are only looked up in: the embedding, unless it is the output matrix as well."""
    if any(tensor.name == "output.weight" for tensor in tensors):
        yield from (tensor for tensor in tensors if tensor.name == "token_embd.weight")
