"""What a service would need, which engine serves it, whether it fits: asked before anything is there.

The names of registered templates are looked up in the platform's database, when there is one; nothing
is written.
"""

import asyncio
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from pierhead.bootstrap.engines import Engines, engines
from pierhead.bootstrap.storage import accounts, unconnected
from pierhead.core.choice import Choice, choose, precision_of
from pierhead.core.connections import Account
from pierhead.core.errors import NotFound
from pierhead.core.families import FAMILIES, described
from pierhead.core.mounts import Source
from pierhead.core.placement import unplaceable
from pierhead.core.principals import Principal
from pierhead.core.replicas import Node
from pierhead.core.services import Hold
from pierhead.core.sizing import Fit, Load, Shape
from pierhead.core.specs import BUILT_IN
from pierhead.core.templates import Template
from pierhead.dialects.eas import catalog, reading
from pierhead.dialects.eas.containers import named
from pierhead.dialects.eas.messages import app_request
from pierhead.dialects.eas.service_document import translate
from pierhead.operations import resolving
from pierhead.reconciler.preflight import as_served, fit_of, judge, mistaken
from pierhead.reconciler.selection import loaded_shape
from pierhead.runtimes.process import hardware
from pierhead.settings import Settings
from pierhead.sources.header_window import BadHeader
from pierhead.sources.listings import NoModel
from pierhead.sources.model_shapes import ModelShapes, Where, connected_place
from pierhead.sources.weights import Places
from pierhead.store.db import Database


@dataclass(frozen=True, slots=True)
class Asked:
    """What a document asks for."""

    name: str
    replicas: int
    template: Template
    source: Source | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What was found out."""

    asked: Asked
    shape: Shape | None  #: None: nothing is known of the model
    load: Load
    fit: Fit | None  #: None: its memory cannot be told
    reason: str  #: "" = it can be served; else one word
    message: str
    choice: Choice | None = None  #: None: a command of one's own, or no engine serves it
    guessed: bool = False  #: is the shape the family's, since the weights cannot be seen yet?

    @property
    def precision(self) -> str:
        """Of the weights as they lie; "" = not known."""
        return "" if self.shape is None else precision_of(self.shape)

    @property
    def ok(self) -> bool:
        """Will it be started?"""
        return not self.reason


#: What a plan can do without, and CreateAppService cannot.
_USUAL = {"ServiceName": "planned", "AppType": "LLM", "Replicas": 1}
_JSON = "application/json"


@dataclass(frozen=True, slots=True)
class _Shelf:
    """The built-in templates, and those in a database."""

    db: Database
    account: str = "operator"
    images: bool = False

    def template(self, name: str) -> Template | None:
        """A built-in one."""
        return BUILT_IN.get(name)


#: The first of these names that a template has, with the template; none, if none has.
Templates = Callable[[tuple[str, ...]], Mapping[str, Template]]


def asked(text: str, settings: Settings) -> Asked:
    """As `understood`, of whoever can read the data folder."""
    return understood(text, lambda names: _templates(names, settings))


def understood(text: str, templates: Templates) -> Asked:
    """A service JSON, or the body of CreateAppService, in the domain's words.

    Raises:
        Missing, Invalid, Unsupported: it is neither, or not legal.
        NotFound: its spec is neither built in nor registered.
        Unavailable: the database does not answer.
    """
    document = reading.parse_body(_JSON, text.encode("utf-8", "surrogateescape"))
    if "ServiceSpec" not in document:
        found = templates(named(document))
        spec = translate(document, found.get)
        return Asked(spec.name, spec.instance or 1, spec.template, spec.source)
    body = json.dumps(_USUAL | document).encode()
    operation = replace(catalog.load().by_id["CreateAppService"], query=())
    wish = app_request(reading.read(operation, b"", _JSON, body).body)
    name = wish.spec or ""
    template = templates((name,)).get(name)
    if template is None:
        raise NotFound("The service spec", name[:80], f"Built in: {', '.join(BUILT_IN)}.")
    return Asked(wish.name or "", wish.replicas or 1, template, wish.source)


def _templates(names: tuple[str, ...], settings: Settings) -> Mapping[str, Template]:
    """The first of these names that a template has, with the template, as a deployment makes it."""
    for name in names:
        if name in BUILT_IN:
            return {name: BUILT_IN[name]}
        found = asyncio.run(_registered(name, settings)) if _was_started(settings) else None
        if found is not None:
            return {name: found}
    return {}


async def _registered(name: str, settings: Settings) -> Template | None:
    db = Database(settings.database)
    try:
        # Whoever can read the data folder sees all that is registered, as the account does.
        operator = Principal(account="operator", id="operator")
        found = await resolving.resolve(_Shelf(db), operator, name, "planned")
        return None if found is None else found.template
    finally:
        db.close()


def answer(wanted: Asked, settings: Settings) -> Answer:
    """Read headers, choose an engine, ask this machine, do the maths.

    Raises:
        Unavailable: the weights' storage does not answer.
    """
    nodes, template = [this_machine()], wanted.template
    load, _ = fit_of(Shape(), template, nodes)
    nowhere = unplaceable(template.resources, nodes, template.constraints, template.nodes)
    if nowhere is not None:
        return Answer(wanted, None, load, None, nowhere.reason, nowhere.message)
    here = engines(settings)
    own = here.offers.get(template.engine)
    if own is not None and own.capabilities.needs_command:
        return Answer(wanted, None, load, None, "", _UNKNOWN)
    try:
        seen = asyncio.run(_shape(wanted, settings, known=_was_started(settings)))
    except BadHeader as problem:
        return Answer(wanted, None, load, None, "ModelFileBroken", str(problem))
    except NoModel as problem:
        return Answer(wanted, None, load, None, problem.hold.reason, problem.message)
    family = FAMILIES.get(template.family)
    if seen is not None or family is None:
        return _chosen(wanted, seen, nodes, here)
    found = _chosen(wanted, family.shape, nodes, here)
    told = (
        f"{found.message} The weights cannot be seen from here yet, so these are the figures of the "
        f"family [{family.name}]; a service waits for weights, and is judged by them."
    )
    return replace(found, message=told, guessed=True)


def _chosen(wanted: Asked, shape: Shape | None, nodes: list[Node], here: Engines) -> Answer:
    template, seen, offers = wanted.template, shape or Shape(), here.offers
    wish = here.wishes.get(template.name, "")
    choice = mistaken(seen, template) or choose(template, seen, offers, wish=wish)
    if isinstance(choice, Hold):
        load, fit = fit_of(seen, template, nodes)
        return Answer(wanted, shape, load, fit, choice.reason, choice.message)
    served = as_served(template, choice.engine, offers[choice.engine].capabilities)
    loaded = loaded_shape(seen, template)
    load, fit = fit_of(loaded, served, nodes)
    found = judge(loaded, served, nodes) if shape is not None else ()
    if isinstance(found, Hold):
        return Answer(wanted, shape, load, fit, found.reason, found.message, choice)
    return Answer(wanted, shape, load, fit, "", _said(wanted, shape, fit, found), choice)


def this_machine() -> Node:
    """The node that replicas would run on."""
    memory = psutil.virtual_memory()
    gpus = hardware.look().accelerators
    return Node(
        name=os.uname().nodename,
        cpu=os.cpu_count() or 1,
        memory=memory.total,
        memory_free=memory.available,
        gpus=len(gpus),
        architecture=hardware.architecture(),
        accelerators=gpus,
    )


def _was_started(settings: Settings) -> bool:
    """Is there a database? Where there is none there are no connections, and asking makes none."""
    path = settings.database.removeprefix("sqlite:///")
    return path == settings.database or Path(path).exists()


async def _shape(wanted: Asked, settings: Settings, *, known: bool) -> Shape | None:
    """Headers are read in a thread, while the loop serves the database's answers to it."""
    places = Places(settings.cache_dir, settings.models_dir, dict(settings.weights), "")
    if not known:
        return await _read(wanted, connected_place(places, unconnected(settings), time.time))
    db = Database(settings.database)
    try:
        find: Callable[[Source], Account | None] = accounts(db, settings)
        return await _read(wanted, connected_place(places, find, time.time))
    finally:
        db.close()


async def _read(wanted: Asked, where: Where) -> Shape | None:
    return await asyncio.to_thread(ModelShapes(where).shape, wanted.template, wanted.source)


#: What is said where there is nothing to reckon with.
_UNKNOWN = (
    "Nothing is known of this model's memory: its weights cannot be seen yet, or a command of "
    "your own serves it. It is started as it is."
)


def _said(wanted: Asked, shape: Shape | None, fit: Fit | None, notices: tuple[Any, ...]) -> str:
    if shape is None or fit is None:
        return _UNKNOWN
    tail = " ".join(notice.message for notice in notices)
    some = f"{fit.replicas} of {wanted.replicas} replicas"
    every = f"all {wanted.replicas} replicas" if wanted.replicas > 1 else "it"
    now = f"free memory is enough for {some if fit.replicas < wanted.replicas else every} now"
    return f"It fits on [{fit.node or '-'}]: {described(shape)}; {now}. {tail}".strip()
