"""Connects to endpoints that users name: the address that was checked is the one connected to.

A name is looked up once per connection, every address it has is checked, and the connection goes to
one of these: a name that leads elsewhere a moment later leads nowhere. Redirects are not followed, and
proxies of the environment are not used.
"""

import socket
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from threading import Lock
from urllib.parse import urlsplit

from pierhead.core.egress import refusal
from pierhead.core.errors import Invalid
from pierhead.sources.answers import Answer, Conversation, TimedSocket, broke
from pierhead.sources.remote import Denied, Flaky

_TRIED = 4  #: addresses of one name; somebody's name may have hundreds that do not answer

#: `resolve(host, port)` gives the addresses of a name.
Resolve = Callable[[str, int], list[str]]


def _look_up(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


@dataclass(frozen=True, slots=True)
class Egress:
    """What the operator permits; by default the public Internet only."""

    allowed: tuple[str, ...] = ()  #: addresses and networks that anybody's endpoint may lead to
    private: bool = False  #: private and loopback addresses, too; never metadata services
    resolve: Resolve = _look_up

    def addresses(self, host: str, port: int) -> list[str]:
        """The addresses of `host`, all of them permitted.

        Raises:
            Denied: one of them is not permitted. It is not named: the caller may not know it.
            Flaky: the name has no address.
        """
        try:
            found = self.resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise Flaky(f"The endpoint {host}", "its name has no address") from error
        for address in found:
            why = refusal(address, self.allowed, private=self.private)
            if why is not None:
                raise Denied(f"The endpoint {host}", self._unpermitted(address, why))
        return found

    def _unpermitted(self, address: str, why: str) -> str:
        """What is told, with what would permit it."""
        if self.private or refusal(address, self.allowed, private=True) is not None:
            return f"it leads to {why}, where no connection may lead"
        return (
            f"it leads to {why}, which the operator has not permitted for this connection "
            "(--allow-private of `pierhead storage add` does)"
        )

    def connect(self, host: str, port: int, seconds: float) -> socket.socket:
        """A connection to one of the permitted addresses; the first few are tried for so many seconds.

        Raises:
            Denied: as `addresses`.
            Flaky: none of them answers.
        """
        why = "its name has no address"
        for address in self.addresses(host, port)[:_TRIED]:
            try:
                made = socket.create_connection((address, port), timeout=seconds)
            except OSError as error:
                why = error.strerror or "it does not answer"
                continue
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return made
        raise Flaky(f"The endpoint {host}:{port}", why)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a store answers."""

    scheme: str  #: `http` or `https`
    host: str  #: without brackets
    port: int

    @property
    def url(self) -> str:
        """Without a slash at the end, and without the scheme's own port."""
        return f"{self.scheme}://{self.netloc}"

    @property
    def netloc(self) -> str:
        """As it stands in a Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = {"http": 80, "https": 443}[self.scheme]
        return host if self.port == usual else f"{host}:{self.port}"

    @property
    def is_address(self) -> bool:
        """Is the host an IP address?"""
        try:
            ip_address(self.host)
        except ValueError:
            return False
        return True


def endpoint(text: str) -> Endpoint:
    """`oss-cn-shanghai.aliyuncs.com` (then https) or a URL of scheme and host alone.

    Raises:
        Invalid: it is anything else.
    """
    legal = "a host, or http:// or https:// with a host and a port"
    try:
        parts = urlsplit(text if "://" in text else f"https://{text}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise Invalid("endpoint", "it is no address", legal) from None
    extra = parts.username or parts.password or parts.query or parts.fragment
    # Line ends are left out by the parser, wherever they stand.
    plain = (
        text.isprintable()
        and host.isascii()
        and all(sign.isalnum() or sign in ".-_:" for sign in host)
    )
    if parts.scheme not in {"http", "https"} or not host or not plain:
        raise Invalid("endpoint", "it is no address of a store", legal)
    if extra or parts.path not in {"", "/"}:
        raise Invalid("endpoint", "it has more to it than a scheme, a host and a port", legal)
    return Endpoint(parts.scheme, host, port if port else {"http": 80, "https": 443}[parts.scheme])


@dataclass(slots=True)
class Http:
    """HTTP to permitted addresses, with connections kept for the next request."""

    egress: Egress
    seconds: float = 20.0  #: for a connection, for the head of an answer, for each piece of it
    _idle: dict[tuple[str, str, int], list[Conversation]] = field(
        default_factory=dict[tuple[str, str, int], list[Conversation]]
    )
    _turn: Lock = field(default_factory=Lock)
    _tls: ssl.SSLContext | None = None

    def send(self, method: str, url: str, headers: Mapping[str, str]) -> Answer:
        """Ask, and give the answer, whatever its status.

        Raises:
            Denied: the address is not permitted.
            Flaky: no connection, or it broke.
        """
        parts = urlsplit(url)
        place = endpoint(f"{parts.scheme}://{parts.netloc}")
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        kept = self._take(place)
        if kept is not None:
            # The server may have ended a kept connection meanwhile: then a new one is made.
            with suppress(Flaky):
                return kept.ask(method, target, headers)
        return self._made(place).ask(method, target, headers)

    def close(self) -> None:
        """End the connections that are kept."""
        with self._turn:
            kept = [each for idle in self._idle.values() for each in idle]
            self._idle.clear()
        for each in kept:
            each.close()

    def _take(self, place: Endpoint) -> Conversation | None:
        with self._turn:
            idle = self._idle.get((place.scheme, place.host, place.port))
            return idle.pop() if idle else None

    def _made(self, place: Endpoint) -> Conversation:
        plain = self.egress.connect(place.host, place.port, self.seconds)
        if place.scheme == "https":
            plain = self._secured(plain, place)

        def give_back(connection: Conversation) -> None:
            with self._turn:
                key = (place.scheme, place.host, place.port)
                self._idle.setdefault(key, []).append(connection)

        made = TimedSocket(plain, self.seconds)
        return Conversation(place.host, place.netloc, made, give_back)

    def _secured(self, plain: socket.socket, place: Endpoint) -> socket.socket:
        if self._tls is None:
            self._tls = ssl.create_default_context()
        try:
            return self._tls.wrap_socket(plain, server_hostname=place.host)
        except ssl.SSLCertVerificationError as error:
            plain.close()
            why = f"its certificate is not trusted: {error.verify_message}"
            raise Denied(f"The endpoint {place.host}", why) from error
        except OSError as error:
            plain.close()
            raise Flaky(f"The endpoint {place.host}", broke(error)) from error
