"""Wire parameters as core values. Pure: they were judged and spelled as usual when they were read.

Objects come out without uuid, owner and dates; the operations give them those.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pierhead.core.registry import (
    ArchitectureImage,
    Dataset,
    Model,
    ModelCenter,
    RegisteredTemplate,
    TagPattern,
)
from pierhead.operations.deployments import GroupChanges
from pierhead.operations.effective import DeployWish
from pierhead.operations.models import Ties
from pierhead.operations.spreading import Part, Spread

Params = Mapping[str, Any]

_FINE_TUNING = (
    "fineTuningGroupUuid",
    "fineTuningExportFingerprint",
    "fineTuningSourceModelUuid",
    "fineTuningSourceModelInstallPath",
    "fineTuningSourceFramework",
    "fineTuningSourceArchitecture",
)

#: How one wire parameter becomes one core field.
Rule = tuple[str, Callable[[Any], Any]]


def same(value: Any) -> Any:
    """As it came."""
    return value


def vendor_specs(given: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """GPU vendor -> spec uuids."""
    return {vendor: tuple(uuids) for vendor, uuids in given.items()}


def _texts(given: Iterable[str]) -> tuple[str, ...]:
    return tuple(given)


def _distinct(given: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(given))


def _numbers(given: Iterable[int]) -> tuple[int, ...]:
    return tuple(given)


_PROGRAM: Mapping[str, Rule] = {
    "name": ("name", same),
    "description": ("description", same),
    "yaml": ("yaml", same),
    "requestCpu": ("request_cpu", same),
    "requestMemory": ("request_memory", same),
    "gpuComputeCapability": ("gpu_capability", same),
    "startCommand": ("start_command", same),
    "pythonVersion": ("python_version", same),
    "type": ("type", same),
    "framework": ("framework", same),
    "source": ("source", same),
    "containerCommand": ("container_command", same),
    "containerArgs": ("container_args", same),
    "supportDistributed": ("support_distributed", same),
    "vendorToSpecUuidsMap": ("vendor_specs", vendor_specs),
}
_TEMPLATE: Mapping[str, Rule] = {
    **_PROGRAM,
    "modelCenterUuid": ("center", same),
    "installPath": ("install_path", same),
    "system": ("system", same),
    "condaVersion": ("conda_version", same),
    "zoneUuid": ("zone", same),
}
_TEMPLATE_UPDATE: Mapping[str, Rule] = {
    **_PROGRAM,
    "serviceInstallPath": ("install_path", same),
    "serviceStartCommand": ("start_command", same),
    "environmentParameters": ("environment", dict),
    "startupParameters": ("startup_parameters", dict),
    "inferenceParams": ("inference_params", dict),
    # These go into the first service of the YAML.
    "serviceName": ("service_name", same),
    "servicePorts": ("service_ports", _numbers),
    "serviceLivez": ("service_livez", same),
    "serviceReadyz": ("service_readyz", same),
    "serviceBootupTime": ("service_boot_time", same),
}
_TEMPLATE_CLONE: Mapping[str, Rule] = {
    **_PROGRAM,
    "installPath": ("install_path", same),
    "system": ("system", same),
    "condaVersion": ("conda_version", same),
    "readme": ("readme", same),
    "size": ("size", same),
    "cpuArchitectures": ("cpu_architectures", _distinct),
}
_MODEL: Mapping[str, Rule] = {
    "name": ("name", same),
    "installPath": ("install_path", same),
    "description": ("description", same),
    "parameters": ("parameters", same),
    "modelCenterUuid": ("center", same),
    "logo": ("logo", same),
    "vendor": ("vendor", same),
    "introduction": ("introduction", same),
    "size": ("size", same),
    "version": ("version", same),
    "recommendedGpuNum": ("recommended_gpu_num", same),
    "gpuConstraintDescription": ("gpu_constraint", same),
    "modelId": ("model_id", same),
    "shareMode": ("share_mode", same),
    "modelClassifications": ("classifications", _texts),
}
_CENTER: Mapping[str, Rule] = {
    "name": ("name", same),
    "url": ("url", same),
    "description": ("description", same),
    "managementIp": ("management_ip", same),
    "managementPort": ("management_port", same),
    "parameters": ("parameters", same),
    "storageNetworkUuid": ("storage_network", same),
    "serviceNetworkUuid": ("service_network", same),
    "containerRegistry": ("container_registry", same),
    "containerNetwork": ("container_network", same),
    "containerStorageNetwork": ("container_storage_network", same),
    "zoneUuid": ("zone", same),
}
_DATASET: Mapping[str, Rule] = {
    "name": ("name", same),
    "description": ("description", same),
    "url": ("url", same),
    "modelCenterUuid": ("center", same),
    "system": ("system", same),
    "usageScenarios": ("usage_scenarios", _texts),
    "dataType": ("data_type", same),
}


_PATTERN: Mapping[str, Rule] = {
    "name": ("name", same),
    "value": ("value", same),
    "description": ("description", same),
    "color": ("color", same),
    "type": ("type", same),
}
_WISH: Mapping[str, Rule] = {
    "name": ("name", same),
    "description": ("description", same),
    "type": ("kind", same),
    "zoneUuid": ("zone", same),
    "modelUuid": ("model", same),
    "cpuNum": ("cpu", same),
    "memorySize": ("memory", same),
    "requestCpuNum": ("cpu_request", same),
    "requestMemorySize": ("memory_request", same),
    "dockerImage": ("image", same),
    "environmentVariables": ("environment", dict),
    "startupParameters": ("startup_parameters", dict),
    "serviceLivez": ("livez", same),
    "serviceReadyz": ("readyz", same),
    "serviceBootUptime": ("boot_seconds", same),
    "projectUuid": ("workspace", same),
    "datasetUuids": ("datasets", _distinct),
    "modelServiceGroupUuids": ("needs", _distinct),
}
_GROUP: Mapping[str, Rule] = {
    "name": ("name", same),
    "description": ("description", same),
    "environmentVariables": ("environment", dict),
    "startupParameters": ("startup_parameters", dict),
    "serviceLivez": ("livez", same),
    "serviceReadyz": ("readyz", same),
    "serviceBootupTime": ("boot_seconds", same),
}


def template(params: Params, own_architecture: str) -> RegisteredTemplate:
    """What AddModelService registers.

    Args:
        params: the call's parameters.
        own_architecture: of the hub's machine; an image that names none is for this one.
    """
    return RegisteredTemplate(
        **_unborn(),
        **_fields(params, _TEMPLATE),
        images=given_images(params, own_architecture) or (),
    )


def template_changes(params: Params, own_architecture: str) -> dict[str, object]:
    """What UpdateModelService changes, by core field and by what patches the YAML."""
    return _with_images(_fields(params, _TEMPLATE_UPDATE), params, own_architecture)


def clone_changes(params: Params, own_architecture: str) -> dict[str, object]:
    """What CloneModelService makes different in the copy, by core field."""
    changes = _with_images(_fields(params, _TEMPLATE_CLONE), params, own_architecture)
    if "cpuArchitectures" in params:
        changes["cpu_architectures"] = _distinct(params["cpuArchitectures"])
    return changes


def model(params: Params) -> Model:
    """What AddModel registers."""
    fine_tuning = {name: params[name] for name in _FINE_TUNING if name in params}
    return Model(
        **_unborn(),
        **_fields(params, _MODEL),
        fine_tuning=fine_tuning,
    )


def ties(params: Params) -> Ties:
    """The templates that AddModel and UpdateModel bind the model to."""
    return Ties(
        templates=tuple(params.get("modelServiceUuids", ())),
        default=params.get("defaultModelServiceUuid", ""),
        clear_default=bool(params.get("clearDefaultModelService")),
    )


def model_changes(params: Params) -> dict[str, object]:
    """What UpdateModel changes, by core field; the default template is apart."""
    return _fields(params, _MODEL)


def center(params: Params) -> ModelCenter:
    """What AddModelCenter registers."""
    return ModelCenter(uuid="", created=0.0, updated=0.0, **_fields(params, _CENTER))


def center_changes(params: Params) -> dict[str, object]:
    """What UpdateModelCenter changes, by core field."""
    return _fields(params, _CENTER)


def dataset(params: Params) -> Dataset:
    """What CreateDataset registers."""
    return Dataset(**_unborn(), **_fields(params, _DATASET))


def dataset_changes(params: Params) -> dict[str, object]:
    """What UpdateDataset changes, by core field."""
    return _fields(params, _DATASET)


def pattern(params: Params) -> TagPattern:
    """What CreateTag makes."""
    return TagPattern(uuid="", created=0.0, updated=0.0, **_fields(params, _PATTERN))


def pattern_changes(params: Params) -> dict[str, object]:
    """What UpdateTag changes, by core field."""
    return _fields(params, _PATTERN)


def wish(params: Params, without_effect: Iterable[str] = ()) -> DeployWish:
    """What DeployModelService asks for."""
    return DeployWish(**_fields(params, _WISH), without_effect=tuple(without_effect))


#: What is said of a node alone; all else is the same for all nodes of a replica.
_OF_NODE = frozenset(
    {"uuid", "name", "description", "nodeRank", "tensorParallelSize", "isInitialNode"}
)


def spread(params: Params, without_effect: Iterable[str] = ()) -> Spread:
    """What DeployDistributedModelService asks for; each part names its template."""
    return Spread(
        parts=tuple(map(_part, params["modelServices"])),
        name=params["name"],
        description=params.get("description"),
        in_turn=params["serviceCreationStrategy"] == "sequential",
        without_effect=tuple(without_effect),
    )


def _part(fields: Params) -> Part:
    return Part(
        template=fields["uuid"],
        wish=wish(fields),
        rank=fields.get("nodeRank"),
        tensor=fields.get("tensorParallelSize"),
        initial=fields.get("isInitialNode"),
        said={name: value for name, value in fields.items() if name not in _OF_NODE},
        described="description" in fields,
    )


def group_changes(params: Params) -> GroupChanges:
    """What UpdateModelServiceInstanceGroup changes."""
    return GroupChanges(**_fields(params, _GROUP))


def given_images(params: Params, own_architecture: str) -> tuple[ArchitectureImage, ...] | None:
    """The images that a call names, also in the older form of one image; None = it names none."""
    if "architectureImages" in params:
        return tuple(_image(element) for element in params["architectureImages"])
    if "dockerImage" in params or "vmImageUuid" in params:
        older = {
            "cpuArchitecture": own_architecture or None,
            "dockerImage": params.get("dockerImage"),
            "vmImageUuid": params.get("vmImageUuid"),
        }
        return (_image(older),)
    return None


def _fields(params: Params, rules: Mapping[str, Rule]) -> dict[str, Any]:
    return {
        core: convert(params[wire]) for wire, (core, convert) in rules.items() if wire in params
    }


def _with_images(
    changes: dict[str, Any], params: Params, own_architecture: str
) -> dict[str, object]:
    images = given_images(params, own_architecture)
    if images is not None:
        # The architectures are those of the images again.
        changes |= {"images": images, "cpu_architectures": ()}
    return changes


def _unborn() -> dict[str, Any]:
    return {"uuid": "", "owner": "", "created": 0.0, "updated": 0.0}


def _image(fields: Params) -> ArchitectureImage:
    return ArchitectureImage(
        uuid="",
        architecture=fields.get("cpuArchitecture") or None,
        docker_image=fields.get("dockerImage") or None,
        vm_image=fields.get("vmImageUuid") or None,
    )
