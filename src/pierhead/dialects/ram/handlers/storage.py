"""Storage connections: ours, not the vendor's."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from pierhead.core.connections import Account, Connection, Keys, Kind
from pierhead.dialects.ram import present
from pierhead.dialects.ram.calls import Call, Handler
from pierhead.dialects.ram.present import Json
from pierhead.operations import storage
from pierhead.operations.platform import Platform
from pierhead.operations.storage import Kept


@dataclass(frozen=True, slots=True)
class Storage:
    """What the API does to storage connections; secrets go in only."""

    platform: Platform

    def table(self) -> Mapping[str, Handler]:
        """Operation id -> handler."""
        return {
            "CreateStorageConnection": self.create,
            "GetStorageConnection": self.get,
            "DeleteStorageConnection": self.delete,
            "ListStorageConnections": self.listed,
        }

    async def create(self, call: Call) -> Json:
        """A new connection."""
        account = account_of(call, self.platform.clock())
        made = await storage.create(self.platform, call.principal, account)
        return {"StorageConnection": _shown(made)}

    async def get(self, call: Call) -> Json:
        """One connection."""
        name = call.text("ConnectionName")
        return {"StorageConnection": _shown(await storage.one(self.platform, call.principal, name))}

    async def delete(self, call: Call) -> Json:
        """One connection less."""
        name, force = call.text("ConnectionName"), call.flag("Force")
        await storage.delete(self.platform, call.principal, name, force=force)
        return {}

    async def listed(self, call: Call) -> Json:
        """All connections."""
        found = await storage.listed(self.platform, call.principal)
        return {"StorageConnections": {"StorageConnection": [_shown(one) for one in found]}}


def account_of(call: Call, created: float) -> Account:
    """The connection that a call describes, with its keys; nothing of it is checked yet."""
    keys = Keys(call.text("AccessKeySecret"), call.text("SecurityToken"))
    workspaces = [part.strip() for part in call.text("Workspaces").split(",")]
    connection = Connection(
        name=call.text("ConnectionName"),
        kind=cast(Kind, call.text("Kind")),
        bucket=call.text("Bucket"),
        endpoint=call.text("Endpoint").rstrip("/"),
        region=call.text("StorageRegion"),
        access_key_id=call.text("StorageAccessKeyId"),
        allow_private=call.flag("AllowPrivate"),
        mount_target=call.text("MountTarget"),
        local_path=call.text("LocalPath"),
        nfs=call.text("Nfs"),
        created=created,
        workspaces=tuple(filter(None, workspaces)),
    )
    return Account(connection, keys)


def _shown(one: Kept) -> Json:
    connection = one.connection
    return {
        "ConnectionName": connection.name,
        "Kind": connection.kind,
        "Serves": connection.serves,
        "Bucket": connection.bucket,
        "Endpoint": connection.endpoint,
        "StorageRegion": connection.region,
        "StorageAccessKeyId": connection.access_key_id,
        "AllowPrivate": connection.allow_private,
        "MountTarget": connection.mount_target,
        "LocalPath": connection.local_path,
        "Nfs": connection.nfs,
        "Workspaces": list(connection.workspaces),
        "Services": list(one.services),
        "ServiceCount": one.used,
        "CreateDate": present.moment(connection.created),
    }
