"""Use case: read what the headers of models' files say into the models' rows."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sqlalchemy import Connection

from pierhead.core.errors import NotFound
from pierhead.core.principals import Principal
from pierhead.core.registry import Model, ResourceType
from pierhead.operations import paths, references, rights
from pierhead.operations.platform import Also, Platform, nothing
from pierhead.sources.headers import Described, describe
from pierhead.store import models as rows

Read = dict[str, Described | None]


async def generate(
    platform: Platform,
    actor: Principal,
    center: str,
    models: Sequence[str] | None = None,
    also: Also = nothing,
) -> list[Model]:
    """Describe the named models of a center, all that are the actor's when none is named.

    A model whose files are not there, or not on this machine, stays as it is.

    Raises:
        NotFound: the center, or a named model, is not there.
        Forbidden: a named model is not the actor's.
    """
    found = await platform.db.read(_wanted, actor, center, models or ())
    described: Read = {}
    for model, path in found:
        if path is not None:
            described[model.uuid] = await asyncio.to_thread(describe, Path(path))

    def write(tx: Connection) -> list[Model]:
        changed = [_store(tx, platform, model, described.get(model.uuid)) for model, _ in found]
        also(tx, center)
        return [model for model in changed if model is not None]

    return await platform.db.write(write)


def _wanted(
    tx: Connection, actor: Principal, center: str, models: Sequence[str]
) -> list[tuple[Model, str | None]]:
    root = references.center(tx, center)
    if not models:
        chosen = [model for model in rows.in_center(tx, center) if rights.owns(actor, model)]
    else:
        chosen = [references.model(tx, actor, uuid) for uuid in dict.fromkeys(models)]
    for model in chosen:
        if model.center != center:
            raise NotFound(ResourceType.MODEL, model.uuid, f"It is not in center [{center}].")
        rights.demand_change(actor, model)
    return [(model, paths.resolve(root, model.install_path)) for model in chosen]


def _store(
    tx: Connection, platform: Platform, seen: Model, described: Described | None
) -> Model | None:
    """The model as it is now, with what was read; None when it is gone."""
    model = rows.load(tx, seen.uuid)
    if model is None or described is None or model.install_path != seen.install_path:
        return model
    new = replace(
        model,
        size=model.size if model.size_given else described.size,
        measured_bytes=described.size,
        architecture=described.architecture,
        pipeline_tag=described.pipeline_tag,
        framework_version=described.framework_version,
        accelerator=described.accelerator,
        min_gpu_memory=described.min_gpu_memory,
        checksum=described.checksum,
    )
    if new != model:
        new = replace(new, updated=platform.clock())
        rows.change(tx, new)
    return new
