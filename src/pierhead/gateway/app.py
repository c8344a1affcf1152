"""The gateway: which service a request is for, whether its token opens it, then over to the relay."""

import asyncio
import hmac
import json
from collections.abc import Sequence
from random import Random
from typing import Any, cast
from urllib.parse import unquote_to_bytes

from pierhead.gateway import answers
from pierhead.gateway.answers import ClientLeft, Cut, NoUpstream, Refusal, json_answer
from pierhead.gateway.exchange import LEFT, Exchange, Receive, Scope, Send
from pierhead.gateway.journal import Journal
from pierhead.gateway.local import Local
from pierhead.gateway.relay import Relay
from pierhead.gateway.settings import GatewaySettings
from pierhead.gateway.table import Gate, LiveTable, Served
from pierhead.gateway.tokens import Credential, credential
from pierhead.gateway.upstream import Call

PREDICT = b"/api/predict/"
OPENAI = b"/v1/"
MODELS = b"/v1/models/"
DISCOVERY = b"/api/v1/servicediscovery/upstreams/"
QUEUE_HEADER = "x-eas-queueservice-redis-uid"  #: clients of the vendor's queue service send it


class Gateway:
    """The ASGI application."""

    def __init__(
        self,
        settings: GatewaySettings,
        live: LiveTable,
        relay: Relay,
        local: Local,
        journal: Journal,
        rng: Random,
    ) -> None:
        self._settings, self._live, self._relay = settings, live, relay
        self._local, self._journal, self._rng = local, journal, rng

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request (the server is set to speak nothing but `http`)."""
        exchange = Exchange(scope, receive, send, self._rng)
        with self._journal.noting(exchange):
            await self._reply(exchange)

    async def _reply(self, exchange: Exchange) -> None:
        try:
            await self._dispatch(exchange)
        except Refusal as refusal:
            await self._refuse(exchange, refusal)
        except ClientLeft:
            exchange.status = LEFT
        except Cut:
            exchange.broken = True  # returning with the reply unfinished makes the server hang up
        except asyncio.CancelledError:
            await self._refuse(exchange, Refusal(503, "stopping", "The gateway is stopping."))
        except Exception:  # noqa: BLE001 the process edge: clients repeat a 500 at once, so never one
            self._journal.fault(exchange)
            await self._refuse(exchange, Refusal(502, "gateway_fault", "The gateway failed."))

    async def _refuse(self, exchange: Exchange, refusal: Refusal) -> None:
        if exchange.status:
            exchange.broken = not exchange.finished
            return
        await exchange.answer(refusal.answer(exchange.request_id, openai=exchange.openai))

    async def _dispatch(self, exchange: Exchange) -> None:
        path = exchange.raw_path
        if path.startswith(PREDICT):
            await self._predict(exchange)
        elif path.startswith(OPENAI):
            await self._openai(exchange)
        elif path.startswith(DISCOVERY):
            await exchange.answer(self._local.upstreams(exchange.server))
        elif path in (b"/healthz", b"/metrics"):
            exchange.noted = False
            if path == b"/healthz":
                await exchange.answer(self._local.health())
            else:
                await exchange.answer(self._local.metrics(names=self._is_ours(exchange)))
        else:
            raise answers.no_path(path)

    def _is_ours(self, exchange: Exchange) -> bool:
        """Is it the operator's scraper? Whose services there are is no stranger's business."""
        given = exchange.headers.get("authorization", "").removeprefix("Bearer ").encode("latin-1")
        token = self._settings.metrics_token.encode()
        return bool(token) and hmac.compare_digest(given, token)

    async def _predict(self, exchange: Exchange) -> None:
        """`/api/predict/<service>[/sub]`: the prefix is cut, the rest goes on as it is."""
        segment = exchange.raw_path[len(PREDICT) :].partition(b"/")[0]
        sub = exchange.raw_path[len(PREDICT) + len(segment) :] or b"/"
        exchange.openai = sub.startswith(OPENAI)
        gate = self._gate(_decoded(segment))
        exchange.service = gate.route.name
        shown = None if gate.route.open else _shown(exchange)
        if shown is not None and not shown.opens(gate.locks):
            raise answers.bad_token()
        _refuse_unsupported(exchange)
        body = await self._body(exchange)
        if shown is not None and not shown.fits(body):
            raise answers.bad_token()
        self._require_upstream(gate)
        if _lists_models(exchange, sub) and any(target.model for target in gate.route.targets):
            # Its engine would list a name of its own, or none at all.
            await exchange.answer(json_answer(200, self._models([gate], sub)))
            return
        _demand_path(gate, sub)
        if exchange.openai and gate.route.models:
            model = _model(exchange, body)
            if model is not None and model not in gate.route.models:
                raise answers.no_model(model, gate.route.models)
        await self._relay.serve(Call(exchange, gate.route, sub, body))

    async def _openai(self, exchange: Exchange) -> None:
        """`/v1/*`: the service is the `model` of the body, by name or alias."""
        exchange.openai = True
        shown = _credential(exchange)
        opened = self._served().opened(shown)
        if not opened:
            raise answers.bad_token()
        _refuse_unsupported(exchange)
        body = await self._body(exchange)
        if shown is not None and not shown.fits(body):
            opened = self._served().opened(None)
        if not opened:
            raise answers.bad_token()
        opened = [gate for gate in opened if gate.route.listed]
        path = exchange.raw_path
        if _lists_models(exchange, path):
            await exchange.answer(json_answer(200, self._models(opened, path)))
            return
        model = _model(exchange, body)
        if model is None:
            message = "The body must be a JSON object that names a `model`."
            raise Refusal(400, "model_required", message, param="model")
        gate = self._served().gates.get(model)
        if gate is None or gate not in opened:
            raise answers.no_model(model)
        exchange.service = gate.route.name
        _demand_path(gate, path)
        self._require_upstream(gate)
        await self._relay.serve(Call(exchange, gate.route, path, body))

    def _served(self) -> Served:
        if self._live.served is None:
            raise NoUpstream  # just started, and never yet heard of any service
        return self._live.served

    def _gate(self, name: str) -> Gate:
        gate = self._served().gates.get(name)
        if gate is None:
            raise answers.no_service(name)
        return gate

    async def _body(self, exchange: Exchange) -> bytes:
        return await exchange.body(self._settings.body_limit, self._settings.body_seconds)

    def _require_upstream(self, gate: Gate) -> None:
        if not self._live.targets(gate.route.service):
            raise NoUpstream

    def _models(self, opened: Sequence[Gate], path: bytes) -> dict[str, Any]:
        cards = {gate.route.name: _card(gate) for gate in opened}
        name = _decoded(path[len(MODELS) :]).strip("/")
        if not name:
            return {"object": "list", "data": [cards[key] for key in sorted(cards)]}
        gate = self._served().gates.get(name)
        if gate is None or gate not in opened:
            raise answers.no_model(name)
        return {**_card(gate), "id": name}


def _credential(exchange: Exchange) -> Credential | None:
    return credential(exchange.method, exchange.raw_path.decode("latin-1"), exchange.headers)


def _shown(exchange: Exchange) -> Credential:
    shown = _credential(exchange)
    if shown is None:
        raise answers.bad_token()
    return shown


def _refuse_unsupported(exchange: Exchange) -> None:
    if QUEUE_HEADER in exchange.headers:
        raise Refusal(501, "queue_service", "Queue services are not supported: call the service.")
    if exchange.headers.get("upgrade", "").lower() == "websocket":
        raise Refusal(501, "websocket", "WebSocket is not supported.", close=True)


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


def _model(exchange: Exchange, body: bytes) -> str | None:
    """The `model` that the body asks for; None if it is no JSON object that names one."""
    if exchange.method != "POST" or body[:64].lstrip()[:1] != b"{":
        return None
    try:
        document: object = json.loads(body)
    except (ValueError, RecursionError):
        return None  # what is wrong with it is the engine's to say
    model = cast("dict[str, object]", document).get("model")
    return model if isinstance(model, str) else None


def _card(gate: Gate) -> dict[str, Any]:
    created = int(gate.route.created)
    return {"id": gate.route.name, "object": "model", "created": created, "owned_by": "pierhead"}


def _decoded(raw: bytes) -> str:
    return unquote_to_bytes(raw).decode("utf-8", "replace")
