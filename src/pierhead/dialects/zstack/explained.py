"""The catalog in neutral words: for the explorer, the samples and the documentation."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from pierhead.core import examples
from pierhead.core.conditions import KEYS, RESOURCE_TAG
from pierhead.core.example_values import UUID
from pierhead.core.history import with_history
from pierhead.core.reference import Authorization, Parameter, Place, Style
from pierhead.core.reference import Operation as Told
from pierhead.dialects.zstack import shown_examples
from pierhead.dialects.zstack.answers import BARE
from pierhead.dialects.zstack.asking import OWN
from pierhead.dialects.zstack.catalog import Api, Catalog, Param, load
from pierhead.dialects.zstack.errors import CODES
from pierhead.dialects.zstack.query_parameters import QUERY_PARAMETERS

PRODUCT, VERSION = "zstack", "v1"
#: What no client of the generation 5.3.20 knows.
NEWER = "clients > 5.3.20"
COMMON = ("SYS.1000", "SYS.1010", "ID.1001", "ID.1002")
_STATUS = 503  #: of every refusal that has a code
_NO_EFFECT = "accepted; there is nothing on this platform that it could act on"
_DEEPEST = 3  #: objects inside objects: some hold their own kind
_SCALARS = {
    "String": "string",
    "Integer": "integer",
    "int": "integer",
    "Long": "integer",
    "long": "integer",
    "Float": "number",
    "Boolean": "boolean",
    "boolean": "boolean",
    "Timestamp": "string",
    "LinkedHashMap": "map",
    "List": "array",
}
_ACCESS = {"GET": "get", "POST": "create", "PUT": "update", "DELETE": "delete"}
_LOOKS = ("Get", "Query", "Is", "Validate", "Match", "ZQL")
_TAGS = tuple(
    Parameter(name, "array", items=Parameter("", "string"), type_text="List<String>", example=[])
    for name in ("systemTags", "userTags")
)


def operations() -> tuple[Told, ...]:
    """All APIs, in the catalog's order, each with examples."""
    catalog = load()
    return tuple(told(api, catalog) for api in catalog.apis.values())


def find(_product: str, name: str) -> Told | None:
    """One API by its name, as it is spelled."""
    api = load().apis.get(name)
    return None if api is None else told(api, load())


def codes() -> Mapping[str, tuple[int, str]]:
    """Code -> (HTTP status, what it means)."""
    return {code: (_STATUS, english) for code, (english, _chinese) in CODES.items()}


def told(api: Api, catalog: Catalog) -> Told:
    """One API, with examples."""
    access = "get" if api.name.startswith(_LOOKS) else _ACCESS[api.method]
    access = "list" if api.query else access
    found = Told(
        product=PRODUCT,
        version=VERSION,
        id=api.name,
        style=Style.ZSTACK,
        method=api.method,
        path=api.path,
        group=_group(api),
        parameters=tuple(_parameters(api, catalog)),
        response=tuple(_response(api, catalog)),
        authorization=_authorization(api, access),
        wrapper=api.wrapper,
        unsupported=api.reason if api.tier == 3 else "",
        since=shown_examples.SINCE.get(api.name, VERSION),
        synchronous=api.sync or api.status != 202,
        errors=_errors(api),
    )
    shown = shown_examples.with_seeds(
        examples.exemplified(examples.hinted(found, shown_examples.HINTS))
    )
    return with_history(shown)


def _group(api: Api) -> str:
    if api.resource:
        return api.resource.removesuffix("VO")
    return "Evaluation" if "Eval" in api.name else "Platform"


def _authorization(api: Api, access: str) -> Authorization:
    if not api.authenticated or api.name in OWN:
        return Authorization("", access if access != "get" else "none", "*", (), "inferred")
    named = any(one.name == "uuid" for one in api.params)
    noun = "*"
    if api.resource:
        place = "uuid" if named else ("uuids" if "uuids" in _names(api) else "")
        noun = f"{api.resource}/{{{place}}}" if place else f"{api.resource}/*"
    keys = (*KEYS, f"{RESOURCE_TAG}<key>") if "InstanceGroup" in api.resource else KEYS
    resource = f"acs:zstack:{{regionId}}:{{accountId}}:{noun}"
    return Authorization(f"zstack:{api.name}", access, resource, keys, "inferred")


def _names(api: Api) -> set[str]:
    return {one.name for one in api.params}


def _parameters(api: Api, catalog: Catalog) -> Iterator[Parameter]:
    for item in api.params:
        yield replace(parameter(item, catalog), place=Place(item.place))
    if api.query:
        for name, (kind, _meaning) in QUERY_PARAMETERS.items():
            items = Parameter("", "string", example=_condition(api, catalog))
            items = items if kind == "array" else None
            yield Parameter(name, kind, Place.QUERY, items=items)
    if api.tags:
        yield from _TAGS


def _condition(api: Api, catalog: Catalog) -> str:
    found = catalog.inventories.get(api.inventory)
    named = found is not None and any(one.name == "name" for one in found.fields)
    return "name=chat" if named else f"uuid={UUID}"


def parameter(item: Param, catalog: Catalog, depth: int = 0) -> Parameter:
    """A parameter, or a field of a struct inside one."""
    listed = item.type.startswith("List<")
    known = tuple(sorted(set(item.spelling.values())))
    found = of_type(item.type, catalog, depth)
    return replace(
        found,
        name=item.name,
        required=item.required,
        values=item.values or known,
        open=not item.values and bool(known),
        default=item.default,
        minimum=item.low,
        maximum=item.high,
        longest=0 if listed else item.longest,
        effectless=_NO_EFFECT if item.no_effect else "",
        type_text=item.type,
    )


def of_type(kind: str, catalog: Catalog, depth: int = 0) -> Parameter:
    """A nameless value of a type as the wire's clients spell it."""
    if kind.startswith("List<"):
        return Parameter("", "array", items=of_type(kind[5:-1], catalog, depth), type_text=kind)
    if kind.startswith("Map<String,"):
        return Parameter("", "map", items=of_type(kind[11:-1], catalog, depth), type_text=kind)
    if kind in catalog.structs:
        fields = catalog.structs[kind] if depth < _DEEPEST else ()
        inner = tuple(parameter(one, catalog, depth + 1) for one in fields)
        return Parameter("", "object", fields=inner, type_text=kind)
    if kind in catalog.inventories:
        return _inventory(kind, catalog, depth)
    example = "Nov 21, 2026 7:27:22 PM" if kind == "Timestamp" else None
    return Parameter("", _SCALARS.get(kind, "any"), type_text=kind, example=example)


def _inventory(kind: str, catalog: Catalog, depth: int) -> Parameter:
    fields = catalog.inventories[kind].fields if depth < _DEEPEST else ()
    return Parameter(
        "",
        "object",
        type_text=kind,
        fields=tuple(
            replace(
                of_type(one.type, catalog, depth + 1),
                name=one.name,
                since=NEWER if one.newer else "",
            )
            for one in fields
            if not one.never
        ),
    )


def _response(api: Api, catalog: Catalog) -> Iterator[Parameter]:
    bare = api.name in BARE
    if not bare:
        yield Parameter("success", "boolean", example=True)
    for name, kind in api.response.items():
        yield replace(of_type(kind, catalog), name=name)
    if api.query:
        yield Parameter("total", "integer", type_text="Long")
        yield Parameter("schema", "map", items=Parameter("", "string"), type_text="Map")
    if not bare:
        yield replace(of_type("ErrorCode", catalog, _DEEPEST - 1), name="error")


def _errors(api: Api) -> tuple[str, ...]:
    if api.tier == 3:
        return ()
    names, changes = _names(api), api.method != "GET" and bool(api.resource) and not api.sync
    rules = (
        (bool(api.params) or api.query, ("SYS.1007",)),
        ("resourceUuid" in names and not api.query, ("SYS.1002",)),
        (any(name.lower().endswith(("uuid", "uuids")) for name in names), ("SYS.1003",)),
        (changes, ("SYS.1006",)),
        (api.name.startswith("LogIn"), ("ID.1000", "ID.1006")),
        (api.name.startswith(("Deploy", "UpdateModelServiceInstanceGroup")), ("ID.1003",)),
        ("Tag" in api.name and api.method == "POST", ("TAG.1000",)),
    )
    return tuple(code for holds, codes in rules if holds for code in codes)


def answer_of(api: Api, sent: Mapping[str, Any]) -> dict[str, Any]:
    """The documented answer of a call without its envelope, with the names that the client sent."""
    answer = told(api, load()).answer
    own = {name: answer[name] for name in (*api.response, "total") if name in answer}
    return examples.echoed(own, sent)
