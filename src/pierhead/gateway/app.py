"""The gateway: which service a request is for, whether its token opens it, then over to the relay."""

import asyncio
import hmac
from collections.abc import Collection, Sequence
from random import Random
from typing import Any
from urllib.parse import unquote_to_bytes

from pierhead.core.routes import RouteToken
from pierhead.gateway import answers
from pierhead.gateway.answers import ClientLeft, Cut, Refusal, json_answer
from pierhead.gateway.asking import Asked
from pierhead.gateway.door import Door, shown
from pierhead.gateway.exchange import LEFT, Exchange, Receive, Scope, Send
from pierhead.gateway.journal import Journal
from pierhead.gateway.local import Local
from pierhead.gateway.relay import Relay
from pierhead.gateway.settings import GatewaySettings
from pierhead.gateway.table import Gate

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
        door: Door,
        relay: Relay,
        local: Local,
        journal: Journal,
        rng: Random,
    ) -> None:
        self._settings, self._door, self._relay = settings, door, relay
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
        gate = self._door.gate(_decoded(segment))
        exchange.service = gate.route.name
        credential = None if gate.route.open else shown(exchange)
        token = self._door.token(gate, credential)
        _refuse_unsupported(exchange)
        asked = Asked(exchange.method, sub, await self._body(exchange))
        if credential is not None and not credential.fits(asked.body):
            raise answers.bad_token()
        self._door.require_upstream(gate)
        if _lists_models(exchange, sub) and any(target.model for target in gate.route.targets):
            # Its engine would list a name of its own, or none at all.
            await exchange.answer(json_answer(200, self._models([gate], sub)))
            return
        _demand_path(gate, sub)
        if exchange.openai and gate.route.models:
            model = asked.model
            if model is not None and model not in gate.route.models:
                raise answers.no_model(model, gate.route.models)
        await self._serve(exchange, gate, token, asked)

    async def _openai(self, exchange: Exchange) -> None:
        """`/v1/*`: the service is the `model` of the body, by name or alias."""
        exchange.openai = True
        credential = shown(exchange)
        opened = self._door.opened(credential)
        _refuse_unsupported(exchange)
        path = exchange.raw_path
        asked = Asked(exchange.method, path, await self._body(exchange))
        if credential is not None and not credential.fits(asked.body):
            opened = self._door.opened(None)
        if _lists_models(exchange, path):
            await exchange.answer(json_answer(200, self._models(self._listed(opened), path)))
            return
        if asked.model is None:
            message = "The body must be a JSON object that names a `model`."
            raise Refusal(400, "model_required", message, param="model")
        gate = self._door.served.gates.get(asked.model)
        if gate is None or gate.route.service not in opened or not gate.route.listed:
            raise answers.no_model(asked.model)
        exchange.service = gate.route.name
        _demand_path(gate, path)
        self._door.require_upstream(gate)
        await self._serve(exchange, gate, opened[gate.route.service], asked)

    async def _serve(
        self, exchange: Exchange, gate: Gate, token: RouteToken | None, asked: Asked
    ) -> None:
        call = self._door.let_in(exchange, gate, token, asked)
        try:
            await self._relay.serve(call)
        finally:
            call.entry.end()

    async def _body(self, exchange: Exchange) -> bytes:
        return await exchange.body(self._settings.body_limit, self._settings.body_seconds)

    def _listed(self, opened: Collection[str]) -> list[Gate]:
        services = self._door.served.services
        gates = [services[service] for service in opened if service in services]
        return [gate for gate in gates if gate.route.listed]

    def _models(self, opened: Sequence[Gate], path: bytes) -> dict[str, Any]:
        cards = {gate.route.name: _card(gate) for gate in opened}
        name = _decoded(path[len(MODELS) :]).strip("/")
        if not name:
            return {"object": "list", "data": [cards[key] for key in sorted(cards)]}
        gate = self._door.served.gates.get(name)
        if gate is None or gate not in opened:
            raise answers.no_model(name)
        return {**_card(gate), "id": name}


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


def _card(gate: Gate) -> dict[str, Any]:
    created = int(gate.route.created)
    return {"id": gate.route.name, "object": "model", "created": created, "owned_by": "pierhead"}


def _decoded(raw: bytes) -> str:
    return unquote_to_bytes(raw).decode("utf-8", "replace")
