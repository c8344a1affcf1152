"""Groups and who is in them."""

from collections.abc import Mapping
from dataclasses import dataclass

from pierhead.core.identities import Group
from pierhead.dialects.ram import present
from pierhead.dialects.ram.calls import Call, Handler
from pierhead.dialects.ram.present import Json
from pierhead.operations.iam import groups
from pierhead.operations.iam.groups import GroupChange
from pierhead.operations.platform import Platform


@dataclass(frozen=True, slots=True)
class Groups:
    """What the API does to groups."""

    platform: Platform

    def table(self) -> Mapping[str, Handler]:
        """Operation id -> handler."""
        return {
            "CreateGroup": self.create,
            "GetGroup": self.get,
            "UpdateGroup": self.update,
            "DeleteGroup": self.delete,
            "ListGroups": self.listed,
            "AddUserToGroup": self.add_user,
            "RemoveUserFromGroup": self.remove_user,
            "ListGroupsForUser": self.of_user,
            "ListUsersForGroup": self.members,
        }

    async def create(self, call: Call) -> Json:
        """A new group."""
        wish = Group("", call.text("GroupName"), call.text("Comments"))
        made = await groups.create_group(self.platform, call.principal, wish)
        return {"Group": present.group(made)}

    async def get(self, call: Call) -> Json:
        """One group."""
        found = await groups.get_group(self.platform, call.principal, call.text("GroupName"))
        return {"Group": present.group(found)}

    async def update(self, call: Call) -> Json:
        """Another name or comment."""
        change = GroupChange(call.new("NewGroupName"), call.new("NewComments"))
        name = call.text("GroupName")
        changed = await groups.update_group(self.platform, call.principal, name, change)
        return {"Group": present.group(changed)}

    async def delete(self, call: Call) -> Json:
        """One group less."""
        await groups.delete_group(self.platform, call.principal, call.text("GroupName"))
        return {}

    async def listed(self, call: Call) -> Json:
        """A page of groups."""
        marker, most = call.text("Marker"), call.number("MaxItems") or 100
        found, rest = await groups.list_groups(self.platform, call.principal, marker, most)
        return present.page("Groups", "Group", [present.group(one) for one in found], rest)

    async def add_user(self, call: Call) -> Json:
        """One member more."""
        user, group = call.text("UserName"), call.text("GroupName")
        await groups.add_user_to_group(self.platform, call.principal, user, group)
        return {}

    async def remove_user(self, call: Call) -> Json:
        """One member less."""
        user, group = call.text("UserName"), call.text("GroupName")
        await groups.remove_user_from_group(self.platform, call.principal, user, group)
        return {}

    async def of_user(self, call: Call) -> Json:
        """The groups of a user."""
        name = call.text("UserName")
        found = await groups.list_groups_for_user(self.platform, call.principal, name)
        shown = [
            {**present.group(group), "JoinDate": present.moment(joined)} for group, joined in found
        ]
        return {"Groups": {"Group": shown}}

    async def members(self, call: Call) -> Json:
        """A page of a group's users."""
        name, most = call.text("GroupName"), call.number("MaxItems") or 100
        found = await groups.list_users_for_group(self.platform, call.principal, name)
        after = call.text("Marker").lower()
        left = [(user, joined) for user, joined in found if user.name.lower() > after]
        shown = [
            {**present.user(user), "JoinDate": present.moment(joined)}
            for user, joined in left[:most]
        ]
        marker = left[most - 1][0].name if len(left) > most else ""
        return present.page("Users", "User", shown, marker)
