"""Tag rows that come with a new object. Apart from `tags.py`, which knows deployments."""

from collections.abc import Iterable, Iterator

from sqlalchemy import Connection

from pierhead.core import tags as rules
from pierhead.core.errors import NotFound
from pierhead.core.ids import Entropy, registry_id
from pierhead.core.registry import Extras, ResourceType, Tag, TagPattern
from pierhead.operations.platform import Platform
from pierhead.store import patterns as pattern_rows
from pierhead.store import tags as rows

PATTERN = "TagPatternVO"


def attach_new(
    tx: Connection, platform: Platform, kind: ResourceType, resource: str, extras: Extras
) -> None:
    """Write the tags that a new object comes with; each text once.

    Raises:
        Invalid: a text is not legal.
        NotFound: a pattern is not there.
    """
    for tag in _wanted(tx, platform, kind, resource, extras):
        rows.add(tx, tag)


def user_texts(tx: Connection, extras: Extras) -> tuple[str, ...]:
    """Texts of all user tags that a new object comes with, those of patterns too.

    Raises:
        Invalid: a text is not legal.
        NotFound: a pattern is not there.
    """
    made = [pattern(tx, uuid).value for uuid in extras.tag_patterns]
    return tuple(dict.fromkeys(map(rules.user_tag, [*extras.user_tags, *made])))


def inherent(entropy: Entropy, service: str, slug: str, now: float) -> Tag:
    """The read-only tag that names a deployment's service."""
    text = f"{rules.Kind.SERVICE_NAME}::{slug}"
    return Tag(
        uuid=registry_id(entropy),
        resource=service,
        resource_type=ResourceType.GROUP,
        tag=text,
        system=True,
        created=now,
        updated=now,
        inherent=True,
    )


def pattern(tx: Connection, uuid: str) -> TagPattern:
    """The tag pattern.

    Raises:
        NotFound: there is none.
    """
    found = pattern_rows.load(tx, uuid)
    if found is None:
        raise NotFound(PATTERN, uuid)
    return found


def _wanted(
    tx: Connection, platform: Platform, kind: ResourceType, resource: str, extras: Extras
) -> Iterator[Tag]:
    now = platform.clock()

    def made(text: str, *, system: bool, of: str | None = None) -> Tag:
        return Tag(
            uuid=registry_id(platform.entropy),
            resource=resource,
            resource_type=kind,
            tag=text,
            system=system,
            created=now,
            updated=now,
            pattern=of,
        )

    for text in _once(extras.system_tags):
        yield made(rules.system_tag(text, "systemTags"), system=True)
    for text in _once(extras.user_tags):
        yield made(rules.user_tag(text, "userTags"), system=False)
    for uuid in _once(extras.tag_patterns):
        yield made(pattern(tx, uuid).value, system=False, of=uuid)


def _once(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))
