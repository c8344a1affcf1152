"""The ZStack dialect as a raw ASGI app: everything under /zstack, REST and RPC.

Order of the checks: route, headers, credentials, size, body, support, policy, values; then the
handler. Refusals below the dialect's envelope are one line of plain text.
"""

from collections.abc import Mapping
from dataclasses import replace
from time import perf_counter
from typing import Any, cast
from urllib.parse import unquote

import structlog

from pierhead.core.errors import PierheadError, Unsupported
from pierhead.core.ids import object_id
from pierhead.core.jobs import JobState
from pierhead.dialects.bodies import Gone, Receive
from pierhead.dialects.circumstances import circumstances
from pierhead.dialects.watch import source_of
from pierhead.dialects.zstack import answers, rest, rpc, trail
from pierhead.dialects.zstack.answers import TEXT, encoded
from pierhead.dialects.zstack.calls import Call, Doors, Handler, Options, Signed
from pierhead.dialects.zstack.catalog import Api, load
from pierhead.dialects.zstack.dispatch import Ask, Dispatcher, Outcome
from pierhead.dialects.zstack.errors import TextRefusal, body_of, code_of
from pierhead.dialects.zstack.exchange import (
    Exchange,
    Reply,
    Scope,
    Send,
    allowed_origin,
    exchange_of,
    preflight,
    refusal,
    send_reply,
    text,
)
from pierhead.dialects.zstack.reading import Given
from pierhead.dialects.zstack.routes import match, no_api

__all__ = ["Call", "Doors", "Handler", "Options", "ZStackApp"]

_log = structlog.stdlib.get_logger(__name__)


class ZStackApp:
    """ASGI application of the whole dialect; `handlers` are by API name."""

    def __init__(
        self, doors: Doors, handlers: Mapping[str, Handler], options: Options | None = None
    ) -> None:
        """`handlers` may be a part of the catalog; the rest answers that it is not supported."""
        strangers = set(handlers) - set(load().apis)
        if strangers:
            raise ValueError(f"handlers of unknown APIs: {sorted(strangers)}")
        options = options or Options()
        self._doors, self._options = doors, options
        self._dispatcher = Dispatcher(doors, handlers, options)

    async def close(self, seconds: float = 5.0) -> None:
        """Wait for calls that were answered 202 and still run."""
        await self._dispatcher.close(seconds)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One HTTP request."""
        clock = perf_counter()
        exchange = exchange_of(scope, receive, self._doors.clock())
        exchange.source = source_of(scope, exchange.header("x-job-uuid"))
        exchange.known = circumstances(scope, exchange.began)
        try:
            code, reply = await self._answer(exchange)
        except Gone:
            return
        except TextRefusal as error:
            code, reply = str(error.status), text(error)
        except PierheadError as error:
            reply = refusal(error, exchange)
            code = code_of(error) if reply.status == 503 else str(reply.status)
        except Exception:  # noqa: BLE001 - process edge: whatever a handler meets, the client gets an answer
            _log.exception("request failed", api=exchange.api.name if exchange.api else "")
            code, reply = "500", Reply(500, b"an internal error happened", TEXT)
        self._note(exchange, code, perf_counter() - clock)
        await send_reply(send, reply, exchange, self._options.cors_origins)

    def _note(self, exchange: Exchange, code: str, seconds: float) -> None:
        """For the figures, and one line in the log; what only looked, and could, is told under debug."""
        name = exchange.api.name if exchange.api else ""
        self._doors.answered(name, code, seconds)
        quiet = code == "OK" and (exchange.method == "GET" or name.startswith("Query"))
        note = _log.debug if quiet else _log.info
        caller, ms = exchange.principal.id, round(seconds * 1000, 1)
        note("call", api=name, code=code, caller=caller, ms=ms)
        api, watch = exchange.api, self._doors.watch
        if api is not None and not exchange.told and watch.counts(code, reading=trail.looks(api)):
            act = trail.refused(api, code, exchange.headers, exchange.principal)
            watch.note(act, exchange.principal, exchange.source)

    async def _answer(self, exchange: Exchange) -> tuple[str, Reply]:
        exchange.notice_mock()
        if exchange.method == "OPTIONS" and allowed_origin(exchange, self._options.cors_origins):
            return "OK", preflight(exchange)
        parts = [part for part in exchange.path.split("/") if part]
        if parts[:2] == ["zstack", "api"]:
            return await self._rpc(exchange, parts[2:])
        return "OK", await self._rest(exchange)

    def _ask(self, exchange: Exchange, api: Api, given: Given) -> Ask:
        exchange.api = api
        ask = Ask(
            api,
            given,
            principal=exchange.principal,
            login=exchange.login,
            base_url=exchange.base_url,
            language=exchange.language,
            source=exchange.source,
            mock=exchange.mock,
            known=exchange.known,
        )
        exchange.asked, exchange.told = ask.asked, True
        return ask

    async def _log_in(self, exchange: Exchange, uuid: str) -> None:
        find = (self._doors.look_at_login if exchange.mock else None) or self._doors.find_login
        exchange.login = await find(uuid)
        exchange.principal = exchange.login.principal
        self._doors.watch.pace.take(exchange.principal.id)

    # ---- REST

    async def _rest(self, exchange: Exchange) -> Reply:
        route = match(exchange.method, exchange.path)
        exchange.api = route.apis[0]
        if exchange.api.name == "GetApiJob" and not exchange.mock:
            return await self._poll(exchange, route.names["uuid"])
        job = exchange.job()
        if exchange.api.authenticated:
            await self._authenticate(exchange)
        body = await exchange.body(self._options.limits)
        reads = exchange.method in ("GET", "DELETE")
        document = {} if reads else rest.parse_body(body)
        query = rest.parse_query(exchange.query)
        api, given = rest.understand(route, exchange.method, query, document)
        exchange.api = api
        lack = "" if api.name == "GetApiJob" else self._dispatcher.lacks(api)
        if lack:
            raise TextRefusal(404, no_api(route.path, f"{api.name}: {lack}"))
        ask = replace(
            self._ask(exchange, api, given),
            item=route.item,
            job=job,
            webhook=exchange.header("x-web-hook"),
        )
        return self._rest_reply(exchange, await self._dispatcher.run(ask))

    def _rest_reply(self, exchange: Exchange, outcome: Outcome) -> Reply:
        answer = outcome.told()
        if answer is None:
            location = f"{exchange.base_url}/zstack/v1/api-jobs/{outcome.job}"
            body = {"location": location, "apiTimeout": exchange.api_timeout}
            reply = Reply(202, encoded(body))
        else:
            api = cast(Api, exchange.api)
            body = answers.success(api, answer, outcome.query, schema=exchange.wants_schema)
            reply = Reply(200, encoded(body))
        if outcome.no_effect:
            notice = f"ParameterHasNoEffect: {', '.join(outcome.no_effect)}"
            reply.headers.append((b"x-pierhead-notice", notice.encode()))
        return reply

    async def _poll(self, exchange: Exchange, job: str) -> Reply:
        """A job; whoever knows its id may ask."""
        found = await self._doors.jobs.find(job)
        if found is None:
            raise TextRefusal(404, "the job has been expired")
        if not found.ended:
            return Reply(202, b"{}")
        answer = found.answer or {}
        if found.state is JobState.FAILED:
            return Reply(503, encoded(answers.failure(answer["error"])))
        api = load().apis[found.api]
        return Reply(200, encoded(answers.success(api, answer, schema=exchange.wants_schema)))

    async def _authenticate(self, exchange: Exchange) -> None:
        """Find out who asks, by the header Authorization.

        Raises:
            TextRefusal: there is none, or its scheme is another one.
            PierheadError: it is refused.
        """
        given = exchange.header("authorization")
        if not given:
            raise TextRefusal(400, "missing header 'Authorization'")
        if given.startswith("OAuth"):
            await self._log_in(exchange, given.removeprefix("OAuth").strip())
        elif given.startswith("ZStack"):
            raw = exchange.path.partition("zstack")[2]  # its first part: a route was found
            signed = Signed(exchange.method, raw, unquote(raw), exchange.headers)
            look = self._doors.look_at_signature if exchange.mock else None
            exchange.principal = await trail.judge(
                self._doors.watch, exchange.source, signed, look or self._doors.judge_signature
            )
            self._doors.watch.pace.take(exchange.principal.id)
        else:
            raise TextRefusal(400, "Authorization type must be 'OAuth'")

    # ---- RPC

    async def _rpc(self, exchange: Exchange, below: list[str]) -> tuple[str, Reply]:
        if below[:1] == ["result"] and len(below) == 2:
            exchange.demand_method("GET")
            job = await self._doors.jobs.find(unquote(below[1]))
            if job is None:
                raise TextRefusal(404, "the job has been expired")
            return "OK", Reply(200, encoded(rpc.of_job(job)))
        if below:
            raise TextRefusal(404, no_api("/".join(["/api", *below])))
        exchange.demand_method("POST", "PUT")
        message = rpc.parse(rest.parse_body(await exchange.body(self._options.limits)))
        try:
            return "OK", await self._rpc_call(exchange, message)
        except PierheadError as error:
            code, told = code_of(error), body_of(error, exchange.asked, exchange.language)
        except Exception:  # noqa: BLE001 - process edge: HTTP is 200 here, whatever a handler meets
            _log.exception("message failed", message=message.name)
            code, told = "SYS.1000", body_of(PierheadError(), language=exchange.language)
        # Who was not let in, or knows no API, gets the general reply.
        api = None if code in ("ID.1001", "SYS.1008") else exchange.api
        return code, self._done(exchange, rpc.failed(api, told, object_id(self._doors.entropy)))

    async def _rpc_call(self, exchange: Exchange, message: rpc.Message) -> Reply:
        exchange.api = api = message.api()
        lack = self._dispatcher.lacks(api)
        if lack:
            raise Unsupported(api.name, lack)
        if api.authenticated:
            await self._log_in(exchange, message.demand_login())
        given = Given(body=message.params)
        outcome = await self._dispatcher.run(replace(self._ask(exchange, api, given), rpc=True))
        answer = outcome.told()
        if answer is None:
            return Reply(200, encoded(rpc.processing(outcome.job, exchange.began)))
        shown = answers.asked_part(answer, outcome.query)
        job = outcome.job or object_id(self._doors.entropy)
        return self._done(exchange, rpc.succeeded(api, shown, job), outcome.job)

    def _done(self, exchange: Exchange, result: Mapping[str, Any], job: str = "") -> Reply:
        return Reply(200, encoded(rpc.done(result, exchange.began, self._doors.clock(), job)))
