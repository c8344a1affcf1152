"""The head of a request, read once. Clients send the same one again and again: what was found out stays with it."""

import re
from typing import Any, Final, Generic, TypeVar

import httptools

from pierhead.gateway.answers import Refusal
from pierhead.gateway.form_text import delimiter

Header = tuple[bytes, bytes]
Found = TypeVar("Found")

#: They speak of one connection, not of the message (RFC 9110 §7.6.1).
HOP_BY_HOP: Final = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer"
    b" transfer-encoding upgrade".split()
)
#: The gateway writes these itself: the body is whole, and the client's credential is for us alone.
OURS: Final = frozenset(
    b"authorization content-length expect host x-forwarded-for x-request-id".split()
)
_DROPPED: Final = HOP_BY_HOP | OURS
#: Where Anthropic's protocol is spoken, whose clients show their token in a header of its own.
_MESSAGES: Final = (b"/v1/messages", b"/v1/messages/count_tokens")
_KEY: Final = b"x-api-key"
_LEGIBLE: Final = _DROPPED | {b"accept-encoding"}
#: Values of `Connection` that name no other header.
USUAL: Final = frozenset({b"keep-alive", b"close", b"Keep-Alive", b"Close"})
#: A client's own request id is kept if it is short and printable: it goes into logs and headers.
_REQUEST_ID: Final = re.compile(rb"[!-~]{1,128}")
#: Of these a request may have one only: two would mean one thing here and another behind.
_SINGLE: Final = frozenset(
    b"host content-length transfer-encoding content-type authorization expect upgrade"
    b" content-md5".split()
)
_HOST: Final = re.compile(rb"(\[[0-9A-Za-z:.%_~\-]+\]|[A-Za-z0-9._~%!$&'()*+,;=\-]*)(:[0-9]*)?")
_METHODS: Final = {
    name.encode(): name for name in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
}
_REFUSED_METHODS: Final = frozenset({"CONNECT", "TRACE"})
_WRITING: Final = frozenset({"POST", "PUT", "PATCH"})


class Head:
    """Never changed, but for what is found out about it."""

    __slots__ = (
        "_blocks",
        "ends",
        "fault",
        "form",
        "headers",
        "http_1_0",
        "method",
        "own_id",
        "path",
        "query",
        "raw",
        "upgrades",
        "writes",
    )

    def __init__(self, method: bytes, target: bytes, raw: list[Header], version: str) -> None:
        """`raw`: lower-case names, in their order."""
        self.method = _METHODS.get(method) or method.decode("latin-1")
        self.raw = raw
        self.headers = headers = dict(raw[::-1])  #: of repeated ones the first
        self.path, _, self.query = target.partition(b"?")
        self.http_1_0 = version == "1.0"
        self.ends = False  #: the connection ends with the reply
        self.upgrades = False  #: it asks for a websocket
        #: It has a body, be it empty.
        self.writes = self.method in _WRITING or b"content-length" in headers
        own = headers.get(b"x-request-id")
        #: What parts a body that is a form, as files are sent; b"" for any other.
        self.form = delimiter(headers.get(b"content-type", b"")) if self.method == "POST" else b""
        self.own_id = own if own and _REQUEST_ID.fullmatch(own) else None
        self.fault: Refusal | None = None  #: why it cannot be taken, whatever it asks for
        self._blocks: dict[bool, bytes] = {}
        try:
            self._examine(target, version)
        except Refusal as refusal:
            self.fault = refusal

    @property
    def token(self) -> bytes | None:
        """What was shown in place of `Authorization`: `x-api-key`, where clients mean us by it."""
        headers = self.headers
        if b"authorization" in headers or not self.path.endswith(_MESSAGES):
            return None
        return headers.get(_KEY)

    def may_upgrade(self) -> None:
        """It asks for another protocol: only a websocket can be had."""
        length = self.headers.get(b"content-length", b"0")
        if length != b"0" or b"transfer-encoding" in self.headers:
            # The parser takes what follows such a head for another protocol's bytes.
            message = "A request with an Upgrade header may not have a body: leave the header out."
            self.fault = self.fault or Refusal(400, "upgrade_with_body", message, close=True)
        elif not self.http_1_0 and self.headers.get(b"upgrade", b"").lower() == b"websocket":
            self.upgrades = self.ends = True

    def block(self, scheme: bytes, *, legible: bool) -> bytes:
        """The headers that go on to a replica, as they are sent, but for those that differ by request.

        `legible`: the answer is to come uncompressed, because the gateway has to read it.
        """
        found = self._blocks.get(legible)
        if found is None:
            found = self._blocks[legible] = self._block(scheme, legible=legible)
        return found

    def _block(self, scheme: bytes, *, legible: bool) -> bytes:
        dropped = _LEGIBLE if legible else _DROPPED
        if self.headers.get(b"connection", b"close") not in USUAL:
            dropped = dropped | named_by_connection(self.raw)
        if self.path.endswith(_MESSAGES):
            dropped = dropped | {_KEY}
        lines = [b"%b: %b\r\n" % header for header in self.raw if header[0] not in dropped]
        if b"x-forwarded-proto" not in self.headers:
            lines.append(b"X-Forwarded-Proto: %b\r\n" % scheme)
        if b"x-forwarded-host" not in self.headers:
            lines.append(b"X-Forwarded-Host: %b\r\n" % self.headers.get(b"host", b""))
        if legible:
            lines.append(b"Accept-Encoding: identity\r\n")
        if self.upgrades:
            lines.append(b"Connection: Upgrade\r\nUpgrade: websocket\r\n")
        return b"".join(lines)

    def _examine(self, target: bytes, version: str) -> None:
        if version not in {"1.1", "1.0"}:
            raise Refusal(505, "http_version", "HTTP/1.1 is spoken here.", close=True)
        if len(self.headers) != len(self.raw):
            _demand_single(self.raw)
        host = self.headers.get(b"host")
        if host is None and version == "1.1":
            raise Refusal(400, "no_host", "The header Host is missing.", close=True)
        if host is not None and _HOST.fullmatch(host) is None:
            raise Refusal(400, "bad_host", "The header Host names no host.", close=True)
        if not target.startswith(b"/"):
            target = self._relative(target)
            self.path, _, self.query = target.partition(b"?")
        if b"#" in target:
            raise Refusal(400, "bad_target", "A request's target has no #fragment.", close=True)
        if self.method in _REFUSED_METHODS:
            message = f"The method {self.method} is not served."
            raise Refusal(405, "method_not_served", message, close=True)
        self._examine_body(version)

    def _examine_body(self, version: str) -> None:
        coding, expected = self.headers.get(b"transfer-encoding"), self.headers.get(b"expect")
        if coding is not None:
            if version == "1.0":
                message = "HTTP/1.0 knows no Transfer-Encoding."
                raise Refusal(400, "bad_framing", message, close=True)
            if coding.strip().lower() != b"chunked":
                # The parser undoes the chunks alone: whoever is behind us would get the rest undone.
                message = "No other Transfer-Encoding than chunked can be read here."
                raise Refusal(501, "transfer_coding", message, close=True)
        if expected is not None and expected.lower() != b"100-continue":
            raise Refusal(417, "expectation", "Only 100-continue may be expected.", close=True)

    def _relative(self, target: bytes) -> bytes:
        """The path and query of a whole URL, whose host is the one that counts (RFC 9112 §3.2.2)."""
        if target == b"*":
            return b"/*"
        try:
            # Any: what it does not have is None, which its type does not tell, and compiled code would mind.
            url: Any = httptools.parse_url(target)
        except httptools.HttpParserInvalidURLError:
            url = None
        if url is None or not url.host or url.schema not in {b"http", b"https"}:
            raise Refusal(400, "bad_target", "The request's target is no path.", close=True)
        host = b"[%b]" % url.host if b":" in url.host else url.host
        self.headers[b"host"] = b"%b:%d" % (host, url.port) if url.port else host
        path = url.path or b"/"
        return path + b"?" + url.query if url.query else path


class Remembered(Generic[Found]):
    """The last head on a connection, by its bytes, and what it was found to be.

    The same bytes mean the same head: they need not be parsed again; only the digits of its length may
    differ. That holds for messages that come in one piece, and are framed by a length or have no body.
    """

    __slots__ = ("_after", "_before", "_digits", "found")

    def __init__(self, data: bytes, found: Found) -> None:
        """`data` begins with the head, which is whole."""
        end = data.find(b"\r\n\r\n") + 4
        length = _LENGTH.search(data, 0, end)
        first, last = length.span(1) if length else (end, end)
        self._before, self._after = data[:first], data[last:end]
        self._digits = first  # where those of the length begin
        self.found = found

    def body_of(self, data: bytes) -> bytes | None:
        """The body of the message that `data` is, if it has this head and nothing follows it."""
        if not data.startswith(self._before):
            return None
        first, after = self._digits, self._after
        if not after:
            return b"" if len(data) == first else None
        last = data.find(b"\r", first, first + _MOST_DIGITS + 1)
        digits = data[first:last]
        if last < 0 or not digits.isdigit() or not data.startswith(after, last):
            return None
        start = last + len(after)
        return data[start:] if len(data) == start + int(digits) else None


def remembered(data: bytes, found: Found) -> Remembered[Found] | None:
    """What to know a message's head by; None if its length is not told in the usual way.

    `data` is all of it: were it more, or less, than its head tells, that head could not be trusted to.
    """
    if data.find(b"\r\n\r\n") <= 0:  # 0: empty lines stand before it
        return None
    known = Remembered(data, found)
    return known if known.body_of(data) is not None else None


def is_memorable(head: Head) -> bool:
    """May requests with this head be known by its bytes?"""
    odd = head.fault is not None or head.ends or head.upgrades
    return not (odd or b"transfer-encoding" in head.headers or b"expect" in head.headers)


_MOST_DIGITS: Final = 9
_LENGTH: Final = re.compile(rb"\r\ncontent-length: ([0-9]{1,9})\r\n", re.IGNORECASE)


def named_by_connection(raw: list[Header]) -> frozenset[bytes]:
    """Headers that `Connection` names: they are for the next one only, too."""
    listed = [value for name, value in raw if name.lower() == b"connection"]
    return frozenset(name.strip().lower() for value in listed for name in value.split(b","))


def _demand_single(raw: list[Header]) -> None:
    names = [name for name, _ in raw if name in _SINGLE]
    if len(names) != len(set(names)):
        twice = next(name for name in names if names.count(name) > 1)
        message = f"The header {twice.decode()} is there more than once."
        raise Refusal(400, "repeated_header", message, close=True)
