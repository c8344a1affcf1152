"""Everything an operator can set: one frozen value, where each part came from, and what it means.

Sources, later wins: defaults, `DIR/settings.toml`, environment `PIERHEAD_...`, flags. It stands on
the standard library alone, because every process and every client verb pays for this import.
"""

import os
import typing
from collections.abc import Iterator, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from pierhead.setting_fields_kubernetes import KubernetesFields
from pierhead.setting_paths import completed
from pierhead.setting_paths import default_data_dir as default_data_dir
from pierhead.setting_sources import BadSetting as BadSetting
from pierhead.setting_sources import from_file, nearest
from pierhead.setting_values import CHECKS, PARSERS, shown
from pierhead.setting_values import Explained as Explained
from pierhead.setting_values import masked_url as masked_url
from pierhead.setting_values import split_address as split_address
from pierhead.setting_values import url_of as url_of

PREFIX = "PIERHEAD_"
FILE = "settings.toml"
#: Settings with a flag of their own; all others are given with `--set KEY=VALUE`.
_PLACES = ("data_dir", "listen", "gateway_listen", "region")
FLAGS = frozenset({*_PLACES, "log_level", "log_format", "runtime", "stop_replicas_on_exit"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(KubernetesFields):
    """All settings. `Settings.load` reads the sources; the constructor takes values as they are."""

    #: Key -> where its value came from; keys that are not in here have their default.
    sources: Mapping[str, str] = field(
        default_factory=dict[str, str], repr=False, compare=False, metadata={"internal": "yes"}
    )

    def __post_init__(self) -> None:
        given = {part.name: getattr(self, part.name) for part in _parts()}
        for name, value in completed(self.data_dir, given).items():
            object.__setattr__(self, name, value)
        for name, check in CHECKS.items():
            if problem := check(getattr(self, name)):
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
            *from_file(folder / FILE),
            *_from_environment(environ),
            *((_key(name), value, _flag(name)) for name, value in given.items()),
        ]
        values: dict[str, Any] = {"data_dir": folder}
        sources: dict[str, str] = {}
        by_key = {_key_of(part): part for part in _parts()}
        for key, raw, source in layers:
            part = by_key.get(key)
            if part is None:
                raise BadSetting(f"{source}: there is no setting {key}{nearest(key, by_key)}.")
            if key != "data_dir":
                values[part.name] = _parse(key, part, raw, source)
            sources[key] = source
        return cls(**values, sources=sources)

    def explain(self) -> list[Explained]:
        """Every setting with its value (secrets masked), its source and its meaning."""
        return [
            Explained(
                key := _key_of(part),
                shown(getattr(self, part.name)),
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
        return self.hub_endpoints[0]

    @property
    def hub_endpoints(self) -> tuple[str, ...]:
        """The same of all hubs; of several a gateway follows the active one."""
        urls = self.hub_url or url_of(self.listen, secure=self.tls)
        return tuple(url.strip().rstrip("/") for url in urls.split(","))

    @property
    def gateway_endpoint(self) -> str:
        """URL at which clients reach the gateway, without a slash at the end."""
        return (self.advertise or url_of(self.gateway_listen, secure=self.tls)).rstrip("/")

    @property
    def tls(self) -> bool:
        """Do both ports speak HTTPS?"""
        return self.tls_certificate != Path()

    @property
    def ports(self) -> range:
        """Ports that replicas may listen on."""
        first, _, last = self.port_range.partition("-")
        return range(int(first), int(last) + 1)

    @property
    def credentials_file(self) -> Path:
        """Where the first start writes keys and endpoints."""
        return self.data_dir / "credentials.json"


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
    return Path(chosen or default_data_dir(environ)).expanduser().absolute()


def _from_environment(environ: Mapping[str, str]) -> Iterator[tuple[str, object, str]]:
    for part in _parts():
        name = environment_name(_key_of(part))
        if environ.get(name):
            yield _key_of(part), environ[name], f"environment {name}"


def _parse(key: str, part: Field[Any], raw: object, source: str) -> object:
    kind = typing.get_type_hints(Settings)[part.name]
    try:
        return PARSERS[typing.get_origin(kind) or kind](raw, kind)
    except ValueError as problem:
        raise BadSetting(f"The setting {key} (from {source}) {problem}.") from None


#: Attribute -> key, where they differ.
_KEYS: dict[str, str] = {part.name: _key_of(part) for part in _parts()}
