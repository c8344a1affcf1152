"""What an API is about to do, as policies are asked: both names of the deed, and each of its objects.

The objects are taken from the values that the handler gets, so that no spelling is judged as one
object and acted on as another.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from pierhead.core import spans
from pierhead.core import tags as rules
from pierhead.core.aliases import Noun
from pierhead.core.conditions import Context
from pierhead.core.errors import Invalid
from pierhead.core.permits import ANY, QUERIES, Deed, Target
from pierhead.core.registry import Extras, ResourceType
from pierhead.core.twins import LIST, LOOK
from pierhead.dialects.zstack.catalog import Api
from pierhead.dialects.zstack.reading import Given, Values

WHOLE: Noun = ("zstack", "*")
#: What everybody may who is logged in: it concerns their own login and nothing else.
OWN = frozenset({"RenewSession"})
#: What changes a group's labels, and what acts on a group, is a deed of the other door as well.
_LABELS, _UNLABELS, _ACTS = "eas:UpdateServiceLabel", "eas:DeleteServiceLabel", "eas:UpdateService"

Named = Callable[[Api, Mapping[str, Any]], Iterable[Target]]


def deed(api: Api, given: Given, values: Values | None, known: Context) -> Deed | None:
    """What a call is about to do; None: it needs no policy.

    Args:
        api: the API.
        given: the parameters as they came.
        values: as the handler gets them; None = they are not legal, which is told to those who may call.
        known: of the request: see `dialects/circumstances.py`.
    """
    if not api.authenticated or api.name in OWN:
        return None
    actions = (f"zstack:{api.name}", *((api.twin,) if api.twin else ()))
    params = given.path if values is None else values.params
    extras = Extras() if values is None else values.extras
    if api.name in _DEPLOYS:
        targets = tuple(_deployed(api, params, extras))
    else:
        targets = tuple(_NAMED.get(api.name, _usual)(api, params))
    return Deed(actions, targets or (Target(_kind(api)),), known)


def _kind(api: Api, name: str = "*") -> Noun:
    return ("zstack", f"{api.resource}/{name}") if api.resource else WHOLE


def _usual(api: Api, params: Mapping[str, Any]) -> Iterable[Target]:
    """What `uuid` or `uuids` name; of a question all of a kind, unless it is after one object."""
    uuids = [*_texts(params.get("uuid")), *_texts(params.get("uuids"))] if api.resource else []
    for uuid in dict.fromkeys(uuids):
        yield Target(_kind(api, uuid), kind=api.resource, uuid=uuid, lists=_lists(api))
    if not uuids and api.query:
        services = (("eas", "service/*"),) if api.resource == ResourceType.GROUP else ()
        yield Target(_kind(api), services, lists=_lists(api))


def _lists(api: Api) -> tuple[str, ...]:
    """What lets an object be in the answer to a question, for the kinds that lists tell apart."""
    action = f"zstack:{api.name}"
    if action not in QUERIES.values():
        return ()
    return (action, LIST, LOOK) if api.resource == ResourceType.GROUP else (action,)


def _deployed(api: Api, params: Mapping[str, Any], extras: Extras) -> Iterable[Target]:
    """A service to be made of a template; to make one of something else the same right is needed."""
    parts = cast("list[Mapping[str, Any]]", params.get("modelServices") or [])
    # What is said of each node of a replica. Another template or workspace than the first is refused later on,
    # after these rights: so each is asked for once, and not each with each. Of more nodes than may be none is made.
    said = [params, *parts[: spans.MOST_NODES]]
    uuids = list(dict.fromkeys(text for one in said for text in _texts(one.get("uuid")))) or ["*"]
    named = (text for one in said for text in _texts(one.get("projectUuid")))
    workspaces = list(dict.fromkeys(named)) or [""]
    first = (uuids[0], workspaces[0])
    others = [(uuids[0], each) for each in workspaces[1:]]
    for uuid, workspace in (first, *((each, first[1]) for each in uuids[1:]), *others):
        yield Target(
            _kind(api, uuid),
            (("eas", "*"),),
            kind=api.resource,
            uuid="" if uuid == "*" else uuid,
            workspace=workspace,
            labels=_labels(extras),
            makes=True,
        )


def _labels(extras: Extras) -> dict[str, str]:
    """The labels that user tags come to, as far as they can be labels."""
    found: dict[str, str] = {}
    for text in extras.user_tags:
        try:
            key, value = rules.label(text)
        except Invalid:
            continue
        found[key] = value
    return found


def _bound(_api: Api, params: Mapping[str, Any]) -> Iterable[Target]:
    yield from _each(ResourceType.MODEL, _texts(params.get("modelUuid")))
    yield from _each(ResourceType.TEMPLATE, _texts(params.get("modelServiceUuid")))


def _described(_api: Api, params: Mapping[str, Any]) -> Iterable[Target]:
    yield from _each(ResourceType.MODEL, _texts(params.get("modelUuids")))


def _in_centers(_api: Api, params: Mapping[str, Any]) -> Iterable[Target]:
    yield from _each(ResourceType.CENTER, _texts(params.get("modelCenterUuids")))


def _each(kind: ResourceType, uuids: Iterable[str]) -> Iterable[Target]:
    for uuid in dict.fromkeys(uuids):
        yield Target(("zstack", f"{kind}/{uuid}"), kind=kind, uuid=uuid)


def _tagged(api: Api, params: Mapping[str, Any]) -> Iterable[Target]:
    """A new tag: what counts is the object that it shall hang on."""
    named = next(iter(_texts(params.get("resourceType"))), "")
    kind = next((one for one in ResourceType if one.casefold() == named.casefold()), None)
    uuid = next(iter(_texts(params.get("resourceUuid"))), "")
    acts = _ACTS if api.name == "CreateSystemTag" else _LABELS
    if kind is not None and uuid:
        yield Target(_kind(api), kind=kind, uuid=uuid, on_service=(acts,))


def _tag(api: Api, params: Mapping[str, Any]) -> Iterable[Target]:
    """A tag that is there, or a pattern."""
    acts = (_ACTS,) if api.name == "UpdateSystemTag" else (_UNLABELS, _ACTS)
    for uuid in _texts(params.get("uuid")):
        yield Target(_kind(api, uuid), kind=api.resource, uuid=uuid, tag=uuid, on_service=acts)


def _attached(api: Api, params: Mapping[str, Any]) -> Iterable[Target]:
    """A pattern, and each object that gets or loses its tag."""
    acts = (_LABELS,) if api.name == "AttachTagToResources" else (_UNLABELS,)
    for uuid in _texts(params.get("tagUuid")):
        yield Target(_kind(api, uuid), kind=api.resource, uuid=uuid)
    for uuid in dict.fromkeys(_texts(params.get("resourceUuids"))):
        yield Target(("zstack", f"ResourceVO/{uuid}"), kind=ANY, uuid=uuid, on_service=acts)


def _texts(value: Any) -> list[str]:
    several = cast("list[Any]", value) if isinstance(value, list) else [value]
    return [text for text in several if isinstance(text, str) and text]


_DEPLOYS = frozenset({"DeployModelService", "DeployDistributedModelService"})
_NAMED: Mapping[str, Named] = {
    "BindModelToService": _bound,
    "UnbindModelFromService": _bound,
    "GenerateModelMetadata": _described,
    "GetModelCenterServices": _in_centers,
    "CreateSystemTag": _tagged,
    "CreateUserTag": _tagged,
    "UpdateSystemTag": _tag,
    "DeleteTag": _tag,
    "AttachTagToResources": _attached,
    "DetachTagFromResources": _attached,
}
