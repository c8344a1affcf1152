"""How fast policies are decided: a principal with 50 statements, objects under all of their names."""

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench.figures import Figure, figure
from bench.rounds import rounds
from pierhead.core.aliases import Realm, tags
from pierhead.core.permits import Permit, Powers
from pierhead.core.policy import Policy, Request, Rules, parse
from pierhead.core.services import Change, Service, Version, Wanted
from pierhead.core.specs import BUILT_IN
from pierhead.core.twins import LIST, LOOK, Twins

ROUNDS, SECONDS = 20, 12.0
#: Microseconds of one decision: 100,000 in a second of one core.
GOAL = 10.0
_BATCH = 20_000  #: decisions of a round
_REALM = Realm("local", "1234567890123456")
_CONTEXT = {
    "acs:SourceIp": "10.20.30.40",
    "acs:SecureTransport": "true",
    "acs:CurrentTime": "2026-11-22T08:00:00Z",
    "acs:MFAPresent": "false",
}
_ACTIONS = (LOOK, LIST, "eas:CreateService", "eas:UpdateService", "eas:DeleteService")


def measure(folder: Path) -> list[Figure]:
    """In this process: no file and no network is part of it."""
    policies = _policies()
    statements = sum(len(one.statements) for one in policies)
    if statements != 50:
        raise RuntimeError(f"{statements} statements")
    rules, services = Rules(policies), [_service(number) for number in range(1000)]
    asked = [_request(services[at * 37 % 1000], action) for at in range(40) for action in _ACTIONS]
    allowed = sum(rules.decide(one).allowed for one in asked)
    if not 0 < allowed < len(asked):
        raise RuntimeError("it decides nothing")
    powers = Powers(1, rules, {"team-3": Rules([*policies, policies[0]])}, Rules(policies[:3]))
    seen = _permit(powers)
    decided: list[float] = []
    narrowed: list[float] = []
    listed: list[float] = []
    made: list[float] = []
    for _ in rounds(ROUNDS, SECONDS):
        decided.append(_each(lambda: _decide(rules, asked), _BATCH))
        narrowed.append(_each(lambda: _decide_in(powers, asked), _BATCH))
        listed.append(_each(lambda: [seen.sees(one) for one in services], 1) / 1000)
        made.append(_each(lambda: Rules(_policies()).decide(asked[0]), 1) / 1000)
    share = f"{allowed} of {len(asked)} kinds of requests are allowed; an object has 11 names"
    return [
        figure("a decision over 50 statements, CPU time", "us", decided, GOAL, note=share),
        figure("the same in a workspace, with a session policy", "us", narrowed),
        figure("who of 1,000 services is in a tenant's list", "ms", listed),
        figure("50 statements read and made ready", "ms", made, note="once per change of rights"),
    ]


def _each(work: Callable[[], object], count: int) -> float:
    """Microseconds of CPU time that each of `count` decisions took."""
    began = time.process_time()
    work()
    return (time.process_time() - began) / count * 1e6


def _decide(rules: Rules, asked: Sequence[Request]) -> None:
    for _ in range(_BATCH // len(asked)):
        for one in asked:
            rules.decide(one)


def _decide_in(powers: Powers, asked: Sequence[Request]) -> None:
    for _ in range(_BATCH // len(asked)):
        for one in asked:
            powers.decide(one, "team-3")


def _request(service: Service, action: str) -> Request:
    context = {**_CONTEXT, **tags(service.labels)}
    return Request(Twins().of(action), _REALM.service(service), context)


def _permit(powers: Powers) -> Permit:
    return Permit(_REALM, powers, deed=(LIST,), on_service=(LIST,), circumstances=_CONTEXT)


def _policies() -> list[Policy]:
    """Five policies of ten statements: services by name, label, address and time; and what is denied."""
    return [parse(f"bench-{part}", json.dumps(_document(part))) for part in range(5)]


def _document(part: int) -> dict[str, Any]:
    own = f"acs:eas:*:{_REALM.account}:service"
    statements: list[dict[str, Any]] = []
    for at in range(part * 10, part * 10 + 8):
        condition = (
            {"StringEquals": {"acs:ResourceTag/team": f"team-{at % 7}"}},
            {"IpAddress": {"acs:SourceIp": ["10.0.0.0/8", "192.168.0.0/16"]}},
            {"DateLessThan": {"acs:CurrentTime": "2030-01-01T00:00:00Z"}},
            None,
        )[at % 4]
        statement: dict[str, Any] = {
            "Effect": "Allow",
            "Action": ["eas:Describe*", "eas:List*", "eas:Update*"][: 1 + at % 3],
            "Resource": [f"{own}/app_{at}_*", f"{own}/eas-m-{at:02x}*"],
        }
        statements.append({**statement, **({"Condition": condition} if condition else {})})
    secret = {"Effect": "Deny", "Action": "eas:Delete*", "Resource": f"{own}/app_{part}_prod*"}
    outside = {"Effect": "Deny", "NotAction": ["eas:*", "zstack:*"], "Resource": "*"}
    return {"Version": "1", "Statement": [*statements, secret, outside]}


def _service(number: int) -> Service:
    template = next(iter(BUILT_IN.values()))
    return Service(
        id=f"{number:032x}",
        name=f"app_{number % 50}_{'prod' if number % 3 else 'test'}_{number}",
        account=_REALM.account,
        caller=_REALM.account,
        origin="eas.service",
        wanted=Wanted.RUNNING,
        change=Change.CREATE,
        replicas=1,
        current=Version(1, template, None),
        latest=1,
        epoch=0,
        revision=1,
        token="",
        created=0.0,
        updated=0.0,
        workspace=f"team-{number % 5}",
        labels={"team": f"team-{number % 7}"},
    )
