"""The gateway: which service a request is for, whether its token opens it, then over to the relay."""

import asyncio
import hmac
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from pierhead.core.routes import Route, RouteToken
from pierhead.gateway import answers
from pierhead.gateway.again import QUEUE_HEADER, Models, SameAgain
from pierhead.gateway.answers import Refusal, json_answer
from pierhead.gateway.asking import Asked
from pierhead.gateway.call import Call
from pierhead.gateway.commons import Dispatch
from pierhead.gateway.door import Door, shown
from pierhead.gateway.exchange import Exchange
from pierhead.gateway.holding import Holding
from pierhead.gateway.local import Local
from pierhead.gateway.relay import Relay
from pierhead.gateway.settings import GatewaySettings
from pierhead.gateway.siblings import Siblings
from pierhead.gateway.table import Gate
from pierhead.gateway.tokens import Credential, Plain
from pierhead.gateway.turns import Turns

PREDICT: Final = b"/api/predict/"
OPENAI: Final = b"/v1/"
MODELS: Final = b"/v1/models/"
#: What is asked by a body that names a model.
SERVED: Final = frozenset(
    b"/v1/chat/completions /v1/completions /v1/embeddings /v1/responses /v1/messages"
    b" /v1/messages/count_tokens /v1/rerank /v1/audio/transcriptions /v1/audio/translations".split()
)
DISCOVERY: Final = b"/api/v1/servicediscovery/upstreams/"
SESSION: Final = b"x-session-id"  #: what a client wants to stay together


@dataclass(frozen=True, slots=True)
class Ways:
    """Where a request that was let in goes: to a replica, to a queue for one, or it waits for the first."""

    relay: Relay
    turns: Turns
    holding: Holding


class Gateway(Dispatch):
    """Replies to requests in two steps: when the head is there, and when all of it is."""

    def __init__(
        self,
        settings: GatewaySettings,
        door: Door,
        ways: "Ways",
        local: Local,
        fault: Callable[[Exchange], None],
        siblings: Siblings | None = None,
    ) -> None:
        """`fault` is told of a mistake of ours, from within its handling; `siblings`: on the same port."""
        self._siblings, self._tasks = siblings, set[asyncio.Task[None]]()
        self._settings, self._door, self._local, self._fault = settings, door, local, fault
        self._relay, self._turns, self._holding = ways.relay, ways.turns, ways.holding

    def request(self, exchange: Exchange) -> None:
        """A request came, all of it at once."""
        judged = exchange.line.judged
        if judged is not None and judged.fits(exchange):
            self._guarded(judged.go, exchange)
            return
        self._guarded(self._judge, exchange)
        if not exchange.finished:
            self.whole(exchange)

    def head(self, exchange: Exchange) -> None:
        """The head of a request came: what can be refused by it, is."""
        self._guarded(self._judge, exchange)

    def whole(self, exchange: Exchange) -> None:
        """Its body came as well."""
        if exchange.go is not None:
            self._guarded(exchange.go, exchange)

    def _guarded(self, step: Callable[[Exchange], None], exchange: Exchange) -> None:
        try:
            step(exchange)
        except Refusal as refusal:
            exchange.refuse(refusal)
        except Exception:  # noqa: BLE001 the process edge: clients repeat a 500 at once, so never one
            self._fault(exchange)
            exchange.refuse(Refusal(502, "gateway_fault", "The gateway failed."))

    def _judge(self, exchange: Exchange) -> None:
        path = exchange.head.path
        if exchange.fault is not None:
            raise exchange.fault
        if path.startswith(PREDICT):
            self._predict(exchange)
        elif path.startswith(OPENAI):
            self._openai(exchange)
        elif path.startswith(DISCOVERY):
            exchange.answer(self._local.upstreams(exchange.line.server))
        elif path == b"/healthz":
            exchange.noted = False
            exchange.answer(self._local.health())
        elif path == b"/metrics":
            exchange.noted = False
            self._metrics(exchange, self._is_ours(exchange))
        else:
            raise answers.no_path(path)

    def _metrics(self, exchange: Exchange, names: bool) -> None:
        """The figures of all workers, if there are several."""
        siblings, mine = self._siblings, self._local.metrics(names=names)
        if siblings is None:
            exchange.answer(mine)
            return

        async def of_all() -> None:
            told = mine
            with suppress(OSError, ValueError):  # then this worker's own are better than nothing
                told = replace(mine, body=await siblings.metrics(names=names))
            if not exchange.finished:
                exchange.answer(told)

        task = asyncio.get_running_loop().create_task(of_all())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _is_ours(self, exchange: Exchange) -> bool:
        """Is it the operator's scraper? Whose services there are is no stranger's business."""
        given = exchange.head.headers.get(b"authorization", b"").removeprefix(b"Bearer ")
        token = self._settings.metrics_token.encode()
        return bool(token) and hmac.compare_digest(given, token)

    # ---- /api/predict/<service>[/sub]: the prefix is cut, the rest goes on as it is ---------------

    def _predict(self, exchange: Exchange) -> None:
        path = exchange.head.path
        segment = path[len(PREDICT) :].partition(b"/")[0]
        sub = path[len(PREDICT) + len(segment) :] or b"/"
        exchange.openai = sub.startswith(OPENAI)
        door, name = self._door, _decoded(segment)
        gate, same = door.served.gates.get(name), True
        if gate is not None:
            credential = None if gate.route.open else shown(exchange)
            exchange.service = gate.route.name
            token = door.token(gate, credential)
        else:
            credential, same = shown(exchange), False
            session = exchange.head.headers.get(SESSION, b"")
            gate, token = door.member(name, credential, session)
            exchange.service = gate.route.name
        self._demand_takeable(exchange)
        door.awake(gate)  # before its body is asked for
        signed = None if isinstance(credential, Plain) else credential  # over the body as well
        exchange.go = partial(self._predict_whole, gate, sub, signed, token)
        if same and isinstance(credential, Plain) and token is not None and token.until is None:
            exchange.line.judged = SameAgain(exchange, self._door, exchange.go)

    def _predict_whole(
        self,
        gate: Gate,
        sub: bytes,
        credential: Credential | None,
        token: RouteToken | None,
        exchange: Exchange,
    ) -> None:
        asked = Asked(exchange.method, sub, exchange.body, exchange.head.form)
        if credential is not None and not credential.fits(asked.body):
            raise answers.bad_token()
        route, newest = gate.route, self._door.awake(gate)
        if exchange.method != "POST" and _lists_models(exchange, sub) and _hides_names(route):
            exchange.answer(json_answer(200, self._models([gate], sub)))
            return
        if route.paths:
            _demand_path(gate, sub)
        if exchange.openai and route.models:
            model = asked.model
            if model is not None and model not in route.models:
                raise answers.no_model(model, route.models)
        self._serve(exchange, newest, token, asked)

    # ---- /v1/*: the service is the `model` of the body, by name or alias ----------------------------

    def _openai(self, exchange: Exchange) -> None:
        exchange.openai = True
        credential = shown(exchange)
        self._door.demand_any(credential)
        self._demand_takeable(exchange)
        exchange.go = partial(self._openai_whole, Models(self._door, credential))
        if isinstance(credential, Plain):
            exchange.line.judged = SameAgain(exchange, self._door, exchange.go)

    def _openai_whole(self, models: Models, exchange: Exchange) -> None:
        path = exchange.head.path
        asked = Asked(exchange.method, path, exchange.body, exchange.head.form)
        if models.shown is not None and not models.shown.fits(asked.body):
            self._door.demand_any(None)
            models = Models(self._door, None)
        if _lists_models(exchange, path):
            listed = self._listed(self._door.opened(models.shown))
            exchange.answer(json_answer(200, self._models(listed, path, groups=True)))
            return
        model = asked.model
        if model is None and (exchange.method != "POST" or path not in SERVED):
            raise answers.no_openai_path(exchange.method, path)
        if model is None:
            message = "The body must be a JSON object, or a form, that names a `model`."
            raise Refusal(400, "model_required", message, param="model")
        gate, token = models.of(model, exchange.head.headers.get(SESSION, b""))
        exchange.service = gate.route.name
        if gate.route.paths:
            _demand_path(gate, path)
        self._serve(exchange, self._door.awake(gate), token, asked)

    # ---- both ------------------------------------------------------------------------------------------

    def _serve(
        self, exchange: Exchange, gate: Gate, token: RouteToken | None, asked: Asked
    ) -> None:
        """`gate`: by the newest table, with a replica, or one that wakes."""
        call = self._door.let_in(exchange, gate, token, asked)
        name = token.name if token is not None else ""
        if not gate.route.targets:
            self._turns.admit(call)  # before the wait: after it nobody is told to come again
            go = partial(self._guarded, partial(self._released, call, name), exchange)
            self._holding.hold(call, go)
        elif gate.is_plain:
            self._relay.serve(call)
        else:
            self._turns.admit(call)
            self._turns.serve(call, name, gate.bounds.get(name) or gate.bounds[""])

    def _released(self, call: Call, token: str, exchange: Exchange) -> None:
        """Its service has a replica: it goes there as soon as its turn has come."""
        del exchange
        gate = self._door.current(call.route.service)
        if gate is not None and not gate.opens(token):
            call.entry.end()
            raise answers.bad_token()
        if gate is None or gate.is_plain:
            self._relay.serve(call)
        else:
            bounds = gate.bounds.get(token) or gate.bounds[""]
            self._turns.serve(call, token, bounds, released=True)

    def _demand_takeable(self, exchange: Exchange) -> None:
        """Raises Refusal for what no service gets."""
        if QUEUE_HEADER in exchange.head.headers:
            message = "Queue services are not supported: call the service."
            raise Refusal(501, "queue_service", message)
        if exchange.whole:
            return  # it is not too large; and its head may be known from one of another length
        announced = exchange.head.headers.get(b"content-length", b"")
        limit = self._settings.body_limit
        if len(announced) >= len(str(limit)) and int(announced) > limit:
            raise answers.too_large(limit)

    def _listed(self, opened: Collection[str]) -> list[Gate]:
        services = self._door.served.services
        gates = [services[service] for service in opened if service in services]
        return [gate for gate in gates if gate.route.listed]

    def _models(
        self, opened: Sequence[Gate], path: bytes, *, groups: bool = False
    ) -> dict[str, Any]:
        """`groups`: their names are models, too."""
        cards = {gate.route.name: _card(gate) for gate in opened}
        gates = self._door.served.gates
        if groups:
            shared = [gate for gate in opened if gate.route.group and gate.route.group not in gates]
            cards |= {gate.route.group: {**_card(gate), "id": gate.route.group} for gate in shared}
        name = _decoded(path[len(MODELS) :]).strip("/")
        if not name:
            return {"object": "list", "data": [cards[key] for key in sorted(cards)]}
        gate = gates.get(name)
        if gate is not None and gate in opened:
            return {**_card(gate), "id": name}
        if gate is None and name in cards:
            return cards[name]
        raise answers.no_model(name)


def _demand_path(gate: Gate, path: bytes) -> None:
    """Refuse what clients have no business with in this engine.

    Raises:
        Refusal: it is no path for them.
    """
    allowed = gate.route.paths
    if allowed and path.decode("latin-1") not in allowed:
        message = f"The engine of [{gate.route.name}] is called at {', '.join(allowed)}."
        raise Refusal(404, "path_not_served", message)


def _lists_models(exchange: Exchange, path: bytes) -> bool:
    return exchange.method in {"GET", "HEAD"} and (path + b"/").startswith(MODELS)


def _hides_names(route: Route) -> bool:
    """Would its engine list a name of its own, or none at all?"""
    return any(target.model for target in route.targets)


def _card(gate: Gate) -> dict[str, Any]:
    created = int(gate.route.created)
    return {"id": gate.route.name, "object": "model", "created": created, "owned_by": "pierhead"}


def _decoded(raw: bytes) -> str:
    return unquote_to_bytes(raw).decode("utf-8", "replace")
