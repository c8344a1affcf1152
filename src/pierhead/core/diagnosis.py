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
        re.compile(
            r"failed to create context|exceeds? the (?:available|maximum) context|n_ctx.{0,40}(?:too large|exceed)|larger than the maximum number of tokens|max_model_len.{0,80}(?:greater|larger)",
            re.I,
        ),
        "ContextTooLarge",
        "The context does not fit; lower the tokens per request or the slots, or give more memory.",
    ),
    (
        re.compile(
            r"no CUDA-capable device|CUDA driver version|CUDA error|no NVIDIA driver|HIP error",
            re.I,
        ),
        "AcceleratorLost",
        "The accelerator is missing or failed; check the driver and the devices of this machine.",
    ),
    (
        re.compile(r"error while loading shared libraries|cannot open shared object file", re.I),
        "LibraryMissing",
        "The program needs a shared library that is not installed where it runs.",
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
    0: ("Exited", "The command ended by itself without an error, but a server must keep running."),
    125: (
        "NotStarted",
        "Its limits, its files or its working folder could not be set up; the log names which.",
    ),
    126: ("CommandNotExecutable", "The command exists but may not be executed; check its mode."),
    127: ("CommandNotFound", "The command does not exist; check its path and PATH."),
}

_NOT_EXECUTED = 126
_TOO_LONG = re.compile(r"\[pierhead\] cannot run .*: Argument list too long", re.S)
_COMMAND_TOO_LONG = (
    "CommandTooLong",
    "The command line and its environment are more than the system takes, which is often 128 KiB "
    "for a single value; put long texts into files.",
)

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
    15: ("Terminated", "Somebody outside the platform told the process to end."),
}

#: Ends that came from outside: nothing that the program wrote before explains them.
_FROM_OUTSIDE = frozenset({9, 15})


def crash(end: Exit, last_lines: tuple[str, ...]) -> Cause:
    """Why a replica's process ended, as far as the facts tell."""
    if end.oom:
        return Cause(
            "OutOfMemory",
            "The process was killed because it used more memory than its limit; raise the limit or shrink context, slots or model.",
        )
    if end.lost:
        return Cause(
            "Lost",
            "Nobody saw the process end: the process beside it was killed too, or the machine restarted.",
        )
    if end.reason:
        return Cause(end.reason, end.message)
    number = _signal_of(end)
    text = "" if number in _FROM_OUTSIDE else "\n".join(_own_words(last_lines))
    for pattern, reason, advice in _LOG_RULES:
        found = pattern.search(text)
        if found is not None:
            return Cause(reason, f"{advice} ({end}; log: {_line_of(text, found.start())})")
    code = -1 if end.code is None else end.code
    too_long = code == _NOT_EXECUTED and any(map(_TOO_LONG.match, last_lines))
    known = _SIGNALS.get(number) or (_COMMAND_TOO_LONG if too_long else _CODES.get(code))
    if known is not None:
        return Cause(known[0], f"{known[1]} ({end}{_evidence(last_lines)})")
    return Cause("Crashed", f"The process ended by itself ({end}{_evidence(last_lines)}).")


def _own_words(lines: tuple[str, ...]) -> list[str]:
    """Without what the keeper said: its exit codes say that better."""
    return [line for line in lines if not line.startswith("[pierhead] cannot run")]


def never_ready(seconds: float, ports: tuple[int, ...], problem: str, *, listens: bool) -> Cause:
    """Why a run was ended that was not ready in time.

    `ports` = the one it was given, then those its template declares; `problem` = its last probe's.
    """
    if listens:
        return Cause(
            "StartDeadlineExceeded",
            f"It was ended, because it was not ready within {seconds:g} s: {problem}. "
            "Give it more time, or mend what its probe asks for.",
        )
    declared = "".join(f", nor on its declared port {number}" for number in ports[1:])
    return Cause(
        "NeverListened",
        f"It was ended, because within {seconds:g} s nothing listened on the port that PORT names ({ports[0]}){declared}. "
        "Let the command listen on $PORT (or {port} in its arguments), or give it more time.",
    )


def too_much_memory(used: str, limit: str) -> Cause:
    """Why a run was ended that used more memory than it may."""
    return Cause(
        "OutOfMemory",
        f"It was ended, because it used {used} of memory and its limit is {limit}; raise the limit or shrink context, slots or model.",
    )


def _signal_of(end: Exit) -> int:
    """The signal that ended it, also when a shell in between tells it as 128 + number; else 0."""
    if end.signal is not None:
        return end.signal
    return end.code - 128 if end.code is not None and 128 < end.code < 160 else 0


def _line_of(text: str, position: int) -> str:
    start = text.rfind("\n", 0, position) + 1
    return text[start : start + 200].split("\n", 1)[0].strip()


def _evidence(lines: tuple[str, ...]) -> str:
    """What it wrote last, at most three lines."""
    shown = [line.strip()[:200] for line in lines if line.strip()][-3:]
    if not shown:
        return "; it wrote nothing"
    return f"; last line{'s' * (len(shown) > 1)}: {' | '.join(shown)}"
