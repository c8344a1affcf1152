"""Examples made from types, names and known formats."""

from typing import Any

import pytest

from pierhead.core.examples import HIDDEN, echoed, exemplified, fits, with_example
from pierhead.core.reference import Authorization, Operation, Parameter, Place, Style


def of(name: str, type_: str = "string", **more: Any) -> Any:
    return with_example(Parameter(name, type_, **more)).example


@pytest.mark.parametrize(
    ("made", "wanted"),
    [
        (of("ServiceName"), "foo"),
        (of("modelUuid"), "36c27e8ff05c4780bf6d2fa65700f22e"),
        (of("UpdateTime"), "2026-11-21T19:27:22Z"),
        (of("AccessKeySecret"), HIDDEN),
        (of("Mode", values=("a", "b"), default="b"), "b"),
        (of("Mode", values=("a", "b"), default="c"), "a"),
        (of("Description", longest=4), "text"),
        (of("Replicas", "integer", minimum=3), 3),
        (of("PageSize", "integer", maximum=5), 5),
        (of("Ratio", "number", default=0.5), 0.5),
        (of("Ready", "boolean"), False),
        (of("GroupNames", "array", items=Parameter("", "string")), ["developers"]),
        (of("Texts", "array", items=Parameter("", "string", example="x")), ["x"]),
        (of("Tags", "map", items=Parameter("", "integer")), {"team": 1}),
        (of("User", "object", fields=(Parameter("UserName", "string"),)), {"UserName": "alice"}),
    ],
)
def test_a_value_by_name_and_type(made: Any, wanted: Any) -> None:
    assert made == wanted


def test_a_request_has_what_is_required_and_what_is_usual() -> None:
    parameters = (
        Parameter("Name", "string", Place.PATH, required=True),
        Parameter("Comments", "string", Place.QUERY),
        Parameter("Old", "string", Place.QUERY, deprecated=True),
        Parameter("Idle", "string", Place.QUERY, effectless="nothing follows"),
        Parameter("Password", "string", Place.QUERY),
        Parameter("PageSize", "integer", Place.QUERY),
        Parameter(
            "Spec",
            "object",
            fields=(Parameter("Cpu", "integer"), Parameter("Gone", "string", deprecated=True)),
        ),
    )

    def made(access: str) -> Any:
        authorization = Authorization("x:Y", access, "*")
        return exemplified(
            Operation("x", "1", "Y", Style.RPC, "POST", "/", "y", parameters, (), authorization)
        ).example

    assert set(made("update")) == {"Name", "Comments", "PageSize", "Spec"}
    assert made("update")["Spec"] == {"Cpu": 4}
    assert set(made("list")) == {"Name", "PageSize"}


def test_an_answer_takes_over_what_was_sent() -> None:
    answer = {"ServiceName": "foo", "AccessToken": HIDDEN, "User": {"UserName": "alice", "Age": 1}}
    sent = {"ServiceName": "bar", "AccessToken": "mine", "UserName": "bob", "Age": "old"}
    assert echoed(answer, sent) == {
        "ServiceName": "bar",
        "AccessToken": HIDDEN,
        "User": {"UserName": "bob", "Age": 1},
    }


@pytest.mark.parametrize(
    ("parameter", "value", "problem"),
    [
        (Parameter("A", "integer"), "1", "A is no integer"),
        (Parameter("A", "integer"), True, "A is no integer"),
        (Parameter("A", "string", values=("x",)), "y", "A is none of x"),
        (Parameter("A", "string", values=("x",), open=True), "y", ""),
        (Parameter("A", "string", longest=1), "xy", "A is too long"),
        (Parameter("A", "number", maximum=1), 1.5, "A is out of range"),
        (Parameter("A", "array", items=Parameter("", "string")), ["x", 1], "A[1] is no string"),
        (Parameter("A", "object", fields=(Parameter("B", "string"),)), {"C": ""}, "A has no C"),
        (Parameter("A", "object", fields=(Parameter("B", "string"),)), {"B": None}, ""),
        (Parameter("A", "map", items=Parameter("", "string")), {"k": 1}, "A[k] is no string"),
        (Parameter("A", "any"), object(), ""),
    ],
)
def test_what_does_not_fit(parameter: Parameter, value: Any, problem: str) -> None:
    assert fits(parameter, value) == problem
