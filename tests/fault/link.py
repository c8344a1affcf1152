"""A TCP connection between two parts of a platform, which a test can cut and mend."""

import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress


class Link:
    """Passes on what comes in on `address` to another one, unless it is cut."""

    def __init__(self, to: str) -> None:
        self._to = to
        self._whole = True
        self._ends: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """From now on nothing comes through; connections that are open end."""
        with self._lock:
            self._whole = False
            for end in self._ends:
                with suppress(OSError):  # it had ended already
                    end.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        """New connections come through again."""
        with self._lock:
            self._whole = True

    def close(self) -> None:
        """Cut it for good."""
        self.cut()
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._server.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(near,), daemon=True).start()

    def _carry(self, near: socket.socket) -> None:
        host, _, port = self._to.rpartition(":")
        with near, suppress(OSError), socket.create_connection((host, int(port)), 5.0) as far:
            far.settimeout(None)
            with self._lock:
                if not self._whole:
                    return
                self._ends |= {near, far}
            back = threading.Thread(target=_pour, args=(far, near), daemon=True)
            back.start()
            _pour(near, far)
            back.join()
            with self._lock:
                self._ends -= {near, far}


def _pour(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for end, how in ((target, socket.SHUT_WR), (source, socket.SHUT_RD)):
        with suppress(OSError):
            end.shutdown(how)


@contextmanager
def linked(to: str) -> Generator[Link]:
    """A link to `to` beside the block."""
    link = Link(to)
    try:
        yield link
    finally:
        link.close()
