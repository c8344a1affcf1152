"""Examples that the vendor's page shows, and those where types and names alone would mislead."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from pierhead.core.example_values import UUID
from pierhead.core.reference import Operation

#: API -> the first client release that its page names.
SINCE: Mapping[str, str] = {"AddModelService": "5.1.8"}
_SHOWN = {
    "name": "text to text model service",
    "description": "This is text to text model service you can chose model",
    "yaml": "model service parameters",
    "requestCpu": 4,
    "requestMemory": 1024,
}
#: SHA-512 of a password, in the length that the wire has, and of no password.
_PASSWORD = "0" * 128
_LOGIN = {"accountName": "admin", "password": _PASSWORD}
_DEPLOY = {
    "uuid": UUID,
    "name": "chat",
    "zoneUuid": UUID,
    "modelUuid": UUID,
    "type": "Container",
    "cpuNum": 4,
    "memorySize": 8_589_934_592,
}
#: API -> its example, where it is not made from types.
_REQUESTS: Mapping[str, Mapping[str, Any]] = {
    "AddModelService": {
        **_SHOWN,
        "modelCenterUuid": UUID,
        "installPath": "models/chat",
        "startCommand": "python3 -m server --port 8080",
        "pythonVersion": "3.11",
        "type": "Endpoint",
        "framework": "Transformers",
        "source": "HuggingFace",
        "supportDistributed": False,
    },
    "DeployModelService": _DEPLOY,
    "DeployDistributedModelService": {
        "name": "chat",
        "serviceCreationStrategy": "parallel",
        "modelServices": [
            {**_DEPLOY, "nodeRank": 0, "isInitialNode": True, "tensorParallelSize": 8},
            {**_DEPLOY, "nodeRank": 1, "isInitialNode": False, "tensorParallelSize": 8},
        ],
    },
    "MatchModelServiceTemplateWithModel": {
        "modelUuids": [UUID],
        "modelServiceUuids": [UUID],
        "instanceNumber": 1,
        "name": "chat",
        "zoneUuid": UUID,
        "type": "Container",
    },
    "LogInByAccount": _LOGIN,
    "LogInByUser": {"accountName": "admin", "userName": "alice", "password": _PASSWORD},
    "CreateAccessKey": {"accountUuid": UUID, "userUuid": UUID, "description": "for the pipeline"},
}
#: Name of a parameter or field -> its example.
HINTS: Mapping[str, Any] = {
    "name": "chat",
    "resourceType": "ModelServiceInstanceGroupVO",
    "password": _PASSWORD,
    "type": "Container",
    "url": "file:///srv/models",
    "version": "1.0",
    "AccessKeySecret": "********",
    "duration": 7200,
    "status": "Running",
    "vendor": "NVIDIA",
    "tag": "team::chat",
}


def with_seeds(operation: Operation) -> Operation:
    """The operation with the examples that a page shows in place of those that were made."""
    answer = cast("dict[str, Any]", _succeeded(dict(operation.answer)))
    if operation.id == "AddModelService":
        answer["inventory"] = {**cast("dict[str, Any]", answer["inventory"]), **_SHOWN}
    request = _REQUESTS.get(operation.id)
    return replace(operation, example=request or operation.example, answer=answer)


def _succeeded(value: Any) -> Any:
    """The same where all went well: the whole, and each object of a batch."""
    if isinstance(value, list):
        return [_succeeded(one) for one in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    entries = cast("dict[str, Any]", value)
    well = {"success": True, "error": None}
    return {
        name: well[name] if name in well and "success" in entries else _succeeded(one)
        for name, one in entries.items()
    }
