"""Writes the reference pages from the code: both dialects, settings, metrics, commands.

python scripts/generate_docs.py            write them
python scripts/generate_docs.py --check    exit 1 if one is not what the code says
"""

import dataclasses
import inspect
import re
import sys
import typing
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

# The tests load this script by its path.
sys.path.insert(0, str(Path(__file__).parent))
import diagnosis_pages
import fault_pages
import ram_pages
import sample_pages
import zstack_pages
from markdown_text import code, table

ROOT = Path(__file__).parent.parent
PAGES = ROOT / "docs" / "reference"
NOTE = (
    "<!-- Written by scripts/generate_docs.py from the code: edit the code, then run make fix. -->"
)

TIERS = {
    "1": "The life cycle of services",
    "2": "Expected, planned",
    "2b": "Load tests, planned",
    "3": "Only of use on the cloud",
}


# --- operations and coverage -----------------------------------------------------------------


def operations() -> str:
    """Every operation that does real work, with all it takes and gives."""
    from pierhead.dialects.eas import catalog

    known = catalog.load().operations
    real = [operation for operation in known if not operation.unsupported]
    parts = [
        "# EAS operations\n",
        f"The {len(real)} operations of PAI-EAS 2021-07-01 that do real work in this release. "
        f"The [coverage page](eas-coverage.md) lists all {len(known)}. `{{ClusterId}}` is the region id. "
        "Every answer also carries `RequestId`.\n",
    ]
    parts += [_operation(operation) for operation in real]
    return "\n".join(parts)


def _operation(operation: Any) -> str:
    parts = [
        f"## {operation.id}\n",
        f"`{operation.method} {operation.path}`, RAM action `{operation.ram.action}` "
        f"({operation.ram.access}).\n",
    ]
    if operation.query:
        parts += ["Query:\n", table(_FIELD_HEAD, _rows(operation.query))]
    if operation.body is not None:
        document = operation.body.kind == "json_document"
        parts.append("Body, a JSON document:\n" if document else "Body, a JSON object:\n")
        parts += [f"{operation.body.note}\n"] if operation.body.note else []
        parts += [table(_FIELD_HEAD, _rows(operation.body.fields))] if operation.body.fields else []
    if operation.response.fields:
        names = ", ".join(f"`{item.name}`" for item in operation.response.fields)
        parts.append(f"Answer: {names}.\n")
    elif operation.response.ref:
        parts.append(f"Answer: the fields of `{operation.response.ref}`.\n")
    return "\n".join(parts)


_FIELD_HEAD = ("Name", "Type", "Required", "Meaning")


def _rows(fields: Iterable[Any], prefix: str = "") -> Iterator[tuple[str, ...]]:
    for item in fields:
        name = f"{prefix}{item.name}"
        kind = item.type
        inner = item
        if item.items is not None:
            inner, kind = item.items, f"array of {item.items.type}"
        yield code(name), kind, "yes" if item.required else "", _meaning(item)
        yield from _rows(inner.fields, f"{name}[]." if item.items is not None else f"{name}.")


def _meaning(item: Any) -> str:
    parts = [item.note] if item.note else []
    if item.values:
        word = "for example" if item.open else "one of"
        parts.append(f"{word} {', '.join(code(value) for value in item.values)}")
    if item.minimum is not None or item.maximum is not None:
        low = f"{item.minimum:g}" if item.minimum is not None else ""
        high = f"{item.maximum:g}" if item.maximum is not None else ""
        parts.append(
            f"{low} to {high}" if low and high else f"at least {low}" if low else f"at most {high}"
        )
    parts += [f"unit: {item.unit}"] if item.unit else []
    parts += [f"default {code(item.default)}"] if item.default is not None else []
    parts += ["deprecated"] if item.deprecated else []
    return "; ".join(parts)


def coverage() -> str:
    """All operations: what is done, what is not, and why."""
    from pierhead.dialects.eas import catalog

    known = catalog.load().operations
    real = sum(not operation.unsupported for operation in known)
    parts = [
        "# EAS coverage\n",
        f"{len(known)} operations of PAI-EAS 2021-07-01 are known: **{real} do real work**, "
        f"{len(known) - real} are authenticated, authorized, checked by name and answered "
        "400 `UnsupportedOperation` with the reason below.\n",
    ]
    for tier, title in TIERS.items():
        rows = [operation for operation in known if operation.tier == tier]
        parts += [
            f"## {title}\n",
            table(("Operation", "Request", "In this release"), map(_covered, rows)),
        ]
    return "\n".join(parts)


def _covered(operation: Any) -> tuple[str, ...]:
    name = code(operation.id)
    if not operation.unsupported:
        name = f"[{name}](eas-operations.md#{operation.id.lower()})"
    newer = " (newer clients)" if operation.newer else ""
    return (
        name + newer,
        code(f"{operation.method} {operation.path}"),
        operation.unsupported or "works",
    )


def errors() -> str:
    """Every code of the EAS dialect."""
    from pierhead.dialects.eas.errors import CODES, reference

    intro = (
        "A refusal is the vendor's envelope: `RequestId`, `HostId`, `Code`, `Message`, `Recommend`; "
        "`Recommend` names the code's place on this page. "
        f"Clients decide by code and status. The {len(CODES)} codes:\n"
    )
    title, _, body = reference().partition("\n")
    return f"{title}\n\n{intro}\n{body.lstrip()}"


# --- settings ----------------------------------------------------------------------------------


def settings() -> str:
    """Every setting, where it can be set, and its default."""
    from pierhead.settings import FILE, FLAGS, Settings, environment_name

    hints = typing.get_type_hints(Settings)
    rows: list[tuple[object, ...]] = []
    for part in dataclasses.fields(Settings):
        if "internal" in part.metadata:
            continue
        key = part.metadata["key"] or part.name
        flag = f"--{part.name.replace('_', '-')}" if part.name in FLAGS else f"--set {key}=..."
        rows.append(
            (
                code(key),
                _default(part),
                _kind(hints[part.name]),
                f"{code(environment_name(key))}, {code(flag)}",
                part.metadata["meaning"],
            )
        )
    return "\n".join(
        [
            "# Settings\n",
            f"Sources, later wins: defaults, `DIR/{FILE}`, environment, flags. `DIR` is the data folder. "
            "A name with dots stands in a table of the file: `eas.roa.enabled` is `enabled` under `[eas.roa]`. "
            "`pierhead settings` prints the values in force and where each came from.\n",
            table(("Key", "Default", "Type", "Environment, flag", "Meaning"), rows),
        ]
    )


def _default(part: Any) -> str:
    if part.name == "data_dir":  # depends on the machine
        return "`$XDG_DATA_HOME/pierhead`, else `~/.local/share/pierhead`"
    if part.default is dataclasses.MISSING or part.default in ("", (), Path()):
        return "empty"
    if isinstance(part.default, bool):
        return code(str(part.default).lower())
    return code(f"{part.default:g}" if isinstance(part.default, float) else part.default)


def _kind(hint: Any) -> str:
    names = {bool: "true or false", int: "whole number", float: "number", str: "text", Path: "path"}
    if typing.get_origin(hint) is typing.Literal:
        return "one of " + ", ".join(code(value) for value in typing.get_args(hint))
    if typing.get_origin(hint) is tuple:
        return "list of text"
    if typing.get_origin(hint) is tuple:
        return "list of text"
    return names.get(hint, "table of text")


# --- metrics -----------------------------------------------------------------------------------


def metrics() -> str:
    """Every figure on /metrics of both processes."""
    from pierhead.gateway.balance import Failure
    from pierhead.gateway.exposition import Metrics
    from pierhead.telemetry import HubFigures, new_registry

    hub = HubFigures(new_registry())
    hub.turn.sees(0.0, "")  # these are there only where there is something to tell
    hub.turn.has_lease(0)
    gateway = Metrics(lambda: {"replica": 1}, lambda: {"replica": Failure.SILENT})
    return "\n".join(
        [
            "# Metrics\n",
            "`GET /metrics` on either port answers in Prometheus' text format. Durations are seconds.",
            "Services, replicas and tokens are told apart only to who shows what stands in",
            "`run/metrics.token` in the data folder as a bearer token.\n",
            "## Hub\n",
            "Also `process_...`: memory, CPU time and open files of the process.\n",
            table(_METRIC_HEAD, _figures(hub, hub.registry)),
            "## Gateway\n",
            "The service `-` stands for requests that named no known service.\n",
            table(_METRIC_HEAD, _figures(gateway, gateway._registry)),
        ]
    )


_METRIC_HEAD = ("Name", "Kind", "Labels", "Meaning")


def _figures(figures: object, registry: Any) -> Iterator[tuple[str, ...]]:
    """Metrics that are attributes know their labels; those computed at each scrape show them."""
    from prometheus_client.metrics import MetricWrapperBase

    known = {
        metric._name: metric._labelnames
        for metric in _attributes(figures)
        if isinstance(metric, MetricWrapperBase)
    }
    for family in registry.collect():
        if family.name.startswith("process_"):
            continue
        labels = known.get(family.name)
        if labels is None:
            labels = getattr(family, "_labelnames", ()) or list(family.samples[0].labels)
        name = family.name + ("_total" if family.type == "counter" else "")
        yield code(name), family.type, ", ".join(map(code, labels)), family.documentation


def _attributes(figures: object) -> Iterator[object]:
    """Also those of figures that have a class of their own."""
    for each in vars(figures).values():
        yield from _attributes(each) if type(each).__name__.endswith("Figures") else (each,)


# --- command line --------------------------------------------------------------------------------


def commands() -> str:
    """Every command with its arguments, options and examples."""
    import typer.main

    from pierhead.cli.main import app

    root: Any = typer.main.get_command(app)
    parts = [
        "# Command line\n",
        f"{_prose(root.help or '')}\n",
        "Exit codes: 0 done, 1 it failed (the message says why), 2 the command was not understood.\n",
    ]
    parts += list(_command("pierhead", root))
    return "\n".join(parts)


def _command(path: str, command: Any) -> Iterator[str]:
    children = getattr(command, "commands", None)
    if path != "pierhead":
        yield f"{'#' * min(path.count(' ') + 1, 4)} {path}\n"
        yield f"{_prose(command.help or '')}\n"
    options = [part for part in command.params if part.name not in {"help"} and not _hidden(part)]
    if options:
        yield table(("Option", "Meaning"), map(_option, options))
    for name in children or ():
        if not children[name].hidden:
            yield from _command(f"{path} {name}", children[name])


def _hidden(part: Any) -> bool:
    return bool(getattr(part, "hidden", False))


def _option(part: Any) -> tuple[str, str]:
    if part.param_type_name == "argument":
        names = code(part.name.upper())
    else:
        shown = [*part.opts, *part.secondary_opts]
        names = ", ".join(code(option) for option in shown)
    meaning = _prose(getattr(part, "help", "") or "")
    extra = ["required"] if part.required else []
    extra += [f"environment {code(part.envvar)}"] if isinstance(part.envvar, str) else []
    if part.default not in (None, "", False, (), []) and not callable(part.default):
        extra.append(f"default {code(part.default)}")
    return names, f"{meaning} ({'; '.join(extra)})".strip() if extra else meaning


def _prose(text: str) -> str:
    """Help text without the terminal's marks, its examples as code."""
    words, examples, code_lines = (
        inspect.cleandoc(text).replace("\b\n", "").partition("Examples:\n")
    )
    words = re.sub(r"\[/?(?:bold|dim|italic|cyan|green|red|yellow)\]", "", words).strip()
    if not examples:
        return words
    return f"{words}\n\n```console\n{inspect.cleandoc(code_lines)}\n```"


WRITERS: dict[str, Callable[[], str]] = {
    "eas-operations.md": operations,
    "eas-coverage.md": coverage,
    "eas-errors.md": errors,
    "zstack-operations.md": zstack_pages.operations,
    "zstack-coverage.md": zstack_pages.coverage,
    "zstack-errors.md": zstack_pages.errors,
    "zstack-inputs.md": zstack_pages.inputs,
    "ram-operations.md": ram_pages.operations,
    "ram-coverage.md": ram_pages.coverage,
    "ram-errors.md": ram_pages.errors,
    "diagnosis.md": diagnosis_pages.page,
    "fault-tests.md": fault_pages.page,
    "settings.md": settings,
    "metrics.md": metrics,
    "cli.md": commands,
}


def pages() -> dict[Path, str]:
    """Every generated page and its text."""
    writers = {PAGES / name: writer for name, writer in WRITERS.items()}
    writers[PAGES.parent / "how-to" / "use-samples.md"] = sample_pages.page
    return {path: f"{NOTE}\n\n{writer().rstrip()}\n" for path, writer in writers.items()}


def main(arguments: list[str]) -> int:
    """Exit code: 0, or 1 when `--check` found a page that is not what the code says."""
    wanted = pages()
    stale = [
        path
        for path, text in wanted.items()
        if not path.exists() or path.read_text("utf-8") != text
    ]
    if "--check" in arguments:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is not what the code says; run make fix")
        return 1 if stale else 0
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(wanted[path], "utf-8")
        print(f"wrote {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
