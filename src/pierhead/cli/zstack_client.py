"""A small signed client of a hub's ZStack API; it finds endpoint and key as the EAS client does."""

import base64
import hashlib
import hmac
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from email.utils import formatdate
from http import HTTPStatus
from typing import cast
from urllib.parse import quote, urlencode

from pierhead.cli.client import Access, HubRefused, Json, NoAnswer, exchange

#: Everything of this dialect lies below it; the signature covers the path after it.
ROOT = "/zstack"
PAGE = 500
#: Seconds between looks at a job that is not done.
PERIOD = 0.2

#: Conditions as the wire spells them, e.g. `name=chat`.
Conditions = Sequence[str]


class ZstackRefused(HubRefused):
    """The hub answered with an error; `code` is its wire code, or its HTTP status without one."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(status, code, message, "")
        self.args = (f"{message or 'The hub gave no reason.'} ({code})",)


def signature(secret: str, method: str, date: str, path: str) -> str:
    """What stands behind `ZStack <key id>:`. `path` is the one after /zstack, without its query."""
    text = f"{method}\n{date}\n{path}".encode()
    # The wire knows no other algorithm.
    return base64.b64encode(hmac.new(secret.encode(), text, hashlib.sha1).digest()).decode()


def item(*parts: str) -> str:
    """A path of several segments, each encoded: `item("ai/models", uuid)`."""
    head, *rest = parts
    return "/".join([head, *(quote(part, safe="") for part in rest)])


class ZstackClient:
    """Calls APIs by method and path below `/zstack/v1/`; follows jobs to their end.

    Raises (every method):
        NoAnswer: nothing answers at the endpoint, or not in time.
        ZstackRefused: the hub answered with an error.
    """

    def __init__(
        self,
        access: Access,
        timeout: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._access = access
        self._timeout = timeout
        self._clock, self._sleep = clock, sleep

    @property
    def access(self) -> Access:
        """The hub that is called, and the key."""
        return self._access

    def post(self, path: str, wrapper: str, body: Mapping[str, object]) -> Json:
        """Creates something; `wrapper` is the key that the parameters stand under."""
        return self._call("POST", path, body={wrapper: body})

    def put(self, path: str, action: str, body: Mapping[str, object]) -> Json:
        """Does an action to something."""
        return self._call("PUT", path, body={action: body})

    def delete(self, path: str, query: Mapping[str, str] | None = None) -> Json:
        """Removes something."""
        return self._call("DELETE", path, list((query or {}).items()))

    def rows(self, path: str, conditions: Conditions = ()) -> Iterator[Json]:
        """All objects that meet all conditions, page by page."""
        start = 0
        while True:
            page = self.page(path, conditions, start=start, limit=PAGE)
            yield from page
            start += len(page)
            if len(page) < PAGE:
                return

    def page(
        self, path: str, conditions: Conditions = (), *, start: int = 0, limit: int = PAGE
    ) -> list[Json]:
        """Objects from `start` on, `limit` at most, oldest first."""
        asked = [("q", text) for text in conditions]
        asked += [("start", str(start)), ("limit", str(limit))]
        return cast("list[Json]", self._call("GET", path, asked)["inventories"])

    def _call(
        self,
        method: str,
        path: str,
        query: Sequence[tuple[str, str]] = (),
        body: Mapping[str, object] | None = None,
    ) -> Json:
        status, answer = self._once(method, f"/v1/{path}", query, body)
        if status != HTTPStatus.ACCEPTED:
            return _read(status, answer)
        return self._result(_read(HTTPStatus.OK, answer))

    def _result(self, accepted: Json) -> Json:
        """The final answer of a job; its id is the end of `location`, whatever host stands in it."""
        job = str(accepted.get("location", "")).rpartition("/")[2]
        until = self._clock() + float(accepted.get("apiTimeout", 0)) / 1000
        while True:
            status, answer = self._once("GET", item("/v1/api-jobs", job), (), None)
            if status != HTTPStatus.ACCEPTED:
                return _read(status, answer)
            if self._clock() >= until:
                raise NoAnswer(f"The hub took up the call, but job {job} does not end.")
            self._sleep(PERIOD)

    def _once(
        self,
        method: str,
        path: str,
        query: Sequence[tuple[str, str]],
        body: Mapping[str, object] | None,
    ) -> tuple[int, bytes]:
        content = b"" if body is None else json.dumps(body, ensure_ascii=False).encode()
        date = formatdate(usegmt=True)
        key = self._access.key
        headers = {
            "Accept": "application/json",
            "User-Agent": "pierhead-cli",
            "Date": date,
            "Authorization": f"ZStack {key.id}:{signature(key.secret, method, date, path)}",
        }
        if content:
            headers["Content-Type"] = "application/json; charset=utf-8"
        target = ROOT + path + (f"?{urlencode(query)}" if query else "")
        base = self._access.endpoint.removesuffix(ROOT)
        certificate = self._access.certificate
        return exchange(
            base, method, target, content, headers, timeout=self._timeout, certificate=certificate
        )


def _read(status: int, answer: bytes) -> Json:
    try:
        found = json.loads(answer)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        text = re.sub(r"\s+", " ", answer.decode("utf-8", "replace")).strip()[:500]
        if status == HTTPStatus.OK:
            raise ZstackRefused(status, "NoJson", "What answers there is no Pierhead hub.")
        raise ZstackRefused(status, str(status), text)
    document = cast("Json", found)
    if status != HTTPStatus.OK:
        error = cast("Json", document.get("error") or {})
        said = str(error.get("details") or error.get("description") or "")
        raise ZstackRefused(status, str(error.get("code", status)), said)
    return document
