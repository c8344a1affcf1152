"""`pierhead plan`: which engine would serve this, and does it fit on this machine? Asked before any download."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pierhead.cli.options import AsJson, DataDir
from pierhead.cli.screen import emit, pairs
from pierhead.core.resources import human_bytes
from pierhead.settings import Settings

if TYPE_CHECKING:  # every verb would pay for the import
    from pierhead.bootstrap.planning import Answer


def plan(
    file: Annotated[
        Path,
        typer.Argument(help="A service JSON or the body of CreateAppService; - is standard input."),
    ],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Say which engine would serve a service, and whether it fits; exit code 1 when it does not.

    Only headers of the weights are read, a few KB of files that are far away. ServiceSpec may be the
    name or the uuid of a registered template, too.

    \b
    Examples:
      pierhead plan service.json
      echo '{"ServiceSpec": "llama_7b_fp16"}' | pierhead plan - --json
    """
    from pierhead.bootstrap.planning import answer, asked

    settings = Settings.load({"data_dir": data_dir})
    found = answer(asked(_text(file), settings), settings)
    if as_json:
        emit(_json(found))
    else:
        pairs(_rows(found))
        print(f"\n{f'{found.reason}: ' if found.reason else ''}{found.message}")
    if not found.ok:
        raise typer.Exit(1)


def _text(file: Path) -> str:
    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise typer.BadParameter(f"{file}: {problem}", param_hint="FILE") from problem


def _rows(found: "Answer") -> list[tuple[str, str]]:
    load, fit = found.load, found.fit
    rows = [
        ("Service", found.asked.name or "-"),
        ("Template", found.asked.template.name),
        *_engine_rows(found),
    ]
    if fit is None:
        return rows
    needed = fit.estimate
    rows += [
        ("Load", f"{load.slots} x {load.context} tokens"),
        ("Weights", human_bytes(needed.weights)),
        ("KV cache", human_bytes(needed.kv_cache)),
        ("Compute", human_bytes(needed.compute)),
        ("Overhead", human_bytes(needed.overhead)),
        ("One replica", human_bytes(needed.total)),
    ]
    if fit.limit is not None:
        rows.append(("Memory limit", human_bytes(fit.limit)))
    if fit.room is not None:
        rows.append(("Room", f"{human_bytes(fit.room.most)}, free {human_bytes(fit.room.free)}"))
    return [
        *rows,
        ("Replicas that fit now", str(fit.replicas)),
        ("Largest context", f"{fit.context} tokens" if fit.context else "none fits"),
        ("Most slots", str(fit.slots) if fit.slots else "none fits"),
    ]


def _engine_rows(found: "Answer") -> list[tuple[str, str]]:
    """Who serves it, why, and in what precision."""
    rows: list[tuple[str, str]] = []
    if found.choice is not None:
        rows = [("Engine", found.choice.engine), ("Why", found.choice.why)]
    wanted, there = found.asked.template.precision, found.precision
    unseen = "not seen yet" if found.guessed else "not known"
    if wanted or there:
        rows.append(("Precision", f"{wanted or 'any'} wanted, the weights are {there or unseen}"))
    if found.choice is not None and found.choice.convert:
        rows.append(("Conversion", f"to {found.choice.convert}, once, on this machine"))
    return rows


def _json(found: "Answer") -> dict[str, Any]:
    asked, fit = found.asked, found.fit
    document: dict[str, Any] = {
        "fits": found.ok if fit is not None or found.reason else None,
        "reason": found.reason,
        "message": found.message,
        "service": asked.name,
        "template": asked.template.name,
        "replicas": asked.replicas,
        "engine": found.choice.engine if found.choice is not None else "",
        "why": found.choice.why if found.choice is not None else "",
        "precision": {"wanted": asked.template.precision, "found": found.precision},
        "guessed": found.guessed,
        "conversion": found.choice.convert if found.choice is not None else "",
        "context": found.load.context,
        "slots": found.load.slots,
    }
    if fit is None:
        return document
    needed = fit.estimate
    return document | {
        "bytes": {
            "weights": needed.weights,
            "kvCache": needed.kv_cache,
            "compute": needed.compute,
            "overhead": needed.overhead,
            "total": needed.total,
        },
        "memoryLimit": fit.limit,
        "node": fit.node,
        "room": None if fit.room is None else {"total": fit.room.most, "free": fit.room.free},
        "replicasThatFitNow": fit.replicas,
        "largestContext": fit.context,
        "mostSlots": fit.slots,
    }
