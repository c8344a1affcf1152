"""TLS for both ports, and how our own clients trust it. It stands on the standard library alone.

A certificate that is replaced on disk is used for the next connection; those that are open go on.
"""

import asyncio
import ssl
from asyncio import sslproto
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

#: What the loop itself puts in front of a protocol; it has no public name.
_SslProtocol = cast("type[Any]", sslproto.SSLProtocol)  # pyright: ignore[reportAttributeAccessIssue,reportUnknownMemberType]
#: Seconds between two looks at the files.
LOOK = 5.0
_PLAIN = b"This port speaks HTTPS: write https:// instead of http://.\n"
_HANDSHAKE = 0x16  #: first byte of TLS


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """What a server shows; TLS 1.2 or newer.

    Raises:
        OSError: a file cannot be read, or (as ssl.SSLError) they are not a certificate and its key.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    return context


def pinned(certificate: Path) -> ssl.SSLContext:
    """For clients beside the server: whoever has the key of this certificate, by whatever name.

    Raises:
        OSError: it cannot be read, or is no certificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_flags = ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(cadata=_first(certificate))
    return context


def _first(certificate: Path) -> str:
    """The others of a chain stand for whomever their owner signed for."""
    first, end, _ = certificate.read_text("ascii", "replace").partition("-----END CERTIFICATE-----")
    return first + end


def trusting(ca_file: str = "") -> ssl.SSLContext:
    """For clients elsewhere: this machine's authorities, or those in a PEM file, and them alone.

    What is in the file need not be an authority: a server's own certificate stands for that server.

    Raises:
        OSError: the file cannot be read, or holds none.
    """
    context = ssl.create_default_context(cafile=ca_file or None)
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


async def follow(
    context: ssl.SSLContext,
    certificate: Path,
    key: Path,
    told: Callable[[str], None],
    pin: ssl.SSLContext | None = None,
) -> None:
    """Take over what is put in the files' place. Runs until it is cancelled; `told` gets sentences.

    `pin`: what `pinned` made of the certificate, to be kept up with it.
    """
    known, refused = _stamp(certificate, key), None
    while True:
        await asyncio.sleep(LOOK)
        found = _stamp(certificate, key)
        if found in (known, refused):
            continue
        try:
            server_context(certificate, key)  # half a change would spoil the one that serves
            context.load_cert_chain(certificate, key)
            if pin is not None:
                pin.load_verify_locations(cadata=_first(certificate))
        except OSError as error:
            refused = found
            told(f"the new certificate or key cannot be used, the old ones serve on: {error}")
        else:
            known = found
            told("a new certificate is in use")


async def follow_authorities(
    context: ssl.SSLContext, file: Path, told: Callable[[str], None]
) -> None:
    """Trust what is put in the place of a client's `trusting` file, beside what it held before.

    Runs until it is cancelled; `told` gets sentences.
    """
    known = _stamp(file)
    while True:
        await asyncio.sleep(LOOK)
        found = _stamp(file)
        if found in (known, ()):
            continue
        known = found
        try:
            context.load_verify_locations(cafile=file)
        except OSError as error:
            told(f"the new authorities cannot be used, those of before are trusted on: {error}")
        else:
            told("new authorities are trusted")


def _stamp(*paths: Path) -> tuple[tuple[int, int, int], ...]:
    found: list[tuple[int, int, int]] = []
    for path in paths:
        with suppress(OSError):
            stat = path.stat()
            found.append((stat.st_mtime_ns, stat.st_ino, stat.st_size))
    return tuple(found)


class Sniffer(asyncio.Protocol):
    """Looks at a connection's first byte: TLS goes on as such, anything else is told what it lacks."""

    def __init__(
        self, context: ssl.SSLContext, make: Callable[[], asyncio.Protocol], seconds: float
    ) -> None:
        """`make` gives the protocol inside TLS; `seconds` are for the handshake."""
        self._context, self._make, self._seconds = context, make, seconds
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client came."""
        self._transport = cast(asyncio.Transport, transport)
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._seconds, self._transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """It went."""
        self._disarm()

    def data_received(self, data: bytes) -> None:
        """The first bytes; the rest goes to whoever they were for."""
        self._disarm()
        if data[0] != _HANDSHAKE:
            head = b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\nconnection: close\r\n"
            length = b"content-length: %d\r\n\r\n" % len(_PLAIN)
            self._transport.write(head + length + _PLAIN)
            self._transport.close()
            return
        # What loop.start_tls does, but for bytes that were read already.
        tls = _SslProtocol(
            asyncio.get_running_loop(),
            self._make(),
            self._context,
            None,
            server_side=True,
            ssl_handshake_timeout=self._seconds,
        )
        self._transport.set_protocol(tls)
        tls.connection_made(self._transport)
        view = memoryview(data)
        while view:
            room = tls.get_buffer(len(view))
            count = min(len(view), len(room))
            room[:count] = view[:count]
            tls.buffer_updated(count)
            view = view[count:]

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
