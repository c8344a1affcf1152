"""What is known of a service's model before any of its weights are fetched: what its headers say."""

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from pierhead.core.connections import Account
from pierhead.core.families import FAMILIES
from pierhead.core.ids import Clock
from pierhead.core.manifest import Entry
from pierhead.core.mounts import FolderSource, NasSource, PackageSource, Source
from pierhead.core.sizing import Shape
from pierhead.core.templates import Template
from pierhead.sources import nas
from pierhead.sources.header_window import HeaderFile
from pierhead.sources.listings import NoModel, refused
from pierhead.sources.openers import Opened, opened
from pierhead.sources.package import MODEL
from pierhead.sources.remote import Flaky, Remote
from pierhead.sources.shapes import shape_at, shape_of
from pierhead.sources.weights import Places, named

#: Bytes of one file far away that may be read for its header.
FAR = 1024 * 1024
LOOK = 30.0
"""Seconds that one read of a header far away may take."""

#: Where a source's files are: here, in an object store, or not yet anywhere that can be read.
Where = Callable[[Template, Source | None], Path | Opened | None]


class ModelShapes:
    """Answers what a service's model is; it blocks, so it is asked from a thread."""

    def __init__(self, where: Where) -> None:
        self._where = where

    def shape(self, template: Template, source: Source | None) -> Shape | None:
        """The model's shape; None when nothing is known of it.

        Raises:
            BadHeader: a header cannot be true.
            NoModel: far away is no model, or several: nothing of it is worth fetching.
            OSError, RemoteError: it cannot be read.
        """
        place = self._where(template, source)
        found = None
        if isinstance(place, Path):
            found = shape_at(place) if place.exists() else None
        elif place is not None:
            with closing(place):
                found = shape_of(_one_model(place))
        # What a package holds is known before it is fetched. Of other weights that nobody has seen
        # nothing is guessed: smaller ones of a family are legal.
        packed = isinstance(source or template.source, PackageSource)
        family = FAMILIES.get(template.family) if packed else None
        if found is not None or family is None:
            return found
        return replace(family.shape, format="gguf")

    def at(self, path: str) -> Shape | None:
        """The shape of the model that lies in a file or folder of this machine; raises as `shape`."""
        return shape_at(Path(path)) if Path(path).exists() else None


def _one_model(remote: Opened) -> list[HeaderFile]:
    """The files right in a remote folder, which are one model as far as their names tell."""
    files = far_files(remote)
    hold = refused([file.name for file in files], remote.name)
    if hold is not None:
        raise NoModel(hold)
    return [file for file in files if "/" not in file.name]


def far_files(remote: Remote) -> list[HeaderFile]:
    """The files of a remote folder, of whose beginnings a little may be read."""
    return [_far_file(remote, entry) for entry in remote.listing().entries]


def _far_file(remote: Remote, entry: Entry) -> HeaderFile:
    def read(start: int, length: int) -> bytes:
        end = time.monotonic() + LOOK
        found = bytearray()
        for piece in remote.read(entry, start, length):
            found += piece
            if len(found) >= length:  # a store that sends more than it was asked for
                break
            if time.monotonic() > end:
                raise Flaky(remote.name, f"its answers are too slow: no header within {LOOK:g} s")
        return bytes(found[:length])

    return HeaderFile(entry.key, entry.size, read, FAR)


def local_place(places: Places) -> Where:
    """Looks on this machine only: mounted folders, the operator's own weights, what was fetched before."""

    def where(template: Template, source: Source | None) -> Path | Opened | None:
        match source or template.source or _own(places, template.name):
            case FolderSource(path=path):
                return Path(path)
            case PackageSource() as package:
                tail = f"-{package.convert}" if package.convert else ""
                return places.cache / "package" / f"{package.member_sha256[:16]}{tail}" / MODEL
            case _:
                return None

    return where


def _own(places: Places, spec: str) -> Source:
    return named(places, spec) or FolderSource(str(places.models / spec))


def connected_place(
    places: Places, find: Callable[[Source], Account | None], clock: Clock
) -> Where:
    """As `local_place`, and what lies behind storage connections; `find` gives what opens one, and blocks."""
    here = local_place(places)

    def where(template: Template, source: Source | None) -> Path | Opened | None:
        chosen = source or template.source or named(places, template.name)
        if chosen is None or isinstance(chosen, FolderSource | PackageSource):
            return here(template, source)
        account = find(chosen)
        if account is None:
            return None
        if not isinstance(chosen, NasSource):
            return opened(chosen, account, find, clock)
        root = account.connection.local_path
        # Over NFS without a mount only whole files can be read.
        return nas.folder(Path(root), chosen) if root else None

    return where
