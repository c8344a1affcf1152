"""Reads the header of a GGUF file, which comes from somebody else: every length in it is doubted."""

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

ENTRIES = 4096
TEXT_BYTES = 64 * 1024


def gguf_header(file: Path) -> dict[str, Any]:
    """Key-values of a GGUF header with `GGUF.version`, arrays left out; empty when it is none.

    Reading stops at the first thing that is out of bounds: what was read until then is kept.
    """
    facts: dict[str, Any] = {}
    try:
        with file.open("rb") as stream:
            if stream.read(4) != b"GGUF":
                return {}
            reader = _Gguf(stream, file.stat().st_size)
            version, _tensors, entries = reader.numbers("<IQQ")
            if version not in {2, 3}:
                return {}
            facts["GGUF.version"] = version
            for _ in range(min(entries, ENTRIES)):
                key = reader.text()
                value = reader.value(*reader.numbers("<I"))
                if value is not None:
                    facts[key] = value
    except (OSError, ValueError, struct.error):
        return facts
    return facts


class _Gguf:
    """Reads the parts of a GGUF header; every length is checked against the file's size."""

    _FORMS: Mapping[int, str] = {
        0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?",
        10: "<Q", 11: "<q", 12: "<d",
    }  # fmt: skip
    _TEXT, _ARRAY = 8, 9

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream = stream
        self._size = size

    def numbers(self, form: str) -> tuple[Any, ...]:
        return struct.unpack(form, self._stream.read(struct.calcsize(form)))

    def text(self) -> str:
        (length,) = self.numbers("<Q")
        if length > TEXT_BYTES:
            self._skip(length)
            return ""
        return self._stream.read(length).decode("utf-8", "replace")

    def value(self, kind: int) -> Any:
        """A value; None for an array, which is passed over."""
        if kind in self._FORMS:
            return self.numbers(self._FORMS[kind])[0]
        if kind == self._TEXT:
            return self.text()
        if kind != self._ARRAY:
            raise ValueError(kind)
        element, count = self.numbers("<IQ")
        if count > self._size:
            raise ValueError(count)
        if element in self._FORMS:
            self._skip(count * struct.calcsize(self._FORMS[element]))
        elif element == self._TEXT:
            for _ in range(count):
                self._skip(*self.numbers("<Q"))
        else:
            raise ValueError(element)  # arrays of arrays: nobody writes them
        return None

    def _skip(self, count: int) -> None:
        if self._stream.tell() + count > self._size:
            raise ValueError(count)
        self._stream.seek(count, 1)
