"""What the server has of each service beside its pods: asked for, then known by what we send and delete.

Now and then it is compared with what the server says: what somebody else deleted is sent anew.

A Service and a disruption budget belong to the pods' owner (`ownerReferences`): with it the cluster deletes
them. What pods need before they start is there before that owner, and is deleted by us.
"""

import asyncio
from collections.abc import Collection, Sequence
from contextlib import suppress

import structlog

from pierhead.core.errors import NotFound, PierheadError, Refused, Unavailable
from pierhead.runtimes.kubernetes import fields, names
from pierhead.runtimes.kubernetes.api import (
    GROUP,
    SECRET,
    SERVICE,
    Kind,
    KubeApi,
    Manifest,
    Selection,
    kind_of,
)
from pierhead.runtimes.kubernetes.environment import concealed
from pierhead.runtimes.kubernetes.owners import OWNERS, kind_at
from pierhead.runtimes.kubernetes.reflector import Pace, Time

log: structlog.stdlib.BoundLogger = structlog.get_logger("pierhead.kubernetes")

#: Kind and name of an object.
Key = tuple[Kind, str]
_BUDGET = "PodDisruptionBudget"


class Belongings:
    """Per service, each object with its mark: a digest and whom it belongs to; "" = not known for sure."""

    def __init__(
        self,
        api: KubeApi,
        selected: Selection,
        kinds: tuple[Sequence[Kind], Collection[Kind]],
        time: Time,
        pace: Pace,
    ) -> None:
        """`selected`: our namespace, and what in it is ours.

        `kinds`: what a service may have, but for its pods' owner, which is watched; and of that, what the
        settings do not ask for, so that the server need not let us see it.
        """
        self._api, self._selected = api, selected
        self._kinds, self._unasked = kinds
        self._time, self._pace = time, pace
        self._of: dict[str, dict[Key, str]] = {}
        self._concealed: dict[str, tuple[str, ...]] = {}
        self._in_sets: frozenset[str] = frozenset()  # whose Service goes with a set, as listed last
        self._learned, self._learning = False, asyncio.Lock()
        self._looked = 0.0  #: when the server was asked last

    def renew(self, kinds: Sequence[Kind], unasked: Collection[Kind]) -> None:
        """A service may have other kinds from now on; see `__init__`."""
        self._kinds, self._unasked = kinds, unasked

    async def of(self, service: str) -> dict[Key, str]:
        """What is there of a service; whoever sends or deletes an object writes it down in this.

        Raises:
            Unavailable: the server does not answer, or does not let us see all of it.
        """
        await self.learn()
        return self.known(service)

    async def learn(self, *, anew: bool = False) -> None:
        """Ask the server, unless that was done; `anew`: whoever acted until now may have changed it since.

        Raises:
            Unavailable: it does not answer, or does not let us see all of it.
        """
        async with self._learning:
            if anew:
                self._of, self._learned = {}, False
            if not self._learned:
                for kind in self._kinds:
                    for service, key, marked in await self._list(kind, anew=anew) or ():
                        # What we sent since we started is newer.
                        self.known(service).setdefault(key, marked)
                self._learned, self._looked = True, self._time.now()

    async def compare(self) -> bool:
        """Ask the server once more, if that was long ago; where it does not tell, what is known stays.

        What somebody deleted is marked as not known for sure, so that it is sent anew. False = it was not
        asked.
        """
        due = self._time.now() - self._looked >= self._pace.whole_list
        if not due or not self._learned or self._learning.locked():
            return False
        async with self._learning:
            self._looked = self._time.now()
            with suppress(PierheadError):
                await self._compare()
        return True

    async def _compare(self) -> None:
        before = {service: dict(there) for service, there in self._of.items()}
        listed: dict[str, dict[Key, str]] = {}
        told: set[Kind] = set()
        for kind in self._kinds:
            found = await self._list(kind, anew=False)
            if found is not None:
                told.add(kind)
            for service, key, marked in found or ():
                listed.setdefault(service, {})[key] = marked
        for service in before.keys() | listed.keys():
            was, now, there = before.get(service, {}), listed.get(service, {}), self.known(service)
            for key in was.keys() | now.keys():
                # Whatever we sent or deleted since we asked is newer.
                if key[0] in told and there.get(key) == was.get(key):
                    there[key] = now.get(key, "")

    def known(self, service: str) -> dict[Key, str]:
        """The same, without asking anybody."""
        return self._of.setdefault(service, {})

    def in_set(self, service: str) -> bool:
        """Did something of it belong to a set when all was listed last?"""
        return service in self._in_sets

    def forget(self, service: str) -> None:
        """Nothing of it is there any more."""
        self._of.pop(service, None)
        self._concealed.pop(service, None)

    def sent(self, service: str, found: Manifest) -> None:
        """Something of it is there as it is now."""
        if kind_of(found) == SECRET:
            self._concealed[service] = concealed(found)

    def concealed(self, service: str) -> tuple[str, ...]:
        """What its pods know and nobody shall read in what they write."""
        return self._concealed.get(service, ())

    async def _list(self, kind: Kind, *, anew: bool) -> list[tuple[str, Key, str]] | None:
        """(service, object, its mark) of all services; None = we may not see it, and need not."""
        place = self._selected.namespace if kind.namespaced else ""
        try:
            listed = await self._api.list(kind, Selection(place, self._selected.labels))
        except NotFound:
            return []  # the server has no such kind
        except Refused as error:
            if kind in self._unasked:
                log.info("what an earlier setting may have left is not seen", kind=kind.plural)
                return None
            raise Unavailable(f"A list of the cluster's {kind.plural}", str(error)) from error
        found: list[tuple[str, Key, str]] = []
        for each in listed.items:
            service = _service_of(each)
            key = kind, fields.text(each, "metadata", "name")
            found.append((service, key, mark(each, owner_of(each))))
            if kind == SECRET and (anew or service not in self._concealed):
                self._concealed[service] = concealed(each)
        if kind == SERVICE:
            self._in_sets = frozenset(map(_service_of, filter(_of_set, listed.items)))
        return found


def key_of(manifest: Manifest) -> Key:
    """Of an object that is to be sent."""
    return kind_of(manifest), fields.text(manifest, "metadata", "name")


def depends(kind: Kind) -> bool:
    """Does an object of that kind go with the owner of its service's pods?"""
    return kind == SERVICE or kind.name == _BUDGET


def mark(manifest: Manifest, owner: str) -> str:
    """What changes when an object does, or the one that it belongs to (its uid)."""
    return f"{names.applied(manifest)}/{owner}"


def goes_with(marked: str, owner: str) -> bool:
    """Does what was marked so go with the owner of that uid?"""
    return bool(owner) and marked.endswith(f"/{owner}")


def owner_of(found: Manifest) -> str:
    """uid of the pods' owner that an object belongs to; "" = to none."""
    every = fields.many(found, "metadata", "ownerReferences")
    known = {kind.name for kind in OWNERS}
    return next((fields.text(each, "uid") for each in every if each.get("kind") in known), "")


def _service_of(found: Manifest) -> str:
    return fields.text(found, "metadata", "labels", names.SERVICE_ID)


def _of_set(found: Manifest) -> bool:
    every = fields.many(found, "metadata", "ownerReferences")
    return any(each.get("kind") == GROUP.name for each in every)


def with_owner(manifest: Manifest, owner: Manifest, uid: str) -> Manifest:
    """The object as it is sent where it belongs to an owner that has that uid."""
    kind = kind_at(owner)
    reference = {
        "apiVersion": kind.api_version,
        "kind": kind.name,
        "name": fields.text(owner, "metadata", "name"),
        "uid": uid,
    }
    return {**manifest, "metadata": {**manifest["metadata"], "ownerReferences": [reference]}}
