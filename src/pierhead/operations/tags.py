"""Use cases on tags: on any registered object and on deployments, where some of them act."""

from dataclasses import dataclass, replace

from sqlalchemy import Connection

from pierhead.core import tags as rules
from pierhead.core.errors import Conflict, Duplicate, Invalid, NotFound
from pierhead.core.ids import registry_id
from pierhead.core.principals import Principal
from pierhead.core.query import Found, Query
from pierhead.core.registry import ResourceType, Tag
from pierhead.core.services import Wanted
from pierhead.operations import group_tags, references, rights
from pierhead.operations.detaching import guarded
from pierhead.operations.platform import Also, Platform, nothing
from pierhead.store import services as service_rows
from pierhead.store import tags as rows

SYSTEM, USER = "SystemTagVO", "UserTagVO"


@dataclass(frozen=True, slots=True)
class Wish:
    """A tag to be made."""

    resource_type: ResourceType
    resource: str  #: uuid of the object
    text: str
    system: bool


async def create(platform: Platform, actor: Principal, wish: Wish, also: Also = nothing) -> Tag:
    """Put a tag on an object; an acting one on a deployment acts at once.

    Raises:
        Invalid: its text is not legal.
        NotFound: there is no such object.
        Forbidden: the object is not the actor's.
        Duplicate: the object has it, or another of its kind, already.
    """
    (rules.system_tag if wish.system else rules.user_tag)(wish.text)

    def write(tx: Connection) -> Tag:
        demand(tx, actor, wish.resource_type, wish.resource)
        tag = _made(platform, wish)
        add(tx, platform, actor, tag)
        also(tx, tag.uuid)
        return tag

    tag = await guarded(platform, wish.resource, write)
    _wake(platform, tag)
    return tag


async def update(
    platform: Platform, actor: Principal, uuid: str, text: str, also: Also = nothing
) -> Tag:
    """Change the text of a system tag.

    Raises:
        Invalid: the text is not legal, or its value is not for a deployment.
        NotFound: there is no such system tag.
        Forbidden: its object is not the actor's.
        Conflict: it is read-only.
        Duplicate: the object has such a tag already.
    """

    def write(tx: Connection) -> Tag:
        old = rows.load(tx, uuid)
        if old is None or not old.system:
            raise NotFound(SYSTEM, uuid)
        demand(tx, actor, old.resource_type, old.resource)
        _refuse_inherent(old)
        rules.system_tag(text)
        new = replace(old, tag=text, updated=platform.clock())
        if text != old.tag:
            if new.resource_type is ResourceType.GROUP:
                _demand_closed(actor, rules.asked([text], "tag"))
            _refuse_second(tx, new)
            rows.change(tx, new)
            group_tags.settle(tx, platform, actor, old.resource, gone=[old], come=[new])
        also(tx, uuid)
        return new

    tag = await guarded(platform, uuid, write)
    _wake(platform, tag)
    return tag


async def delete(platform: Platform, actor: Principal, uuid: str, also: Also = nothing) -> None:
    """Remove a tag, or a pattern with all the tags made from it; what it asked for falls back.

    Raises:
        Forbidden: its object is not the actor's.
        Conflict: it is read-only.
    """

    def write(tx: Connection) -> list[Tag]:
        tag = rows.load(tx, uuid)
        gone = [] if tag is None else [tag]
        for one in gone:
            demand(tx, actor, one.resource_type, one.resource)
            _refuse_inherent(one)
            remove(tx, platform, actor, one)
        also(tx, uuid)
        return gone

    for tag in await guarded(platform, uuid, write):
        _wake(platform, tag)


async def page(platform: Platform, actor: Principal, query: Query, *, system: bool) -> Found[Tag]:
    """System or user tags on objects that `actor` sees."""
    return await platform.db.read(rows.page, query, rights.scope(actor), system=system)


def add(tx: Connection, platform: Platform, actor: Principal, tag: Tag) -> None:
    """Write a tag down and let it act.

    Raises:
        Duplicate: the object has it, or another of its kind, already.
        Conflict: it is a deployment that is being deleted.
        Invalid: its value is not legal for a deployment.
        Stale: the deployment was changed under us.
    """
    if tag.resource_type is ResourceType.GROUP:
        _refuse_on_group(tx, actor, tag)  # first: a value that is no value is no duplicate either
    _refuse_second(tx, tag)
    rows.add(tx, tag)
    if tag.resource_type is ResourceType.GROUP:
        group_tags.settle(tx, platform, actor, tag.resource, come=[tag])


def remove(tx: Connection, platform: Platform, actor: Principal, tag: Tag) -> None:
    """Take a tag away, and what it asked for.

    Raises:
        Stale: the deployment was changed under us.
    """
    rows.remove(tx, tag.uuid)
    if tag.resource_type is ResourceType.GROUP:
        group_tags.settle(tx, platform, actor, tag.resource, gone=[tag])


def demand(tx: Connection, actor: Principal, kind: ResourceType, uuid: str) -> None:
    """Refuse to tag what is not there, or not the actor's.

    Raises:
        NotFound: there is no such object of this kind for `actor`.
        Forbidden: `actor` only sees it.
    """
    match kind:
        case ResourceType.CENTER:
            references.center(tx, uuid)
        case ResourceType.GROUP:
            _demand_group(tx, actor, uuid)
        case ResourceType.MODEL:
            rights.demand_change(actor, references.model(tx, actor, uuid))
        case ResourceType.TEMPLATE:
            rights.demand_change(actor, references.template(tx, actor, uuid))
        case ResourceType.DATASET:
            rights.demand_change(actor, references.dataset(tx, actor, uuid))


def kind_of(tx: Connection, actor: Principal, uuid: str) -> ResourceType:
    """What kind of object this is, if `actor` may tag it.

    Raises:
        NotFound: there is no such object for `actor`.
        Forbidden: `actor` only sees it.
    """
    for kind in ResourceType:
        try:
            demand(tx, actor, kind, uuid)
        except NotFound:
            continue
        return kind
    raise NotFound("ResourceVO", uuid)


def resource_type(text: str) -> ResourceType:
    """The kind of object that a client names, in any case of letters.

    Raises:
        Invalid: nothing can be tagged that is called so.
    """
    for kind in ResourceType:
        if kind.casefold() == text.casefold():
            return kind
    raise Invalid("resourceType", f"[{text[:80]}]", ", ".join(ResourceType))


def _demand_group(tx: Connection, actor: Principal, uuid: str) -> None:
    found = service_rows.load(tx, uuid)
    if found is None or not rights.touches_service(actor, found[0]):
        raise NotFound(ResourceType.GROUP, uuid)


def _made(platform: Platform, wish: Wish) -> Tag:
    now = platform.clock()
    return Tag(
        uuid=registry_id(platform.entropy),
        resource=wish.resource,
        resource_type=wish.resource_type,
        tag=wish.text,
        system=wish.system,
        created=now,
        updated=now,
    )


def _refuse_second(tx: Connection, tag: Tag) -> None:
    """One text once on an object; of the acting ones one of each kind on a deployment."""
    others = [
        one
        for one in rows.of(tx, tag.resource)
        if one.system == tag.system and one.uuid != tag.uuid
    ]
    same = [one for one in others if (one.tag, one.pattern) == (tag.tag, tag.pattern)]
    if tag.system and tag.resource_type is ResourceType.GROUP:
        kind = rules.kind(tag.tag)
        same += [one for one in others if kind is not None and rules.kind(one.tag) is kind]
    if same:
        name = SYSTEM if tag.system else USER
        raise Duplicate(
            name, same[0].uuid, f"[{same[0].tag[:80]}] is on {tag.resource_type} [{tag.resource}]"
        )


def _demand_closed(actor: Principal, asked: rules.Asked) -> None:
    """Endpoints that ask for no token are the account's to make."""
    if asked.open:
        rights.demand_admin(actor, f"open an endpoint to everybody ({rules.Kind.AUTH}::none)")


def _refuse_on_group(tx: Connection, actor: Principal, tag: Tag) -> None:
    """Refuse, before anything is written, what a deployment cannot take."""
    if tag.system:
        _demand_closed(actor, rules.asked([tag.tag], "tag"))
    else:
        rules.label(tag.tag)
    found = service_rows.load(tx, tag.resource)
    if found is not None and found[0].wanted is Wanted.DELETED:
        raise Conflict(ResourceType.GROUP, tag.resource, "is being deleted")
    if found is not None and not tag.system:
        key, value = rules.label(tag.tag)
        labels = {**found[0].labels, key: value}
        rights.demand_service(actor, replace(found[0], labels=labels))


def _refuse_inherent(tag: Tag) -> None:
    if tag.inherent:
        raise Conflict(SYSTEM, tag.uuid, f"[{tag.tag[:80]}] is the platform's own and read-only")


def _wake(platform: Platform, tag: Tag) -> None:
    if tag.resource_type is ResourceType.GROUP:
        platform.wake(tag.resource)
