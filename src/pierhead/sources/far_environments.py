"""What replicas on other machines cannot have built for them, and what cannot be seen of there."""

from collections.abc import Collection, Iterable
from pathlib import Path

from pierhead.core.launch import EnvironmentPath
from pierhead.core.services import Hold
from pierhead.core.templates import Environment
from pierhead.sources.far_weights import Machines


class NoEnvironments:
    """No Python environment is built for images: they bring their own."""

    def ensure(self, environment: Environment) -> EnvironmentPath | Hold:
        """The hold that says so, unless the environment asks for nothing."""
        asked = environment.requirements or environment.conda or environment.packages
        if not asked and not environment.python:
            return EnvironmentPath("")
        what = ", ".join(environment.requirements[:3]) or f"Python {environment.python}".strip()
        problem = "a replica on a cluster has what its image has; nothing is installed there"
        return Hold(
            "EnvironmentFailed",
            f"The Python environment ({what}) is not built: {problem}. Name an image that brings it.",
            permanent=True,
            facts={"environment": what, "problem": problem},
        )

    def retry(self, environment: Environment) -> None:
        """Nothing: the answer stays the same."""

    def prune(self, keep: Collection[Environment], before: float) -> list[Path]:
        """Nothing was built."""
        return []

    def close(self) -> None:
        """Nothing is being built."""


class NodeFolders:
    """Folders of every machine, by the operator's word."""

    def __init__(self, machines: Machines) -> None:
        self._machines = machines

    async def missing(self, paths: Iterable[str]) -> tuple[list[str], list[str]]:
        """Those that the operator did not name as being on every machine."""
        return [path for path in paths if not self._machines.have(path)], []
