"""Publishes routes: keeps the table that gateways fetch, and knows which leaving replicas are idle.

A replica is drained once every gateway serves by a table without it and has no request on it.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import repeat

from pierhead.core.endpoint_tokens import EndpointToken
from pierhead.core.ids import Clock
from pierhead.core.launch import Capabilities
from pierhead.core.replicas import ReplicaState, ReplicaStatus
from pierhead.core.routes import GatewayReport, Route, RouteTable, Target
from pierhead.core.services import Service, Wanted
from pierhead.core.slots import slots_of
from pierhead.core.templates import AUTO
from pierhead.core.traffic import Traffic, traffic
from pierhead.failpoint import failpoint
from pierhead.reconciler.gateways import Gateways
from pierhead.reconciler.published import Published, Spent
from pierhead.reconciler.tokens import Tokens

#: What serves a template that left the choice open, until its replicas tell.
EMBEDDED = "llama_cpp"
#: An affinity: prompts that begin alike go to the same replica.
PREFIX = "prefix"


class RouteBook:
    """The routes of all services, at a revision that never repeats."""

    def __init__(
        self,
        clock: Clock,
        engine_key: Callable[[str], str],
        capabilities: Mapping[str, Capabilities],
        spent: Spent = lambda _service, _token: 0,
        timer: Callable[[], float] = time.monotonic,
        affinity: str = PREFIX,
    ) -> None:
        """`spent`: tokens that were used this month of (service, token).

        `timer` says how long gateways are silent: unlike `clock`, nobody sets it back.
        `affinity`: of OpenAI's services that do not say theirs; "" = none.
        """
        self._clock, self._affinity = clock, affinity
        self._spent = spent
        self._tokens = Tokens(clock)
        self._engine_key = engine_key
        self._capabilities = capabilities
        self._published = Published(clock, spent)
        self._leaving: frozenset[str] | None = frozenset()  # None = to be made anew
        self._gateways = Gateways(timer)
        self._changed = asyncio.Event()
        self._told = asyncio.Event()
        self._ejected: Mapping[str, str] = {}  # at the last report
        self._asked_after = 0  # newest revision that a gateway said it has
        self._ended = False
        self.queue_seconds = 60.0  #: how long a request may wait for a slot of its service
        self.open = False  #: False until every service was looked at once: no half table goes out

    @property
    def revision(self) -> int:
        """The newest table's number."""
        return self._published.revision

    @property
    def table(self) -> RouteTable:
        """The newest table."""
        return self._published.table

    @property
    def limited(self) -> Iterator[tuple[str, str]]:
        """(service, token) of every token that has a limit by the month."""
        return self._published.limited

    @property
    def leaving(self) -> frozenset[str]:
        """Replicas that were routed, no longer are, and still run."""
        if self._leaving is None:
            self._leaving = frozenset(self._published.left)
        return self._leaving

    @property
    def gateways(self) -> int:
        """Gateways that were heard of just now."""
        return len(self._gateways.live)

    @property
    def ejected(self) -> Mapping[str, str]:
        """Replicas that a live gateway gives no requests because they failed -> its word for it."""
        live = self._gateways.live
        return {one: report.why.get(one, "") for report in live for one in report.ejected}

    @property
    def traffic(self) -> Traffic:
        """What live gateways together tell of the last seconds of services."""
        live = self._gateways.live
        # Workers of one gateway report each for itself, from places that differ behind the `#` alone.
        places = {(one.place or one.gateway).partition("#")[0] for one in live}
        told = traffic((one.services, one.outstanding) for one in live)
        return replace(told, gateways=len(places))

    @property
    def told(self) -> bool:
        """Had all gateways the time to say what they eject, and does one say it now?"""
        return bool(self._gateways.live) and not self._gateways.just_opened

    @property
    def news(self) -> int:
        """How often it was told of a change of tokens."""
        return self._tokens.news

    @property
    def services(self) -> frozenset[str]:
        """Ids of all services that are routed."""
        return frozenset(self._published.routes)

    def end(self) -> None:
        """Let those who wait for news go: there will be none."""
        self._ended = True
        self._changed.set()
        self._told.set()

    def begin(self) -> None:
        """Let gateways see the table."""
        self.open = True
        self._publish()
        self._gateways.begin(self.revision)

    def update(
        self, service: Service, replicas: tuple[ReplicaStatus, ...], *, sleeps: bool = False
    ) -> bool:
        """Route it to its ready replicas (`sleeps`: it may lose all); True if it had none and now has some."""
        route = None if service.wanted is Wanted.DELETED else self._route(service, replicas)
        if route is not None and service.wanted is Wanted.RUNNING:
            route = replace(route, wakes=sleeps or service.replicas == 0)
        known, drains = self._published, ReplicaState.DRAINING
        leaving = {one.id for one in replicas if one.state is drains} - known.left.keys()
        before = known.routes.get(service.id)
        if route == before and not leaving:
            return False
        if route is None:
            known.drop(service.id)
        elif route != before:
            known.put(route)
        if leaving:
            known.left |= dict.fromkeys(leaving, known.revision + 1)
            self._leaving = None
        self._publish()
        return bool(route and route.targets and not (before and before.targets))

    def know(self, held: Mapping[str, Iterable[EndpointToken]]) -> None:
        """Take in the tokens of all services, before any of these is routed."""
        self._tokens.know(held)

    def know_again(self, held: Mapping[str, Iterable[EndpointToken]], since: int) -> None:
        """Take in what was read, should a change not have been told; `since` = `news` before the reading."""
        self._tokens.know_again(held, since)

    def keyed(self, service: Service, tokens: Iterable[EndpointToken]) -> None:
        """From now on these open a service; gateways hear of it at once."""
        route = self._published.routes.get(service.id)
        if not self._tokens.keyed(service, tokens) or route is None:
            return
        changed = replace(route, tokens=tuple(self._tokens.of(service)))
        if changed != route:
            self._published.put(changed)
            self._publish()

    def drop(self, service: str) -> None:
        """Forget a service that is gone."""
        self._tokens.drop(service)
        if self._published.drop(service):
            self._publish()

    def forget(self, replicas: frozenset[str]) -> None:
        """Stop watching replicas that are gone."""
        for replica in replicas & self._published.left.keys():
            del self._published.left[replica]
            self._leaving = None

    def heard(self, report: GatewayReport) -> frozenset[str]:
        """Take in what a gateway said of itself; replicas that came to be ejected, or no longer are."""
        self._gateways.heard(report)
        self._note_told()
        before, self._ejected = self._ejected, self.ejected
        return frozenset(before.keys() ^ self._ejected.keys())

    async def taken_up(self, wait: float) -> None:
        """Return when every live gateway serves by the present table, or after `wait` seconds."""
        revision, loop = self.revision, asyncio.get_running_loop()
        deadline = loop.time() + wait
        while not (self._ended or self._is_taken_up(revision)):
            left = deadline - loop.time()
            if left <= 0:
                return
            # Not `wait_for`: before Python 3.12 it loses a cancellation that comes with the news.
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._told.wait()

    def _is_taken_up(self, revision: int) -> bool:
        live = self._gateways.live
        if len(live) <= 1 and self._asked_after >= revision:
            return True  # asking for what comes after it is a word as good as a report, and sooner
        if not live:
            return not self._gateways.just_opened
        return all(report.revision >= revision for report in live)

    def drained(self, replicas: frozenset[str]) -> frozenset[str]:
        """Which of these leaving replicas no gateway is busy with any more."""
        left = {one: since for one, since in self._published.left.items() if one in replicas}
        return self._gateways.let_go(left)

    async def newer(self, revision: int, wait: float, since: int | None = None) -> bytes | None:
        """The table as JSON once it differs from `revision`; None if it does not within `wait` seconds.

        `since`: the origin of that revision, of one that can do with what changed since it.
        """
        deadline = asyncio.get_running_loop().time() + wait
        if self._asked_after < revision <= self.revision:
            self._asked_after = revision
            self._note_told()
        while not self.open or revision == self.revision:
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0 or self._ended:
                return None
            try:
                async with asyncio.timeout(left):
                    await self._changed.wait()
            except TimeoutError:
                return None
        return await self._published.told(revision, -1 if since is None else since)

    def _note_told(self) -> None:
        self._told.set()
        self._told = asyncio.Event()

    def _publish(self) -> None:
        self._published.revision += 1
        self._changed.set()
        self._changed = asyncio.Event()
        # No disk is asked: it is a moment to die, not one to wait.
        failpoint("routes.after_publish")

    def _route(self, service: Service, replicas: tuple[ReplicaStatus, ...]) -> Route:
        ready = [
            replica
            for replica in sorted(replicas, key=lambda r: r.id)
            if replica.state is ReplicaState.READY
        ]
        # In a rolling update they may run different engines.
        engines = [self._engine(service, replica.engine) for replica in ready]
        targets = tuple(map(self._target, ready, engines, repeat(service.name)))
        usual = engines or [self._engine(service, "")]
        # Where the gateway puts an engine's own name in, a foreign one would pass for it.
        checked = all(engine.checks_model_name for engine in usual)
        checked = checked and not any(target.model for target in targets)
        names = (service.name, service.full_name, service.current.template.name)
        share, relaying = service.registration.share, service.current.relaying
        group = "" if share.standalone else service.group
        api = "openai" if all(engine.api == "openai" for engine in usual) else "any"
        usual_affinity = self._affinity if api == "openai" else ""
        return Route(
            service=service.id,
            name=service.name,
            aliases=(service.full_name,) if service.group else (),
            tokens=tuple(self._tokens.of(service)),
            targets=targets,
            api=api,
            models=() if checked else tuple(dict.fromkeys((*names, *filter(None, [group])))),
            created=service.created,
            timeout=service.current.request_timeout,
            open=service.registration.open,
            paths=tuple(sorted(frozenset[str]().union(*(engine.paths for engine in usual)))),
            listed=service.current.template.routed == "openai",
            affinity=usual_affinity if relaying.affinity is None else relaying.affinity,
            repeats=relaying.repeats,
            rate=service.current.intake.rate,
            slots=slots_of(service.current, usual),
            queue=service.current.intake.queue * max(1, len(targets)),
            queue_seconds=self.queue_seconds,
            group=group,
            weight=share.weight,
        )

    def _engine(self, service: Service, told: str) -> Capabilities:
        """What a replica runs: as it told, else as the template says, else the embedded engine."""
        named = told or service.current.template.engine
        return self._capabilities[EMBEDDED if named == AUTO else named]

    def _target(self, replica: ReplicaStatus, engine: Capabilities, service: str) -> Target:
        # One that checks names knows the service's alone, none of its aliases.
        knows = service if engine.api == "openai" and engine.checks_model_name else ""
        return Target(
            replica=replica.id,
            host=replica.host,
            port=replica.port,
            key=self._engine_key(replica.key_of or replica.id) if replica.keyed else "",
            model=replica.model or knows,
        )
