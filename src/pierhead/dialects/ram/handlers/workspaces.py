"""Workspaces: ours, not the vendor's."""

from collections.abc import Mapping
from dataclasses import dataclass

from pierhead.core.errors import Invalid
from pierhead.core.workspaces import Workspace
from pierhead.dialects.ram import present
from pierhead.dialects.ram.calls import Call, Handler
from pierhead.dialects.ram.present import Json
from pierhead.operations import workspaces
from pierhead.operations.platform import Platform
from pierhead.operations.workspaces import WorkspaceChange


@dataclass(frozen=True, slots=True)
class Workspaces:
    """What the API does to workspaces."""

    platform: Platform

    def table(self) -> Mapping[str, Handler]:
        """Operation id -> handler."""
        return {
            "CreateWorkspace": self.create,
            "GetWorkspace": self.get,
            "UpdateWorkspace": self.update,
            "DeleteWorkspace": self.delete,
            "ListWorkspaces": self.listed,
        }

    async def create(self, call: Call) -> Json:
        """A new workspace."""
        wish = Workspace(call.text("WorkspaceId"), call.text("Name"), call.text("QuotaId"))
        made = await workspaces.create_workspace(self.platform, call.principal, wish)
        return {"Workspace": present.workspace(made)}

    async def get(self, call: Call) -> Json:
        """One workspace."""
        id_ = call.text("WorkspaceId")
        found = await workspaces.get_workspace(self.platform, call.principal, id_)
        return {"Workspace": present.workspace(found)}

    async def update(self, call: Call) -> Json:
        """Another name, or another quota."""
        quota, none = call.new("QuotaId"), call.flag("NoQuota")
        if quota is not None and none:
            raise Invalid("NoQuota", "[true], though there is a QuotaId", "one of them")
        change = WorkspaceChange(call.new("Name"), "" if none else quota)
        id_ = call.text("WorkspaceId")
        changed = await workspaces.update_workspace(self.platform, call.principal, id_, change)
        return {"Workspace": present.workspace(changed)}

    async def delete(self, call: Call) -> Json:
        """One workspace less."""
        id_ = call.text("WorkspaceId")
        await workspaces.delete_workspace(self.platform, call.principal, id_)
        return {}

    async def listed(self, call: Call) -> Json:
        """A page of workspaces."""
        marker, most = call.text("Marker"), call.number("MaxItems") or 100
        found, rest = await workspaces.list_workspaces(self.platform, call.principal, marker, most)
        shown = [present.workspace(one) for one in found]
        return present.page("Workspaces", "Workspace", shown, rest)
