"""Which headers pass the gateway, in either direction."""

from collections.abc import Iterable

from pierhead.gateway.exchange import Exchange

Raw = Iterable[tuple[bytes, bytes]]

#: They speak of one connection, not of the message (RFC 9110 §7.6.1).
HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer"
    b" transfer-encoding upgrade".split()
)
#: The gateway writes these itself: the body is whole, and the client's credential is for us alone.
OURS = frozenset(b"authorization content-length expect host x-forwarded-for x-request-id".split())


def for_replica(
    exchange: Exchange, address: str, key: str, *, legible: bool = False
) -> list[tuple[str, str]]:
    """The client's headers as the engine at `address` gets them, with its own key if it has one.

    `legible`: the answer is to come uncompressed, because the gateway has to read it.
    """
    dropped = HOP_BY_HOP | OURS | _named_by_connection(exchange.raw_headers)
    if legible:
        dropped |= {b"accept-encoding"}
    headers = [
        (name.decode("latin-1"), _text(value))
        for name, value in exchange.raw_headers
        if name not in dropped
    ]
    seen = exchange.headers.get("x-forwarded-for")
    headers += [
        ("Host", address),
        ("X-Request-Id", exchange.request_id),
        ("X-Forwarded-For", f"{seen}, {exchange.client}" if seen else exchange.client),
    ]
    if "x-forwarded-proto" not in exchange.headers:
        headers.append(("X-Forwarded-Proto", exchange.scheme))
    if "x-forwarded-host" not in exchange.headers:
        headers.append(("X-Forwarded-Host", exchange.headers.get("host", "")))
    if legible:
        headers.append(("Accept-Encoding", "identity"))
    if key:
        headers.append(("Authorization", f"Bearer {key}"))
    return headers


def for_client(raw: Raw, request_id: str, *, sized: bool = True) -> list[tuple[bytes, bytes]]:
    """The engine's headers as the client gets them, bytes unchanged; not `sized`: without a length."""
    raw = list(raw)
    dropped = HOP_BY_HOP | _named_by_connection(raw) | {b"x-request-id"}
    if not sized:
        dropped |= {b"content-length"}
    headers = [(name, value) for name, value in raw if name.lower() not in dropped]
    headers.append((b"x-request-id", request_id.encode()))
    return headers


def _text(value: bytes) -> str:
    """As the upstream client will encode it again; what is no UTF-8 is read as Latin-1."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _named_by_connection(raw: Raw) -> frozenset[bytes]:
    listed = [value for name, value in raw if name.lower() == b"connection"]
    return frozenset(name.strip().lower() for value in listed for name in value.split(b","))
