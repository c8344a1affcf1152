"""What an object store must be able to do so that its folders can be downloaded, and how it fails.

Everything blocks: it is used from threads of a download.
"""

from collections.abc import Iterator
from typing import Protocol

from pierhead.core.errors import Unavailable
from pierhead.core.manifest import Entry, Manifest


class Remote(Protocol):
    """One folder of an object store, with what is needed to read it."""

    @property
    def name(self) -> str:
        """As a person knows it, such as `oss://bucket/prefix/`; never a secret in it."""
        ...

    @property
    def identity(self) -> str:
        """Endpoint, bucket and prefix: what names its snapshots in the cache."""
        ...

    def listing(self) -> Manifest:
        """What is in it now, already checked by `core.manifest.safe`.

        Raises:
            RemoteError: it cannot be listed.
            Invalid: what it holds cannot be stored here.
        """
        ...

    def read(self, entry: Entry, start: int, length: int) -> Iterator[bytes]:
        """The bytes from `start` on, in pieces; fewer than `length` when the store ends early.

        Raises:
            RemoteError: while it is asked, or between two pieces.
        """
        ...

    def crc64(self, entry: Entry) -> int | None:
        """CRC-64/XZ that the store gives for the whole object; None when it gives none.

        A sum that the listing tells is in the entry itself: its `crc64` or `check`.

        It is asked after the object was read. Raises as `read`.
        """
        ...

    def check(self, entry: Entry) -> str:
        """Another sum of the whole object, in the form of `Entry.check`; "" when the store tells none.

        It is asked before the object is read, unless the entry has one. Raises as `read`.
        """
        ...


class RemoteError(Unavailable):
    """An object store did not give what it was asked for."""

    permanent = True  #: not without somebody's doing


class Changed(RemoteError):
    """The object is another one than was listed."""


class Denied(RemoteError):
    """The store knows the caller, and says no; or it does not know the caller."""


class Missing(RemoteError):
    """No such bucket, folder or object."""


class Rejected(RemoteError):
    """The store calls the request wrong, or its answer makes no sense."""


class Damaged(RemoteError):
    """What arrived is not what is stored, and did not become it by fetching again."""


class Flaky(RemoteError):
    """The connection broke, the store is busy or does not answer: trying again may help."""

    permanent = False

    def __init__(self, what: str, why: str, *, wait: float = 0.0) -> None:
        """`wait`: seconds the store asked for."""
        super().__init__(what, why)
        self.wait = wait
