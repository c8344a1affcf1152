"""The documentation is about this program: what exists is written down, what is written down exists."""

import dataclasses
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"


def _script(name: str) -> ModuleType:
    """A script of this project as a module."""
    return _module(ROOT / "scripts" / f"{name}.py")


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def _pages() -> list[Path]:
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]


# --- the reference is complete ---------------------------------------------------------------------


def test_the_reference_pages_are_what_the_code_says() -> None:
    stale = [
        path.name
        for path, text in _script("generate_docs").pages().items()
        if not path.exists() or path.read_text() != text
    ]
    assert stale == [], "run make fix"


def test_every_setting_is_documented() -> None:
    from pierhead.settings import Settings, environment_name

    page = (REFERENCE / "settings.md").read_text()
    keys = [
        part.metadata["key"] or part.name
        for part in dataclasses.fields(Settings)
        if "internal" not in part.metadata
    ]
    assert len(keys) > 10
    missing = [key for key in keys if f"| `{key}` |" not in page]
    missing += [key for key in keys if f"`{environment_name(key)}`" not in page]
    assert missing == []


def test_every_metric_is_documented() -> None:
    """What both processes show on /metrics, name by name, is on the page."""
    from pierhead.gateway.balance import Failure
    from pierhead.gateway.exposition import Metrics
    from pierhead.telemetry import HubFigures

    gateway = Metrics(lambda: {"replica": 1}, lambda: {"replica": Failure.SILENT})
    shown = HubFigures().exposition()[0] + gateway.text()
    names = set(re.findall(r"^# TYPE (pierhead_\S+)", shown.decode(), re.MULTILINE))
    assert {"pierhead_requests_total", "pierhead_gateway_requests_total"} <= names
    page = (REFERENCE / "metrics.md").read_text()
    assert sorted(name for name in names if f"`{name}`" not in page) == []


def test_every_error_code_has_a_heading_that_its_link_meets() -> None:
    from pierhead.dialects.eas.errors import CODES, anchor

    text = (REFERENCE / "eas-errors.md").read_text()
    anchors = _anchors(text)
    assert sorted(code for code in CODES if f"## {code}\n" not in text) == []
    assert sorted(code for code in CODES if anchor(code) not in anchors) == []


def test_every_operation_is_documented() -> None:
    from pierhead.dialects.eas import catalog

    known = catalog.load().operations
    assert len(known) == 108
    coverage = (REFERENCE / "eas-coverage.md").read_text()
    reference = (REFERENCE / "eas-operations.md").read_text()
    assert [item.id for item in known if f"`{item.id}`" not in coverage] == []
    real = [item.id for item in known if not item.unsupported]
    assert [name for name in real if f"## {name}\n" not in reference] == []
    beyond = {item.id for item in known if item.tier == "3" and not item.unsupported}
    assert beyond == set()


def test_every_zstack_api_is_documented() -> None:
    from pierhead.dialects.zstack import catalog

    known = catalog.load().apis.values()
    assert len(known) == 74
    coverage = (REFERENCE / "zstack-coverage.md").read_text()
    reference = (REFERENCE / "zstack-operations.md").read_text()
    assert [api.name for api in known if f"`{api.name}`" not in coverage] == []
    real = [api for api in known if api.tier != 3]
    assert [api.name for api in real if f"\n## {api.name}\n" not in reference] == []
    for api in real:
        section = reference.partition(f"\n## {api.name}\n")[2].partition("\n## ")[0]
        assert [item.name for item in api.params if f"| `{item.name}` |" not in section] == []
    unexplained = [api.name for api in known if not (api.reason if api.tier == 3 else api.effect)]
    assert unexplained == []


def test_every_zstack_error_code_is_explained() -> None:
    from pierhead.dialects.zstack.errors import CODES
    from pierhead.dialects.zstack.reference import WHEN

    assert sorted(WHEN) == sorted(CODES)
    text = (REFERENCE / "zstack-errors.md").read_text()
    assert [code for code in CODES if f"## {code}\n" not in text] == []


#: Older forms of architectureImages; they are no inputs of their own.
ALIASES = {"dockerImage", "vmImageUuid"}


def test_each_of_the_26_inputs_has_an_effect_and_a_test() -> None:
    from pierhead.dialects.zstack import catalog

    effects = _module(ROOT / "tests" / "e2e" / "zstack_inputs.py").EFFECTS
    api = catalog.load().apis["AddModelService"]
    inputs = {item.name for item in api.params} - ALIASES | {"systemTags", "userTags"}
    assert len(inputs) == 26
    assert set(effects) == inputs
    for name, (effect, test) in effects.items():
        assert effect.endswith("."), name
        assert test == "test_input_" + re.sub(r"[A-Z]", lambda hit: "_" + hit[0].lower(), name)
    tests = (ROOT / "tests" / "e2e" / "test_zstack_inputs.py").read_text()
    assert [test for _, test in effects.values() if f"\ndef {test}(" not in tests] == []


def test_every_reason_is_on_the_page_of_diagnoses() -> None:
    from pierhead.core.diagnosis.texts import ENTRIES

    page = (REFERENCE / "diagnosis.md").read_text()
    assert sorted(reason for reason in ENTRIES if f"| `{reason}` |" not in page) == []


def test_the_troubleshooting_page_names_no_reason_that_is_none() -> None:
    from pierhead.core.diagnosis.texts import ENTRIES

    page = (DOCS / "how-to" / "troubleshoot.md").read_text()
    rows = re.findall(r"^\| (`[A-Z]\w+`(?:, `[A-Z]\w+`)*) \|", page, re.MULTILINE)
    named = {word for row in rows for word in re.findall(r"`(\w+)`", row)}
    assert len(named) > 40
    notices = {"DistroPackagesNotInstalled", "InstallPathMissing"}
    assert sorted(named - set(ENTRIES) - notices) == []


# --- what is written down exists -------------------------------------------------------------------


def test_commands_in_the_docs_are_make_targets() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    used = {
        (page.name, target)
        for page in _pages()
        for target in re.findall(r"(?:^\$ |`)make ([a-z-]+)", page.read_text(), re.MULTILINE)
    }
    assert ("README.md", "demo") in used
    assert {use for use in used if use[1] not in targets} == set()


def test_commands_in_the_docs_are_pierhead_commands() -> None:
    import typer.main

    from pierhead.cli.main import app

    root = typer.main.get_command(app)
    wrong = []
    for page in _pages():
        for line in re.findall(r"^\$ (?:\S*/)?pierhead (.+)$", page.read_text(), re.MULTILINE):
            command = root
            for word in line.split():
                children = getattr(command, "commands", None)
                if children is None or word.startswith("-"):
                    break
                if word not in children:
                    wrong.append(f"{page.name}: pierhead {line}")
                    break
                command = children[word]
    assert wrong == []


def test_internal_links_resolve() -> None:
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in _pages()
        for target in re.findall(r"\]\(([^)\s]+)\)", _without_code(page.read_text()))
        if not re.match(r"[a-z]+:", target) and not _resolves(page, target)
    ]
    assert broken == []


def test_the_link_check_can_fail() -> None:
    page = DOCS / "index.md"
    assert not _resolves(page, "no-such-page.md")
    assert not _resolves(page, "reference/eas-errors.md#nosuchcode")
    assert _resolves(page, "reference/eas-errors.md#missingparameter")


def _resolves(page: Path, target: str) -> bool:
    name, _, fragment = target.partition("#")
    path = (page.parent / name).resolve() if name else page
    if not path.exists():
        return False
    return not fragment or fragment in _anchors(path.read_text())


def _without_code(text: str) -> str:
    return re.sub(r"```.*?```", "", text, flags=re.DOTALL)


def _anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as the site builder and GitHub make them."""
    headings = re.findall(r"^#{1,6} (.+)$", _without_code(text), re.MULTILINE)
    return {
        re.sub(r"[\s]+", "-", re.sub(r"[^\w\s-]", "", head.lower()).strip()) for head in headings
    }


def test_every_page_is_in_its_site() -> None:
    """A page that the navigation does not name is a page that nobody finds."""
    english = (ROOT / "zensical.en.toml").read_text()
    chinese = (ROOT / "zensical.zh.toml").read_text()
    lost = [
        str(path.relative_to(DOCS))
        for path in sorted(DOCS.rglob("*.md"))
        if f'"{path.relative_to(DOCS)}"' not in english
        and f'"{path.relative_to(DOCS).as_posix().removeprefix("zh/")}"' not in chinese
    ]
    assert lost == []


def test_every_decision_is_listed() -> None:
    index = (DOCS / "decisions" / "index.md").read_text()
    records = [path.name for path in sorted((DOCS / "decisions").glob("0*.md"))]
    assert len(records) >= 8
    assert [name for name in records if f"({name})" not in index] == []
    assert [name[:4] for name in records] == [f"{n:04}" for n in range(1, len(records) + 1)]


def test_the_reading_order_exists_and_is_short() -> None:
    section = (
        (ROOT / "README.md").read_text().partition("## Reading the code")[2].partition("\n## ")[0]
    )
    files = [ROOT / name for name in re.findall(r"\]\((src/[^)]+\.py)\)", section)]
    assert len(files) == 7
    assert [str(path) for path in files if not path.exists()] == []
    assert sum(len(path.read_text().splitlines()) for path in files) < 1600


# --- both languages ----------------------------------------------------------------------------------


def _terms(path: Path) -> list[str]:
    """First column of the glossary without the translation in parentheses."""
    rows = re.findall(r"^\| ([A-Z][^|]+?) \|", path.read_text(), re.MULTILINE)
    return [re.sub(r"（.*）", "", row).strip() for row in rows]


def test_the_glossaries_have_the_same_rows() -> None:
    english, chinese = _terms(DOCS / "glossary.md"), _terms(DOCS / "zh" / "glossary.md")
    assert len(english) > 15
    assert english == chinese


# --- the checkers themselves -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "caught"),
    [
        ("see /roo" + "t/project/file", True),
        ("index at https://pypi.or" + "g/simple", True),
        ("in /home/somebody" + "/project", True),
        ("in /home/you/project", False),
        ("docs/roo" + "t/file and network/main", False),
    ],
)
def test_words_of_a_machine_are_caught(line: str, caught: bool) -> None:
    patterns = _script("check_words").FORBIDDEN.values()
    assert any(pattern.search(line) for pattern in patterns) is caught


def test_no_file_names_the_machine_it_was_written_on() -> None:
    checker = _script("check_words")
    found = [
        line
        for path in checker.tracked()
        if path.name not in checker.LOCKS and path.is_file()
        for line in checker.findings(path)
    ]
    assert found == []


def test_the_changes_are_told() -> None:
    assert _script("check_changes").problems() == []
