"""Models as stored."""

import re
from typing import Any

from sqlalchemy import BigInteger, Boolean, Connection, bindparam

from pierhead.core.registry import Model, ResourceType
from pierhead.store import bindings, centers, codec, sight
from pierhead.store.query import Noun, Relation, fields, no_value
from pierhead.store.registry_tables import bindings as binding_table
from pierhead.store.registry_tables import centers as center_table
from pierhead.store.registry_tables import models
from pierhead.store.shelf import Form, Shelf, names_of

_SEMVER = re.compile(r"\d+\.\d+\.\d+")


NOUN = Noun(
    models,
    {
        **fields(
            models,
            {
                "uuid": "uuid",
                "name": "name",
                "description": "description",
                "installPath": "install_path",
                "parameters": "parameters",
                "modelCenterUuid": "center",
                "logo": "logo",
                "vendor": "vendor",
                "modelId": "model_id",
                "introduction": "introduction",
                "size": "size",
                "version": "version",
                "versionSemver": "semver",
                "type": "kind",
                "minGpuMemory": "min_gpu_memory",
                "artifactChecksum": "checksum",
                "artifactSizeBytes": "measured_bytes",
                "architectureType": "architecture",
                "frameworkVersion": "framework_version",
                "requiredAccelerator": "accelerator",
                "recommendedGpuNum": "recommended_gpu_num",
                "gpuConstraintDescription": "gpu_constraint",
                "pipelineTag": "pipeline_tag",
                "shareMode": "share_mode",
                "createDate": "created",
                "lastOpDate": "updated",
            },
        ),
        "isLatestVersion": no_value(Boolean()),
        "recommendedGpuMemory": no_value(BigInteger()),
    },
    {
        "modelCenter": Relation(centers.FIELDS, center_table.c.uuid == models.c.center),
        "modelServiceRefs": Relation(
            bindings.FIELDS, binding_table.c.model == models.c.uuid, sight.of_bound_templates
        ),
    },
    seen_by=sight.of_models,
)


class _Models(Shelf[Model]):
    def row(self, thing: Model) -> dict[str, Any]:
        triple = thing.version if _SEMVER.fullmatch(thing.version or "") else None
        return super().row(thing) | {"semver": triple, "model_id": thing.model_id or thing.uuid}


_SHELF = _Models(
    ResourceType.MODEL,
    NOUN,
    Form(Model, names_of(Model), {"classifications": codec.words, "fine_tuning": codec.strings}),
)
_IN_CENTER = _SHELF.base.where(models.c.center == bindparam("center")).order_by(
    models.c.created, models.c.uuid
)

add, change, remove = _SHELF.add, _SHELF.change, _SHELF.remove
load, many, page = _SHELF.load, _SHELF.many, _SHELF.page


def in_center(tx: Connection, center: str) -> list[Model]:
    """The models of a center, oldest first."""
    return _SHELF.select(tx, _IN_CENTER, {"center": center})
