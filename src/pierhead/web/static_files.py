"""The console's pages as the build left them: what a browser may have, and how it may keep it.

Everything is read from disk for each request: a page is asked for seldom, and the hub's memory is for
other things. Whatever a browser asks for as a page is the one page of the app, which finds its screen by
the address itself; only paths of the APIs are never pages.
"""

import asyncio
import hashlib
import mimetypes
import re
from dataclasses import dataclass
from pathlib import Path

from starlette.types import Receive, Scope, Send

from pierhead.web.edge import is_local

#: Where the build puts the pages; there is nothing in a checkout that built none.
BUILT = Path(__file__).parent / "static"
_UNBUILT = Path(__file__).with_name("not_built.html")
#: What each page may do: run and load only what came from here, and be part of nothing else.
POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; "
    "object-src 'none'"
)
_ASSETS = "assets"
#: The name of an asset holds a digest of what is in it: it never changes.
_FOREVER = "public, max-age=31536000, immutable"
_ASK_AGAIN = "no-cache"
#: First segments of paths that belong to the APIs, to gateways and to machines that watch.
_APIS = frozenset({"api", "zstack", "openapi", "internal", "healthz", "metrics", "audit"})
#: A segment of a file's path: none that is hidden, leads elsewhere or means something to a file system.
_SEGMENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._@~+-]{0,200}")
#: Types that the operating system's table may lack or tell otherwise.
_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
    ".ico": "image/x-icon",
}
#: Weights below this are no weight at all: `q=0`.
_REFUSED = re.compile(r"0(\.0{0,3})?")

Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class _Answer:
    """A status, headers and a body."""

    status: int
    headers: dict[str, str]
    body: bytes = b""


class Pages:
    """ASGI app of the console's files. Ask `takes` first."""

    def __init__(self, folder: Path = BUILT) -> None:
        """`folder`: with index.html and assets/; it may come, go and be replaced at any time."""
        self._folder = folder

    def takes(self, scope: Scope) -> bool:
        """Is this request for a page or a file of the console, and not for an API?"""
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            return False
        path: str = scope["path"]
        if path == "/":
            return not _is_call(scope)
        segments = path.lstrip("/").split("/")
        if segments[0] == _ASSETS:
            return True
        if segments[0] in _APIS or segments[:2] == ["console", "api"]:
            return False
        return _wants_page(scope) or ("/" not in path[1:] and self._file(path) is not None)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request that `takes` let pass."""
        answer = await asyncio.to_thread(self._answer, scope)
        headers = {**answer.headers, "content-length": str(len(answer.body))}
        if scope["scheme"] == "https" or is_local(_said(scope, b"host")):
            # From elsewhere by plain HTTP browsers ignore it, and call that an error on each page.
            headers["cross-origin-opener-policy"] = "same-origin"
        if answer.status == 304:
            del headers["content-length"]
        raw: Headers = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": answer.status, "headers": raw})
        body = b"" if scope["method"] == "HEAD" else answer.body
        await send({"type": "http.response.body", "body": body})

    def _answer(self, scope: Scope) -> _Answer:
        path: str = scope["path"]
        asset = path.lstrip("/").partition("/")[0] == _ASSETS
        found = self._file(path)
        if found is not None:
            return _of_file(found, scope, forever=asset)
        if asset:
            # No page in its place: a browser would take it for the script that it asked for.
            missing = {"content-type": "text/plain; charset=utf-8", "cache-control": "no-store"}
            return _Answer(404, missing, b"There is no such file: reload the page.\n")
        index = self._file("/index.html")
        if index is not None:
            return _of_file(index, scope, forever=False)
        return _Answer(
            503,
            {"content-type": _TYPES[".html"], "cache-control": "no-store", **_GUARDS},
            _UNBUILT.read_bytes(),
        )

    def _file(self, path: str) -> Path | None:
        """The file of a path, if it is one of ours: no folder, nothing hidden, no link out of here."""
        segments = path.removeprefix("/").split("/")
        if not all(map(_SEGMENT.fullmatch, segments)):
            return None
        try:
            base = self._folder.resolve(strict=True)
            found = base.joinpath(*segments).resolve(strict=True)
        except OSError:
            return None
        return found if found.is_file() and found.is_relative_to(base) else None


_GUARDS = {
    "content-security-policy": POLICY,
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}


def _of_file(path: Path, scope: Scope, *, forever: bool) -> _Answer:
    headers = {
        "content-type": _type_of(path),
        "cache-control": _FOREVER if forever else _ASK_AGAIN,
        "vary": "Accept-Encoding",
        **_GUARDS,
    }
    try:
        content = path.read_bytes()
        packed = path.with_name(f"{path.name}.gz")
        if takes_gzip(_said(scope, b"accept-encoding")) and packed.is_file():
            tag, content = _tag(content), packed.read_bytes()
            headers["content-encoding"] = "gzip"
        else:
            tag = _tag(content)
    except OSError:  # the build puts others in their place just now
        return _Answer(503, {"retry-after": "1", "cache-control": "no-store"})
    if not forever:
        headers["etag"] = tag
        if _has(_said(scope, b"if-none-match"), tag):
            return _Answer(304, headers)
    return _Answer(200, headers, content)


def takes_gzip(accepted: str) -> bool:
    """Does an Accept-Encoding header let an answer be packed with gzip?"""
    weights: dict[str, bool] = {}
    for part in accepted.lower().split(","):
        name, _, rest = part.partition(";")
        weight = rest.partition("q=")[2].strip()
        weights[name.strip()] = not (weight and _REFUSED.fullmatch(weight))
    return weights.get("gzip", weights.get("*", False))


def _tag(content: bytes) -> str:
    """Weak, as the same page goes out packed and unpacked."""
    return f'W/"{hashlib.sha256(content).hexdigest()[:32]}"'


def _has(known: str, tag: str) -> bool:
    bare = tag.removeprefix("W/")
    return any(one.strip().removeprefix("W/") in (bare, "*") for one in known.split(","))


def _type_of(path: Path) -> str:
    known = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0]
    return known or "application/octet-stream"


def _wants_page(scope: Scope) -> bool:
    """Did somebody enter this address, or follow a link? Programs ask for JSON, or for anything."""
    return "text/html" in _said(scope, b"accept").lower()


def _is_call(scope: Scope) -> bool:
    """At `/` calls in RPC style are at home: they name an action, or are signed."""
    names = {name for name, _ in scope["headers"]}
    if names & {b"x-acs-action", b"authorization"}:
        return True
    asked: bytes = scope["query_string"]
    return any(part.partition(b"=")[0] in _CALLS for part in asked.split(b"&"))


_CALLS = (b"Action", b"AccessKeyId", b"Signature")


def _said(scope: Scope, name: bytes) -> str:
    """A header; several of one name count as one."""
    return ",".join(v.decode("latin-1") for k, v in scope["headers"] if k == name)
