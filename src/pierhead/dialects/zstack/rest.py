"""The REST door: what a request's query string and body say, and which API a PUT means."""

from collections.abc import Mapping, Sequence
from typing import Any, cast
from urllib.parse import parse_qsl

from pierhead.core.errors import Invalid
from pierhead.dialects.strict_json import UNCLEAN, parse_json
from pierhead.dialects.zstack.catalog import Api
from pierhead.dialects.zstack.errors import TextRefusal
from pierhead.dialects.zstack.reading import Given
from pierhead.dialects.zstack.routes import Route

#: Levels of nesting that a body may have.
DEPTH = 100
_MOST_FIELDS = 20_000
_EITHER = ("param", "params")
#: Keys that clients use in place of an action's own.
_ALIASES = {"LogInByAccount": ("logIn",)}
_DEPLOY_TYPES = frozenset({"virtualmachine", "container"})


def parse_query(raw: bytes) -> dict[str, list[str]]:
    """The values of a query string by name.

    Raises:
        TextRefusal: it is not UTF-8, holds a NUL character, or has too many fields.
    """
    try:
        pairs = parse_qsl(
            raw.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    except ValueError as error:
        raise TextRefusal(400, "the query string is not UTF-8, or has too many fields") from error
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        if UNCLEAN.search(name) or UNCLEAN.search(value):
            raise TextRefusal(400, "the query string holds a NUL character")
        found.setdefault(name, []).append(value)
    return found


def parse_body(body: bytes) -> dict[str, Any]:
    """The object that a body is; an empty one, or null, is an empty object.

    Raises:
        TextRefusal: it is not UTF-8, no JSON, harmful, or no object.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise TextRefusal(400, "the body is not UTF-8") from error
    if not text.strip():
        return {}
    try:
        value = parse_json(text, "body", DEPTH)
    except Invalid as error:
        raise TextRefusal(400, error.message) from error
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise TextRefusal(400, "the body is no JSON object")
    return cast(dict[str, Any], value)


def understand(
    route: Route, method: str, query: Mapping[str, Sequence[str]], body: Mapping[str, Any]
) -> tuple[Api, Given]:
    """The API that a request means, and its parameters by place.

    Raises:
        TextRefusal: a PUT whose body names no action of its path; a wrapper that is no object.
    """
    if method in ("GET", "DELETE"):
        return route.apis[0], Given(route.names, query)
    if method == "PUT":
        api, key = _action(route, body)
    else:
        api = route.apis[0]
        key = next((key for key in _keys(api) if key in body), "")
    inside: Any = body.get(key) if key else body
    if inside is None:
        inside = {}
    if not isinstance(inside, dict):
        raise TextRefusal(400, f"the value of [{key}] is no JSON object")
    params = cast(dict[str, Any], inside)
    return api, Given(route.names, {}, params, body) if key else Given(route.names, {}, params)


def _keys(api: Api) -> tuple[str, ...]:
    """The keys under which a body may hold the parameters."""
    return (api.wrapper, *_ALIASES.get(api.name, ()), *_EITHER)


def _action(route: Route, body: Mapping[str, Any]) -> tuple[Api, str]:
    """The API of a PUT and the key that holds its parameters; "" = the body itself does."""
    actions = {api.action: api for api in route.apis}
    for key in body:
        if key in actions:
            return actions[key], key
    if len(route.apis) == 1:
        for key in _keys(route.apis[0])[1:]:
            if key in body:
                return route.apis[0], key
    else:
        api = _by_fields(actions, body)
        if api is not None:
            return api, ""
    raise TextRefusal(
        400, f"the body doesn't contain action mapping to the URL[{route.path[:200]}]"
    )


def _by_fields(actions: Mapping[str, Api], body: Mapping[str, Any]) -> Api | None:
    """A deploy or an update of a template, told by the fields of a body without a wrapper."""
    kind = body.get("type")
    deploy = isinstance(kind, str) and kind.strip().lower() in _DEPLOY_TYPES
    if deploy and "zoneUuid" in body and "name" in body:
        return actions["deployModelService"]
    update = actions["updateModelService"]
    known = {param.name for param in update.params if param.place == "body"}
    return update if known & body.keys() else None
