"""Reads a folder of an NFS server in user space, with libnfs's tools: no mount, no privilege.

Links on the server are left out: the tools cannot say where one leads.
"""

import os
import re
import select
import shutil
import subprocess
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from pierhead.core.connections import Connection, Export, export
from pierhead.core.manifest import Entry, Manifest, safe
from pierhead.core.mounts import NasSource
from pierhead.sources.remote import Changed, Flaky, Missing, Rejected, RemoteError

#: One read of a file is one run of `nfs-cat`, from its beginning: parts would read it many times.
WHOLE_FILES = 1 << 50
_PIECE = 1 << 20
_LISTING = 16 << 20  #: bytes of what `nfs-ls` writes: more than ten thousand of the longest names
_PATIENCE = 30.0  #: seconds without a byte after which the server counts as hanging
#: `-rw-r--r--  1 65534 65534            6 a.txt`
_LINE = re.compile(
    r"(?P<type>[-dlbcps])[-rwxsStT]{9}\s+\d+\s+\d+\s+\d+\s+(?P<size>\d+) (?P<name>.+)"
)


@dataclass(frozen=True, slots=True)
class NfsRemote:
    """`nas://target/path` behind a connection that names an NFS server."""

    connection: Connection
    source: NasSource
    patience: float = _PATIENCE

    @property
    def name(self) -> str:
        """As a person knows it."""
        return str(self.source)

    @property
    def identity(self) -> str:
        """What names its snapshots."""
        return f"nfs {self.connection.nfs} {self._path}"

    def listing(self) -> Manifest:
        """What is in it now.

        Raises:
            RemoteError: it cannot be listed.
            Invalid: what it holds cannot be stored here.
        """
        command = [_tool("nfs-ls"), "-R", self._export.url(self._path)]
        text = self._text(command).decode(errors="surrogateescape")
        found = list(_entries(text, self.name))
        if not found:
            raise Missing(self.name, "there are no files in it")
        return safe(found)

    def read(self, entry: Entry, start: int, length: int) -> Iterator[bytes]:
        """The bytes from `start` on, in pieces; fewer than `length` when the server ends early.

        Raises:
            RemoteError: while it is asked, or between two pieces.
        """
        if "?" in entry.key:  # it would begin the URL's options
            raise Rejected(self.name, "a file's name has a question mark: libnfs cannot read it")
        url = self._export.url(f"{self._path}{entry.key}")
        skip, left = start, length
        pieces = self._output([_tool("nfs-cat"), url])
        for piece in pieces:
            dropped = min(skip, len(piece))
            useful = piece[dropped : dropped + left]
            skip, left = skip - dropped, left - len(useful)
            # What ends where the file does is only given when nothing follows.
            last = not left and start + length >= entry.size
            if last and (len(piece) > dropped + len(useful) or next(pieces, b"")):
                raise Changed(self.name, f"{entry.key} grows while it is read")
            if useful:
                yield useful
            if not left:
                return

    def crc64(self, entry: Entry) -> int | None:
        """NFS tells none."""
        return None

    def check(self, entry: Entry) -> str:
        """NFS tells none.

        Reading all twice would double the time and compare a server's memory with itself: what NFS
        carries is summed up by TCP alone, as it is for a mounted file system. What is found out is a
        file that somebody writes to: its size is not the listed one when its end is read.
        """
        return ""

    def close(self) -> None:
        """Nothing is held: each question is a process of its own."""

    @property
    def _export(self) -> Export:
        return export(self.connection.nfs)

    @property
    def _path(self) -> str:
        path = self.source.path.strip("/")
        return f"/{path}/" if path else "/"

    def _text(self, command: list[str]) -> bytes:
        found = bytearray()
        for piece in self._output(command):
            found += piece
            if len(found) > _LISTING:
                raise Rejected(self.name, "it holds more than can be copied: name a folder in it")
        return bytes(found)

    def _output(self, command: list[str]) -> Iterator[bytes]:
        """What the tool writes; its end is checked."""
        with _running(command) as tool:
            while piece := self._next(tool.output):
                yield piece
            try:
                code = tool.process.wait(self.patience)
            except subprocess.TimeoutExpired as error:
                raise self._silent() from error
            if code:
                tool.errors.seek(0)
                raise self._failed(tool.errors.read(2000).decode(errors="replace"), code)

    def _next(self, descriptor: int) -> bytes:
        ready, _, _ = select.select([descriptor], [], [], self.patience)
        if not ready:
            raise self._silent()
        return os.read(descriptor, _PIECE)

    def _silent(self) -> Flaky:
        host = self._export.host
        return Flaky(self.name, f"the server {host} does not answer for {self.patience:g} s")

    def _failed(self, said: str, code: int) -> RemoteError:
        server = f"{self._export.host}:{self._export.port}"
        if "NOENT" in said or "NOTDIR" in said:
            return Missing(self.name, f"there is no such folder or file on {server}")
        text = " ".join(said.split())[-200:] or f"the tool ended with {code}"
        return Flaky(self.name, f"{server}: {text}")


def _entries(text: str, name: str) -> Iterator[Entry]:
    for line in text.splitlines():
        found = _LINE.fullmatch(line)
        if found is None:
            raise Rejected(name, f"nfs-ls wrote what is no file: {line[:80]!a}")
        if found["type"] == "-":
            yield Entry(found["name"], int(found["size"]))


def _tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        why = f"the command {name} is not installed: install libnfs-utils, or mount it yourself and use --local-path"
        raise Rejected("Reading NFS without a mount", why)
    return found


@dataclass(frozen=True, slots=True)
class _Tool:
    """A tool that runs."""

    process: "subprocess.Popen[bytes]"
    output: int  #: what it writes can be read here
    errors: IO[bytes]  #: a file with what it says


@contextmanager
def _running(command: list[str]) -> Generator[_Tool]:
    """The tool's process; it ends with the block, whatever it does."""
    reading, writing = os.pipe()
    try:
        with tempfile.TemporaryFile() as errors:
            try:
                process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=writing, stderr=errors
                )
            finally:
                os.close(writing)
            try:
                yield _Tool(process, reading, errors)
            finally:
                process.kill()
                process.wait()
    finally:
        os.close(reading)
