"""The catalogs in neutral words: complete, true to the wire's own tables, each with fitting examples."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from pierhead.core import examples
from pierhead.core.openapi import document
from pierhead.core.reference import Operation, Parameter, Place
from pierhead.dialects.eas import catalog as eas_catalog
from pierhead.dialects.eas import explained as eas
from pierhead.dialects.eas import openapi as eas_openapi
from pierhead.dialects.ram import catalog as ram_catalog
from pierhead.dialects.ram import explained as ram
from pierhead.dialects.zstack import catalog as zstack_catalog
from pierhead.dialects.zstack import explained as zstack
from pierhead.dialects.zstack import openapi as zstack_openapi
from pierhead.gateway import explained as openai

TELLERS: tuple[Any, ...] = (eas, zstack, ram, openai)
TOLD: dict[Any, tuple[Operation, ...]] = {teller: teller.operations() for teller in TELLERS}
ALL: tuple[Operation, ...] = tuple(one for told in TOLD.values() for one in told)
TYPES = {"string", "integer", "number", "boolean", "object", "array", "map", "any"}
HUB = "http://127.0.0.1:8080"


def below(listed: Iterable[Parameter]) -> Iterator[Parameter]:
    for one in listed:
        yield one
        yield from below(one.fields)
        yield from below(() if one.items is None else (one.items,))


def test_every_operation_is_told_once() -> None:
    told = [(one.product, one.id) for one in ALL]
    assert len(told) == len(set(told))
    by_product = {product: {one.id for one in ALL if one.product == product} for product, _ in told}
    assert by_product["eas"] == set(eas_catalog.load().by_id)
    assert len(by_product["eas"]) == 108
    assert by_product["zstack"] == set(zstack_catalog.load().apis)
    assert len(by_product["zstack"]) == 74
    known = ram_catalog.load()
    versions = {"ram": "2015-05-01", "sts": "2015-04-01", "pierhead": "2026-11-01"}
    for product, version in versions.items():
        entries = {id_ for at, id_ in (*known.operations, *known.refused) if at == version}
        assert by_product[product] - {"ListAuditEntries"} == entries
    for teller, listed in TOLD.items():
        for one in listed:
            assert teller.find(one.product, one.id) == one
        assert teller.find(listed[0].product, "NoSuchOperation") is None


def test_every_operation_is_whole() -> None:
    wrong = [
        f"{one.product}:{one.id}: {problem}"
        for teller, listed in TOLD.items()
        for one in listed
        for problem in problems(one, set(teller.codes()))
    ]
    assert not wrong, "\n".join(wrong)


def problems(operation: Operation, codes: set[str]) -> Iterator[str]:
    known = {one.name: one for one in operation.parameters}
    if len(known) != len(operation.parameters):
        yield "a name is told twice"
    if {name for name, one in known.items() if one.place is Place.PATH} < set(
        re.findall(r"\{(\w+)\}", operation.path)
    ):
        yield "a name of the path is no parameter"
    types = {one.type for one in below((*operation.parameters, *operation.response))}
    if not types <= TYPES:
        yield f"types {types - TYPES}"
    told = (operation.since, operation.group, operation.authorization.access)
    if not all(told):
        yield "since, group or access is missing"
    if not set(operation.errors) <= codes:
        yield f"codes {set(operation.errors) - codes}"
    yield from misfits(operation, known)


def misfits(operation: Operation, known: dict[str, Parameter]) -> Iterator[str]:
    """The example: all that is required, nothing strange, and legal as far as types tell."""
    required = {one.name for one in operation.parameters if one.required}
    if not required <= set(operation.example):
        yield f"the example lacks {required - set(operation.example)}"
    strangers = set(operation.example) - set(known)
    strangers |= set(operation.answer) - {one.name for one in operation.response}
    if strangers:
        yield f"strange {strangers}"
    for name in set(operation.example) & set(known):
        if problem := examples.fits(known[name], operation.example[name]):
            yield problem
    for one in operation.response:
        if problem := examples.fits(one, operation.answer.get(one.name)):
            yield problem


def test_examples_are_the_pages_own_and_hold_no_secret() -> None:
    by_id = {one.id: one for one in ALL if one.product in {"eas", "zstack"}}
    app = by_id["CreateAppService"]
    assert app.example == {
        "WorkspaceId": "123456",
        "QuotaId": "abcdef",
        "ServiceName": "foo",
        "AppType": "LLM",
        "AppVersion": "v1",
        "ServiceSpec": "llama_7b_fp16",
        "Replicas": 1,
        "Config": {"ModelStorage": "oss", "OssPath": "oss://examplebucket/xxxx/"},
    }
    assert app.answer == {
        "RequestId": "40325405-579C-4D82****",
        "ServiceId": "eas-m-aaxxxddf",
        "ServiceName": "foo",
        "Status": "Creating",
        "Region": "cn-shanghai",
        "InternetEndpoint": "http://pai-eas.cn-shanghai.****",
        "IntranetEndpoint": "http://pai-eas-vpc.cn-shanghai.****",
    }
    inventory = by_id["AddModelService"].answer["inventory"]
    shown = {"name": "text to text model service", "yaml": "model service parameters"}
    assert inventory.items() >= {**shown, "requestCpu": 4, "requestMemory": 1024}.items()
    text = json.dumps([[one.example, one.answer] for one in ALL])
    assert not re.search(r"LTAI[A-Za-z0-9]{4}|STS\.[A-Za-z0-9]{4}|sk-[a-z0-9]{4}", text)
    for found in re.findall(r'"\w*(?:[Ss]ecret|Token|[Pp]assword)": "([^"]*)"', text):
        assert re.fullmatch(r"[*0]*", found), found


def test_the_openapi_documents_have_the_same_operations() -> None:
    own = eas_openapi.document(eas_catalog.load(), HUB)
    shown = {one["operationId"]: one for path in own["paths"].values() for one in path.values()}
    zstack_paths = zstack_openapi.document(zstack_catalog.load(), HUB)["paths"]
    apis = {
        name: facts
        for path in zstack_paths.values()
        for one in path.values()
        for name, facts in one.get("x-pierhead-apis", {}).items()
    }
    for teller, found in ((eas, shown), (zstack, apis)):
        assert set(found) == {one.id for one in TOLD[teller]}
        for one in TOLD[teller]:
            entry = found[one.id]
            assert entry["x-since"] == one.since
            assert entry["x-sync"] is one.synchronous
            assert entry["x-ram-action"] == one.authorization.action
            assert entry["x-example"] == {"request": one.example, "answer": one.answer}
    for teller in (ram, openai):
        made = document("t", "v", HUB, TOLD[teller])
        ids = [one["operationId"] for path in made["paths"].values() for one in path.values()]
        assert sorted(ids) == sorted(one.id for one in TOLD[teller])
        assert json.dumps(made)
