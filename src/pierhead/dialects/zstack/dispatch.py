"""One dispatcher behind both doors: policy, values, jobs, the handler, and what became of it.

A call with a job is begun in a row before it does anything and runs in a task of its own, so neither
the client's patience nor its connection decides whether it ends.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

import structlog
from sqlalchemy import Connection

from pierhead.core.audit import Source
from pierhead.core.conditions import Context
from pierhead.core.errors import Invalid, PierheadError, Taken
from pierhead.core.ids import object_id
from pierhead.core.jobs import JobState
from pierhead.core.principals import LoginSession, Principal
from pierhead.core.query import Query
from pierhead.dialects.zstack import asking, checks, query_language, reading, trail
from pierhead.dialects.zstack.answers import TOLD_ONCE, kept
from pierhead.dialects.zstack.calls import NOBODY, Call, Doors, Handler, Options
from pierhead.dialects.zstack.catalog import Api
from pierhead.dialects.zstack.errors import Asked, TextRefusal, body_of
from pierhead.operations.platform import Also, nothing

_log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Ask:
    """A call as a door understood it."""

    api: Api
    given: reading.Given
    rpc: bool = False
    item: bool = False  #: a GET on one object's own path
    principal: Principal = NOBODY
    login: LoginSession | None = None
    job: str = ""  #: the client's own job id
    webhook: str = ""
    base_url: str = ""
    language: str = "en"
    source: Source = field(default_factory=Source)
    mock: bool = False  #: it is only tried out: nothing is written
    known: Context = field(
        default_factory=dict[str, str]
    )  #: what policies may ask about the request

    @property
    def asked(self) -> Asked:
        """What its refusals may refer to."""
        sent = {**self.given.query, **self.given.body, **self.given.path}
        return Asked(self.api.message, sent)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a call: an answer, an error, or not yet either."""

    answer: Mapping[str, Any] | None = None
    error: Exception | None = None
    job: str = ""  #: "" = there is none
    by_job: bool = False  #: the client is to be sent to the job, whatever is known already
    query: Query | None = None
    no_effect: tuple[str, ...] = ()

    def told(self) -> Mapping[str, Any] | None:
        """The answer; None: it is to be had from the job.

        Raises:
            Exception: the call failed, and that is told at once.
        """
        if self.by_job:
            return None
        if self.error is not None:
            raise self.error
        return self.answer


@dataclass(frozen=True, slots=True)
class _Plan:
    """How a call is answered."""

    job: str  #: "" = without one
    later: bool = False  #: a success is told by the job
    failure_by_job: bool = False


@dataclass(slots=True)
class _Read:
    """The values of a call, or why they are not legal."""

    values: reading.Values = field(default_factory=lambda: reading.Values({}))
    query: Query | None = None
    error: PierheadError | None = None  #: it may be told by a job
    refusal: PierheadError | None = None  #: it is told at once
    legal: reading.Values | None = None  #: the same values, once they are known to be legal


class Dispatcher:
    """Runs calls of either door."""

    def __init__(self, doors: Doors, handlers: Mapping[str, Handler], options: Options) -> None:
        """`handlers` by API name."""
        self._doors, self._handlers, self._options = doors, handlers, options
        self._tasks: set[asyncio.Task[Outcome]] = set()

    def lacks(self, api: Api) -> str:
        """Why this platform does not have an API; "" = it has it."""
        if api.name in self._handlers:
            return ""
        return api.reason or "this platform does not have it"

    async def close(self, seconds: float) -> None:
        """Wait for the calls that still run; what is not done then, the next start answers."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def run(self, ask: Ask) -> Outcome:
        """Do what is asked, or begin to.

        Raises:
            TextRefusal: a wrong type, a job id that was used, a webhook that is not allowed.
            PierheadError: nothing was begun, and never will be.
        """
        try:
            task, plan = await self._start(ask)
        except Exception as error:  # any class: it is told to the trail, and raised again
            self._tell(ask, None, error)
            raise
        return await self._outcome(task, plan) if isinstance(task, asyncio.Task) else task

    async def _start(self, ask: Ask) -> tuple["asyncio.Task[Outcome] | Outcome", _Plan]:
        """What is done at once is done; the rest is begun."""
        read = self._read(ask)
        about = asking.deed(ask.api, ask.given, read.legal, ask.known)
        if about is not None:
            ask = replace(ask, principal=await self._doors.authorize(ask.principal, about))
        if read.refusal is not None:
            raise read.refusal
        plan = _Plan("") if ask.mock else self._plan(ask)
        if read.error is not None and not plan.failure_by_job:
            raise read.error
        if not plan.job:
            answer = await self._answer(ask, read)
            return Outcome(answer, query=read.query, no_effect=read.values.no_effect), plan
        await self._begin(ask, plan)
        task = asyncio.create_task(self._work(ask, read, plan.job))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task, plan

    async def _answer(self, ask: Ask, read: _Read) -> dict[str, Any]:
        if ask.mock:
            from pierhead.dialects.zstack import explained  # most hubs never mock

            checks.check(ask.api, read.values.params, read.query)
            return explained.answer_of(ask.api, read.values.params)
        call, handler = self._call(ask, read, nothing), self._handlers[ask.api.name]
        doors, name, who = self._doors, ask.api.name, ask.principal
        if name == trail.LOGOUT:
            who = await trail.owner(str(call.params.get("sessionUuid", "")), doors.find_login)
        if name in trail.LOGINS:
            answer = await trail.log_in(doors.watch, ask.source, call.params, lambda: handler(call))
            who = await trail.owner(answer["inventory"]["uuid"], doors.find_login)
        else:
            answer = await handler(call)
        self._tell(replace(ask, principal=who), answer, None)
        return answer

    def _tell(self, ask: Ask, answer: Mapping[str, Any] | None, error: Exception | None) -> None:
        """Tell the audit trail what became of a call."""
        watch = self._doors.watch
        if not watch.counts("OK" if error is None else "", reading=trail.looks(ask.api)):
            return
        sent = {**ask.given.query, **ask.given.body, **ask.given.path}
        act = trail.done(ask.api, sent, _resources(ask), answer, error)
        watch.note(act, ask.principal, replace(ask.source, request_id=ask.job))

    def _read(self, ask: Ask) -> _Read:
        """The values; what is wrong with them is told later: who may not call does not learn it."""
        read = _Read()
        try:
            typed = reading.types(ask.api, ask.given)
            try:
                read.values = read.legal = reading.judge(ask.api, typed)
            except PierheadError as error:
                read.error = error
                return read
            self._ask_for(ask, read)
        except PierheadError as error:
            read.refusal = error
        return read

    def _ask_for(self, ask: Ask, read: _Read) -> None:
        """Take the question out of a call that asks one."""
        if ask.item:
            uuid = ask.given.path["uuid"]
            read.values = read.legal = replace(
                read.values, params={**read.values.params, "uuid": uuid}
            )
            read.query = query_language.of_item(uuid)
        elif ask.api.query:
            rest = query_language.of_rest
            read.query = (
                query_language.of_rpc(ask.api, ask.given.body)
                if ask.rpc
                else rest(ask.api, ask.given.query)
            )

    def _plan(self, ask: Ask) -> _Plan:
        if ask.api.sync:
            return _Plan("")
        mode, once = self._options.async_mode, ask.api.name in TOLD_ONCE
        wanted = mode == "always" or (mode == "auto" and ask.api.status == 202)
        later = (wanted or bool(ask.webhook)) and not once
        if not (later or ask.job or ask.webhook):
            return _Plan("")
        by_job = mode == "always" or bool(ask.webhook) or (mode == "auto" and bool(ask.job))
        return _Plan(ask.job or object_id(self._doors.entropy), later, by_job)

    async def _begin(self, ask: Ask, plan: _Plan) -> None:
        if ask.webhook:
            try:
                await self._doors.check_webhook(ask.webhook)
            except Invalid as error:
                raise TextRefusal(400, f"the header X-Web-Hook is refused: {error}") from error
        try:
            await self._doors.jobs.begin(plan.job, ask.api.name, ask.principal, ask.webhook)
        except Taken as error:
            raise TextRefusal(400, f"Duplicate job uuid[{plan.job}]") from error

    async def _outcome(self, task: asyncio.Task[Outcome], plan: _Plan) -> Outcome:
        """What is known once the client has to be answered."""
        limit = self._options.inline_seconds if plan.later else None
        done, _ = await asyncio.wait({task}, timeout=limit)
        if not done:
            return Outcome(job=plan.job, by_job=True)
        outcome = task.result()
        by_job = plan.failure_by_job if outcome.error is not None else plan.later
        return replace(outcome, by_job=by_job)

    async def _work(self, ask: Ask, read: _Read, job: str) -> Outcome:
        """Runs the handler and ends the job, whatever happens."""
        outcome = Outcome(job=job, query=read.query, no_effect=read.values.no_effect)
        try:
            if read.error is not None:
                raise read.error
            call = self._call(ask, read, self._commits(job))
            answer = await self._handlers[ask.api.name](call)
            await self._end(job, JobState.DONE, kept(ask.api, answer))
            self._tell(replace(ask, job=job), answer, None)
            return replace(outcome, answer=answer)
        except PierheadError as error:
            self._tell(replace(ask, job=job), None, error)
            await self._fail(ask, job, error)
            return replace(outcome, error=error)
        except Exception as error:  # noqa: BLE001 - process edge: the job must not stay without an end
            _log.exception("call failed", api=ask.api.name, job=job)
            self._tell(replace(ask, job=job), None, error)
            await self._fail(ask, job, PierheadError())
            return replace(outcome, error=error)

    async def _fail(self, ask: Ask, job: str, error: PierheadError) -> None:
        told = body_of(error, ask.asked, ask.language)
        await self._end(job, JobState.FAILED, {"error": told})

    async def _end(self, job: str, state: JobState, answer: Mapping[str, Any]) -> None:
        try:
            await self._doors.jobs.finish(job, state, answer)
        except PierheadError as error:  # the next start ends it; this client may still be answered
            _log.error("job without an end", job=job, error=str(error))

    def _commits(self, job: str) -> Also:
        def also(tx: Connection, uuid: str) -> None:
            self._doors.jobs.commit(tx, job, uuid)

        return also

    def _call(self, ask: Ask, read: _Read, also: Also) -> Call:
        return Call(
            api=ask.api,
            params=read.values.params,
            principal=ask.principal,
            query=read.query,
            extras=read.values.extras,
            login=ask.login,
            base_url=ask.base_url,
            item=ask.item,
            also=also,
            language=ask.language,
            no_effect=read.values.no_effect,
        )


def _resources(ask: Ask) -> tuple[str, ...]:
    """`<type>/<uuid>` of what the call works on; `<type>/*` when it names none."""
    kind, given = ask.api.resource, ask.given
    named: list[Any] = [*given.path.values()][:1]  # of several, the first is the API's own
    for place in () if named else (given.body, given.query):
        for value in (place.get("uuid"), place.get("uuids")):
            named.extend(cast(list[Any], value) if isinstance(value, list) else [value])
    texts = [uuid for uuid in named if isinstance(uuid, str)]
    return tuple(f"{kind}/{uuid}" for uuid in texts) or (f"{kind}/*",)
