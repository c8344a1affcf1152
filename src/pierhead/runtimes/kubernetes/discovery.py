"""What a cluster has learnt or unlearnt while a hub runs: KEDA may be installed at any time."""

from collections.abc import Mapping

import structlog

from pierhead.core.errors import PierheadError
from pierhead.runtimes.kubernetes.api import KubeApi
from pierhead.runtimes.kubernetes.cluster import Cluster
from pierhead.runtimes.kubernetes.reflector import Pace, Time

log: structlog.stdlib.BoundLogger = structlog.get_logger("pierhead.kubernetes")


class Discovery:
    """Asks a server now and then what it serves: one request, and one for each group that is new or added by others."""

    def __init__(self, api: KubeApi, time: Time, pace: Pace) -> None:
        self._api, self._time, self._pace = api, time, pace
        self._known: Mapping[str, frozenset[str]] = {}
        self._asked: float | None = None

    async def renewed(self, cluster: Cluster) -> Cluster:
        """The cluster as it is by now; as it was where that is not to be asked yet, or nobody answers."""
        now = self._time.now()
        if self._asked is None:  # it was asked when the hub started
            self._asked = now
        if now - self._asked < self._pace.whole_list:
            return cluster
        self._asked = now
        try:
            self._known = await self._api.served(self._known)
        except PierheadError:
            return cluster
        found = cluster.renewed(self._known)
        if found == cluster:
            return cluster
        log.info(
            "the cluster serves something else",
            lws=found.lws,
            keda=found.keda,
            metrics=found.metrics,
        )
        return found
