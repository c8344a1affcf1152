"""Where a replica sees its files: which paths may be named, and what is told where none can be shown."""

import posixpath
from dataclasses import replace

from pierhead.core.errors import Invalid
from pierhead.core.events import Notice
from pierhead.core.launch import Files
from pierhead.core.templates import Template

_LONGEST = 1023  #: bytes
LEGAL = "an absolute path such as /mnt/model"
#: Trees of the kernel: nothing may be shown in them.
_KERNELS = ("/proc", "/sys", "/dev")
#: Folders that every program needs: something may be shown in them, but not in their place.
_SYSTEM = frozenset(
    {"/bin", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/run", "/sbin", "/tmp", "/usr", "/var"}  # noqa: S108
)


def mount_path(text: str, field: str) -> str:
    """`text` as the path where a replica sees its files, without a slash at the end.

    Raises:
        Invalid: no files can be shown there; it names `field`.
    """
    problem = "" if text.startswith("/") else f"[{text[:200]!a}]"
    if len(text.encode(errors="replace")) > _LONGEST:
        problem = f"it is longer than {_LONGEST} bytes"
    # What does not print would do something to the terminals and logs that show it.
    elif not text.isprintable() or any(part in {".", ".."} for part in text.split("/")):
        problem = f"[{text[:200]!a}] has a part that is no name"
    if problem:
        raise Invalid(field, problem, LEGAL)
    path = posixpath.normpath("/" + text.strip("/"))
    if path == "/":
        raise Invalid(field, "[/] is the whole file system of the replica", LEGAL)
    if path in _SYSTEM or any(within(path, tree) for tree in _KERNELS):
        raise Invalid(field, f"[{path}] is the system's own, which every program needs", LEGAL)
    return path


def within(path: str, folder: str) -> bool:
    """Is `path` the folder itself, or in it? By name: nothing is looked at."""
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")


def moved(path: str, source: str, target: str) -> str:
    """What lies at `path` is seen here when all of `source` is seen at `target`."""
    if not within(path, source):
        return path
    rest = path[len(source.rstrip("/")) :].lstrip("/")
    return posixpath.join(target, rest) if rest else target


def seen_at(files: Files, path: str) -> Files:
    """The files as a replica finds them, when their folder is shown at `path`."""
    return replace(files, folder=path, model=moved(files.model, files.folder, path))


def not_shown(template: Template) -> tuple[Notice, ...]:
    """What the owner should know where files cannot be shown elsewhere than where they lie."""
    path = template.mount_path
    if not path:
        return ()
    why = f"This host cannot show files at the mount path [{path}]: they lie in MODEL_DIR."
    env = (
        Notice(
            "MountPath", f"The variable {name} names {path}, which is not there; read MODEL_DIR."
        )
        for name, value in template.env.items()
        if path in value
    )
    return (Notice("MountPath", why), *env)
