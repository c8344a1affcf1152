"""Turns a GGUF model into its F16 or Q8_0 form: `python -m pierhead.sources.requantize q8_0 IN... OUT`.

A process of its own, because numpy and the tensors have no business in the hub's memory, and because
it can be nice to others. It tells on standard output how far it is (`BYTES of BYTES` now and then), at
the end the result's sha256, or in one line why there is none. Several INs are the parts of one model.
"""

import errno
import hashlib
import os
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, Any

import gguf
import numpy as np
from gguf import GGMLQuantizationType

from pierhead.sources.conversion_plan import NEVER, Kind, Piece, Plan, padded, plan
from pierhead.sources.gguf_header import TYPES
from pierhead.sources.header_window import BadHeader

_NOT_NOW = 1  #: exit code: the next time it may work
#: Numbers of a tensor at a time: what is made of them stays in a processor's cache, which takes 40 % off.
#: Every type's blocks go into it, so rows may be of any length.
_AT_ONCE = 1 << 18
_NICE = 10
_TOLD = 0.2  #: seconds between two words of the progress
_GEOMETRY = {label: (block, size) for label, block, size in TYPES.values()}
_KINDS: dict[str, Kind] = {"f16": "f16", "q8_0": "q8_0"}


class Refused(Exception):
    """It can never be done, for a reason that is one sentence."""


class _Written:
    """The result, as far as it is written."""

    def __init__(self, out: IO[bytes], total: int) -> None:
        self._out, self._total = out, total
        self._done, self._told = 0, 0.0
        self.sum = hashlib.sha256()

    def add(self, content: Any) -> None:
        self._out.write(content)
        self.sum.update(content)
        self._done += len(content)
        now = time.monotonic()
        if now - self._told >= _TOLD:
            self._told = now
            _say(f"{self._done} of {self._total}")


def requantize(kind: Kind, parts: list[Path], target: Path) -> str:
    """Write the model in `parts` to `target` with its matrices as `kind`; gives the result's sha256.

    Raises:
        BadHeader, Refused: it can never be done.
        OSError: a file cannot be read or written.
    """
    work = plan(kind, parts)
    _refuse_unknown(work)
    with ExitStack() as opened, target.open("wb") as out:
        files = [opened.enter_context(part.open("rb", buffering=0)) for part in work.parts]
        written = _Written(out, work.total)
        written.add(work.head)
        with np.errstate(all="ignore"):  # what overflows is found in the result
            for piece in work.pieces:
                _convert(piece, files[piece.part], written)
                written.add(bytes(padded(piece.bytes, work.alignment) - piece.bytes))
        out.flush()
        os.fsync(out.fileno())
    return written.sum.hexdigest()


def _refuse_unknown(work: Plan) -> None:
    """Better at once than after an hour."""
    for label in {piece.tensor.type for piece in work.pieces if piece.type != piece.tensor.type}:
        try:
            _numbers(bytes(_GEOMETRY[label][1]), label)
        except (KeyError, NotImplementedError):
            raise Refused(f"Tensors of the type {label} cannot be converted.") from None


def _convert(piece: Piece, file: IO[bytes], written: _Written) -> None:
    block, size = _GEOMETRY[piece.tensor.type]
    file.seek(piece.begin)
    for first in range(0, piece.tensor.numbers, _AT_ONCE):
        count = min(_AT_ONCE, piece.tensor.numbers - first)
        raw = _read(file, count // block * size)
        if piece.type != piece.tensor.type:
            raw = _packed(piece, _numbers(raw, piece.tensor.type))
        written.add(raw)


def _read(file: IO[bytes], count: int) -> bytes:
    found = bytearray()
    while len(found) < count:
        more = file.read(count - len(found))
        if not more:
            raise OSError(errno.EIO, "it became shorter while it was read", file.name)
        found += more
    return bytes(found)


def _numbers(raw: bytes, label: str) -> Any:
    """Float32, in one row."""
    data = np.frombuffer(raw, np.uint8).reshape(1, -1)
    return gguf.quants.dequantize(data, GGMLQuantizationType[label])


def _packed(piece: Piece, numbers: Any) -> bytes:
    if piece.type == "F16":
        found = scales = numbers.astype("<f2")
    else:
        found = gguf.quants.quantize(numbers, GGMLQuantizationType[piece.type])
        scales = found.reshape(-1, _GEOMETRY[piece.type][1])[:, :2].copy().view("<f2")
    if not np.isfinite(scales).all():
        raise Refused(
            f"The tensor {piece.tensor.name[:80]!r} holds numbers that are too large for {piece.type}, or none at all."
        )
    return found.tobytes()


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - this is how it is heard


def main(words: list[str]) -> int:
    """The process; gives its exit code."""
    os.nice(_NICE)
    kind = _KINDS.get(words[0]) if words else None
    if kind is None or len(words) < 3:
        _say(f"requantize {'|'.join(_KINDS)} IN... OUT")
        return _NOT_NOW
    try:
        _say(requantize(kind, [Path(word) for word in words[1:-1]], Path(words[-1])))
    except BrokenPipeError:  # nobody is there any more
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _NOT_NOW
    except (BadHeader, Refused) as problem:
        _say(str(problem))
        return NEVER
    except OSError as problem:
        _say(f"{problem.filename or words[-1]}: {problem.strerror or problem}")
        return _NOT_NOW
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
