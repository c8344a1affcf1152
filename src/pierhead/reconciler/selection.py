"""Which engine serves a version, and what has to be done to its files: asked before they are fetched, and after.

Before, headers alone tell the model, and what can never run is held without a byte fetched; after,
all of the header can be seen, and what the engine does not read as it lies is converted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from pierhead.core.choice import UNSERVED, Choice, Offer, choose, differs, precision_of
from pierhead.core.events import Notice
from pierhead.core.families import FAMILIES, served
from pierhead.core.launch import Files
from pierhead.core.replicas import Node
from pierhead.core.resources import human_bytes
from pierhead.core.services import Hold, Version
from pierhead.core.sizing import Shape
from pierhead.core.templates import AUTO, Template
from pierhead.reconciler.preflight import as_served, judge, mistaken

#: Notices of what was decided; they warn of nothing.
CHOSEN, CONVERTED = "EngineChosen", "WeightsConverted"


class Preflight(Protocol):
    """What is known of a model."""

    async def look(self, version: Version, *, fresh: bool, model: str = "") -> Shape | Hold:
        """Its shape, or why it cannot be started; `model`: what will be loaded, once it is there."""
        ...


class Conversions(Protocol):
    """Where converted weights are."""

    def ensure(self, files: Files, convert: Literal["f16", "q8_0"]) -> Files | Hold:
        """The files in the form asked for, or what they are waiting for."""
        ...


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be served, and by what it may be."""

    version: Version
    nodes: Sequence[Node]
    fresh: bool = False  #: somebody just asked for it: what was read before does not count
    running: str = ""  #: engine of the replicas that serve the same rollout already


@dataclass(frozen=True, slots=True)
class Selected:
    """An engine, the model as far as it was seen, and what the owner should know."""

    choice: Choice
    shape: Shape
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True, slots=True)
class Selection:
    """Chooses engines for models. Custom commands are none of its concern."""

    offers: Mapping[str, Offer]
    wishes: Mapping[str, str]  #: name of a spec or template -> engine that its operator wants
    preflight: Preflight | None  #: None = whatever is asked for is tried
    conversions: Conversions | None  #: None = weights are served as they lie

    async def before(self, asked: Asked) -> Selected | Hold:
        """The choice by what can be seen from here."""
        shape = await self._look(asked, "")
        if isinstance(shape, Hold):
            return shape
        return self._hopeless(asked, shape) or self._select(asked, shape)

    def _hopeless(self, asked: Asked, shape: Shape) -> Hold | None:
        """What is said of a family that no engine serves, before somebody goes and gets its weights."""
        template = asked.version.template
        family = FAMILIES.get(template.family)
        if shape.architecture or family is None:
            return None
        unseen = Shape(architecture=family.shape.architecture)
        wish = self.wishes.get(template.name, "")
        choice = choose(template, unseen, self.offers, wish=wish, running=asked.running)
        return choice if isinstance(choice, Hold) and choice.reason == UNSERVED else None

    async def after(
        self, asked: Asked, first: Selected, files: Files
    ) -> tuple[Selected, Files] | Hold:
        """The choice once the files are there, and the files that the engine is given."""
        shape = await self._look(asked, files.model)
        if isinstance(shape, Hold):
            return shape
        if shape == Shape():
            shape = first.shape  # they can be read no better than before
        shape = replace(shape, format=shape.format or files.format)
        selected = self._select(asked, shape)
        if isinstance(selected, Hold):
            return selected
        convert = selected.choice.convert
        if convert and self.conversions is not None:
            made = self.conversions.ensure(files, convert)
            return made if isinstance(made, Hold) else await self._made(asked, selected, made)
        template = asked.version.template
        if convert or (template.engine != AUTO and differs(template, shape)):
            selected = _telling(selected, _as_they_are(template, shape))
        return selected, replace(files, precision=precision_of(shape))

    async def _made(
        self, asked: Asked, selected: Selected, files: Files
    ) -> tuple[Selected, Files] | Hold:
        """The choice for converted files: what they need can be read now."""
        shape = await self._look(asked, files.model)
        if isinstance(shape, Hold):
            return shape
        told = self._judged(asked, selected.choice, shape)
        if isinstance(told, Hold):
            return told
        note = _converted(asked.version.template, selected, files)
        files = replace(files, precision=precision_of(shape))
        return _telling(Selected(selected.choice, shape, told), note), files

    async def _look(self, asked: Asked, model: str) -> Shape | Hold:
        if self.preflight is None:
            return Shape()
        return await self.preflight.look(asked.version, fresh=asked.fresh, model=model)

    def _select(self, asked: Asked, shape: Shape) -> Selected | Hold:
        template = asked.version.template
        wish = self.wishes.get(template.name, "")
        choice = mistaken(shape, template) or choose(
            template, shape, self.offers, wish=wish, running=asked.running
        )
        if isinstance(choice, Hold):
            return choice
        told = self._judged(asked, choice, shape)
        return told if isinstance(told, Hold) else Selected(choice, shape, told)

    def _judged(self, asked: Asked, choice: Choice, shape: Shape) -> tuple[Notice, ...] | Hold:
        template = asked.version.template
        able = self.offers[choice.engine].capabilities
        as_it_lies = choice.convert and self.conversions is None
        loaded = shape if as_it_lies else loaded_shape(shape, template)
        return judge(loaded, as_served(template, choice.engine, able), asked.nodes)


def loaded_shape(shape: Shape, template: Template) -> Shape:
    """What an engine that was chosen holds in memory: the precision of the spec, which is made first."""
    return served(shape, template.precision) if template.engine == AUTO else shape


def engine_chosen(selected: Selected) -> Notice:
    """What is told of the choice."""
    return Notice(CHOSEN, selected.choice.why, warning=False)


def _converted(template: Template, selected: Selected, files: Files) -> Notice:
    text = (
        f"The weights were converted from {precision_of(selected.shape)} to {template.precision} "
        f"({selected.choice.convert}): {files.model}, {human_bytes(files.bytes)}."
    )
    return Notice(CONVERTED, text, warning=False)


def _as_they_are(template: Template, shape: Shape) -> Notice:
    text = (
        f"The weights are {precision_of(shape)}, the template [{template.name}] says "
        f"{template.precision}: they are served as they are."
    )
    return Notice("PrecisionDiffers", text)


def _telling(selected: Selected, note: Notice) -> Selected:
    return replace(selected, notices=(*selected.notices, note))
