"""Asked before weights are fetched and before a start: what model is it, the right one, can it fit at all?"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from pierhead.core.errors import PierheadError
from pierhead.core.events import Notice
from pierhead.core.families import mismatch
from pierhead.core.ids import Clock
from pierhead.core.launch import Capabilities
from pierhead.core.mounts import FolderSource, NasSource, Source
from pierhead.core.replicas import Node
from pierhead.core.services import HANGS, Hold, Version
from pierhead.core.sizing import Fit, Load, Shape, fits, refusal, rooms, shortage
from pierhead.core.templates import Template
from pierhead.reconciler.aside import Aside, Busy
from pierhead.sources.header_window import BadHeader
from pierhead.sources.listings import NoModel

_PATIENCE = 0.8  #: seconds that a look at headers may keep a service waiting
_HANGS = 5.0  #: seconds after which a file system that does not answer counts as hanging
_KNOWN = 30.0  #: seconds that what was read counts
_KEPT = 1000  #: models that are remembered


class Shapes(Protocol):
    """What is known of a service's model."""

    def shape(self, template: Template, source: Source | None) -> Shape | None:
        """The shape; None when nothing is known. Blocks.

        Raises:
            BadHeader: a header cannot be true.
            NoModel: there is none, or several.
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
    hold: Hold | None = None  #: why it cannot be started for good


class Preflight:
    """Reads the headers of models, and remembers them for a while."""

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
        self._began: dict[tuple[str, str], float] = {}  #: reads that go on

    async def look(self, version: Version, *, fresh: bool, model: str = "") -> Shape | Hold:
        """The model's shape, empty when nothing is known of it; or why it cannot be started.

        `fresh`: what was read before does not count. `model`: the file or folder that an engine will
        load, once it is there; "" = where its weights come from.
        """
        try:
            found = await self._look(version.template, version.source, model, fresh=fresh)
        except Busy:
            return self._busy(version.template, version.source, model)
        return found.hold or found.shape or Shape()

    def _busy(self, template: Template, source: Source | None, model: str) -> Hold:
        """It is being read; of a file system that takes long over it, that it hangs."""
        began = self._began.get(_key(template, source, model), self._clock())
        place = model or source or template.source
        far = place is not None and not isinstance(place, str | FolderSource | NasSource)
        if place is None or far or self._clock() - began < _HANGS:
            text = "The headers of the weights are being read."
            return Hold("ReadingHeaders", text, progressing=True)
        where = str(place)[:255]
        text = f"No answer from {where}: is its file system mounted and well?"
        return Hold(HANGS, text, facts={"place": where}, since=began)

    async def _look(
        self, template: Template, source: Source | None, model: str, *, fresh: bool
    ) -> _Looked:
        key = _key(template, source, model)
        known = self._looked.get(key)
        if known is not None and not fresh and self._clock() - known.at < _KNOWN:
            return known
        self._began.setdefault(key, self._clock())
        shape, hold = await self._aside.do(
            "\n".join(key), lambda: _read(self._shapes, template, source, model), self._patience
        )
        self._began.pop(key, None)
        found = _Looked(self._clock(), shape, hold)
        if len(self._looked) >= _KEPT:
            self._looked.clear()
        self._looked[key] = found
        return found


def _key(template: Template, source: Source | None, model: str) -> tuple[str, str]:
    return template.name, model or str(source or template.source or "")


def _read(
    shapes: Shapes, template: Template, source: Source | None, model: str
) -> tuple[Shape | None, Hold | None]:
    """(the shape, why there is none for good)."""
    try:
        return (shapes.at(model) if model else shapes.shape(template, source)), None
    except BadHeader as problem:
        facts = {"problem": str(problem)}
        return None, Hold("ModelFileBroken", _mend(str(problem)), permanent=True, facts=facts)
    except NoModel as problem:
        return None, problem.hold
    except (OSError, PierheadError):
        # What cannot be read now is told by those who fetch it, with all its circumstances.
        return None, None


def mistaken(shape: Shape, template: Template) -> Hold | None:
    """Is it another model than the template's family?"""
    wrong = mismatch(template.family, shape)
    facts = {"problem": wrong}
    return Hold("WeightsMismatch", wrong, permanent=True, facts=facts) if wrong else None


def judge(shape: Shape, template: Template, nodes: Sequence[Node]) -> tuple[Notice, ...] | Hold:
    """Is there a node and a limit that the model fits? `template` as `as_served` gives it."""
    load, fit = fit_of(shape, template, nodes)
    if fit is None or fit.fits:
        return ()
    if _only_tight(fit, nodes):
        return (Notice("MemoryLimitTight", refusal(fit, load)),)
    return Hold(
        "ModelDoesNotFit",
        refusal(fit, load),
        permanent=True,
        placement=True,
        facts=shortage(fit, load),
    )


def as_served(template: Template, engine: str, able: Capabilities) -> Template:
    """The template with the engine that was chosen; one that computes on the CPU uses no device."""
    resources = template.resources
    if not able.on_gpu:
        resources = replace(resources, gpu=0, gpu_memory=None)
    return replace(template, engine=engine, resources=resources)


def fit_of(shape: Shape, template: Template, nodes: Sequence[Node]) -> tuple[Load, Fit | None]:
    """The template's load, and the answer to it; None where a memory is not known."""
    resources = template.resources
    on_cpu = resources.devices <= 0
    limit = resources.memory if on_cpu else None
    load = Load(
        *(template.engine, template.context, template.slots, template.precision),
        on_cpu,
        template.nodes,
    )
    if not on_cpu and any(not gpu.memory for node in nodes for gpu in node.accelerators):
        return load, None  # of those that share the machine's memory no driver says how much it is
    places = rooms(nodes, resources.gpu, resources.gpu_memory)
    return load, fits(shape, load, places, limit)


def _only_tight(fit: Fit, nodes: Sequence[Node]) -> bool:
    """Is it the limit alone, and only for mapped weights, which the system can take back and read again?"""
    needed = fit.estimate
    roomy = any(node.memory >= needed.total for node in nodes)
    return roomy and fit.limit is not None and needed.total - needed.shared <= fit.limit


def _mend(problem: str) -> str:
    return f"{problem} Fetch or mount the file again; the service goes on by itself then."
