"""A service written down for elsewhere: what would have to be applied to a cluster to run it there."""

import re

from pierhead.core.errors import Conflict, Invalid
from pierhead.core.principals import Principal
from pierhead.core.services import Wanted
from pierhead.operations import services
from pierhead.operations.platform import Platform
from pierhead.operations.premises import Exported, ExportWish

_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,254}")


async def export(platform: Platform, actor: Principal, name: str, wish: ExportWish) -> Exported:
    """A service's manifests for Kubernetes, whatever runtime it runs on here.

    Raises:
        NotFound: there is no such service.
        Forbidden: it is not for `actor`.
        Invalid: the wish is not legal.
        Conflict, Unsupported: it cannot be run on a cluster as it is.
        Unavailable: its weights, or the database, do not answer.
    """
    if wish.namespace and _NAMESPACE.fullmatch(wish.namespace) is None:
        legal = "1 to 63 lower-case letters, digits and hyphens"
        raise Invalid("Namespace", f"[{wish.namespace[:80]}]", legal)
    if wish.image and _IMAGE.fullmatch(wish.image) is None:
        raise Invalid(
            "Image", f"[{wish.image[:80]}]", "an image such as registry.example/pierhead:1"
        )
    service, seen = await services.find(platform, name, actor)
    if service.wanted is Wanted.DELETED:
        raise Conflict("service", service.name, "is being deleted")
    return await platform.premises.export(actor, service, seen, wish)
