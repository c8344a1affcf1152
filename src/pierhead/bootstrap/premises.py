"""What the hub tells of its own machine through the API: settings, cache, and what would fit.

All of it is read from disks or storage when somebody asks, in threads of its own: a file system that
hangs takes these, and nobody else's.
"""

import asyncio
import shutil
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import Connection as Transaction

from pierhead import __version__
from pierhead.bootstrap.storage import snapshots
from pierhead.bootstrap.upkeep import users
from pierhead.core.connections import named, serving
from pierhead.core.errors import Invalid, NotFound, Unavailable
from pierhead.core.mounts import HubSource, Source
from pierhead.core.principals import Principal
from pierhead.core.services import Seen, Service
from pierhead.core.specs import BUILT_IN
from pierhead.core.templates import Template
from pierhead.operations import resolving
from pierhead.operations.platform import Platform
from pierhead.operations.premises import (
    Disk,
    Exported,
    ExportWish,
    FitAnswer,
    Kept,
    Premises,
)
from pierhead.reconciler.aside import Aside, Busy
from pierhead.settings import Settings
from pierhead.sources.snapshot_locks import progress_of
from pierhead.sources.snapshots import Snapshot
from pierhead.store import connections as connection_rows
from pierhead.store import services as service_rows

if TYPE_CHECKING:  # a hub that nobody asks what would fit does without it
    from pierhead.bootstrap.planning import Answer, Asked

T = TypeVar("T")

#: Seconds that an answer may take: headers of far weights are read, never the weights.
_PATIENCE = 30.0
_THREADS = 4
_DAY = 86400.0
_MAKES = ("eas:CreateService",)


@dataclass(slots=True)
class _Here:
    """This machine, as the API asks about it."""

    platform: Platform
    settings: Settings
    _aside: Aside = field(default_factory=Aside, init=False)
    _asked: int = field(default=0, init=False)
    #: By what is asked: far weights that do not answer keep nobody from a look at the disk.
    _running: Counter[str] = field(default_factory=Counter[str], init=False)

    async def aside(self, what: str, work: Callable[[], T]) -> T:
        """`work()` in a thread of its own, a few at a time.

        Raises:
            Unavailable: it takes too long, or too much goes on already.
        """
        if self._running[what] >= _THREADS:
            raise Unavailable(what, "too much is being looked up at the moment; try again")
        loop = asyncio.get_running_loop()

        def run() -> T:
            try:
                return work()
            finally:
                with suppress(RuntimeError):  # the loop is closed: the hub has ended
                    loop.call_soon_threadsafe(self._running.subtract, (what,))

        self._running[what] += 1
        self._asked += 1
        try:
            return await self._aside.do(f"premises {self._asked}", run, _PATIENCE)
        except Busy as busy:
            raise Unavailable(what, f"no answer within {_PATIENCE:g} s") from busy

    # ---- the cache --------------------------------------------------------------------------

    async def disk(self) -> Disk:
        """The file system of the cache."""

        def work() -> Disk:
            folder, settings = self.settings.cache_dir, self.settings
            there = next(each for each in (folder, *folder.parents) if each.is_dir())
            use = shutil.disk_usage(there)
            return Disk(
                str(folder), use.total, use.free, settings.cache_limit, settings.cache_keep_free
            )

        return await self.aside("The cache's disk", work)

    async def cache(self) -> Sequence[Kept]:
        """Every snapshot, and whom it is kept for now."""
        versions = await self.platform.db.read(service_rows.versions)

        def work() -> list[Kept]:
            cache = snapshots(self.settings)
            wanted = set(users(self.settings, cache, versions))
            found = [replace(each, users=tuple(wanted & set(each.users))) for each in cache.all()]
            return [_kept(each) for each in sorted(found, key=lambda each: -each.used)]

        return await self.aside("The cache", work)

    async def prune(self, limit: int, dry_run: bool) -> Sequence[Kept]:
        """As `pierhead cache prune`."""
        now = time.time()  # before it is read who uses what: see release_others
        versions = await self.platform.db.read(service_rows.versions)

        def work() -> list[Kept]:
            cache = snapshots(self.settings)
            cache.release_others(users(self.settings, cache, versions), before=now)
            gone = cache.prune(limit, unfinished_before=now - _DAY, dry_run=dry_run)
            return [_kept(each) for each in gone]

        return await self.aside("The cache", work)

    # ---- what would fit -----------------------------------------------------------------------

    async def fit(self, actor: Principal, text: str, workspace: str) -> FitAnswer:
        """As `pierhead plan`, with what `actor` may name."""
        from pierhead.bootstrap.planning import answer, understood

        platform, loop = self.platform, asyncio.get_running_loop()

        def registered(names: tuple[str, ...]) -> Mapping[str, Template]:
            for name in names:
                if name in BUILT_IN:
                    return {name: BUILT_IN[name]}
                asking = resolving.resolve(platform, actor, name, "planned")
                found = asyncio.run_coroutine_threadsafe(asking, loop).result(_PATIENCE)
                if found is not None:
                    return {name: found.template}
            return {}

        try:
            wanted = await self.aside(
                "The service's template", lambda: understood(text, registered)
            )
        except NotFound as error:  # of what is asked about, not of what the document names
            raise Invalid("ServiceDocument", error.message.rstrip(".")) from error
        source = wanted.source or wanted.template.source
        if source is not None:
            await platform.db.read(_demand, actor, source, workspace)
        found = await self.aside("The weights", lambda: answer(wanted, self.settings))
        return _told(wanted, found)

    # ---- for elsewhere ------------------------------------------------------------------------

    async def export(
        self, actor: Principal, service: Service, seen: Seen, wish: ExportWish
    ) -> Exported:
        """As `pierhead export`; who never asks for it pays for none of it."""
        from pierhead.bootstrap.exporting import Order, export

        return await export(self.platform, self.settings, Order(actor, service, seen, wish))


def premises(platform: Platform, settings: Settings) -> Premises:
    """What the API asks."""
    here = _Here(platform, settings)
    return Premises(
        version=__version__,
        settings=settings.explain,
        disk=here.disk,
        cache=here.cache,
        prune=here.prune,
        fit=here.fit,
        export=here.export,
    )


def _demand(tx: Transaction, actor: Principal, source: Source, workspace: str) -> None:
    """Refuse to look over a connection that serves others: as for a service that is made.

    Raises:
        Invalid: no connection serves it for `actor` in this workspace.
    """
    if actor.admin or not named(source):
        return
    known = connection_rows.everything(tx)
    found, permit = serving(source, known), actor.permit
    if found is None:
        hidden = any(each.workspaces for each in known)
        if not hidden or isinstance(source, HubSource):
            return
    elif found.reaches(workspace) and (
        not found.workspaces
        or (permit is not None and permit.asked(_MAKES, ("eas", "*"), workspace).allowed)
    ):
        return
    raise Invalid("storage", f"no storage connection serves [{named(source)}] in this workspace")


def _kept(each: Snapshot) -> Kept:
    found = Kept(
        id=each.id,
        name=each.name,
        bytes=each.bytes,
        state="whole",
        used=each.used,
        users=each.users,
        converted=each.converted,
    )
    if each.ready:
        return found
    seen, running = progress_of(each.folder)
    state = "fetching" if running else "unfinished"
    return replace(found, state=state, done=min(seen.done, seen.total), total=seen.total)


def _told(asked: "Asked", found: "Answer") -> FitAnswer:
    choice, fit = found.choice, found.fit
    told = FitAnswer(
        service=asked.name,
        template=asked.template.name,
        replicas=asked.replicas,
        fits=found.ok if fit is not None or found.reason else None,
        reason=found.reason,
        message=found.message,
        engine=choice.engine if choice is not None else "",
        why=choice.why if choice is not None else "",
        conversion=choice.convert if choice is not None else "",
        precision_wanted=asked.template.precision,
        precision_found=found.precision,
        guessed=found.guessed,
        context=found.load.context,
        slots=found.load.slots,
    )
    if fit is None:
        return told
    needed = fit.estimate
    return replace(
        told,
        weights=needed.weights,
        kv_cache=needed.kv_cache,
        compute=needed.compute,
        overhead=needed.overhead,
        needed=needed.total,
        limit=fit.limit,
        total=None if fit.room is None else fit.room.most,
        free=None if fit.room is None else fit.room.free,
        node=fit.node,
        replicas_now=fit.replicas,
        largest_context=fit.context,
        most_slots=fit.slots,
    )
