"""Tags and tag patterns as inventories."""

from typing import Any

from pierhead.core.registry import Tag, TagPattern
from pierhead.dialects.zstack.times import time_text


def system_tag(item: Tag) -> dict[str, Any]:
    """A SystemTagInventory; `inherent` ones are the platform's own and read-only."""
    return {**_tag(item), "inherent": item.inherent}


def user_tag(item: Tag, made_from: TagPattern | None = None) -> dict[str, Any]:
    """A UserTagInventory, with the pattern that it was made from, if any."""
    return {
        **_tag(item),
        "tagPatternUuid": item.pattern,
        "tagPattern": pattern(made_from) if made_from else None,
    }


def pattern(item: TagPattern) -> dict[str, Any]:
    """A TagPatternInventory."""
    return {
        "uuid": item.uuid,
        "name": item.name,
        "value": item.value,
        "description": item.description,
        "color": item.color,
        "type": item.type,
        "createDate": time_text(item.created),
        "lastOpDate": time_text(item.updated),
    }


def _tag(item: Tag) -> dict[str, Any]:
    return {
        "uuid": item.uuid,
        "resourceUuid": item.resource,
        "resourceType": str(item.resource_type),
        "tag": item.tag,
        "type": "System" if item.system else "User",
        "createDate": time_text(item.created),
        "lastOpDate": time_text(item.updated),
    }
