"""Workspaces: what services and grants are grouped by. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Workspace:
    """A named group of services; policies may be bounded to it."""

    id: str
    name: str = ""  #: as people know it
    quota: str = ""  #: id of the quota that all its services count against; "" = none
    created: float = 0.0
    updated: float = 0.0
