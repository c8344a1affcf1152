"""What policies would say: ours, not the vendor's."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from pierhead.core.errors import Invalid
from pierhead.dialects.ram.calls import Call, Handler
from pierhead.operations.permission import Permission
from pierhead.operations.simulate import Question, simulate


@dataclass(frozen=True, slots=True)
class Simulating:
    """Questions that nobody acts on."""

    permission: Permission

    def table(self) -> Mapping[str, Handler]:
        """Operation id -> handler."""
        return {"SimulatePolicy": self.simulate}

    async def simulate(self, call: Call) -> dict[str, Any]:
        """May somebody do something, and which policy decides?"""
        found = await simulate(
            self.permission,
            Question(
                principal=call.text("Principal"),
                action=call.text("ActionName"),
                resource=call.text("Resource") or "*",
                context=_context(call.text("Context")),
                workspace=call.text("Workspace"),
            ),
        )
        return {
            "Allowed": found.decision.allowed,
            "Policy": found.decision.policy,
            "Statement": found.decision.statement,
            "Actions": list(found.actions),
            "Resources": list(found.resources),
            "Spoken": [
                {
                    "Policy": one.policy,
                    "Statement": one.statement,
                    "Effect": one.effect,
                    "Applies": one.applies,
                }
                for one in found.spoken
            ],
        }


def _context(text: str) -> dict[str, str]:
    try:
        found: object = json.loads(text or "{}")
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Invalid("Context", "it is no JSON object", "{key: text}")
    table = cast("dict[str, object]", found)
    if not all(isinstance(value, str) for value in table.values()):
        raise Invalid("Context", "a value is no text", "{key: text}")
    return cast("dict[str, str]", table)
