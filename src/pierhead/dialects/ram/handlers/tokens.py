"""Tokens of services' endpoints, and what was used with them: ours, not the vendor's."""

from collections.abc import Mapping
from dataclasses import dataclass

from pierhead.core.endpoint_tokens import DEFAULT, NO_LIMITS, Limits
from pierhead.core.usage import Meter
from pierhead.dialects.ram import asking, present
from pierhead.dialects.ram.calls import Call, Handler
from pierhead.dialects.ram.present import Json
from pierhead.operations import endpoint_tokens, usage
from pierhead.operations.endpoint_tokens import Issued
from pierhead.operations.platform import Platform

#: Parameter -> field of `Limits`.
_LIMITS = {
    "RequestsPerMinute": "rpm",
    "TokensPerMinute": "tpm",
    "Concurrency": "concurrency",
    "MonthlyTokens": "monthly_tokens",
}


@dataclass(frozen=True, slots=True)
class Tokens:
    """What the API does to tokens. Secrets are told where a token is made, rotated or asked for by name."""

    platform: Platform

    def table(self) -> Mapping[str, Handler]:
        """Operation id -> handler."""
        return {
            "ListServiceTokens": self.listed,
            "GetServiceToken": self.get,
            "AddServiceToken": self.add,
            "RotateServiceToken": self.rotate,
            "UpdateServiceToken": self.update,
            "RevokeServiceToken": self.revoke,
            "GetServiceUsage": self.used,
        }

    async def listed(self, call: Call) -> Json:
        """All tokens of a service."""
        found = await endpoint_tokens.tokens(self.platform, call.principal, _service(call))
        return {"Tokens": {"Token": [_shown(one) for one in found]}}

    async def get(self, call: Call) -> Json:
        """One token with its secret."""
        name = call.text("TokenName") or DEFAULT
        found = await endpoint_tokens.token(self.platform, call.principal, _service(call), name)
        return {"Token": _shown(found)}

    async def add(self, call: Call) -> Json:
        """A further token."""
        made = await endpoint_tokens.add(
            self.platform,
            call.principal,
            _service(call),
            call.text("TokenName"),
            call.text("UserName"),
            endpoint_tokens.limited(NO_LIMITS, _bounds(call)),
        )
        return {"Token": _shown(made)}

    async def rotate(self, call: Call) -> Json:
        """Another secret."""
        name, overlap = call.text("TokenName") or DEFAULT, call.number("Overlap") or 0
        changed = await endpoint_tokens.rotate(
            self.platform, call.principal, _service(call), name, float(overlap)
        )
        return {"Token": _shown(changed)}

    async def update(self, call: Call) -> Json:
        """Other limits."""
        changed = await endpoint_tokens.limit(
            self.platform,
            call.principal,
            _service(call),
            call.text("TokenName") or DEFAULT,
            _bounds(call),
        )
        return {"Token": _shown(changed)}

    async def revoke(self, call: Call) -> Json:
        """One token less."""
        name = call.text("TokenName")
        await endpoint_tokens.revoke(self.platform, call.principal, _service(call), name)
        return {}

    async def used(self, call: Call) -> Json:
        """What was used, by month and token."""
        month, token = call.text("Month"), call.text("TokenName")
        found = await usage.of_service(self.platform, call.principal, _service(call), month, token)
        return {"Usages": {"Usage": [_used(one) for one in found]}}


def _service(call: Call) -> str:
    return asking.service_name(call.text("ServiceName"))


def _bounds(call: Call) -> dict[str, float | None]:
    return {field: call.bound(name) for name, field in _LIMITS.items()}


def _shown(one: Issued) -> Json:
    token = one.token
    return {
        "TokenName": token.name,
        "UserName": one.user,
        "AccessToken": token.secret,
        "Limits": _limits(token.limits),
        "PreviousUntil": present.moment(token.previous_until if token.previous else None),
        "CreateDate": present.moment(token.created),
        "UpdateDate": present.moment(token.updated or token.created),
    }


def _limits(limits: Limits) -> Json:
    """Those that there are."""
    found = {name: getattr(limits, field) for name, field in _LIMITS.items()}
    return {name: value for name, value in found.items() if value is not None}


def _used(one: Meter) -> Json:
    return {
        "TokenName": one.token,
        "Month": one.month,
        "Requests": one.usage.requests,
        "PromptTokens": one.usage.prompt,
        "CompletionTokens": one.usage.completion,
        "EstimatedRequests": one.usage.estimated,
    }
