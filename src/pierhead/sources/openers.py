"""Opens a folder far away with what its storage connection says, by the kind of the store."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from pierhead.core.connections import Account
from pierhead.core.ids import Clock
from pierhead.core.mounts import HubSource, NasSource, OssSource, S3Source
from pierhead.core.mounts import Remote as RemoteSource
from pierhead.sources import oss
from pierhead.sources.addresses import Egress
from pierhead.sources.hub import HubFolder
from pierhead.sources.nfs import NfsRemote
from pierhead.sources.remote import Missing, Remote
from pierhead.sources.s3 import S3Remote


class Opened(Remote, Protocol):
    """A remote folder that holds connections."""

    def close(self) -> None:
        """End them; it can be used again all the same."""
        ...


Bucket = OssSource | S3Source
#: (what opens it, where it is, the account of the moment, the clock) -> the folder
Opener = Callable[[Account, Bucket, Callable[[], Account], Clock], Opened]

_KEPT = 2.0  #: seconds that an account is remembered


@dataclass(slots=True)
class Renewed:
    """The account of the moment: a temporary key that is replaced in mid-download is used at once."""

    find: Callable[[], Account | None]  #: blocks
    clock: Clock
    account: Account = field(repr=False)
    _read: float = 0.0

    def __call__(self) -> Account:
        now = self.clock()
        if not 0 <= now - self._read < _KEPT:
            # One that was removed meanwhile still ends what it began.
            self.account = self.find() or self.account
            self._read = now
        return self.account


def _oss(
    account: Account, source: Bucket, current: Callable[[], Account], clock: Clock
) -> oss.OssFolder:
    connection = account.connection

    def keys() -> oss.Keys:
        found = current()
        return oss.Keys(found.connection.access_key_id, found.keys.secret, found.keys.token)

    place = oss.address(source.bucket, source.prefix, connection.endpoint, connection.region)
    return oss.OssFolder(place, keys, Egress(private=connection.allow_private), clock)


def _s3(account: Account, source: Bucket, current: Callable[[], Account], clock: Clock) -> S3Remote:
    egress = Egress(private=account.connection.allow_private)
    return S3Remote(account.connection, source.prefix, current, egress, clock)


#: Kind of a connection -> what opens a folder behind it.
OPENERS: dict[str, Opener] = {"oss": _oss, "s3": _s3}


def opened(
    source: RemoteSource,
    account: Account,
    find: Callable[[RemoteSource], Account | None],
    clock: Clock,
) -> Opened:
    """The folder of a source, to be fetched; of a NAS, over NFS.

    Raises:
        Missing: its NAS is mounted here, so that nothing is fetched.
        Invalid, Unavailable: the connection cannot be used.
    """
    if isinstance(source, NasSource):
        if not account.connection.nfs:
            raise Missing(str(source), f"it is mounted at {account.connection.local_path}")
        return NfsRemote(account.connection, source)
    current = Renewed(lambda: find(source), clock, account)
    if isinstance(source, HubSource):
        egress = Egress(private=account.connection.allow_private)
        return HubFolder(source, account, current, egress)
    return OPENERS[source.kind](account, source, current, clock)
