"""Registered templates as stored, each with its images."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    Connection,
    and_,
    bindparam,
    delete,
    exists,
    insert,
    select,
)

from pierhead.core.registry import ArchitectureImage, RegisteredTemplate, ResourceType
from pierhead.store import bindings, centers, codec, sight
from pierhead.store.query import Field, Listed, Noun, Relation, fields, no_value
from pierhead.store.registry_tables import bindings as binding_table
from pierhead.store.registry_tables import centers as center_table
from pierhead.store.registry_tables import template_architectures, template_images, templates
from pierhead.store.shelf import Form, Shelf, batches, names_of

_A, _I, _T = template_architectures, template_images, templates
_NAMES = names_of(RegisteredTemplate)
_IMAGES_AT = _NAMES.index("images")
_TRIPLE = re.compile(r"(\d{1,9})\.(\d{1,9})\.(\d{1,9})")
_shipped = templates.alias("shipped")


_IMAGE_FIELDS: Mapping[str, Field] = {
    **fields(
        _I,
        {
            "uuid": "uuid",
            "modelServiceUuid": "template",
            "cpuArchitecture": "architecture",
            "vmImageUuid": "vm_image",
            "dockerImage": "docker_image",
            "createDate": "created",
            "lastOpDate": "updated",
        },
    ),
    "gpuVendor": no_value(),
}
NOUN = Noun(
    _T,
    {
        **fields(
            _T,
            {
                "uuid": "uuid",
                "name": "name",
                "description": "description",
                "readme": "readme",
                "yaml": "yaml",
                "requestCpu": "request_cpu",
                "requestMemory": "request_memory",
                "modelCenterUuid": "center",
                "type": "type",
                "framework": "framework",
                "source": "source",
                "size": "size",
                "system": "system",
                "gpuComputeCapability": "gpu_capability",
                "installPath": "install_path",
                "pythonVersion": "python_version",
                "condaVersion": "conda_version",
                "version": "version",
                "startCommand": "start_command",
                "containerCommand": "container_command",
                "containerArgs": "container_args",
                "supportDistributed": "support_distributed",
                "zoneUuid": "zone",
                "createDate": "created",
                "lastOpDate": "updated",
            },
        ),
        # A shipped template of its name is newer; without a version there is no telling.
        "hasNewVersion": Field.of(
            and_(
                _T.c.system,
                exists().where(
                    _shipped.c.shipped, _shipped.c.name == _T.c.name, _shipped.c.rank > _T.c.rank
                ),
            )
        ),
        # Of older clients; the images say it here.
        "dockerImage": no_value(),
        "vmImageUuid": no_value(),
    },
    {
        "modelCenter": Relation(centers.FIELDS, center_table.c.uuid == _T.c.center),
        "modelServiceRefs": Relation(
            bindings.FIELDS, binding_table.c.template == _T.c.uuid, sight.of_bound_models
        ),
        "modelServiceImages": Relation(_IMAGE_FIELDS, _I.c.template == _T.c.uuid),
    },
    {
        "cpuArchitectures": Listed(Field.of(_A.c.architecture), _A.c.template == _T.c.uuid),
    },
    sight.of_templates,
)
_IMAGES = (
    select(
        _I.c.template,
        _I.c.uuid,
        _I.c.architecture,
        _I.c.docker_image,
        _I.c.vm_image,
        _I.c.created,
        _I.c.updated,
    )
    .where(_I.c.template.in_(bindparam("uuids", expanding=True)))
    .order_by(_I.c.template, _I.c.position)
)
_NEW_IMAGES, _NEW_ARCHITECTURES = insert(_I), insert(_A)
_NO_IMAGES = delete(_I).where(_I.c.template == bindparam("wanted"))
_NO_ARCHITECTURES = delete(_A).where(_A.c.template == bindparam("wanted"))


class _Templates(Shelf[RegisteredTemplate]):
    def add(self, tx: Connection, thing: RegisteredTemplate) -> None:
        super().add(tx, thing)
        _add_parts(tx, thing)

    def change(self, tx: Connection, thing: RegisteredTemplate) -> None:
        super().change(tx, thing)
        for statement in (_NO_IMAGES, _NO_ARCHITECTURES):
            tx.execute(statement, {"wanted": thing.uuid})
        _add_parts(tx, thing)

    def row(self, thing: RegisteredTemplate) -> dict[str, Any]:
        return super().row(thing) | {"rank": _rank(thing.version)}

    def read(self, tx: Connection, rows: Sequence[tuple[Any, ...]]) -> list[RegisteredTemplate]:
        images = _images(tx, [row[0] for row in rows])
        found: list[RegisteredTemplate] = []
        for row in rows:
            values = self.form.values(row)
            values.insert(_IMAGES_AT, tuple(images.get(row[0], ())))
            found.append(RegisteredTemplate(*values))
        return found


_SHELF = _Templates(
    ResourceType.TEMPLATE,
    NOUN,
    Form(
        RegisteredTemplate,
        [name for name in _NAMES if name != "images"],
        {
            "vendor_specs": codec.word_lists,
            "environment": codec.strings,
            "startup_parameters": codec.strings,
            "inference_params": codec.strings,
            "cpu_architectures": codec.words,
        },
    ),
)
_BY_NAME = _SHELF.base.where(_T.c.name == bindparam("name")).order_by(
    _T.c.created.desc(), _T.c.uuid
)
_IN_CENTER = _SHELF.base.where(_T.c.center == bindparam("center")).order_by(_T.c.created, _T.c.uuid)

add, change, remove = _SHELF.add, _SHELF.change, _SHELF.remove
load, many, page = _SHELF.load, _SHELF.many, _SHELF.page


def by_name(tx: Connection, name: str) -> list[RegisteredTemplate]:
    """The templates of a name, newest first."""
    return _SHELF.select(tx, _BY_NAME, {"name": name})


def in_center(tx: Connection, center: str) -> list[RegisteredTemplate]:
    """The templates of a center, oldest first."""
    return _SHELF.select(tx, _IN_CENTER, {"center": center})


def _images(tx: Connection, uuids: Sequence[str]) -> dict[str, list[ArchitectureImage]]:
    found: dict[str, list[ArchitectureImage]] = {}
    for batch in batches(uuids):
        for template, *values in tx.execute(_IMAGES, {"uuids": batch}):
            found.setdefault(template, []).append(ArchitectureImage(*values))
    return found


def _add_parts(tx: Connection, template: RegisteredTemplate) -> None:
    images = [
        {
            "uuid": image.uuid,
            "template": template.uuid,
            "position": position,
            "architecture": image.architecture,
            "docker_image": image.docker_image,
            "vm_image": image.vm_image,
            "created": image.created,
            "updated": image.updated,
        }
        for position, image in enumerate(template.images)
    ]
    if images:
        tx.execute(_NEW_IMAGES, images)
    named = [
        {"template": template.uuid, "position": position, "architecture": architecture}
        for position, architecture in enumerate(template.architectures)
    ]
    if named:
        tx.execute(_NEW_ARCHITECTURES, named)


def _rank(version: str | None) -> str | None:
    """`1.11.1` so that texts sort as versions do."""
    triple = _TRIPLE.fullmatch(version or "")
    return ".".join(f"{int(part):09}" for part in triple.groups()) if triple else None
