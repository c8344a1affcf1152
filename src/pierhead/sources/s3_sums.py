"""What the head of an S3 object tells of its content: the sum to check a download with."""

import re
from base64 import b64decode
from binascii import Error
from collections.abc import Mapping

_MD5 = re.compile(r"[0-9a-fA-F]{32}")


def told(headers: Mapping[str, str], etag: str) -> str:
    """`kind:HEX` of the whole object, see `sources.sums`; "" when nothing can be compared.

    What the store computed itself comes first, the cheaper sum before the dearer one. Sums of multipart
    uploads are sums of their parts' sums: without the parts' sizes they tell nothing, and an ETag
    is then no MD5. Last comes what rclone writes into an object's metadata where the ETag is none.
    """
    return (
        _own(headers, "sha256", 32)
        or _etag(headers, etag)
        or _own(headers, "crc64nvme", 8)
        or _text("md5", headers.get("x-amz-meta-md5chksum", ""), 16)
    )


def _own(headers: Mapping[str, str], kind: str, size: int) -> str:
    if headers.get("x-amz-checksum-type", "FULL_OBJECT") != "FULL_OBJECT":
        return ""
    return _text(kind, headers.get(f"x-amz-checksum-{kind}", ""), size)


def _etag(headers: Mapping[str, str], etag: str) -> str:
    """An ETag is the MD5 of one plain upload; not where a key of the customer encrypts it."""
    encrypted = headers.get("x-amz-server-side-encryption", "AES256") != "AES256"
    encrypted = encrypted or "x-amz-server-side-encryption-customer-algorithm" in headers
    return f"md5:{etag.lower()}" if _MD5.fullmatch(etag) and not encrypted else ""


def _text(kind: str, text: str, size: int) -> str:
    """From base64; a sum of sums has `-NUMBER` behind it, which is none."""
    try:
        raw = b64decode(text, validate=True)
    except (Error, ValueError):
        return ""
    return f"{kind}:{raw.hex()}" if len(raw) == size else ""
