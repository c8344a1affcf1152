"""Gives memory back to the machine: large blocks as soon as they are free, all of it after the start."""

import ctypes
import gc
import sys
from contextlib import suppress

_M_MMAP_THRESHOLD = -3  # malloc.h
_LARGE = 1024 * 1024


def give_back_large_blocks() -> None:
    """Have blocks from 1 MiB on mapped by themselves, always.

    glibc raises that threshold each time such a block is freed. After the first password hash, which
    takes 19 MiB for a moment, the next one would stay in the process for good.
    """
    if sys.platform == "linux":
        with suppress(AttributeError):  # another C library: it has no such knob, and no such habit
            ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE)


def give_back_what_the_start_took() -> None:
    """What was needed to come up, and is free now, goes back in one go; takes some milliseconds.

    The rest stays as long as the process does: it is not searched for garbage any more.
    """
    gc.collect()
    gc.freeze()
    if sys.platform == "linux":
        with suppress(AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
