"""How much of what is on its way the kernel may hold for one connection."""

import fcntl
import socket
import struct
import termios
from asyncio import BaseTransport, WriteTransport
from contextlib import suppress

#: Bytes in each direction. Left to itself the kernel gives each slow reader megabytes: some hundreds of
#: them take all the memory that it has for TCP, and then every connection of the machine stands still.
BUFFER = 256 * 1024


def bound(transport: BaseTransport) -> None:
    """Bounds both directions of a connection that we opened."""
    opened = transport.get_extra_info("socket")
    if isinstance(opened, tuple) or opened is None:
        return
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)


def untaken(transport: WriteTransport) -> int:
    """Bytes that were written and that the other side did not take yet, the kernel's part with them."""
    waiting, opened = transport.get_write_buffer_size(), transport.get_extra_info("socket")
    try:
        held = fcntl.ioctl(opened.fileno(), termios.TIOCOUTQ, struct.pack("i", 0))
    except (AttributeError, OSError, ValueError):
        return waiting  # no socket, or closed already, or a system that does not tell
    return waiting + int(struct.unpack("i", held)[0])


def reset(transport: WriteTransport) -> None:
    """Ends a connection by a reset: the kernel does not go on with what was not taken yet, either."""
    opened = transport.get_extra_info("socket")
    with suppress(AttributeError, OSError):  # no socket, or closed already
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
