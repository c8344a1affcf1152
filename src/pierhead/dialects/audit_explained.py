"""The audit trail in neutral words: an operation of the platform's own, at the EAS door."""

from collections.abc import Mapping
from typing import Any, get_args

from pierhead.core import examples
from pierhead.core.audit import DOORS, Outcome
from pierhead.core.conditions import KEYS
from pierhead.core.example_values import ACCOUNT, MOMENT
from pierhead.core.history import with_history
from pierhead.core.reference import Authorization, Operation, Parameter, Place, Style

OWN_VERSION = "2026-11-01"
_ENTRY: Mapping[str, Any] = {
    "Number": 42,
    "Time": 1_795_375_642.5,
    "Actor": "alice",
    "ActorArn": f"acs:ram::{ACCOUNT}:user/alice",
    "Door": "eas",
    "Action": "eas:DeleteService",
    "Resource": f"acs:eas:cn-shanghai:{ACCOUNT}:service/foo",
    "Outcome": "Denied",
    "Code": "Forbidden.RAM",
    "RequestId": "40325405-579C-4D82****",
    "SourceIp": "10.0.0.12",
    "UserAgent": "curl/8.14.1",
    "Detail": {},
    "Digest": "0d5e****",
}
#: Values that these have; what is asked for may be a pattern.
_KNOWN: Mapping[str, Mapping[str, Any]] = {
    "Door": {"values": DOORS, "open": True},
    "Outcome": {"values": get_args(Outcome), "open": True},
}
_KINDS = {int: "integer", float: "number", str: "string", dict: "map"}


def told_audit() -> Operation:
    """The operation, with its example."""
    texts = (
        ("Since", MOMENT), ("Until", MOMENT), ("Actor", "alice"), ("Action", "eas:*"),
        ("Resource", "*service/foo"), ("Outcome", "Denied"), ("Door", "eas"),
    )  # fmt: skip
    numbers = (("Limit", 1, 1000, 100), ("Before", 0, None, None), ("After", 0, None, None))
    asked = (
        *(
            Parameter(name, "string", Place.QUERY, example=text, **_KNOWN.get(name, {}))
            for name, text in texts
        ),
        *(
            Parameter(name, "integer", Place.QUERY, default=usual, minimum=low, maximum=high)
            for name, low, high, usual in numbers
        ),
    )
    found = Operation(
        product="pierhead",
        version=OWN_VERSION,
        id="ListAuditEntries",
        style=Style.ROA,
        method="GET",
        path="/audit",
        group="AuditEntry",
        parameters=tuple(examples.with_example(one) for one in asked),
        response=tuple(examples.with_example(one) for one in _audit_fields()),
        authorization=Authorization(
            "pierhead:ListAuditEntries",
            "list",
            "acs:pierhead:*:{accountId}:audit",
            KEYS,
            "inferred",
        ),
        example={"Outcome": "Denied", "Limit": 100},
        answer={
            "RequestId": "40325405-579C-4D82****",
            "Entries": [_ENTRY],
            "Next": 0,
        },
        since=OWN_VERSION,
        errors=("InvalidParameter",),
    )
    return with_history(found)


def _audit_fields() -> tuple[Parameter, ...]:
    entry = Parameter(
        "",
        "object",
        fields=tuple(
            Parameter(name, _KINDS[type(value)], example=value) for name, value in _ENTRY.items()
        ),
    )
    return (
        Parameter("RequestId", "string"),
        Parameter("Entries", "array", items=entry),
        Parameter("Next", "integer", example=0),
    )
