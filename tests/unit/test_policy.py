"""The decision over policies equals a naive one, and the documents that are no policies are refused."""

import fnmatch
import json
import re
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pierhead.core.conditions import OPERATORS, Condition
from pierhead.core.errors import Invalid
from pierhead.core.policy import Decision, Policy, Request, Rules, Statement, parse
from pierhead.core.system_policies import DOCUMENTS, SYSTEM

ACTIONS = ["eas:CreateService", "eas:DescribeService", "eas:DeleteService", "zstack:AddModel"]
OBJECTS = [
    "acs:eas:local:1234567890123456:service/a",
    "acs:eas:local:1234567890123456:service/ab",
    "acs:eas:local:1234567890123456:service/eas-m-x1",
    "acs:eas:local:1234567890123456:*",
    "acs:eas:local:1234567890123456:resource/eas-r-1/service/ab",
    "acs:zstack:local:1234567890123456:ModelServiceInstanceGroupVO/a/b c",
]
PATTERNS = st.sampled_from(
    [
        "*",
        "eas:*",
        "eas:Describe*",
        "EAS:describeSERVICE",
        "eas:?reateService",
        "zstack:*",
        "eas:List*",
    ]
)
ARNS = st.sampled_from(
    [
        "*",
        "acs:eas:*:*:service/*",
        "acs:eas:*:*:service/a",
        "acs:eas:local:1234567890123456:service/a?",
        "acs:eas:*:1234567890123456:*",
        "acs:eas:*b",
        "acs:*:service/eas-m-*",
        "acs:eas:*:*:resource/*",
        "acs:eas:*:*:resource/eas-r-?/service/ab",
        "acs:*r-1/*b",
        "acs:*VO/a/*",
        "acs:*/",
        "acs:*/?",
    ]
)
CONDITIONS = st.sampled_from(
    [
        Condition("IpAddress", "acs:SourceIp", ("10.0.0.0/8", "::1")),
        Condition("NotIpAddress", "acs:SourceIp", ("10.0.0.0/8",)),
        Condition("Bool", "acs:SecureTransport", ("true",)),
        Condition("StringEquals", "acs:ResourceTag/team", ("red", "blue")),
        Condition("StringNotLike", "acs:ResourceTag/team", ("r*",)),
        Condition("DateLessThan", "acs:CurrentTime", ("2026-01-01T00:00:00Z",)),
    ]
)
CONTEXTS = st.fixed_dictionaries(
    {},
    optional={
        "acs:SourceIp": st.sampled_from(["10.1.2.3", "192.168.1.1", "::1", "nonsense"]),
        "acs:SecureTransport": st.sampled_from(["true", "false"]),
        "acs:ResourceTag/team": st.sampled_from(["red", "blue", "green"]),
        "acs:CurrentTime": st.sampled_from(["2025-05-05T00:00:00Z", "2027-05-05T00:00:00Z"]),
    },
)
STATEMENTS = st.builds(
    Statement,
    effect=st.sampled_from(["Allow", "Deny"]),
    actions=st.lists(PATTERNS, min_size=1, max_size=3).map(tuple),
    resources=st.lists(ARNS, min_size=1, max_size=3).map(tuple),
    conditions=st.lists(CONDITIONS, max_size=2).map(tuple),
    not_actions=st.booleans(),
    not_resources=st.booleans(),
)
POLICIES = st.lists(
    st.builds(
        Policy, st.sampled_from(["p", "q"]), st.lists(STATEMENTS, min_size=1, max_size=4).map(tuple)
    ),
    max_size=4,
)
REQUESTS = st.builds(
    Request,
    st.lists(st.sampled_from(ACTIONS), min_size=1, max_size=2, unique=True).map(tuple),
    st.lists(st.sampled_from(OBJECTS), min_size=1, max_size=3, unique=True).map(tuple),
    CONTEXTS,
)


def naive(policies: list[Policy], request: Request) -> bool:
    """Every statement against every action and alias, with another library's patterns."""

    def matches(patterns: tuple[str, ...], texts: tuple[str, ...], *, fold: bool) -> bool:
        return any(
            fnmatch.fnmatchcase(
                text.lower() if fold else text, pattern.lower() if fold else pattern
            )
            for pattern in patterns
            for text in texts
        )

    said = set[str]()
    for policy in policies:
        for one in policy.statements:
            speaks = matches(one.actions, request.actions, fold=True) is not one.not_actions
            about = matches(one.resources, request.resources, fold=False) is not one.not_resources
            if speaks and about and all(c.holds(request.context) for c in one.conditions):
                said.add(one.effect)
    return said == {"Allow"}


@settings(max_examples=600)
@given(POLICIES, st.lists(REQUESTS, min_size=1, max_size=4))
def test_a_decision_is_what_the_naive_evaluation_says(
    policies: list[Policy], requests: list[Request]
) -> None:
    rules = Rules(policies)
    for request in requests:
        decision = rules.decide(request)
        assert decision.allowed == naive(policies, request)
        if decision.allowed:
            assert decision.explicit
        if decision.explicit:
            named = [p for p in policies if p.name == decision.policy]
            effect = "Allow" if decision.allowed else "Deny"
            assert any(
                len(p.statements) >= decision.statement
                and p.statements[decision.statement - 1].effect == effect
                for p in named
            )


def allow(**more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": "eas:*", "Resource": "*", **more}


def document(*statements: object, **more: Any) -> str:
    return json.dumps({"Version": "1", "Statement": list(statements), **more})


def test_no_policy_allows_nothing() -> None:
    assert Rules([]).decide(Request(("eas:ListServices",), ("acs:eas:r:1:*",))) == Decision(
        allowed=False
    )


def test_an_alias_is_no_way_around() -> None:
    """Law: an object is denied and allowed as a whole, whichever of its names is used."""
    both = ("acs:eas:r:1:service/secret", "acs:eas:r:1:service/eas-m-1")
    all_but = parse(
        "p",
        document({"Effect": "Allow", "Action": "*", "NotResource": "acs:eas:*:*:service/secret"}),
    )
    assert not Rules([all_but]).decide(Request(("eas:DescribeService",), both)).allowed
    denied = parse(
        "p",
        document(
            allow(), {"Effect": "Deny", "Action": "*", "Resource": "acs:eas:*:*:service/secret"}
        ),
    )
    assert not Rules([denied]).decide(Request(("eas:DescribeService",), both[::-1])).allowed


def test_a_deny_on_either_door_denies() -> None:
    twin = Request(("zstack:DeployModelService", "eas:CreateService"), ("acs:eas:r:1:*",))
    yes = parse("y", document({"Effect": "Allow", "Action": "eas:*", "Resource": "*"}))
    no = parse("n", document({"Effect": "Deny", "Action": "zstack:Deploy*", "Resource": "*"}))
    assert Rules([yes]).decide(twin).allowed
    decision = Rules([yes, no]).decide(twin)
    assert (decision.allowed, decision.policy, decision.statement) == (False, "n", 1)


@pytest.mark.parametrize(
    ("bad", "place"),
    [
        ("", "no JSON"),
        ("[]", "no JSON object"),
        ('{"Version":"1"}', "Statement"),
        ('{"Version":1,"Statement":[]}', "Version"),
        ('{"Version":"2","Statement":[]}', "Version"),
        ('{"Version":"1","Version":"1","Statement":[]}', "twice"),
        (document(), "Statement"),
        (document(allow(), Id="x"), "Id"),
        (document(allow(Effect="allow")), "Effect"),
        (document(allow(Sid="x")), "Sid"),
        (document({"Effect": "Allow", "Resource": "*"}), "neither Action and NotAction"),
        (document(allow(NotAction="eas:*")), "both Action and NotAction"),
        (document(allow(Action=[])), "0 entries"),
        (document(allow(Action=7)), "[7]"),
        (document(allow(Action="CreateService")), "eas:CreateService"),
        (document(allow(Resource="service/a")), "acs:eas"),
        (document(allow(Resource="acs:eas:\n")), "acs:eas"),
        (document(allow(Condition=[])), "Condition"),
        (document(allow(Condition={"Null": {"acs:SourceIp": "x"}})), "Null"),
        (document(allow(Condition={"StringEqualsIfExists": {"acs:SourceIp": "x"}})), "IfExists"),
        (document(allow(Condition={"StringEquals": {"acs:Other": "x"}})), "acs:Other"),
        (document(allow(Condition={"StringEquals": {"acs:ResourceTag/": "x"}})), "ResourceTag"),
        (document(allow(Condition={"Bool": {"acs:MFAPresent": True}})), "quoted"),
        (document(allow(Condition={"Bool": {"acs:MFAPresent": "yes"}})), "[yes]"),
        (document(allow(Condition={"IpAddress": {"acs:SourceIp": "10.0.0.300"}})), "10.0.0.300"),
        (document(allow(Condition={"NumericLessThan": {"acs:ResourceTag/n": "NaN"}})), "[NaN]"),
        (document(allow(Condition={"DateLessThan": {"acs:CurrentTime": "soon"}})), "[soon]"),
        (document(allow(Condition={"StringLike": {"acs:ResourceTag/n": []}})), "no value"),
        (document(*[allow()] * 101), "101 entries"),
        (document(allow(Resource="acs:" + "x" * 7000)), "longer"),
        ("[" * 100_000, "longer"),
        ("[" * 5_000, "no JSON"),
    ],
)
def test_what_is_no_policy_is_refused(bad: str, place: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse("p", bad)
    assert place in str(refused.value)


def test_a_hostile_pattern_takes_no_time() -> None:
    """Law: what somebody writes into a policy costs others nothing."""
    stars = "acs:" + "*a" * 1000 + "b"
    rules = Rules([parse("p", document(allow(Resource=stars)))])
    began = time.process_time()
    assert not rules.decide(Request(("eas:ListServices",), ("acs:" + "a" * 8000,))).allowed
    assert time.process_time() - began < 0.5


@given(st.text("ab*?.[", max_size=8), st.text("ab.[\n", max_size=8))
def test_patterns_know_nothing_but_star_and_question_mark(pattern: str, text: str) -> None:
    rules = Rules([Policy("p", (Statement("Allow", ("*",), (pattern,)),))])
    naively = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    expected = re.fullmatch(naively, text, re.DOTALL) is not None
    assert rules.decide(Request(("eas:X",), (text,))).allowed == expected


def test_an_address_is_compared_as_an_address() -> None:
    inside = Condition("IpAddress", "acs:SourceIp", ("127.0.0.0/8",))
    assert inside.holds({"acs:SourceIp": "::ffff:127.0.0.1"})
    assert not inside.holds({"acs:SourceIp": "::1"})
    assert not inside.holds({})


def test_every_operator_compares() -> None:
    samples = {"String": ("a", "a"), "Numeric": ("1.0", "1"), "Bool": ("true", "TRUE")}
    for name, operator in OPERATORS.items():
        kind = next((each for each in samples if name.startswith(each)), "")
        if kind and name.endswith("Equals") and "Not" not in name and "Than" not in name:
            assert operator.compare(*samples[kind])
    assert Condition("DateEquals", "acs:CurrentTime", ("2026-01-01T08:00:00+08:00",)).holds(
        {"acs:CurrentTime": "2026-01-01T00:00:00Z"}
    )


def test_what_is_shipped_is_legal_and_says_what_it_says() -> None:
    assert set(SYSTEM) == set(DOCUMENTS)
    read = Rules([SYSTEM["AliyunPAIEASReadOnlyAccess"]])
    assert read.decide(Request(("eas:DescribeService",), (OBJECTS[0],))).allowed
    assert not read.decide(Request(("eas:DeleteService",), (OBJECTS[0],))).allowed
