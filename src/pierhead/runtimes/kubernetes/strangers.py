"""Other platforms in the same namespace: what is theirs is left alone, also where ours would have its name.

Objects are named by their service's id. Two platforms know one id where a backup of a database was
restored beside the first one, or where a platform got a new account: then the label `names.PLATFORM`
alone tells whose an object is, and what the server has under our name is looked at before ours is made.
As long as no other platform is there, that costs no request.
"""

from collections.abc import Iterable
from contextlib import suppress

import structlog

from pierhead.core.errors import NotFound, PierheadError, Refused
from pierhead.runtimes.kubernetes import fields, names
from pierhead.runtimes.kubernetes.api import SERVICE, VOLUME, KubeApi, Manifest, Selection, kind_of
from pierhead.runtimes.kubernetes.cluster import Cluster

log: structlog.stdlib.BoundLogger = structlog.get_logger("pierhead.kubernetes")


class Foreign(Refused):
    """What has the name of one of our objects is another platform's."""


class Strangers:
    """Knows whether others are there; asked for when the hub starts, and again with each whole list."""

    def __init__(self, api: KubeApi, cluster: Cluster) -> None:
        self._api, self._cluster = api, cluster
        self._there = False

    async def look(self) -> None:
        """See whether anybody else is there.

        Raises:
            Unavailable: the server does not answer.
        """
        if not self._cluster.platform:
            return  # an export's objects are nobody's
        others = names.others(self._cluster.platform)
        # Each service that may run has a Service; volumes belong to the whole cluster.
        places = [(SERVICE, self._cluster.namespace)]
        places += [(VOLUME, "")] * (self._cluster.weights == "csi")
        found = False
        for kind, namespace in places:
            try:
                found |= bool((await self._api.list(kind, Selection(namespace, others))).items)
            except Refused:
                found = True  # nobody knows: each one is looked at
        if found and not self._there:
            log.info("another platform shares the cluster", namespace=self._cluster.namespace)
        self._there = found

    async def look_again(self) -> None:
        """The same; where the server does not tell, what was known stays."""
        with suppress(PierheadError):
            await self.look()

    def demand_ours(self, present: Manifest | None) -> None:
        """Refuse to change what another platform has.

        Raises:
            Foreign: it is another platform's.
        """
        whose = fields.text(present, "metadata", "labels", names.PLATFORM)
        if present is not None and whose not in {"", self._cluster.platform}:
            raise Foreign(_told(present, whose, self._cluster.namespace))

    async def demand_free(self, made: Iterable[Manifest]) -> None:
        """Refuse to make objects whose names another platform's have; meant for those that were not there.

        Raises:
            Foreign: one of them is another platform's.
            Unavailable: the server does not answer.
        """
        for each in made if self._there else ():
            kind, meta = kind_of(each), each["metadata"]
            try:
                found = await self._api.get(kind, meta["name"], meta.get("namespace", ""))
            except NotFound:
                continue
            self.demand_ours({"kind": kind.name, **found})


def _told(present: Manifest, whose: str, namespace: str) -> str:
    name = fields.text(present, "metadata", "name")
    kind = fields.text(present, "kind") or "object"
    return (
        f"The {kind} [{name}] in the cluster belongs to another platform, [{whose}], that has a service of the "
        "same id: one of the two was restored from the other's backup, or has a new account. Nothing of it is "
        f"changed. Give this platform a namespace of its own in place of [{namespace}] (setting "
        "kubernetes.namespace), or remove the service there"
    )
