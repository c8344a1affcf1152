"""Copies a tree of files so that it is there whole or not at all, and removes only such copies.

A copy carries a mark with the name of what it was made for. Nothing else is ever removed.
It blocks: run it in a thread of its own.
"""

import errno
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from pierhead.core.errors import Conflict, Unavailable
from pierhead.failpoint import failpoint

MARK = ".pierhead-copy"
_CHUNK = 4 * 1024 * 1024


class Stopped(Exception):
    """The copy was told to end; what it had done so far is removed by the next one."""


def copy(
    source: Path,
    into: Path,
    owner: str,
    stopped: Callable[[], bool],
    progress: Callable[[int], None],
) -> None:
    """Copy the folder `source` to `into`, marked as `owner`'s; done already is done.

    `progress` is told the bytes of each piece. Links that lead out of `source`, sockets and
    devices are left out.

    Raises:
        Conflict: something else is at `into`, which stays as it is; or `into` is within `source`.
        Unavailable: a file cannot be read or written, or the disk is full.
        Stopped: `stopped()` became true.
    """
    if os.path.lexists(into):
        if is_copy(into, owner):
            return
        raise Conflict("folder", str(into), "exists already: its files are used as they are")
    if into.resolve().is_relative_to(source.resolve()):  # it would copy its own copy for ever
        raise Conflict("folder", str(into), f"is within {source}, which it should be a copy of")
    part = into.with_name(f"{into.name}.{owner}.part")
    try:
        _clear(part)
        if not source.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "is no folder", str(source))
        into.parent.mkdir(parents=True, exist_ok=True)
        part.mkdir(mode=0o700)
        (part / MARK).write_text(owner + "\n")
        _fill(source, part, stopped, progress)
        failpoint("copy.before_rename")
        part.rename(into)
    except OSError as error:
        with suppress(OSError):
            _clear(part)
        why = f"{error.filename or into}: {error.strerror or error}"
        raise Unavailable(f"The copy of {source} to {into}", why) from error


def discard(path: Path, owner: str) -> bool:
    """Remove a copy that was made for `owner`, and what is left of one; False when there is none.

    Raises:
        Unavailable: it cannot be removed.
    """
    gone, there = path.with_name(f"{path.name}.{owner}.part"), is_copy(path, owner)
    try:
        _clear(gone)  # a copying or a removal was cut off
        if there:
            path.rename(gone)  # at once: nobody shall see half of it
            failpoint("copy.after_set_aside")
            _clear(gone)
    except OSError as error:
        raise Unavailable(f"The removal of {path}", str(error.strerror or error)) from error
    return there


def is_copy(path: Path, owner: str) -> bool:
    """Was this folder made by `copy` for `owner`?"""
    try:
        return not path.is_symlink() and (path / MARK).read_text().strip() == owner
    except (OSError, UnicodeDecodeError):
        return False


def _fill(
    source: Path, part: Path, stopped: Callable[[], bool], progress: Callable[[int], None]
) -> None:
    root = source.resolve()
    for folder, entry in _walk(source):
        target = part / folder / entry.name
        if stopped():
            raise Stopped(str(source))
        if entry.name == MARK and not folder:
            continue
        if entry.is_symlink():
            if _within(Path(entry.path), root):
                target.symlink_to(Path(entry.path).readlink())
        elif entry.is_dir(follow_symlinks=False):
            target.mkdir(mode=0o700)
        elif entry.is_file(follow_symlinks=False):
            _copy_file(entry, target, stopped, progress)


def _walk(source: Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Everything under `source` with its folder's path from there; a folder before what is in it."""
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        with os.scandir(source / folder) as entries:
            for entry in entries:
                yield folder, entry
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(str(Path(folder, entry.name)))


def _copy_file(
    entry: os.DirEntry[str],
    target: Path,
    stopped: Callable[[], bool],
    progress: Callable[[int], None],
) -> None:
    with Path(entry.path).open("rb") as read, target.open("xb") as write:
        while piece := read.read(_CHUNK):
            if stopped():
                raise Stopped(entry.path)
            write.write(piece)
            progress(len(piece))
    target.chmod(stat.S_IMODE(entry.stat(follow_symlinks=False).st_mode) & 0o777)


def _within(link: Path, root: Path) -> bool:
    """Does a relative link stay under `root`? An absolute one would point into the original."""
    if link.readlink().is_absolute():
        return False
    return (link.parent / link.readlink()).resolve().is_relative_to(root)


def _clear(path: Path) -> None:
    if os.path.lexists(path):
        shutil.rmtree(path)
