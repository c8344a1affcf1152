"""Permits and what they are made of: twins, names of services, powers, and who stands behind a proxy."""

import json
from dataclasses import replace
from typing import Any

import pytest

from builders import ACCOUNT, a_service
from pierhead.core.aliases import Realm, tags
from pierhead.core.errors import Forbidden
from pierhead.core.permits import Permit, Powers
from pierhead.core.policy import Policy, Request, Rules, parse
from pierhead.core.proxies import Proxies, address_of
from pierhead.core.registry import ResourceType
from pierhead.core.services import Registration
from pierhead.core.twins import Twins

REALM = Realm("local", ACCOUNT)
NONE = Rules([])


def a_policy(*statements: dict[str, Any], name: str = "p") -> Policy:
    return parse(name, json.dumps({"Version": "1", "Statement": list(statements)}))


def says(effect: str, action: str, resource: Any = "*", **condition: str) -> dict[str, Any]:
    found = {"Effect": effect, "Action": action, "Resource": resource}
    tests = {"StringEquals": {key.replace("_", "/"): value for key, value in condition.items()}}
    return {**found, "Condition": tests} if condition else found


def a_permit(*statements: dict[str, Any], **fields: Any) -> Permit:
    defaults: dict[str, Any] = {
        "realm": REALM,
        "powers": Powers(1, Rules([a_policy(*statements)]) if statements else NONE),
        "deed": ("eas:StopService",),
        "on_service": ("eas:StopService",),
        "circumstances": {},
    }
    return Permit(**defaults | fields)


# --- twins --------------------------------------------------------------------------------------------


def test_the_same_as_the_same_is_the_same() -> None:
    twins = Twins([("z:One", "e:Do"), ("z:Many", "e:Do"), ("z:Else", "e:Other")], {})
    assert twins.of("e:Do") == ("e:Do", "z:Many", "z:One")
    assert twins.of("z:One") == ("z:One", "e:Do", "z:Many")
    assert twins.of("z:Else") == ("z:Else", "e:Other")
    assert twins.of("e:Nothing") == ("e:Nothing",)
    assert twins.all_of(["e:Do", "z:One"]) == ("e:Do", "z:Many", "z:One")


def test_a_part_of_another_deed_is_so_one_way_only() -> None:
    twins = Twins((), {"e:Look": ("z:Query",)})
    assert twins.of("e:Look") == ("e:Look", "z:Query")
    assert twins.of("z:Query") == ("z:Query",)


# --- names --------------------------------------------------------------------------------------------


def test_the_names_of_a_service() -> None:
    made = a_service(name="chat", group="team", registration=Registration(title="My Chat"))
    names = REALM.service(made)
    short = f"eas-m-{made.id[:18]}"
    eas = f"acs:eas:local:{ACCOUNT}:"
    called = ("chat", "team.chat", short, made.id)
    assert set(names) == {
        *(f"{eas}service/{name}" for name in called),
        *(f"{eas}resource/{REALM.pool}/service/{name}" for name in called),
        *(
            f"acs:zstack:local:{ACCOUNT}:{ResourceType.GROUP}/{name}"
            for name in (made.id, "chat", "My Chat")
        ),
    }
    assert len(names) == len(set(names))
    assert set(REALM.names("chat")) < set(names)
    assert tags({"team": "red"}) == {"acs:ResourceTag/team": "red"}


# --- powers -------------------------------------------------------------------------------------------


def test_a_policy_of_a_workspace_counts_there_alone() -> None:
    bounded = Rules([a_policy(says("Allow", "eas:*"))])
    powers = Powers(1, NONE, {"wa": bounded})
    request = Request(("eas:StopService",), ("acs:eas:local:1:service/x",))
    assert powers.decide(request, "wa").allowed
    assert not powers.decide(request, "wb").allowed
    assert not powers.decide(request).allowed
    assert powers.mention(("eas:StopService",), {})
    assert powers.reach(("eas:StopService",), {}) == ("wa",)
    assert not powers.mention(("ram:GetUser",), {})
    assert powers.reach(("ram:GetUser",), {}) == ()
    everywhere = Powers(1, bounded, {"wa": bounded})
    assert everywhere.reach(("eas:StopService",), {}) is None
    assert not Powers(1, bounded, session=NONE).mention(("eas:StopService",), {})


def test_a_condition_that_no_object_can_meet_opens_nothing() -> None:
    here = Rules([a_policy(says("Allow", "eas:*", **{"acs:SourceIp": "10.0.0.1"}))])
    labelled = Rules([a_policy(says("Allow", "eas:*", **{"acs:ResourceTag_team": "red"}))])
    assert not here.mention(("eas:ListServices",), {"acs:SourceIp": "10.0.0.2"})
    assert here.mention(("eas:ListServices",), {"acs:SourceIp": "10.0.0.1"})
    assert labelled.mention(("eas:ListServices",), {})


@pytest.mark.parametrize(
    ("statements", "everything"),
    [
        ((says("Allow", "*"),), True),
        ((says("Allow", "eas:*", f"acs:eas:*:{ACCOUNT}:service/*"),), True),
        ((says("Allow", "eas:List*", "acs:eas:*:*:*"),), True),
        ((says("Allow", "eas:Describe*"),), False),
        ((says("Allow", "*"), says("Deny", "eas:Stop*", "acs:eas:*:*:service/x")), True),
        ((says("Allow", "*"), says("Deny", "eas:List*", "acs:eas:*:*:service/x")), False),
        ((says("Allow", "*"), says("Deny", "eas:List*")), False),
        ((says("Allow", "eas:*", "acs:eas:*:*:service/???"),), False),
        ((says("Allow", "eas:*", "acs:eas:*:*:service/?"),), False),
        ((says("Allow", "eas:*", "acs:eas:*:*:service/a*"),), False),
        ((says("Allow", "eas:*", "acs:eas:*:*:service/*a"),), False),
        ((says("Allow", "*", **{"acs:ResourceTag_team": "red"}),), False),
        ((says("Allow", "zstack:*", "acs:zstack:*:*:*"),), False),
        (({"Effect": "Allow", "Action": "*", "NotResource": "acs:eas:*:*:service/x"},), False),
        ((), False),
    ],
)
def test_a_short_cut_is_taken_only_where_no_service_differs(
    statements: tuple[dict[str, Any], ...], everything: bool
) -> None:
    """`sees_all` may be False for somebody who sees all: then each is asked about. Never the reverse."""
    permit = a_permit(*statements)
    assert permit.sees_all is everything
    for name in ("abc", "a", "x", "long_name_of_a_service", "a.b"):
        if everything:
            assert permit.sees(a_service(name=name))


def test_a_short_cut_is_not_taken_past_workspaces_and_sessions() -> None:
    full = Rules([a_policy(says("Allow", "*"))])
    assert not a_permit(powers=Powers(1, full, {"wa": full})).sees_all
    assert not a_permit(powers=Powers(1, full, session=NONE)).sees_all
    assert a_permit(powers=Powers(1, full, session=full)).sees_all


def test_registered_objects_are_admitted_or_hidden() -> None:
    kind, arn = ResourceType.MODEL, f"acs:zstack:*:{ACCOUNT}:ModelVO"
    some = a_permit(says("Allow", "zstack:QueryModel", f"{arn}/a*"))
    assert some.admits(kind, "u1", "abc")
    assert not some.admits(kind, "u1", "xyz")
    assert not some.hides(kind, "u1", "xyz"), "nothing said is no denial"
    assert not some.admits_all(kind)
    denied = a_permit(says("Allow", "*"), says("Deny", "zstack:Query*", f"{arn}/u1"))
    assert denied.hides(kind, "u1", "abc")
    assert not denied.hides(kind, "u2", "abc")
    assert not denied.admits_all(kind)
    assert denied.admits_all(ResourceType.CENTER) is False, "the same statement speaks of it, too"
    assert a_permit(says("Allow", "*")).admits_all(kind)


# --- permits ------------------------------------------------------------------------------------------


def test_a_permit_decides_on_the_service_as_it_is_now() -> None:
    permit = a_permit(says("Allow", "eas:Stop*", **{"acs:ResourceTag_team": "red"}))
    red = a_service(labels={"team": "red"})
    assert permit.touches(red)
    permit.demand(red)
    with pytest.raises(Forbidden, match=r"eas:StopService on acs:eas:local:\d+:service/svc_one"):
        permit.demand(replace(red, labels={"team": "blue"}))
    assert not permit.touches(replace(red, labels={}))


def test_nothing_is_made_by_a_call_that_makes_nothing() -> None:
    permit = a_permit(says("Allow", "eas:*", "acs:eas:*:*:service/*"))
    with pytest.raises(Forbidden):
        permit.demand_made(a_service())
    makes = replace(a_permit(says("Allow", "*")), made=(f"acs:eas:local:{ACCOUNT}:*",))
    makes.demand_made(a_service())


# --- proxies ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trusted", "peer", "forwarded", "origin"),
    [
        ((), "10.0.0.1", ["1.2.3.4"], None),
        (("10.0.0.1",), "10.0.0.2", ["1.2.3.4"], None),
        (("10.0.0.1",), "10.0.0.1", ["1.2.3.4"], "1.2.3.4"),
        (("10.0.0.1",), "::ffff:10.0.0.1", ["1.2.3.4"], "1.2.3.4"),
        (("10.0.0.1",), "10.0.0.1", ["6.6.6.6, 1.2.3.4"], "1.2.3.4"),
        (("10.0.0.1",), "10.0.0.1", ["6.6.6.6", "1.2.3.4"], "1.2.3.4"),
        (("10.0.0.0/8",), "10.0.0.1", ["6.6.6.6, 1.2.3.4, 10.0.0.9"], "1.2.3.4"),
        (("10.0.0.0/8",), "10.0.0.1", ["10.0.0.7, 10.0.0.9"], "10.0.0.7"),
        (("10.0.0.1",), "10.0.0.1", ["1.2.3.4, unknown"], "10.0.0.1"),
        (("10.0.0.1",), "10.0.0.1", [], "10.0.0.1"),
        (("fd00::/8",), "fd00::1", ["2001:db8::5"], "2001:db8::5"),
    ],
)
def test_a_header_tells_an_origin_only_behind_ones_own_proxies(
    trusted: tuple[str, ...], peer: str, forwarded: list[str], origin: str | None
) -> None:
    """Law: nobody chooses the address that policies and counters take for theirs."""
    proxies = Proxies(trusted)
    assert proxies.believes(peer) is (origin is not None)
    if origin is not None:
        assert address_of(proxies.origin(peer, forwarded)) == address_of(origin)


def test_identities_have_no_region() -> None:
    """Policies name users as `acs:ram::<account>:user/...`; services lie in a region."""
    assert REALM.arn(("ram", "user/alice")) == f"acs:ram::{ACCOUNT}:user/alice"
    assert REALM.arn(("eas", "service/chat")) == f"acs:eas:local:{ACCOUNT}:service/chat"
