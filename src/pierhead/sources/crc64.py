"""CRC-64/XZ, the sum that OSS keeps of every object: computed by piece, combined, and read backwards.

Sums of parts combine to the sum of the whole without reading anything again; and when a whole does
not have its sum because one bit is wrong, the sum tells which bit.
"""

import ctypes
import math
from collections.abc import Callable, Iterable
from functools import lru_cache
from importlib import import_module
from typing import cast

from pierhead.core.errors import Unavailable

_REFLECTED = 0xC96C5795D7870F42
_FULL = 0x142F0E1EBA9EA3693
_MASK = (1 << 64) - 1
_CHECK = 0x995DC9BBDF1939FA  #: the sum of "123456789"
_ONE = 1 << 63  #: the polynomial 1; reflected, so the highest bit is the lowest power
_STEPS = 1 << 20  #: most steps of a search for a wrong bit: a second, 100 MB; enough for 128 GiB


Data = bytes | bytearray | memoryview


def crc64(data: Data, before: int = 0) -> int:
    """The sum of what had the sum `before`, followed by `data`.

    Raises:
        Unavailable: the package that computes it is not there.
    """
    return _function()(data, before)


@lru_cache(maxsize=1)
def _function() -> Callable[[Data, int], int]:
    return _of_xz() or _of_crcmod()


def _of_xz() -> Callable[[Data, int], int] | None:
    """The one of the system's liblzma; None where there is none.

    It takes carry-less multiplications, 13 times as fast as the package's tables: with these, sums
    take longer than the download itself from a store nearby. Python's own lzma does not show it.
    """
    try:
        found = ctypes.CDLL("liblzma.so.5").lzma_crc64
    except (OSError, AttributeError):
        return None
    found.restype = ctypes.c_uint64
    found.argtypes = (ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint64)

    def compute(data: Data, before: int) -> int:
        # Other threads run meanwhile: ctypes lets go of the interpreter's lock.
        return cast(int, found(bytes(data), len(data), before))

    return compute if compute(b"123456789", 0) == _CHECK else None


def _of_crcmod() -> Callable[[Data, int], int]:
    try:
        crcmod = import_module("crcmod.crcmod")
    except ModuleNotFoundError as error:
        raise Unavailable(
            "The check of downloads",
            "it needs crcmod-plus, which belongs to every installation: pip install crcmod-plus",
        ) from error
    made: Callable[[Data, int], int] = crcmod.mkCrcFun(_FULL, initCrc=0, rev=True, xorOut=_MASK)
    return made


def combined(sums: Iterable[tuple[int, int]]) -> int:
    """The sum of parts one after the other, each given as (its sum, its bytes)."""
    total = 0
    for part, length in sums:
        total = _times(_power(8 * length), total) ^ part
    return total


def wrong_bit(found: int, wanted: int, length: int) -> int | None:
    """Offset of the byte that has the one wrong bit; None when more is wrong, or it is too long to say.

    Sums are linear: the sum of the difference is `found ^ wanted`, and one bit's is a power of x, whose
    exponent is the bits that follow. It is found by giant steps back and a table of small ones.
    """
    small = math.isqrt(8 * length) + 1
    if small > _STEPS:
        return None
    table: dict[int, int] = {}
    # A bit with n bits after it changes the sum by x^(n + 64).
    power = _power(64)
    for exponent in range(small):
        table.setdefault(power, exponent)
        power = _by_x(power)
    back = _Multiplication(_inverse_power(small))
    state = found ^ wanted
    for giant in range(small + 1):
        if state in table:
            after = giant * small + table[state]
            return length - 1 - after // 8 if after < 8 * length else None
        state = back(state)
    return None


def _times(a: int, b: int) -> int:
    """Product of two polynomials modulo the sum's polynomial."""
    product = 0
    for bit in range(63, -1, -1):
        if a >> bit & 1:
            product ^= b
        b = _by_x(b)
    return product


def _by_x(a: int) -> int:
    return a >> 1 ^ (_REFLECTED if a & 1 else 0)


@lru_cache(maxsize=256)
def _power(exponent: int) -> int:
    """x to this power."""
    result, square = _ONE, _ONE >> 1
    while exponent:
        if exponent & 1:
            result = _times(result, square)
        square = _times(square, square)
        exponent >>= 1
    return result


def _inverse_power(exponent: int) -> int:
    """1 / x to this power; x has an inverse since the polynomial has a constant term."""
    inverse = (_ONE ^ _REFLECTED) << 1 & _MASK | 1
    result = _ONE
    while exponent:
        if exponent & 1:
            result = _times(result, inverse)
        inverse = _times(inverse, inverse)
        exponent >>= 1
    return result


class _Multiplication:
    """By a fixed factor, eight table look-ups each."""

    def __init__(self, factor: int) -> None:
        self._tables = [
            [_times(byte << shift, factor) for byte in range(256)] for shift in range(0, 64, 8)
        ]

    def __call__(self, a: int) -> int:
        product = 0
        for table in self._tables:
            product ^= table[a & 255]
            a >>= 8
        return product
