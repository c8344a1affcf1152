"""Compiles the modules of a request's path through the gateway to C, and that to one library.

It needs mypyc (mypy's compiler, among the project's tools), a C compiler and Python.h. Run as a script it
says what it does and how long that took; where something is missing it says in one line what that would
bring, and that is no failure: the gateway runs without. `--strict` fails then. PIERHEAD_COMPILE=0 leaves
it out. What was made from the same sources by the same compiler is not made again.
"""

import ast
import hashlib
import importlib.util
import json
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent
SWITCH = "PIERHEAD_COMPILE"
#: What a build of a package needs of them; `pyproject.toml` has the same versions.
TOOLS = ("mypy==2.4.1", "setuptools==84.2.1")
#: No slower than -O2: what is left to the machine is mostly calls. It takes three quarters of the time.
LEVEL = "-O1"
FLAGS = (LEVEL, "-g0", "-DNDEBUG", "-fPIC", "-fwrapv", "-fvisibility=hidden", "-w")
#: Module of the library that the others ask for their code.
GROUP = "pierhead_gateway"
_PATH = """
affinity again allowance answers app asking awaiting balance bounds call client commons deadlines door
exchange exposition fair_queue figures form_text forward front head headers journal json_text lanes ledger metering
naming opened pipeline prompt_size relay replica_connection replicas request_parser sending served sockets
steady table tokens tunnel turns usage_figures
"""
#: What every request, chunk or connection goes through; the rest would only make the build longer.
#: Left out for a reason: `siblings` has an async generator, and pydantic reads the classes of `core.routes`.
MODULES = tuple(f"pierhead.gateway.{name}" for name in _PATH.split())
#: What basedpyright allows and mypy does not, in sources that the former holds to its strictest rules.
_MYPY = (
    *("--config-file=", "--ignore-missing-imports"),
    *("--disable-error-code=override", "--disable-error-code=type-var"),
)
_KEPT = 3  #: libraries for one Python; older ones go
_STALLED_SECONDS = 900
_GAIN = "two fifths less CPU per request"


class Uncompiled(Exception):
    """It could not be compiled; the message says why in one line."""

    def __init__(self, why: str, said: Iterable[str] = ()) -> None:
        """`said`: the last lines of who failed."""
        self.said = list(said)
        super().__init__(why)


def runtime(package: Path) -> ModuleType:
    """`pierhead.compiled`, by its file: a build has no package yet."""
    spec = importlib.util.spec_from_file_location("_compiled_of_pierhead", package / "compiled.py")
    if spec is None or spec.loader is None:
        raise Uncompiled(f"{package / 'compiled.py'} is missing")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for it
    spec.loader.exec_module(module)
    return module


def closure(package: Path, modules: Iterable[str]) -> list[str]:
    """Files of the package that these modules import, and so on: constants of theirs go into the library."""
    found, open_ = set[str](), list(modules)
    while open_:
        name = open_.pop()
        path = package.parent / name.replace(".", "/")
        file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        inside = str(file.relative_to(package))
        if inside in found or not file.is_file():
            continue
        found.add(inside)
        open_.extend(_imports(file, package.name))
    return sorted(found)


def _imports(file: Path, package: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            names = [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}", *(f"{node.module}.{each.name}" for each in node.names)]
        else:
            continue
        yield from (name for name in names if name.startswith(f"{package}."))


def c_compiler(environ: Mapping[str, str]) -> list[str]:
    """The C compiler and what it is to be told first.

    Raises:
        Uncompiled: there is none, or Python's headers are not there.
    """
    header = Path(sysconfig.get_paths()["include"], "Python.h")
    if not header.is_file():
        version = ".".join(map(str, sys.version_info[:2]))
        raise Uncompiled(
            f"Python.h is missing (Debian and Ubuntu: apt install python{version}-dev)"
        )
    usual = (sysconfig.get_config_var("CC") or "cc", "cc", "gcc", "clang")
    for words in (environ.get("CC", ""), *usual):
        program = shlex.split(words)
        if program and shutil.which(program[0]):
            return program
    raise Uncompiled("there is no C compiler (Debian and Ubuntu: apt install gcc)")


def translate(package: Path, target: Path) -> None:
    """Runs mypyc in a process of its own; C files below `target`.

    Raises:
        Uncompiled: mypyc is not there, or does not take the sources.
    """
    files = [f"{name.replace('.', '/')}.py" for name in MODULES]
    options = [f"--python-executable={sys.executable}", "--cache-dir=/dev/null", *_MYPY]
    program = (
        "import json, sys, setuptools\n"
        "from mypyc.build import mypycify\n"
        "group, target, *paths = json.loads(sys.argv[1])\n"
        "mypycify(paths, multi_file=True, group_name=group, target_dir=target)\n"
    )
    asked = json.dumps([GROUP, str(target), *options, *files])
    _run([sys.executable, "-c", program, asked], "mypyc failed", package.parent)


def link(target: Path, library: Path, compiler: list[str]) -> None:
    """From the C files to the library, on all cores.

    Raises:
        Uncompiled: the compiler failed.
    """
    import mypyc.common

    (target / "entries.c").write_text("".join(_entries(target)), "utf-8")
    # The longest first, so that all cores end together.
    sources = sorted(target.glob("*.c"), key=lambda path: -path.stat().st_size)
    headers = Path(mypyc.common.__file__).parent / "lib-rt"
    include = [f"-I{each}" for each in (sysconfig.get_paths()["include"], headers, target)]

    def one(source: Path) -> str:
        made = str(source.with_suffix(".o"))
        _run([*compiler, *FLAGS, *include, "-c", str(source), "-o", made], "the C compiler failed")
        return made

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        objects = list(pool.map(one, sources))
    _run([*compiler, "-shared", "-s", "-o", str(library), *objects], "the linker failed")


def _entries(target: Path) -> Iterator[str]:
    """How Python gets each module: all in one file, and thus one library."""
    for number, name in enumerate(MODULES):
        # Each defines this second name, which nobody needs.
        yield f"#define PyInit___init__ PyInit___init__{number}\n"
        yield (target / f"{name.replace('.', '/')}.c").read_text("utf-8")
        yield "\n#undef PyInit___init__\n"


def make(root: Path, environ: Mapping[str, str]) -> tuple[Path, float]:
    """The folder of the library for these sources, and the seconds that it took; 0.0: it was there.

    Raises:
        Uncompiled: something is missing, or failed.
    """
    began = time.monotonic()
    package = root / "src" / "pierhead"
    tell, files = runtime(package), closure(package, MODULES)
    there = tell.find(package=package).library
    if there is not None and importlib.util.find_spec("mypy") is None:
        return there.file.parent, 0.0  # nothing here could make a better one
    note = {
        "digest": tell.digest(package, files),
        "files": files,
        "group": f"{GROUP}__mypyc",
        "library": f"{GROUP}.{tell.ABI}.so",
        "made_by": [f"mypy {_mypy_version()}", *FLAGS],
        "modules": MODULES,
    }
    text = json.dumps(note, indent=1) + "\n"
    key = hashlib.sha256(text.encode()).hexdigest()[:16]
    place = package / tell.FOLDER / f"{tell.ABI}-{key}"
    if (place / tell.NOTE).is_file():
        (place / tell.NOTE).touch()  # the last one used
        return place, 0.0
    compiler = c_compiler(environ)
    print("  compiling the gateway (once for these sources; about half a minute)", flush=True)
    place.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=place.parent) as folder:
        target, ready = Path(folder, "c"), Path(folder, "ready")
        target.mkdir()
        ready.mkdir()
        translate(package, target)
        link(target, ready / str(note["library"]), compiler)
        (ready / tell.NOTE).write_text(text, "utf-8")
        if not place.exists():  # another one may have been faster
            ready.rename(place)
    _drop_old(place, tell)
    return place, time.monotonic() - began


def _mypy_version() -> str:
    try:
        return metadata.version("mypy")
    except metadata.PackageNotFoundError:
        raise Uncompiled("mypyc is not installed (make install brings it)") from None


def _drop_old(place: Path, tell: ModuleType) -> None:
    found = [note.parent for note in place.parent.glob(f"{tell.ABI}-*/{tell.NOTE}")]
    found.sort(key=lambda folder: (folder / tell.NOTE).stat().st_mtime, reverse=True)
    for old in found[_KEPT:]:
        shutil.rmtree(old, ignore_errors=True)


def _run(command: list[str], wrong: str, folder: Path | None = None) -> None:
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=_STALLED_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise Uncompiled(f"{wrong}: no end after {_STALLED_SECONDS} s ({command[0]})") from None
    if done.returncode:
        raise Uncompiled(f"{wrong} ({command[0]})", done.stdout.splitlines()[-20:])


def main(arguments: list[str]) -> int:
    """0; with `--strict` 1 where it could not be compiled."""
    if os.environ.get(SWITCH) == "0":
        print(f"pierhead: the gateway is not compiled, as {SWITCH}=0 says ({_GAIN} otherwise)")
        return 0
    try:
        _, seconds = make(ROOT, os.environ)
    except (Uncompiled, OSError) as error:
        print(f"pierhead: the gateway is not compiled: {error}. Compiled it takes {_GAIN}.")
        said = error.said if isinstance(error, Uncompiled) else []
        print("".join(f"    {line}\n" for line in said), end="")
        return 1 if "--strict" in arguments else 0
    took = f"compiled in {seconds:.0f} s" if seconds else "compiled already"
    print(f"pierhead: the gateway is {took}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
