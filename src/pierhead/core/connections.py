"""A storage connection: how a bucket or a mount target that a service names is reached from here.

Its secret is kept apart (`Keys`), so that a connection can be shown, logged and compared as it is.
"""

import re
from dataclasses import dataclass, field
from typing import Literal, get_args

from pierhead.core.errors import Invalid, Missing, Unsupported
from pierhead.core.identities import check_name
from pierhead.core.mounts import (
    HubSource,
    NasSource,
    OssSource,
    Remote,
    S3Source,
    Source,
    parse_source,
)

Kind = Literal["oss", "s3", "nas", "hf", "modelscope"]
KINDS: tuple[Kind, ...] = get_args(Kind)
#: Kind of a hub -> where the public one answers.
HUBS: dict[Kind, str] = {"hf": "https://huggingface.co", "modelscope": "https://modelscope.cn"}
NFS_PORT = 2049

_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_ENDPOINT = re.compile(
    r"https?://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)(:\d{1,5})?/?"
)
#: Mirrors of hubs may lie below a path.
_HUB_ENDPOINT = re.compile(
    _ENDPOINT.pattern.removesuffix("/?") + r"(/[A-Za-z0-9_~][\w.~-]*)*/?", re.A
)
_REGION = re.compile(r"[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._:-]{0,251}[A-Za-z0-9])?")
_NFS = re.compile(
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9][A-Za-z0-9._-]{0,252}):(?P<export>/[^,?#\s]*)"
    r"(?P<options>(,(port|version)=\d{1,5})*)"
)
_LONGEST = 1023
_WORKSPACES = 100


@dataclass(frozen=True, slots=True)
class Connection:
    """One connection. `oss` and `s3` serve a bucket, `nas` a mount target, the others a whole hub."""

    name: str
    kind: Kind
    bucket: str = ""
    endpoint: str = ""  #: URL, without a slash at the end
    region: str = ""
    access_key_id: str = ""  #: "" = anonymous
    allow_private: bool = False  #: may the endpoint be on loopback or in a private network?
    mount_target: str = ""
    local_path: str = ""  #: where the mount target is mounted already
    nfs: str = ""  #: `HOST:/EXPORT[,port=N][,version=N]`
    created: float = 0.0
    workspaces: tuple[str, ...] = ()  #: whose services alone it serves; () = everybody's

    @property
    def serves(self) -> str:
        """What a service names to be served by it: `oss://bucket`, `nas://target`, `hf://`."""
        return f"{self.kind}://{self.mount_target if self.kind == 'nas' else self.bucket}"

    def reaches(self, workspace: str) -> bool:
        """Does it serve services of this workspace ("" = of none)?"""
        return not self.workspaces or workspace in self.workspaces


@dataclass(frozen=True, slots=True)
class Keys:
    """What proves that we may read: the secret of an access key, and a temporary one's or a hub's token."""

    secret: str = field(default="", repr=False)
    token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Account:
    """A connection with what opens it."""

    connection: Connection
    keys: Keys


@dataclass(frozen=True, slots=True)
class Export:
    """An NFS server's export, taken apart."""

    host: str
    path: str  #: without a slash at the end; "" = the root
    port: int = NFS_PORT
    version: int = 4

    def url(self, path: str) -> str:
        """What libnfs takes for a path below the export; it decodes nothing, so a `?` cannot be in it."""
        return f"nfs://{self.host}{self.path}{path}?version={self.version}&nfsport={self.port}"


def check(connection: Connection) -> None:
    """Refuse a connection that can serve nothing.

    Raises:
        Missing, Invalid, Unsupported: a field is absent or not legal.
    """
    if _NAME.fullmatch(connection.name) is None:
        legal = "1 to 63 lower-case letters, digits, dots, hyphens and underscores"
        raise Invalid("name", f"[{connection.name[:80]}]", legal)
    if connection.kind not in KINDS:
        raise Unsupported(
            f"Storage of the kind [{connection.kind}]", f"there are {', '.join(KINDS)}"
        )
    if len(connection.workspaces) > _WORKSPACES:
        raise Invalid(
            "workspace", f"{len(connection.workspaces)} of them", f"at most {_WORKSPACES}"
        )
    for workspace in connection.workspaces:
        check_name("Workspace", workspace)
    _CHECKS[connection.kind](connection)


def _bucket(connection: Connection) -> None:
    for field_, value, pattern, legal in (
        ("bucket", connection.bucket, _BUCKET, "3 to 63 lower-case letters, digits, hyphens, dots"),
        ("endpoint", connection.endpoint, _ENDPOINT, "http://HOST[:PORT] or https://HOST[:PORT]"),
        ("region", connection.region, _REGION, "such as cn-shanghai"),
    ):
        if not value:
            raise Missing(field_)
        if pattern.fullmatch(value) is None:
            raise Invalid(field_, f"[{value[:200]}]", legal)
    if len(connection.access_key_id) > 128 or not connection.access_key_id.isprintable():
        raise Invalid("access-key-id", "it is too long or not printable", "at most 128 characters")


def _nas(connection: Connection) -> None:
    if not connection.mount_target:
        raise Missing("mount-target")
    if _HOST.fullmatch(connection.mount_target) is None:
        raise Invalid("mount-target", f"[{connection.mount_target[:200]}]", "a host name")
    if bool(connection.local_path) == bool(connection.nfs):
        raise Missing("local-path", "or nfs, one of them: where it is mounted, or its NFS server")
    path = connection.local_path
    if path and (not path.startswith("/") or "\0" in path or len(path) > _LONGEST):
        raise Invalid("local-path", f"[{path[:200]}]", "an absolute path")
    if connection.nfs:
        export(connection.nfs)


def _hub(connection: Connection) -> None:
    if not connection.endpoint:
        raise Missing("endpoint")
    if _HUB_ENDPOINT.fullmatch(connection.endpoint) is None:
        legal = "http://HOST[:PORT][/PATH] or https://HOST[:PORT][/PATH]"
        raise Invalid("endpoint", f"[{connection.endpoint[:200]}]", legal)
    if connection.access_key_id:
        raise Invalid("access-key-id", "hubs know tokens, no access keys")


_CHECKS = {"oss": _bucket, "s3": _bucket, "nas": _nas, "hf": _hub, "modelscope": _hub}


def export(text: str) -> Export:
    """`HOST:/EXPORT[,port=N][,version=N]`.

    Raises:
        Invalid: it is something else.
    """
    found = _NFS.fullmatch(text)
    if found is None or ".." in found["export"].split("/"):
        raise Invalid("nfs", f"[{text[:200]}]", "HOST:/EXPORT[,port=N][,version=3|4]")
    options = dict(pair.split("=") for pair in found["options"].split(",") if pair)
    port, version = int(options.get("port", NFS_PORT)), int(options.get("version", 4))
    if not 1 <= port <= 65535 or version not in {3, 4}:
        raise Invalid("nfs", f"[{text[:200]}]", "a port from 1 to 65535, version 3 or 4")
    return Export(found["host"], found["export"].rstrip("/"), port, version)


def serving(source: Source, connections: "tuple[Connection, ...]") -> Connection | None:
    """The connection for a source: the oldest one of those that serve its bucket or mount target."""
    return first(named(source), connections)


def kept_from(
    source: Source, workspace: str, connections: "tuple[Connection, ...]"
) -> Connection | None:
    """The connection that serves a source, but not for services of this workspace; None = no such one.

    The oldest connection of a bucket decides alone, also for whom: a younger one is no way around it.
    """
    found = serving(source, connections) if named(source) else None
    return None if found is None or found.reaches(workspace) else found


def first(serves: str, connections: "tuple[Connection, ...]") -> Connection | None:
    """The one of several that counts for `oss://bucket` and the like: the oldest."""
    found = [each for each in connections if each.serves == serves]
    return min(found, key=lambda each: (each.created, each.name), default=None)


def named(source: Source) -> str:
    """What must serve a source: `oss://bucket`, `nas://target`, `hf://`; "" = nothing, it needs none."""
    match source:
        case OssSource() | S3Source():
            return f"{source.kind}://{source.bucket}"
        case NasSource():
            return f"nas://{source.mount_target}"
        case HubSource():
            return f"{source.scheme}://"
        case _:
            return ""


def public(source: HubSource) -> Account:
    """What opens the public part of a source's hub, without anybody's name."""
    kind: Kind = "hf" if source.hub == "huggingface" else "modelscope"
    return Account(Connection("", kind, endpoint=HUBS[kind]), Keys())


def source_of(text: str) -> Remote | None:
    """The source that is written so, as `str` of it gives it; None when it needs no connection."""
    kind, _, rest = text.partition("://")
    place, slash, path = rest.partition("/")
    match kind:
        case "oss":
            return OssSource(place, path)
        case "s3":
            return S3Source(place, path)
        case "nas":
            return NasSource(place, f"{slash}{path}")
        case "hf" | "modelscope":
            found = parse_source(text)
            return found if isinstance(found, HubSource) else None
        case _:
            return None
