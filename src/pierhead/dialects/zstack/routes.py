"""From a request line to the APIs that it may mean, and the names in its path."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from urllib.parse import unquote_to_bytes

from pierhead.dialects.strict_json import UNCLEAN
from pierhead.dialects.zstack.catalog import Api, load
from pierhead.dialects.zstack.errors import TextRefusal, wrong_method

_VARIABLE = "{}"
_LONGEST_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Route:
    """What a method and a path lead to."""

    apis: tuple[Api, ...]  #: several only for PUT: a key of the body decides
    names: Mapping[str, str]  #: path variables
    path: str  #: normalized and decoded, after `/zstack`
    item: bool = False  #: a query's path of one object


@dataclass(frozen=True, slots=True)
class _End:
    """What a path is for one method."""

    apis: tuple[Api, ...]
    variables: tuple[str, ...]
    item: bool


@dataclass(slots=True)
class _Node:
    """One level of the paths."""

    children: dict[str, "_Node"] = field(default_factory=dict[str, "_Node"])
    ends: dict[str, _End] = field(default_factory=dict[str, _End])


def match(method: str, raw_path: str) -> Route:
    """The APIs of a raw path (percent-encoded, without the query, with `/zstack`).

    Double and trailing slashes do not count; `/actions` behind a PUT's path is an alias of it; a
    segment that stands in a path of the catalog goes before a variable.

    Raises:
        TextRefusal: 404 no API has this path; 405 none has it with this method; 400 no clean UTF-8.
    """
    segments = _segments(raw_path)
    path = "/" + "/".join(segments[1:])
    node, values = _find(segments)
    if method == "PUT" and (node is None or "actions" in values):
        stem, stem_values = _find(segments[:-1]) if segments[-1:] == ["actions"] else (None, [])
        if stem is not None and "PUT" in stem.ends:
            node, values = stem, stem_values
    if node is None:
        raise TextRefusal(404, no_api(path))
    end = node.ends.get(method)
    if end is None:
        raise wrong_method(method, tuple(sorted(node.ends)))
    return Route(end.apis, dict(zip(end.variables, values, strict=True)), path, end.item)


def no_api(path: str, why: str = "") -> str:
    """The text of a 404; `path` after `/zstack`."""
    shown = "".join(char if char.isprintable() else "?" for char in path[:_LONGEST_SHOWN])
    return f"no api mapping to {shown}" + (f": {why}" if why else "")


def _segments(raw_path: str) -> list[str]:
    """The parts, `zstack` first: split first and decoded then, so `%2F` stays inside its part."""
    try:
        found = [unquote_to_bytes(part).decode() for part in raw_path.split("/") if part]
    except UnicodeError as error:
        raise TextRefusal(400, "the path is not UTF-8") from error
    if UNCLEAN.search(raw_path) or any(UNCLEAN.search(part) for part in found):
        raise TextRefusal(400, "the path holds a NUL character")
    return found


def _find(segments: list[str]) -> tuple[_Node | None, list[str]]:
    """The node where a path ends, and the values of its variables."""
    node: _Node | None = _root()
    values: list[str] = []
    for segment in segments:
        inner = node.children.get(segment) if segment != _VARIABLE else None
        if inner is None:
            inner = node.children.get(_VARIABLE)
            values.append(segment)
        if inner is None:
            return None, values
        node = inner
    return (node if node.ends else None), values


@cache
def _root() -> _Node:
    root = _Node()
    for api in load().apis.values():
        _add(root, api.method, api.path, api)
        if api.item_path:
            _add(root, "GET", api.item_path, api, item=True)
        if api.name.startswith("LogIn"):
            _add(root, "POST", api.path, api)  # a published client logs in by POST
    return root


def _add(root: _Node, method: str, path: str, api: Api, *, item: bool = False) -> None:
    node, variables = root, list[str]()
    for segment in path.strip("/").split("/"):
        if segment.startswith("{"):
            variables.append(segment[1:-1])
            segment = _VARIABLE  # noqa: PLW2901 - the tree knows variables by place, not by name
        node = node.children.setdefault(segment, _Node())
    before = node.ends.get(method)
    apis = (*before.apis, api) if before else (api,)
    node.ends[method] = _End(apis, tuple(variables), item)
