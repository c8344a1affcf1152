"""Finds a path of a network file system where it is mounted, or mounts it first.

Everything here touches a file system that may hang: it runs in threads nobody waits for.
"""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pierhead.core.connections import Connection, export
from pierhead.core.mounts import NasSource
from pierhead.sources.remote import Denied, Flaky, Missing

_MOST_FILES = 100_000
_MOUNT_SECONDS = 60.0
#: What the vendor recommends for its file systems, read-only.
_OPTIONS = "ro,nolock,proto=tcp,hard,timeo=600,retrans=2,noresvport,rsize=1048576"


def folder(root: Path, source: NasSource) -> Path:
    """The file or folder that a source names below the mounted root.

    Raises:
        Missing: it is not there.
        Denied: it, or something in it, is a link that leads out of the root.
        OSError: it cannot be looked at.
    """
    top = Path(os.path.realpath(root))
    if not top.is_dir():
        raise Missing(str(source), f"{root} is not there: is it mounted?")
    found = Path(os.path.realpath(top / source.path.lstrip("/")))
    if not found.is_relative_to(top):
        raise Denied(str(source), f"its path leads out of {root}")
    if not found.exists():
        raise Missing(str(source), f"there is no {source.path} below {root}")
    for link in _links(found):
        if not Path(os.path.realpath(link)).is_relative_to(top):
            name = ascii(str(link.relative_to(found))[:200])
            raise Denied(str(source), f"the link {name} in it leads out of {root}")
    return found


def _links(found: Path) -> Iterator[Path]:
    """Every link below, without following any that leads to a folder."""
    if found.is_file():
        return
    count = 0
    for top, folders, files in os.walk(found, followlinks=False):
        for name in (*folders, *files):
            count += 1
            if count > _MOST_FILES:
                raise Denied(str(found), f"it holds more than {_MOST_FILES} files: name a folder")
            path = Path(top, name)
            if path.is_symlink():
                yield path


def mounted(connection: Connection, mounts: Path) -> Path:
    """The connection's export, mounted read-only below `mounts`; mounted already is fine.

    Raises:
        Flaky: it cannot be mounted.
        OSError: the folder for it cannot be made.
    """
    point = mounts / connection.name
    if os.path.ismount(point):
        return point
    point.mkdir(mode=0o700, parents=True, exist_ok=True)
    what = f"The mount of {connection.serves}"
    options: dict[str, Any] = {"stdin": subprocess.DEVNULL, "capture_output": True}
    try:
        done = subprocess.run(
            mount_command(connection, point),
            check=False,
            timeout=_MOUNT_SECONDS,
            text=True,
            errors="replace",
            **options,
        )
    except subprocess.TimeoutExpired as error:
        raise Flaky(what, f"{connection.nfs} does not answer") from error
    except OSError as error:
        raise Flaky(what, f"the command mount: {error.strerror or error}") from error
    if done.returncode:
        said = " ".join(done.stderr.split())[-300:] or f"mount ended with {done.returncode}"
        raise Flaky(what, said)
    return point


def mount_command(connection: Connection, point: Path) -> list[str]:
    """What mounts the connection's export at `point`."""
    found = export(connection.nfs)
    version = "4.0" if found.version == 4 else "3"
    options = f"vers={version},{_OPTIONS},port={found.port}"
    return ["mount", "-t", "nfs", "-o", options, f"{found.host}:{found.path or '/'}", str(point)]
