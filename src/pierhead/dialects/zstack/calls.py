"""What the wire and the use cases know of each other: calls, handlers, the doors to the platform."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from sqlalchemy import Connection

from pierhead.core.ids import Clock, Entropy
from pierhead.core.jobs import Job, JobState
from pierhead.core.permits import Deed
from pierhead.core.principals import LoginSession, Principal
from pierhead.core.query import Query
from pierhead.core.registry import Extras
from pierhead.dialects.bodies import BodyLimits
from pierhead.dialects.watch import Watch
from pierhead.dialects.zstack.catalog import Api
from pierhead.operations.platform import Also, nothing

AsyncMode = Literal["auto", "always", "never"]


@dataclass(frozen=True, slots=True)
class Call:
    """A request that is authenticated, allowed and legal: what a handler works with."""

    api: Api
    params: Mapping[str, Any]  #: typed, by wire names, path variables too; absent ones left out
    principal: Principal  #: of a call without credentials: `NOBODY`
    query: Query | None = None  #: of Query* APIs
    extras: Extras = field(default_factory=Extras)
    login: LoginSession | None = None  #: None with an access key, or without credentials
    base_url: str = ""  #: how the client reached us: scheme and host, without a trailing slash
    item: bool = False  #: a GET on one object's own path
    also: Also = nothing  #: to be run in the transaction that keeps the intent
    language: str = "en"  #: `en`, `zh-CN` or `zh-TW`, for texts made for people
    no_effect: tuple[str, ...] = ()  #: given parameters that do nothing on this platform


#: Gives the answer's own keys; `success`, `error` and `schema` are added.
Handler = Callable[[Call], Awaitable[dict[str, Any]]]

#: Who calls an API that needs no credentials.
NOBODY = Principal("", "", "nobody")


class Jobs(Protocol):
    """The job rows."""

    async def begin(
        self, job: str, api: str, principal: Principal | None, webhook: str = ""
    ) -> None:
        """Keep it as accepted; `webhook` is told of its end. Raises Taken: the id was used before."""
        ...

    def commit(self, tx: Connection, job: str, uuid: str) -> None:
        """Mark it committed, in the transaction that keeps its intent."""
        ...

    async def finish(self, job: str, state: JobState, answer: Mapping[str, Any]) -> None:
        """Keep the final answer: DONE and the answer's own keys, or FAILED and `{"error": {...}}`."""
        ...

    async def find(self, job: str) -> Job | None:
        """None when it is unknown or has expired."""
        ...


@dataclass(frozen=True, slots=True)
class Signed:
    """What an access key's signature is made over."""

    method: str
    raw_path: str  #: as it was sent, after `/zstack`, without the query
    path: str  #: the same, percent-decoded
    headers: Mapping[str, str]  #: lower-case names


@dataclass(frozen=True, slots=True)
class Doors:
    """What the app asks of the rest of the platform. All may raise core errors."""

    #: The login of a uuid, its end moved on. Raises LoginExpired when there is none.
    find_login: Callable[[str], Awaitable[LoginSession]]
    #: Raises WrongLogin, or TextRefusal where the date is at fault.
    judge_signature: Callable[[Signed], Awaitable[Principal]]
    #: What a call is about to do; gives the principal with what it may touch. Raises Forbidden.
    authorize: Callable[[Principal, Deed], Awaitable[Principal]]
    jobs: Jobs
    #: Raises Invalid when a webhook may not be told, as long as no place is allowed always.
    check_webhook: Callable[[str], Awaitable[None]]
    clock: Clock
    entropy: Entropy
    #: (API name, `OK` or the error's code or the HTTP status, seconds), for the figures.
    answered: Callable[[str, str, float], None] = lambda _api, _code, _seconds: None
    watch: Watch = field(default_factory=Watch)
    #: `find_login` and `judge_signature` for calls that write nothing; None = the same.
    look_at_login: Callable[[str], Awaitable[LoginSession]] | None = None
    look_at_signature: Callable[[Signed], Awaitable[Principal]] | None = None


@dataclass(frozen=True, slots=True)
class Options:
    """What an operator may choose."""

    async_mode: AsyncMode = "auto"  #: which calls are answered 202 and a job
    version: str = "5.5.28"  #: told by GetVersion
    cors_origins: tuple[str, ...] = ()  #: `*` = every origin; none = no CORS headers at all
    inline_seconds: float = 0.2  #: how long a call that is answered 202 is waited for first
    limits: BodyLimits = field(default_factory=lambda: BodyLimits(body=8 * 1024 * 1024))
