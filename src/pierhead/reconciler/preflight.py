"""Asked before weights are fetched and before a start: is it the right model, and can it fit at all?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pierhead.core.errors import PierheadError
from pierhead.core.events import Notice
from pierhead.core.families import mismatch, served
from pierhead.core.ids import Clock
from pierhead.core.mounts import Source
from pierhead.core.replicas import Node
from pierhead.core.services import Hold, Version
from pierhead.core.sizing import ENGINES, Fit, Load, Shape, fits, refusal, rooms
from pierhead.core.templates import Template
from pierhead.reconciler.aside import Aside, Busy
from pierhead.sources.header_window import BadHeader

_PATIENCE = 0.8  #: seconds that a look at headers may keep a service waiting
_KNOWN = 30.0  #: seconds that what was read counts
_KEPT = 1000  #: models that are remembered


class Shapes(Protocol):
    """What is known of a service's model."""

    def shape(self, template: Template, source: Source | None) -> Shape | None:
        """The shape; None when nothing is known. Blocks.

        Raises:
            BadHeader: a header cannot be true.
            OSError, PierheadError: it cannot be read now.
        """
        ...

    def at(self, path: str) -> Shape | None:
        """The shape of the model in a file or folder of this machine; raises as `shape`."""
        ...


@dataclass(frozen=True, slots=True)
class _Looked:
    """What was found, and when."""

    at: float
    shape: Shape | None = None
    broken: str = ""  #: what cannot be true of its header


class Preflight:
    """Holds what can never run; tells what may not go well."""

    def __init__(
        self,
        shapes: Shapes,
        clock: Clock,
        aside: Aside | None = None,
        *,
        patience: float = _PATIENCE,
    ) -> None:
        self._shapes, self._clock, self._patience = shapes, clock, patience
        self._aside = aside or Aside()
        self._looked: dict[tuple[str, str], _Looked] = {}

    async def check(
        self, version: Version, nodes: Sequence[Node], *, fresh: bool, model: str = ""
    ) -> tuple[Notice, ...] | Hold:
        """Nothing, what its owner should know, or why it cannot be started.

        `fresh`: what was read before does not count. `model`: the file or folder that an engine will
        load, once it is there; "" = where its weights come from.
        """
        template = version.template
        if template.engine not in ENGINES:
            return ()  # a user's own command: what it makes of its files is not known
        try:
            found = await self._look(template, version.source, model, fresh=fresh)
        except Busy:
            text = "The headers of the weights are being read."
            return Hold("ReadingHeaders", text, progressing=True)
        if found.broken:
            return Hold("ModelFileBroken", _mend(found.broken), permanent=True)
        return () if found.shape is None else judge(found.shape, template, nodes)

    async def _look(
        self, template: Template, source: Source | None, model: str, *, fresh: bool
    ) -> _Looked:
        key = (template.name, model or str(source or template.source or ""))
        known = self._looked.get(key)
        if known is not None and not fresh and self._clock() - known.at < _KNOWN:
            return known
        shape, broken = await self._aside.do(
            "\n".join(key), lambda: _read(self._shapes, template, source, model), self._patience
        )
        found = _Looked(self._clock(), shape, broken)
        if len(self._looked) >= _KEPT:
            self._looked.clear()
        self._looked[key] = found
        return found


def _read(
    shapes: Shapes, template: Template, source: Source | None, model: str
) -> tuple[Shape | None, str]:
    """(the shape, why there is none for good)."""
    try:
        return (shapes.at(model) if model else shapes.shape(template, source)), ""
    except BadHeader as problem:
        return None, str(problem)
    except (OSError, PierheadError):
        # What cannot be read now is told by those who fetch it, with all its circumstances.
        return None, ""


def judge(shape: Shape, template: Template, nodes: Sequence[Node]) -> tuple[Notice, ...] | Hold:
    """Is it the family's model, and is there a node and a limit that it fits?"""
    wrong = mismatch(template.family, shape)
    if wrong:
        return Hold("WeightsMismatch", wrong, permanent=True)
    load, fit = fit_of(shape, template, nodes)
    if fit is None or fit.fits:
        return ()
    if _only_tight(fit, nodes):
        return (Notice("MemoryLimitTight", refusal(fit, load)),)
    return Hold("ModelDoesNotFit", refusal(fit, load), permanent=True, placement=True)


def fit_of(shape: Shape, template: Template, nodes: Sequence[Node]) -> tuple[Load, Fit | None]:
    """The template's load, and the answer to it."""
    resources = template.resources
    # llama.cpp's embedded build computes on the CPU, whatever devices are asked for.
    gpus = 0 if template.engine == "llama_cpp" else resources.gpu
    limit = resources.memory if gpus <= 0 else None
    load = Load(template.engine, template.context, template.slots, template.precision)
    places = rooms(nodes, gpus)
    return load, fits(served(shape, template.precision), load, places, limit)


def _only_tight(fit: Fit, nodes: Sequence[Node]) -> bool:
    """Is it the limit alone, and only for mapped weights, which the system can take back and read again?"""
    needed = fit.estimate
    roomy = any(node.memory >= needed.total for node in nodes)
    return roomy and fit.limit is not None and needed.total - needed.shared <= fit.limit


def _mend(problem: str) -> str:
    return f"{problem} Fetch or mount the file again; the service goes on by itself then."
