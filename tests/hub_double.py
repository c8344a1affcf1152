"""A test double of both model hubs, Hugging Face and ModelScope, with the file server they send people to.

Two ports on loopback: the hub, and a file server whose addresses carry a signature. Answers are written
from the hubs' public descriptions; hub and file server keep a log of what they were asked, and by whom.
"""

import hashlib
import json
import re
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

REPOSITORY = "org/model"
LARGE = 1000  #: bytes from which on a file is not kept in git

Files = dict[str, bytes]


@dataclass
class Asked:
    """One question."""

    path: str
    headers: dict[str, str]  #: names in lower case


@dataclass
class HubDouble:
    """What the double holds, and how it behaves."""

    commits: dict[str, Files] = field(default_factory=dict[str, Files])
    branch: str = ""  #: the commit that `main` and `master` are
    page: int = 1000
    token: str = ""  #: "" = everybody may read
    gated: bool = False
    #: Answers of the hub that come instead, first in, first out: (part of the path, status, headers).
    instead: list[tuple[str, int, dict[str, str]]] = field(default_factory=list[Any])
    #: Called with each path that the hub is asked for, before it answers.
    before: Callable[[str], None] = lambda _path: None
    cuts: list[int] = field(default_factory=list[int])  #: bytes after which a body ends, once each
    wrong: set[str] = field(
        default_factory=set[str]
    )  #: paths of files that arrive with a bit flipped
    nonsense: bytes = b""  #: what every listing is instead
    announces: bool = True  #: does the hub tell the sum of a file before it is read?
    serves_ranges: bool = True
    signature: int = 0  #: the one that the file server takes
    log: list[Asked] = field(default_factory=list[Asked])
    file_log: list[Asked] = field(default_factory=list[Asked])
    url: str = ""
    files_url: str = ""  #: where people are sent to

    def commit(self, files: Files) -> str:
        """A new commit of the branch."""
        self.branch = hashlib.sha1(repr(sorted(files.items())).encode()).hexdigest()
        self.commits[self.branch] = dict(files)
        return self.branch

    def at(self, revision: str) -> Files | None:
        """The files of a revision."""
        return self.commits.get(self.branch if revision in {"main", "master"} else revision)

    def sent(self, path: str, content: bytes) -> bytes:
        """What arrives of a file."""
        return bytes([content[0] ^ 1]) + content[1:] if path in self.wrong else content


@contextmanager
def serving() -> Generator[HubDouble, None, None]:
    """Both servers, each on a free port."""
    double = HubDouble()

    class Hub(_Hub):
        held = double

    class FileServer(_FileServer):
        held = double

    servers = [ThreadingHTTPServer(("127.0.0.1", 0), each) for each in (Hub, FileServer)]
    double.url, double.files_url = (f"http://127.0.0.1:{each.server_port}" for each in servers)
    threads = [Thread(target=each.serve_forever, args=(0.02,), daemon=True) for each in servers]
    for thread in threads:
        thread.start()
    try:
        yield double
    finally:
        for server, thread in zip(servers, threads, strict=True):
            server.shutdown()
            thread.join()
            server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    held: HubDouble

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def asked(self) -> Asked:
        return Asked(self.path, {name.lower(): value for name, value in self.headers.items()})

    def tell(self, value: Any, headers: dict[str, str] | None = None) -> None:
        self.send(200, self.held.nonsense or json.dumps(value).encode(), headers or {})

    def send(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def content(self, path: str, whole: bytes, headers: dict[str, str]) -> None:
        """A file, or the part of it that is asked for."""
        double = self.held
        found = re.fullmatch(r"bytes=(\d+)-(\d+)?", self.headers.get("Range", ""))
        if found is None or not double.serves_ranges:
            self.send(200, double.sent(path, whole), headers)
            return
        first, last = int(found[1]), min(int(found[2] or len(whole)), len(whole) - 1)
        part = double.sent(path, whole)[first : last + 1]
        told = {"Content-Range": f"bytes {first}-{first + len(part) - 1}/{len(whole)}"}
        if double.cuts and double.cuts[0] < len(part):
            part, length = part[: double.cuts.pop(0)], len(part)
            self.close_connection = True
            told["Content-Length"] = str(length)
        self.send(206, part, {**told, **headers})

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        raise NotImplementedError


class _Hub(_Handler):
    def do_GET(self) -> None:
        double = self.held
        double.log.append(self.asked())
        double.before(self.path)
        if double.instead and double.instead[0][0] in self.path:
            _, status, headers = double.instead.pop(0)
            self.send(status, b"", headers)
        elif double.token and self._token() != double.token:
            code = "GatedRepo" if double.gated else "RepoNotFound"
            self.send(401, b"", {"X-Error-Code": code})
        else:
            self._route(urlsplit(self.path))

    def _token(self) -> str:
        return self.headers.get("Authorization", "").removeprefix("Bearer ")

    def _route(self, target: Any) -> None:
        query = dict(parse_qsl(target.query))
        path = target.path
        for pattern, answer in (
            (rf"/api/models/{REPOSITORY}/revision/(.+)", self._revision),
            (rf"/api/models/{REPOSITORY}/tree/([^/]+)", self._tree),
            (rf"/{REPOSITORY}/resolve/([^/]+)/(.+)", self._resolve),
            (r"/api/resolve-cache/([^/]+)/(.+)", self._cached),
            (rf"/api/v1/models/{REPOSITORY}/repo/files", self._listed),
            (rf"/api/v1/models/{REPOSITORY}/repo", self._repo),
        ):
            found = re.fullmatch(pattern, path)
            if found is not None:
                answer(query, *map(unquote, found.groups()))
                return
        self.send(404, b"", {"X-Error-Code": "RepoNotFound"})

    # ---- Hugging Face -----------------------------------------------------------------------

    def _revision(self, _query: Any, revision: str) -> None:
        files = self.held.at(revision)
        if files is None:
            self.send(404, b"", {"X-Error-Code": "RevisionNotFound"})
            return
        sha = next(sha for sha, held in self.held.commits.items() if held is files)
        siblings = [{"rfilename": path} for path in files]
        self.tell({"id": REPOSITORY, "sha": sha, "siblings": siblings, "tags": []})

    def _tree(self, query: dict[str, str], revision: str) -> None:
        files = self.held.at(revision) or {}
        begin = int(query.get("cursor", 0))
        paths = sorted(files)
        page = paths[begin : begin + self.held.page]
        rows: list[dict[str, Any]] = [
            {"type": "directory", "oid": "d" * 40, "size": 0, "path": "sub"}
        ]
        rows += [_tree_row(path, files[path]) for path in page]
        link: dict[str, str] = {}
        if begin + self.held.page < len(paths):
            cursor = begin + self.held.page
            # Another host, as that of a hub behind its mirror.
            where = f"https://hub.example/api/models/{REPOSITORY}/tree/{revision}"
            link = {"Link": f'<{where}?recursive=true&cursor={cursor}>; rel="next"'}
        self.tell(rows, link)

    def _resolve(self, _query: Any, revision: str, path: str) -> None:
        double = self.held
        content = (double.at(revision) or {}).get(path)
        if content is None:
            self.send(404, b"", {"X-Error-Code": "EntryNotFound"})
            return
        commit = double.branch if revision == "main" else revision
        own = {"X-Repo-Commit": commit, "ETag": f'"{_git(content)}"'}
        if len(content) < LARGE:
            self.send(
                307, b"moved", {**own, "Location": f"/api/resolve-cache/{commit}/{quote(path)}"}
            )
        else:
            self._send_away(path, content, own)

    def _cached(self, _query: Any, revision: str, path: str) -> None:
        content = (self.held.at(revision) or {})[path]
        own = {"ETag": f'"{_git(content)}"', "X-Repo-Commit": revision}
        self.content(path, content, own)

    # ---- ModelScope -------------------------------------------------------------------------

    def _listed(self, query: dict[str, str]) -> None:
        files = self.held.at(query.get("Revision", "master"))
        if files is None:
            self.tell({"Code": 10010205001, "Success": False, "Message": "no", "Data": None})
            return
        rows: list[dict[str, Any]] = [{"Type": "tree", "Path": "sub", "Name": "sub", "Size": 0}]
        rows += [
            {
                "Type": "blob",
                "Path": path,
                "Name": path.rpartition("/")[2],
                "Size": len(content),
                "Sha256": hashlib.sha256(content).hexdigest(),
            }
            for path, content in files.items()
        ]
        self.tell({"Code": 200, "Success": True, "Message": "success", "Data": {"Files": rows}})

    def _repo(self, query: dict[str, str]) -> None:
        content = (self.held.at(query["Revision"]) or {}).get(query["FilePath"])
        if content is None:
            self.send(404)
        elif len(content) < LARGE:
            told = {"X-Linked-Etag": f'"{hashlib.sha256(content).hexdigest()}"'}
            self.content(query["FilePath"], content, told if self.held.announces else {})
        else:
            self._send_away(query["FilePath"], content, {})

    def _send_away(self, path: str, content: bytes, headers: dict[str, str]) -> None:
        double = self.held
        digest = hashlib.sha256(content).hexdigest()
        told = {"X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(len(content))}
        where = f"{double.files_url}/{digest}/{quote(path)}?signature={double.signature}"
        self.send(
            302, b"found", {**headers, **(told if double.announces else {}), "Location": where}
        )


class _FileServer(_Handler):
    def do_GET(self) -> None:
        double = self.held
        double.file_log.append(self.asked())
        target = urlsplit(self.path)
        digest, _, path = unquote(target.path.lstrip("/")).partition("/")
        if dict(parse_qsl(target.query)).get("signature") != str(double.signature):
            self.send(403, b"<Error>expired</Error>")
            return
        content = next(
            content
            for files in double.commits.values()
            for content in files.values()
            if hashlib.sha256(content).hexdigest() == digest
        )
        self.content(path, content, {"ETag": '"of-this-server"'})


def _git(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _tree_row(path: str, content: bytes) -> dict[str, Any]:
    row: dict[str, Any] = {"type": "file", "oid": _git(content), "size": len(content), "path": path}
    if len(content) >= LARGE:
        digest = hashlib.sha256(content).hexdigest()
        row |= {"lfs": {"oid": digest, "size": len(content), "pointerSize": 134}}
    return row
