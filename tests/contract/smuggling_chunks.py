"""The corpus, second part: chunks, their extensions, and trailers."""

from contract.smuggling_cases import SMUGGLED, Case, Refused, Served, Waits, case, post

CHUNKED = b"Transfer-Encoding: chunked"
HELLO = b"5\r\nhello\r\n0\r\n\r\n"
TOO_MUCH = Refused((400, 413, 431), large=True)
WHOLE = Served(body=b"hello")

_REFUSED_SIZES = {
    "plus": b"+5",
    "minus": b"-5",
    "hexadecimal mark": b"0x5",
    "no digit": b"g",
    "space before": b" 5",
    "empty": b"",
    "underscore": b"0_5",
    "NUL": b"5\x00",
    "vertical tab": b"5\x0b",
    "no-break space": b"5\xa0",
    "comma": b"5,5",
    "2^64 + 5": b"10000000000000005",
    "2^68 + 5": b"100000000000000005",
}
_CHUNKS = [
    *(
        case(
            f"chunk size {name}",
            post(CHUNKED, body=value + b"\r\nhello\r\n0\r\n\r\n"),
            Refused((400, 413)),
        )
        for name, value in _REFUSED_SIZES.items()
    ),
    case(
        "chunk size in capitals",
        post(CHUNKED, body=b"A\r\nhellohello\r\n0\r\n\r\n"),
        Served(body=b"hello" * 2),
    ),
    case("chunk size with zeros", post(CHUNKED, body=b"0005\r\nhello\r\n0000\r\n\r\n"), WHOLE),
    case("chunk size with many zeros", post(CHUNKED, body=b"0" * 40 + HELLO), WHOLE, Refused()),
    case(
        "chunk size with a space after",
        post(CHUNKED, body=b"5 \r\nhello\r\n0\r\n\r\n"),
        WHOLE,
        Refused(),
    ),
    case(
        "chunk size huge",
        post(CHUNKED, body=b"7fffffff\r\nhello"),
        Waits(),
        Refused((400, 413), stays=True),
    ),
    case(
        "chunk size 2^64 - 1",
        post(CHUNKED, body=b"f" * 16 + b"\r\nhello"),
        Waits(),
        Refused((400, 413), stays=True),
    ),
    case("chunk size ends by LF", post(CHUNKED, body=b"5\nhello\r\n0\r\n\r\n")),
    case("chunk size ends by CR", post(CHUNKED, body=b"5\rhello\r\n0\r\n\r\n")),
    case("chunk ends without CRLF", post(CHUNKED, body=b"5\r\nhello0\r\n\r\n")),
    case("chunk ends by LF", post(CHUNKED, body=b"5\r\nhello\n0\r\n\r\n")),
    case("chunk ends by two letters", post(CHUNKED, body=b"5\r\nhelloXX0\r\n\r\n")),
    case("chunk ends by CR and a letter", post(CHUNKED, body=b"5\r\nhello\rX0\r\n\r\n")),
    case("chunk longer than its size", post(CHUNKED, body=b"4\r\nhello\r\n0\r\n\r\n")),
    case("last chunk ends by LF", post(CHUNKED, body=b"5\r\nhello\r\n0\n\r\n")),
    case("body ends by LF", post(CHUNKED, body=b"5\r\nhello\r\n0\r\n\n")),
    case("chunk of minus zero", post(CHUNKED, body=b"5\r\nhello\r\n-0\r\n\r\n")),
    case(
        "extension",
        post(CHUNKED, body=b'5;a=b;c;d="e\xe9 f"\r\nhello\r\n0;x\r\n\r\n'),
        WHOLE,
        Refused(),
    ),
    case("plain extension", post(CHUNKED, body=b"5;a=b\r\nhello\r\n0\r\n\r\n"), WHOLE),
    case(
        "extension with spaces",
        post(CHUNKED, body=b"5 ; a = b\r\nhello\r\n0\r\n\r\n"),
        WHOLE,
        Refused(),
    ),
    case("extension with a bare LF", post(CHUNKED, body=b"5;a\nhello\r\n0\r\n\r\n" + SMUGGLED)),
    case("extension with a bare CR", post(CHUNKED, body=b"5;a\rb\r\nhello\r\n0\r\n\r\n")),
    case(
        "extension with a NUL",
        post(CHUNKED, body=b"5;a\x00\r\nhello\r\n0\r\n\r\n"),
        WHOLE,
        Refused(),
    ),
    case(
        "extension of a megabyte",
        post(CHUNKED, body=b"5;" + b"a" * 1_000_000 + b"\r\nhello\r\n0\r\n\r\n"),
        TOO_MUCH,
    ),
    case(
        "extensions by the hundred",
        post(
            CHUNKED,
            body=b"1;"
            + b"a" * 4000
            + b"\r\nx\r\n"
            + (b"1;" + b"a" * 4000 + b"\r\nx\r\n") * 499
            + b"0\r\n\r\n",
        ),
        TOO_MUCH,
    ),
    case("body without its last chunk", post(CHUNKED, body=b"5\r\nhello\r\n"), Refused()),
]

_LACKING = ("x-t", "trailer")
_TRAILERS = [
    case(
        "trailer",
        post(b"Trailer: X-T", CHUNKED, body=b"5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n"),
        Served(body=b"hello", lacks=_LACKING),
    ),
    *(
        case(
            f"trailer {name}",
            post(CHUNKED, body=b"5\r\nhello\r\n0\r\n" + line + b"\r\n\r\n"),
            Served(body=b"hello", lacks=lacking),
            Refused(),
        )
        for name, line, lacking in (
            ("CL", b"Content-Length: 3", ("content-length",)),
            ("TE", b"Transfer-Encoding: gzip", ()),
            ("host", b"Host: evil.example", ()),
            ("token", b"Authorization: other", ()),
            ("close", b"Connection: keep-alive, x-request-id", ()),
            ("for whom", b"X-Forwarded-For: 6.6.6.6", ()),
            ("expect", b"Expect: 100-continue", ("expect",)),
            ("upgrade", b"Upgrade: websocket\r\nConnection: upgrade", ("upgrade",)),
        )
    ),
    case("trailer with a space in its name", post(CHUNKED, body=b"0\r\nX T: 1\r\n\r\n")),
    case("trailer without a colon", post(CHUNKED, body=b"0\r\nX\r\n\r\n")),
    case("trailer folded", post(CHUNKED, body=b"0\r\nX: 1\r\n 2\r\n\r\n")),
    case("trailer with a bare LF", post(CHUNKED, body=b"0\r\nX: 1\nY: 2\r\n\r\n")),
    case("trailer with a NUL", post(CHUNKED, body=b"0\r\nX: \x00\r\n\r\n")),
    case(
        "trailer of a megabyte",
        post(CHUNKED, body=b"0\r\nX: " + b"a" * 1_000_000 + b"\r\n\r\n"),
        TOO_MUCH,
    ),
    case(
        "trailers by the thousand",
        post(CHUNKED, body=b"0\r\n" + b"X: 1\r\n" * 20_000 + b"\r\n"),
        TOO_MUCH,
    ),
]

CASES: list[Case] = [*_CHUNKS, *_TRAILERS]
