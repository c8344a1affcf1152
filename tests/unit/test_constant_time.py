"""The law: what a client could guess byte by byte is compared in constant time (by code, not by clock)."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parent.parent.parent / "src" / "pierhead"
SECRET = re.compile(
    r"(?:.*_)?(?:secret|signature|token|password|mac|hmac|internal_key)", re.IGNORECASE
)

#: (module, the comparison) -> why a clock tells nothing there.
HARMLESS = {
    ("operations/logins.py", "password"): "rows of the same user, before and after a check",
    ("sources/pages.py", "token"): "a listing's own marks of pages",
    ("operations/tag_patterns.py", "WITH_TOKEN"): "a kind of tag",
    ("dialects/eas/group_handlers.py", "token"): "the hub's own rows: services with the same token",
    ("operations/endpoint_tokens.py", "token"): "the hub's own rows: services with the same token",
    ("reconciler/tokens.py", "secret"): "the hub's own rows: which was read later",
    ("runtimes/kubernetes/belongings.py", "SECRET"): "a kind of object",
    (
        "runtimes/kubernetes/exec_auth.py",
        "_token",
    ): "our own token: is it the one that a server refused?",
    ("store/endpoint_tokens.py", "secret"): "the hub's own rows: was it set anew",
    ("store/endpoint_tokens.py", "token"): "a column in a query: a token's name",
}
#: Where credentials are checked; each must do it in constant time.
JUDGES = (
    "dialects/signing/signed_request.py",
    "dialects/zstack/signature.py",
    "gateway/tokens.py",
    "web/app.py",
    "core/audit.py",
)


def _modules() -> Iterator[tuple[str, str]]:
    for path in sorted(SOURCE.rglob("*.py")):
        yield str(path.relative_to(SOURCE)), path.read_text("utf-8")


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _is_column(node: ast.expr) -> bool:
    """`table.c.token == value` is SQL, which a digest is looked up by."""
    return isinstance(node, ast.Attribute) and _name(node.value) == "c"


def comparisons(text: str) -> Iterator[str]:
    """Names of secrets that are compared with something other than a constant."""
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Compare):
            continue
        if not any(isinstance(op, ast.Eq | ast.NotEq | ast.In | ast.NotIn) for op in node.ops):
            continue
        sides = [node.left, *node.comparators]
        if any(isinstance(side, ast.Constant) or _is_column(side) for side in sides):
            continue
        yield from (name for side in sides if SECRET.fullmatch(name := _name(side)))


def test_law_no_secret_is_compared_with_equals() -> None:
    found = {(module, name) for module, text in _modules() for name in comparisons(text)}
    assert found <= set(HARMLESS), found - set(HARMLESS)


def test_law_credentials_are_judged_by_compare_digest() -> None:
    texts = dict(_modules())
    assert [name for name in JUDGES if "compare_digest(" not in texts[name]] == []


def test_the_search_finds_what_it_looks_for() -> None:
    code = "if given_token == self.token or x.secret != y: pass\nif a in tokens: pass\nif password == '': pass"
    assert sorted(comparisons(code)) == ["given_token", "secret", "token"]
