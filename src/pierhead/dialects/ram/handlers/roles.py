"""Roles, and STS: who becomes them, and who asks."""

from collections.abc import Mapping
from dataclasses import dataclass

from pierhead.core.errors import Invalid
from pierhead.core.identities import USUAL_SESSION, Role
from pierhead.dialects.ram import present
from pierhead.dialects.ram.calls import Call, Handler
from pierhead.dialects.ram.errors import RamError
from pierhead.dialects.ram.present import Json
from pierhead.operations.authority import Authority
from pierhead.operations.iam import assume, roles
from pierhead.operations.iam.roles import RoleChange
from pierhead.operations.platform import Platform


@dataclass(frozen=True, slots=True)
class Roles:
    """What the API does to roles."""

    platform: Platform
    authority: Authority

    def table(self) -> Mapping[str, Handler]:
        """Operation id -> handler."""
        return {
            "CreateRole": self.create,
            "GetRole": self.get,
            "UpdateRole": self.update,
            "DeleteRole": self.delete,
            "ListRoles": self.listed,
            "AssumeRole": self.assume,
            "GetCallerIdentity": self.identity,
        }

    async def create(self, call: Call) -> Json:
        """A new role."""
        wish = Role(
            id="",
            name=call.text("RoleName"),
            trust=call.text("AssumeRolePolicyDocument"),
            description=call.text("Description"),
            max_session=call.number("MaxSessionDuration") or USUAL_SESSION,
        )
        made = await roles.create_role(self.platform, call.principal, wish)
        return {"Role": self._shown(made)}

    async def get(self, call: Call) -> Json:
        """One role."""
        found = await roles.get_role(self.platform, call.principal, call.text("RoleName"))
        return {"Role": self._shown(found)}

    async def update(self, call: Call) -> Json:
        """Another trust document, description or longest session."""
        change = RoleChange(
            trust=call.new("NewAssumeRolePolicyDocument"),
            description=call.new("NewDescription"),
            max_session=call.number("NewMaxSessionDuration"),
        )
        name = call.text("RoleName")
        changed = await roles.update_role(self.platform, call.principal, name, change)
        return {"Role": self._shown(changed)}

    async def delete(self, call: Call) -> Json:
        """One role less."""
        await roles.delete_role(self.platform, call.principal, call.text("RoleName"))
        return {}

    async def listed(self, call: Call) -> Json:
        """A page of roles."""
        marker, most = call.text("Marker"), call.number("MaxItems") or 100
        found, rest = await roles.list_roles(self.platform, call.principal, marker, most)
        return present.page("Roles", "Role", [self._shown(one) for one in found], rest)

    async def assume(self, call: Call) -> Json:
        """Temporary keys of a role."""
        wish = assume.Wish(
            role_arn=call.text("RoleArn"),
            session_name=call.text("RoleSessionName"),
            duration=call.number("DurationSeconds") or USUAL_SESSION,
            policy=call.text("Policy"),
            context=call.circumstances,
        )
        try:
            key = await assume.assume_role(self.platform, call.principal, self.authority, wish)
        except Invalid as error:
            if error.field.startswith("PolicyDocument"):
                text = str(error).replace("PolicyDocument", "Policy")
                raise RamError("InvalidParameter.PolicyGrammar", text) from error
            raise
        return present.credentials(key)

    async def identity(self, call: Call) -> Json:
        """Who asks."""
        return present.identity(call.principal)

    def _shown(self, role: Role) -> Json:
        return present.role(role, self.platform.account)
