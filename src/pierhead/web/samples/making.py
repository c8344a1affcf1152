"""Which sample: a language, typed or generic, with the caller's values or the documented example."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from pierhead.core.errors import Invalid
from pierhead.core.reference import Operation, Parameter, Style
from pierhead.web.samples import csharp, curl, go, java, php, python, python_signed, typescript
from pierhead.web.samples.calls import Call, Origin, planned

_WRITERS: Mapping[str, Callable[[Call], str]] = {
    "typescript": typescript.code,
    "java": java.code,
    "go": go.code,
    "php": php.code,
    "csharp": csharp.code,
    "curl": curl.code,
}
#: As callers name them, in the order that they are shown.
LANGUAGES = ("python", *_WRITERS)
#: Other names of them, as API explorers write.
_ALIASES = {
    "py": "python", "python3": "python", "ts": "typescript", "nodejs": "typescript",
    "golang": "go", "c#": "csharp", "cs": "csharp", "shell": "curl", "sh": "curl",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sample:
    """Code that runs as it stands, given the credentials in its environment."""

    language: str
    typed: bool  #: does it use a client with a class for this very operation?
    code: str


def language(name: str) -> str:
    """The language that `name` means.

    Raises:
        Invalid: none that samples are written in.
    """
    found = name.strip().lower()
    found = _ALIASES.get(found, found)
    if found not in LANGUAGES:
        raise Invalid("language", f"there are no samples in [{name[:40]}]", ", ".join(LANGUAGES))
    return found


def made(
    operation: Operation,
    values: Mapping[str, Any] | None,
    origin: Origin,
    wanted: str,
    *,
    typed: bool = True,
) -> Sample:
    """The sample of a call.

    values: by the names of the parameters; None is the documented example.
    typed: prefer the typed client; Python has them, and where one does not know the call, the
        generic client makes it.

    Raises:
        Invalid: an unknown language or parameter, or a value that no request can carry.
    """
    name = language(wanted)
    call = planned(operation, example(operation, origin) if values is None else values, origin)
    if name == "python":
        signed = operation.style in {Style.ROA, Style.RPC}
        own = typed and signed and python_signed.typed_knows(call)
        return Sample(name, typed=own, code=python.code(call, typed=own))
    return Sample(name, typed=False, code=_WRITERS[name](call))


def example(operation: Operation, origin: Origin) -> dict[str, Any]:
    """The documented example, in the platform's own region."""
    found = dict(operation.example)
    if "ClusterId" in found:
        found["ClusterId"] = origin.region
    return found


def read(operation: Operation, name: str, text: str) -> Any:
    """A parameter's value that was written as text, as on a command line: by its declared type.

    Raises:
        Invalid: it is no such parameter, or no value of its type.
    """
    known = {parameter.name: parameter for parameter in operation.parameters}
    parameter = known.get(name)
    if parameter is None and not operation.document:
        raise Invalid(name, f"{operation.id} has no such parameter", ", ".join(known))
    kind = "any" if parameter is None else parameter.type
    if kind == "string":
        return text
    try:
        value: Any = json.loads(text)
    except ValueError:
        value = text
    if kind == "array" and isinstance(value, str | int | float):
        value = [one for one in text.split(",") if one]
    if not _is(kind, value):
        raise Invalid(name, f"[{text[:80]}] is not of its type", _legal(parameter, kind))
    return value


_TYPES: Mapping[str, tuple[type, ...]] = {
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "map": (dict,),
}


def _is(kind: str, value: Any) -> bool:
    wanted = _TYPES.get(kind)
    if wanted is None:
        return True
    return isinstance(value, wanted) and (kind == "boolean" or not isinstance(value, bool))


def _legal(parameter: Parameter | None, kind: str) -> str:
    written = {"array": "a JSON list, or values with commas", "object": "a JSON object"}
    return written.get(kind, {"map": "a JSON object"}.get(kind, kind)) if parameter else kind


def from_json(text: str) -> dict[str, Any]:
    """All values at once, from a JSON object.

    Raises:
        Invalid: it is none.
    """
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise Invalid("params", f"it is no JSON: {str(problem)[:120]}") from problem
    if not isinstance(value, dict):
        raise Invalid("params", "it is no JSON object")
    return cast(dict[str, Any], value)
