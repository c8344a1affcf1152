"""The corpus, first part: lengths and transfer codings, alone and together."""

from contract.smuggling_cases import SMUGGLED, Case, Refused, Served, Waits, case, head, post

CHUNKED = b"Transfer-Encoding: chunked"
FIVE = b"Content-Length: 5"
HELLO = b"5\r\nhello\r\n0\r\n\r\n"
UNKNOWN = Refused((400, 501))
WHOLE = Served(body=b"hello")

#: A coding that is written so, before a chunked body.
_REFUSED_CODINGS = {
    "xchunked": b"xchunked",
    "chunkedx": b"chunkedx",
    "with a parameter": b"chunked;x",
    "with a quality": b"chunked; q=1",
    "identity": b"identity",
    "chunked then identity": b"chunked, identity",
    "identity then chunked": b"identity, chunked",
    "gzip then chunked": b"gzip, chunked",
    "chunked then gzip": b"chunked, gzip",
    "chunked twice": b"chunked, chunked",
    "unknown then chunked": b"cow, chunked",
    "empty": b"",
    "quoted": b'"chunked"',
    "in angles": b"<chunked>",
    "vertical tab": b"\x0bchunked",
    "form feed": b"chunked\x0c",
    "NUL after": b"chunked\x00",
    "NUL before": b"\x00chunked",
    "other letters": b"ch\xc3\xbcnked",
    "no-break space": b"\xa0chunked",
    "two words": b"chunked chunked",
    "bare CR after": b"chunked\r",
    "folded": b"\r\n chunked",
    "folded by a tab": b"\r\n\tchunked",
    "list folded": b"gzip,\r\n chunked",
}
_CODINGS = [
    *(
        case(f"TE {name}", post(b"Transfer-Encoding: " + value, body=HELLO), UNKNOWN)
        for name, value in _REFUSED_CODINGS.items()
    ),
    *(
        case(
            f"TE {name} with CL",
            post(b"Content-Length: 4", b"Transfer-Encoding: " + value, body=b"5c\r\n" + SMUGGLED),
            UNKNOWN,
        )
        for name, value in _REFUSED_CODINGS.items()
    ),
    case("TE chunked", post(CHUNKED, body=HELLO), WHOLE),
    case("TE in capitals", post(b"TRANSFER-ENCODING: CHUNKED", body=HELLO), WHOLE),
    case("TE in mixed case", post(b"tRANSFER-eNCODING: cHuNkEd", body=HELLO), WHOLE),
    case("TE without a space", post(b"Transfer-Encoding:chunked", body=HELLO), WHOLE),
    case("TE after a tab", post(b"Transfer-Encoding:\tchunked\t", body=HELLO), WHOLE, UNKNOWN),
    case("TE after many spaces", post(b"Transfer-Encoding:    chunked  ", body=HELLO), WHOLE),
    case("TE with an empty item", post(b"Transfer-Encoding: chunked,", body=HELLO), WHOLE, UNKNOWN),
    case("TE twice", post(CHUNKED, CHUNKED, body=HELLO), UNKNOWN),
    case(
        "TE chunked and identity",
        post(CHUNKED, b"Transfer-Encoding: identity", body=HELLO),
        UNKNOWN,
    ),
    case(
        "TE identity and chunked",
        post(b"Transfer-Encoding: identity", CHUNKED, body=HELLO),
        UNKNOWN,
    ),
    case("TE chunked and cow", post(CHUNKED, b"Transfer-Encoding: cow", body=HELLO), UNKNOWN),
    case("space before the colon of TE", post(b"Transfer-Encoding : chunked", body=HELLO)),
    case("tab before the colon of TE", post(b"Transfer-Encoding\t: chunked", body=HELLO)),
    case("NUL in the name of TE", post(b"Transfer-\x00Encoding: chunked", body=HELLO)),
    case("TE on a folded line", post(b"X: y\r\n Transfer-Encoding: chunked", body=HELLO)),
    case("TE after a bare LF", post(FIVE, b"X: y\nTransfer-Encoding: chunked", body=b"hello")),
    case("TE after a bare CR", post(FIVE, b"X: y\rTransfer-Encoding: chunked", body=b"hello")),
    case("TE after LF CR", post(FIVE, b"X: y\n\rTransfer-Encoding: chunked", body=b"hello")),
    case(
        "TE with an underscore",
        post(FIVE, b"Transfer_Encoding: chunked", body=b"hello"),
        WHOLE,
        Refused(),
    ),
    case(
        "TE in HTTP/1.0",
        head("POST /api/predict/foo/x HTTP/1.0", CHUNKED) + HELLO,
        Refused(),
        Served(body=b"hello", then="closed"),
    ),
    case(
        "TE and CL in HTTP/1.0",
        head("POST /api/predict/foo/x HTTP/1.0", FIVE, CHUNKED) + HELLO,
    ),
    case(
        "named by Connection: TE",
        post(b"Connection: transfer-encoding", CHUNKED, body=HELLO),
        WHOLE,
        Refused(),
    ),
]

_BOTH = [
    case("CL then TE", post(b"Content-Length: 4", CHUNKED, body=b"5c\r\n" + SMUGGLED)),
    case("TE then CL", post(CHUNKED, b"Content-Length: 4", body=b"5c\r\n" + SMUGGLED)),
    case("CL 0 and TE", post(b"Content-Length: 0", CHUNKED, body=HELLO)),
    case("CL that agrees and TE", post(b"Content-Length: 15", CHUNKED, body=HELLO)),
    case("CL, TE of no body", post(b"Content-Length: 6", CHUNKED, body=b"0\r\n\r\nG")),
    case("CL in odd case and TE", post(b"cOnTENT-lENGTH: 6", CHUNKED, body=b"0\r\n\r\nG")),
    case("CL and TE that is unknown", post(FIVE, b"Transfer-Encoding: x", body=b"hello"), UNKNOWN),
    case(
        "CL and TE hidden from llhttp by a dash",
        post(FIVE, b"Transfer-Encoding-: chunked", body=b"hello"),
        WHOLE,
    ),
]

_REFUSED_LENGTHS = {
    "plus": b"+5",
    "minus": b"-5",
    "minus zero": b"-0",
    "hexadecimal": b"0x5",
    "hexadecimal digit": b"a",
    "octal": b"0o5",
    "a fraction": b"5.0",
    "an exponent": b"5e0",
    "an underscore": b"0_5",
    "two words": b"5 5",
    "digits apart": b"1 5",
    "a list of equals": b"5, 5",
    "a list of different": b"5, 6",
    "an empty item": b"5,",
    "a parameter": b"5;x",
    "empty": b"",
    "quoted": b'"5"',
    "vertical tab": b"\x0b5",
    "form feed": b"5\x0c",
    "NUL": b"5\x00",
    "bare CR": b"5\r",
    "other digits": b"\xd9\xa5",
    "wide digits": b"\xef\xbc\x95",
    "chunked": b"chunked",
    "2^64 + 5": b"18446744073709551621",
    "2^128 + 5": b"340282366920938463463374607431768211461",
    "a thousand digits": b"9" * 1000,
    "folded": b"\r\n 5",
    "folded within": b"1\r\n 5",
}
_LENGTHS = [
    *(
        case(
            f"CL {name}",
            post(b"Content-Length: " + value, body=b"hello"),
            Refused((400, 413), stays="2^" in name or "thousand" in name),
        )
        for name, value in _REFUSED_LENGTHS.items()
    ),
    case("CL", post(FIVE, body=b"hello"), WHOLE),
    case("CL without a space", post(b"content-length:5", body=b"hello"), WHOLE),
    case("CL with spaces around", post(b"Content-Length:   5  ", body=b"hello"), WHOLE),
    case("CL with a tab after", post(b"Content-Length: 5\t", body=b"hello"), WHOLE, Refused()),
    case("CL with zeros before", post(b"Content-Length: 0005", body=b"hello"), WHOLE, Refused()),
    case("CL twice", post(FIVE, FIVE, body=b"hello")),
    case("CL twice, different", post(FIVE, b"Content-Length: 6", body=b"hello")),
    case("CL twice, different case", post(FIVE, b"content-length: 0", body=b"hello")),
    case("CL 0 twice", post(b"Content-Length: 0", b"Content-Length: 0")),
    case(
        "CL beyond the limit",
        post(b"Content-Length: 4294967301", body=b"hello"),
        Refused((400, 413), stays=True),
    ),
    case("space before the colon of CL", post(b"Content-Length : 5", body=b"hello")),
    case("CL after a bare LF", post(b"X: y\nContent-Length: 5", body=b"hello")),
    case("CL after a bare CR", post(b"X: y\rContent-Length: 5", body=b"hello")),
    case("CL with an underscore", post(b"Content_Length: 5"), Served(), Refused()),
    case("CL 0 and a request after it", post(b"Content-Length: 0"), Served()),
    case(
        "a body without a length", post(body=b"hello"), Served(then="closed"), Refused((400, 411))
    ),
    case(
        "a request in the body",
        post(b"Content-Length: %d" % len(SMUGGLED), body=SMUGGLED),
        Served(body=SMUGGLED),
    ),
    case(
        "a request in a GET's body",
        head("GET /api/predict/foo/x HTTP/1.1", b"Content-Length: %d" % len(SMUGGLED)) + SMUGGLED,
        Served(method="GET", body=SMUGGLED),
    ),
    case(
        "a request in a chunk",
        post(CHUNKED, body=b"%x\r\n%s\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED)),
        Served(body=SMUGGLED),
    ),
    case(
        "named by Connection: CL",
        post(b"Connection: content-length", FIVE, body=b"hello"),
        WHOLE,
        Refused(),
    ),
    case(
        "named by Connection: close, CL",
        post(b"Connection: content-length, close", FIVE, body=b"hello"),
        Served(body=b"hello", then="closed"),
        Refused(),
    ),
    case(
        "body shorter than CL, before the end", post(b"Content-Length: 500", body=b"hello"), Waits()
    ),
]

CASES: list[Case] = [*_CODINGS, *_BOTH, *_LENGTHS]
