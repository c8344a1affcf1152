"""Examples that the vendor's page shows, and those where types and names alone would mislead."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pierhead.core.reference import Operation

_CREATED = {
    "RequestId": "40325405-579C-4D82****",
    "ServiceId": "eas-m-aaxxxddf",
    "ServiceName": "foo",
    "Status": "Creating",
    "Region": "cn-shanghai",
    "InternetEndpoint": "http://pai-eas.cn-shanghai.****",
    "IntranetEndpoint": "http://pai-eas-vpc.cn-shanghai.****",
}
_SERVICE = {
    "metadata": {"name": "foo", "instance": 1},
    "containers": [{"image": "llama_7b_fp16"}],
    "storage": [
        {"mount_path": "/mnt/model", "oss": {"path": "oss://examplebucket/xxxx/"}},
    ],
}
_PATH = {"ClusterId": "cn-shanghai", "ServiceName": "foo"}
_OSS = {"ModelStorage": "oss", "OssPath": "oss://examplebucket/xxxx/"}
#: Operation -> its example, where it is not made from types.
_REQUESTS: Mapping[str, Mapping[str, Any]] = {
    "CreateAppService": {
        "WorkspaceId": "123456",
        "QuotaId": "abcdef",
        "ServiceName": "foo",
        "AppType": "LLM",
        "AppVersion": "v1",
        "ServiceSpec": "llama_7b_fp16",
        "Replicas": 1,
        "Config": _OSS,
    },
    "UpdateAppService": {**_PATH, "Replicas": 2},
    "CreateService": {"WorkspaceId": "123456", **_SERVICE},
    "UpdateService": {**_PATH, "metadata": {"instance": 2}},
    "CloneService": {**_PATH, "metadata": {"name": "foo_copy"}},
    "CreateServiceCronScaler": {
        **_PATH,
        "ScaleJobs": [
            {"Name": "day", "Schedule": "0 0 9 * * *", "TargetSize": 2},
            {"Name": "night", "Schedule": "0 0 21 * * *", "TargetSize": 1},
        ],
    },
    "DeleteServiceLabel": {**_PATH, "Keys": ["team"]},
}
#: Operation -> fields of its answer that differ from what their names let one expect.
_ANSWERS: Mapping[str, Mapping[str, Any]] = {
    "CreateAppService": _CREATED,
    "CreateService": _CREATED,
}
#: What the message of an operation says is being done.
_DOING: Mapping[str, str] = {
    "DeleteService": "deleting",
    "StartService": "starting",
    "StopService": "stopping",
    "RestartService": "restarting",
}
_DONE: Mapping[str, str] = {"create": "creating", "update": "updating", "delete": "deleting"}
#: Names of what an operation is about.
_NAMED = ("ServiceName", "GroupName", "GatewayId", "ResourceId", "TaskName", "VirtualResourceId")
#: Name of a parameter -> its example.
HINTS: Mapping[str, Any] = {
    "Config": _OSS,
    "EventType": "Normal",
    "Type": "internet",
    "metricName": "qps",
    "ServiceConfig": '{"metadata":{"name":"foo","instance":1}}',
    "GroupName": "chat",
    "Role": "Standard",
}


def with_seeds(operation: Operation) -> Operation:
    """The operation with the examples that a page shows in place of those that were made."""
    answer = {**operation.answer, **_ANSWERS.get(operation.id, {})}
    if "Message" in answer:
        answer["Message"] = _message(operation)
    if operation.id == "CreateService":
        answer = {name: value for name, value in answer.items() if name in operation.answer}
    request = _REQUESTS.get(operation.id)
    return replace(operation, example=request or operation.example, answer=answer)


def _message(operation: Operation) -> str:
    """What a change is told with; what only looks has nothing to say."""
    done = _DOING.get(operation.id) or _DONE.get(operation.authorization.access, "")
    if not done:
        return ""
    noun = operation.group[:1].upper() + operation.group[1:]
    named = next((name for name in _NAMED if name in operation.example), "")
    shown = f" [{operation.example[named]}]" if named else ""
    return f"{noun}{shown} in region [cn-shanghai] is {done}"
