"""What the tags on a deployment do to it: acting system tags re-decide, user tags are labels."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from sqlalchemy import Connection

from pierhead.core import lifecycle, locks
from pierhead.core import tags as rules
from pierhead.core.principals import Principal
from pierhead.core.registry import ResourceType, Tag
from pierhead.core.services import Service, Wanted
from pierhead.operations import deployments
from pierhead.operations.platform import Platform
from pierhead.operations.services import event
from pierhead.store import events as event_rows
from pierhead.store import services as service_rows
from pierhead.store import tags as rows


def settle(
    tx: Connection,
    platform: Platform,
    actor: Principal,
    service: str,
    *,
    gone: Sequence[Tag] = (),
    come: Sequence[Tag] = (),
) -> None:
    """Bring a deployment in line with its tags, after some of their rows came and went.

    Raises:
        Invalid: a value is not legal.
        Conflict: the deployment is being deleted.
        Locked: its owner locked it against the change.
        Stale: it was changed under us.
    """
    found = service_rows.load(tx, service)
    if found is None or (found[0].wanted is Wanted.DELETED and not come):
        return
    before, now = found[0], platform.clock()
    left = rows.of(tx, service)
    after = _labelled(before, gone, come, left, now)
    if any(rules.kind(tag.tag) is not None for tag in (*gone, *come) if tag.system):
        after = _acting(after, gone, come, left, (now, platform.runtime_name))
    if after.revision == before.revision:
        return
    locks.demand(before, after, ResourceType.GROUP)
    service_rows.change(tx, replace(after, revision=before.revision + 1), actor.id)
    text = f"The tags of service [{before.name}] changed."
    event_rows.append(tx, event(before, actor, now, "TagsChanged", text))


def _labelled(
    service: Service, gone: Iterable[Tag], come: Iterable[Tag], left: Sequence[Tag], now: float
) -> Service:
    """The service with the labels that its user tags say."""
    texts = [tag.tag for tag in left if not tag.system]
    labels = dict(service.labels)
    for tag in gone:
        if not tag.system:
            labels = rules.without_label(labels, tag.tag, texts)
    labels |= dict(rules.label(tag.tag) for tag in come if not tag.system)
    if labels == dict(service.labels):
        return service
    return lifecycle.touch(replace(service, labels=labels), now)


def _acting(
    service: Service,
    gone: Iterable[Tag],
    come: Iterable[Tag],
    left: Iterable[Tag],
    moment: tuple[float, str],
) -> Service:
    """The service as its acting tags want it: only what was touched is decided anew.

    `moment`: the time, and the runtime of this platform.
    """
    now, here = moment
    touched = {rules.kind(tag.tag) for tag in (*gone, *come) if tag.system} - {None}
    said = [tag.tag for tag in left if tag.system and rules.kind(tag.tag) in touched]
    kept = [text for kind, text in _as_is(service).items() if kind not in touched]
    return deployments.tagged(service, [*said, *kept], now, here)


def _as_is(service: Service) -> dict[rules.Kind, str]:
    """The tags that would say what the service is now: it may have come about without any tag."""
    held = service.registration
    values: dict[rules.Kind, str | int] = {
        rules.Kind.REPLICAS: service.wanted_replicas,
        rules.Kind.GPUS: service.current.template.resources.gpu,
        rules.Kind.AUTH: "none" if held.open else "token",
        rules.Kind.RUNTIME: held.runtime,
    }
    return {kind: f"{kind}::{value}" for kind, value in values.items() if value != ""}
