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
from urllib.parse import parse_qsl

import structlog
from pydantic_core import PydanticSerializationError, to_json

from pierhead.core.audit import Act
from pierhead.core.conditions import Context
from pierhead.core.errors import NotFound, PierheadError, Throttled, Unsupported
from pierhead.core.ids import Clock, Entropy
from pierhead.core.languages import Language, negotiated
from pierhead.core.permits import Deed, Target
from pierhead.core.principals import AccessKey, BearerToken, Principal
from pierhead.dialects import mock
from pierhead.dialects.bodies import BodyLimits, BodyRefused, Gone, Receive, read_body
from pierhead.dialects.circumstances import circumstances
from pierhead.dialects.eas import asking, errors, reading
from pierhead.dialects.eas.catalog import Catalog, Operation, WrongMethod, load
from pierhead.dialects.eas.errors import WireError
from pierhead.dialects.signing import sign
from pierhead.dialects.signing.callers import Burn, Callers
from pierhead.dialects.watch import Watch, address_of, claimed, is_denied, source_of

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
    language: Language = Language.EN  #: of texts for people


#: Gives the answer's fields; RequestId is added.
Handler = Callable[[Call], Awaitable[dict[str, Any]]]
#: Raises what the handler would raise for values that it cannot use; changes nothing.
Check = Callable[[Call], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Own:
    """An operation of the platform's own, which reads."""

    action: str  #: for policies
    resource: str  #: an ARN; `{account}` stands for the caller's
    handler: Callable[[Mapping[str, str]], Awaitable[dict[str, Any]]]  #: takes the query
    example: Callable[[Mapping[str, str]], dict[str, Any]]  #: checks the query, answers a mock call


@dataclass(frozen=True, slots=True)
class Doors:
    """What the app asks of the rest of the platform. All may raise core errors."""

    find_key: Callable[[str], Awaitable[AccessKey | None]]
    find_bearer: Callable[[str], Awaitable[BearerToken | None]]  #: by the token's text
    #: (key id, nonce, expiry in epoch seconds) -> False when it was there already
    record_nonce: Callable[[str, str, float], Awaitable[bool]]
    #: What the call is about to do; gives the principal with what it may touch. Raises Forbidden.
    authorize: Callable[[Principal, Deed], Awaitable[Principal]]
    clock: Clock
    entropy: Entropy
    region: str
    #: (operation, `OK` or the error's code, seconds), for the figures
    answered: Callable[[str, str, float], None] = lambda _operation, _code, _seconds: None
    #: Takes the id of a key that signed something.
    used: Callable[[str], None] = lambda _key: None
    watch: Watch = field(default_factory=Watch)
    #: `record_nonce` for calls that write nothing; None = the same.
    try_nonce: Burn | None = None


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
    wait: int = 0  #: seconds after which a client that is refused may try again
    # For the audit trail:
    action: str = ""  #: as policies know it; "" = nothing that exists
    resources: tuple[str, ...] = ()
    asked: Mapping[str, Any] = field(default_factory=dict[str, Any])
    denied: bool = False
    mock: bool = False  #: it is only tried out: nothing is written

    def header(self, name: str) -> str:
        """The first value of a header; "" when absent."""
        return next((value for key, value in self.headers if key == name), "")

    @property
    def language(self) -> Language:
        """The language that the client likes best, of those that texts come in."""
        return negotiated(self.header("accept-language"))


class EasApp:
    """ASGI application of the whole dialect; `handlers` are by operation id."""

    def __init__(
        self,
        doors: Doors,
        handlers: Mapping[str, Handler],
        limits: Limits = Limits(),
        catalog: Catalog | None = None,
        own: Mapping[tuple[str, str], Own] | None = None,
        checks: Mapping[str, Check] | None = None,
    ) -> None:
        """`handlers` may be a part of the catalog; the rest answers UnsupportedOperation.

        `own`: what is no operation of the vendor's, by method and path. `checks`: by operation id, what
        handlers find wrong with values that the catalog cannot tell, for calls that are only tried out.
        """
        self._checks = checks or {}
        self._doors, self._handlers, self._limits = doors, handlers, limits
        self._own = own or {}
        self._catalog = catalog or load()
        self._callers = Callers(
            doors.find_key,
            doors.find_bearer,
            doors.record_nonce,
            doors.clock,
            limits.signatures,
            limits.nonce_seconds,
            used=doors.used,
            guard=doors.watch.keys,
            try_nonce=doors.try_nonce,
        )
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
        reading = exchange.scope["method"] == "GET"
        note = _log.debug if reading and code == "OK" else _log.info
        note("call", **_where(exchange), code=code, ms=round(seconds * 1000, 1))
        counts = self._doors.watch.counts(code, reading=reading)
        if exchange.action and counts and not (exchange.mock and code == "OK"):
            source = source_of(exchange.scope, exchange.request_id)
            self._doors.watch.note(_act(exchange, code), exchange.principal, source)

    async def _answer(self, exchange: _Exchange) -> dict[str, Any]:
        exchange.mock = mock.is_asked(exchange.headers)
        raw_path = _raw_path(exchange.scope)
        own = self._own.get((exchange.scope["method"], raw_path))
        if own is not None:
            return await self._answer_own(exchange, own, raw_path)
        operation, path = self._catalog.match(exchange.scope["method"], raw_path)
        exchange.path = path
        exchange.operation = operation
        exchange.action = operation.ram.action
        _check_named(exchange, operation)
        body = await _read_body(exchange, self._limits)
        principal = exchange.principal = await self._authenticate(exchange, raw_path, body)
        exchange.resources = arns(operation, path, self._doors.region, principal.account)
        values = _read(exchange, operation, body)
        if not isinstance(values, PierheadError):
            exchange.asked = {**values.query, **values.body}
        about = asking.deed(operation, path, _legal(values), self._known(exchange))
        principal = exchange.principal = await self._doors.authorize(principal, about)
        if operation.tier == "3":
            raise Unsupported(operation.id, operation.unsupported)
        if isinstance(values, PierheadError):
            raise values
        handler = self._handlers.get(operation.id)
        if handler is None:
            raise Unsupported(operation.id, operation.unsupported)
        if not exchange.mock:  # its objects need not exist, so they need not be here
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
            language=exchange.language,
        )
        if exchange.mock:
            return await self._mocked(call)
        return {"RequestId": exchange.request_id, **await handler(call)}

    async def _mocked(self, call: Call) -> dict[str, Any]:
        """The documented answer, once the handler's own checks let the values pass."""
        check = self._checks.get(call.operation.id)
        if check is not None:
            await check(call)
        from pierhead.dialects.eas import explained  # most hubs never mock

        sent = {**call.path, **call.query, **call.body}
        answer = explained.answer_of(call.operation, self._catalog, sent)
        return {**answer, "RequestId": call.request_id}

    async def _authenticate(self, exchange: _Exchange, raw_path: str, body: bytes) -> Principal:
        query = cast(bytes, exchange.scope["query_string"])
        target = f"{raw_path}?{query.decode('latin-1')}" if query else raw_path
        request = sign.SignedRequest(exchange.scope["method"], target, exchange.headers, body)
        address = address_of(exchange.scope)
        principal = await self._callers.of(request, address, mock=exchange.mock)
        self._doors.watch.pace.take(principal.id)
        return principal

    async def _answer_own(self, exchange: _Exchange, own: Own, raw_path: str) -> dict[str, Any]:
        """What is the platform's own: signed and allowed like everything else."""
        exchange.action = own.action
        body = await _read_body(exchange, self._limits)
        principal = exchange.principal = await self._authenticate(exchange, raw_path, body)
        exchange.resources = (own.resource.format(account=principal.account),)
        _, service, _, _, noun = exchange.resources[0].split(":", 4)
        about = Deed((own.action,), (Target((service, noun)),), self._known(exchange))
        exchange.principal = await self._doors.authorize(principal, about)
        query = cast(bytes, exchange.scope["query_string"]).decode("latin-1")
        given = dict(parse_qsl(query, keep_blank_values=True))
        answer = own.example(given) if exchange.mock else await own.handler(given)
        return {"RequestId": exchange.request_id, **answer}

    def _known(self, exchange: _Exchange) -> Context:
        return circumstances(exchange.scope, self._doors.clock())

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
    except BodyRefused as error:
        exchange.close = not error.ended
        raise WireError(error.code, error.message) from error


def _read(
    exchange: _Exchange, operation: Operation, body: bytes
) -> reading.Reading | PierheadError:
    """The values, or why they are not legal: who may not call at all is not told that."""
    if operation.tier == "3":
        return reading.Reading()
    kind = exchange.header("content-type")
    try:
        return reading.read(operation, exchange.scope["query_string"], kind, body)
    except PierheadError as error:
        return error


def _legal(values: reading.Reading | PierheadError) -> reading.Reading | None:
    return None if isinstance(values, PierheadError) else values


def _act(exchange: _Exchange, code: str) -> Act:
    """For the audit trail. What is created is named by the body, not yet by the path."""
    asked, resources = exchange.asked, exchange.resources[::-1]
    if resources and resources[0].endswith(":*") and _named(asked):
        resources = (f"{resources[0][:-1]}service/{_named(asked)}",)
    detail = {"AccessKeyId": claimed(exchange.headers)} if exchange.principal is None else asked
    return Act("eas", exchange.action, resources, code, exchange.denied, detail)


def _named(asked: Mapping[str, Any]) -> str:
    inside: Any = asked.get("metadata")
    name: Any = asked.get("ServiceName")
    if not name and isinstance(inside, Mapping):
        name = cast("Mapping[str, Any]", inside).get("name")
    return name if isinstance(name, str) else ""


def _refusal(error: PierheadError, exchange: _Exchange) -> tuple[str, bytes]:
    exchange.denied = is_denied(error)
    exchange.wait = error.seconds if isinstance(error, Throttled) else 0
    host = exchange.header("host")
    body = errors.envelope(error, exchange.request_id, host, exchange.principal, exchange.language)
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
    if exchange.mock:
        headers.append(mock.TOLD)
    if exchange.allowed:
        headers.append((b"allow", ", ".join(exchange.allowed).encode()))
    if exchange.wait:
        headers.append((b"x-acs-retry-after", str(exchange.wait * 1000).encode()))
        headers.append((b"retry-after", str(exchange.wait).encode()))
    if status == 503:
        headers.append((b"retry-after", str(_RETRY_AFTER).encode()))
    if exchange.close:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
