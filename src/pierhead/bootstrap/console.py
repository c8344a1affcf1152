"""The console's own paths, built from the settings; what hub and dialects know more of is added to it."""

import secrets
import time
import uuid

from pierhead import __version__
from pierhead.dialects.watch import Watch
from pierhead.operations.consoles import Consoles
from pierhead.operations.permission import Permission
from pierhead.settings import Settings
from pierhead.web.console import Console
from pierhead.web.console_identity import Identity, Place, Watching
from pierhead.web.sessions import Sessions


def console(
    consoles: Consoles, permission: Permission, watch: Watch, settings: Settings
) -> Console:
    """The console, with its sessions."""
    place = Place(
        region=settings.region,
        version=__version__,
        gateway=settings.gateway_endpoint,
        endpoint=settings.hub_endpoint,
    )
    watching = Watching(watch.note, watch.passwords, watch.keys)
    found = Console(Sessions(consoles, watch.pace.take), _request_id, time.time)
    found.add(*Identity(consoles, permission, place, watching).routes())
    return found


def _request_id() -> str:
    return str(uuid.UUID(bytes=secrets.token_bytes(16), version=4)).upper()
