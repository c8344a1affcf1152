"""Makes the image of `Containerfile`: python scripts/build_image.py --tag registry.example/pierhead:1

The wheels are those of uv.lock, checked against its digests, for the base's Python; ours is built
here. With `--base debian-packages` the base itself is made from Debian's packages by mmdebstrap, so
no image registry is needed. PIERHEAD_COMPILE=1 compiles the gateway, which takes the base's Python here.
"""

import argparse
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent
RELEASE = "bookworm"
#: Python and glibc of that release.
PYTHON, GLIBC = "3.11", 36
OWN_BASE = "debian-packages"
OWN_BASE_TAG = f"localhost/pierhead-base:{RELEASE}"
EXTRAS = ("postgres", "kubernetes", "oss")
#: As Containerfile adds them to a base without.
PACKAGES = ("ca-certificates", "libgomp1", "libstdc++6", "python3")
_LEFT_OUT = ("doc", "info", "locale", "man")
_UV = Path(sys.executable).with_name("uv")


class Failed(Exception):
    """A step did not work; its text says which."""


def run(*command: str | Path) -> None:
    """Run one step, its output shown.

    Raises:
        Failed: the program is missing, or ended with an error.
    """
    words = [str(word) for word in command]
    print("+", " ".join(words), flush=True)
    if shutil.which(words[0]) is None:
        raise Failed(f"{words[0]} is not installed")
    ended = subprocess.run(words, cwd=ROOT, check=False)
    if ended.returncode:
        raise Failed(f"{Path(words[0]).name} {words[1]} ended with {ended.returncode}")


def platforms(machine: str) -> list[str]:
    """Tags of wheels that the base can use, by pip's names."""
    tags = [f"manylinux_2_{minor}_{machine}" for minor in range(5, GLIBC + 1)]
    return [*tags, *(f"manylinux{name}_{machine}" for name in ("2014", "2010", "1"))]


def collect(wheels: Path, machine: str) -> None:
    """Lay all wheels and the list of them with their digests into a folder.

    Raises:
        Failed: one cannot be had.
    """
    wheels.mkdir()
    listed = wheels / "requirements.txt"
    extras = [word for extra in EXTRAS for word in ("--extra", extra)]
    export = (_UV, "export", "--frozen", "--quiet", "--no-emit-project", "--no-default-groups")
    run(*export, *extras, "--output-file", listed)
    tags = [f"--platform={tag}" for tag in platforms(machine)]
    binary = ("--only-binary=:all:", "--implementation=cp", f"--python-version={PYTHON}")
    pip = (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", f"--dest={wheels}")
    run(*pip, *binary, *tags, "--require-hashes", f"--requirement={listed}")
    run(*pip, *binary, *tags, "pip")
    run(_UV, "build", "--quiet", "--wheel", "--out-dir", wheels, ROOT)


def make_base(tool: str, folder: Path) -> str:
    """Make the base from Debian's packages; returns its tag.

    Raises:
        Failed: mmdebstrap is missing, or a package cannot be had.
    """
    archive = folder / "base.tar"
    less = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in _LEFT_OUT]
    wanted = f"--include={','.join(PACKAGES)}"
    run("mmdebstrap", "--quiet", "--variant=essential", wanted, *less, RELEASE, archive)
    run(tool, "import", "--quiet", archive, OWN_BASE_TAG)
    return OWN_BASE_TAG


def build(options: argparse.Namespace) -> None:
    """Make the image, and a file of it if one is wanted.

    Raises:
        Failed: a step did not work.
    """
    with TemporaryDirectory(prefix="pierhead-image-") as made:
        folder = Path(made)
        context = folder / "context"
        context.mkdir()
        collect(context / "wheels", platform.machine())
        shutil.copy(ROOT / "Containerfile", context)
        base, more = options.base, list(options.build_option)
        if base == OWN_BASE:
            # It has all that is needed: nothing is fetched in the build.
            base, more = make_base(options.tool, folder), ["--network=none", *more]
        argument = [f"--build-arg=BASE={base}"] if base else []
        run(options.tool, "build", "--tag", options.tag, *argument, *more, context)
    if options.output:
        options.output.unlink(missing_ok=True)  # tools add to an archive that is there
        run(options.tool, "save", "--output", options.output, options.tag)


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the flags, make the image, and say in one line what went wrong."""
    summary = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(description=summary)
    parser.add_argument("--tag", default="localhost/pierhead:latest")
    about = f"image to build on; {OWN_BASE} = made here; else as Containerfile has it"
    parser.add_argument("--base", default="", help=about)
    parser.add_argument("--tool", default="podman", help="podman or docker")
    parser.add_argument("--output", type=Path, help="save the image to this archive, too")
    more = "passed to the tool's build, such as --build-option=--isolation=chroot"
    parser.add_argument("--build-option", action="append", default=[], help=more)
    options = parser.parse_args(arguments)
    os.umask(0o022)  # the image's user must be able to read its files
    try:
        build(options)
    except Failed as problem:
        print(f"build_image: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
