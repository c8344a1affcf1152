"""POST /api/product/makeCode: the code of one call, in the shape that API explorers ask for it.

No credential goes in or comes out, so everybody may ask; one sample is made at a time.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from pierhead.core.errors import Invalid, Missing, NotFound, PierheadError
from pierhead.core.reference import Operation
from pierhead.web.json_body import read_json

PATH = "/api/product/makeCode"
_BODY = 256 * 1024  #: bytes
_TYPES = {"typed": True, "": True, "generic": False}
_HOST = re.compile(r"[\w.:\[\]-]{1,255}", re.ASCII)


class Find(Protocol):
    """Where operations are known."""

    def __call__(self, product: str, operation: str) -> Operation:
        """The operation. May take a moment: call it in a thread.

        Raises:
            NotFound: no such product or operation.
        """
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """What samples name where a request does not say it."""

    endpoint: str  #: base URL of the control plane
    gateway: str  #: base URL of the data plane
    region: str


def making(find: Find, place: Place) -> Callable[[Request], Awaitable[Response]]:
    """The handler of the path."""
    one_at_a_time = asyncio.Semaphore(1)

    async def answer(request: Request) -> Response:
        try:
            asked = await read_json(request, _BODY)
            async with one_at_a_time:
                data = await asyncio.to_thread(_data, find, _here(request, place), asked)
        except NotFound as error:
            return _refusal(error, 404)
        except PierheadError as error:
            return _refusal(error, 400)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it
        return JSONResponse({"code": 0, "message": "", "data": data})

    return answer


def _refusal(error: PierheadError, status: int) -> Response:
    return JSONResponse({"code": 1, "message": error.message, "data": None}, status)


def _here(request: Request, place: Place) -> Place:
    """The platform as whoever asks has reached it."""
    host = request.headers.get("host", "")
    if _HOST.fullmatch(host) is None:
        return place
    return Place(f"{request.url.scheme}://{host}", place.gateway, place.region)


def _data(find: Find, place: Place, asked: Mapping[str, Any]) -> dict[str, Any]:
    # The samples are loaded with the first one: most hubs never write any.
    from pierhead.web.samples import making as samples
    from pierhead.web.samples.calls import Origin

    text = _texts(asked)
    operation = find(_needed(text, "product"), _needed(text, "apiName"))
    if text["apiVersion"] not in {"", operation.version}:
        raise Invalid("apiVersion", f"[{text['apiVersion'][:40]}]", operation.version)
    if text["callType"] not in _TYPES:
        raise Invalid("callType", f"[{text['callType'][:40]}]", "typed, generic")
    typed = _TYPES[text["callType"]]
    params = asked.get("params")
    values = _values(samples.from_json, params)
    origin = Origin(place.endpoint, place.gateway, text["regionId"] or place.region)
    wanted = (text["language"],) if text["language"] else samples.LANGUAGES
    made = {name: samples.made(operation, values, origin, name, typed=typed) for name in wanted}
    return {
        "demoSdk": {name: sample.code for name, sample in made.items()},
        # A language without a typed client for the call has a generic sample.
        "callType": {name: "typed" if sample.typed else "generic" for name, sample in made.items()},
    }


_FIELDS = ("callType", "product", "apiVersion", "apiName", "regionId", "language")


def _texts(asked: Mapping[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in _FIELDS:
        value = asked.get(name)
        if value is not None and not isinstance(value, str):
            raise Invalid(name, "it is no text")
        if value and not value.isprintable():  # half a character could not even be answered
            raise Invalid(name, "it holds a character that cannot be printed")
        found[name] = value or ""
    return found


def _needed(text: Mapping[str, str], name: str) -> str:
    if not text[name]:
        raise Missing(name)
    return text[name]


def _values(read: Callable[[str], dict[str, Any]], params: Any) -> dict[str, Any] | None:
    """None: there are none, so the documented example is shown."""
    if params is None or params == "":
        return None
    if isinstance(params, str):
        return read(params)
    if isinstance(params, dict):
        return params  # pyright: ignore[reportUnknownVariableType]
    raise Invalid("params", "it is no JSON object, and no text with one")
