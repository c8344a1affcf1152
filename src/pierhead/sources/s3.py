"""Reads a folder of a store that speaks S3: lists it and reads ranges, signed with AWS's version 4.

Only GET and HEAD are ever asked, over connections whose address was checked (see addresses.py).
"""

import hashlib
import hmac
import re
import time
import xml.etree.ElementTree as Xml
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from email.utils import parsedate_to_datetime
from typing import Literal
from urllib.parse import quote, unquote_plus

from pierhead.core.connections import Account, Connection
from pierhead.core.ids import Clock
from pierhead.core.manifest import Entry, Manifest, safe
from pierhead.sources.addresses import Egress, Endpoint, Http, endpoint
from pierhead.sources.answers import Answer
from pierhead.sources.pages import all_pages
from pierhead.sources.remote import Changed, Denied, Flaky, Missing, Rejected, RemoteError
from pierhead.sources.s3_sums import told as told_sum

_EMPTY = hashlib.sha256(b"").hexdigest()
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
_SKEWED = "RequestTimeTooSkewed"
#: Clouds that want the bucket in the host name; others may not have a name for each bucket.
_BUCKET_IN_HOST = (".aliyuncs.com", ".amazonaws.com")
_PAGE = 1000
Method = Literal["GET", "HEAD"]
_WORD = re.compile(r"[A-Za-z0-9._/+=-]{1,80}")


class S3Remote:
    """`s3://bucket/prefix/` behind a connection; any number of threads may read at once."""

    def __init__(
        self,
        connection: Connection,
        prefix: str,
        account: Callable[[], Account],
        egress: Egress,
        clock: Clock,
    ) -> None:
        """`account` is asked for each request, so that a renewed token is used at once."""
        self._connection = connection
        self._prefix = prefix.strip("/")
        self._single = False  # is the prefix the name of an object?
        self._account = account
        self._clock = clock
        self._place = endpoint(connection.endpoint)
        self._http = Http(egress)

    @property
    def name(self) -> str:
        """As a person knows it."""
        return f"s3://{self._connection.bucket}/{self._prefix}{'/' if self._prefix else ''}"

    @property
    def identity(self) -> str:
        """What names its snapshots."""
        return f"s3 {self._place.url} {self._connection.bucket} {self._prefix}"

    def listing(self) -> Manifest:
        """All objects below the prefix, or the one of this name.

        Raises:
            RemoteError: it cannot be listed.
            Invalid: what it holds cannot be stored here.
        """
        found = all_pages(self.name, self._listed)
        if not found:
            raise Missing(self.name, "there are no objects below it")
        below = [entry for entry in found if entry.key]
        self._single = not below
        return safe(below or [replace(found[0], key=self._prefix.rpartition("/")[2])])

    def read(self, entry: Entry, start: int, length: int) -> Iterator[bytes]:
        """The bytes from `start` on, in pieces; fewer than `length` when the store ends early.

        Raises:
            RemoteError: while it is asked, or between two pieces.
        """
        if not length:
            return
        headers = {"range": f"bytes={start}-{start + length - 1}"}
        if entry.etag:
            headers["if-match"] = f'"{entry.etag}"'
        answer = self._ask("GET", self._key(entry), {}, headers)
        _right_range(answer, self.name, start)
        yield from answer.pieces()

    def crc64(self, entry: Entry) -> int | None:
        """S3 tells no CRC-64/XZ."""
        return None

    def check(self, entry: Entry) -> str:
        """What the object's head tells, see `s3_sums`; a listing would not say how it is encrypted."""
        headers = {"x-amz-checksum-mode": "ENABLED"}
        if entry.etag:
            headers["if-match"] = f'"{entry.etag}"'
        try:
            answer = self._ask("HEAD", self._key(entry), {}, headers)
        except (Denied, Missing, Rejected):
            return ""  # whether the object can be had, its own GET says
        answer.close()
        return told_sum(answer.headers, entry.etag)

    def close(self) -> None:
        """End the connections that are kept."""
        self._http.close()

    def _listed(self, token: str) -> tuple[list[Entry], str]:
        query = {"list-type": "2", "max-keys": str(_PAGE), "prefix": self._prefix}
        query |= {"encoding-type": "url"} | ({"continuation-token": token} if token else {})
        page = _page_of(self._ask("GET", "", query, {}).text(), self.name)
        return list(page.below(self._prefix)), page.next

    def _key(self, entry: Entry) -> str:
        return self._prefix if self._single else f"{self._prefix}/{entry.key}".lstrip("/")

    def _ask(
        self, method: Method, key: str, query: Mapping[str, str], headers: Mapping[str, str]
    ) -> Answer:
        host, path = self._where(key)
        text = "&".join(f"{_quoted(name)}={_quoted(query[name])}" for name in sorted(query))
        request = Request(host.netloc, path, text, headers, method)
        signed = {**headers, **self._signed(request)}
        url = f"{host.url}{path}" + (f"?{text}" if text else "")
        answer = self._http.send(method, url, signed)
        if answer.status in {200, 206}:
            return answer
        raise self._refused(answer)

    def _where(self, key: str) -> tuple[Endpoint, str]:
        bucket = self._connection.bucket
        path = quote(key, safe="/-._~")
        if self._place.host.endswith(_BUCKET_IN_HOST) and "." not in bucket:
            host = f"{bucket}.{self._place.host}"
            return Endpoint(self._place.scheme, host, self._place.port), f"/{path}"
        return self._place, f"/{bucket}/{path}" if path else f"/{bucket}"

    def _signed(self, request: "Request") -> dict[str, str]:
        """The headers that prove who asks."""
        account = self._account()
        connection, keys = account.connection, account.keys
        if not connection.access_key_id:
            return {}
        now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self._clock()))
        own = {"x-amz-date": now, "x-amz-content-sha256": _EMPTY}
        own |= {"x-amz-security-token": keys.token} if keys.token else {}
        request = replace(request, headers={**request.headers, **own})
        scope = Scope(connection.access_key_id, keys.secret, connection.region, now)
        return {**own, "authorization": authorization(request, scope)}

    def _refused(self, answer: Answer) -> RemoteError:
        status, headers = answer.status, answer.headers
        told = _error_of(answer.text())
        code = _word(told.get("Code"))
        request = _word(told.get("RequestId")) or _word(headers.get("x-amz-request-id"))
        why = f"{status} {code}".rstrip() + (f" (request {request})" if request else "")
        bucket = self._connection.bucket
        if code == _SKEWED:
            return Denied(self.name, f"{why}: {self._skew(headers)}")
        if status in {401, 403}:
            name = self._connection.name
            advice = f"check the access key of the storage connection [{name}] and its rights"
            return Denied(self.name, f"{why}: {advice}")
        if status == 404:
            gone = f"there is no bucket {bucket}" if code == "NoSuchBucket" else "it is not there"
            return Missing(self.name, f"{why}: {gone}")
        if status == 412:
            return Changed(self.name, "an object changed while it was read")
        if status in _BUSY:
            return Flaky(self.name, why, wait=_seconds(headers.get("retry-after", "")))
        region = _word(headers.get("x-amz-bucket-region"))
        hint = f": the bucket is in the region {region}" if region else ""
        return Rejected(self.name, f"{why}{hint}")

    def _skew(self, headers: Mapping[str, str]) -> str:
        try:
            theirs = parsedate_to_datetime(headers.get("date", "")).timestamp()
        except (ValueError, TypeError):
            return "this machine's clock is wrong"
        return f"this machine's clock is off by {self._clock() - theirs:+.0f} s"


@dataclass(frozen=True, slots=True)
class Request:
    """What of a request is signed; `path` and `query` as they travel, header names in lower case."""

    host: str
    path: str
    query: str
    headers: Mapping[str, str]
    method: Method = "GET"


@dataclass(frozen=True, slots=True)
class Scope:
    """Who signs, for which region, when (`20260102T030405Z`)."""

    key: str
    secret: str = field(repr=False)
    region: str
    at: str


def authorization(request: Request, scope: Scope) -> str:
    """The Authorization header of a request without a body, as "Signature Version 4" of S3's reference describes it."""
    headers = {**request.headers, "host": request.host}
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{headers[name].strip()}\n" for name in sorted(headers))
    canonical = f"{request.method}\n{request.path}\n{request.query}\n{lines}\n{names}\n{_EMPTY}"
    day = scope.at[:8]
    where = f"{day}/{scope.region}/s3/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{scope.at}\n{where}\n{digest}"
    key = f"AWS4{scope.secret}".encode()
    for part in (day, scope.region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    return f"AWS4-HMAC-SHA256 Credential={scope.key}/{where},SignedHeaders={names},Signature={signature}"


@dataclass(frozen=True, slots=True)
class _Page:
    """One page of a listing."""

    found: tuple[tuple[str, int, str], ...]  #: (key, bytes, etag)
    next: str

    def below(self, prefix: str) -> Iterator[Entry]:
        """Objects below the prefix; the one that is called like it has an empty key."""
        folder = f"{prefix}/" if prefix else ""
        for key, size, etag in self.found:
            if key == prefix or (key.startswith(folder) and key != folder):
                yield Entry(key.removeprefix(folder) if key != prefix else "", size, etag)


def _page_of(text: bytes, name: str) -> _Page:
    try:
        root = Xml.fromstring(text)  # noqa: S314 - expat expands no external entity, and bounds others
    except (Xml.ParseError, ValueError, LookupError) as error:
        raise Rejected(
            name, "its listing is no XML: is this the address of an S3 store?"
        ) from error
    space = root.tag.partition("}")[0] + "}" if root.tag.startswith("{") else ""
    if root.tag != f"{space}ListBucketResult":
        raise Rejected(name, "it answers with no listing: is this the address of an S3 store?")
    # Which is what was asked for; a store that does not know the wish leaves it out.
    encoded = root.findtext(f"{space}EncodingType") == "url"
    try:
        found = tuple(
            _object(each, space, encoded=encoded) for each in root.iter(f"{space}Contents")
        )
    except ValueError as error:
        raise Rejected(name, "its listing holds an object without a size") from error
    more = root.findtext(f"{space}IsTruncated") == "true"
    return _Page(found, (root.findtext(f"{space}NextContinuationToken") or "") if more else "")


def _object(each: Xml.Element, space: str, *, encoded: bool) -> tuple[str, int, str]:
    key = each.findtext(f"{space}Key") or ""
    size = int(each.findtext(f"{space}Size") or "")
    etag = (each.findtext(f"{space}ETag") or "").strip('"')
    return _unquoted(key) if encoded else key, size, etag


def _error_of(text: bytes) -> dict[str, str]:
    try:
        root = Xml.fromstring(text)  # noqa: S314 - as above
    except (Xml.ParseError, ValueError, LookupError):
        return {}
    return {each.tag.rpartition("}")[2]: each.text or "" for each in root}


def _word(text: str | None) -> str:
    """A code of the store, if it looks like one: whatever else a server says is not repeated."""
    return text if text and _WORD.fullmatch(text) else ""


def _right_range(answer: Answer, name: str, start: int) -> None:
    """Refuse an answer that begins elsewhere than was asked."""
    told = answer.headers.get("content-range", "")
    begins = told.removeprefix("bytes ").partition("-")[0].strip()
    if answer.status == 206 and begins == str(start):
        return
    answer.close()
    if answer.status == 200 and start == 0:
        raise Rejected(name, "the store does not serve ranges")
    raise Rejected(name, f"a read at {start} was answered with {answer.status} and another range")


def _seconds(text: str) -> float:
    return min(float(text), 60.0) if text.isascii() and text.isdigit() else 0.0


def _quoted(text: str) -> str:
    return quote(text, safe="-._~")


def _unquoted(text: str) -> str:
    # Keys are encoded as in forms: some stores write a blank as a plus sign.
    return unquote_plus(text, errors="surrogateescape")
