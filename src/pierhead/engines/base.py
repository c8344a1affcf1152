"""The engine protocol: one pure function from what is wanted to what is started."""

from typing import Protocol

from pierhead.core.launch import Capabilities, Files, Launch, Placement
from pierhead.core.templates import Template


class Engine(Protocol):
    """An adapter for one kind of engine. It does no I/O; the runtime starts what it says."""

    @property
    def capabilities(self) -> Capabilities:
        """What this engine can do."""
        ...

    def launch(self, template: Template, files: Files, placement: Placement) -> Launch:
        """The process that serves `template` from `files` at `placement`.

        Raises:
            Unsupported: the template asks for what this engine cannot do.
        """
        ...
