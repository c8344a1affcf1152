"""Use cases on the pool of machines that everything runs in."""

from sqlalchemy import Connection

from pierhead.core.aliases import Realm
from pierhead.core.capacity import Pool
from pierhead.operations import zones
from pierhead.operations.platform import Platform
from pierhead.store import services as service_rows
from pierhead.store import zones as zone_rows


def id_of(platform: Platform) -> str:
    """The pool's id."""
    return Realm(platform.region, platform.account).pool


async def load(platform: Platform) -> Pool:
    """The pool, with everything that runs in it: what is in use is no secret, by whom may be one."""

    def read(tx: Connection) -> Pool:
        zone = zone_rows.load(tx, zones.first_id(platform.region))
        return Pool(
            id=id_of(platform),
            region=platform.region,
            account=platform.account,
            nodes=tuple(platform.nodes),
            found=service_rows.everything(tx),
            created=zone.created if zone else 0.0,
        )

    return await platform.db.read(read)
