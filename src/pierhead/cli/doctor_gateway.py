"""What `pierhead doctor` says of a gateway's workers: how many answer, how many there are to be."""

import os
import socket
from pathlib import Path

#: What each worker listens on, below a folder of its parent's; see `gateway.siblings`.
_SOCKETS = "run/gateway-*/figures-*"
_PATIENCE = 1.0  #: seconds


def workers(data_dir: Path) -> tuple[int, int]:
    """Of the workers of the gateways on this folder: how many live, and how many were started."""
    sockets = sorted(data_dir.glob(_SOCKETS))
    return sum(map(_listens, sockets)), len(sockets)


def _listens(path: Path) -> bool:
    """Does somebody take connections there?"""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.settimeout(_PATIENCE)
            # By a short name: that of a data folder may be longer than a socket's may.
            line.connect(f"/proc/self/fd/{folder}/{path.name}")
    except OSError:
        return False
    finally:
        os.close(folder)
    return True
