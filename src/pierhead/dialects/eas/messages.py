"""The app service's body in the domain's words: which template, and where its weights come from."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pierhead.core.errors import Invalid, Missing
from pierhead.core.events import Notice
from pierhead.core.mounts import NasSource, OssSource, Source

NO_EFFECT = "ParameterWithoutEffect"
_KNOWN_VERSION = "v1"
_BUCKET = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._:-]{0,251}[A-Za-z0-9])?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\\\ud800-\udfff]")
_MAX_PATH = 1023
#: Keys of Config that name parts of a cloud network.
_NETWORK = ("SecurityGroupID", "VpcID", "VswitchID")


@dataclass(frozen=True, slots=True)
class AppRequest:
    """What CreateAppService or UpdateAppService asks for; None = not given."""

    name: str | None
    spec: str | None
    replicas: int | None
    app_type: str | None
    app_version: str | None
    config: Mapping[str, Any] | None
    source: Source | None  #: None = the template's own weights
    notices: tuple[Notice, ...]


def app_request(body: Mapping[str, Any]) -> AppRequest:
    """A body, as `reading` gives it, in the domain's words.

    Raises:
        Missing, Invalid: Config does not say completely, or not legally, where the weights lie.
    """
    config: Mapping[str, Any] | None = body.get("Config")
    source, notices = weights(config or {})
    version: str | None = body.get("AppVersion")
    if version not in {None, _KNOWN_VERSION}:
        notices = (
            *notices,
            without_effect(
                "AppVersion", f"there is one version of the app, {_KNOWN_VERSION}; yours is shown"
            ),
        )
    return AppRequest(
        name=body.get("ServiceName"),
        spec=body.get("ServiceSpec"),
        replicas=body.get("Replicas"),
        app_type=body.get("AppType"),
        app_version=version,
        config=config,
        source=source,
        notices=notices,
    )


def weights(config: Mapping[str, Any]) -> tuple[Source | None, tuple[Notice, ...]]:
    """Where Config says that the weights lie (None = nothing said), and what of it has no effect.

    Raises:
        Missing, Invalid: it is not complete, or not legal.
    """
    present = {key: value for key, value in config.items() if value not in (None, "")}
    storage = present.get("ModelStorage")
    if storage is None:
        named = next(
            (key for key in ("OssPath", "NasMountTarget", "NasPath") if key in present), ""
        )
        if named:
            raise Missing("Config.ModelStorage", f"{named} is given; say oss or nas")
        return None, _without_effect(present, ())
    reader = _STORAGES.get(storage) if isinstance(storage, str) else None
    if reader is None:
        raise Invalid("Config.ModelStorage", f"[{str(storage)[:80]}]", ", ".join(_STORAGES))
    source, used = reader(present)
    return source, _without_effect(present, ("ModelStorage", *used))


def _oss(config: Mapping[str, Any]) -> tuple[Source, tuple[str, ...]]:
    return oss(_text(config, "OssPath"), "Config.OssPath"), ("OssPath",)


def _nas(config: Mapping[str, Any]) -> tuple[Source, tuple[str, ...]]:
    target, path = _text(config, "NasMountTarget"), _text(config, "NasPath")
    source = nas(target, path, "Config.NasMountTarget", "Config.NasPath")
    return source, ("NasMountTarget", "NasPath")


_STORAGES = {"oss": _oss, "nas": _nas}


def _text(config: Mapping[str, Any], key: str) -> str:
    value = config.get(key)
    if value is None:
        raise Missing(f"Config.{key}", f"ModelStorage is {config['ModelStorage']}")
    if not isinstance(value, str):
        raise Invalid(f"Config.{key}", "it is not a text")
    return value


def _without_effect(config: Mapping[str, Any], used: tuple[str, ...]) -> tuple[Notice, ...]:
    return tuple(without_effect(f"Config.{key}", _why(key)) for key in config if key not in used)


def _why(key: str) -> str:
    if key in _NETWORK:
        return "there are no cloud networks here; replicas use this host's network"
    if key in {"OssPath", "NasMountTarget", "NasPath"}:
        return "ModelStorage names the other kind of storage"
    return "it is not known; it is kept and shown"


def without_effect(name: str, why: str) -> Notice:
    """The notice that a parameter was taken but does nothing."""
    return Notice(NO_EFFECT, f"The parameter {name} has no effect here: {why}.")


def oss(path: str, field: str, endpoint: str = "") -> OssSource:
    """`oss://bucket/prefix/`, or `oss://bucket.endpoint/prefix/`.

    Raises:
        Invalid: it is something else, or leaves its prefix.
    """
    scheme, separator, rest = path.partition("://")
    host, _, prefix = rest.partition("/")
    bucket, _, host_endpoint = host.partition(".")
    if scheme != "oss" or not separator or _BUCKET.fullmatch(bucket) is None:
        raise Invalid(field, f"[{path[:200]}]", "oss://bucket/prefix/")
    endpoint = endpoint or host_endpoint
    if (
        endpoint
        and _HOST.fullmatch(endpoint.removeprefix("https://").removeprefix("http://")) is None
    ):
        raise Invalid(field, f"the endpoint [{endpoint[:200]}] is not a host")
    return OssSource(bucket=bucket, prefix=_confined(prefix, field), endpoint=endpoint)


def nas(target: str, path: str, target_field: str, path_field: str) -> NasSource:
    """A path on a mount target, which is a host name.

    Raises:
        Invalid: one of them is not legal.
    """
    if _HOST.fullmatch(target) is None:
        raise Invalid(target_field, f"[{target[:200]}]", "a host name")
    confined = _confined(path, path_field)
    return NasSource(
        mount_target=target, path=confined if confined.startswith("/") else f"/{confined}"
    )


def _confined(path: str, field: str) -> str:
    """`path`, if it stays below where it starts and every system reads it alike."""
    if _CONTROL.search(path):
        raise Invalid(field, "it holds a control character or a backslash")
    if any(segment in {".", ".."} for segment in path.split("/")):
        raise Invalid(field, "it holds a segment `.` or `..`")
    if len(path.encode()) > _MAX_PATH:
        raise Invalid(field, "it is too long", f"at most {_MAX_PATH} bytes")
    return path
