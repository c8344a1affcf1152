"""The YAML of a template: what it says, how lost indentation is put back, and that bombs do not go off."""

import gc
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pierhead.core.errors import Invalid
from pierhead.operations.service_yaml import ServiceYaml, YamlService, dump, parse, patched

WHOLE = """\
services:
  - ports: [3000, 3001]
    name: "chat:1.2.0"
    livez: /livez
    readyz: /readyz
    serviceBootupTime: 120
  - name: metrics
    ports: [9000]
env: ["KEY:value:with:colons", "OTHER=a:b", "QUOTED: x"]
distro: {packages: "libgomp1, curl"}
python:
  requirements_txt: "six==1.16.0\\n# a remark\\nflask>=3  # why\\n\\n"
  index_url: https://pypi.example/simple
  trusted_host: pypi.example
"""


def test_everything_that_a_description_may_say_is_read() -> None:
    assert parse(WHOLE) == ServiceYaml(
        services=(
            YamlService("chat:1.2.0", (3000, 3001), "/livez", "/readyz", 120.0),
            YamlService("metrics", (9000,)),
        ),
        env={"KEY": "value:with:colons", "OTHER": "a:b", "QUOTED": "x"},
        requirements=("six==1.16.0", "flask>=3"),
        index_url="https://pypi.example/simple",
        trusted_host="pypi.example",
        packages=("libgomp1", "curl"),
    )


@pytest.mark.parametrize(
    "text",
    ["", "model service parameters", "~", "42", "<yaml>", "- a\n- b", "services: []", "services:"],
)
def test_a_text_without_the_known_keys_overrides_nothing(text: str) -> None:
    assert parse(text) == ServiceYaml()


def test_scalars_are_texts_and_single_values_lists_of_one() -> None:
    found = parse("services: {ports: 3000}\nenv: {VERSION: 1.10, ON: no, EMPTY: , QUOTED: '~'}")
    assert found.services == (YamlService(ports=(3000,)),)
    assert found.env == {"VERSION": "1.10", "ON": "no", "EMPTY": "", "QUOTED": "~"}


def test_keys_that_are_not_known_are_told_by_name() -> None:
    found = parse(
        "metrics: on\nservices: [{ports: [1], cpu: 3}]\npython: {version: 3.11}\n<<: {a: b}"
    )
    assert set(found.unknown) == {"metrics", "services[0].cpu", "python.version", "<<"}


@pytest.mark.parametrize(
    "text",
    [
        "services:\n - ports:\n - 3000\n name: x",
        "services:\n- ports:\n- 3000\nname: x",
        "  services:\n- name: x\n\n# ports\n  ports:\n      - 3000",
        "services:\n - name: x\n ports: [3000]",
    ],
)
def test_lost_indentation_is_put_back(text: str) -> None:
    found = parse(text)
    assert found.repaired
    assert found.services == (YamlService("x", (3000,)),)


def test_a_whole_description_without_indentation_is_put_back() -> None:
    flat = """\
services:
- ports:
- 3000
- 3001
name: "chat:1.2.0"
livez: /livez
readyz: http://127.0.0.1:3000/ready?x=1
serviceBootupTime: 600
- name: metrics
ports: [9000]
env:
- KEY:value
- "OTHER: x"
distro:
packages: "libgomp1,curl"
python:
requirements_txt: "six==1.16.0\\n"
"""
    assert parse(flat) == ServiceYaml(
        services=(
            YamlService(
                "chat:1.2.0", (3000, 3001), "/livez", "http://127.0.0.1:3000/ready?x=1", 600.0
            ),
            YamlService("metrics", (9000,)),
        ),
        env={"KEY": "value", "OTHER": "x"},
        requirements=("six==1.16.0",),
        packages=("libgomp1", "curl"),
        repaired=True,
    )


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("services: [", 1),
        ("a: b\nc: [1, 2\nd: e", 3),
        ("services:\n  - ports: [x]", 2),
        ("services:\n  - ports: [70000]", 2),
        ("services:\n  - name: x\n    serviceBootupTime: soon", 3),
        ("services: [a]", 1),
        ("env:\n  - nothing", 1),
        ("env: {'A B': x}", 1),
        ("env: {A: [1]}", 1),
        ("env: text", 1),
        ("python: [a]", 1),
        ("python: {requirements_txt: {a: b}}", 1),
        ("a: &x 1", 1),
        ("a:\n  - *x", 2),
        ("a: !!python/object:os.system x", 1),
        ("a: 1\n---\nb: 2", 2),
        ("? [a]\n: b", 1),
        ("a: b\x07", 1),
        ("\ttab: x", 1),
        ("services:\n - ports:\n - 3000\n name: |\n x\n y: [", 4),
    ],
)
def test_what_cannot_be_read_is_refused_by_line(text: str, line: int) -> None:
    with pytest.raises(Invalid) as caught:
        parse(text)
    assert caught.value.field == "yaml"
    assert f"line {line}" in caught.value.message
    assert len(caught.value.message) < 500


BOMBS = {
    "billion laughs": "a: &a [x]\n"
    + "\n".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)}, *{chr(97 + n)}]" for n in range(20)
    ),
    "brackets": "[" * 500_000,
    "braces": "{a: " * 250_000,
    "dashes": "- " * 500_000,
    "questions": "? " * 500_000,
    "indents": "\n".join(" " * n + "a:" for n in range(1400)),
    "sexagesimal": "a: 1" + ":1" * 500_000,
    "huge number": "services: [{ports: [" + "9" * 1_000_000 + "]}]",
    "many values": "a: [" + "1," * 500_000 + "]",
    "many keys": "\n".join(f"k{n}: v" for n in range(90_000)),
    "many services": "services:\n" + "- {a: b}\n" * 100_000,
    "directives": "".join(f"%TAG !{n}! tag:x,{n}:\n" for n in range(40_000)) + "---\na",
    "anchors": "\n".join(f"- &a{n} x" for n in range(60_000)),
    "too large": "a" * (1024 * 1024 + 1),
    "too large in bytes": "对" * (400 * 1024),
    "flat lines": "services:\n" + "- 1\n" * 250_000,
    "surrogate": "a: \ud800",
    "quotes": 'a: "' + "\\" * 900_000,
    "one key": "services:\n - x:\n" + " y" * 500_000,
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS.keys())
def test_a_bomb_does_not_go_off(bomb: str) -> None:
    gc.disable()  # the garbage of all the tests before is not the parser's cost
    began = time.process_time()
    try:
        found = parse(bomb)
        assert not found.services  # what is legal, if large, says nothing here
    except Invalid as refusal:
        assert refusal.field == "yaml"
        assert len(refusal.message) < 500
    finally:
        gc.enable()
    assert time.process_time() - began < 0.5


def test_patching_changes_the_first_service_and_keeps_the_rest() -> None:
    text = "# remark\nservices:\n- ports: [1]\n  cpu: 3\n  servicebootuptime: 5\n- name: b\nextra: {on: yes, n: 007}\nenv: ['A:1']\n"
    found = patched(text, name="a:2", ports=[3000, 3001], readyz="/r", livez=None, boot_seconds=90)
    assert found == (
        "services:\n- ports:\n  - 3000\n  - 3001\n  serviceBootupTime: 90\n  cpu: 3\n  name: a:2\n"
        "  readyz: /r\n- name: b\nextra:\n  on: yes\n  n: 007\nenv:\n- A:1\n"
    )
    assert parse(found).services == (
        YamlService("a:2", (3000, 3001), readyz="/r", boot_seconds=90.0),
        YamlService("b"),
    )


@pytest.mark.parametrize("text", ["", "model service parameters", "services:\n"])
def test_patching_makes_a_mapping_of_a_text_that_is_none(text: str) -> None:
    assert patched(text, ports=[80]) == "services:\n- ports:\n  - 80\n"


def test_patching_what_cannot_be_read_is_refused() -> None:
    with pytest.raises(Invalid):
        patched("services: [", name="x")


def test_patching_a_text_without_indentation_writes_it_back_whole() -> None:
    found = patched("services:\n - ports:\n - 3000\n name: x", livez="/l")
    assert parse(found) == ServiceYaml(services=(YamlService("x", (3000,), "/l"),))


_TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=20
)
_WORD = st.from_regex(r"[a-z][a-z0-9./=<>-]{0,15}", fullmatch=True)
_CONTENT = st.builds(
    ServiceYaml,
    services=st.lists(
        st.builds(
            YamlService,
            name=_TEXT.map(str.strip),
            ports=st.lists(st.integers(1, 65535), max_size=3).map(tuple),
            livez=_TEXT.map(str.strip),
            readyz=_TEXT.map(str.strip),
            boot_seconds=st.none() | st.integers(1, 9999).map(float),
        ),
        max_size=3,
    ).map(tuple),
    env=st.dictionaries(
        st.from_regex(r"[A-Z_]{1,8}", fullmatch=True), _TEXT.map(str.strip), max_size=4
    ),
    requirements=st.lists(_WORD, max_size=3).map(tuple),
    index_url=_WORD,
    packages=st.lists(_WORD, max_size=3, unique=True).map(tuple),
)


@given(_CONTENT)
def test_what_is_written_is_read_back(content: ServiceYaml) -> None:
    assert parse(dump(content)) == content


@given(st.text(max_size=200) | st.text(alphabet="services:env -[]{}&*!|>\n\"'1", max_size=120))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse(text)
    except Invalid as refusal:
        assert refusal.field == "yaml"
