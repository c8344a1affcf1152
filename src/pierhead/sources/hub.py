"""Reads a model's repository on Hugging Face or ModelScope: lists it, and reads ranges of its files.

Files are read from the version that was listed, or not at all, and each has a sum that is checked once
it is here. Only GET is ever asked, over connections whose address was checked (see redirects.py).
"""

import json
import re
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

from pierhead.core.connections import Account
from pierhead.core.hub_files import HubFile, needed
from pierhead.core.manifest import Entry, Manifest, safe
from pierhead.core.mounts import HubSource
from pierhead.sources.addresses import Egress, Http
from pierhead.sources.answers import Answer
from pierhead.sources.hub_apis import api
from pierhead.sources.redirects import Follower, Reached
from pierhead.sources.remote import Changed, Denied, Flaky, Missing, Rejected, RemoteError

_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
_GOOD = frozenset({200, 206})
_WORD = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_RANGE = re.compile(r"bytes (\d{1,19})-\d{1,19}/(\d{1,19}|\*)", re.A)
_SIZE = re.compile(r"\d{1,19}", re.A)
#: Bytes of a file that may come whole where a part was asked for: small ones are not kept in ranges.
_SMALL = 16 * 1024 * 1024


def identity(source: HubSource) -> str:
    """What names its snapshots. Files are told apart by their sums, so a mirror's are the hub's own."""
    return f"hub {source}"


class HubFolder:
    """What a model needs of a repository; see `remote.Remote`. Any number of threads may read at once."""

    def __init__(
        self, source: HubSource, account: Account, current: Callable[[], Account], egress: Egress
    ) -> None:
        """`current` is asked for each question, so that a renewed token is used at once."""
        self._source, self._current = source, current
        self._connection = account.connection
        self._base = account.connection.endpoint.rstrip("/")
        self._api = api(source, self._base)
        self._http = Http(egress)
        self._web = Follower(self._http, self.name)
        self._files: dict[str, HubFile] | None = None  # by key, of the last listing
        self._turn = Lock()
        self._away: dict[str, str] = {}  # key -> where the hub sends those who ask for it

    @property
    def name(self) -> str:
        """As a person writes it."""
        return str(self._source)

    @property
    def identity(self) -> str:
        """What names its snapshots."""
        return identity(self._source)

    def close(self) -> None:
        """End the connections that are kept."""
        self._http.close()

    def listing(self) -> Manifest:
        """The files that a model needs, of the version that the revision is now.

        Raises:
            RemoteError: it cannot be listed.
            Invalid: it holds several models and none is named, or cannot be stored here.
        """
        files = needed(self._api.files(self._ask), self._source.path, self.name)
        if not files:
            raise Missing(self.name, "there are no files of a model in it")
        manifest = safe(Entry(each.key, each.size, each.id, check=each.check) for each in files)
        self._files = {each.key: each for each in files}
        self._away = {}
        return manifest

    def read(self, entry: Entry, start: int, length: int) -> Iterator[bytes]:
        """The bytes from `start` on, in pieces; fewer than `length` when the hub ends early.

        Raises:
            RemoteError: while it is asked, or between two pieces.
        """
        if not length:
            return
        file = self._listed(entry)
        answer = self._opened(file, {"range": f"bytes={start}-{start + length - 1}"})
        try:
            skipped = self._skipped(answer, file, start)
        except RemoteError:
            answer.close()
            raise
        yield from _part(answer, skipped, length)

    def check(self, entry: Entry) -> str:
        """The listing tells what there is."""
        return ""

    def crc64(self, entry: Entry) -> int | None:
        """Hubs tell other sums, and beforehand: see `Entry.check`."""
        return None

    # ---- files ----------------------------------------------------------------------------------

    def _listed(self, entry: Entry) -> HubFile:
        """The file, if the last listing has it in this version; it is listed where it never was."""
        with self._turn:
            if self._files is None:
                self.listing()
            file = (self._files or {}).get(entry.key)
        if file is None or (file.id, file.size) != (entry.etag, entry.size):
            raise Changed(self.name, f"{entry.key} is another one now")
        return file

    def _opened(self, file: HubFile, headers: dict[str, str]) -> Answer:
        """The answer to a question for a part; where the hub sent before is asked first."""
        known = self._away.get(file.key)
        if known is not None:
            answer = self._asked_again(file, known, headers)
            if answer is not None:
                return answer
        reached = self._web.get(self._api.url(file), headers, self._private())
        if reached.answer.status not in _GOOD:
            raise self._refused(reached)
        if self._api.changed(reached.first, file):
            reached.answer.close()
            raise Changed(self.name, f"{file.key} changed since it was listed")
        if reached.away:
            self._away[file.key] = reached.url
        return reached.answer

    def _asked_again(self, file: HubFile, url: str, headers: dict[str, str]) -> Answer | None:
        """None when that address is no good any more: such addresses are made for a while only."""
        try:
            reached = self._web.get(url, headers, {})
        except RemoteError:
            self._away.pop(file.key, None)
            raise
        if reached.answer.status in _GOOD:
            return reached.answer
        reached.answer.close()
        self._away.pop(file.key, None)
        return None

    def _skipped(self, answer: Answer, file: HubFile, start: int) -> int:
        """How many bytes of the answer come before `start`.

        Raises:
            Changed: it is of a file of another size. Rejected: it is another part than was asked for.
        """
        if answer.headers.get("content-encoding", "identity") != "identity":
            raise Rejected(self.name, f"{file.key} comes compressed, which was not asked for")
        told = _RANGE.fullmatch(answer.headers.get("content-range", ""))
        whole = answer.status == 200
        size = answer.headers.get("content-length", "") if whole else told and told[2]
        if size and _SIZE.fullmatch(size) and int(size) != file.size:
            raise Changed(self.name, f"{file.key} has another size than was listed")
        if whole and (file.size <= _SMALL or start == 0):
            return start
        if whole or told is None or int(told[1]) != start:
            raise Rejected(self.name, f"it answers with another range of {file.key}")
        return 0

    # ---- questions ------------------------------------------------------------------------------

    def _private(self) -> dict[str, str]:
        return self._api.private(self._current().keys.token)

    def _ask(self, url: str) -> tuple[Any, dict[str, str]]:
        reached = self._web.get(url, {"accept": "application/json"}, self._private())
        if reached.answer.status != 200:
            raise self._refused(reached)
        try:
            return json.loads(reached.answer.text()), dict(reached.answer.headers)
        except (ValueError, RecursionError) as error:
            why = "its answer is no JSON: is this the address of such a hub?"
            raise Rejected(self.name, why) from error

    def _refused(self, reached: Reached) -> RemoteError:
        """The hub's answer as ours: its status and code, nothing else of its words."""
        status, headers = reached.answer.status, reached.answer.headers
        reached.answer.close()
        code = headers.get("x-error-code", "")
        said = f"{status} {code}" if _WORD.fullmatch(code) else str(status)
        if status in _BUSY:
            wait = headers.get("retry-after", "")
            seconds = min(float(wait), 60.0) if wait.isascii() and wait.isdigit() else 0.0
            return Flaky(self.name, f"the hub answers {said}", wait=seconds)
        if reached.away:  # an address that was made for us a moment ago: the next one may do
            return Flaky(self.name, f"{urlsplit(reached.url).hostname} answers {said}")
        if status in {401, 403}:
            return Denied(self.name, f"{said}: {self._advice(gated=code == 'GatedRepo')}")
        if status in {404, 410}:
            revision = self._source.revision or "its main branch"
            return Missing(self.name, f"{said}: the hub has no such repository, or not {revision}")
        if status == 416:
            return Changed(self.name, "a file is shorter than it was listed")
        return Rejected(self.name, f"the hub refuses the question ({said})")

    def _advice(self, *, gated: bool) -> str:
        """What to do about a refusal."""
        connection = self._connection
        replaced = " --replace" if connection.name else ""
        add = f"`pierhead storage add {connection.kind} {connection.name or 'NAME'}{replaced} --token-stdin`"
        page = f"{self._base}/{self._source.repository}"
        if self._current().keys.token:
            mine = f"the token of the storage connection [{connection.name}] may not read it"
            return f"{mine}: accept its licence at {page} if it has one, or give another with {add}"
        if gated:
            return f"accept its licence at {page}, then give a token that may read it: {add}"
        closed = "there is no such repository, or it is not for everybody"
        return f"{closed}: check its name, accept its licence at {page}, give a token with {add}"


def _part(answer: Answer, skipped: int, length: int) -> Generator[bytes, None, None]:
    """`length` bytes at most, after those that are skipped."""
    left = length
    with closing(answer.pieces()) as pieces:
        for piece in pieces:
            kept = piece[skipped:][:left]
            skipped = max(0, skipped - len(piece))
            left -= len(kept)
            if kept:
                yield kept
            if not left:
                return
