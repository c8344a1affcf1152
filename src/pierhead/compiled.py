"""The gateway compiled ahead of time: found, checked and loaded instead of its Python, where there is one.

`scripts/compile_gateway.py` makes it: one library with all modules of a request's path, in a folder of its
own, with a note of what it was made from. Python stays the reference: the library is used only by the
gateway's process, and only if it was made from the very sources that lie here. Whoever imports a module
without asking `use` first gets Python.
"""

import hashlib
import importlib
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any, cast

PACKAGE = Path(__file__).parent
FOLDER = "_compiled"  #: below the package
NOTE = "made-from.json"
#: Which Pythons can load a library: `cpython-311-x86_64-linux-gnu`.
ABI = EXTENSION_SUFFIXES[0].removeprefix(".").rpartition(".")[0]
HOW = "with a C compiler and Python.h at hand, `make install` does so"
#: What a library that was made for another machine, or cut off, may raise at its import.
_UNFIT = (ImportError, AttributeError, TypeError, ValueError, KeyError, OSError)


@dataclass(frozen=True, slots=True)
class Library:
    """One that fits the sources beside it."""

    file: Path
    group: str  #: the module that all others ask for their code
    modules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """Whether the gateway is, or would be, the compiled one; and if not, why."""

    library: Library | None
    why: str = ""
    wrong: bool = False  #: it should have been, by all that lies there

    def __str__(self) -> str:
        return "yes" if self.library else f"no ({self.why})"


def digest(package: Path, files: Iterable[str]) -> str:
    """Of the sources below `package`, by their names and bytes.

    Raises:
        OSError: one is not there.
    """
    found = hashlib.sha256()
    for name in sorted(files):
        text = (package / name).read_bytes()
        found.update(b"%b %d\n" % (name.encode(), len(text)) + text)
    return found.hexdigest()


def find(wanted: bool = True, package: Path = PACKAGE) -> Found:
    """Looks for a library for this Python and these sources; loads nothing."""
    if not wanted:
        return Found(None, "the setting `compiled` says so")
    notes = sorted((package / FOLDER).glob(f"{ABI}-*/{NOTE}"))
    for note in notes:
        library = _read(note, package)
        if library is not None:
            return Found(library)
    if notes:
        return Found(None, f"its sources changed since it was compiled; {HOW} again", wrong=True)
    return Found(None, f"it was not compiled for this Python; {HOW}")


def use(wanted: bool = True, package: Path = PACKAGE) -> Found:
    """From here on this process imports the compiled modules, if there are any that fit.

    All of them are loaded at once: one that cannot be shall not be found out halfway through a request.
    """
    found = find(wanted, package)
    library = found.library
    if library is None:
        return found
    early = sorted(name for name in library.modules if name in sys.modules)
    if early:
        return Found(None, f"{early[0]} was imported before", wrong=True)
    before, finder = set(sys.modules), _Finder(library)
    sys.meta_path.insert(0, cast(Any, finder))
    try:
        for name in library.modules:
            importlib.import_module(name)
    except _UNFIT as error:
        sys.meta_path.remove(cast(Any, finder))
        _forget(sys.modules.keys() - before, package)
        return Found(None, f"{library.file} cannot be loaded: {error}", wrong=True)
    return found


class _Finder:
    """Says of each compiled module that it is in the library; a library may hold many."""

    def __init__(self, library: Library) -> None:
        self._file = str(library.file)
        self._names = frozenset((*library.modules, library.group))

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """As `importlib` asks for it."""
        del path, target
        if name not in self._names:
            return None
        loader = ExtensionFileLoader(name, self._file)
        return spec_from_file_location(name, self._file, loader=loader)


def _forget(names: Iterable[str], package: Path) -> None:
    """What was imported by a library that failed, or holds something that was."""
    for name in names:
        if name.startswith(f"{package.name}."):
            sys.modules.pop(name, None)
            parent, _, own = name.rpartition(".")
            if parent in sys.modules:
                vars(sys.modules[parent]).pop(own, None)


def _read(note: Path, package: Path) -> Library | None:
    """What a note tells, if it is of these sources."""
    try:
        told = json.loads(note.read_bytes())
        if digest(package, told["files"]) != told["digest"]:
            return None
        library = Library(note.parent / told["library"], told["group"], tuple(told["modules"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None  # half of it, or of another release: none that fits
    return library if library.file.is_file() else None
