"""What every request to the hub meets first, and every answer last: proxies, hosts, security headers.

A page on the internet can give its own name the address 127.0.0.1 and so have a browser call a
platform on loopback ("DNS rebinding"). The browser then sends that name as `Host`, so names that are
not known are refused, except where every call is signed or brings the internal key, which no browser has.
"""

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pierhead.core.proxies import NOBODY, Proxies, address_of

Headers = list[tuple[bytes, bytes]]

#: For answers that are no pages: nothing in them may ever be run, framed or kept.
ALWAYS: Headers = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
]
UNLESS_SAID: Headers = [
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
]
HSTS = (b"strict-transport-security", b"max-age=31536000")
_REMEMBERED = 256


@dataclass(frozen=True, slots=True)
class Rules:
    """What an operator chose."""

    #: Names of hosts, lower-case; `*.example.com` for all below, `*` for any. Addresses always pass.
    hosts: frozenset[str] = frozenset()
    proxies: Proxies = NOBODY  #: whose X-Forwarded-* headers count
    hsts: bool = False  #: tell browsers to come by HTTPS only
    #: Makes an id for a refusal.
    request_id: Callable[[], str] = lambda: str(uuid.uuid4()).upper()


class Edge:
    """ASGI middleware around the front door."""

    def __init__(self, app: ASGIApp, rules: Rules) -> None:
        self._app, self._rules = app, rules
        self._known: dict[str, bool] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        client = scope.get("client")
        if client and self._rules.proxies.believes(client[0]):
            scope = self._behind_proxy(scope, client[0])
        hosts = [v.decode("latin-1") for k, v in scope["headers"] if k == b"host"]
        host = hosts[0] if hosts else ""
        secured = self._secured(send, secure=scope["scheme"] == "https", host=host)
        if len(hosts) > 1:  # whoever stands before this server may have gone by the other one
            await self._refuse(scope, 400, "The header Host is given more than once.", secured)
            return
        if host and not _is_signed(scope) and not self._is_known(host):
            await self._refuse(scope, 421, _strange(host), secured)
            return
        await self._app(scope, receive, secured)

    def _behind_proxy(self, scope: Scope, peer: str) -> Scope:
        """The client's own address and scheme, as the proxy tells them."""
        told = [v.decode("latin-1") for k, v in scope["headers"] if k == b"x-forwarded-for"]
        source = self._rules.proxies.origin(peer, told)
        scheme = _header(scope, b"x-forwarded-proto").rpartition(",")[2].strip().lower()
        known = scheme if scheme in ("http", "https") else scope["scheme"]
        return {**scope, "client": (source, 0), "scheme": known}

    def _is_known(self, host: str) -> bool:
        known = self._known.get(host)
        if known is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            known = self._known[host] = is_known(host, self._rules.hosts)
        return known

    def _secured(self, send: Send, *, secure: bool, host: str) -> Send:
        hsts = secure and self._rules.hsts and not is_local(host)

        async def secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers: Headers = list(message.get("headers", ()))
                said = {name for name, _ in headers}
                headers += ALWAYS
                headers += [one for one in UNLESS_SAID if one[0] not in said]
                message["headers"] = [*headers, HSTS] if hsts else headers
            await send(message)

        return secured

    async def _refuse(self, scope: Scope, status: int, message: str, send: Send) -> None:
        content, kind = message.encode("ascii", "backslashreplace"), b"text/plain"
        if not scope["path"].startswith("/zstack"):
            body = {
                "RequestId": self._rules.request_id(),
                "HostId": "",
                "Code": "InvalidHost",
                "Message": message,
                "Recommend": "",
            }
            content, kind = json.dumps(body).encode(), b"application/json;charset=utf-8"
        headers = [(b"content-type", kind), (b"content-length", str(len(content)).encode())]
        headers.append((b"connection", b"close"))  # its body is not read
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})


def _is_signed(scope: Scope) -> bool:
    """Is nothing done for this call unless a key signed it? EAS, RAM and STS, the trail, gateways."""
    path: str = scope["path"]
    if path == "/":
        return scope["method"] == "POST" or b"Action=" in scope["query_string"]
    return path.startswith(("/api/", "/internal/")) or path == "/audit"


def _strange(host: str) -> str:
    return (
        f"This platform does not go by the name [{host[:80]}]: "
        "add it to the setting http.allowed_hosts, or use an address."
    )


def is_known(host: str, names: frozenset[str]) -> bool:
    """May a request name this host (with or without a port)?"""
    name = _name(host)
    if "*" in names or name in names or is_local(host) or address_of(name):
        return True
    return any(one[:2] == "*." and name.endswith(one[1:]) for one in names)


def is_local(host: str) -> bool:
    """Is it this machine, whoever asks?"""
    name = _name(host)
    address = address_of(name)
    if address is not None:
        return address.is_loopback
    return name == "localhost" or name.endswith(".localhost")


def _name(host: str) -> str:
    """A Host header without its port, lower-case."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    name = host.partition(":")[0] if host.count(":") == 1 else host
    return name.rstrip(".").lower()


def _header(scope: Scope, name: bytes) -> str:
    return next((v.decode("latin-1") for k, v in scope["headers"] if k == name), "")
