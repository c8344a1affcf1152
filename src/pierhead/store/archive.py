"""One backup as one file: a ZIP of tables and small files, and a manifest with the digest of each.

    manifest.json          what this is, and the size and SHA-256 of everything below
    tables/<name>.jsonl    one row a line: a JSON array in the order of the manifest's columns
    files/<path>           files of the data folder

Digests tell a damaged file, not a forged one: who can write it can write those too.
"""

import errno
import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import IO, Any, cast

from pydantic import TypeAdapter

from pierhead.core.errors import Invalid, PierheadError, Unavailable
from pierhead.core.resources import human_bytes
from pierhead.lasting import sync_folder

FORM = 1  #: of the archive; one that is read differently counts up
MANIFEST = "manifest.json"
TABLES, FILES = "tables/", "files/"
#: Bytes of one file of the data folder: keys, certificates, settings.
LARGEST_FILE = 1024 * 1024
_PART = ".part"


class Damaged(PierheadError):
    """A backup that cannot be used; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Member:
    """One entry of the archive."""

    name: str
    bytes: int
    sha256: str
    rows: int = 0
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an archive says about itself."""

    release: str  #: of the program that wrote it
    schema: str
    made: float  #: epoch seconds
    database: str  #: sqlite or postgresql
    account: str
    secrets: bool  #: are the keys of the data folder in it?
    key: str = ""  #: tells the key apart that opens what is sealed in it; not the key itself
    left_out: tuple[str, ...] = ()
    members: tuple[Member, ...] = ()
    form: int = FORM

    def rows(self, table: str) -> int:
        """How many rows of a table are in it."""
        return next((one.rows for one in self.members if one.name == table_member(table)), 0)

    @property
    def tables(self) -> dict[str, Member]:
        """Members that are tables, by the table's name."""
        return {
            one.name.removeprefix(TABLES).removesuffix(".jsonl"): one
            for one in self.members
            if one.name.startswith(TABLES)
        }

    @property
    def files(self) -> dict[str, Member]:
        """Members that are files, by their path below the data folder."""
        return {
            one.name.removeprefix(FILES): one for one in self.members if one.name.startswith(FILES)
        }


def table_member(table: str) -> str:
    """The member of a table."""
    return f"{TABLES}{table}.jsonl"


# ---- writing ----------------------------------------------------------------------------------


@dataclass(slots=True)
class Writer:
    """An archive that is being written."""

    archive: zipfile.ZipFile
    _members: list[Member] = field(default_factory=list[Member])

    def table(self, name: str, columns: tuple[str, ...], lines: Iterable[bytes]) -> None:
        """Add a table."""
        self._add(table_member(name), lines, columns)

    def file(self, path: str, content: bytes) -> None:
        """Add a file of the data folder."""
        self._add(FILES + path, [content], None)

    def _add(self, name: str, parts: Iterable[bytes], columns: tuple[str, ...] | None) -> None:
        digest, size, count = hashlib.sha256(), 0, 0
        with self.archive.open(name, "w", force_zip64=True) as out:
            for part in parts:
                out.write(part)
                digest.update(part)
                size += len(part)
                count += 1
        rows = count if columns is not None else 0
        self._members.append(Member(name, size, digest.hexdigest(), rows, columns or ()))

    def end(self, manifest: Manifest) -> Manifest:
        """Write the manifest, which is the last member; gives it with all members in it."""
        whole = replace(manifest, members=tuple(self._members))
        self.archive.writestr(MANIFEST, _sealed(whole))
        return whole


@contextmanager
def writing(path: Path, *, replacing: bool, before: Callable[[], None]) -> Generator[Writer]:
    """An archive at `path`, 0600, there as a whole or not at all; `before` is called before it is.

    Raises:
        Invalid: there is such a file already, and it is not to be replaced, or is a device or pipe.
        Unavailable: the folder cannot be written, or its disk is full.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}{_PART}")
    try:
        _demand_free(path, replacing=replacing)
        with _private(part) as out:
            with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
                yield Writer(archive)
            out.flush()
            os.fsync(out.fileno())
        before()
        part.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        with suppress(OSError):  # it was never made: the folder is a file, or the name is too long
            part.unlink()


def _demand_free(path: Path, *, replacing: bool) -> None:
    if path.exists() and not replacing:
        raise Invalid("FILE", f"{path} exists", "another name, or --replace")
    if path.exists() and not path.is_file():  # it would be replaced by a file, for everybody
        raise Invalid("FILE", f"{path} is a device, a folder or a pipe", "the name of a file")


def cannot_write(path: Path, error: OSError) -> Unavailable:
    """Why a file could not be written: with the room that is left, when it is for want of that."""
    why = error.strerror or str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        with suppress(OSError):  # it tells more, and is not worth another error
            why = f"{why}: {human_bytes(shutil.disk_usage(path.parent).free)} free on its disk"
    return Unavailable(f"The file {path}", why)


def _private(path: Path) -> IO[bytes]:
    """A new file: its name can be guessed, and what somebody put there is neither followed nor kept."""
    path.unlink(missing_ok=True)
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, 0o600), "w+b")


# ---- the manifest -----------------------------------------------------------------------------


_MANIFEST: TypeAdapter[Manifest] = TypeAdapter(Manifest)


def _sealed(manifest: Manifest) -> bytes:
    """As JSON, with a digest of itself: what is wrong with it shows before it is believed."""
    facts = asdict(manifest)
    return json.dumps(facts | {"sha256": _digest(facts)}, indent=1).encode() + b"\n"


def parsed(raw: bytes) -> Manifest:
    """The manifest in these bytes.

    Raises:
        ValueError: it is none, or not as it was written; the text says why.
    """
    facts: Any = json.loads(raw)
    if not isinstance(facts, dict):
        raise ValueError("it is no object")
    found = cast("dict[str, Any]", facts)
    if found.get("form") != FORM:
        raise ValueError(f"its form is {found.get('form')!r}, and this release reads form {FORM}")
    if found.pop("sha256", None) != _digest(found):
        raise ValueError("it is not what was written")
    return _MANIFEST.validate_python(found)


def _digest(facts: dict[str, Any]) -> str:
    plain = json.dumps(facts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(plain.encode()).hexdigest()
