"""Requests signed by hand, for what no SDK would send: V3 (ACS3-HMAC-SHA256) and ROA, bytes as they are."""

import base64
import hashlib
import hmac
import http.client
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import quote, unquote_to_bytes

from clients import Json
from running_platform import Platform


@dataclass
class Request:
    """A request before it is sent; what is changed after `signed` is not covered by the signature."""

    method: str
    target: str
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    document: Any


def signed(
    platform: Platform,
    request: Request,
    *,
    key: str | None = None,
    secret: str | None = None,
    age: float = 0.0,
    leave_unsigned: str = "",
) -> Request:
    """Sign with V3; headers that are there already win over the usual ones."""
    keys = platform.credentials
    then = datetime.now(UTC) - timedelta(seconds=age)
    headers = {
        "host": platform.address,
        "x-acs-version": "2021-07-01",
        "x-acs-date": then.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "x-acs-signature-nonce": secrets.token_hex(16),
        "x-acs-content-sha256": hashlib.sha256(request.body).hexdigest(),
        **({"content-type": "application/json; charset=utf-8"} if request.body else {}),
        **request.headers,
    }
    names = sorted(name for name in headers if name != leave_unsigned)
    path, _, query = request.target.partition("?")
    split = [part.partition("=")[::2] for part in query.split("&") if part]
    pairs = sorted((_decoded(name), _decoded(value)) for name, value in split)
    canonical_query = "&".join(f"{_encoded(name)}={_encoded(value)}" for name, value in pairs)
    lines = "".join(f"{name}:{headers[name].strip()}\n" for name in names)
    text = "\n".join(
        (
            request.method,
            path,
            canonical_query,
            lines,
            ";".join(names),
            headers["x-acs-content-sha256"],
        )
    )
    to_sign = "ACS3-HMAC-SHA256\n" + hashlib.sha256(text.encode("latin-1")).hexdigest()
    signature = _hmac(secret or keys["access_key_secret"], to_sign, "sha256").hex()
    headers["authorization"] = (
        f"ACS3-HMAC-SHA256 Credential={key or keys['access_key_id']},"
        f"SignedHeaders={';'.join(names)},Signature={signature}"
    )
    return Request(request.method, request.target, request.body, headers)


def signed_roa(platform: Platform, request: Request, *, age: float = 0.0) -> Request:
    """Sign with ROA's HMAC-SHA1 (no query)."""
    keys = platform.credentials
    then = datetime.now(UTC) - timedelta(seconds=age)
    headers = {
        "host": platform.address,
        "accept": "application/json",
        "date": format_datetime(then, usegmt=True),
        **({"content-type": "application/json"} if request.body else {}),
        "content-md5": base64.b64encode(hashlib.md5(request.body).digest()).decode(),
        "x-acs-signature-method": "HMAC-SHA1",
        "x-acs-signature-nonce": secrets.token_hex(16),
        "x-acs-signature-version": "1.0",
        "x-acs-version": "2021-07-01",
        **request.headers,
    }
    plain = [headers.get(name, "") for name in ("accept", "content-md5", "content-type", "date")]
    own = [f"{name}:{headers[name]}" for name in sorted(headers) if name.startswith("x-acs-")]
    text = "\n".join((request.method, *plain, *own, request.target))
    signature = base64.b64encode(_hmac(keys["access_key_secret"], text, "sha1")).decode()
    headers["authorization"] = f"acs {keys['access_key_id']}:{signature}"
    return Request(request.method, request.target, request.body, headers)


def send(platform: Platform, request: Request) -> Reply:
    """Send the request as it stands."""
    host, _, port = platform.address.partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=20)
    try:
        connection.putrequest(
            request.method, request.target, skip_host=True, skip_accept_encoding=True
        )
        for name, value in request.headers.items():
            connection.putheader(name, value)
        connection.putheader("content-length", str(len(request.body)))
        connection.endheaders()
        connection.send(request.body)
        response = connection.getresponse()
        content = response.read()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Reply(response.status, headers, _document(headers, content))
    finally:
        connection.close()


def _document(headers: Mapping[str, str], content: bytes) -> Json:
    assert headers["content-type"] == "application/json;charset=utf-8", headers
    return json.loads(content.decode())


def _hmac(secret: str, text: str, digest: str) -> bytes:
    return hmac.new(secret.encode(), text.encode("latin-1"), digest).digest()


def _decoded(text: str) -> bytes:
    return unquote_to_bytes(text.replace("+", " "))


def _encoded(text: bytes) -> str:
    return quote(text, safe="-_.~")
