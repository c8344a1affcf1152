"""The reference pages of the ZStack dialect, from its catalog and the tests' own list of inputs."""

import importlib.util
from pathlib import Path
from typing import Any

from markdown_text import cell, code, table

ROOT = Path(__file__).parent.parent
TIERS = {
    1: "What every client uses",
    2: "The rest of what does real work",
    3: "Not supported",
}
_PARAM_HEAD = ("Name", "Type", "Where", "Required", "Meaning")


def operations() -> str:
    """Every API of the ZStack door that does real work."""
    from pierhead.dialects.zstack import catalog, openapi

    known = catalog.load()
    real = [api for api in known.apis.values() if api.tier != 3]
    queries = ((code(name), kind, text) for name, (kind, text) in openapi.QUERY_PARAMETERS.items())
    parts = [
        "# ZStack operations\n",
        f"The {len(real)} APIs that do real work in this release, over REST and by their RPC message; "
        f"the [coverage page](zstack-coverage.md) lists all {len(known.apis)}. Times are in the hub's "
        "own time zone. A uuid is 32 lower-case hex digits.\n",
        'The column "where": in the path, in the query string, or in the body under the wrapper that is '
        "named with the API. Where tags are taken, `systemTags` and `userTags` stand under the wrapper "
        "or beside it. An API with the mark *job* may be answered 202 with the place of a job; it is "
        "when the setting `zstack.async` is `always`, and under `auto` where 202 is given.\n",
        "## Query parameters\n",
        "Every API whose name begins with Query takes:\n",
        table(("Name", "Type", "Meaning"), queries),
        "A condition is a field, an operator and a value: `=` `!=` `>` `>=` `<` `<=`, `~=` and `!~=` "
        "(like, with `%` and `_`, without regard to case), `?=` and `!?=` (one of, with commas), "
        "`is null`, `not null`. Fields of objects below are written with a dot "
        "(`modelServiceRefs.modelUuid`); `__systemTag__`, `__userTag__` and `__tagUuid__` ask for tags.\n",
    ]
    parts += [_operation(api) for api in real]
    return "\n".join(parts)


def _operation(api: Any) -> str:
    job = "" if api.sync else f", *job* (`auto`: {api.status})"
    wrapper = f", wrapper `{api.wrapper}`" if api.wrapper else ""
    tags = ", takes tags" if api.tags else ""
    message = f"RPC `{api.message}`. " if api.message else ""
    parts = [
        f"## {api.name}\n",
        f"`{api.method} {api.path}`{wrapper}{tags}{job}. {message}{api.summary}\n",
    ]
    parts += [f"One object: `GET {api.item_path}`.\n"] if api.item_path else []
    if api.params:
        parts.append(table(_PARAM_HEAD, map(_param, api.params)))
    if api.response:
        told = ", ".join(f"`{name}` ({code(kind)})" for name, kind in api.response.items())
        parts.append(f"Answer: {told}.\n")
    if api.effect:
        parts.append(f"Effect: {cell(api.effect)}\n")
    return "\n".join(parts)


def _param(item: Any) -> tuple[str, ...]:
    required = "yes" if item.required else ""
    return code(item.name), code(item.type), item.place, required, _meaning(item)


def _meaning(item: Any) -> str:
    known = sorted(set(item.spelling.values()))
    parts = ["**no effect on this platform**"] if item.no_effect else []
    parts += [f"one of {', '.join(map(code, item.values))}"] if item.values else []
    parts += [f"for example {', '.join(map(code, known))}"] if known else []
    size = " elements" if item.type.startswith("List") else " characters"
    bounds = (
        (item.low, "at least", ""),
        (item.high, "at most", ""),
        (item.longest or None, "at most", size),
    )
    parts += ["not empty"] if item.shortest else []
    parts += [f"{word} {limit:,}{unit}" for limit, word, unit in bounds if limit is not None]
    parts += [f"default {code(item.default)}"] if item.default is not None else []
    return "; ".join(parts)


def coverage() -> str:
    """All APIs by tier, and why some are not there."""
    from pierhead.dialects.zstack import catalog

    known = list(catalog.load().apis.values())
    real = sum(api.tier != 3 for api in known)
    parts = [
        "# ZStack coverage\n",
        f"{len(known)} APIs of ZStack AIOS are known: **{real} do real work**, {len(known) - real} are "
        "answered as not supported, with the reason below: over REST by 404 and a line of plain text, "
        "over RPC by the error SYS.1014.\n",
    ]
    for tier, title in TIERS.items():
        rows = [_covered(api) for api in known if api.tier == tier]
        head = ("API", "Request", "Reason" if tier == 3 else "Effect")
        parts += [f"## {title}\n", table(head, rows)]
    return "\n".join(parts)


def _covered(api: Any) -> tuple[str, ...]:
    request = code(f"{api.method} {api.path}")
    if api.tier == 3:
        return code(api.name), request, api.reason
    link = f"[{code(api.name)}](zstack-operations.md#{api.name.lower()})"
    return link, request, api.effect or api.summary


def errors() -> str:
    """Every error code of the ZStack door, and the plain refusals."""
    from pierhead.dialects.zstack.errors import CODES
    from pierhead.dialects.zstack.reference import TEXTS, WHEN

    parts = [
        "# ZStack errors\n",
        "A call that was understood and refused is answered 503 with "
        '`{"success": false, "error": {...}}`, or as a job that failed with it. `code` is for programs; '
        "`description`, `details` (and `i18nDetails`, in Chinese) are for people; `cause` is the root "
        "of the matter in the same shape. A refused call leaves nothing behind. HTTP 401 is never "
        f"used. The {len(CODES)} codes:\n",
    ]
    for name in CODES:
        when, advice = WHEN[name]
        parts.append(f"## {name}\n\n{CODES[name][0]}. {when}\n\n{advice}\n")
    rows = ((status, text) for status, text in TEXTS)
    parts += [
        "## Plain text\n",
        "A request that cannot be understood is answered in one line of plain text:\n",
        table(("Status", "When"), rows),
    ]
    return "\n".join(parts)


def inputs() -> str:
    """The 26 inputs of AddModelService: what each does, and the test that sees it."""
    effects = _module(ROOT / "tests" / "e2e" / "zstack_inputs.py").EFFECTS
    rows = ((code(name), effect, code(test)) for name, (effect, test) in effects.items())
    return "\n".join(
        [
            "# What AddModelService's inputs do\n",
            f"All {len(effects)} inputs have an effect. Each is observed by a test of its own in "
            "`tests/e2e/test_zstack_inputs.py`, on a running platform.\n",
            table(("Input", "Effect", "Test"), rows),
        ]
    )


def _module(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no module")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
