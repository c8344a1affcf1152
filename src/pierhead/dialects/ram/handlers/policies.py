"""Policies, their versions, and who has which."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast

from pierhead.core.errors import InUse, TooMany
from pierhead.core.identities import Attached, Attachment, PolicyKind, PolicyVersion, TargetKind
from pierhead.dialects.ram import present
from pierhead.dialects.ram.calls import Call, Handler
from pierhead.dialects.ram.present import Json
from pierhead.operations.iam import grants, policies
from pierhead.operations.platform import Platform

_KINDS: tuple[TargetKind, ...] = ("User", "Group", "Role")
_ROTATE = "DeleteOldestNonDefaultVersionWhenLimitExceeded"


@dataclass(frozen=True, slots=True)
class Policies:
    """What the API does to policies."""

    platform: Platform

    def table(self) -> Mapping[str, Handler]:
        """Operation id -> handler."""
        return {
            "CreatePolicy": self.create,
            "GetPolicy": self.get,
            "DeletePolicy": self.delete,
            "ListPolicies": self.listed,
            "CreatePolicyVersion": self.create_version,
            "GetPolicyVersion": self.get_version,
            "DeletePolicyVersion": self.delete_version,
            "ListPolicyVersions": self.list_versions,
            "SetDefaultPolicyVersion": self.set_default,
            "ListEntitiesForPolicy": self.entities,
            **{f"AttachPolicyTo{kind}": self._attach(kind) for kind in _KINDS},
            **{f"DetachPolicyFrom{kind}": self._detach(kind) for kind in _KINDS},
            **{f"ListPoliciesFor{kind}": self._list_for(kind) for kind in _KINDS},
        }

    async def create(self, call: Call) -> Json:
        """A new policy; its document is version v1."""
        name, document = call.text("PolicyName"), call.text("PolicyDocument")
        made = await policies.create_policy(
            self.platform, call.principal, name, document, call.text("Description")
        )
        return {"Policy": present.policy(made)}

    async def get(self, call: Call) -> Json:
        """One policy and its default version."""
        kind, name = _kind(call), call.text("PolicyName")
        found = await policies.get_policy(self.platform, call.principal, kind, name)
        versions = await policies.list_policy_versions(self.platform, call.principal, kind, name)
        default = next(one for one in versions if one.id == found.default_version)
        return {"Policy": present.policy(found), "DefaultPolicyVersion": present.version(default)}

    async def delete(self, call: Call) -> Json:
        """One policy less; `CascadingDelete`: its other versions go with it, if nobody has it."""
        name = call.text("PolicyName")
        try:
            await policies.delete_policy(self.platform, call.principal, name)
        except InUse as error:
            if error.by != "Version" or not call.flag("CascadingDelete"):
                raise
            for version in await self._spare(call, name):
                await policies.delete_policy_version(
                    self.platform, call.principal, name, version.id
                )
            await policies.delete_policy(self.platform, call.principal, name)
        return {}

    async def listed(self, call: Call) -> Json:
        """A page of policies, the shipped ones among them."""
        kind = cast("PolicyKind | Literal['']", call.text("PolicyType"))
        marker, most = call.text("Marker"), call.number("MaxItems") or 100
        found, rest = await policies.list_policies(
            self.platform, call.principal, kind, marker, most
        )
        return present.page("Policies", "Policy", [present.policy(one) for one in found], rest)

    async def create_version(self, call: Call) -> Json:
        """Another document; `RotateStrategy`: the oldest spare one goes if there are too many."""
        try:
            made = await self._add_version(call)
        except TooMany:
            if call.text("RotateStrategy") != _ROTATE:
                raise
            name = call.text("PolicyName")
            oldest = (await self._spare(call, name))[0].id
            await policies.delete_policy_version(self.platform, call.principal, name, oldest)
            made = await self._add_version(call)
        return {"PolicyVersion": present.version(made)}

    async def get_version(self, call: Call) -> Json:
        """One version."""
        kind, name, version = _kind(call), call.text("PolicyName"), call.text("VersionId")
        found = await policies.get_policy_version(
            self.platform, call.principal, kind, name, version
        )
        return {"PolicyVersion": present.version(found)}

    async def delete_version(self, call: Call) -> Json:
        """One version less."""
        name, version = call.text("PolicyName"), call.text("VersionId")
        await policies.delete_policy_version(self.platform, call.principal, name, version)
        return {}

    async def list_versions(self, call: Call) -> Json:
        """All versions of a policy."""
        kind, name = _kind(call), call.text("PolicyName")
        found = await policies.list_policy_versions(self.platform, call.principal, kind, name)
        return {"PolicyVersions": {"PolicyVersion": [present.version(one) for one in found]}}

    async def set_default(self, call: Call) -> Json:
        """Another version counts."""
        name, version = call.text("PolicyName"), call.text("VersionId")
        await policies.set_default_policy_version(self.platform, call.principal, name, version)
        return {}

    async def entities(self, call: Call) -> Json:
        """Who has a policy."""
        kind, name = _kind(call), call.text("PolicyName")
        found = await grants.list_entities_for_policy(self.platform, call.principal, kind, name)
        account = self.platform.account
        return {
            "Users": {"User": [{**present.user(one), **_since(at)} for one, at in found.users]},
            "Groups": {"Group": [{**present.group(one), **_since(at)} for one, at in found.groups]},
            "Roles": {
                "Role": [{**present.role(one, account), **_since(at)} for one, at in found.roles]
            },
        }

    def _attach(self, kind: TargetKind) -> Handler:
        async def attach(call: Call) -> Json:
            """Give it the policy."""
            await grants.attach(self.platform, call.principal, _attachment(call, kind))
            return {}

        return attach

    def _detach(self, kind: TargetKind) -> Handler:
        async def detach(call: Call) -> Json:
            """Take the policy away."""
            await grants.detach(self.platform, call.principal, _attachment(call, kind))
            return {}

        return detach

    def _list_for(self, kind: TargetKind) -> Handler:
        async def list_for(call: Call) -> Json:
            """What it has."""
            name = call.text(f"{kind}Name")
            found = await grants.list_policies_for(self.platform, call.principal, kind, name)
            return {"Policies": {"Policy": [_attached(one) for one in found]}}

        return list_for

    async def _add_version(self, call: Call) -> PolicyVersion:
        return await policies.create_policy_version(
            self.platform,
            call.principal,
            call.text("PolicyName"),
            call.text("PolicyDocument"),
            default=call.flag("SetAsDefault"),
        )

    async def _spare(self, call: Call, name: str) -> list[PolicyVersion]:
        """The versions besides the default one, oldest first."""
        found = await policies.list_policy_versions(self.platform, call.principal, "Custom", name)
        return [one for one in found if not one.default]


def _kind(call: Call) -> PolicyKind:
    return "System" if call.text("PolicyType") == "System" else "Custom"


def _attachment(call: Call, kind: TargetKind) -> Attachment:
    return Attachment(
        policy=call.text("PolicyName"),
        policy_kind=_kind(call),
        target=call.text(f"{kind}Name"),
        target_kind=kind,
        workspace=call.text("Workspace"),
    )


def _attached(one: Attached) -> Json:
    return {**present.policy(one.policy), **_since(one.attachment)}


def _since(one: Attachment) -> Json:
    bounded = {"Workspace": one.workspace} if one.workspace else {}
    return {"AttachDate": present.moment(one.created), **bounded}
