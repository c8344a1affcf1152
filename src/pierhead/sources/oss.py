"""`oss://bucket/prefix/`: folders on Alibaba Cloud OSS, or on a store that speaks its protocol.

The vendor's SDK signs the requests and reads the answers' XML; connections, ranges, retries and checks are
ours (see `addresses` and `download`). It is an optional part: without it, a message says what to install.
"""

import re
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from importlib import import_module
from threading import local
from typing import Any, NoReturn
from xml.etree.ElementTree import ParseError

from pierhead.core.errors import Invalid, Unavailable
from pierhead.core.ids import Clock
from pierhead.core.manifest import Entry, Manifest, safe
from pierhead.sources.addresses import Egress, Endpoint, Http, endpoint
from pierhead.sources.answers import Answer
from pierhead.sources.pages import all_pages
from pierhead.sources.remote import (
    Changed,
    Denied,
    Flaky,
    Missing,
    Rejected,
    RemoteError,
)

_PAGE = 1000
_BUCKET = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
_REGION = re.compile(r"(?:^|\.)oss-([a-z0-9-]+?)(?:-internal)?\.aliyuncs\.com$")
_WORD = re.compile(r"[A-Za-z0-9._-]{1,64}")
_CODE = re.compile(rb"<Code>([^<]{1,64})</Code>")
_ENDPOINT = re.compile(rb"<Endpoint>([^<]{1,64})</Endpoint>")
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
#: The vendor's codes -> what to do about them.
_ADVICE = {
    "InvalidAccessKeyId": "the store does not know the access key of the connection",
    "SignatureDoesNotMatch": "the secret of the connection does not fit its access key, or the region is wrong",
    "SecurityTokenExpired": "the security token of the connection has expired: give it a new one",
    "InvalidSecurityToken": "the security token of the connection is not valid",
    "AccessDenied": "the access key of the connection may not read it",
    "NoSuchBucket": "the bucket does not exist there",
    "NoSuchKey": "the object does not exist any more",
    "UserDisable": "the account is disabled",
    "InvalidObjectState": "the object is archived: restore it first",
}
#: What reading an answer that makes no sense ends in; LookupError: an encoding that nobody knows.
_UNREADABLE = (ValueError, TypeError, LookupError, AttributeError)
_TOKEN_CODES = {"SecurityTokenExpired", "InvalidSecurityToken", "InvalidAccessKeyId"}


@dataclass(frozen=True, slots=True)
class Keys:
    """What requests are signed with."""

    access_key_id: str  #: "" = anonymous
    secret: str = field(repr=False)
    token: str = field(default="", repr=False)  #: of temporary keys (STS)


@dataclass(frozen=True, slots=True)
class OssAddress:
    """Where a folder is."""

    bucket: str
    prefix: str
    endpoint: Endpoint
    region: str
    path_style: bool = False  #: the bucket stands in the path instead of the host


def address(bucket: str, prefix: str, endpoint_text: str, region: str = "") -> OssAddress:
    """A folder's address; the endpoint's region when none is given, the region's endpoint likewise.

    Raises:
        Invalid: a bucket, endpoint or region that cannot be, or neither endpoint nor region.
    """
    if not _BUCKET.fullmatch(bucket):
        raise Invalid(
            "bucket", "it is no name of a bucket", "3 to 63 lower-case letters, digits and -"
        )
    if region and not re.fullmatch(r"[a-z0-9-]{2,64}", region):
        raise Invalid("region", "it is no name of a region", "such as cn-shanghai")
    if not endpoint_text and not region:
        raise Invalid("endpoint", "the connection has neither an endpoint nor a region")
    found = endpoint(endpoint_text or f"oss-{region}.aliyuncs.com")
    named = _REGION.search(found.host)
    region = region or (named.group(1) if named else "")
    if not region:
        raise Invalid("region", "the endpoint does not tell it", "such as cn-shanghai")
    return OssAddress(
        bucket=bucket,
        prefix=prefix.lstrip("/"),
        endpoint=found,
        region=region,
        path_style=found.is_address or "." not in found.host,
    )


class OssFolder:
    """A folder of a bucket; see `remote.Remote`. Any number of threads may read at once."""

    def __init__(
        self, place: OssAddress, keys: Callable[[], Keys], egress: Egress, clock: Clock
    ) -> None:
        """`keys` is asked for each request, so that a renewed token is used at once.

        Raises:
            Unavailable: the SDK is not installed.
        """
        self._place = place
        self._http = Http(egress)
        self._clock = clock
        self._signer = _Signer(keys)
        self._sdk = sdk()
        self._client = self._connected()
        self._sums: dict[str, int | None] = {}

    @property
    def name(self) -> str:
        """`oss://bucket/prefix`."""
        return f"oss://{self._place.bucket}/{self._place.prefix}"

    @property
    def identity(self) -> str:
        """Endpoint, bucket and prefix."""
        place = self._place
        return f"oss {place.endpoint.url} {place.bucket} {place.prefix}"

    def close(self) -> None:
        """End idle connections."""
        self._http.close()

    def listing(self) -> Manifest:
        """All objects below the prefix, or the one of this name; sums come with the objects later."""
        entries = all_pages(self.name, self._page)
        if not entries:
            raise Missing(self.name, "there are no objects below it")
        return safe(entries)

    def _page(self, token: str) -> tuple[list[Entry], str]:
        page = self._ask(
            "list_objects_v2",
            "ListObjectsV2Request",
            prefix=self._place.prefix,
            max_keys=_PAGE,
            encoding_type="url",
            continuation_token=token or None,
        )
        if not page.name:
            raise Rejected(
                self.name, "it answers with no listing: is this the address of an OSS store?"
            )
        following = str(page.next_continuation_token or "") if page.is_truncated else ""
        if page.is_truncated and not following:
            raise Rejected(self.name, "its listing does not end")
        return list(self._entries(page)), following

    def read(self, entry: Entry, start: int, length: int) -> Iterator[bytes]:
        """A range of an object, of the listed version only."""
        found = self._ask(
            "get_object",
            "GetObjectRequest",
            key=self._key(entry),
            range_header=f"bytes={start}-{start + length - 1}",
            range_behavior="standard",
            if_match=f'"{entry.etag}"' if entry.etag else None,
        )
        reply: _Reply = found.body
        with closing(reply):
            self._sums[entry.key] = _number(found.hash_crc64)
            self._same_range(found, start, entry)
            yield from reply.iter_bytes()

    def check(self, entry: Entry) -> str:
        """OSS tells a CRC-64 of every object."""
        return ""

    def crc64(self, entry: Entry) -> int | None:
        """As the object's own header tells it."""
        if entry.key not in self._sums:
            found = self._ask("head_object", "HeadObjectRequest", key=self._key(entry))
            self._sums[entry.key] = _number(found.hash_crc64)
        return self._sums[entry.key]

    # ---- questions ------------------------------------------------------------------------------

    def _connected(self) -> Any:
        place, sdk = self._place, self._sdk
        config = sdk.config.load_default()
        config.endpoint = place.endpoint.url
        config.region = place.region
        config.use_path_style = place.path_style
        config.credentials_provider = (
            self._signer if self._signer.signs() else sdk.credentials.AnonymousCredentialsProvider()
        )
        config.retry_max_attempts = 1
        config.http_client = _Transport(self._http)
        self._signer.make = sdk.credentials.Credentials
        return sdk.Client(config)

    def _ask(self, operation: str, request: str, **fields: Any) -> Any:
        given = {name: value for name, value in fields.items() if value is not None}
        made = getattr(self._sdk, request)(bucket=self._place.bucket, **given)
        try:
            return getattr(self._client, operation)(made)
        except self._sdk.exceptions.OperationError as error:
            self._fail(error.unwrap())
        except (self._sdk.exceptions.BaseError, ParseError, *_UNREADABLE) as error:
            raise Rejected(self.name, "its answer cannot be read") from error

    def _fail(self, error: BaseException) -> NoReturn:
        if isinstance(error, Unavailable):
            raise error
        if isinstance(error, _Refusal):
            raise self._refused(error) from error
        raise Rejected(self.name, "its answer cannot be read") from error

    def _refused(self, error: "_Refusal") -> RemoteError:
        """The store's answer as ours: its code and request id, nothing else of its words."""
        status, code = error.status, error.code
        said = f"{status} {code}".rstrip() + (f", request {error.request}" * bool(error.request))
        if status == 412:
            return Changed(self.name, f"an object changed since it was listed ({said})")
        if status in {408, 429} or status >= 500 or code == "RequestTimeout":
            return Flaky(self.name, f"the store answers {said}", wait=_wait(error.headers))
        if status == 404:
            return Missing(self.name, f"{_ADVICE.get(code, 'it does not exist')} ({said})")
        if status in {301, 307, 403} and error.endpoint:
            place = f"the bucket is served by another endpoint, {error.endpoint}"
            return Denied(self.name, f"{place} ({said})")
        if status in {401, 403}:
            return self._denied(code, said, error.headers)
        redirects = (
            "redirects, which is not followed" if status // 100 == 3 else "refuses the request"
        )
        return Rejected(self.name, f"the store {redirects} ({said})")

    def _denied(self, code: str, said: str, headers: Mapping[str, str]) -> RemoteError:
        if code == "RequestTimeTooSkewed":
            return Denied(self.name, f"the clock of this machine is {self._skew(headers)} ({said})")
        if code in _TOKEN_CODES and self._signer.renewed():
            return Flaky(self.name, f"its security token was renewed meanwhile ({said})")
        return Denied(self.name, f"{_ADVICE.get(code, 'the store refuses it')} ({said})")

    def _skew(self, headers: Mapping[str, str]) -> str:
        try:
            theirs = parsedate_to_datetime(headers.get("date", "")).timestamp()
        except (ValueError, TypeError):
            return "too far from the store's"
        off = self._clock() - theirs
        return f"{abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} the store's"

    # ---- answers --------------------------------------------------------------------------------

    def _key(self, entry: Entry) -> str:
        prefix = self._place.prefix
        if prefix and not prefix.endswith("/"):
            # `oss://bucket/model.gguf` is that object, `oss://bucket/folder` is what is below it.
            return prefix if entry.key == prefix.rpartition("/")[2] else f"{prefix}/{entry.key}"
        return prefix + entry.key

    def _entries(self, page: Any) -> Iterator[Entry]:
        prefix = self._place.prefix
        folder = prefix if not prefix or prefix.endswith("/") else f"{prefix}/"
        for row in page.contents or ():
            key, size = str(row.key or ""), int(row.size or 0)
            etag = str(row.etag or "").strip('"')
            if key == prefix and not prefix.endswith("/"):
                yield Entry(prefix.rpartition("/")[2], size, etag)
            elif key.startswith(folder) and (key != folder or size):
                yield Entry(key[len(folder) :], size, etag)

    def _same_range(self, found: Any, start: int, entry: Entry) -> None:
        """A store that ignores ranges would write the object's beginning into its middle."""
        said = _RANGE.fullmatch(str(found.content_range or ""))
        begins = int(said.group(1)) if said else 0
        if begins != start or (said is None and int(found.status_code) == 206):
            raise Rejected(self.name, f"it answers with another range of {entry.key}")


class _Signer:
    """Gives the SDK the keys of the moment, and knows which this thread used last."""

    def __init__(self, keys: Callable[[], Keys]) -> None:
        self._keys = keys
        self._used = local()
        self.make: Any = None

    def get_credentials(self) -> Any:
        keys = self._keys()
        self._used.keys = keys
        return self.make(keys.access_key_id, keys.secret, security_token=keys.token or None)

    def signs(self) -> bool:
        """Are there keys? A public bucket needs none."""
        return bool(self._keys().access_key_id)

    def renewed(self) -> bool:
        """Are there other keys now than those that were refused?"""
        return getattr(self._used, "keys", None) != self._keys()


class _Refusal(Exception):
    """An answer that is an error; read here, since the SDK would quote all of it."""

    def __init__(self, answer: Answer) -> None:
        self.status, self.headers = answer.status, answer.headers
        body = answer.text()
        with suppress(ValueError):
            body = body or b64decode(answer.headers.get("x-oss-err", ""))
        named, other = _CODE.search(body[:65536]), _ENDPOINT.search(body[:65536])
        self.code = _word(named.group(1).decode("ascii", "replace")) if named else ""
        #: Where the bucket is, if the store says that it is not here.
        self.endpoint = _word(other.group(1).decode("ascii", "replace")) if other else ""
        self.request = _word(answer.headers.get("x-oss-request-id"))
        super().__init__(f"{self.status} {self.code}")


class _Transport:
    """The SDK's HTTP client, over connections to checked addresses."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def send(self, request: Any, **options: Any) -> "_Reply":
        answer = self._http.send(request.method, request.url, dict(request.headers))
        if answer.status // 100 != 2:
            raise _Refusal(answer)
        return _Reply(request, answer, read=not options.get("stream", False))

    def open(self) -> None:
        """It is always open."""

    def close(self) -> None:
        self._http.close()


class _Reply:
    """An answer in the shape that the SDK reads."""

    def __init__(self, request: Any, answer: Answer, *, read: bool) -> None:
        self.request = request
        self.status_code, self.reason = answer.status, answer.reason
        self.headers = import_module("requests.structures").CaseInsensitiveDict(answer.headers)
        self.is_closed = self.is_stream_consumed = False
        self.content = b""
        self._answer = answer
        if read:
            self.read()

    def __enter__(self) -> "_Reply":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self) -> bytes:
        if not self.is_stream_consumed:
            self.content = self._answer.text()
            self.is_stream_consumed = self.is_closed = True
        return self.content

    def iter_bytes(self, **_: Any) -> Iterator[bytes]:
        return self._answer.pieces()

    def close(self) -> None:
        self.is_closed = True
        self._answer.close()


def sdk() -> Any:
    """The vendor's SDK; its first import takes a second.

    Raises:
        Unavailable: it is not installed.
    """
    try:
        return import_module("alibabacloud_oss_v2")
    except ModuleNotFoundError as error:
        raise Unavailable(
            "Object storage (OSS)",
            "it needs the vendor's SDK: pip install 'pierhead[oss]', then start the service again",
        ) from error


def _word(text: Any) -> str:
    """A code of the store, if it looks like one."""
    return str(text) if _WORD.fullmatch(str(text or "")) else ""


def _number(text: Any) -> int | None:
    try:
        found = int(text)
    except (TypeError, ValueError):
        return None
    return found if 0 <= found < 1 << 64 else None


def _wait(headers: Mapping[str, str]) -> float:
    found = _number(headers.get("retry-after"))
    return float(min(found or 0, 60))
