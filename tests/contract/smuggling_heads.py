"""The corpus, fourth part: header lines, hosts, connection options, tokens, floods."""

from contract.smuggling_cases import (
    SMUGGLED,
    Answered,
    Case,
    Refused,
    Served,
    case,
    get,
    head,
    post,
)
from contract.wire import AUTH, HOST

GOT = Served(method="GET")
TOO_LARGE = Refused((400, 414, 431, 501), large=True)
CLOSING = b"Connection: close"

_FIELDS = [
    *(
        case(
            f"byte {byte:#x} in a value", get("/api/predict/foo/x", b"X-A: a%cb" % byte), Refused()
        )
        for byte in (0x00, 0x0D)
    ),
    *(
        case(
            f"byte {byte:#x} in a value",
            get("/api/predict/foo/x", b"X-A: a%cb" % byte),
            Refused(),
            GOT,
        )
        for byte in (0x01, 0x08, 0x0B, 0x1F, 0x7F, 0x80, 0xFF)
    ),
    *(
        case(f"byte {byte:#x} in a name", get("/api/predict/foo/x", b"X%cA: a" % byte), Refused())
        for byte in b'\x00\x01\x0b\x1f\x7f\x80\xff "(),/;<=>?@[]{}\\'
    ),
    case("space before a colon", get("/api/predict/foo/x", b"X-A : a")),
    case("tab before a colon", get("/api/predict/foo/x", b"X-A\t: a")),
    case("no name", get("/api/predict/foo/x", b": a")),
    case("no colon", get("/api/predict/foo/x", b"X-A")),
    case("bare LF between", get("/api/predict/foo/x", b"X-A: a\nX-B: b"), Refused(), GOT),
    case("bare LF and a request", get("/api/predict/foo/x", b"X-A: a\n\n" + SMUGGLED.strip())),
    case("bare CRs and a request", get("/api/predict/foo/x", b"X-A: a\r\r" + SMUGGLED.strip())),
    case("folded by a space", get("/api/predict/foo/x", b"X-A: a\r\n b")),
    case("folded by a tab", get("/api/predict/foo/x", b"X-A: a\r\n\tb")),
    case("folded to nothing", get("/api/predict/foo/x", b"X-A: a\r\n ")),
    case("first line folded", head("GET /api/predict/foo/x HTTP/1.1", host=b" X: y\r\n" + HOST)),
    case(
        "first line begins by a tab",
        head("GET /api/predict/foo/x HTTP/1.1", host=b"\tX: y\r\n" + HOST),
    ),
    case(
        "value empty", get("/api/predict/foo/x", b"X-A:"), Served(method="GET", has=(("x-a", ""),))
    ),
    case(
        "value with colons",
        get("/api/predict/foo/x", b"X-A: b: c"),
        Served(method="GET", has=(("x-a", "b: c"),)),
    ),
    case("header of 100 KB", get("/api/predict/foo/x", b"X-A: " + b"a" * 100_000), TOO_LARGE),
    case("name of 100 KB", get("/api/predict/foo/x", b"X" * 100_000 + b": a"), TOO_LARGE),
    case("spaces of 100 KB", get("/api/predict/foo/x", b"X-A:" + b" " * 100_000 + b"a"), TOO_LARGE),
    case(
        "1,000 headers",
        get("/api/predict/foo/x", *[b"X-%d: a" % n for n in range(1000)]),
        TOO_LARGE,
    ),
    case("headers of 1 MB", get("/api/predict/foo/x", *[b"X-A: " + b"a" * 1000] * 1000), TOO_LARGE),
    case("20,000 empty headers", get("/api/predict/foo/x", *[b"a:"] * 20_000), TOO_LARGE),
]


def _host(value: bytes) -> bytes:
    return head("GET /api/predict/foo/x HTTP/1.1", host=value)


_BAD_HOST = (Refused(), Answered((400,)))
_HOSTS = [
    case("no Host", _host(b""), *_BAD_HOST),
    case(
        "no Host in HTTP/1.0",
        head("GET /api/predict/foo/x HTTP/1.0", host=b""),
        Served(method="GET", then="closed"),
    ),
    case("Host twice", _host(HOST + HOST), *_BAD_HOST),
    case("Host twice, different", _host(HOST + b"Host: evil.example\r\n"), *_BAD_HOST),
    case("Host empty", _host(b"Host:\r\n"), GOT, *_BAD_HOST),
    *(
        case(f"Host {value.decode('latin-1')!r}", _host(b"Host: " + value + b"\r\n"), *_BAD_HOST)
        for value in (
            b"a b",
            b"a, b",
            b"a/b",
            b"user@a",
            b"a:b",
            b"a?b",
            b"a#b",
            b"[::1",
            b"http://a",
            b"a\\b",
            b"a\tb",
        )
    ),
    case("Host with a NUL", _host(b"Host: a\x00b\r\n")),
    case("Host of an IPv6 address", _host(b"Host: [::1]:8080\r\n"), GOT),
    case("Host behind a space", _host(b"Host : gw.example\r\n")),
]

_OPTIONS = [
    case(
        "named by Connection: host", get("/api/predict/foo/x", b"Connection: host"), GOT, Refused()
    ),
    case(
        "named by Connection: token",
        get("/api/predict/foo/x", b"Connection: authorization"),
        GOT,
        Refused((400, 401)),
        Answered((400, 401)),
    ),
    case(
        "named by Connection: ours",
        get(
            "/api/predict/foo/x",
            b"X-Forwarded-For: 6.6.6.6",
            b"Connection: x-forwarded-for, x-request-id, x-forwarded-proto",
        ),
        GOT,
    ),
    case(
        "named by Connection: theirs",
        get("/api/predict/foo/x", b"X-Hop: 1", b"Connection: X-Hop"),
        Served(method="GET", lacks=("x-hop",)),
    ),
    case(
        "of one connection",
        get(
            "/api/predict/foo/x",
            b"Keep-Alive: 5",
            b"TE: trailers",
            b"Proxy-Connection: close",
            b"Proxy-Authorization: a",
        ),
        Served(method="GET", then="any"),
    ),
    case(
        "close and keep-alive",
        get("/api/predict/foo/x", b"Connection: keep-alive, close"),
        Served(method="GET", then="closed"),
    ),
    case(
        "close in capitals",
        get("/api/predict/foo/x", b"CONNECTION: CLOSE"),
        Served(method="GET", then="closed"),
    ),
    case(
        "two Connection lines",
        get("/api/predict/foo/x", b"Connection: x-hop", CLOSING, b"X-Hop: 1"),
        Served(method="GET", lacks=("x-hop",), then="closed"),
    ),
    case(
        "h2c",
        get(
            "/api/predict/foo/x",
            b"Connection: Upgrade, HTTP2-Settings",
            b"Upgrade: h2c",
            b"HTTP2-Settings: AAMAAABk",
        ),
        Served(method="GET", lacks=("upgrade", "http2-settings"), then="any"),
        Refused((400, 501)),
    ),
    case(
        "h2c with a body",
        post(
            b"Connection: Upgrade, HTTP2-Settings",
            b"Upgrade: h2c",
            b"HTTP2-Settings: AAMAAABk",
            b"Content-Length: 5",
            body=b"hello",
        ),
        Served(body=b"hello", lacks=("upgrade", "http2-settings"), then="any"),
        Refused((400, 501)),
    ),
    case(
        "websocket with a body",
        post(b"Connection: Upgrade", b"Upgrade: websocket", b"Content-Length: 5", body=b"hello"),
        Served(body=b"hello", then="any"),
        Refused((400, 405, 426, 501)),
    ),
    case(
        "websocket with a request in its body",
        post(
            b"Connection: Upgrade",
            b"Upgrade: websocket",
            b"Content-Length: %d" % len(SMUGGLED),
            body=SMUGGLED,
        ),
        Served(body=SMUGGLED, then="any"),
        Refused((400, 405, 426, 501)),
    ),
    case(
        "websocket with chunks",
        post(
            b"Connection: Upgrade",
            b"Upgrade: websocket",
            b"Transfer-Encoding: chunked",
            body=b"5\r\nhello\r\n0\r\n\r\n",
        ),
        Served(body=b"hello", then="any"),
        Refused((400, 405, 426, 501)),
    ),
    case(
        "upgrade that Connection does not name",
        get("/api/predict/foo/x", b"Upgrade: websocket"),
        Served(method="GET", lacks=("upgrade",), then="any"),
        Refused((400, 501)),
    ),
]

_OTHER = b"Authorization: other\r\n"


def _shown(*lines: bytes) -> bytes:
    return head("GET /api/predict/foo/x HTTP/1.1", auth=b"".join(lines))


_TWICE = (Refused((400, 401)), Answered((400, 401)))
_TOKENS = [
    case("token twice", _shown(AUTH, AUTH), *_TWICE),
    case("token, then another", _shown(AUTH, _OTHER), *_TWICE),
    case("another, then the token", _shown(_OTHER, AUTH), *_TWICE),
    case("two tokens in one line", _shown(AUTH.removesuffix(b"\r\n") + b", other\r\n"), *_TWICE),
    case("token behind a space", _shown(AUTH.replace(b":", b" :", 1))),
    case("token on a folded line", _shown(AUTH.replace(b": ", b":\r\n ", 1))),
    case("no token", _shown(), Answered((401,)), Refused((401,))),
    case(
        "token with an underscore",
        _shown(AUTH.replace(b"Auth", b"Auth_")),
        Answered((401,)),
        Refused((401,)),
    ),
]

CASES: list[Case] = [*_FIELDS, *_HOSTS, *_OPTIONS, *_TOKENS]
