"""The page of diagnoses: every reason in three languages, every deadline, every fault of the corpus."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from markdown_text import code, table

from pierhead.core.deadlines import Stage

_CORPUS = Path(__file__).parent.parent / "tests" / "fault" / "corpus.py"
_KINDS = {
    "process": "a real program",
    "engine": "the embedded engine",
    "said": "a program that says what the real one would",
    "weights": "files, judged by the preflight",
    "store": "the store double",
    "nas": "a real NFS server, or FUSE without an answer",
    "later": "done to a service that runs",
    "platform": "asked of the platform",
}


def page() -> str:
    """What is told of whatever is not as wanted."""
    return "\n".join([_HEAD, *_deadlines(), *_reasons(), *_corpus()])


_HEAD = """# Diagnosis

Whatever is not as wanted has a reason: one word for scripts, and for people an error, what may have led
there, the evidence, and what to do. `DescribeServiceDiagnosis` and `DescribeServiceInstanceDiagnosis` tell it
over the API, `pierhead why SERVICE` on the command line, `pierhead_service_hold{reason}` as a figure.
`Accept-Language` (`--lang`, `PIERHEAD_LANG`) chooses English, Simplified or Traditional Chinese; what lies
deepest comes first. The words stand in `core/diagnosis/texts/`; a sentence that needs a fact nobody knows is
left out.
"""


def _deadlines() -> Iterator[str]:
    from pierhead.core import deadlines

    yield "## Who moves a state on, and until when\n"
    yield (
        "What lasts longer is told under the reason in the last column. Engines that load have the time of "
        "their template, or 5 minutes and 20 s for each GiB of weights where that is more.\n"
    )
    rows = [
        (code(status), stage.owner, _seconds(stage), code(stage.overrun))
        for status, stage in deadlines.STATUSES.items()
    ]
    rows += [
        (f"a replica that is {state}", stage.owner, _seconds(stage), code(stage.overrun))
        for state, stage in deadlines.PHASES.items()
    ]
    rows += [
        (code(reason), stage.owner, _seconds(stage), code(stage.overrun))
        for reason, stage in deadlines.GOING_ON.items()
    ]
    yield table(("status or reason", "owner", "deadline", "overrun"), rows)


def _seconds(stage: Stage) -> str:
    parts = [
        {0: "", 1: "the grace", 2: "twice the grace"}[stage.graces],
        "the template's start deadline" if stage.seconds is None else f"{stage.seconds:g} s",
        f"{stage.per_gib:g} s for each GiB" if stage.per_gib else "",
    ]
    return " and ".join(part for part in parts if part and part != "0 s")


def _reasons() -> Iterator[str]:
    from pierhead.core.diagnosis.texts import SECTIONS
    from pierhead.core.diagnosis.wording import alternatives

    for title, entries in SECTIONS:
        yield f"\n## {title}\n"
        rows = [
            (
                code(entry.reason),
                alternatives(entry.en.error)[-1],
                " ".join(alternatives(advice)[-1] for advice in entry.en.advices),
                alternatives(entry.zh_cn.error)[-1],
                alternatives(entry.zh_tw.error)[-1],
            )
            for entry in entries.values()
        ]
        yield table(("reason", "what is said", "what to do", "简体中文", "繁體中文"), rows)


def _corpus() -> Iterator[str]:
    cases = _load(_CORPUS).CASES
    counts = {kind: sum(case.kind == kind for case in cases) for kind in _KINDS}
    yield "\n## Faults that are injected in the tests\n"
    yield (
        f"{len(cases)} faults, each with the one top cause that is right; `tests/fault/test_diagnosis_corpus.py` "
        "plays them against a whole platform and asks over its wire, in three languages. At least 95 % must "
        "be right within 5 s beyond what the fault takes by its nature. How they are played: "
        + "; ".join(f"{_KINDS[kind]} ({count})" for kind, count in counts.items())
        + ".\n"
    )
    rows = [(case.injected, code(case.reason), _KINDS[case.kind]) for case in cases]
    yield table(("injected", "right cause", "played by"), rows)


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("corpus", path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(path)
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault("corpus", module)
    spec.loader.exec_module(module)
    return module
