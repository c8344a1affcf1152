"""Where the files of a center, model, template or dataset lie on this machine. Pure: nothing is looked at.

A path is relative to its center's root, or absolute. A root that is no folder of this machine
(`host:/export`) gives no path: nothing here can reach it. What names a store or a hub (`oss://...`,
`hf://...`) lies nowhere here either, whatever its center is.
"""

import posixpath
from collections.abc import Iterable
from urllib.parse import unquote

from pierhead.core.errors import Forbidden, Invalid
from pierhead.core.mounts import remote_source
from pierhead.core.principals import Principal
from pierhead.core.registry import ModelCenter

_FILE = "file://"


def root(center: ModelCenter) -> str | None:
    """The center's root as an absolute path, None when it is no folder of this machine."""
    return local(center.url)


def local(url: str) -> str | None:
    """`file:///path` or `/path` as an absolute path, None for any other address."""
    path = unquote(url[len(_FILE) :]) if url.startswith(_FILE) else url
    return posixpath.normpath(path) if path.startswith("/") else None


def resolve(center: ModelCenter, path: str) -> str | None:
    """`path` as an absolute path; None when it is empty, steps upwards or has no root here."""
    if not path or ".." in path.split("/") or _is_remote(path):
        return None
    if path.startswith("/"):
        return posixpath.normpath(path)
    base = root(center)
    return None if base is None else posixpath.normpath(posixpath.join(base, path))


def inside(path: str, roots: Iterable[str]) -> bool:
    """Is the absolute `path` one of `roots`, or below one?"""
    clean = posixpath.normpath(path)
    return any(
        clean == base or clean.startswith(base.rstrip("/") + "/")
        for base in map(posixpath.normpath, roots)
    )


def check(
    actor: Principal, center: ModelCenter, path: str, allowed: Iterable[str], field: str
) -> None:
    """Refuse a path that leads out of where `actor` may have files. Whether it exists is not asked.

    What lies in a store or on a hub is for everybody: its storage connection decides.

    Raises:
        Invalid: it steps upwards, or is no path; the message names `field`.
        Forbidden: it is absolute, outside the center's root and the allowed ones, and `actor` is
            not the account itself.
    """
    if remote_source(path, field) is not None:
        return
    if "\0" in path or ".." in path.split("/"):
        raise Invalid(field, f"[{path[:80]}] steps upwards", "a path without `..`")
    if actor.admin or not path.startswith("/"):
        return
    base = root(center)
    if not inside(path, [*allowed, *([] if base is None else [base])]):
        raise Forbidden("use files of this machine", f"[{path[:255]}]: it is outside the center")


def _is_remote(path: str) -> bool:
    try:
        return remote_source(path) is not None
    except Invalid:  # it was stored before such were refused: it is no path here either
        return True


def check_root(actor: Principal, url: str, allowed: Iterable[str]) -> None:
    """Refuse a root that `actor` may not have.

    Raises:
        Invalid: it steps upwards, or is a file URL without an absolute path.
        Forbidden: it is a folder of this machine outside the allowed ones, and `actor` is not the
            account itself.
    """
    path = local(url)
    if url.startswith(_FILE) and path is None:
        raise Invalid("url", f"[{url[:80]}]", "file:///absolute/path or host:/export")
    if "\0" in url or ".." in unquote(url).split("/"):
        raise Invalid("url", f"[{url[:80]}] steps upwards", "an address without `..`")
    if path is not None and not actor.admin and not inside(path, allowed):
        raise Forbidden("use files of this machine", f"[{url[:255]}]")
