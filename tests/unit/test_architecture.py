"""The layers hold, a planted violation of each contract is caught, and no module or function grows."""

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
SOURCE = ROOT / "src" / "pierhead"

MAX_MODULE_LINES = 500
MAX_FUNCTION_LINES = 60
#: A migration is a list of tables in the shape of a function; a released one is never edited.
LISTS = "store/migrations/versions/"

#: (file, line to add, words of the contract that must break)
VIOLATIONS = [
    ("core/plan.py", "import asyncio", "The core is pure"),
    ("core/plan.py", "import pierhead.store", "Layers:"),
    ("operations/__init__.py", "import pierhead.dialects.eas", "Layers:"),
    ("web/__init__.py", "import pierhead.gateway", "Layers:"),
    (
        "dialects/eas/__init__.py",
        "import pierhead.runtimes.process",
        "Only bootstrap names a concrete runtime",
    ),
    ("operations/__init__.py", "import psutil", "Heavy clients stay at home"),
    ("gateway/__init__.py", "import sqlalchemy", "The gateway never touches the database"),
]


def _lint_imports(project: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports_command; lint_imports_command()",
            "--config=pyproject.toml",
            "--no-cache",
        ],
        cwd=project,
        env={"PATH": os.defpath, "PYTHONPATH": str(project / "src"), "LANG": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def _verdicts(output: str) -> dict[str, bool]:
    """Contract name -> kept, from the report's summary."""
    found = re.findall(r"^(.+?) (KEPT|BROKEN)\b", output, re.MULTILINE)
    return {name: word == "KEPT" for name, word in found}


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """A copy of the project that a test may spoil."""
    shutil.copytree(SOURCE, tmp_path / "src" / "pierhead", ignore=shutil.ignore_patterns("*.pyc"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_contracts_hold(planted: Path) -> None:
    result = _lint_imports(planted)
    verdicts = _verdicts(result.stdout)
    assert len(verdicts) >= 5, result.stdout + result.stderr
    assert all(verdicts.values()), result.stdout
    assert result.returncode == 0


@pytest.mark.parametrize(("file", "line", "contract"), VIOLATIONS)
def test_a_planted_violation_is_caught(planted: Path, file: str, line: str, contract: str) -> None:
    path = planted / "src" / "pierhead" / file
    path.write_text(path.read_text() + f"\n{line}\n")
    result = _lint_imports(planted)
    broken = [name for name, kept in _verdicts(result.stdout).items() if not kept]
    assert result.returncode == 1, result.stdout + result.stderr
    assert any(name.startswith(contract) for name in broken), result.stdout


def _modules() -> Iterator[tuple[str, str]]:
    for path in sorted(SOURCE.rglob("*.py")):
        yield str(path.relative_to(SOURCE)), path.read_text()


def test_modules_stay_small() -> None:
    lengths = {name: len(text.splitlines()) for name, text in _modules()}
    assert {name: n for name, n in lengths.items() if n > MAX_MODULE_LINES} == {}


def test_functions_stay_small() -> None:
    long = {
        f"{name}:{node.name}": node.end_lineno - node.lineno + 1
        for name, text in _modules()
        if not name.startswith(LISTS)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > MAX_FUNCTION_LINES
    }
    assert long == {}


def test_every_module_opens_with_a_sentence() -> None:
    silent = [
        name for name, text in _modules() if not (ast.get_docstring(ast.parse(text)) or "").strip()
    ]
    assert silent == []


def test_a_broad_except_gives_its_reason() -> None:
    found = [
        f"{name}:{line}" for name, text in _modules() for line in unexplained_broad_excepts(text)
    ]
    assert found == []


def test_the_broad_except_rule_can_fail() -> None:
    bare = "try:\n    x()\nexcept Exception:\n    pass\n"
    excused = "try:\n    x()\nexcept Exception:  # noqa: BLE001\n    pass\n"
    explained = (
        "try:\n    x()\n"
        "except Exception as error:  # noqa: BLE001 - the queue owns retries: whatever it was, it is tried again\n"
        "    pass\n"
    )
    reraised = "try:\n    x()\nexcept BaseException:\n    undo()\n    raise\n"
    assert unexplained_broad_excepts(bare) == [3]
    assert unexplained_broad_excepts(excused) == [3]
    assert unexplained_broad_excepts(explained) == []
    assert unexplained_broad_excepts(reraised) == []


def unexplained_broad_excepts(text: str) -> list[int]:
    """Lines of handlers that swallow everything without a reason beside or just above them."""
    lines = text.splitlines()
    return [
        node.lineno
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ExceptHandler)
        and _is_broad(node.type)
        and not _passes_on(node)
        and not _explained(lines, node)
    ]


def _is_broad(caught: ast.expr | None) -> bool:
    names = caught.elts if isinstance(caught, ast.Tuple) else [caught]
    return any(
        name is None or (isinstance(name, ast.Name) and name.id in {"Exception", "BaseException"})
        for name in names
    )


def _passes_on(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def _explained(lines: list[str], handler: ast.ExceptHandler) -> bool:
    """A comment of at least three words on the line itself, or a comment line above or below it."""
    own = re.sub(r"noqa(:\s*[A-Z0-9, ]+)?", "", lines[handler.lineno - 1].partition("#")[2])
    around = [lines[handler.lineno - 2], *lines[handler.lineno : handler.body[0].lineno]]
    comments = [own, *(line.strip()[1:] for line in around if line.strip().startswith("#"))]
    return any(len(comment.split()) >= 3 for comment in comments)
