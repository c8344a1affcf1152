"""A mounted file system that never answers, as a network mount whose server hangs: FUSE without a server."""

import ctypes
import os
import struct
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread

import pytest

_INIT = 26
_NODEV_NOSUID, _FORCE_DETACH = 6, 3
_libc = ctypes.CDLL(None, use_errno=True)


@contextmanager
def silent_mount(point: Path) -> Generator[Path]:
    """Mounts it at `point`; whoever looks into it waits until the block ends, then gets an error."""
    point.mkdir()
    device = -1
    with suppress(OSError):
        device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other".encode()
    where = str(point).encode()
    if device < 0 or _libc.mount(b"silent", where, b"fuse", _NODEV_NOSUID, options):
        pytest.skip("NOT TESTED: a mount that hangs needs /dev/fuse, and so root")
    Thread(target=_greet, args=(device,), daemon=True).start()
    try:
        yield point
    finally:
        _libc.umount2(where, _FORCE_DETACH)
        os.close(device)


def _greet(device: int) -> None:
    """The kernel's greeting is answered, and nothing after it."""
    with suppress(OSError):
        while True:
            asked = os.read(device, 1 << 17)
            _length, operation, number = struct.unpack_from("<IIQ", asked)
            if operation == _INIT:
                said = struct.pack("<IIIIHHII", 7, 31, 65536, 0, 0, 0, 65536, 1) + bytes(36)
                os.write(device, struct.pack("<IiQ", 16 + len(said), 0, number) + said)
