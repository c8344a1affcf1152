"""One replica as a process: takes the planner's steps, notices its ends, survives the hub.

Every step is on disk before it is taken (records.py), so whoever comes after a killed hub goes on
with it. What a step writes is written in a thread: while it is awaited the run may end, so the state is
looked at afterwards. The rest runs on the event loop, also the few small files about accidents, which
cannot wait; nothing is synced, so only a disk that takes no writes at all holds these up.
"""

import asyncio
from contextlib import nullcontext, suppress
from dataclasses import replace
from typing import Literal

from pierhead.core import backoff, devices, diagnosis, plan
from pierhead.core.devices import Devices
from pierhead.core.diagnosis import Cause
from pierhead.core.errors import PierheadError, Unavailable
from pierhead.core.replicas import LEAVING, STEPS, Exit, ReplicaState, ReplicaStatus, step
from pierhead.core.secrecy import masked, secrets
from pierhead.core.workloads import Workload
from pierhead.failpoint import failpoint
from pierhead.runtimes.process import attempts, ports, remains
from pierhead.runtimes.process.ground import Grant, Ground
from pierhead.runtimes.process.identity import Identity, environment, stat
from pierhead.runtimes.process.probing import Subject
from pierhead.runtimes.process.records import (
    Intent,
    ReplicaFolder,
    RunFacts,
    RunFolder,
    erase,
)
from pierhead.runtimes.process.remains import Left
from pierhead.runtimes.process.run import Run
from pierhead.runtimes.process.spawn import spawn
from pierhead.runtimes.process.start import Start
from pierhead.runtimes.process.tree import Tree
from pierhead.runtimes.process.vigil import Findings, Vigil

_EVIDENCE = 50  #: lines of a crashed run that the diagnosis reads
_SHOWN = 20  #: of them, lines that a status carries
_SHORT_GRACE = 5.0  #: seconds to end after a drain that used up its time
_FRESH = frozenset({ReplicaState.PENDING, ReplicaState.CRASHED})


class Replica:
    """One replica: its place on disk, its state, its present or last run."""

    def __init__(self, ground: Ground, folder: ReplicaFolder, intent: Intent) -> None:
        self._ground = ground
        self._folder = folder
        self.intent = intent
        self.state = ReplicaState.PENDING
        self._run: Run | None = None
        self._promised = Devices()  #: to a run that is about to begin
        self._closed = False  #: the platform ends: nothing begins any more
        self._vigil: Vigil | None = None
        self._ready_at: float | None = None
        self._unready_at: float | None = None  #: counts while it is UNREADY
        self._failures = 0
        self._retry_at: float | None = None
        self._leave_by: float | None = None
        self._kill_at: float | None = None
        self._reason = self._message = ""
        self._last_exit: Exit | None = None
        self._last_lines: tuple[str, ...] = ()
        self._hidden = secrets({**intent.workload.files.env, **intent.workload.template.env})
        self._start = Start(ground, folder, intent.id, self._hidden)
        self._alarms: set[asyncio.Task[None]] = set()

    # ---- what others see ------------------------------------------------------------------

    @property
    def live(self) -> bool:
        """Is there a process, or a rest of one?"""
        return self._run is not None and self._run.live

    @property
    def devices(self) -> Devices:
        """The GPUs that are its own now."""
        return self.last_devices if self.live else self._promised

    @property
    def last_devices(self) -> Devices:
        """The GPUs of its present or last run."""
        facts = self._run.facts if self._run else None
        return Devices(facts.devices, facts.device_memory) if facts else Devices()

    def seen(self) -> plan.Seen:
        """For the planner."""
        return plan.Seen(
            id=self.intent.id,
            rollout=self.intent.workload.rollout,
            state=self.state,
            created=self.intent.created,
            retry_at=self._retry_at,
            leave_by=self._leave_by,
        )

    def status(self) -> ReplicaStatus:
        """For everybody else."""
        facts = self._run.facts if self._run else None
        engine = self._run.engine if self._run else None
        return ReplicaStatus(
            id=self.intent.id,
            service=self.intent.workload.service,
            rollout=self.intent.workload.rollout,
            state=self.state,
            created=self.intent.created,
            node=self._ground.node,
            host=facts.host if facts and self.live else "",
            port=facts.port if facts and self.live else 0,
            pid=engine.pid if engine else None,
            started=facts.started if facts else None,
            ready_at=self._ready_at,
            runs=facts.number if facts else 0,
            failures=self._failures,
            retry_at=self._retry_at,
            reason=self._reason,
            message=self._message,
            last_exit=self._last_exit,
            last_lines=self._last_lines,
            limits=facts.limits if facts else "",
            keyed=facts.keyed if facts else False,
            api=facts.api if facts else "any",
            command=facts.command if facts else (),
            devices=self.devices.ids,
            deadline=facts.deadline if facts and self.live else None,
            engine=facts.engine if facts else "",
            model=facts.model if facts else "",
            unready_at=self._unready_at if self.state is ReplicaState.UNREADY else None,
        )

    @property
    def hidden(self) -> tuple[str, ...]:
        """Secrets of its environment, which no log or message shows."""
        return self._hidden

    def run_folder(self, *, previous: bool = False) -> RunFolder | None:
        """The last run's folder, or that of the run before it."""
        return self._folder.last_run(previous=previous)

    def runs(self) -> list[RunFolder]:
        """Its runs that are kept, first to last."""
        return self._folder.runs()

    # ---- the planner's steps --------------------------------------------------------------

    def own(self, wanted: Workload) -> Workload:
        """What it runs: an older rollout runs as it was, not as `wanted` says."""
        same = wanted.rollout == self.intent.workload.rollout
        return wanted if same else self.intent.workload

    async def create(self, grant: Grant) -> None:
        """Write down that it shall be; from here on nobody else gets what it was granted.

        Raises:
            OSError: the disk refuses; there is nothing of it then.
        """
        self._promised = grant.devices
        await self._ground.disk.do(self._create)

    def _create(self) -> None:
        failpoint("process.start.before_intent")
        self._folder.create(self.intent)

    async def launch(self, wanted: Workload, grant: Grant) -> None:
        """Run it (again).

        Raises:
            PierheadError: it cannot be started (now); the replica says why.
            OSError: the disk or the kernel refuses.
        """
        self._promised = grant.devices
        try:
            await self._launch(self.own(wanted), grant)
        except (PierheadError, OSError) as error:
            self._reason, self._message = "CannotStart", str(error)
            raise
        finally:
            self._promised = Devices()
            if grant.devices.ids and not self.live:
                self._ground.released()

    def waits(self, reason: str, why: str) -> None:
        """It cannot run again now, because others have what it needs."""
        self._say(reason, why)

    async def _launch(self, workload: Workload, grant: Grant) -> None:
        ground, settings = self._ground, self._ground.settings
        lease = ports.lease(settings.ports, settings.host, settings.port_locks, ground.entropy)
        try:
            placement = self._start.placement(workload, grant, lease.port)
            launch = ground.mounts.launched(ground.launch, workload, placement)
            visible = devices.environment(grant.names)
            launch = replace(launch, env={**launch.env, **visible})  # a template's own do not count
            facts = replace(
                self._start.facts(workload, placement, launch, self._failures),
                devices=grant.devices.ids,
                device_memory=grant.devices.memory,
            )
            folder = await ground.disk.do(self._start.record, workload, facts)
            if self._closed:
                raise Unavailable("The process runtime", "the platform is shutting down")
            spec = self._start.spec(workload, launch, facts)
            pid = spawn(settings.owner, self.intent.id, folder, lease.fd, spec)
            failpoint("process.run.after_spawn")
        finally:
            lease.close()
        born = stat(pid)
        self._begin(folder, facts, Identity(pid, born.ticks if born else 0, settings.boot))

    async def drain(self) -> None:
        """Out of traffic; it may end what it has until its patience ends."""
        now = self._ground.clock()
        leave_by = now + self.intent.workload.template.stop_grace
        await self._ground.disk.do(self._mark, "drain", at=now, leave_by=leave_by)
        if ReplicaState.DRAINING not in STEPS[self.state]:
            return  # it has ended meanwhile: the planner looks anew
        self._leave_by = leave_by
        self._ask_no_more()
        self._move(ReplicaState.DRAINING)
        self._hint_at(leave_by)

    def _mark(self, name: Literal["drain", "stop"], **facts: float) -> None:
        self._folder.mark(name, **facts)
        if name == "drain":
            failpoint("process.drain.after_mark")
        else:
            failpoint("process.stop.after_mark")

    async def stop(self, grace: float | None = None, *, cut: bool = False) -> None:
        """TERM now, KILL after the grace (seconds; None = what its template gives).

        `cut` = if it was draining, nobody said that it had done all it had: its time is over.
        """
        now = self._ground.clock()
        kill_at = now + (self._own_grace(now) if grace is None else max(0.0, grace))
        sooner = self._kill_at is None or kill_at < self._kill_at
        if self.state is ReplicaState.STOPPED or not sooner:
            return
        # Who removes it does so again after a kill: a folder that takes no mark holds nothing up.
        with suppress(OSError) if grace is not None else nullcontext():
            await self._ground.disk.do(self._mark, "stop", at=now, kill_at=kill_at)
        self._kill_at = kill_at
        if cut and self.state is ReplicaState.DRAINING:
            time = self.intent.workload.template.stop_grace
            cause = diagnosis.worded("DrainOverdue", {"seconds": f"{time:g}"})
            self._say(cause.reason, cause.message)
        self._ask_no_more()
        if self._run is None or not self._run.live:
            self._move(ReplicaState.STOPPED)
            return
        told = self.state is ReplicaState.STOPPING
        self._move(ReplicaState.STOPPING)
        self._run.end(kill_at, tell=not told)
        failpoint("process.stop.after_signal")

    def _own_grace(self, now: float) -> float:
        whole = self.intent.workload.template.stop_grace
        if self._leave_by is None:
            return whole
        return min(whole, max(self._leave_by - now, _SHORT_GRACE))  # it had its time while draining

    async def forget(self) -> bool:
        """Remove what is left of a stopped replica; False while the kernel still holds some.

        Raises:
            OSError: the disk refuses; call again.
        """
        cgroups = self._run.facts.cgroups if self._run else ()
        if self.live or not self._ground.limits.release(self.intent.id, cgroups):
            self._hint_at(self._ground.clock() + 0.1)
            return False
        await self._ground.disk.do(self._remove)
        self.close()
        self._ground.hint(self.intent.workload.service)
        return True

    def _remove(self) -> None:
        """Remove its folder; one whose removal failed halfway is removed to its end."""
        failpoint("process.forget.before_rename")
        with suppress(OSError):  # disk full, or not to be read: it is removed all the same
            if len(self._folder.runs()) > 1:
                service = self.intent.workload.service
                attempts.keep(self._ground.root, service, self._folder, self._hidden)
        rest = self._folder.set_aside()
        failpoint("process.forget.after_rename")
        erase(rest)
        failpoint("process.forget.after")

    def pause(self, grace: float) -> None:
        """End the process with the platform: it is no crash, and the next hub runs it again."""
        self._closed = True
        if self._run is None or not self._run.live:
            return
        if self.state not in LEAVING:
            with suppress(OSError):  # disk full: it ends all the same, and counts as a crash then
                self._run.folder.mark("pause", at=self._ground.clock())
                failpoint("process.pause.after_mark")
        self._ask_no_more()
        self._run.end(self._ground.clock() + grace)

    def close(self) -> None:
        """Stop all tasks; the process runs on."""
        self._closed = True
        self._ask_no_more()
        for alarm in self._alarms:
            alarm.cancel()
        if self._run is not None:
            self._run.close()

    # ---- taking up what an earlier hub left -----------------------------------------------

    def take_up(self, left: Left, keeper: Identity | None) -> None:
        """Go on where an earlier hub was: with the run that lives, or with its end."""
        self._leave_by = left.leave_by
        folder, facts = left.run, left.facts
        self._failures = facts.failures if facts else 0
        if left.leaving:
            stopped = left.kill_at is not None
            self.state = ReplicaState.STOPPING if stopped else ReplicaState.DRAINING
        if folder is not None and facts is not None and keeper is not None:
            self._continue(folder, facts, keeper)
        elif folder is not None and facts is not None and remains.has_run(folder):
            self._after_end(folder, facts)
        elif left.leaving:
            self._move(ReplicaState.STOPPED)
        if self.state is ReplicaState.STOPPING and self._run and left.kill_at is not None:
            self._kill_at = left.kill_at
            self._run.end(left.kill_at)
        elif self.state is ReplicaState.DRAINING and self._leave_by is not None:
            self._hint_at(self._leave_by)

    def _continue(self, folder: RunFolder, facts: RunFacts, keeper: Identity) -> None:
        self._ready_at = remains.ready_at(folder)
        if self.state is ReplicaState.PENDING:
            ready = self._ready_at is not None
            self.state = ReplicaState.READY if ready else ReplicaState.STARTING
        self._begin(folder, facts, keeper)

    def _after_end(self, folder: RunFolder, facts: RunFacts) -> None:
        """The run ended while no hub looked; which state it had does not matter any more."""
        self._ready_at = remains.ready_at(folder)
        if self.state is ReplicaState.PENDING:
            self.state = ReplicaState.STARTING
        keeper = remains.told(folder.keeper)
        boot = self._ground.settings.boot
        if remains.told(folder.exit) is None and keeper is not None and keeper.boot != boot:
            with suppress(OSError):  # disk full: it counts as a crash then
                folder.mark("pause", at=self._ground.clock())  # a reboot is no fault of its own
        self._run = Run(folder, facts, self._ground.clock, boot, self._ended)
        self._run.bury()

    # ---- a run's life ---------------------------------------------------------------------

    def _begin(self, folder: RunFolder, facts: RunFacts, keeper: Identity) -> None:
        if self.state in _FRESH:
            self._reason = self._message = ""
            self._retry_at = self._ready_at = None
            self._move(ReplicaState.STARTING)
        boot = self._ground.settings.boot
        run = self._run = Run(folder, facts, self._ground.clock, boot, self._ended)
        run.follow(keeper)
        if run.live and self.state not in LEAVING:
            findings = Findings(
                not_yet=lambda why: self._say("NotReadyYet", why),
                moved=self._moved,
                ready=self._became_ready,
                unready=self._became_unready,
                again=lambda: self._change(ReplicaState.READY),
                doomed=self._doomed,
            )
            ground, tree = self._ground, Tree(keeper.pid)
            self._vigil = Vigil(ground.prober, ground.clock, self._subject, tree, findings)
            self._vigil.begin(facts, ready=self.state is ReplicaState.READY)

    def _subject(self) -> Subject:
        assert self._run is not None  # noqa: S101 - a vigil begins with its run
        facts, engine = self._run.facts, self._run.engine
        return Subject(
            name=facts.model or self.intent.workload.name,
            host=facts.host,
            port=facts.port,
            key=self._ground.engine_key(self.intent.id) if facts.keyed else "",
            env=lambda: environment(engine.pid) if engine else {},
            cwd=facts.cwd,
            beside=engine if facts.shown else None,
            open_files=self._ground.settings.open_files,
        )

    async def _became_ready(self) -> None:
        at = self._ground.clock()
        if self._run is not None:
            await self._ground.disk.do(_mark_ready, self._run.folder, at)
        self._ready_at = at
        self._change(ReplicaState.READY)

    def _became_unready(self, why: str) -> None:
        self._unready_at = self._ground.clock()
        self._change(ReplicaState.UNREADY, "ProbeFailed", why)

    def _moved(self, port: int) -> None:
        """It listens where its template said, not where it was told: that is where requests go."""
        if self._run is None:
            return
        facts = self._run.facts = replace(self._run.facts, port=port)
        with suppress(OSError):  # disk full: a new hub finds out anew
            self._run.folder.correct(facts)

    def _doomed(self, cause: Cause) -> None:
        if self._run is None:
            return
        self._ask_no_more()  # else it could be called ready while it ends
        with suppress(OSError):  # disk full: it is ended all the same, only the reason is poorer
            told = {"reason": cause.reason, "message": cause.message, "facts": dict(cause.facts)}
            self._run.folder.mark("killed", **told)
        if self.state is ReplicaState.READY:
            self._unready_at = self._ground.clock()
            self._change(ReplicaState.UNREADY, cause.reason, cause.message)
        self._run.end(self._ground.clock() + self._run.facts.grace)

    def _ended(self) -> None:
        """No process of the run is left."""
        self._ask_no_more()
        if self._run is None:
            return
        if self._run.facts.devices:
            self._ground.released()
        end = self._last_exit = remains.end(self._run.folder, self._ground.clock())
        if self.state in LEAVING:
            self._move(ReplicaState.STOPPED)
            return
        if remains.paused(self._run.folder):
            self._failures, self._retry_at = 0, end.at
            self._say("Paused", "It ended with the platform or the machine and runs again.")
        else:
            self._crashed(self._run, end)
        self._move(ReplicaState.CRASHED)
        self._hint_at(self._retry_at or 0.0)

    def _crashed(self, run: Run, end: Exit) -> None:
        ready_for = end.at - self._ready_at if self._ready_at is not None else 0.0
        self._failures = backoff.failures_after(run.facts.failures, ready_for)
        seed = f"{self.intent.id}/{run.facts.number}"
        self._retry_at = end.at + backoff.delay(self._failures, seed)
        written = remains.last_lines(run.folder, self.intent.id, _EVIDENCE)
        lines = [masked(text, self._hidden) for text in written]
        self._last_lines = tuple(lines[-_SHOWN:])
        cause = diagnosis.crash(end, tuple(lines))
        self._say(cause.reason, cause.message)

    # ---- small parts ----------------------------------------------------------------------

    def _change(self, state: ReplicaState, reason: str = "", message: str = "") -> None:
        self._say(reason, message)
        self._move(state)

    def _say(self, reason: str, message: str) -> None:
        self._reason, self._message = reason, message

    def _move(self, state: ReplicaState) -> None:
        self.state = step(self.state, state)
        self._ground.hint(self.intent.workload.service)

    def _hint_at(self, at: float) -> None:
        """Somebody should call again then: a back-off or a patience ends."""

        async def later() -> None:
            await asyncio.sleep(max(0.0, at - self._ground.clock()))
            self._ground.hint(self.intent.workload.service)

        alarm = asyncio.create_task(later())
        self._alarms.add(alarm)
        alarm.add_done_callback(self._alarms.discard)

    def _ask_no_more(self) -> None:
        if self._vigil is not None:
            self._vigil.close()


def _mark_ready(run: RunFolder, at: float) -> None:
    with suppress(OSError):  # disk full: it serves all the same; a new hub probes it anew
        run.mark("ready", at=at)
        failpoint("process.ready.after_mark")
