"""RAM, STS and our own API as a raw ASGI app: from the first byte of a call to its one JSON answer.

Order of the checks: method, size, parameters' syntax, action and version, credentials, policy,
values; then the handler. Every answer is JSON with a RequestId, every refusal is in the vendor's
envelope.
"""

import uuid
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, cast

import structlog
from pydantic_core import to_json

from pierhead.core.audit import Act
from pierhead.core.errors import Invalid, PierheadError, Throttled
from pierhead.core.ids import Clock, Entropy
from pierhead.core.permits import Deed
from pierhead.core.policy import Request
from pierhead.core.principals import Principal
from pierhead.dialects import mock
from pierhead.dialects.bodies import BodyLimits, BodyRefused, Gone, Receive, read_body
from pierhead.dialects.circumstances import circumstances
from pierhead.dialects.ram import checks, errors, present, reading
from pierhead.dialects.ram.asking import deed, requests, told
from pierhead.dialects.ram.calls import Call, Handler
from pierhead.dialects.ram.catalog import NATIVE, RAM, STS, Catalog, Operation, load
from pierhead.dialects.ram.errors import RamError
from pierhead.dialects.signing.callers import Callers
from pierhead.dialects.signing.signed_request import SignedRequest
from pierhead.dialects.watch import Watch, address_of, claimed, is_denied, source_of

METHODS = ("GET", "POST")
#: Seconds after which a client may try again when a part of the platform is away.
_RETRY_AFTER = 5
_log = structlog.stdlib.get_logger(__name__)

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Doors:
    """What the app asks of the rest of the platform. All may raise core errors."""

    callers: Callers
    #: Who asks, and for what; all must be allowed, else it raises Forbidden.
    authorize: Callable[[Principal, Sequence[Request]], Awaitable[None]]
    #: The same for calls of our own API; gives the principal with what the call may touch.
    permit: Callable[[Principal, Deed], Awaitable[Principal]]
    clock: Clock
    entropy: Entropy
    #: (action, `OK` or the error's code, seconds), for the figures
    answered: Callable[[str, str, float], None] = lambda _operation, _code, _seconds: None
    watch: Watch = field(default_factory=Watch)


@dataclass(slots=True)
class _Exchange:
    """One call and what is known of it so far; refusals name as much as there is."""

    scope: Scope
    receive: Receive
    request_id: str
    headers: tuple[tuple[str, str], ...]
    principal: Principal | None = None
    operation: Operation | None = None
    close: bool = False  #: the body was not read to its end
    wait: int = 0  #: seconds after which a client that is refused may try again
    # For the audit trail:
    given: Mapping[str, str] = field(default_factory=dict[str, str])
    resources: tuple[str, ...] = ()
    denied: bool = False
    mock: bool = False  #: it is only tried out: nothing is written

    def header(self, name: str) -> str:
        """The first value of a header; "" when absent."""
        return next((value.strip() for key, value in self.headers if key == name), "")


class RamApp:
    """ASGI application of both APIs; `handlers` are by operation id."""

    def __init__(self, doors: Doors, handlers: Mapping[str, Handler], limits: BodyLimits) -> None:
        """`handlers` must be those of the whole catalog."""
        self._doors, self._handlers, self._limits = doors, handlers, limits
        self._catalog: Catalog = load()
        known = {name for _, name in self._catalog.operations}
        if set(handlers) != known:
            raise ValueError(f"not the catalog's operations: {sorted(known ^ set(handlers))}")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One HTTP request."""
        began = perf_counter()
        request_id = str(uuid.UUID(bytes=self._doors.entropy(16), version=4)).upper()
        exchange = _Exchange(scope, receive, request_id, _headers(scope["headers"]))
        try:
            code, body = "OK", await self._answer(exchange)
        except Gone:
            return
        except PierheadError as error:
            code, body = _refusal(error, exchange)
        except Exception:  # noqa: BLE001 - process edge: whatever a handler meets, the client gets its envelope
            _log.exception("request failed", **_where(exchange))
            code, body = _refusal(PierheadError(), exchange)
        self._note(exchange, code, perf_counter() - began)
        await _send(send, 200 if code == "OK" else errors.status_of(code), body, exchange)

    def _note(self, exchange: _Exchange, code: str, seconds: float) -> None:
        """For the figures, and one line in the log; what only looked, and could, is told under debug."""
        operation = exchange.operation
        self._doors.answered(operation.action if operation else "", code, seconds)
        looks = operation is not None and operation.access in {"get", "list"}
        note = _log.debug if looks and code == "OK" else _log.info
        note("call", **_where(exchange), code=code, ms=round(seconds * 1000, 1))
        counts = self._doors.watch.counts(code, reading=looks)
        if operation is not None and counts and not (exchange.mock and code == "OK"):
            source = source_of(exchange.scope, exchange.request_id)
            self._doors.watch.note(_act(exchange, operation, code), exchange.principal, source)

    async def _answer(self, exchange: _Exchange) -> dict[str, Any]:
        scope = exchange.scope
        exchange.mock = _is_mock(exchange)
        if scope["method"] not in METHODS:
            raise RamError(
                "UnsupportedHTTPMethod", f"The method {scope['method'][:20]} is not GET or POST."
            )
        body = await _read_body(exchange, self._limits)
        query = cast(bytes, scope["query_string"])
        given = reading.parameters(query, exchange.header("content-type"), body)
        operation = exchange.operation = self._find(exchange, given)
        exchange.given = given
        target = f"/?{query.decode('latin-1')}" if query else "/"
        request = SignedRequest(scope["method"], target, exchange.headers, body)
        principal = await self._doors.callers.of(request, address_of(scope), mock=exchange.mock)
        exchange.principal = principal
        self._doors.watch.pace.take(principal.id)
        context = circumstances(scope, self._doors.clock())
        principal = await self._allowed(exchange, operation, principal, context)
        _check_format(given)
        call = Call(operation, reading.read(operation, given), principal, context)
        if exchange.mock:
            from pierhead.dialects.ram import explained  # most hubs never mock

            checks.check(call)
            answer = explained.answer_of(operation, call.values)
            return {**answer, "RequestId": exchange.request_id}
        found = await self._handlers[operation.id](call)
        return {"RequestId": exchange.request_id, **present.fit(operation.response, found)}

    async def _allowed(
        self,
        exchange: _Exchange,
        operation: Operation,
        principal: Principal,
        context: Mapping[str, str],
    ) -> Principal:
        """The principal as the handler gets it, once policies let it pass."""
        if operation.version == NATIVE:
            doing = deed(operation, exchange.given, context)
            exchange.resources = tuple(told(one, principal.account) for one in doing.targets)
            return await self._doors.permit(principal, doing)
        asked = requests(operation, exchange.given, principal, context)
        exchange.resources = tuple(one.resources[0] for one in asked)
        await self._doors.authorize(principal, asked)
        return principal

    def _find(self, exchange: _Exchange, given: Mapping[str, str]) -> Operation:
        """The operation; what the headers name and what is signed as a parameter must agree."""
        action = _named(exchange, given, "Action")
        version = _named(exchange, given, "Version")
        if version not in {RAM, STS, NATIVE}:
            raise RamError(
                "InvalidVersion",
                f"Specified parameter Version is not valid: [{version[:40]}] is none of {RAM} "
                f"(RAM), {STS} (STS) and {NATIVE} (Pierhead).",
            )
        operation = self._catalog.operations.get((version, action))
        if operation is not None:
            return operation
        refused = self._catalog.refused.get((version, action))
        why = f" {action} is not available here: {refused.reason}." if refused else ""
        raise RamError("InvalidAction.NotFound", f"Specified api is not found.{why}")


def _named(exchange: _Exchange, given: Mapping[str, str], name: str) -> str:
    header, parameter = exchange.header(f"x-acs-{name.lower()}"), given.get(name, "")
    if header and parameter and header != parameter:
        raise RamError(
            "InvalidAction.Mismatch",
            f"x-acs-{name.lower()} is [{header[:80]}], but {name} is [{parameter[:80]}].",
        )
    found = parameter or header
    if not found:
        raise RamError(f"Missing{name}", f"{name} is mandatory for this action.")
    return found


def _is_mock(exchange: _Exchange) -> bool:
    try:
        return mock.is_asked(exchange.headers)
    except Invalid as error:
        raise RamError("InvalidParameter", error.message) from error


def _check_format(given: Mapping[str, str]) -> None:
    told = given.get("Format") or "JSON"
    if told.upper() != "JSON":
        raise RamError(
            "InvalidParameter.Format", f"The parameter Format is [{told[:40]}]. Legal: JSON."
        )


def _headers(raw: list[tuple[bytes, bytes]]) -> tuple[tuple[str, str], ...]:
    return tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in raw)


async def _read_body(exchange: _Exchange, limits: BodyLimits) -> bytes:
    """The whole body.

    Raises:
        RamError: it is too large, or too slow.
        Gone: the client went away.
    """
    length, expect = exchange.header("content-length"), exchange.header("expect")
    try:
        return await read_body(exchange.receive, limits, length, expect)
    except BodyRefused as error:
        exchange.close = not error.ended
        raise RamError(error.code, error.message) from error


def _act(exchange: _Exchange, operation: Operation, code: str) -> Act:
    """For the audit trail: what the call asked for, as far as it is the caller's."""
    given = exchange.given
    if exchange.principal is None:
        claim = given.get("AccessKeyId") or claimed(exchange.headers)
        asked: Mapping[str, str] = {"AccessKeyId": claim}
    else:
        known = {item.name for item in operation.parameters}
        asked = {name: text for name, text in given.items() if name in known}
    resources = tuple(_named_new(one, operation, exchange.given) for one in exchange.resources)
    if exchange.principal is not None and "RoleArn" in asked:
        resources = (asked["RoleArn"],)
    door = operation.action.partition(":")[0]
    return Act(door, operation.action, resources, code, exchange.denied, asked)


def _named_new(resource: str, operation: Operation, given: Mapping[str, str]) -> str:
    """What is created has a name already, though policies are asked about all of its kind."""
    if operation.access != "create" or not resource.endswith("/*"):
        return resource
    return f"{resource[:-1]}{given.get(operation.parameters[0].name) or '*'}"


def _refusal(error: PierheadError, exchange: _Exchange) -> tuple[str, dict[str, Any]]:
    exchange.denied = is_denied(error)
    exchange.wait = error.seconds if isinstance(error, Throttled) else 0
    host = exchange.header("host")
    body = errors.envelope(error, exchange.request_id, host, exchange.principal)
    return body["Code"], body


def _where(exchange: _Exchange) -> dict[str, str]:
    return {
        "request_id": exchange.request_id,
        "operation": exchange.operation.action if exchange.operation else "",
        "caller": exchange.principal.id if exchange.principal else "",
    }


async def _send(send: Send, status: int, body: dict[str, Any], exchange: _Exchange) -> None:
    content = to_json(body)
    headers = [
        (b"content-type", b"application/json;charset=utf-8"),
        (b"content-length", str(len(content)).encode()),
        (b"x-acs-request-id", exchange.request_id.encode()),
        (b"cache-control", b"no-store"),  # answers hold secrets
    ]
    if exchange.mock:
        headers.append(mock.TOLD)
    if status == 405:
        headers.append((b"allow", ", ".join(METHODS).encode()))
    if exchange.wait:
        headers.append((b"x-acs-retry-after", str(exchange.wait * 1000).encode()))
        headers.append((b"retry-after", str(exchange.wait).encode()))
    if status == 503:
        headers.append((b"retry-after", str(_RETRY_AFTER).encode()))
    if exchange.close:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
