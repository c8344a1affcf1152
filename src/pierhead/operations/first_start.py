"""What every installation has from its first start on, so that a newcomer's first call succeeds."""

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import Connection

from pierhead.core.errors import Unavailable
from pierhead.core.ids import fixed_id
from pierhead.core.registry import ModelCenter, RegisteredTemplate, Zone
from pierhead.core.resources import MIB
from pierhead.core.templates import Template
from pierhead.operations import centers, checks, zones
from pierhead.operations.platform import Platform
from pierhead.store import centers as center_rows
from pierhead.store import facts
from pierhead.store import templates as template_rows
from pierhead.store import zones as zone_rows

#: Bytes of memory of a template that says nothing of it.
MEMORY = 1024 * MIB
CENTER = "default"
#: Fact: the root that the last start gave to the default center.
_ROOT = "default-center-root"


@dataclass(frozen=True, slots=True)
class Home:
    """Where this installation is."""

    models: str  #: absolute path of the folder that the default center stands for
    port: int  #: of the control plane
    host: str = "127.0.0.1"


async def ensure(platform: Platform, home: Home) -> None:
    """Make what is missing: zone, center and shipped templates of this region; the rest stays as it is.

    Raises:
        Unavailable: the database does not answer, or the folder cannot be made.
    """
    try:
        await asyncio.to_thread(Path(home.models).mkdir, parents=True, exist_ok=True)
    except OSError as error:
        raise Unavailable(f"The folder {home.models}", error.strerror or str(error)) from error
    await platform.db.write(_ensure, platform, home)
    platform.survey(f"center:{centers.first_id(platform.region)}")


def template_id(spec: str) -> str:
    """The uuid of a shipped template."""
    return fixed_id("spec", spec)


def shipped(spec: Template, zone: Zone, center: ModelCenter, owner: str) -> RegisteredTemplate:
    """A built-in spec as clients see it; deployments of it use the spec itself."""
    return RegisteredTemplate(
        uuid=template_id(spec.name),
        name=spec.name,
        description=f"Built-in service spec of {spec.family or spec.name}, served by llama.cpp.",
        yaml="",
        request_cpu=1,
        request_memory=spec.resources.memory or MEMORY,
        center=center.uuid,
        install_path=spec.name,
        start_command="",
        owner=owner,
        created=zone.created,
        updated=zone.created,
        zone=zone.uuid,
        system=True,
        shipped=True,
        type="Endpoint",
        framework="llama.cpp",
        source="Other",
    )


def _ensure(tx: Connection, platform: Platform, home: Home) -> None:
    zone = _zone(tx, platform)
    center = _center(tx, platform, home, zone)
    specs = [shipped(spec, zone, center, platform.account) for spec in platform.templates.values()]
    there = {one.uuid: one for one in template_rows.many(tx, [spec.uuid for spec in specs])}
    for spec in specs:
        old = there.get(spec.uuid)
        if old is None:
            template_rows.add(tx, spec)
            continue
        # A release may say other things of a spec; what was read from files is not its business.
        new = replace(spec, size=old.size, readme=old.readme, updated=old.updated)
        if new != old:
            template_rows.change(tx, replace(new, updated=platform.clock()))


def _zone(tx: Connection, platform: Platform) -> Zone:
    uuid = zones.first_id(platform.region)
    there = zone_rows.load(tx, uuid)
    if there is not None:
        return there
    others = zones.everything(tx)
    now = platform.clock()
    zone = Zone(
        uuid=uuid,
        name=platform.region,
        created=now,
        updated=now,
        description="The pool of machines of this installation.",
        default=True,
    )
    for other in others:  # the region was renamed: its new name is the default now
        if other.default:
            zone_rows.change(tx, replace(other, default=False, updated=now))
    zone_rows.add(tx, zone)
    return zone


def _center(tx: Connection, platform: Platform, home: Home, zone: Zone) -> ModelCenter:
    uuid, url, now = centers.first_id(platform.region), f"file://{home.models}", platform.clock()
    there = center_rows.load(tx, uuid)
    written = facts.get(tx, _ROOT)
    facts.put(tx, _ROOT, url)
    if there is not None:
        # It follows the data folder, unless somebody gave it another root.
        if there.url != written or there.url == url:
            return there
        moved = replace(there, url=url, updated=now)
        center_rows.change(tx, moved)
        return moved
    for other in center_rows.page(tx, checks.ALL).rows:
        if other.default:
            center_rows.change(tx, replace(other, default=False, updated=now))
    center = ModelCenter(
        uuid=uuid,
        name=CENTER,
        url=url,
        management_ip=home.host,
        management_port=home.port,
        created=zone.created,
        updated=now,
        description="The folder of models of this installation.",
        zone=zone.uuid,
        default=True,
    )
    center_rows.add(tx, center)
    return center
