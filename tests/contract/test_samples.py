"""Samples: how values are written, that what they name exists, that nothing secret gets into them."""

import ast
import asyncio
import importlib
import inspect
import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import tree_sitter
import tree_sitter_c_sharp
import tree_sitter_go
import tree_sitter_java
import tree_sitter_php
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from starlette.requests import Request
from typer.testing import CliRunner, Result

from pierhead.bootstrap.samples import find, operations
from pierhead.cli.main import app
from pierhead.core.errors import Invalid, NotFound
from pierhead.core.reference import Operation, Parameter, Place
from pierhead.web.make_code import PATH, making
from pierhead.web.make_code import Place as Here
from pierhead.web.samples import layout, python_signed
from pierhead.web.samples.calls import Origin, planned
from pierhead.web.samples.literals import CSHARP, GO, JAVA, PHP, PYTHON, TYPESCRIPT, Spelling, shell
from pierhead.web.samples.making import LANGUAGES, made, read

ALL = operations()
ORIGIN = Origin("http://127.0.0.1:8080", "http://127.0.0.1:8081", "local")
PARSED = {
    "java": tree_sitter_java.language(),
    "go": tree_sitter_go.language(),
    "php": tree_sitter_php.language_php(),
    "csharp": tree_sitter_c_sharp.language(),
}
ODD = [
    "'",
    '"',
    "\\",
    "$",
    "${x}",
    "`",
    "\n",
    "\r",
    "\t",
    "\0",
    "\\u000a",
    "\u2028",
    "@code@",
    "*/",
    "?>",
    "%s",
    "中",
    "💡",
]

texts = st.lists(st.one_of(st.sampled_from(ODD), st.text(max_size=5)), max_size=5).map("".join)
texts = texts.filter(lambda text: not any("\ud800" <= one <= "\udfff" for one in text))
keys = st.one_of(texts, st.sampled_from(["__proto__", "constructor", "class", "1", ""]))
scalars = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | texts
scalars |= st.floats(-(2.0**53), 2.0**53)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4)
)


def written(spelling: Spelling, value: Any) -> str:
    return layout.text(spelling.node(value), "    ")


@given(values)
@settings(max_examples=200, deadline=None)
def test_python_reads_the_value_that_was_meant(value: Any) -> None:
    assert ast.literal_eval(written(PYTHON, value)) == value


@given(st.lists(values, min_size=80, max_size=120))
# A process for each example: what fails is told as it is, not made small first.
@settings(max_examples=3, deadline=None, phases=(Phase.generate,))
def test_typescript_reads_the_value_that_was_meant(given_values: list[Any]) -> None:
    code = ",\n".join(written(TYPESCRIPT, value) for value in given_values)
    program = f"process.stdout.write(JSON.stringify([{code}]))"
    said = subprocess.run(
        ("node", "-"), input=program.encode(), capture_output=True, timeout=120, check=True
    )
    assert json.loads(said.stdout) == given_values


@given(st.lists(texts.map(lambda text: text.replace("\0", "")), min_size=1, max_size=60))
@settings(max_examples=5, deadline=None, phases=(Phase.generate,))
def test_a_shell_reads_the_text_that_was_meant(given_texts: list[str]) -> None:
    program = f"printf '%s\\0' {' '.join(map(shell, given_texts))}"
    said = subprocess.run(
        ("sh",), input=program.encode(), capture_output=True, timeout=120, check=True
    )
    assert said.stdout.decode().split("\0")[:-1] == given_texts


@given(values)
@settings(max_examples=100, deadline=None)
def test_a_value_stays_one_expression_in_the_other_languages(value: Any) -> None:
    """Whatever it holds, the code around it still parses, and holds as many statements as before."""
    frames = {
        "java": ("class A { Object a = ", "; int end; }", JAVA),
        "go": ("package main\nvar a = ", "\nvar end int\n", GO),
        "php": ("<?php\n$a = ", ";\n$end = 1;\n", PHP),
        "csharp": ("class A { object a = ", "; int end; }", CSHARP),
    }
    for language, (before, after, spelling) in frames.items():
        code = f"{before}{written(spelling, value)}{after}"
        tree = tree_sitter.Parser(tree_sitter.Language(PARSED[language])).parse(code.encode())
        assert not tree.root_node.has_error, (language, code)
        holder = tree.root_node if language in {"go", "php"} else tree.root_node.children[0]
        expected = {"java": 1, "csharp": 1, "go": 3, "php": 3}[language]
        assert len(holder.named_children if language in {"go", "php"} else [holder]) == expected


def test_every_sample_in_the_languages_that_do_not_run_here_parses() -> None:
    wrong = [
        f"{language} {one.product}:{one.id}"
        for language, grammar in PARSED.items()
        for one in ALL
        if tree_sitter.Parser(tree_sitter.Language(grammar))
        .parse(made(one, None, ORIGIN, language).code.encode())
        .root_node.has_error
    ]
    assert not wrong


def test_go_is_aligned_as_gofmt_does() -> None:
    value = {
        "a": 1,
        "long name": "x" * 60,
        "list": [{"b": "y" * 60, "longer": 2}],
        "cd": True,
        "e": None,
    }
    assert layout.text(GO.node(value), "\t") == (
        "map[string]interface{}{\n"
        '\t"a":         1,\n'
        f'\t"long name": "{"x" * 60}",\n'
        '\t"list": []interface{}{\n'
        "\t\tmap[string]interface{}{\n"
        f'\t\t\t"b":      "{"y" * 60}",\n'
        '\t\t\t"longer": 2,\n'
        "\t\t},\n"
        "\t},\n"
        '\t"cd": true,\n'
        '\t"e":  nil,\n'
        "}"
    )


def _whole(parameter: Parameter) -> Any:
    """A value with every field that is known of it."""
    if parameter.items is not None:
        return (
            {"k": _whole(parameter.items)} if parameter.type == "map" else [_whole(parameter.items)]
        )
    if parameter.fields:
        return {field.name: _whole(field) for field in parameter.fields}
    return "x"


def _names(code: str) -> Iterator[tuple[str, dict[str, bool]]]:
    """(class or method, its arguments: is it a list?) of every call on `models` or `client`."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            if isinstance(owner, ast.Name) and owner.id in {"models", "client"}:
                given_names = ((one.arg, one.value) for one in node.keywords)
                arguments = {name: isinstance(v, ast.List) for name, v in given_names if name}
                yield f"{owner.id}.{node.func.attr}", arguments


def test_every_name_in_a_typed_sample_exists_in_the_vendors_package() -> None:
    typed = 0
    for one in ALL:
        fields = [field for field in one.parameters if one.product in python_signed.PACKAGES]
        for given_values in (None, *({field.name: _whole(field)} for field in fields)):
            sample = made(one, given_values, ORIGIN, "python")
            if not sample.typed:
                continue
            typed += 1
            module = python_signed.PACKAGES[one.product][1]
            scope = {
                "models": importlib.import_module(f"{module}.models"),
                "client": importlib.import_module(f"{module}.client").Client,
            }
            for name, arguments in _names(sample.code):
                owner, _, attribute = name.partition(".")
                known = inspect.signature(getattr(scope[owner], attribute)).parameters
                assert set(arguments) <= set(known), (one.id, name, arguments)
                lists = [key for key, listed in arguments.items() if listed]
                wrong = [key for key in lists if "List" not in str(known[key].annotation)]
                assert not wrong, (one.id, name, wrong)
    assert typed > 400


def test_a_typed_sample_gives_way_to_a_generic_one_where_the_client_lacks_a_field() -> None:
    scaler = find("eas", "CreateServiceCronScaler")
    values = {
        "ClusterId": "local",
        "ServiceName": "foo",
        "ScaleJobs": [{"Name": "a", "TimeZone": "UTC"}],
    }
    assert not made(scaler, values, ORIGIN, "python").typed
    del values["ScaleJobs"][0]["TimeZone"]  # type: ignore[index]
    assert made(scaler, values, ORIGIN, "python").typed
    assert not made(scaler, values, ORIGIN, "python", typed=False).typed


def test_no_secret_gets_into_a_sample() -> None:
    secret = "Hunter2!very-secret"
    login = find("ram", "CreateLoginProfile")
    account = find("zstack", "LogInByAccount")
    for language in LANGUAGES:
        for operation, values in (
            (login, {"UserName": "bob", "Password": secret}),
            (account, {"accountName": "admin", "password": secret}),
        ):
            code = made(operation, values, ORIGIN, language).code
            assert secret not in code
            assert "assword" in code
        for one in ALL:
            code = made(one, None, ORIGIN, language).code
            assert "mock" not in code.lower()


def test_what_no_request_can_carry_is_refused_in_words() -> None:
    create = find("eas", "CreateAppService")
    deep: Any = "x"
    for _ in range(60):
        deep = [deep]
    bad: list[tuple[Mapping[str, Any], str]] = [
        ({"Nope": 1}, "Nope"),
        ({"ServiceName": "\ud800"}, "half a character"),
        ({"Config": {"a": float("nan")}}, "no number"),
        ({"Config": deep}, "nests deeper"),
    ]
    for values, words in bad:
        with pytest.raises(Invalid, match=words):
            planned(create, values, ORIGIN)
    with pytest.raises(Invalid, match="cobol"):
        made(create, None, ORIGIN, "cobol")
    with pytest.raises(NotFound, match="nosuch"):
        find("eas", "nosuch")
    with pytest.raises(Invalid, match="integer"):
        read(create, "Replicas", "two")
    assert read(create, "Replicas", "2") == 2
    assert read(create, "ServiceName", "2") == "2"


def _asked(*bodies: str | bytes) -> list[tuple[int, dict[str, Any]]]:
    """What makeCode answers to each of them."""
    answer = making(find, Here("http://hub", "http://gateway:81", "local"))
    headers = [(b"host", b"10.1.2.3:8080"), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": PATH, "scheme": "http", "headers": headers}
    scope |= {"query_string": b"", "server": ("10.1.2.3", 8080)}

    async def ask(body: str | bytes) -> tuple[int, dict[str, Any]]:
        content = body.encode() if isinstance(body, str) else body

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": content, "more_body": False}

        found = await answer(Request({**scope}, receive))
        return found.status_code, json.loads(found.body)

    async def all_of_them() -> list[tuple[int, dict[str, Any]]]:
        return [await ask(body) for body in bodies]

    return asyncio.run(all_of_them())


def test_make_code_answers_in_the_shape_of_api_explorers() -> None:
    wish = {
        "callType": "typed",
        "product": "EAS",
        "apiVersion": "2021-07-01",
        "apiName": "CreateAppService",
        "regionId": "local",
        "language": "python",
        "params": json.dumps({"ServiceName": "对话", "Replicas": 2}),
    }
    some = {"product": "zstack", "apiName": "AddModel"}
    one, all_of_them = _asked(json.dumps(wish), json.dumps(some))
    assert one[0] == 200
    assert one[1]["code"] == 0
    code = one[1]["data"]["demoSdk"]["python"]
    assert 'service_name="对话"' in code
    assert 'endpoint="10.1.2.3:8080"' in code
    assert one[1]["data"]["callType"] == {"python": "typed"}
    assert list(all_of_them[1]["data"]["demoSdk"]) == list(LANGUAGES)


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"product": "nosuch"}, 404, "nosuch"),
        ({"product": ""}, 400, "product"),
        ({"apiName": "nosuch"}, 404, "nosuch"),
        ({"apiName": None}, 400, "apiName"),
        ({"apiName": 7}, 400, "apiName"),
        ({"apiVersion": "1999"}, 400, "2021-07-01"),
        ({"callType": "odd"}, 400, "typed"),
        ({"language": "cobol"}, 400, "curl"),
        ({"params": "{"}, 400, "JSON"),
        ({"params": "[]"}, 400, "object"),
        ({"params": 7}, 400, "object"),
        ({"params": {"Nope": 1}}, 400, "Nope"),
        ({"params": '{"ServiceName": "\\ud800"}'}, 400, "half a character"),
        ({"params": {"Config": ["x"] * 5000}}, 400, "too many values"),
        ({"product": "\ud800"}, 400, "product"),
        ({"regionId": "local\n"}, 400, "regionId"),
    ],
)
def test_make_code_refuses_in_words(change: dict[str, Any], status: int, words: str) -> None:
    wish = {"product": "eas", "apiName": "CreateAppService", "language": "curl", **change}
    ((found, told),) = _asked(json.dumps(wish))
    assert found == status
    assert told["code"] == 1
    assert told["data"] is None
    assert words in told["message"]


def test_make_code_refuses_what_is_no_json() -> None:
    for status, told in _asked(b"", b"{", b"[]", b"\xff", b"x" * 300_000):
        assert (status, told["code"]) == (400, 1)


def test_path_parameters_that_are_not_given_show_their_names() -> None:
    operation: Operation = find("eas", "DescribeService")
    assert [one.place for one in operation.parameters] == [Place.PATH, Place.PATH]
    assert planned(operation, {}, ORIGIN).path.endswith("/%3CClusterId%3E/%3CServiceName%3E")


def test_the_command_line_writes_samples_without_a_server(tmp_path: Path) -> None:
    def run(*arguments: str, said: str | None = None) -> Result:
        asked = ["sample", *arguments, "--data-dir", str(tmp_path)]
        return CliRunner().invoke(app, asked, input=said)

    one = run("createappservice", "--param", "ServiceName=a=b", "--param", "Replicas=2")
    assert 'service_name="a=b"' in one.stdout
    assert "replicas=2" in one.stdout
    given_json = run("CreateAppService", "--params", "-", "--generic", said='{"Replicas": 3}')
    assert '"Replicas": 3' in given_json.stdout
    assert len(run("--list").stdout.splitlines()) == len(ALL)
    for bad in (
        (),
        ("nosuch",),
        ("CreateAppService", "--language", "cobol"),
        ("CreateAppService", "--param", "Replicas"),
        ("CreateAppService", "--param", "Replicas=two"),
        ("CreateAppService", "--params", str(tmp_path / "none")),
        ("CreateAppService", "--product", "nosuch"),
    ):
        assert run(*bad).exit_code == 2, bad
