"""Nonces of calls that were only tried out, in a file beside the database: nothing of them is a row.

One line each: a digest, and until when it counts. A hub that is killed and comes back knows all of
them; a machine that loses power may forget those of its last seconds.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path

_LINE = re.compile(r"([0-9a-f]{32}) (\d{1,12})")


class TriedNonces:
    """The file; everything blocks."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self, now: float) -> dict[str, float]:
        """Digest -> expiry of what still counts; the rest is left out of the file from now on.

        Raises:
            OSError: the disk refuses.
        """
        try:
            text = self._path.read_text("ascii", errors="replace")
        except FileNotFoundError:
            return {}
        # A line that a crash cut off was of a call that nobody answered.
        lines = (_LINE.fullmatch(line) for line in text.splitlines())
        known = {line[1]: float(line[2]) for line in lines if line}
        live = {digest: expires for digest, expires in known.items() if expires > now}
        if len(live) < text.count("\n"):
            self.keep(live)
        return live

    def add(self, digest: str, expires: float) -> None:
        """One more.

        Raises:
            OSError: the disk refuses.
        """
        line = _line(digest, expires)
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.write(file, line) < len(line):
                raise OSError("the disk took a part of a line only")
        finally:
            os.close(file)

    def keep(self, known: Mapping[str, float]) -> None:
        """Only these are left.

        Raises:
            OSError: the disk refuses; then all are there as before.
        """
        part = self._path.with_suffix(".part")
        part.write_bytes(b"".join(_line(*one) for one in known.items()))
        part.replace(self._path)


def _line(digest: str, expires: float) -> bytes:
    # It begins on a line of its own, whatever became of the one before; rounded up, as it lasts.
    return f"\n{digest} {int(expires) + 1}".encode()
