"""Templates, models, centers and datasets as inventories; every field is there, unset ones are null.

Fields that Java has as primitives are never null, lists and maps are empty instead.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pierhead.core.registry import (
    ArchitectureImage,
    Binding,
    Capacity,
    Dataset,
    Model,
    ModelCenter,
    RegisteredTemplate,
)
from pierhead.core.versions import newer
from pierhead.dialects.zstack.times import time_text

_SEMVER = re.compile(r"\d+\.\d+\.\d+")
_NONE_NEWER: Mapping[str, str] = {}


def template(
    item: RegisteredTemplate,
    bindings: Sequence[Binding] = (),
    shipped: Mapping[str, str] = _NONE_NEWER,
) -> dict[str, Any]:
    """A ModelServiceInventory.

    `shipped` tells the versions of the shipped templates by name: a system template that is
    behind the shipped one of its name has a new version.
    """
    # One literal: a page has fifty of these, and merging dicts costs as much as making them.
    return {
        "uuid": item.uuid,
        "name": item.name,
        "description": item.description,
        "readme": item.readme,
        "yaml": item.yaml,
        "requestCpu": item.request_cpu,
        "requestMemory": item.request_memory,
        "modelCenterUuid": item.center,
        "type": item.type,
        "framework": item.framework,
        "source": item.source,
        "size": item.size,
        "system": item.system,
        "hasNewVersion": item.system and newer(shipped.get(item.name), item.version),
        "gpuComputeCapability": item.gpu_capability,
        "installPath": item.install_path,
        "pythonVersion": item.python_version,
        "condaVersion": item.conda_version,
        "version": item.version,
        "startCommand": item.start_command,
        "containerCommand": item.container_command,
        "containerArgs": item.container_args,
        "supportDistributed": item.support_distributed,
        "cpuArchitectures": list(item.architectures),
        "vendorToSpecUuidsMap": {
            vendor: list(specs) for vendor, specs in item.vendor_specs.items()
        },
        "modelServiceRefs": [binding(each) for each in bindings],
        "modelServiceImages": [image(each, item.uuid) for each in item.images],
        "createDate": time_text(item.created),
        "lastOpDate": time_text(item.updated),
        "zoneUuid": item.zone,
    }


def binding(item: Binding) -> dict[str, Any]:
    """A ModelServiceRefInventory."""
    return {
        "uuid": item.uuid,
        "modelUuid": item.model,
        "modelServiceUuid": item.template,
        "isDefault": item.default,
    }


def image(item: ArchitectureImage, template_uuid: str) -> dict[str, Any]:
    """A ModelServiceTemplateInventory; an image is for a CPU architecture, so it has no GPU vendor."""
    return {
        "uuid": item.uuid,
        "modelServiceUuid": template_uuid,
        "cpuArchitecture": item.architecture,
        "vmImageUuid": item.vm_image,
        "dockerImage": item.docker_image,
        "gpuVendor": None,
        "createDate": time_text(item.created),
        "lastOpDate": time_text(item.updated),
    }


def model(item: Model, bindings: Sequence[Binding] = ()) -> dict[str, Any]:
    """A ModelInventory."""
    return {
        "uuid": item.uuid,
        "name": item.name,
        "description": item.description,
        "installPath": item.install_path,
        "parameters": item.parameters,
        "modelCenterUuid": item.center,
        "logo": item.logo,
        "vendor": item.vendor,
        "modelId": item.model_id or item.uuid,
        "introduction": item.introduction,
        "size": item.size,
        "version": item.version,
        "type": item.kind,
        "minGpuMemory": item.min_gpu_memory,
        "modelServiceRefs": [binding(each) for each in bindings],
        "createDate": time_text(item.created),
        "lastOpDate": time_text(item.updated),
        "versionSemver": item.version if _SEMVER.fullmatch(item.version or "") else None,
        "isLatestVersion": None,  # versions of one model are rows of their own here
        "artifactChecksum": item.checksum,
        "artifactSizeBytes": item.measured_bytes,
        "architectureType": item.architecture,
        "frameworkVersion": item.framework_version,
        "requiredAccelerator": item.accelerator,
        "recommendedGpuMemory": None,  # nobody measured one
        "recommendedGpuNum": item.recommended_gpu_num,
        "gpuConstraintDescription": item.gpu_constraint,
        "pipelineTag": item.pipeline_tag,
        "shareMode": item.share_mode,
        "modelClassifications": list(item.classifications),
        **item.fine_tuning,
    }


def center(item: ModelCenter) -> dict[str, Any]:
    """A ModelCenterInventory with its capacity."""
    return {
        "uuid": item.uuid,
        "name": item.name,
        "description": item.description,
        "url": item.url,
        "status": "Connected" if item.connected else "Disconnected",
        "parameters": item.parameters,
        "managementIp": item.management_ip,
        "managementPort": item.management_port,
        "storageNetworkUuid": item.storage_network,
        "serviceNetworkUuid": item.service_network,
        "containerRegistry": item.container_registry,
        "containerStorageNetwork": item.container_storage_network,
        "containerNetwork": item.container_network,
        "capacity": _capacity(item.capacity, item.uuid),
        "createDate": time_text(item.created),
        "lastOpDate": time_text(item.updated),
        "zoneUuid": item.zone,
    }


def dataset(item: Dataset) -> dict[str, Any]:
    """A DatasetInventory."""
    return {
        "uuid": item.uuid,
        "name": item.name,
        "description": item.description,
        "url": item.url,
        "installPath": item.install_path,
        "modelCenterUuid": item.center,
        "size": item.size,
        "system": item.system,
        "createDate": time_text(item.created),
        "lastOpDate": time_text(item.updated),
        "usageScenarios": list(item.usage_scenarios),
        "dataType": item.data_type,
    }


def _capacity(item: Capacity, center_uuid: str) -> dict[str, Any]:
    """Bytes by kind; of the kinds with 0 Pierhead keeps no files at all."""
    return {
        "uuid": center_uuid,
        "modelUsedCapacity": item.models,
        "modelServiceUsedCapacity": item.templates,
        "datasetUsedCapacity": item.datasets,
        "fineTuneUsedCapacity": 0,
        "modelEvaluationUsedCapacity": 0,
        "installationUsedCapacity": 0,
        "temporaryUsedCapacity": 0,
        "cacheUsedCapacity": item.cache,
        "availableCapacity": item.available,
        "totalCapacity": item.total,
    }
