"""All dialects over one platform: their doors to it, and what works for them in the background."""

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from pierhead import telemetry
from pierhead.bootstrap.console import console
from pierhead.bootstrap.credentials import Credentials
from pierhead.bootstrap.explorer import explorer
from pierhead.core.errors import PierheadError, Unavailable
from pierhead.core.policy import Request
from pierhead.core.principals import Principal
from pierhead.core.twins import COVERED, Twins
from pierhead.dialects.bodies import BodyLimits
from pierhead.dialects.eas import trail
from pierhead.dialects.eas.app import Doors as EasDoors
from pierhead.dialects.eas.app import EasApp, Limits
from pierhead.dialects.eas.checks import checks
from pierhead.dialects.eas.handlers import Handlers
from pierhead.dialects.ram import catalog as ram_catalog
from pierhead.dialects.ram import handlers as ram_handlers
from pierhead.dialects.ram.app import Doors as RamDoors
from pierhead.dialects.ram.app import RamApp
from pierhead.dialects.signing import sign
from pierhead.dialects.signing.callers import Callers
from pierhead.dialects.watch import Watch
from pierhead.dialects.zstack import calls, handlers
from pierhead.dialects.zstack import catalog as zstack_catalog
from pierhead.dialects.zstack.app import ZStackApp
from pierhead.dialects.zstack.errors import body_of
from pierhead.dialects.zstack.handlers.identity import Identity
from pierhead.dialects.zstack.handlers.recovered import answers
from pierhead.dialects.zstack.signature import Judge
from pierhead.operations import identity
from pierhead.operations.accounts import Hashing, put_admin
from pierhead.operations.authority import Authority
from pierhead.operations.consoles import Consoles
from pierhead.operations.jobs import Jobs
from pierhead.operations.key_ring import KeyRing
from pierhead.operations.logins import Logins, purge
from pierhead.operations.permission import Permission
from pierhead.operations.platform import Platform
from pierhead.operations.webhooks import Webhooks
from pierhead.settings import Settings
from pierhead.store.tried_nonces import TriedNonces
from pierhead.web.console import Console

log = telemetry.logger("pierhead.hub")

#: Seconds between two removals of what has expired.
PURGE_SECONDS = 3600.0
#: Seconds after which a job that nobody answered is taken for one of a hub that is no more, where there
#: are several; they take far less.
LEFT_SECONDS = 30.0
#: Below the data folder: nonces of calls that were only tried out.
TRIED = "run/tried_nonces"
Answered = Callable[[str, str, float], None]


@dataclass(frozen=True, slots=True)
class Told:
    """Who hears of calls."""

    answered: Answered  #: the figures
    watch: Watch


@dataclass(frozen=True, slots=True)
class Dialects:
    """The apps."""

    eas: EasApp
    zstack: ZStackApp
    ram: RamApp
    permission: Permission  #: what all of them ask
    console: Console  #: whose parts, besides those of identity, are still to be added


@asynccontextmanager
async def dialects(
    platform: Platform, settings: Settings, credentials: Credentials, told: Told
) -> AsyncGenerator[Dialects]:
    """The apps, ready to be called; jobs of a former hub are answered, and its webhooks told.

    Raises:
        Unavailable: the database does not answer.
    """
    ring = KeyRing(platform, TriedNonces(settings.data_dir / TRIED))
    hashing = Hashing()
    permission = Permission(platform, Authority(platform), twins())
    webhooks = Webhooks(platform, settings.zstack_webhooks)
    jobs = Jobs(platform, settings.zstack_job_seconds, webhooks.tell)
    logins = Logins(platform, hashing, settings.zstack_session_timeout)
    options = calls.Options(
        async_mode=settings.zstack_async,
        version=settings.zstack_version,
        cors_origins=settings.cors_origins,
    )
    table = handlers.table(platform, Identity(platform, logins), options)
    doors = _zstack_doors(permission, ring, logins, jobs, webhooks, told)
    app = ZStackApp(doors, table, options)
    working: list[asyncio.Task[None]] = []
    try:
        await ring.nonces.start()
        await put_admin(platform, hashing, credentials.zstack_account, credentials.zstack_password)
        owner = Principal(platform.account, platform.account)
        await webhooks.start()  # first: what is recovered next is told once
        working += await _recovered(
            platform, partial(jobs.recover, answers(table, owner), _told_as_zstack)
        )
        working.append(asyncio.create_task(_purge(platform)))
        working.append(asyncio.create_task(ring.write_uses()))
        pages = console(Consoles(platform, logins, ring), permission, told.watch, settings)
        pages.add(*explorer(settings).routes())
        yield Dialects(
            _eas(permission, settings, ring, told),
            app,
            _ram(permission, settings, ring, hashing, told),
            permission,
            pages,
        )
    finally:
        for task in working:
            task.cancel()
        await app.close()
        await webhooks.close()
        hashing.close()


def _eas(permission: Permission, settings: Settings, ring: KeyRing, told: Told) -> EasApp:
    platform = permission.platform
    doors = EasDoors(
        find_key=ring.find,
        find_bearer=lambda token: identity.bearer(platform, token),
        record_nonce=ring.nonces.use,
        authorize=permission.ask,
        clock=time.time,
        entropy=secrets.token_bytes,
        region=settings.region,
        answered=told.answered,
        used=ring.used,
        watch=told.watch,
        try_nonce=ring.nonces.try_out,
    )
    limits = Limits(
        body=settings.body_limit,
        signatures=_signatures(settings),
        nonce_seconds=settings.nonce_minutes * 60,
    )
    return EasApp(
        doors,
        Handlers(platform).table(),
        limits,
        own=trail.own(platform, told.watch.settle),
        checks=checks(platform),
    )


def _signatures(settings: Settings) -> sign.Options:
    return sign.Options(
        roa_enabled=settings.roa_enabled,
        roa_require_nonce=settings.roa_require_nonce,
        roa_require_md5=settings.roa_require_md5,
        rpc_enabled=settings.ram_hmac_sha1,
        debug=settings.debug_signatures,
    )


def _ram(
    permission: Permission,
    settings: Settings,
    ring: KeyRing,
    hashing: Hashing,
    told: Told,
) -> RamApp:
    platform, authority = permission.platform, permission.authority

    async def authorize(principal: Principal, requests: Sequence[Request]) -> None:
        for request in requests:
            await authority.demand(principal, request)

    callers = Callers(
        find_key=ring.find,
        find_bearer=lambda token: identity.bearer(platform, token),
        record_nonce=ring.nonces.use,
        clock=time.time,
        options=_signatures(settings),
        nonce_seconds=settings.nonce_minutes * 60,
        read=sign.read_rpc_style,
        used=ring.used,
        guard=told.watch.keys,
        try_nonce=ring.nonces.try_out,
    )
    doors = RamDoors(
        callers=callers,
        authorize=authorize,
        permit=permission.ask,
        clock=time.time,
        entropy=secrets.token_bytes,
        answered=told.answered,
        watch=told.watch,
    )
    table = ram_handlers.table(permission, hashing)
    return RamApp(doors, table, BodyLimits(settings.body_limit))


def twins() -> Twins:
    """Which actions of the dialects are the same deed."""
    known = zstack_catalog.load().apis.values()
    pairs = [(f"zstack:{api.name}", api.twin) for api in known if api.twin]
    doors, own = Twins(pairs), ram_catalog.load().operations.values()
    parts = {each.action: doors.all_of(each.also) for each in own if each.also}
    return Twins(pairs, {**COVERED, **parts})


def _zstack_doors(
    permission: Permission,
    ring: KeyRing,
    logins: Logins,
    jobs: Jobs,
    webhooks: Webhooks,
    told: Told,
) -> calls.Doors:
    return calls.Doors(
        find_login=logins.find,
        judge_signature=Judge(ring.find, time.time, ring.used),
        authorize=permission.ask,
        jobs=jobs,
        check_webhook=webhooks.check,
        clock=time.time,
        entropy=secrets.token_bytes,
        answered=told.answered,
        watch=told.watch,
        look_at_login=logins.look,
        look_at_signature=Judge(ring.find, time.time, lambda _key: None),
    )


async def _recovered(
    platform: Platform, recover: Callable[[float], Awaitable[int]]
) -> list[asyncio.Task[None]]:
    """Answers jobs of hubs that are no more: all at once, or where there are others, again and again."""
    if platform.shared:
        return [asyncio.create_task(_recover_again(recover))]
    await recover(0.0)
    return []


def _told_as_zstack(error: PierheadError) -> Mapping[str, Any]:
    return {"error": body_of(error)}


async def _recover_again(recover: Callable[[float], Awaitable[int]]) -> None:
    """Other hubs may end at any time; whose jobs they were, the next look answers."""
    while True:
        with suppress(Unavailable):
            await recover(LEFT_SECONDS)
        await asyncio.sleep(LEFT_SECONDS / 2)


async def _purge(platform: Platform) -> None:
    while True:
        with suppress(Unavailable):  # the next round removes what this one left
            await purge(platform)
        await asyncio.sleep(PURGE_SECONDS)
