"""A small signed client of a hub's EAS API, and where it finds endpoint and key.

It stands on the standard library's HTTP client: a client verb should start as fast as `ls`.
"""

import http.client
import json
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote, urlsplit

from pierhead.core.errors import PierheadError
from pierhead.core.principals import AccessKey, Principal
from pierhead.dialects.signing.sign import encode, sign_v3
from pierhead.settings import Settings, masked_url

VERSION = "2021-07-01"
#: Environment variable: whom to trust instead of this machine's authorities.
CA_FILE = "PIERHEAD_CA_FILE"
PAGE = 500

if TYPE_CHECKING:
    import ssl

Json = dict[str, Any]


class NoAccess(PierheadError):
    """It is not known which hub to call, or with which key."""


class NoAnswer(PierheadError):
    """Nothing answers at the endpoint, or not in time; the same call may work later."""


class HubRefused(PierheadError):
    """The hub answered with an error; `code` is its wire code."""

    def __init__(self, status: int, code: str, message: str, request_id: str) -> None:
        self.status, self.code, self.request_id = status, code, request_id
        super().__init__(f"{message or 'The hub gave no reason.'} ({code}, request {request_id})")


@dataclass(frozen=True, slots=True)
class Access:
    """Which hub, and with which key."""

    endpoint: str
    region: str
    key: AccessKey
    certificate: str = (
        ""  #: file with the hub's own one, which is trusted by whatever name; "" = none
    )


def find_access(
    data_dir: Path | None, endpoint: str | None, environ: Mapping[str, str] = os.environ
) -> Access:
    """From a data folder's credentials file, or from `--endpoint` with the environment's key.

    The environment's key goes before the file's where both are there.

    Raises:
        NoAccess: neither is there; the message says what to do.
    """
    key = _environment_key(environ)
    if endpoint and data_dir is None:
        if key is None:
            raise NoAccess(
                "--endpoint needs a key: set PIERHEAD_ACCESS_KEY_ID and PIERHEAD_ACCESS_KEY_SECRET, "
                "or name the hub's folder with --data-dir."
            )
        return Access(_checked(endpoint), environ.get("PIERHEAD_REGION") or "local", key)
    found = read_credentials(Settings.load({"data_dir": data_dir}, environ).credentials_file)
    return Access(
        _checked(endpoint or found["endpoints"]["eas"]),
        found["region"],
        key or _key(found["access_key_id"], found["access_key_secret"], found["account_id"]),
        "" if endpoint else str(found.get("certificate", "")),
    )


def read_credentials(path: Path) -> Json:
    """The credentials file as it is.

    Raises:
        NoAccess: there is none, it may not be read, or it is damaged.
    """
    try:
        found = json.loads(path.read_bytes())
        _ = found["region"], found["account_id"], found["access_key_id"]
        _ = found["access_key_secret"], found["endpoints"]["eas"], found["endpoints"]["gateway"]
    except FileNotFoundError:
        raise NoAccess(
            f"{path} does not exist: nothing was started on this folder yet. "
            "Start it with `pierhead up`, or name another folder with --data-dir."
        ) from None
    except OSError as problem:
        raise NoAccess(f"{path} cannot be read ({problem.strerror}); ask its owner.") from problem
    except (ValueError, KeyError, TypeError) as problem:
        raise NoAccess(
            f"{path} is damaged; move it away and start `pierhead up` again to have new keys."
        ) from problem
    return cast("Json", found)


def _environment_key(environ: Mapping[str, str]) -> AccessKey | None:
    key_id = environ.get("PIERHEAD_ACCESS_KEY_ID", "")
    secret = environ.get("PIERHEAD_ACCESS_KEY_SECRET", "")
    if not key_id and not secret:
        return None
    if not key_id or not secret:
        raise NoAccess("Set PIERHEAD_ACCESS_KEY_ID and PIERHEAD_ACCESS_KEY_SECRET, both of them.")
    return _key(key_id, secret, "", environ.get("PIERHEAD_SECURITY_TOKEN", ""))


def _key(key_id: str, secret: str, account: str, session: str = "") -> AccessKey:
    return AccessKey(
        id=key_id, secret=secret, principal=Principal(account, account), session_token=session
    )


def _checked(endpoint: str) -> str:
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise NoAccess(f"[{masked_url(endpoint)}] is no URL such as http://127.0.0.1:8080.")
    return endpoint.rstrip("/")


class EasClient:
    """Calls operations; every answer is a JSON object.

    Raises (every method):
        NoAnswer: nothing answers at the endpoint, or not in time.
        HubRefused: the hub answered with an error.
    """

    def __init__(self, access: Access, timeout: float = 10.0, language: str = "") -> None:
        """`language`: tag of the one that texts shall come in; "" = as the hub likes."""
        self._access = access
        self._timeout = timeout
        self._language = language

    def call(
        self,
        operation: str,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        version: str = VERSION,
    ) -> Json:
        """One signed request. `path` is already percent-encoded."""
        content = b"" if body is None else json.dumps(body, ensure_ascii=False).encode()
        asked = {name: value for name, value in (query or {}).items() if value != ""}
        headers = self._signed((operation, version), method, path, asked, content)
        target = path + (f"?{encode(asked)}" if asked else "")
        status, answer = exchange(
            self._access.endpoint,
            method,
            target,
            content,
            headers,
            timeout=self._timeout,
            certificate=self._access.certificate,
        )
        return _read(status, answer)

    def of(
        self, operation: str, name: str, tail: str = "", *, query: Mapping[str, str] | None = None
    ) -> Json:
        """A GET about one service."""
        return self.call(operation, "GET", self.path(name, tail), query=query)

    def change(self, operation: str, name: str, tail: str = "") -> Json:
        """A PUT without a body on one service: start, stop, restart."""
        return self.call(operation, "PUT", self.path(name, tail))

    def path(self, name: str, tail: str = "", root: str = "services") -> str:
        """`/api/v2/<root>/<region>/<name><tail>`, encoded."""
        return f"/api/v2/{root}/{quote(self._access.region, safe='')}/{quote(name, safe='')}{tail}"

    def describe(self, name: str) -> Json:
        """One service."""
        return self.of("DescribeService", name)

    def pages(
        self, operation: str, path: str, field: str, query: Mapping[str, str]
    ) -> Iterator[Json]:
        """All items of a list operation with PageNumber, page by page."""
        page, seen = 1, 0
        while True:
            paging = {**query, "PageNumber": str(page), "PageSize": str(PAGE)}
            answer = self.call(operation, "GET", path, query=paging)
            items = cast("list[Json]", answer.get(field) or [])
            yield from items
            seen += len(items)
            if not items or seen >= int(answer.get("TotalCount", 0)):
                return
            page += 1

    def _signed(
        self,
        action: tuple[str, str],
        method: str,
        path: str,
        query: Mapping[str, str],
        body: bytes,
    ) -> dict[str, str]:
        """`action`: its name and version."""
        parts = urlsplit(self._access.endpoint)
        headers = {
            "host": parts.netloc.rpartition("@")[2],
            "accept": "application/json",
            "user-agent": "pierhead-cli",
            "x-acs-action": action[0],
            "x-acs-version": action[1],
        }
        if body:
            headers["content-type"] = "application/json; charset=utf-8"
        if self._language:
            headers["accept-language"] = self._language
        nonce = secrets.token_hex(16)
        return sign_v3(
            method, path, query, headers, body, self._access.key, date=time.time(), nonce=nonce
        )


def exchange(
    endpoint: str,
    method: str,
    target: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    timeout: float,
    certificate: str = "",
) -> tuple[int, bytes]:
    """One request to a hub, with `timeout` in seconds: the answer's status and body.

    `certificate`: file with the one that the hub has to show; else authorities decide, those of the
    file that PIERHEAD_CA_FILE names or this machine's.

    Raises:
        NoAnswer: nothing answers at the endpoint, or not in time.
    """
    parts = urlsplit(endpoint)
    host, port = parts.hostname or "", parts.port
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    if parts.scheme == "https":
        context = _context(certificate)
        connection = http.client.HTTPSConnection(host, port, timeout=timeout, context=context)
    try:
        connection.request(method, target, body or None, dict(headers))
        answer = connection.getresponse()
        return answer.status, answer.read()
    except ConnectionRefusedError:
        raise NoAnswer(f"No hub answers at {endpoint}; start it with `pierhead up`.") from None
    except TimeoutError:
        raise NoAnswer(
            f"{endpoint} did not answer within {timeout:g} s; "
            "look at its log, and at `pierhead doctor`."
        ) from None
    except (OSError, http.client.HTTPException) as problem:
        if "CERTIFICATE_VERIFY_FAILED" in str(problem):
            raise NoAccess(
                f"{endpoint} shows a certificate that is not trusted here ({problem}); name the "
                "authority that signed it with `pierhead --ca-file FILE ...`."
            ) from problem
        raise NoAnswer(f"{endpoint} cannot be reached ({problem}).") from problem
    finally:
        connection.close()


def _context(certificate: str) -> "ssl.SSLContext":
    # Only who speaks HTTPS pays for it.
    from pierhead import tls

    ca_file = os.environ.get(CA_FILE, "")
    try:
        return tls.pinned(Path(certificate)) if certificate else tls.trusting(ca_file)
    except OSError as problem:
        raise NoAccess(f"{certificate or ca_file} cannot be used: {problem}.") from problem


def _read(status: int, answer: bytes) -> Json:
    try:
        found = json.loads(answer)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise HubRefused(status, "NoJson", "What answers there is no Pierhead hub.", "unknown")
    document = cast("Json", found)
    if status != http.HTTPStatus.OK:
        raise HubRefused(
            status,
            str(document.get("Code", status)),
            str(document.get("Message", "")),
            str(document.get("RequestId", "unknown")),
        )
    return document
