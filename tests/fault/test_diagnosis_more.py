"""The faults of corpus_more.py: the right top cause within 5 s, in three languages."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import broken_things
import pytest
from corpus import document
from corpus_more import MORE, WEIGHTS_MORE, programs, weights
from stage import Stage
from test_diagnosis_corpus import counted, judge, played

__all__ = ["counted"]  # a fixture that is used by being here


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    made = Stage(tmp_path_factory.mktemp("more") / "data")
    made.up()
    try:
        yield made
    finally:
        made.end()
        print(made.tail(60))


def test_programs_that_are_given_or_say_something_wrong(stage: Stage, tmp_path: Path) -> None:
    """Law: "stuck, and nobody says why" does not happen, and nobody innocent is blamed (F41)."""
    programs(tmp_path / "programs")
    cases = [case for case in MORE if not case.needs or shutil.which(case.needs)]
    judge(
        played(
            stage, cases, {case.name: document(case, str(tmp_path / "programs")) for case in cases}
        )
    )


def test_files_that_are_no_model(stage: Stage, tmp_path: Path) -> None:
    """Law: a bad model file is never loaded, and what it is instead is said (F18, F41)."""
    weights(tmp_path / "nas")
    where = ("--mount-target", broken_things.NAS, "--local-path", str(tmp_path / "nas"))
    broken_things.verb(stage, "storage", "add", "nas", "more", *where)
    judge(
        played(
            stage,
            WEIGHTS_MORE,
            {case.name: broken_things.mounted(case.name) for case in WEIGHTS_MORE},
        )
    )
