"""The hub's figures about its turn among hubs, and about how well it sees its cluster."""

from collections.abc import Iterable
from typing import Any

from prometheus_client import CollectorRegistry, Gauge


class TurnFigures:
    """What a hub does not have is not there: no cluster on one machine, no lease where it is alone."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._made: dict[str, Any] = {"registry": registry}
        self._role = Gauge(
            "pierhead_hub_role",
            "1 for what this hub is: active, standby, or waiting for its cluster",
            ["role"],
            **self._made,
        )
        self._token: Gauge | None = None
        self._age: Gauge | None = None
        self._problem: Gauge | None = None

    def has_role(self, role: str, roles: Iterable[str]) -> None:
        """What this hub is, of all that it may be."""
        for each in roles:
            self._role.labels(each).set(each == role)

    def has_lease(self, token: int) -> None:
        """The lease's token, as this hub saw it last."""
        if self._token is None:
            self._token = Gauge(
                "pierhead_lease_token",
                "Token of the lease among hubs, as this hub saw it last: it grows with each takeover",
                **self._made,
            )
        self._token.set(token)

    def sees(self, age: float | None, problem: str) -> None:
        """Seconds since the cluster was known for sure (None = it never was), and why that may be old."""
        if self._problem is None:
            self._problem = Gauge(
                "pierhead_cluster_problem",
                "1 while the cluster is not seen: what is shown of it may be old",
                **self._made,
            )
        self._problem.set(bool(problem))
        if age is None:
            return
        if self._age is None:
            self._age = Gauge(
                "pierhead_cluster_facts_age_seconds",
                "Seconds since all that is shown of the cluster was known for sure; absent until it was",
                **self._made,
            )
        self._age.set(age)
