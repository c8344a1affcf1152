"""How the two hubs are asked: for the files of a repository, and for one of these files.

Hugging Face names a commit for a branch, and everything is read from that commit. ModelScope lists a
branch with the sha256 of each file; what the branch holds later has another one.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol, cast
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from pierhead.core.hub_files import HubFile
from pierhead.core.manifest import MOST_OBJECTS
from pierhead.core.mounts import HubSource
from pierhead.sources.remote import Missing, Rejected

#: Asks for an address; (the JSON of the answer, its headers in lower case).
Ask = Callable[[str], tuple[Any, Mapping[str, str]]]

_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NEXT = re.compile(r'<([^<>]{1,4096})>\s*;\s*rel="?next"?')
#: ModelScope says no more than so many files of a repository, and not that there are more.
_TRUNCATED = 3000


class Api(Protocol):
    """One hub's way."""

    def files(self, ask: Ask) -> list[HubFile]:
        """All files of the repository.

        Raises:
            RemoteError: it cannot be listed.
        """
        ...

    def url(self, file: HubFile) -> str:
        """Where a file of the last listing is asked for."""
        ...

    def private(self, token: str) -> dict[str, str]:
        """The headers that prove who asks."""
        ...

    def changed(self, headers: Mapping[str, str], file: HubFile) -> bool:
        """Do the headers of the hub's answer tell of another version than the one that was listed?"""
        ...


class HuggingFace:
    """Hugging Face, and mirrors that speak as it does."""

    def __init__(self, source: HubSource, base: str) -> None:
        """`base`: URL of the hub, without a slash at the end."""
        self._source = source
        self._page = f"{base}/{source.repository}"
        self._api = f"{base}/api/models/{source.repository}"
        self._commit = ""

    def files(self, ask: Ask) -> list[HubFile]:
        """All files of the commit that the revision is now."""
        name = str(self._source)
        told, _ = ask(f"{self._api}/revision/{_quoted(self._source.revision or 'main')}")
        commit = str(_field(told, "sha"))
        if _COMMIT.fullmatch(commit) is None:
            raise Rejected(name, "it names no commit: is this the address of such a hub?")
        found: list[HubFile] = []
        asked: set[str] = set()
        query = "recursive=true"
        while query:
            if query in asked or len(found) > MOST_OBJECTS:
                raise Rejected(name, "its listing does not end")
            asked.add(query)
            rows, headers = ask(f"{self._api}/tree/{commit}?{query}")
            found.extend(
                _hugging_face_file(row, name) for row in _rows(rows, name) if _is_file(row)
            )
            query = _next_page(headers.get("link", ""))
        self._commit = commit
        return found

    def url(self, file: HubFile) -> str:
        """Of the commit, whatever the branch is by now."""
        return f"{self._page}/resolve/{self._commit}/{quote(file.path)}"

    def private(self, token: str) -> dict[str, str]:
        """A bearer token."""
        return {"authorization": f"Bearer {token}"} if token else {}

    def changed(self, headers: Mapping[str, str], file: HubFile) -> bool:
        """A mirror may answer with what the branch is now."""
        commit = headers.get("x-repo-commit", self._commit)
        return commit != self._commit or _other_content(headers, file)


class ModelScope:
    """ModelScope."""

    def __init__(self, source: HubSource, base: str) -> None:
        """`base`: URL of the hub, without a slash at the end."""
        self._source = source
        self._repo = f"{base}/api/v1/models/{source.repository}/repo"
        self._revision = _quoted(source.revision or "master")

    def files(self, ask: Ask) -> list[HubFile]:
        """All files of the branch, with their sums."""
        name = str(self._source)
        told, _ = ask(f"{self._repo}/files?Revision={self._revision}&Recursive=True")
        data = _field(told, "Data")
        if _field(told, "Success") is False or data is None:
            code = _field(told, "Code")
            raise Missing(name, f"the hub knows no such files (code {str(code)[:40]!a})")
        rows = [row for row in _rows(_field(data, "Files"), name) if _field(row, "Type") != "tree"]
        if len(rows) >= _TRUNCATED:
            raise Rejected(name, f"it has more files than the hub lists, which are {_TRUNCATED}")
        return [_model_scope_file(row, name) for row in rows]

    def url(self, file: HubFile) -> str:
        """Of the branch; what is there by then must have the sum that was listed."""
        return f"{self._repo}?Revision={self._revision}&FilePath={_quoted(file.path)}"

    def private(self, token: str) -> dict[str, str]:
        """A bearer token, which older parts of the hub want as a cookie."""
        if not token:
            return {}
        return {"authorization": f"Bearer {token}", "cookie": f"m_session_id={token}"}

    def changed(self, headers: Mapping[str, str], file: HubFile) -> bool:
        """The hub tells the content's sum beforehand."""
        return _other_content(headers, file)


def api(source: HubSource, base: str) -> Api:
    """The way of a source's hub, at this URL."""
    return HuggingFace(source, base) if source.hub == "huggingface" else ModelScope(source, base)


def _hugging_face_file(row: Any, name: str) -> HubFile:
    """Large files have a sha256, those that are kept in git have git's own sum."""
    path, large = _field(row, "path"), _field(row, "lfs")
    size = _field(large, "size") if large else _field(row, "size")
    oid = str(_field(large or row, "oid"))
    kind, pattern = ("sha256", _SHA256) if large else ("git", _COMMIT)
    legal = isinstance(path, str) and type(size) is int and pattern.fullmatch(oid)
    if not legal:
        raise Rejected(name, "its listing holds a file without a name, a size or a sum")
    return HubFile(path, size, oid, f"{kind}:{oid}")


def _model_scope_file(row: Any, name: str) -> HubFile:
    path, size, oid = _field(row, "Path"), _field(row, "Size"), str(_field(row, "Sha256")).lower()
    legal = isinstance(path, str) and type(size) is int and _SHA256.fullmatch(oid)
    if not legal:
        raise Rejected(name, "its listing holds a file without a name, a size or a sum")
    return HubFile(path, size, oid, f"sha256:{oid}")


def _is_file(row: Any) -> bool:
    return _field(row, "type") == "file"


def _rows(value: Any, name: str) -> list[Any]:
    if isinstance(value, list):
        return cast("list[Any]", value)
    raise Rejected(name, "its answer is no listing: is this the address of such a hub?")


def _field(value: Any, name: str) -> Any:
    """A field of a JSON object; None where it has none, or is no object."""
    return cast("dict[str, Any]", value).get(name) if isinstance(value, dict) else None


def _next_page(link: str) -> str:
    """The query of the next page; its host is not asked, since a mirror may name another than itself."""
    found = _NEXT.search(link)
    return urlencode(parse_qsl(urlsplit(found[1]).query)) if found else ""


def _other_content(headers: Mapping[str, str], file: HubFile) -> bool:
    """Does the hub announce another file, by the sum of its content?"""
    told = headers.get("x-linked-etag", "").removeprefix("W/").strip('"')
    return len(told) == len(file.id) and told != file.id


def _quoted(text: str) -> str:
    return quote(text, safe="")
