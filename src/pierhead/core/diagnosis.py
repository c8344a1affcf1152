"""From the facts of a crash to one word, one sentence: what happened and what to do about it.

A table of rules, tried in order; the last one shows the evidence and claims nothing.
"""

import re
from dataclasses import dataclass

from pierhead.core.replicas import Exit


@dataclass(frozen=True, slots=True)
class Cause:
    """What to show as Reason and Message."""

    reason: str
    message: str


#: Patterns in the last lines of a log -> (reason, advice). First match wins.
_LOG_RULES: tuple[tuple[re.Pattern[str], str, str], ...] = (
    (
        re.compile(r"address already in use|couldn't bind|bind failed", re.I),
        "PortTaken",
        "The port was taken by another process; the next run gets another one.",
    ),
    (
        re.compile(r"unknown model architecture|unsupported model architecture", re.I),
        "ArchitectureUnsupported",
        "The engine does not know this model's architecture; choose another engine or model.",
    ),
    (
        re.compile(
            r"invalid magic|failed to read magic|tensor .* data is not within|not a valid gguf|gguf_init",
            re.I,
        ),
        "ModelFileBroken",
        "The model file is damaged or is no GGUF file; fetch it again and check its digest.",
    ),
    (
        re.compile(r"failed to load model|error loading model", re.I),
        "ModelLoadFailed",
        "The engine could not load the weights; see the log for its own words.",
    ),
    (
        re.compile(r"cannot allocate memory|out of memory|bad_alloc|MemoryError", re.I),
        "OutOfMemory",
        "Memory ran out; give the replica more, or use a smaller model, context or precision.",
    ),
    (
        re.compile(r"ModuleNotFoundError|ImportError", re.I),
        "ModuleMissing",
        "The command needs a Python module that is not installed where it runs.",
    ),
    (
        re.compile(r"permission denied", re.I),
        "PermissionDenied",
        "The process may not read or write what it needs; check owner and mode.",
    ),
)

_CODES: dict[int, tuple[str, str]] = {
    126: ("CommandNotExecutable", "The command exists but may not be executed; check its mode."),
    127: ("CommandNotFound", "The command does not exist; check its path and PATH."),
}

_SIGNALS: dict[int, tuple[str, str]] = {
    4: (
        "IllegalInstruction",
        "The program uses instructions that this CPU lacks; install a build for this machine.",
    ),
    6: ("Aborted", "The program aborted itself; see the last lines of its log."),
    9: ("Killed", "Somebody, or the kernel for want of memory, killed the process."),
    11: (
        "SegmentationFault",
        "The program crashed; this is a fault in the engine or a damaged model file.",
    ),
}


def crash(end: Exit, last_lines: tuple[str, ...]) -> Cause:
    """Why a replica's process ended, as far as the facts tell."""
    if end.oom:
        return Cause(
            "OutOfMemory",
            "The process was killed because it used more memory than its limit; raise the limit or shrink context, slots or model.",
        )
    text = "\n".join(last_lines)
    for pattern, reason, advice in _LOG_RULES:
        found = pattern.search(text)
        if found is not None:
            return Cause(reason, f"{advice} ({end}; log: {_line_of(text, found.start())})")
    known = _SIGNALS.get(end.signal or 0) or _CODES.get(end.code if end.code is not None else -1)
    if known is not None:
        return Cause(known[0], f"{known[1]} ({end}{_evidence(last_lines)})")
    return Cause("Crashed", f"The process ended by itself ({end}{_evidence(last_lines)}).")


def _line_of(text: str, position: int) -> str:
    start = text.rfind("\n", 0, position) + 1
    return text[start : start + 200].split("\n", 1)[0].strip()


def _evidence(lines: tuple[str, ...]) -> str:
    shown = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return f"; last line: {shown[:200]}" if shown else "; it wrote nothing"
