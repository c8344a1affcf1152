"""A store that speaks S3 and checks version 4 signatures; objects are bytes in a dictionary.

The check is written from the vendor's description, apart from the client's own code; the tests prove
it with another vendor's client.
"""

import hashlib
import hmac
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

KEY, SECRET, REGION, BUCKET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG", "us-east-1", "models"


@dataclass
class Store:
    """What the double holds, and how it behaves."""

    objects: dict[str, bytes] = field(default_factory=dict[str, bytes])
    page: int = 1000
    token: str = ""
    #: Answers that come instead, first in, first out: (status, code, headers).
    instead: list[tuple[int, str, dict[str, str]]] = field(default_factory=list[Any])
    #: Bytes of a body after which the connection is cut, once each.
    cuts: list[int] = field(default_factory=list[int])
    #: Offsets at which a byte is wrong on its way, once each.
    flips: list[int] = field(default_factory=list[int])
    #: By key: an ETag in place of the MD5, and what else its head tells.
    etags: dict[str, str] = field(default_factory=dict[str, str])
    headers: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])
    heads: bool = True  #: is HEAD answered?
    log: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])  #: (target, range)
    url: str = ""

    def etag(self, key: str) -> str:
        """Without quotes."""
        return self.etags.get(key) or hashlib.md5(self.objects[key]).hexdigest()


@contextmanager
def serving() -> Iterator[Store]:
    """The double on a free port."""
    store = Store()

    class Handler(_Handler):
        held = store

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    store.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield store
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    held: Store

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        if self.held.heads:
            self.do_GET()
        else:
            self._fail(405, "MethodNotAllowed")

    def do_GET(self) -> None:
        store = self.held
        store.log.append((self.path, self.headers.get("Range", "")))
        if store.instead:
            status, code, headers = store.instead.pop(0)
            self._fail(status, code, headers)
        elif not self._signed():
            self._fail(403, "SignatureDoesNotMatch")
        elif store.token and self.headers.get("x-amz-security-token") != store.token:
            self._fail(403, "ExpiredToken")
        else:
            self._answer(urlsplit(self.path))

    def _answer(self, target: Any) -> None:
        bucket, _, key = unquote(target.path.lstrip("/")).partition("/")
        if bucket != BUCKET:
            self._fail(404, "NoSuchBucket")
        elif not key:
            self._list(dict(parse_qsl(target.query)))
        elif key not in self.held.objects:
            self._fail(404, "NoSuchKey")
        else:
            self._object(key, self.held.objects[key])

    def _object(self, key: str, content: bytes) -> None:
        etag = f'"{self.held.etag(key)}"'
        if self.headers.get("If-Match", etag) != etag:
            self._fail(412, "PreconditionFailed")
            return
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        first, last = (int(found[1]), int(found[2])) if found else (0, len(content) - 1)
        part = self._on_its_way(content[first : last + 1], first)
        headers = {"ETag": etag, "Last-Modified": "Wed, 01 Jan 2025 00:00:00 GMT"}
        if self.command == "HEAD" and self.headers.get("x-amz-checksum-mode") == "ENABLED":
            headers |= self.held.headers.get(key, {})
        if found:
            headers["Content-Range"] = f"bytes {first}-{first + len(part) - 1}/{len(content)}"
        self._send(206 if found else 200, part, headers)

    def _on_its_way(self, part: bytes, first: int) -> bytes:
        flips = self.held.flips
        if not flips or self.command == "HEAD" or not first <= flips[0] < first + len(part):
            return part
        at = flips.pop(0) - first
        return part[:at] + bytes([part[at] ^ 1]) + part[at + 1 :]

    def _list(self, query: dict[str, str]) -> None:
        store = self.held
        names = sorted(name for name in store.objects if name.startswith(query.get("prefix", "")))
        after = query.get("continuation-token", "")
        names = [name for name in names if name > after]
        page, more = names[: store.page], len(names) > store.page
        encoded = query.get("encoding-type") == "url"
        rows = "".join(
            f"<Contents><Key>{quote(name) if encoded else name}</Key>"
            f"<LastModified>2025-01-01T00:00:00.000Z</LastModified><Size>{len(store.objects[name])}</Size>"
            f"<ETag>&quot;{store.etag(name)}&quot;</ETag></Contents>"
            for name in page
        )
        tail = f"<NextContinuationToken>{page[-1]}</NextContinuationToken>" if more else ""
        kind = "<EncodingType>url</EncodingType>" if encoded else ""
        text = (
            '<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<IsTruncated>{str(more).lower()}</IsTruncated>{kind}{tail}{rows}</ListBucketResult>"
        )
        self._send(200, text.encode(), {"Content-Type": "application/xml"})

    def _fail(self, status: int, code: str, headers: dict[str, str] | None = None) -> None:
        text = f"<Error><Code>{code}</Code><RequestId>REQ-1</RequestId></Error>"
        self._send(status, text.encode(), headers or {})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        cuts = self.held.cuts
        if status == 206 and cuts and cuts[0] < len(body):
            self.wfile.write(body[: cuts.pop(0)])
            self.close_connection = True
            return
        self.wfile.write(body)

    def _signed(self) -> bool:
        found = re.fullmatch(
            r"AWS4-HMAC-SHA256 Credential=(\S+?)/(\d{8})/(\S+?)/s3/aws4_request, ?SignedHeaders=(\S+?), ?Signature=(\w+)",
            self.headers.get("Authorization", ""),
        )
        if found is None or found[1] != KEY or found[3] != REGION:
            return False
        names = found[4].split(";")
        if not {"host", "x-amz-date", "x-amz-content-sha256"} <= set(names):
            return False
        path, _, query = self.path.partition("?")
        pairs = sorted(parse_qsl(query, keep_blank_values=True))
        canonical = "\n".join(
            (
                self.command,
                path,
                "&".join(
                    f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}"
                    for name, value in pairs
                ),
                *(f"{name}:{self.headers[name].strip()}" for name in names),
                "",
                found[4],
                self.headers["x-amz-content-sha256"],
            )
        )
        at = self.headers["x-amz-date"]
        scope = f"{found[2]}/{REGION}/s3/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{at}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        key = ("AWS4" + SECRET).encode()
        for word in (found[2], REGION, "s3", "aws4_request"):
            key = hmac.new(key, word.encode(), hashlib.sha256).digest()
        return hmac.new(key, text.encode(), hashlib.sha256).hexdigest() == found[5]
