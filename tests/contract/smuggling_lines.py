"""The corpus, third part: request lines, methods, versions, targets."""

from contract.smuggling_cases import (
    Answered,
    Case,
    Refused,
    Served,
    case,
    get,
    head,
    raw_target,
)
from contract.wire import AUTH, HOST

GOT = Served(method="GET")
NOT_FOUND = Answered((400, 404))
TOO_LARGE = Refused((400, 414, 431, 501), large=True)
BAD_LINE = Refused((400, 405, 501, 505))
CLOSING = b"Connection: close"


def _line(first: str) -> bytes:
    return head(first)


_LINES = [
    case("HTTP/0.9", b"GET /api/predict/foo/x\r\n", BAD_LINE),
    case("HTTP/2.0", _line("GET /api/predict/foo/x HTTP/2.0"), BAD_LINE),
    case("HTTP/3", _line("GET /api/predict/foo/x HTTP/3"), BAD_LINE),
    case("HTTP/9.9", _line("GET /api/predict/foo/x HTTP/9.9"), BAD_LINE),
    case("HTTP/0.1", _line("GET /api/predict/foo/x HTTP/0.1"), BAD_LINE),
    case("HTTP/1.2", _line("GET /api/predict/foo/x HTTP/1.2"), BAD_LINE, GOT),
    case("HTTP/1.10", _line("GET /api/predict/foo/x HTTP/1.10"), BAD_LINE),
    case("HTTP/01.1", _line("GET /api/predict/foo/x HTTP/01.1"), BAD_LINE),
    case("HTTP/1,1", _line("GET /api/predict/foo/x HTTP/1,1"), BAD_LINE),
    case("http/1.1", _line("GET /api/predict/foo/x http/1.1"), BAD_LINE),
    case("HTTX/1.1", _line("GET /api/predict/foo/x HTTX/1.1"), BAD_LINE),
    case("RTSP/1.0", _line("GET /api/predict/foo/x RTSP/1.0"), BAD_LINE),
    case("ICE/1.0", _line("SOURCE /api/predict/foo/x ICE/1.0"), BAD_LINE),
    case("space after the version", _line("GET /api/predict/foo/x HTTP/1.1 "), BAD_LINE),
    case("word after the version", _line("GET /api/predict/foo/x HTTP/1.1 x"), BAD_LINE),
    case("preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", BAD_LINE),
    case("space before the method", _line(" GET /api/predict/foo/x HTTP/1.1"), BAD_LINE),
    case("two spaces", _line("GET  /api/predict/foo/x HTTP/1.1"), BAD_LINE, GOT),
    case("tabs for spaces", _line("GET\t/api/predict/foo/x\tHTTP/1.1"), BAD_LINE),
    case("space in the target", _line("GET /api/predict/foo/x y HTTP/1.1"), BAD_LINE),
    case("no target", _line("GET HTTP/1.1"), BAD_LINE),
    case("bare CR in the line", _line("GET /api/predict/foo/x\r HTTP/1.1"), BAD_LINE),
    case("bare CR after the line", b"GET /api/predict/foo/x HTTP/1.1\r" + HOST + AUTH + b"\r\n"),
    case("all lines end by LF", get().replace(b"\r\n", b"\n"), Refused(), GOT),
    case("all lines end by CR", get().replace(b"\r\n", b"\r")),
    case("head ends by LF", get().removesuffix(b"\r\n") + b"\n", Refused(), GOT),
    case("empty line before", b"\r\n" + get(), GOT),
    case("many empty lines before", b"\r\n" * 5 + get(), GOT, Refused()),
    case(
        "method unknown",
        _line("FOO /api/predict/foo/x HTTP/1.1"),
        BAD_LINE,
        Answered((405, 501)),
        Served(method="FOO"),
    ),
    case(
        "method in small letters",
        _line("get /api/predict/foo/x HTTP/1.1"),
        BAD_LINE,
        Served(method="get"),
    ),
    case("method with a NUL", _line("GE\x00T /api/predict/foo/x HTTP/1.1"), BAD_LINE),
    case("method with a parenthesis", _line("GET( /api/predict/foo/x HTTP/1.1"), BAD_LINE),
    case("no method", _line(" /api/predict/foo/x HTTP/1.1"), BAD_LINE),
    case("method of 100 KB", _line("G" * 100_000 + " /api/predict/foo/x HTTP/1.1"), TOO_LARGE),
    case(
        "CONNECT",
        _line("CONNECT gw.example:443 HTTP/1.1"),
        Refused((400, 404, 405, 501)),
        Answered((404, 405, 501)),
    ),
    case(
        "CONNECT of a service",
        _line("CONNECT /api/predict/foo/x HTTP/1.1"),
        Refused((400, 404, 405, 501)),
        Answered((400, 405, 501)),
    ),
    case(
        "TRACE",
        _line("TRACE /api/predict/foo/x HTTP/1.1"),
        Served(method="TRACE"),
        Answered((405, 501)),
        Refused((405, 501)),
    ),
    case("OPTIONS of all", _line("OPTIONS * HTTP/1.1"), Answered((200, 204, 400, 404, 405))),
]

_ABSOLUTE = ("x-forwarded-host", "gw.example")
_TARGETS = [
    case(
        "absolute form",
        get("http://gw.example/api/predict/foo/x?q=1"),
        Served("/x?q=1", "GET", has=(_ABSOLUTE,)),
    ),
    case(
        "absolute form against Host",
        head("GET http://gw.example/api/predict/foo/x HTTP/1.1", host=b"Host: evil.example\r\n"),
        Served(method="GET", has=(_ABSOLUTE,)),
        Refused(),
    ),
    case(
        "absolute form in capitals",
        get("HTTP://GW.EXAMPLE/api/predict/foo/x"),
        GOT,
        Refused(),
        NOT_FOUND,
    ),
    case("absolute form without a host", get("http:///api/predict/foo/x"), Refused(), NOT_FOUND),
    case(
        "another scheme",
        get("ftp://gw.example/api/predict/foo/x"),
        Refused(),
        Answered((400, 404, 421)),
        GOT,
    ),
    case("authority form", get("gw.example:80"), Refused(), NOT_FOUND),
    case("asterisk for GET", get("*"), Refused(), NOT_FOUND),
    case("no slash before", get("api/predict/foo/x"), Refused(), NOT_FOUND),
    case("backslashes", get("\\api\\predict\\foo\\x"), Refused(), NOT_FOUND),
    case("question mark alone", get("?/api/predict/foo/x"), Refused(), NOT_FOUND),
    case("two slashes before", get("//api/predict/foo/x"), NOT_FOUND, Refused()),
    case("a host in the path", get("//evil.example/api/predict/foo/x"), NOT_FOUND, Refused()),
    case("three slashes before", get("///api/predict/foo/x"), NOT_FOUND, Refused()),
    case("dots before", get("/x/../api/predict/foo/x"), NOT_FOUND, Refused()),
    case("a dot before the service", get("/api/predict/./foo/x"), NOT_FOUND, Refused()),
    case("encoded prefix", get("/api/predic%74/foo/x"), NOT_FOUND, Refused()),
    case("two slashes before the service", get("/api/predict//foo/x"), NOT_FOUND, Refused()),
    case("dots for a service", get("/api/predict/../predict/foo/x"), NOT_FOUND, Refused()),
    case(
        "encoded dots for a service", get("/api/predict/%2e%2e/predict/foo/x"), NOT_FOUND, Refused()
    ),
    case("encoded slash in the service", get("/api/predict/foo%2fx"), NOT_FOUND, Refused()),
    case(
        "encoded way out of the service", get("/api/predict/foo%2f..%2fbar/x"), NOT_FOUND, Refused()
    ),
    case("encoded letters in the service", get("/api/predict/%66o%6F/x"), GOT),
    case("twice encoded service", get("/api/predict/%2566oo/x"), NOT_FOUND),
    case("encoded NUL in the service", get("/api/predict/foo%00/x"), NOT_FOUND, Refused()),
    case(
        "encoded lines in the service", get("/api/predict/foo%0d%0aX:%20y/x"), NOT_FOUND, Refused()
    ),
    case("no UTF-8 in the service", get("/api/predict/foo%ff/x"), NOT_FOUND, Refused()),
    case("overlong UTF-8 in the service", get("/api/predict/%c1%a6oo/x"), NOT_FOUND, Refused()),
    case("half an escape in the service", get("/api/predict/foo%/x"), NOT_FOUND, Refused()),
    case("no escape in the service", get("/api/predict/fo%zz/x"), NOT_FOUND, Refused()),
    case("service in capitals", get("/api/predict/FOO/x"), NOT_FOUND),
    case("semicolon in the service", get("/api/predict/foo;x=1/x"), NOT_FOUND),
    case(
        "dots to another service",
        get("/api/predict/foo/../bar/x"),
        Served("/../bar/x", "GET"),
        Refused(),
    ),
    case(
        "encoded dots to another service",
        get("/api/predict/foo/%2e%2e/bar"),
        Served("/%2e%2e/bar", "GET"),
        Refused(),
    ),
    case(
        "encoded lines below",
        get("/api/predict/foo/%0d%0aX:%20y?%0d%0a"),
        Served("/%0d%0aX:%20y?%0d%0a", "GET"),
        Refused(),
    ),
    case(
        "encoded NUL below",
        get("/api/predict/foo/%00?q=%00"),
        Served("/%00?q=%00", "GET"),
        Refused(),
    ),
    case("encoded slash below", get("/api/predict/foo/a%2Fb%5cc"), Served("/a%2Fb%5cc", "GET")),
    case("half an escape below", get("/api/predict/foo/a%?%2"), Served("/a%?%2", "GET"), Refused()),
    case(
        "a URL below",
        get("/api/predict/foo/http://evil.example/"),
        Served("/http://evil.example/", "GET"),
    ),
    case(
        "two slashes below",
        get("/api/predict/foo//evil.example/x"),
        Served("//evil.example/x", "GET"),
    ),
    case("fragment", get("/api/predict/foo/x#y"), Refused(), Answered((400,)), GOT),
    *(
        case(f"byte {byte:#x} in the path", raw_target(b"/api/predict/foo/a%cb" % byte), Refused())
        for byte in (0x00, 0x01, 0x08, 0x0B, 0x0C, 0x1F, 0x7F, 0x80, 0xA0, 0xFF)
    ),
    case("byte 0x0 in the query", raw_target(b"/api/predict/foo/a?\x00"), Refused()),
    case("byte 0xe9 in the query", raw_target(b"/api/predict/foo/a?\xe9"), Refused()),
    case("target of 100 KB", get("/api/predict/foo/" + "a" * 100_000), TOO_LARGE),
    case("query of 100 KB", get("/api/predict/foo/?" + "a" * 100_000), TOO_LARGE),
]

CASES: list[Case] = [*_LINES, *_TARGETS]
