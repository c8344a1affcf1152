"""Which of a distribution's packages are not installed here; installing them is the operator's."""

import re
import shutil
import subprocess
from collections.abc import Sequence

from pierhead.core.events import Notice

_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+")
_PATIENCE = 30.0  #: seconds


def missing(packages: Sequence[str]) -> tuple[Notice, ...]:
    """A notice when some are missing, or when nobody can say."""
    names = [package.partition("=")[0].strip() for package in packages]
    if not names:
        return ()
    installed = _installed([name for name in names if _NAME.fullmatch(name)])
    if installed is None:
        text = f"Whether {', '.join(names)} are installed cannot be told: there is no dpkg here."
        return (_notice(text),)
    absent = [name for name in names if name not in installed]
    if not absent:
        return ()
    return (
        _notice(
            f"Not installed on this machine: {', '.join(absent)}. The process runtime installs no "
            f"packages of the distribution; if the command needs them: apt-get install {' '.join(absent)}"
        ),
    )


def _notice(text: str) -> Notice:
    return Notice("DistroPackagesNotInstalled", text)


def _installed(names: Sequence[str]) -> set[str] | None:
    program = shutil.which("dpkg-query")
    if program is None:
        return None
    if not names:
        return set()
    # With one unknown name it exits 1 and tells of the others all the same.
    argv = (program, "--show", "--showformat=${Package} ${db:Status-Status}\n", *names)
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PATIENCE, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return None
    lines = (line.split(" ") for line in done.stdout.decode("utf-8", "replace").splitlines())
    return {fields[0] for fields in lines if fields[1:] == ["installed"]}
