"""How a setting's value is read from text or TOML, checked, and shown. Standard library alone."""

import re
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit, urlunsplit

#: Engines that an operator can choose for weights.
_ENGINES = ("llama_cpp", "vllm", "transformers")
_TRUE, _FALSE = frozenset({"1", "true", "yes", "on"}), frozenset({"0", "false", "no", "off"})

#: libpq takes passwords as parameters of a URL, too.
_SECRET_PARAMETER = re.compile(r"(?i)([?&][^=&#]*(?:password|secret|token)[^=&#]*=)[^&#]*")


class Explained(NamedTuple):
    """One row of `pierhead settings`."""

    name: str  #: the key in settings.toml; the environment's name follows from it
    value: str  #: secrets masked
    source: str
    meaning: str


def split_address(text: str) -> tuple[str, int]:
    """`127.0.0.1:8080` or `[::1]:8080` -> host and port.

    Raises:
        ValueError: it is neither.
    """
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"[{text}] is no host:port such as 127.0.0.1:8080")
    return host, int(port)


def url_of(address: str, *, secure: bool = False) -> str:
    """The URL of something that listens on `address`; all interfaces are reached over loopback."""
    host, port = split_address(address)
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - read, not bound
    scheme = "https" if secure else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _boolean(raw: object, _kind: object) -> bool:
    if isinstance(raw, bool):
        return raw
    text = raw.lower() if isinstance(raw, str) else ""
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    raise ValueError(f"must be true or false, not [{raw}]")


def _whole(raw: object, _kind: object) -> int:
    if isinstance(raw, int) and not isinstance(raw, bool):
        return raw
    if isinstance(raw, str) and re.fullmatch(r"-?\d{1,18}", raw):
        return int(raw)
    raise ValueError(f"must be a whole number, not [{raw}]")


class Bytes(int):
    """An amount of memory or of a disk, which people write as `200GiB`."""

    def __str__(self) -> str:
        for power, unit in ((4, "TiB"), (3, "GiB"), (2, "MiB"), (1, "KiB")):
            if self and self % 1024**power == 0:
                return f"{self // 1024**power}{unit}"
        return int.__repr__(self)


def amount(text: str) -> Bytes:
    """`200GiB`, `1.5Ti`, `500M`, `1000000` in bytes; a letter stands for a power of 1024.

    Raises:
        ValueError: it is none.
    """
    found = re.fullmatch(r"(\d{1,15}(?:\.\d{1,3})?)\s*([kmgt]?)(?:i?b?)", text.strip().lower())
    if found is None:
        raise ValueError(f"must be an amount such as 200GiB, not [{text}]")
    return Bytes(float(found[1]) * 1024 ** " kmgt".index(found[2] or " "))


def _bytes(raw: object, _kind: object) -> Bytes:
    return amount(str(raw)) if not isinstance(raw, bool) else amount("")


def _number(raw: object, _kind: object) -> float:
    if isinstance(raw, int | float) and not isinstance(raw, bool):
        return float(raw)
    if isinstance(raw, str) and re.fullmatch(r"-?\d{1,15}(\.\d{1,9})?", raw):
        return float(raw)
    raise ValueError(f"must be a number, not [{raw}]")


def _text(raw: object, _kind: object) -> str:
    if isinstance(raw, str):
        return raw
    raise ValueError(f"must be text in quotes, not [{raw}]")


def _choice(raw: object, kind: object) -> str:
    legal = typing.get_args(kind)
    if isinstance(raw, str) and raw.lower() in legal:
        return raw.lower()
    raise ValueError(f"must be one of {', '.join(legal)}, not [{raw}]")


def _path(raw: object, _kind: object) -> Path:
    if isinstance(raw, str | Path) and str(raw):
        return Path(raw).expanduser().absolute()
    raise ValueError(f"must be a path, not [{raw}]")


def _mapping(raw: object, _kind: object) -> Mapping[str, str]:
    pairs: dict[object, object] = {}
    if isinstance(raw, Mapping):
        pairs = dict(typing.cast("Mapping[object, object]", raw))
    elif isinstance(raw, str):
        pairs = {
            name: path
            for name, _, path in (item.partition("=") for item in raw.split(",") if item.strip())
        }
    found = {
        # What names a scheme is no path, whose double slashes mean nothing.
        str(name).strip(): path.strip() if "://" in path else str(Path(path.strip()).expanduser())
        for name, path in pairs.items()
        if isinstance(path, str) and path.strip()
    }
    if not pairs or len(found) != len(pairs):
        raise ValueError(f"must be name=value pairs, not [{raw}]")
    return types.MappingProxyType(found)


def _list(raw: object, _kind: object) -> tuple[str, ...]:
    given: object = raw.split(",") if isinstance(raw, str) else raw
    items = list(typing.cast("list[object]", given)) if isinstance(given, list | tuple) else [None]
    texts = [item.strip() for item in items if isinstance(item, str)]
    if len(texts) != len(items):
        raise ValueError(f"must be a list of texts, not [{raw}]")
    return tuple(text for text in texts if text)


#: Type of a setting, or its origin -> what reads a raw value; raises ValueError with the reason.
PARSERS: dict[object, typing.Callable[[object, object], object]] = {
    bool: _boolean,
    int: _whole,
    Bytes: _bytes,
    float: _number,
    str: _text,
    Literal: _choice,
    Path: _path,
    Mapping: _mapping,
    tuple: _list,
}


def shown(value: object) -> str:
    """A value as `pierhead settings` prints it; a password in a URL is masked."""
    if isinstance(value, Mapping):
        pairs = typing.cast("Mapping[str, str]", value)
        return ",".join(f"{name}={masked_url(path)}" for name, path in pairs.items())
    if isinstance(value, tuple):
        return ",".join(map(masked_url, typing.cast("tuple[str, ...]", value)))
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    return masked_url(str(value))


def masked_url(text: str) -> str:
    """A URL without the passwords in it, be it among its parameters; other text as it is."""
    if "://" not in text:
        return text
    text = _SECRET_PARAMETER.sub(r"\1***", text)
    parts = urlsplit(text)
    if parts.password is None:
        return text
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{parts.username}:***@{host}"))


def _check_address(value: str) -> str:
    try:
        split_address(value)
    except ValueError as problem:
        return f"is not legal: {problem}"
    return ""


def _check_url(value: str) -> str:
    legal = not value or re.fullmatch(r"https?://[^/\s?#]+(/[^\s?#]*)?", value)
    return "" if legal else f"must be an http:// or https:// URL, not [{value}]"


def _check_urls(value: str) -> str:
    """As `_check_url`, of several with commas, which speak all plain HTTP or all TLS."""
    urls = [url.strip() for url in value.split(",")]
    if len(urls) == 1:
        return _check_url(value)
    if len({url.partition(":")[0] for url in urls}) > 1:
        return f"must hold URLs that begin all with https:// or all with http://, not [{value}]"
    return next(filter(None, (_check_url(url or " ") for url in urls)), "")


def _check_region(value: str) -> str:
    legal = re.fullmatch(r"[a-z][a-z0-9-]{0,38}[a-z0-9]", value)
    return "" if legal else f"must be 2 to 40 lower-case letters, digits and hyphens, not [{value}]"


def _check_ports(value: str) -> str:
    found = re.fullmatch(r"(\d{1,5})-(\d{1,5})", value)
    if found and 1024 <= int(found[1]) < int(found[2]) <= 65535:
        return ""
    return f"must be first-last within 1024-65535, not [{value}]"


def _check_webhooks(value: tuple[str, ...]) -> str:
    odd = [url for url in value if not re.fullmatch(r"https?://[^/@\s?#]+(/[^\s?#]*)?", url)]
    return f"must hold http:// or https:// URLs without a query, not [{odd[0]}]" if odd else ""


def _check_version(value: str) -> str:
    legal = re.fullmatch(r"\d+(\.\d+){1,3}", value, re.ASCII)
    return "" if legal else f"must be numbers with dots such as 5.5.28, not [{value}]"


def _check_networks(value: tuple[str, ...]) -> str:
    # Needed where there is a proxy only.
    import ipaddress

    try:
        for text in value:
            ipaddress.ip_network(text, strict=False)
    except ValueError as problem:
        return f"must hold addresses or networks: {problem}"
    return ""


def _check_hosts(value: tuple[str, ...]) -> str:
    odd = [name for name in value if not re.fullmatch(r"\*|(\*\.)?[A-Za-z0-9_.-]{1,253}", name)]
    return f"must hold names of hosts without ports, not [{odd[0]}]" if odd else ""


def _check_weights(value: Mapping[str, str]) -> str:
    for name, text in value.items():
        if "://" in text:
            # Most processes have no such setting, and do not pay for the import.
            from pierhead.core.errors import Invalid
            from pierhead.core.mounts import parse_source

            try:
                parse_source(text, name)
            except Invalid as problem:
                return f"is not legal: {problem}"
    return ""


def _check_engines(value: Mapping[str, str]) -> str:
    odd = [engine for engine in value.values() if engine not in _ENGINES]
    return f"must name one of {', '.join(_ENGINES)} for each, not [{odd[0]}]" if odd else ""


def _check_zone(value: str) -> str:
    if not value:
        return ""
    from zoneinfo import ZoneInfo  # as with weights: most processes have no such setting

    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        return f"must be an IANA name such as Asia/Shanghai, not [{value[:80]}]"
    return ""


def _check_folders(value: tuple[str, ...]) -> str:
    odd = [path for path in value if not re.fullmatch(r"(/[^/\s:\0]+)+/?", path)]
    return f"must hold absolute paths of folders, not [{odd[0][:200]}]" if odd else ""


def _check_folder(value: str) -> str:
    return _check_folders((value,)) if value else ""


def _check_namespace(value: str) -> str:
    legal = not value or re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", value)
    return "" if legal else f"must be the name of a namespace, not [{value[:80]}]"


def _check_object(value: str) -> str:
    legal = not value or re.fullmatch(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", value)
    return "" if legal else f"must be the name of an object of the cluster, not [{value[:80]}]"


def _check_image(value: str) -> str:
    legal = not value or re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._/:@-]{0,254}", value)
    return "" if legal else f"must be the name of an image, not [{value[:200]}]"


def _check_images(value: Mapping[str, str]) -> str:
    odd = [name for name in value if name not in (*_ENGINES, "custom")]
    if odd:
        return f"must name images of {', '.join(_ENGINES)} or custom, not of [{odd[0][:80]}]"
    return next((wrong for image in value.values() if (wrong := _check_image(image))), "")


def _check_variables(value: Mapping[str, str]) -> str:
    odd = [name for name in value if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name)]
    return f"must name environment variables, not [{odd[0][:80]}]" if odd else ""


def _check_gpu_labels(value: Mapping[str, str]) -> str:
    for text in value.values():
        label, equals, wanted = text.partition("=")
        if not equals or _check_labels({label: wanted}):
            return f"must be label=value for each, not [{text[:160]}]"
    return ""


def _check_labels(value: Mapping[str, str]) -> str:
    name = r"([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
    text = r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
    for label, wanted in value.items():
        if not re.fullmatch(name, label) or not re.fullmatch(text, wanted):
            return f"must be labels of nodes, not [{label[:80]}={wanted[:80]}]"
    return ""


def _check_resources(value: Mapping[str, str]) -> str:
    name = r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
    odd = [each for each in value.values() if not re.fullmatch(name, each)]
    return f"must name resources such as nvidia.com/gpu, not [{odd[0][:80]}]" if odd else ""


def _at_least(least: float) -> typing.Callable[[float], str]:
    return lambda value: "" if value >= least else f"must be at least {least:g}, not {value:g}"


def _within(first: int, last: int) -> typing.Callable[[int], str]:
    legal = range(first, last + 1)
    return lambda value: "" if value in legal else f"must be {first} to {last}, not {value}"


#: Attribute of `Settings` -> what is wrong with a value; "" = nothing.
CHECKS: dict[str, typing.Callable[[Any], str]] = {
    "listen": _check_address,
    "gateway_listen": _check_address,
    "gateway_workers": _within(1, 64),
    "region": _check_region,
    "advertise": _check_url,
    "hub_url": _check_urls,
    "port_range": _check_ports,
    "body_limit": _at_least(1024),
    "engines_choice": _check_engines,
    "weights": _check_weights,
    "zstack_session_timeout": _at_least(1),
    "zstack_webhooks": _check_webhooks,
    "zstack_version": _check_version,
    "zstack_job_seconds": _at_least(1),
    "trusted_proxies": _check_networks,
    "allowed_hosts": _check_hosts,
    "calls_per_minute": _at_least(0),
    "head_limit": _at_least(4096),
    "head_seconds": _at_least(1),
    "connections_per_address": _at_least(0),
    "lockout_failures": _at_least(0),
    "lockout_signatures": _at_least(0),
    "lockout_minutes": _at_least(0.1),
    "audit_days": _at_least(0),
    "nonce_minutes": _at_least(30),  # the clock window is 15 minutes either way
    "resync_seconds": _at_least(1),
    "series_hours": _within(0, 744),
    "scaling_seconds": _at_least(0.2),
    "time_zone": _check_zone,
    "event_days": _at_least(0),
    "threads": _at_least(0),
    "request_timeout": _at_least(1),
    "queue_seconds": _at_least(0),
    "gateway_body_limit": _at_least(1024),
    "gateway_body_seconds": _at_least(1),
    "gateway_write_seconds": _at_least(1),
    "gateway_keep_alive_seconds": _at_least(1),
    "gateway_connect_seconds": _at_least(0.1),
    "gateway_picks": _within(1, 10),
    "gateway_access_log": _at_least(0),
    "hold_limit": _at_least(1),
    "hold_bytes": _at_least(1),
    "hold_seconds": _at_least(1),
    "hold_heartbeat_seconds": _at_least(0.5),
    "drain_seconds": _at_least(0),
    "stop_seconds": _at_least(1),
    "kubernetes_namespace": _check_namespace,
    "kubernetes_image": _check_image,
    "kubernetes_cache_path": _check_folder,
    "kubernetes_host_folders": _check_folders,
    "kubernetes_gpu_resources": _check_resources,
    "kubernetes_engine_images": _check_images,
    "kubernetes_fetch_variables": _check_variables,
    "kubernetes_gpu_labels": _check_gpu_labels,
    "kubernetes_prometheus": _check_url,
    "kubernetes_run_as_user": _within(0, 2**31 - 1),
    "kubernetes_runtime_class": _check_object,
    "kubernetes_priority_class": _check_object,
    "kubernetes_service_account": _check_object,
    "kubernetes_node_labels": _check_labels,
    "kubernetes_toleration_seconds": _within(0, 86400),
    "kubernetes_not_ready_seconds": _within(0, 86400),
}
