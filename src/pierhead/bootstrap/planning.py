"""What a service would need, and whether it fits: asked before anything is created or fetched."""

import asyncio
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from pierhead.bootstrap.storage import accounts
from pierhead.core.connections import Account
from pierhead.core.errors import NotFound
from pierhead.core.families import described
from pierhead.core.mounts import Source
from pierhead.core.replicas import Node
from pierhead.core.services import Hold
from pierhead.core.sizing import Fit, Load, Shape
from pierhead.core.specs import BUILT_IN
from pierhead.core.templates import Template
from pierhead.dialects.eas import catalog, reading
from pierhead.dialects.eas.messages import app_request
from pierhead.dialects.eas.service_document import translate
from pierhead.reconciler.preflight import fit_of, judge
from pierhead.runtimes.process import hardware
from pierhead.settings import Settings
from pierhead.sources.header_window import BadHeader
from pierhead.sources.model_shapes import ModelShapes, Where, connected_place, local_place
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

    @property
    def ok(self) -> bool:
        """Will it be started?"""
        return not self.reason


#: What a plan can do without, and CreateAppService cannot.
_USUAL = {"ServiceName": "planned", "AppType": "LLM", "Replicas": 1}
_JSON = "application/json"


def asked(text: str) -> Asked:
    """A service JSON, or the body of CreateAppService, in the domain's words.

    Raises:
        Missing, Invalid, Unsupported: it is neither, or not legal.
        NotFound: its spec is not built in.
    """
    document = reading.parse_body(_JSON, text.encode("utf-8", "surrogateescape"))
    if "ServiceSpec" not in document:
        spec = translate(document, BUILT_IN.get)
        return Asked(spec.name, spec.instance or 1, spec.template, spec.source)
    body = json.dumps(_USUAL | document).encode()
    operation = replace(catalog.load().by_id["CreateAppService"], query=())
    wish = app_request(reading.read(operation, b"", _JSON, body).body)
    template = BUILT_IN.get(wish.spec or "")
    if template is None:
        raise NotFound("The service spec", str(wish.spec)[:80], f"Built in: {', '.join(BUILT_IN)}.")
    return Asked(wish.name or "", wish.replicas or 1, template, wish.source)


def answer(wanted: Asked, settings: Settings) -> Answer:
    """Read headers, ask this machine, do the maths.

    Raises:
        Unavailable: the weights' storage does not answer.
    """
    nodes = [this_machine()]
    try:
        shape = asyncio.run(_shape(wanted, settings, known=_was_started(settings)))
    except BadHeader as problem:
        load, _ = fit_of(Shape(), wanted.template, nodes)
        return Answer(wanted, None, load, None, "ModelFileBroken", str(problem))
    load, fit = fit_of(shape or Shape(), wanted.template, nodes)
    found = judge(shape, wanted.template, nodes) if shape is not None else ()
    if isinstance(found, Hold):
        return Answer(wanted, shape, load, fit, found.reason, found.message)
    return Answer(wanted, shape, load, fit, "", _said(wanted, shape, fit, found))


def this_machine() -> Node:
    """The node that replicas would run on."""
    memory = psutil.virtual_memory()
    gpus = hardware.accelerators()
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
    here = local_place(Places(settings.cache_dir, settings.models_dir, dict(settings.weights), ""))
    if not known:
        return await _read(wanted, here)
    db = Database(settings.database)
    try:
        find: Callable[[Source], Account | None] = accounts(db, settings)
        return await _read(wanted, connected_place(here, find, time.time))
    finally:
        db.close()


async def _read(wanted: Asked, where: Where) -> Shape | None:
    return await asyncio.to_thread(
        ModelShapes(where, guess=True).shape, wanted.template, wanted.source
    )


def _said(wanted: Asked, shape: Shape | None, fit: Fit | None, notices: tuple[Any, ...]) -> str:
    if shape is None or fit is None:
        return (
            "Nothing is known of this model's memory: its weights cannot be seen yet, or a command of "
            "your own serves it. It is started as it is."
        )
    tail = " ".join(notice.message for notice in notices)
    now = (
        f"free memory is enough for {fit.replicas} of {wanted.replicas} replicas now"
        if fit.replicas < wanted.replicas
        else f"free memory is enough for all {wanted.replicas} replicas now"
    )
    return f"It fits on [{fit.node or '-'}]: {described(shape)}; {now}. {tail}".strip()
