"""The catalogs as the API explorer reads them: a list of all operations, and each of them whole.

    GET /console/api/catalog?lang=zh-CN
    GET /console/api/catalog/{product}/{id}?lang=zh-CN

Nothing is kept in memory but a checksum of each list. What is asked with `v=<this release>` may be
kept by browsers for good; what is asked without has to be asked for again, and is mostly 304.
"""

import asyncio
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum
from typing import Any, cast

from starlette.responses import Response

from pierhead.core.errors import Invalid, NotFound
from pierhead.core.languages import Language, negotiated
from pierhead.core.reference import Operation, Parameter
from pierhead.web.console import PREFIX, Asked, Route

#: Texts of one product in one language: `operations`, `parameters`, `fields`, `groups`.
Texts = Mapping[str, Mapping[str, Any]]
_FOREVER = "private, max-age=31536000, immutable"
_ASK_AGAIN = "private, no-cache"
_REGION = ("ClusterId", "RegionId")
_EN, _CN, _TW = Language.EN, Language.ZH_CN, Language.ZH_TW
#: What a kind of change means; {names} are those that the change tells.
_CHANGES: Mapping[str, Mapping[Language, str]] = {
    "added": {
        _EN: "It does real work on this platform from this release on.",
        _CN: "自该版本起，本平台真正执行此操作。",
        _TW: "自該版本起，本平台真正執行此操作。",
    },
    "changed": {
        _EN: "Newer clients of the vendor send these as well: {names}.",
        _CN: "厂商较新的客户端还会发送：{names}。",
        _TW: "廠商較新的用戶端還會傳送：{names}。",
    },
}


@dataclass(frozen=True, slots=True)
class Product:
    """One API and what there is to say of it."""

    id: str
    version: str
    titles: Mapping[Language, str]
    operations: Callable[[], tuple[Operation, ...]]
    find: Callable[[str], Operation | None]  #: one of them, by its id as it is spelled
    codes: Callable[[], Mapping[str, tuple[int, str]]]  #: code -> (HTTP status, meaning)
    common: Callable[[], tuple[str, ...]]  #: codes that every operation may give
    texts: Callable[[Language], Texts]


@dataclass(slots=True)
class Explorer:
    """Answers for both paths."""

    products: tuple[Product, ...]
    release: str  #: of this platform
    region: str  #: stands in examples in place of the vendor's
    _tags: dict[tuple[str, ...], str] = field(default_factory=dict[tuple[str, ...], str])

    def routes(self) -> tuple[Route, ...]:
        """For the console."""
        return (
            Route("GET", f"{PREFIX}/catalog", self.listed),
            Route("GET", f"{PREFIX}/catalog/{{product}}/{{id}}", self.whole),
        )

    async def listed(self, asked: Asked) -> Response:
        """All operations, by product."""
        language = _language(asked)
        return await self._answer(asked, (str(language),), lambda: self.index(language))

    async def whole(self, asked: Asked) -> Response:
        """One operation.

        Raises:
            NotFound: no such product, or it has no such operation.
        """
        language = _language(asked)
        product, id_ = asked.parts["product"], asked.parts["id"]
        return await self._answer(
            asked, (str(language), product, id_), lambda: self.operation(product, id_, language)
        )

    def index(self, language: Language) -> dict[str, Any]:
        """The list of a language."""
        return {"Products": [_listed(one, language) for one in self.products]}

    def operation(self, product: str, id_: str, language: Language) -> dict[str, Any]:
        """One operation in a language.

        Raises:
            NotFound: no such product, or it has no such operation.
        """
        of = next((one for one in self.products if one.id == product), None)
        if of is None:
            known = ", ".join(one.id for one in self.products)
            raise NotFound("Product", product[:80], f"There are {known}")
        found = of.find(id_)
        if found is None:
            raise NotFound("Operation", id_[:80], f"{product} has no such operation")
        speech = Speech(of.texts(language), of.texts(Language.EN))
        return {**_whole(found, of, speech, self.region), "Changes": _changes(found, language)}

    async def _answer(
        self, asked: Asked, what: tuple[str, ...], make: Callable[[], Mapping[str, Any]]
    ) -> Response:
        known = self._tags.get(what)
        given = asked.request.headers.get("if-none-match", "")
        caching = {
            "Cache-Control": _FOREVER
            if asked.request.query_params.get("v") == self.release
            else _ASK_AGAIN,
            "Vary": "Accept-Language",
        }
        if known is not None and known in given:
            return Response(status_code=304, headers={**caching, "ETag": known})
        # It takes a tenth of a second at worst: others are served meanwhile.
        body = await asyncio.to_thread(lambda: _encoded(make()))
        tag = f'"{hashlib.sha256(body).hexdigest()[:24]}"'
        self._tags[what] = tag  # as many as there are operations and languages
        if tag in given:
            return Response(status_code=304, headers={**caching, "ETag": tag})
        return Response(body, media_type="application/json", headers={**caching, "ETag": tag})


@dataclass(frozen=True, slots=True)
class Speech:
    """Texts in a language; what is missing there is told in English, what is missing there not at all."""

    own: Texts
    english: Texts

    def of(self, kind: str, *names: str) -> Any:
        """The text of the first name that has one; None when none has."""
        for texts in (self.own, self.english):
            known = texts.get(kind, {})
            found = next((known[name] for name in names if known.get(name)), None)
            if found is not None:
                return found
        return None

    def title(self, operation: Operation) -> str:
        """What an operation is called."""
        return self._part(operation, "title") or operation.id

    def description(self, operation: Operation) -> str:
        """What it does."""
        return self._part(operation, "description")

    def group(self, name: str) -> str:
        """What a group is called."""
        return str(self.of("groups", name) or name)

    def _part(self, operation: Operation, part: str) -> str:
        for texts in (self.own, self.english):
            entry = texts.get("operations", {}).get(operation.id)
            found = cast("dict[str, Any]", entry).get(part) if isinstance(entry, dict) else None
            if found:
                return str(found)
        return ""

    def field(self, kind: str, operation: Operation, path: str) -> str:
        """What a parameter (`parameters`) or a field of an answer (`fields`) means."""
        name = path.rpartition(".")[2]
        names = (f"{operation.id}.{path}", f"{operation.id}.{name}", path, name)
        found = self.of(kind, *names)
        if found is None and kind == "fields":
            found = self.of("parameters", *names)
        return str(found or "")


def _language(asked: Asked) -> Language:
    given = asked.request.query_params.get("lang", "")
    if not given:
        return negotiated(asked.request.headers.get("accept-language", ""))
    found = next((one for one in Language if one.value.lower() == given.lower()), None)
    if found is None:
        raise Invalid("lang", f"[{given[:40]}]", ", ".join(Language))
    return found


def _listed(product: Product, language: Language) -> dict[str, Any]:
    speech = Speech(product.texts(language), product.texts(Language.EN))
    return {
        "Product": product.id,
        "Version": product.version,
        "Title": product.titles[language],
        "Operations": [
            {
                "Id": one.id,
                "Group": one.group,
                "GroupTitle": speech.group(one.group),
                "Title": speech.title(one),
                "Method": one.method,
                "Path": one.path,
                "Style": one.style.value,
                "Access": one.authorization.access,
                "Supported": not one.unsupported,
                "Deprecated": one.deprecated,
            }
            for one in product.operations()
        ],
    }


def _whole(operation: Operation, product: Product, speech: Speech, region: str) -> dict[str, Any]:
    codes, named = product.codes(), dict.fromkeys((*operation.errors, *product.common()))
    shown = {
        name: value
        for name, value in _pascal(operation).items()
        if name not in {"Parameters", "Response", "Errors", "Changes"}
    }
    example: dict[str, Any] = {
        name: region if name in _REGION else value for name, value in operation.example.items()
    }
    return {
        **shown,
        "Example": example,
        "Answer": operation.answer,
        "Writes": operation.writes,
        "Title": speech.title(operation),
        "Description": speech.description(operation),
        "GroupTitle": speech.group(operation.group),
        "Parameters": _fields("parameters", operation, operation.parameters, speech),
        "Response": _fields("fields", operation, operation.response, speech),
        "ErrorCodes": [
            {"Code": code, "Status": codes[code][0], "Message": codes[code][1]}
            for code in named
            if code in codes
        ],
    }


def _changes(operation: Operation, language: Language) -> list[dict[str, str]]:
    return [
        {
            "Version": one.version,
            "Kind": one.kind,
            "Text": _CHANGES[one.kind][language].format(names=one.text),
        }
        for one in operation.changes
    ]


def _fields(
    kind: str,
    operation: Operation,
    listed: Iterable[Parameter],
    speech: Speech,
    path: str = "",
) -> list[dict[str, Any]]:
    return [_field(kind, operation, one, speech, path) for one in listed]


def _field(
    kind: str, operation: Operation, one: Parameter, speech: Speech, path: str
) -> dict[str, Any]:
    below = ".".join(part for part in (path, one.name) if part)
    shown = {name: value for name, value in _pascal(one).items() if name not in {"Fields", "Items"}}
    return {
        **shown,
        "Example": one.example,
        "Default": one.default,
        "Description": speech.field(kind, operation, below) if one.name else "",
        "Fields": _fields(kind, operation, one.fields, speech, below),
        "Items": None if one.items is None else _field(kind, operation, one.items, speech, below),
    }


def _pascal(value: Any) -> dict[str, Any]:
    """A dataclass as JSON, its fields' names as the API spells names."""
    return {
        "".join(part.capitalize() for part in one.name.split("_")): _plain(getattr(value, one.name))
        for one in fields(value)
        if one.name
        not in {"example", "answer", "default", "fields", "items", "parameters", "response"}
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value):
        return _pascal(value)
    if isinstance(value, tuple):
        return [_plain(one) for one in cast("tuple[Any, ...]", value)]
    return value


def _encoded(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
