"""The environment and the command line of a container, made the way a kubelet makes them."""

import base64
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from kube_api import NodeApi

Json = dict[str, Any]
_REFERENCE = re.compile(r"\$\$|\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)")


class ConfigError(Exception):
    """CreateContainerConfigError: something that the environment refers to is not there."""


async def environment(
    api: NodeApi, pod: Json, container: Json, fields: Mapping[str, str]
) -> dict[str, str]:
    """What the container's process gets; of this machine's own environment only the search path.

    Raises:
        ConfigError: a Secret or ConfigMap, or a key in it, is missing.
        AWAY: the API server did not answer.
    """
    found = {"PATH": os.environ.get("PATH", os.defpath), "HOSTNAME": pod["metadata"]["name"]}
    found["HOME"] = str(Path.home()) if os.getuid() else "/root"
    objects = _Objects(api, pod["metadata"]["namespace"])
    for source in container.get("envFrom", ()):
        kind = "secretRef" if "secretRef" in source else "configMapRef"
        found |= await objects.data(kind, source[kind])
    for entry in container.get("env", ()):
        if "valueFrom" in entry:
            value = await _value_from(objects, entry["valueFrom"], pod, fields)
        else:
            value = expanded(entry.get("value", ""), found)
        if value is not None:
            found[entry["name"]] = value
    return found


def command(container: Json, environment: Mapping[str, str]) -> list[str]:
    """The words to run; a hollow node has no image that could bring some of its own."""
    words = [*container.get("command", ()), *container.get("args", ())]
    return [expanded(word, environment) for word in words]


def expanded(text: str, environment: Mapping[str, str]) -> str:
    """`$(NAME)` replaced where NAME is known, `$$` as one `$`."""

    def value(match: re.Match[str]) -> str:
        return "$" if match[0] == "$$" else environment.get(match[1], match[0])

    return _REFERENCE.sub(value, text)


async def _value_from(
    objects: "_Objects", source: Json, pod: Json, fields: Mapping[str, str]
) -> str | None:
    if "fieldRef" in source:
        return _field(source["fieldRef"]["fieldPath"], pod, fields)
    kind = next(iter(source))
    if kind not in {"secretKeyRef", "configMapKeyRef"}:
        raise ConfigError(f"a hollow node does not know env from {kind}")
    reference = source[kind]
    data = await objects.data(kind, reference)
    if reference["key"] in data:
        return data[reference["key"]]
    if reference.get("optional"):
        return None
    what = "Secret" if kind == "secretKeyRef" else "ConfigMap"
    namespace = pod["metadata"]["namespace"]
    raise ConfigError(
        f"couldn't find key {reference['key']} in {what} {namespace}/{reference['name']}"
    )


def _field(path: str, pod: Json, fields: Mapping[str, str]) -> str:
    if path in fields:
        return fields[path]
    match = re.fullmatch(r"metadata\.(labels|annotations)\['(.+)'\]", path)
    if match is None:
        raise ConfigError(f"a hollow node does not know the field {path}")
    return pod["metadata"].get(match[1], {}).get(match[2], "")


class _Objects:
    """Secrets and ConfigMaps of one namespace, each asked for once."""

    def __init__(self, api: NodeApi, namespace: str) -> None:
        self._api, self._namespace = api, namespace
        self._known: dict[tuple[str, str], dict[str, str]] = {}

    async def data(self, kind: str, reference: Json) -> dict[str, str]:
        secret = kind.startswith("secret")
        key = ("secrets" if secret else "configmaps", reference["name"])
        if key not in self._known:
            path = f"/api/v1/namespaces/{self._namespace}/{key[0]}/{quote(key[1])}"
            status, found = await self._api.call("GET", path)
            if status == 404 and not reference.get("optional"):
                raise ConfigError(f'{key[0].removesuffix("s")} "{key[1]}" not found')
            data: dict[str, str] = (found.get("data") or {}) if status == 200 else {}
            self._known[key] = {
                name: base64.b64decode(value).decode() if secret else value
                for name, value in data.items()
            }
        return self._known[key]
