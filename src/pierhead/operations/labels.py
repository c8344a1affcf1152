"""Use cases on the labels of a service, which are the user tags of the deployment."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from sqlalchemy import Connection

from pierhead.core import lifecycle
from pierhead.core import tags as rules
from pierhead.core.errors import Conflict, Invalid
from pierhead.core.principals import Principal
from pierhead.core.registry import Extras, ResourceType, Tag
from pierhead.core.services import Seen, Service, Wanted
from pierhead.operations import services, tag_rows
from pierhead.operations.platform import Platform
from pierhead.operations.services import Decision, check_length
from pierhead.store import services as service_rows
from pierhead.store import tags as tags_of


async def put(
    platform: Platform, actor: Principal, name: str, labels: Mapping[str, str]
) -> Service:
    """Add labels, and overwrite those of the same keys.

    Raises:
        Invalid: a key is empty, or a key or value too long.
        NotFound: there is no such service.
        Conflict: it is being deleted, or was changed by others again and again.
        Forbidden: the actor may not do it, as the service is or as it would be.
        Locked: it is locked against every change.
    """
    for key, value in labels.items():
        if not key:
            raise Invalid("Labels", "a key is empty", "1 to 255 characters")
        check_length("Labels", key)
        check_length("Labels", value)
    return await _change(platform, actor, name, set(labels), lambda held: {**held, **labels})


async def remove(platform: Platform, actor: Principal, name: str, keys: Collection[str]) -> Service:
    """Remove the labels with these keys; one that is not there is no error.

    Raises:
        NotFound: there is no such service.
        Conflict: it is being deleted, or was changed by others again and again.
        Forbidden: the actor may not do it, as the service is or as it would be.
        Locked: it is locked against every change.
    """
    gone = set(keys)

    def without(held: Mapping[str, str]) -> dict[str, str]:
        return {key: value for key, value in held.items() if key not in gone}

    return await _change(platform, actor, name, gone, without)


async def _change(
    platform: Platform,
    actor: Principal,
    name: str,
    keys: set[str],
    changed: Callable[[Mapping[str, str]], dict[str, str]],
) -> Service:
    def decide(service: Service, _seen: Seen, now: float) -> Decision:
        if service.wanted is Wanted.DELETED:
            raise Conflict("service", service.name, "is being deleted")
        labels = changed(service.labels)
        if labels == dict(service.labels):
            return Decision(None)
        after = lifecycle.touch(replace(service, labels=labels), now)
        text = f"The labels of service [{service.name}] changed; no replica is touched."
        return Decision(after, "LabelsChanged", text)

    def tagged(tx: Connection, service: str) -> None:
        _tag(tx, platform, service, keys)

    return await services.change(platform, actor, name, decide, tagged)


def _tag(tx: Connection, platform: Platform, service: str, keys: Collection[str]) -> None:
    """Let the user tags of a deployment say what its labels with these keys say now."""
    found = service_rows.load(tx, service)
    if found is None:
        return
    labels = {key: value for key, value in found[0].labels.items() if key in keys}
    told: dict[str, str] = {}
    for tag in tags_of.of(tx, service):
        key, value = _said(tag)
        if not key or key not in keys:
            continue
        if labels.get(key) == value and key not in told:
            told[key] = value
        else:
            tags_of.remove(tx, tag.uuid)
    left = {key: value for key, value in labels.items() if key not in told}
    extras = Extras(user_tags=tuple(rules.texts(left)))
    tag_rows.attach_new(tx, platform, ResourceType.GROUP, service, extras)


def _said(tag: Tag) -> tuple[str, str]:
    """The label that a tag is; its key is "" where it is none."""
    if tag.system:
        return "", ""
    try:
        return rules.label(tag.tag)
    except Invalid:  # of an object that had no labels when it came
        return "", ""
