"""The EAS control plane as a raw ASGI app: from the first byte of a request to its one JSON answer.

Order of the checks: route, action and version, size, credentials, policy, cloud-only operations,
values, operations of a later release, region; then the handler. Every answer is JSON with a
RequestId, every refusal is in the vendor's envelope.
"""

import json
import uuid
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, cast

import structlog
from pydantic_core import PydanticSerializationError, to_json

from pierhead.core.errors import NotFound, PierheadError, Unsupported
from pierhead.core.ids import Clock, Entropy
from pierhead.core.principals import AccessKey, BearerToken, Principal
from pierhead.dialects.bodies import BodyLimits, Gone, Receive, TooLarge, TooSlow, read_body
from pierhead.dialects.eas import errors, reading, sign
from pierhead.dialects.eas.catalog import Catalog, Operation, WrongMethod, load
from pierhead.dialects.eas.errors import WireError

API_VERSION = "2021-07-01"
#: Seconds after which a client may try again when a part of the platform is away.
_RETRY_AFTER = 5
_log = structlog.stdlib.get_logger(__name__)

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Call:
    """A request that is authenticated, allowed and legal: what a handler works with."""

    operation: Operation
    path: Mapping[str, str]  #: decoded names by parameter, e.g. ServiceName
    query: Mapping[str, Any]  #: typed, defaults filled in, absent ones left out
    body: Mapping[str, Any]  #: typed; a document as it came
    unknown: tuple[str, ...]  #: fields of the body that the catalog does not know
    principal: Principal
    request_id: str
    base_url: str  #: how the client reached us: scheme and host, without a trailing slash


#: Gives the answer's fields; RequestId is added.
Handler = Callable[[Call], Awaitable[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Doors:
    """What the app asks of the rest of the platform. All may raise core errors."""

    find_key: Callable[[str], Awaitable[AccessKey | None]]
    find_bearer: Callable[[str], Awaitable[BearerToken | None]]  #: by the token's text
    #: (key id, nonce, expiry in epoch seconds) -> False when it was there already
    record_nonce: Callable[[str, str, float], Awaitable[bool]]
    #: (principal, `eas:<Operation>`, ARNs); raises Forbidden
    authorize: Callable[[Principal, str, tuple[str, ...]], Awaitable[None]]
    clock: Clock
    entropy: Entropy
    region: str
    #: (operation, `OK` or the error's code, seconds), for the figures
    answered: Callable[[str, str, float], None] = lambda _operation, _code, _seconds: None


@dataclass(frozen=True, slots=True)
class Limits:
    """What an operator may choose about requests."""

    body: int = 1024 * 1024  #: bytes; a larger body is refused
    body_seconds: float = 30.0  #: time for the whole body to arrive
    drain: int = 64 * 1024 * 1024  #: bytes of a refused body that are read, so that 413 can be read
    drain_seconds: float = 10.0
    #: Seconds that a nonce is kept: both halves of the window in which its request could be repeated.
    nonce_seconds: float = 1800.0
    signatures: sign.Options = field(default_factory=sign.Options)


@dataclass(slots=True)
class _Exchange:
    """One request and what is known of it so far; refusals name as much as there is."""

    scope: Scope
    receive: Receive
    request_id: str
    headers: tuple[tuple[str, str], ...]
    principal: Principal | None = None
    operation: Operation | None = None
    path: Mapping[str, str] = field(default_factory=dict[str, str])
    allowed: tuple[str, ...] = ()  #: methods that the path has, when this one it has not
    close: bool = False  #: the body was not read to its end

    def header(self, name: str) -> str:
        """The first value of a header; "" when absent."""
        return next((value for key, value in self.headers if key == name), "")


class EasApp:
    """ASGI application of the whole dialect; `handlers` are by operation id."""

    def __init__(
        self,
        doors: Doors,
        handlers: Mapping[str, Handler],
        limits: Limits = Limits(),
        catalog: Catalog | None = None,
    ) -> None:
        """`handlers` may be a part of the catalog; the rest answers UnsupportedOperation."""
        self._doors, self._handlers, self._limits = doors, handlers, limits
        self._catalog = catalog or load()
        strangers = set(handlers) - set(self._catalog.by_id)
        if strangers:
            raise ValueError(f"handlers of unknown operations: {sorted(strangers)}")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One HTTP request."""
        began = perf_counter()
        exchange = _Exchange(
            scope, receive, _request_id(self._doors.entropy), _headers(scope["headers"])
        )
        try:
            code, body = "OK", _encoded(await self._answer(exchange))
        except Gone:
            return
        except WrongMethod as error:
            exchange.allowed = error.allowed
            code, body = _refusal(error, exchange)
        except PierheadError as error:
            code, body = _refusal(error, exchange)
        except Exception:  # noqa: BLE001 - process edge: whatever a handler meets, the client gets its envelope
            _log.exception("request failed", **_where(exchange))
            code, body = _refusal(PierheadError(), exchange)
        self._note(exchange, code, perf_counter() - began)
        await _send(send, 200 if code == "OK" else errors.status_of(code), body, exchange)

    def _note(self, exchange: _Exchange, code: str, seconds: float) -> None:
        """For the figures, and one line in the log; what only looked, and could, is told under debug."""
        operation = exchange.operation.id if exchange.operation else ""
        self._doors.answered(operation, code, seconds)
        quiet = code == "OK" and exchange.scope["method"] == "GET"
        note = _log.debug if quiet else _log.info
        note("call", **_where(exchange), code=code, ms=round(seconds * 1000, 1))

    async def _answer(self, exchange: _Exchange) -> dict[str, Any]:
        raw_path = _raw_path(exchange.scope)
        operation, path = self._catalog.match(exchange.scope["method"], raw_path)
        exchange.path = path
        exchange.operation = operation
        _check_named(exchange, operation)
        body = await _read_body(exchange, self._limits)
        principal = exchange.principal = await self._authenticate(exchange, raw_path, body)
        await self._doors.authorize(
            principal,
            operation.ram.action,
            arns(operation, path, self._doors.region, principal.account),
        )
        if operation.tier == "3":
            raise Unsupported(operation.id, operation.unsupported)
        content_type = exchange.header("content-type")
        values = reading.read(operation, exchange.scope["query_string"], content_type, body)
        handler = self._handlers.get(operation.id)
        if handler is None:
            raise Unsupported(operation.id, operation.unsupported)
        self._check_region(operation, path)
        call = Call(
            operation=operation,
            path=path,
            query=values.query,
            body=values.body,
            unknown=values.unknown,
            principal=principal,
            request_id=exchange.request_id,
            base_url=f"{exchange.scope.get('scheme', 'http')}://{exchange.header('host')}",
        )
        return {"RequestId": exchange.request_id, **await handler(call)}

    async def _authenticate(self, exchange: _Exchange, raw_path: str, body: bytes) -> Principal:
        query = cast(bytes, exchange.scope["query_string"])
        target = f"{raw_path}?{query.decode('latin-1')}" if query else raw_path
        request = sign.SignedRequest(exchange.scope["method"], target, exchange.headers, body)
        if not request.values("authorization"):
            return await self._by_bearer(request)
        options = self._limits.signatures
        claim = sign.read(request, options)
        key = await self._doors.find_key(claim.key_id)
        now = self._doors.clock()
        verified = sign.judge(request, claim, key, now, options)
        if verified.nonce is not None:
            fresh = await self._doors.record_nonce(
                verified.key.id, verified.nonce, now + self._limits.nonce_seconds
            )
            if not fresh:
                raise WireError("SignatureNonceUsed", "Specified signature nonce was used already.")
        return verified.key.principal

    async def _by_bearer(self, request: sign.SignedRequest) -> Principal:
        token = sign.bearer(request)
        found = await self._doors.find_bearer(token)
        now = self._doors.clock()
        if found is None or (found.expires is not None and found.expires <= now):
            raise WireError("InvalidBearerToken", "The bearer token is unknown or has expired.")
        sign.check_bearer(request, now, self._limits.signatures)
        return found.principal

    def _check_region(self, operation: Operation, path: Mapping[str, str]) -> None:
        region = path.get("ClusterId", self._doors.region)
        if region != self._doors.region:
            name = path.get(operation.path_params[-1], "")
            raise NotFound(
                operation.kind,
                name,
                f"There is no region [{region[:80]}] here; this platform is the region "
                f"[{self._doors.region}].",
            )


def arns(
    operation: Operation, path: Mapping[str, str], region: str, account: str
) -> tuple[str, ...]:
    """The ARNs that a policy is asked about, by the names in the path.

    An operation without resource-level permission asks about everything (`...:*`), and beside that
    about the service that its path names.
    """
    whole = f"acs:eas:{region}:{account}:"
    template = operation.ram.resource
    if template == "*":
        service = path.get("ServiceName")
        return (f"{whole}*", f"{whole}service/{service}") if service else (f"{whole}*",)
    noun = template.split(":", 4)[4]
    for name in operation.path_params:
        noun = noun.replace(f"{{{name}}}", path[name])
    return (whole + noun,)


def _request_id(entropy: Entropy) -> str:
    return str(uuid.UUID(bytes=entropy(16), version=4)).upper()


def _headers(raw: list[tuple[bytes, bytes]]) -> tuple[tuple[str, str], ...]:
    return tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in raw)


def _raw_path(scope: Scope) -> str:
    """The path as it stood on the wire; a server that does not tell it cannot carry signatures."""
    raw = cast(bytes, scope["raw_path"])
    return raw.partition(b"?")[0].decode("latin-1")


def _check_named(exchange: _Exchange, operation: Operation) -> None:
    """Clients may name what they call; one that does must mean this operation."""
    action = exchange.header("x-acs-action")
    if action and action != operation.id:
        raise WireError(
            "InvalidAction.Mismatch",
            f"x-acs-action is [{action[:80]}], but this method and path are {operation.id}.",
        )
    version = exchange.header("x-acs-version")
    if version and version != API_VERSION:
        raise WireError("InvalidVersion", f"[{version[:80]}] is not {API_VERSION}.")


async def _read_body(exchange: _Exchange, limits: Limits) -> bytes:
    """The whole body.

    Raises:
        WireError: it is too large, or too slow.
        Gone: the client went away.
    """
    bounds = BodyLimits(limits.body, limits.body_seconds, limits.drain, limits.drain_seconds)
    length, expect = exchange.header("content-length"), exchange.header("expect")
    try:
        return await read_body(exchange.receive, bounds, length, expect)
    except TooSlow as error:
        exchange.close = True
        raise WireError(
            "RequestTimeout", f"The body did not arrive within {limits.body_seconds:g} s."
        ) from error
    except TooLarge as error:
        exchange.close = not error.ended
        raise WireError(
            "RequestEntityTooLarge", f"The body is larger than the limit of {limits.body} bytes."
        ) from error


def _refusal(error: PierheadError, exchange: _Exchange) -> tuple[str, bytes]:
    host = exchange.header("host")
    body = errors.envelope(error, exchange.request_id, host, exchange.principal)
    return body["Code"], _encoded(body)


def _encoded(body: dict[str, Any]) -> bytes:
    """As JSON; a text that UTF-8 cannot hold is shown with a question mark."""
    try:
        return to_json(body)  # half of json's time for a list of 100
    except PydanticSerializationError:
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        return text.encode("utf-8", "replace")


def _where(exchange: _Exchange) -> dict[str, str]:
    return {
        "request_id": exchange.request_id,
        "operation": exchange.operation.id if exchange.operation else "",
        "service": exchange.path.get("ServiceName", ""),
        "caller": exchange.principal.id if exchange.principal else "",
    }


async def _send(send: Send, status: int, content: bytes, exchange: _Exchange) -> None:
    headers = [
        (b"content-type", b"application/json;charset=utf-8"),
        (b"content-length", str(len(content)).encode()),
        (b"x-acs-request-id", exchange.request_id.encode()),
    ]
    if exchange.allowed:
        headers.append((b"allow", ", ".join(exchange.allowed).encode()))
    if status == 503:
        headers.append((b"retry-after", str(_RETRY_AFTER).encode()))
    if exchange.close:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
