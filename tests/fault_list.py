"""The faults that Pierhead survives, each with what decides it; a test names those that it defends.

A test defends a fault by its id in its docstring, which tells the law: `Law: intent is on disk before each
step (F01).` `make test-fault` plays them and prints a line for each fault; with ARGS=--record-faults it also
writes `fault/results.json`, from which the page docs/reference/fault-tests.md is made.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_ID = re.compile(r"\bF\d\d\b")
_FOLDERS = ("unit", "contract", "e2e", "fault")


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that happens to a platform."""

    id: str
    area: str
    fault: str  #: what happens
    criterion: str  #: what must be so nevertheless
    later: str = ""  #: why no test plays it yet


FAULTS = (
    Fault("F01", "recovery", "the hub dies by SIGKILL at any step of an operation", "the next hub ends where the first would have: nothing orphaned, lost or doubled; engines that ran keep process and start time and fail no request"),
    Fault("F03", "recovery", "every process dies, or the machine starts anew", "what should run runs again by itself, what was stopped stays stopped, no old process id is believed"),
    Fault("F04", "recovery", "a dead engine's process id belongs to somebody else", "that process never gets a signal; the replica counts as lost and is replaced"),
    Fault("F05", "levels", "notifications are lost, doubled, late or crossed", "the end is the wanted state within two resync periods"),
    Fault("F06", "replica", "an engine crashes again and again", "pauses of 1, 2, 4 ... 60 s that outlive the hub, Failed with a reason, the others serve on, the first crash can be read"),
    Fault("F08", "replica", "an engine says that it is well and serves something else", "it is never ready: readiness takes an answer of one token by the right model"),
    Fault("F09", "scale", "operations on one service at the same time, through both doors", "they have an order; stop and delete win; nothing stays between states beyond its deadline"),
    Fault("F10", "states", "a state without an owner, a deadline or a word for its overrun", "there is none, and every transition has a test"),
    Fault("F11", "delete", "a delete in any state, of half-made services too", "accepted within 5 s; gone is told when no process, port, lock or file of it is left"),
    Fault("F12", "drain", "updates and scale-in under a hundred open streams", "no stream is cut within the grace, no request answered 5xx; what outlasts the grace is named"),
    Fault("F13", "cold start", "200 requests for a service without replicas", "one load, every request answered or told when to come again"),
    Fault("F14", "disk", "the disk is full during a download, a log line, a database write", "an error with path, need and room; what runs goes on; it recovers by itself, the database whole"),
    Fault("F15", "database", "another process holds the database; its log is removed; its file is read-only", "reads go on, writes are told when to come again, nothing acknowledged is lost"),
    Fault("F16", "database", "SIGKILL at each statement of a migration; an older program on a newer database", "a backup first; it goes on or back; the older program refuses in one sentence with both versions"),
    Fault("F17", "upgrade", "a start on the database of every earlier schema while engines run", "no engine is touched; every object can be read, changed and deleted"),
    Fault("F18", "storage", "cuts, wrong bits, short answers and restarts during downloads", "it goes on where it was, at most 1 MiB fetched again for each cut; no wrong file is ever loaded"),
    Fault("F20", "storage", "a NAS that is gone or hangs", "it is asked aside and with a deadline; everybody else is answered as always; the service says what hangs since when"),
    Fault("F22", "gateway", "10,000 idle streams on two cores", "little memory, short requests quick, no stream broken"),
    Fault("F23", "gateway", "a client leaves before the first token, or in the middle", "the engine stops within a second; what it made is counted and marked"),
    Fault("F26", "authentication", "replays, skewed clocks, tampered or reordered requests, doubled parameters, weaker algorithms", "the vendor's exact codes; the store of nonces is bounded; no valid request refused"),
    Fault("F27", "authentication", "callers race for the first set-up", "nobody becomes an administrator without the secret of the credentials file"),
    Fault("F28", "authorization", "every operation by everybody", "nothing without an allow; what is in no table is denied; a deny beats any number of allows"),
    Fault("F30", "outgoing requests", "a store or address that leads to loopback or metadata services, in any notation, by redirect or a name that moves", "refused before a byte is sent; an operator's allowance opens what it names"),
    Fault("F31", "paths", "paths and object names that lead out of their folder", "nothing outside is read, listed or written"),
    Fault("F34", "commands", "shell metacharacters and options in what users write", "arguments stay arguments; no secret in argv, process list or logs"),
    Fault("F41", "engine", "everything an engine can die of", "each has its own error, cause and advice with the number that matters, within 5 s, in three languages"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Defence:
    """A test that plays faults."""

    node: str  #: path from the project's folder, "::", name
    faults: tuple[str, ...]
    law: str


def told(docstring: str | None) -> tuple[tuple[str, ...], str]:
    """The ids of faults in a docstring, and its law in one line, the ids left out."""
    text = " ".join((docstring or "").split())
    ids = tuple(sorted(set(_ID.findall(text))))
    law = re.split(r"(?<!\.)\. ", text.removeprefix("Law: "))[0]
    law = re.sub(r"\s*\((?:design \d+,? ?)?(?:F\d\d(?:, |, and | and )?)+\)", "", law)
    return ids, law.rstrip(".")


def defences(tests: Path) -> Iterator[Defence]:
    """Every test under `tests` that names a fault, in the order of their places."""
    for folder in _FOLDERS:
        for path in sorted((tests / folder).glob("test_*.py")):
            source = path.read_text("utf-8")
            if not _ID.search(source):
                continue
            for item in ast.walk(ast.parse(source)):
                if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef):
                    ids, law = told(ast.get_docstring(item))
                    if ids and item.name.startswith("test_"):
                        yield Defence(f"tests/{folder}/{path.name}::{item.name}", ids, law)


def files(tests: Path) -> list[str]:
    """All that holds tests of faults: the folder of fault tests, and files elsewhere."""
    nodes = (defence.node.partition("::")[0] for defence in defences(tests))
    return ["tests/fault", *sorted({path for path in nodes if not path.startswith("tests/fault/")})]


if __name__ == "__main__":
    print(*files(Path(__file__).parent))
