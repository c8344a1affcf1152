"""What is known of a service's model before any of its weights are fetched: headers, else its family."""

from collections.abc import Callable
from itertools import chain
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
from pierhead.sources.openers import OPENERS, Renewed
from pierhead.sources.package import MODEL
from pierhead.sources.remote import Remote
from pierhead.sources.shapes import shape_at, shape_of
from pierhead.sources.weights import Places

#: Bytes of one file far away that may be read for its header.
FAR = 1024 * 1024

#: Where a source's files are: here, in an object store, or not yet anywhere that can be read.
Where = Callable[[Template, Source | None], Path | Remote | None]


class ModelShapes:
    """Answers what a service's model is; it blocks, so it is asked from a thread."""

    def __init__(self, where: Where, *, guess: bool = False) -> None:
        """`guess`: take a family's shape for weights that nobody has seen; smaller ones are legal."""
        self._where, self._guess = where, guess

    def shape(self, template: Template, source: Source | None) -> Shape | None:
        """The model's shape; None when nothing is known of it.

        Raises:
            BadHeader: a header cannot be true.
            OSError, RemoteError: it cannot be read.
        """
        place = self._where(template, source)
        found = None
        if isinstance(place, Path):
            found = shape_at(place) if place.exists() else None
        elif place is not None:
            found = shape_of(far_files(place))
        # What a package holds is known before it is fetched.
        known = self._guess or isinstance(source or template.source, PackageSource)
        family = FAMILIES.get(template.family) if known else None
        return found or (family.shape if family is not None else None)

    def at(self, path: str) -> Shape | None:
        """The shape of the model that lies in a file or folder of this machine; raises as `shape`."""
        return shape_at(Path(path)) if Path(path).exists() else None


def far_files(remote: Remote) -> list[HeaderFile]:
    """The files of a remote folder, of whose beginnings a little may be read."""
    return [_far_file(remote, entry) for entry in remote.listing().entries]


def _far_file(remote: Remote, entry: Entry) -> HeaderFile:
    def read(start: int, length: int) -> bytes:
        # A store that sends more than it was asked for gets no more memory for it.
        return bytes(chain.from_iterable(remote.read(entry, start, length)))[:length]

    return HeaderFile(entry.key, entry.size, read, FAR)


def local_place(places: Places) -> Where:
    """Looks on this machine only: mounted folders, the operator's own weights, what was fetched before."""

    def where(template: Template, source: Source | None) -> Path | Remote | None:
        match source or template.source or _own(places, template.name):
            case FolderSource(path=path):
                return Path(path)
            case PackageSource() as package:
                tail = f"-{package.convert}" if package.convert else ""
                return places.cache / "package" / f"{package.member_sha256[:16]}{tail}" / MODEL
            case _:
                return None

    return where


def _own(places: Places, spec: str) -> FolderSource:
    named = places.specs.get(spec)
    return FolderSource(str(Path(named).expanduser() if named else places.models / spec))


def connected_place(here: Where, find: Callable[[Source], Account | None], clock: Clock) -> Where:
    """As `here`, and what lies behind storage connections; `find` gives what opens one, and blocks."""

    def where(template: Template, source: Source | None) -> Path | Remote | None:
        chosen = source or template.source
        if chosen is None or isinstance(chosen, FolderSource | PackageSource):
            return here(template, source)
        account = find(chosen)
        if account is None:
            return None
        if not isinstance(chosen, NasSource):
            current = Renewed(lambda: find(chosen), clock, account)
            return OPENERS[chosen.kind](account, chosen, current, clock)
        root = account.connection.local_path
        # Over NFS without a mount only whole files can be read.
        return nas.folder(Path(root), chosen) if root else None

    return where
