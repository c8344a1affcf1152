"""The process runtime: replicas are child processes of this host that outlive the hub."""

import asyncio
import platform
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from math import ceil
from pathlib import Path
from weakref import WeakValueDictionary

import psutil
import structlog

from pierhead.core import plan
from pierhead.core.errors import NotFound, Occupied, PierheadError, Unavailable
from pierhead.core.ids import Clock, Entropy, short_id
from pierhead.core.launch import Launch, Placement
from pierhead.core.names import replica_name
from pierhead.core.replicas import Node, ReplicaState, ReplicaStatus, RuntimeInfo
from pierhead.core.workloads import Workload
from pierhead.runtimes.base import Attempt, LogLine, LogQuery
from pierhead.runtimes.hints import Hints
from pierhead.runtimes.process import attempts, hardware, logfiles, remains
from pierhead.runtimes.process.allotment import Allotment
from pierhead.runtimes.process.ground import Grant, Ground, Settings
from pierhead.runtimes.process.identity import Handle, Identity
from pierhead.runtimes.process.limits import detect
from pierhead.runtimes.process.probing import Prober
from pierhead.runtimes.process.records import (
    Intent,
    ReplicaFolder,
    erase,
    path_part,
    remove_if_empty,
    replica_folders,
)
from pierhead.runtimes.process.replica import Replica
from pierhead.runtimes.process.spawn import living_keepers

log: structlog.stdlib.BoundLogger = structlog.get_logger("pierhead.runtime")

#: Seconds a keeper may need beyond the grace of its engine before `stop_all` gives up on it.
_PATIENCE = 5.0
_DYING = 2.0  #: seconds a keeper may take to be wholly gone


class ProcessRuntime:
    """Implements runtimes.base.Runtime; `launch` is the engines' answer, given by bootstrap."""

    def __init__(
        self,
        folder: Path,
        launch: Callable[[Workload, Placement], Launch],
        clock: Clock,
        entropy: Entropy,
        engine_key: Callable[[str], str],
        settings: Settings,
    ) -> None:
        path_part(settings.owner, "owner")
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        root = folder.resolve()
        self._ground = Ground(
            root=root,
            node=platform.node(),
            settings=settings,
            launch=launch,
            clock=clock,
            entropy=entropy,
            engine_key=engine_key,
            limits=detect(settings.owner),
            mounts=replace(settings.mounts, closed=(str(root), *settings.closed)),
            prober=Prober(),
            hint=self._hint,
            released=self._released,
        )
        self._allotment = Allotment(settings.accelerators, clock, self._hint)
        self._services: dict[str, dict[str, Replica]] = {}
        self._turns = WeakValueDictionary[str, asyncio.Lock]()
        self._listeners: set[Hints] = set()
        self._ending = False
        self._alone: dict[str, list[Identity]] = {}  #: keepers of replicas that could not be read

    async def probe(self) -> RuntimeInfo:
        """What this host has."""
        memory = psutil.virtual_memory()
        found = await self._allotment.look()
        node = Node(
            name=self._ground.node,
            cpu=self._ground.settings.cores,
            memory=memory.total,
            memory_free=memory.available,
            gpus=len(found.accelerators),
            architecture=hardware.architecture(),
            accelerators=found.accelerators,
        )
        limits, mounts = self._ground.limits, self._ground.mounts
        unbounded = limits.memory is None or limits.cpu is None
        warnings = (limits.sentence,) * unbounded + (mounts.sentence,) * (not mounts.binds)
        warnings += (f"Some GPUs cannot be used: {found.problem}.",) * bool(found.problem)
        return RuntimeInfo(
            "process",
            (node,),
            limits.sentence,
            warnings,
            mounts.sentence,
            mounts.binds,
            one_node="replicas are processes of one host",
        )

    # ---- adopt ----------------------------------------------------------------------------

    async def adopt(self) -> None:
        """Take up every replica of this folder; end what belongs to none.

        Raises:
            Unavailable: a replica is held by a process that cannot be seen from here.
        """
        ground = self._ground
        keepers = living_keepers(ground.settings.owner, ground.root, ground.settings.boot)
        known: set[str] = set()
        for folder in list(replica_folders(ground.root)):
            place = (folder.path.parent.name, folder.id)
            if await self._take_up(folder, keepers.get(place)):
                known.add(folder.id)
                keepers.pop(place, None)
        await self._end_orphans(list(keepers.values()))
        for folder in list(replica_folders(ground.root)):
            if folder.id not in known:
                with suppress(OSError):  # a rest that cannot be removed is none of a replica's
                    folder.discard()
        await asyncio.to_thread(ground.limits.sweep, frozenset(known))

    async def _take_up(self, folder: ReplicaFolder, keeper: Identity | None) -> bool:
        """False = its creation was cut off: what runs for it is an orphan."""
        service = folder.path.parent.name
        try:
            intent = remains.intent(folder)
            if intent is None or intent.workload.service != service:
                return False
            left = remains.left(folder)
            held = keeper is None and await _stays_kept(folder)
        except Unavailable as problem:
            # Neither driven nor ended before its service is removed: what it was is not known.
            log.warning("a replica is left as it is", replica=folder.id, why=problem.why)
            if keeper is not None:
                self._alone.setdefault(service, []).append(keeper)
            return True
        if held:
            why = "a process that cannot be seen from here keeps it"
            raise Unavailable(f"The replica {folder.id}", why)
        replica = Replica(self._ground, folder, intent)
        self._services.setdefault(service, {})[folder.id] = replica
        replica.take_up(left, keeper)
        return True

    async def _end_orphans(self, keepers: list[Identity]) -> None:
        """Keepers of this folder whose replica is no more: nobody would ever end them."""
        boot = self._ground.settings.boot
        handles = [handle for keeper in keepers if (handle := Handle.of(keeper, boot))]
        for number, patience in ((signal.SIGUSR1, 3.0), (signal.SIGKILL, 3.0)):
            for handle in handles:
                handle.send(number)
            await _until(lambda: all(handle.ended() for handle in handles), patience)
        for handle in handles:
            handle.close()

    # ---- apply, remove --------------------------------------------------------------------

    async def apply(self, workload: Workload) -> None:
        """Take the next safe steps; what can be done is done even if one step fails.

        Raises:
            Unavailable: a step could not be taken now (no free port, disk full); call again.
            Refused: the engine will not run this.
        """
        path_part(workload.service, "service")
        async with self._turn(workload.service):
            await self._allotment.get_ready(workload)
            problems = await self._apply(workload)
            if not any(isinstance(problem, Occupied) for problem in problems):
                self._allotment.served(workload.service)
            self._tidy(workload.service)
        if problems:
            raise problems[0]

    async def _apply(self, workload: Workload) -> list[PierheadError]:
        group = self._services.setdefault(workload.service, {})
        target = plan.Target(
            workload.replicas,
            workload.rollout,
            workload.rolling,
            workload.drained,
            workload.held,
            max(workload.crowded, self._allotment.crowding(workload, self._everyone())),
            workload.room,
            workload.frozen,
        )
        seen = [replica.seen() for replica in group.values()]
        problems: list[PierheadError] = []
        for action in plan.plan(target, seen, self._ground.clock()):
            if self._ending:
                problems.append(Unavailable("The process runtime", "the platform is shutting down"))
                break
            try:
                await self._act(action, workload, group)
            except OSError as error:
                problems.append(Unavailable("A replica's folder or process", str(error)))
            except PierheadError as error:
                problems.append(error)
            if isinstance(action, plan.Start | plan.Rerun):
                await asyncio.sleep(0)  # these come last and take milliseconds each
        return problems

    async def _act(
        self, action: plan.Action, workload: Workload, group: dict[str, Replica]
    ) -> None:
        match action:
            case plan.Start():
                grant = self._grant(workload)  # before there is anything of it: it may have to wait
                replica = await self._create(workload, grant)
                await replica.launch(workload, grant)
            case plan.Rerun(id):
                await self._run_again(group[id], workload)
            case plan.Drain(id):
                await group[id].drain()
            case plan.Stop(id):
                await group[id].stop(cut=id not in workload.drained)
            case plan.Forget(id):
                if await group[id].forget():
                    del group[id]

    async def _run_again(self, replica: Replica, workload: Workload) -> None:
        own = replica.own(workload)
        try:
            grant = self._grant(own, replica.intent.id)
        except Occupied as busy:
            replica.waits(busy.reason, busy.why)
            if own is workload:
                raise
            return  # an older version's replica: nobody waits for that one
        await replica.launch(workload, grant)

    def _grant(self, workload: Workload, asking: str = "") -> Grant:
        has = self._allotment.give(workload, self._everyone(), asking)
        return self._allotment.grant(self._threads(workload), has)

    def _everyone(self) -> list[Replica]:
        return [replica for group in self._services.values() for replica in group.values()]

    def _released(self) -> None:
        self._allotment.released()

    async def _create(self, workload: Workload, grant: Grant) -> Replica:
        ground = self._ground
        tail = short_id(ground.entropy)
        intent = Intent(replica_name(workload.name, tail), ground.clock(), workload)
        folder = ReplicaFolder(ground.root / workload.service / intent.id)
        replica = Replica(ground, folder, intent)
        # Known to all while it is written down: its share of the machine is taken.
        group = self._services.setdefault(workload.service, {})
        group[intent.id] = replica
        try:
            await replica.create(grant)
        except OSError:
            del group[intent.id]
            self._released()
            raise
        ground.hint(workload.service)
        return replica

    def _threads(self, workload: Workload) -> int:
        """Cores by replica, at least one: engines that fight for cores crawl (they spin).

        One core is left to the platform and the clients, where there is more than one.
        """
        cores = max(1, self._ground.settings.cores - 1)
        others = [
            replica
            for service, group in self._services.items()
            for replica in group.values()
            if service != workload.service and replica.live
        ]
        share = max(1, cores // max(1, len(others) + workload.replicas))
        asked = workload.template.resources.cpu
        return share if asked is None else max(1, min(share, ceil(asked)))

    async def remove(self, service: str, grace: float) -> bool:
        """Stop and forget every replica; True once nothing of the service is left.

        Raises:
            Unavailable: the disk refuses now; call again.
        """
        path_part(service, "service")
        self._allotment.served(service)
        async with self._turn(service):
            return await self._remove(service, grace)

    async def _remove(self, service: str, grace: float) -> bool:
        group = self._services.get(service, {})
        try:
            for replica in list(group.values()):
                await replica.stop(grace)
                if replica.state is ReplicaState.STOPPED and await replica.forget():
                    del group[replica.intent.id]
            if not group:
                await self._end_orphans(self._alone.pop(service, []))
                await self._ground.disk.do(self._erase, service)
        except OSError as error:
            raise Unavailable("A replica's folder", str(error)) from error
        return self._tidy(service)

    def _erase(self, service: str) -> None:
        attempts.forget(self._ground.root, service)
        erase(self._ground.root / service)  # what else lies there is nobody's any more

    def _turn(self, service: str) -> asyncio.Lock:
        """One caller at a time per service; a lock lives as long as somebody holds or awaits it."""
        return self._turns.setdefault(service, asyncio.Lock())

    def _tidy(self, service: str) -> bool:
        if self._services.get(service):
            return False
        self._services.pop(service, None)
        return remove_if_empty(self._ground.root / service)

    # ---- look -----------------------------------------------------------------------------

    def observe(self, service: str | None = None) -> list[ReplicaStatus]:
        """From memory."""
        groups = self._services.values() if service is None else [self._services.get(service, {})]
        return [replica.status() for group in groups for replica in group.values()]

    async def logs(
        self, service: str, *, replica: str = "", previous: bool = False, limit: int = 100_000
    ) -> list[LogLine]:
        """Lines of one replica or of all, in the order of time.

        Raises:
            NotFound: there is no such replica.
        """
        runs = self._log_runs(service, replica, previous=previous)

        def read() -> list[LogLine]:
            tails = [
                logfiles.hiding(logfiles.tail(run.path, run.replica, limit), run.hidden)
                for run in runs
            ]
            return logfiles.merged(tails, limit)

        return await asyncio.to_thread(read)

    async def log_page(self, service: str, query: LogQuery) -> tuple[list[LogLine], int]:
        """Some lines, and the number of all.

        Raises:
            NotFound: there is no such replica.
        """
        runs = self._log_runs(service, query.replica, previous=query.previous)
        return await asyncio.to_thread(logfiles.page, runs, query.skip, query.limit)

    def _log_runs(self, service: str, replica: str, *, previous: bool) -> list[logfiles.LogRun]:
        group = self._services.get(service, {})
        if replica and replica not in group:
            raise NotFound("replica", replica)
        chosen = [group[replica]] if replica else list(group.values())
        return [
            logfiles.LogRun(run.path, each.intent.id, each.hidden)
            for each in chosen
            if (run := each.run_folder(previous=previous))
        ]

    async def attempts(self, service: str, *, replica: str = "", lines: int = 0) -> list[Attempt]:
        """Runs of its replicas, and of those that were replaced, oldest first.

        Raises:
            Invalid: `service` is no id.
        """
        path_part(service, "service")
        here = [
            (each.runs(), each.intent.id, each.hidden)
            for each in self._services.get(service, {}).values()
        ]

        def read() -> list[Attempt]:
            found = [*attempts.past(self._ground.root, service, lines)]
            found += [one for runs in here for one in attempts.of(*runs, lines)]
            chosen = [one for one in found if replica in {"", one.replica}]
            return sorted(chosen, key=lambda one: one.started)

        return await asyncio.to_thread(read)

    def changes(self) -> AsyncIterator[str]:
        """Hints from now on, until `close`."""
        listener = Hints()
        self._listeners.add(listener)
        return listener

    def _hint(self, service: str) -> None:
        for listener in self._listeners:
            listener.add(service)

    # ---- end ------------------------------------------------------------------------------

    async def stop_all(self, grace: float) -> None:
        """End every process with the platform; the replicas come back with the next `adopt`."""
        self._ending = True
        replicas = [replica for group in self._services.values() for replica in group.values()]
        for replica in replicas:
            replica.pause(grace)
        await _until(lambda: not any(replica.live for replica in replicas), grace + _PATIENCE)

    async def close(self) -> None:
        """Stop watching; replicas run on."""
        self._ending = True
        for group in self._services.values():
            for replica in group.values():
                replica.close()
        for listener in self._listeners:
            listener.close()
        await self._ground.prober.close()
        await self._ground.disk.close()


async def _stays_kept(folder: ReplicaFolder) -> bool:
    """Does somebody unseen hold it? A dying keeper loses its name a moment before its lock."""
    return not await _until(lambda: not remains.kept(folder), _DYING)


async def _until(done: Callable[[], bool], seconds: float) -> bool:
    """Look every 10 ms, for so long."""
    loop = asyncio.get_running_loop()
    give_up = loop.time() + seconds
    while not done():
        if loop.time() > give_up:
            return False
        await asyncio.sleep(0.01)
    return True
