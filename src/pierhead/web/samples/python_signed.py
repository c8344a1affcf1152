"""Python for signed operations: the vendor's typed clients where they know a call, else their generic one."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from pierhead.core.reference import Operation, Parameter, Place, Style
from pierhead.web.samples.calls import Call
from pierhead.web.samples.layout import Node, Part, text
from pierhead.web.samples.literals import PYTHON

#: Product -> package on PyPI with its version, and what it is imported as.
PACKAGES = {
    "eas": ("alibabacloud-eas20210701==7.0.0", "alibabacloud_eas20210701"),
    "ram": ("alibabacloud-ram20150501==1.3.0", "alibabacloud_ram20150501"),
    "sts": ("alibabacloud-sts20150401==1.2.0", "alibabacloud_sts20150401"),
}
GENERIC = "alibabacloud-tea-openapi==0.4.6 alibabacloud-tea-util==0.3.15"
#: What the platform takes and these versions of the clients have no method or field for.
_NO_METHOD = frozenset({"SimulatePolicy"})
_NO_FIELD = frozenset({"Workspace", "policies", "selectPolicy", "tolerance", "TimeZone"})
#: Lists that the typed client wants as one text, with commas.
_JOINED = frozenset({"InstanceList"})
_UNIT = "    "
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=V)(?=Switch)")


def snake(name: str) -> str:
    """A name as the vendor's Python clients spell it: `MFABindRequired` is `mfabind_required`."""
    return _HUMP.sub("_", name).lower()


def typed_knows(call: Call) -> bool:
    """Has the typed client a method for the operation and a field for every value?"""
    operation = call.operation
    if operation.product not in PACKAGES or operation.id in _NO_METHOD:
        return False
    if _is_newer(operation.since, operation) or _is_bare(operation):
        return False
    fields = {parameter.name: parameter for parameter in operation.parameters}
    return all(
        _has_field(fields[name], value, operation)
        for name, value in call.values.items()
        if not (operation.document and _in_body(fields.get(name)))
    )


def _is_bare(operation: Operation) -> bool:
    """Are its parameters not known here? The typed client might demand some."""
    return bool(operation.unsupported) and operation.style is Style.RPC


def _is_newer(since: str, operation: Operation) -> bool:
    """Did something come after the API's own version, which is what the typed clients know?"""
    return since not in {"", operation.version}


def _in_body(parameter: Parameter | None) -> bool:
    return parameter is None or parameter.place is Place.BODY


def _has_field(parameter: Parameter, value: Any, operation: Operation) -> bool:
    newer = _is_newer(parameter.since, operation) or parameter.name in _NO_FIELD
    if newer or parameter.place is Place.HEADER:
        return False
    if value is None:
        return True
    if parameter.items is not None and parameter.items.fields and isinstance(value, list | tuple):
        return all(_fits(parameter.items, item, operation) for item in cast(Sequence[Any], value))
    return not parameter.fields or _fits(parameter, value, operation)


def _fits(parameter: Parameter, value: Any, operation: Operation) -> bool:
    fields = {field.name: field for field in parameter.fields}
    if not isinstance(value, Mapping):
        return False
    inner = cast(Mapping[str, Any], value)
    return all(
        name in fields and _has_field(fields[name], item, operation) for name, item in inner.items()
    )


def typed(call: Call) -> str:
    """A call by the typed client."""
    package, module = PACKAGES[call.operation.product]
    request = _request(call)
    imports = f"from {module} import models\n" if request else ""
    arguments = [
        Part(PYTHON.node(call.values.get(name, f"<{name}>")), f"{snake(name)}=")
        for name in _slots(call.operation)
    ]
    if request:
        arguments.append(Part("request", "request=" if arguments else ""))
    method = f"client.{snake(call.operation.id)}"
    made = PYTHON.grouped((f"{method}(", ")"), tuple(arguments))
    return _TYPED.format(
        title=call.title,
        package=package,
        imports=imports,
        module=module,
        client=_client(call),
        request=f"request = {request}\n" if request else "",
        call=text(made, _UNIT, 0, len("response = ")),
    )


def _slots(operation: Operation) -> list[str]:
    return re.findall(r"\{(\w+)\}", operation.path)


def _request(call: Call) -> str:
    """The typed request; "" of an operation that takes nothing but its path."""
    operation = call.operation
    fields = [one for one in operation.parameters if one.place is not Place.PATH]
    if not fields and not operation.document:
        return ""
    parts = [
        Part(_value(one, call.values[one.name], f"{operation.id}Request"), f"{snake(one.name)}=")
        for one in fields
        if one.name in call.values and not (operation.document and one.place is Place.BODY)
    ]
    if operation.document:
        document = PYTHON.grouped(("json.dumps(", ")"), (Part(PYTHON.node(dict(call.body or {}))),))
        parts.append(Part(document, "body="))
    made = PYTHON.grouped((f"models.{operation.id}Request(", ")"), tuple(parts))
    return text(made, _UNIT, 0, len("request = "))


def _value(parameter: Parameter, value: Any, owner: str) -> Node:
    """A value as the typed client takes it: objects whose fields are known are classes of their own."""
    name = f"{owner}{parameter.name[:1].upper()}{parameter.name[1:]}"
    if value is None:
        return "None"
    if parameter.items is not None and parameter.items.fields:
        items = cast(Sequence[Any], value)
        made = tuple(Part(_made(parameter.items, item, name)) for item in items)
        return PYTHON.listed(made) if made else "[]"
    if parameter.fields and parameter.type == "object":
        return _made(parameter, value, name)
    if parameter.name in _JOINED and isinstance(value, list | tuple):
        return PYTHON.node(",".join(str(item) for item in cast(Sequence[Any], value)))
    return PYTHON.node(value)


def _made(parameter: Parameter, value: Mapping[str, Any], name: str) -> Node:
    fields = {field.name: field for field in parameter.fields}
    parts = tuple(
        Part(_value(fields[key], item, name), f"{snake(key)}=") for key, item in value.items()
    )
    return PYTHON.grouped((f"models.{name}(", ")"), parts)


def generic(call: Call) -> str:
    """A call by the client that all the vendor's packages are built on."""
    parts = [Part(PYTHON.node(dict(call.query)), "query=")] if call.query else []
    if call.body is not None:
        parts.append(Part(PYTHON.node(dict(call.body)), "body="))
    request = PYTHON.grouped(("OpenApiRequest(", ")"), tuple(parts))
    return _GENERIC.format(
        title=call.title,
        package=GENERIC,
        client=_client(call),
        params=_params(call),
        request=text(request, _UNIT, 0, len("request = ")),
    )


def _params(call: Call) -> str:
    operation = call.operation
    rpc = operation.style is Style.RPC
    fields = {
        "action": operation.id,
        "version": operation.version,
        "protocol": call.protocol,
        "pathname": call.path,
        "method": operation.method,
        "auth_type": "AK",
        "style": "RPC" if rpc else "ROA",
        "req_body_type": "formData" if rpc else "json",
        "body_type": "json",
    }
    parts = tuple(Part(PYTHON.node(value), f"{name}=") for name, value in fields.items())
    return text(PYTHON.grouped(("Params(", ")"), parts), _UNIT)


def _client(call: Call) -> str:
    fields = {
        "access_key_id": 'os.environ["PIERHEAD_ACCESS_KEY_ID"]',
        "access_key_secret": 'os.environ["PIERHEAD_ACCESS_KEY_SECRET"]',
        "security_token": 'os.environ.get("PIERHEAD_SECURITY_TOKEN")',
        "region_id": str(text(PYTHON.node(call.origin.region), _UNIT)),
        "endpoint": str(text(PYTHON.node(call.host), _UNIT)),
        "protocol": f'"{call.protocol}"',
    }
    parts = tuple(Part(value, f"{name}=") for name, value in fields.items())
    config = PYTHON.grouped(("Config(", ")"), parts)
    return text(PYTHON.grouped(("Client(", ")"), (Part(config),)), _UNIT)


_TYPED = '''"""{title}: pip install {package}"""

import json
import os

{imports}from {module}.client import Client
from alibabacloud_tea_openapi.models import Config

client = {client}
{request}response = {call}
print(json.dumps(response.body.to_map(), indent=2, ensure_ascii=False))
'''
_GENERIC = '''"""{title}: pip install {package}"""

import json
import os

from alibabacloud_tea_openapi.client import Client
from alibabacloud_tea_openapi.models import Config, OpenApiRequest, Params
from alibabacloud_tea_util.models import RuntimeOptions

client = {client}
params = {params}
request = {request}
answer = client.call_api(params, request, RuntimeOptions())
print(json.dumps(answer["body"], indent=2, ensure_ascii=False))
'''
