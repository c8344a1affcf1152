"""Both dialects over one platform: their doors to it, and what works for them in the background."""

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from pierhead import telemetry
from pierhead.bootstrap.credentials import Credentials
from pierhead.core.errors import Unavailable
from pierhead.core.principals import Principal
from pierhead.dialects.eas import sign
from pierhead.dialects.eas.app import Doors as EasDoors
from pierhead.dialects.eas.app import EasApp, Limits
from pierhead.dialects.eas.handlers import Handlers
from pierhead.dialects.zstack import calls, handlers
from pierhead.dialects.zstack.app import ZStackApp
from pierhead.dialects.zstack.errors import body_of
from pierhead.dialects.zstack.handlers.identity import Identity
from pierhead.dialects.zstack.handlers.recovered import answers
from pierhead.dialects.zstack.signature import Judge
from pierhead.operations import identity
from pierhead.operations.accounts import Hashing, put_admin
from pierhead.operations.jobs import Jobs
from pierhead.operations.key_ring import KeyRing
from pierhead.operations.logins import Logins, purge
from pierhead.operations.platform import Platform
from pierhead.operations.webhooks import Webhooks
from pierhead.settings import Settings

log = telemetry.logger("pierhead.hub")

#: Seconds between two removals of what has expired.
PURGE_SECONDS = 3600.0
Answered = Callable[[str, str, float], None]


@dataclass(frozen=True, slots=True)
class Dialects:
    """The two apps."""

    eas: EasApp
    zstack: ZStackApp


@asynccontextmanager
async def dialects(
    platform: Platform, settings: Settings, credentials: Credentials, answered: Answered
) -> AsyncGenerator[Dialects]:
    """The apps, ready to be called; jobs of a former hub are answered, and its webhooks told.

    Raises:
        Unavailable: the database does not answer.
    """
    ring = KeyRing(platform)
    hashing = Hashing()
    webhooks = Webhooks(platform, settings.zstack_webhooks)
    jobs = Jobs(platform, settings.zstack_job_seconds, webhooks.tell)
    logins = Logins(platform, hashing, settings.zstack_session_timeout)
    options = calls.Options(
        async_mode=settings.zstack_async,
        version=settings.zstack_version,
        cors_origins=settings.cors_origins,
    )
    table = handlers.table(platform, Identity(platform, logins, ring), options)
    doors = _zstack_doors(platform, ring, logins, jobs, webhooks, answered)
    app = ZStackApp(doors, table, options)
    purging: asyncio.Task[None] | None = None
    try:
        await put_admin(platform, hashing, credentials.zstack_account, credentials.zstack_password)
        owner = Principal(platform.account, platform.account)
        await webhooks.start()  # first: what is recovered next is told once
        await jobs.recover(answers(table, owner), lambda error: {"error": body_of(error)})
        purging = asyncio.create_task(_purge(platform))
        yield Dialects(_eas(platform, settings, ring, answered), app)
    finally:
        if purging is not None:
            purging.cancel()
        await app.close()
        await webhooks.close()
        hashing.close()


def _eas(platform: Platform, settings: Settings, ring: KeyRing, answered: Answered) -> EasApp:
    doors = EasDoors(
        find_key=ring.find,
        find_bearer=lambda token: identity.bearer(platform, token),
        record_nonce=lambda key, nonce, expires: identity.use_nonce(platform, key, nonce, expires),
        authorize=lambda principal, action, resources: identity.authorize(
            platform, principal, action, resources
        ),
        clock=time.time,
        entropy=secrets.token_bytes,
        region=settings.region,
        answered=answered,
    )
    signatures = sign.Options(
        roa_enabled=settings.roa_enabled,
        roa_require_nonce=settings.roa_require_nonce,
        roa_require_md5=settings.roa_require_md5,
        debug=settings.debug_signatures,
    )
    limits = Limits(
        body=settings.body_limit, signatures=signatures, nonce_seconds=settings.nonce_minutes * 60
    )
    return EasApp(doors, Handlers(platform).table(), limits)


def _zstack_doors(
    platform: Platform,
    ring: KeyRing,
    logins: Logins,
    jobs: Jobs,
    webhooks: Webhooks,
    answered: Answered,
) -> calls.Doors:
    async def authorize(
        principal: Principal, actions: tuple[str, ...], resources: tuple[str, ...]
    ) -> None:
        await identity.authorize(platform, principal, actions[0], resources)

    return calls.Doors(
        find_login=logins.find,
        judge_signature=Judge(ring.find, time.time),
        authorize=authorize,
        jobs=jobs,
        check_webhook=webhooks.check,
        clock=time.time,
        entropy=secrets.token_bytes,
        answered=answered,
    )


async def _purge(platform: Platform) -> None:
    while True:
        with suppress(Unavailable):  # the next round removes what this one left
            await purge(platform)
        await asyncio.sleep(PURGE_SECONDS)
