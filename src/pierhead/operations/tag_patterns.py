"""Use cases on tag patterns: named tags that are attached to objects, one user tag on each."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from pierhead.core import tags as rules
from pierhead.core.errors import Duplicate, Invalid, PierheadError, Stale, Unsupported
from pierhead.core.ids import registry_id
from pierhead.core.principals import Principal
from pierhead.core.query import Condition, Found, Op, Query
from pierhead.core.registry import Extras, ResourceType, Tag, TagPattern
from pierhead.operations import checks, tag_rows, tags
from pierhead.operations.detaching import guarded
from pierhead.operations.platform import Also, Platform, nothing
from pierhead.store import patterns as rows
from pierhead.store import tags as of_objects

KIND = tag_rows.PATTERN
WITH_TOKEN = "withToken"  # noqa: S105 - the wire's name of a type
_TEXT = 128  #: characters of a pattern's name and of its value
#: One object, and the tag that it got or why it got none.
Outcome = tuple[str, Tag | PierheadError]


async def create(
    platform: Platform,
    _actor: Principal,
    pattern: TagPattern,
    extras: Extras,
    also: Also = nothing,
) -> TagPattern:
    """Make a pattern.

    Raises:
        Invalid: a field is not legal.
        Taken: the wanted uuid is used.
        Unsupported: it is to carry tags itself.
    """
    if extras.tag_patterns or extras.system_tags or extras.user_tags:
        raise Unsupported("A tag on a tag", "tags hang on centers, models, services and datasets")
    check(pattern)
    now = platform.clock()
    made = replace(pattern, uuid=checks.uuid_for(platform, extras), created=now, updated=now)

    def write(tx: Connection) -> TagPattern:
        rows.add(tx, made)
        also(tx, made.uuid)
        return made

    return await platform.db.write(write)


async def update(
    platform: Platform,
    _actor: Principal,
    uuid: str,
    changes: Mapping[str, Any],
    also: Also = nothing,
) -> TagPattern:
    """Change a pattern; tags that were made from it keep their text.

    Raises:
        NotFound: there is no such pattern.
        Invalid: a field is not legal.
    """

    def write(tx: Connection) -> TagPattern:
        old = tag_rows.pattern(tx, uuid)
        new = replace(old, **changes)
        check(new)
        if new != old:
            new = replace(new, updated=platform.clock())
            rows.change(tx, new)
        also(tx, uuid)
        return new

    return await platform.db.write(write)


async def delete(platform: Platform, actor: Principal, uuid: str, also: Also = nothing) -> bool:
    """Remove a pattern with all tags that were made from it; False when there is none.

    Raises:
        Forbidden: one of the tagged objects is not the actor's.
    """

    def write(tx: Connection) -> list[Tag] | None:
        if rows.load(tx, uuid) is None:
            return None
        made = _attached(tx, uuid)
        for tag in made:
            tags.demand(tx, actor, tag.resource_type, tag.resource)
            tags.remove(tx, platform, actor, tag)
        rows.remove(tx, uuid)
        also(tx, uuid)
        return made

    gone = await guarded(platform, uuid, write)
    _wake(platform, gone or [])
    return gone is not None


async def attach(
    platform: Platform,
    actor: Principal,
    uuid: str,
    resources: Sequence[str],
    tokens: Mapping[str, str],
    also: Also = nothing,
) -> list[Outcome]:
    """Put a pattern's tag on each object, its places filled; one that cannot have it is told by itself.

    Raises:
        NotFound: there is no such pattern.
        Invalid: a place of the pattern has no token.
    """

    def write(tx: Connection) -> list[Outcome]:
        pattern = tag_rows.pattern(tx, uuid)
        text = pattern.value
        if pattern.type == WITH_TOKEN:
            text = rules.user_tag(rules.filled(text, tokens), "tokens")
        outcomes = [
            (resource, _attach(tx, platform, actor, _tag(platform, uuid, resource, text)))
            for resource in dict.fromkeys(resources)
        ]
        also(tx, uuid)
        return outcomes

    outcomes = await guarded(platform, uuid, write)
    _wake(platform, [tag for _, tag in outcomes if isinstance(tag, Tag)])
    return outcomes


async def detach(
    platform: Platform,
    actor: Principal,
    uuid: str,
    resources: Sequence[str],
    also: Also = nothing,
) -> None:
    """Take a pattern's tags off these objects, where they are.

    Raises:
        NotFound: there is no such pattern.
        Forbidden: one of the objects is not the actor's.
    """

    def write(tx: Connection) -> list[Tag]:
        tag_rows.pattern(tx, uuid)
        gone = [tag for tag in _attached(tx, uuid) if tag.resource in set(resources)]
        for tag in gone:
            tags.demand(tx, actor, tag.resource_type, tag.resource)
            tags.remove(tx, platform, actor, tag)
        also(tx, uuid)
        return gone

    _wake(platform, await guarded(platform, uuid, write))


async def page(platform: Platform, _actor: Principal, query: Query) -> Found[TagPattern]:
    """Patterns; everybody sees them all."""
    return await platform.db.read(rows.page, query)


async def many(platform: Platform, uuids: Sequence[str]) -> list[TagPattern]:
    """The patterns of these uuids, as far as they are there."""
    return await platform.db.read(rows.many, list(dict.fromkeys(uuids)))


def check(pattern: TagPattern) -> None:
    """Refuse what no pattern may be.

    Raises:
        Invalid: the first field that is not legal.
    """
    checks.name(pattern.name)
    rules.user_tag(pattern.value, "value")
    checks.texts(
        [
            ("name", pattern.name, _TEXT),
            ("value", pattern.value, _TEXT),
            ("description", pattern.description, checks.DESCRIPTION),
            ("color", pattern.color, 32),
        ]
    )
    if pattern.type == WITH_TOKEN and not rules.places(pattern.value):
        raise Invalid("value", f"[{pattern.value}] has no {{token}}", "performance::{level}")


def _attach(tx: Connection, platform: Platform, actor: Principal, tag: Tag) -> Tag | PierheadError:
    """Nothing is written before the first refusal, so the transaction may go on after one."""
    try:
        kind = tags.kind_of(tx, actor, tag.resource)
        placed = replace(tag, resource_type=kind)
        if any(one.pattern == tag.pattern for one in of_objects.of(tx, tag.resource)):
            raise Duplicate(KIND, str(tag.pattern), f"is attached to [{tag.resource}]")
        tags.add(tx, platform, actor, placed)
    except Stale:
        raise
    except PierheadError as error:
        return error
    return placed


def _tag(platform: Platform, pattern: str, resource: str, text: str) -> Tag:
    now = platform.clock()
    return Tag(
        uuid=registry_id(platform.entropy),
        resource=resource,
        resource_type=ResourceType.TEMPLATE,  # found out when it is attached
        tag=text,
        system=False,
        created=now,
        updated=now,
        pattern=pattern,
    )


def _attached(tx: Connection, pattern: str) -> list[Tag]:
    query = Query((Condition("tagPatternUuid", Op.EQUAL, pattern),), limit=checks.INTEGER)
    return list(of_objects.page(tx, query, system=False).rows)


def _wake(platform: Platform, changed: Sequence[Tag]) -> None:
    for tag in changed:
        if tag.resource_type is ResourceType.GROUP:
            platform.wake(tag.resource)
