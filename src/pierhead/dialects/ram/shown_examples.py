"""Examples of what only types and names cannot tell: policy documents, names, bounds."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pierhead.core.reference import Operation
from pierhead.core.reference import Parameter as Field
from pierhead.dialects.ram.catalog import Parameter

_POLICY = (
    '{"Version":"1","Statement":[{"Effect":"Allow","Action":"eas:DescribeService",'
    '"Resource":"acs:eas:*:*:service/foo"}]}'
)
_TRUST = (
    '{"Version":"1","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole",'
    '"Principal":{"RAM":["acs:ram::1234567890123456:root"]}}]}'
)
_NAMES = {
    "User": "alice",
    "Group": "developers",
    "Role": "deployer",
    "Policy": "deploy-only",
    "Quota": "abcdef",
    "Workspace": "123456",
    "ServiceToken": "team-a",
}
_FORMS = {"phone": "86-13800000000", "email": "alice@example.com", "version": "v1"}
_DOCUMENTS = frozenset(
    {"PolicyDocument", "AssumeRolePolicyDocument", "NewAssumeRolePolicyDocument"}
)
#: Name -> its example.
_HINTS: Mapping[str, Any] = {
    "AccessKeyId": "LTAI****",
    "AssumeRolePolicyDocument": _TRUST,
    "NewAssumeRolePolicyDocument": _TRUST,
    "PolicyDocument": _POLICY,
    "Policy": _POLICY,
    "Status": "Active",
    "Name": "support team",
    "NewUserName": "alicia",
    "NewGroupName": "operators",
    "Limit": None,
    "Since": "2026-11-21T09:00:00Z",
    "Until": "2026-11-21T10:00:00Z",
    "Metrics": "Qps,P95,TokensPerSecond",
    "ServiceDocument": '{"ServiceSpec":"llama_7b_fp16","Replicas":1}',
    "ConnectionName": "models",
    "Bucket": "models",
    "Endpoint": "https://oss-cn-shanghai.aliyuncs.com",
    "StorageRegion": "cn-shanghai",
    "StorageAccessKeyId": "LTAI****",
    "Workspaces": "123456",
}
#: (operation, parameter) that had better be left out of an example.
_WITHOUT = frozenset(
    {
        ("UpdateWorkspace", "NoQuota"),
        ("AssumeRole", "Policy"),
        ("UpdateUser", "NewUserName"),
        ("UpdateGroup", "NewGroupName"),
        ("DeletePolicy", "CascadingDelete"),
        ("CreatePolicyVersion", "RotateStrategy"),
        ("ListServiceAttempts", "Attempt"),
        # Of a bucket; a NAS and a hub need others.
        ("CreateStorageConnection", "MountTarget"),
        ("CreateStorageConnection", "LocalPath"),
        ("CreateStorageConnection", "Nfs"),
        ("CreateStorageConnection", "SecurityToken"),
    }
)


def of_type(item: Parameter) -> Any:
    """What the parameter's type alone says; None = its name knows better."""
    if item.name in _HINTS:
        return _HINTS[item.name]
    if item.type == "name":
        return _NAMES.get(item.of)
    if item.type in {"bound", "whole"}:
        return "16"
    return _FORMS.get(item.type)


def hinted(operation: Operation) -> Operation:
    """The operation, the fields of its answer with the examples that names alone would not bring."""
    return replace(operation, response=tuple(_hint(one) for one in operation.response))


def with_examples(operation: Operation) -> Operation:
    """The operation without what an example had better not show."""
    example = {
        name: value
        for name, value in operation.example.items()
        if (operation.id, name) not in _WITHOUT
    }
    return replace(operation, example=example)


def _hint(field: Field) -> Field:
    fields = tuple(_hint(one) for one in field.fields)
    items = None if field.items is None else _hint(field.items)
    found = replace(field, fields=fields, items=items)
    if found.type != "string" or found.name not in _HINTS:
        return found
    return replace(found, example=_HINTS[found.name])
