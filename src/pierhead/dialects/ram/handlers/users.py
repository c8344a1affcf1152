"""Users, the passwords they log in with, and their access keys."""

from collections.abc import Mapping
from dataclasses import dataclass

from pierhead.core.errors import Unsupported
from pierhead.core.identities import User
from pierhead.dialects.ram import present
from pierhead.dialects.ram.calls import Call, Handler
from pierhead.dialects.ram.present import Json
from pierhead.operations.accounts import Hashing
from pierhead.operations.iam import keys, users
from pierhead.operations.iam.users import UserChange
from pierhead.operations.platform import Platform

_ACTIVE = "Active"


@dataclass(frozen=True, slots=True)
class Users:
    """What the API does to users."""

    platform: Platform
    hashing: Hashing

    def table(self) -> Mapping[str, Handler]:
        """Operation id -> handler."""
        return {
            "CreateUser": self.create,
            "GetUser": self.get,
            "UpdateUser": self.update,
            "DeleteUser": self.delete,
            "ListUsers": self.listed,
            "CreateLoginProfile": self.create_login,
            "GetLoginProfile": self.get_login,
            "UpdateLoginProfile": self.update_login,
            "DeleteLoginProfile": self.delete_login,
            "CreateAccessKey": self.create_key,
            "UpdateAccessKey": self.update_key,
            "DeleteAccessKey": self.delete_key,
            "ListAccessKeys": self.list_keys,
            "GetAccessKeyLastUsed": self.last_used,
        }

    async def create(self, call: Call) -> Json:
        """A new user."""
        wish = User(
            id="",
            name=call.text("UserName"),
            display_name=call.text("DisplayName"),
            comments=call.text("Comments"),
            email=call.text("Email"),
            mobile=call.text("MobilePhone"),
        )
        made = await users.create_user(self.platform, call.principal, wish)
        return {"User": present.user(made)}

    async def get(self, call: Call) -> Json:
        """One user; beside what the vendor tells, whether it has a login profile to ask for."""
        name = call.text("UserName")
        found = await users.get_user(self.platform, call.principal, name)
        profile = await users.has_login_profile(self.platform, call.principal, name)
        return {"User": {**present.user(found), "HasLoginProfile": profile}}

    async def update(self, call: Call) -> Json:
        """Other fields, or another name."""
        change = UserChange(
            name=call.new("NewUserName"),
            display_name=call.new("NewDisplayName"),
            comments=call.new("NewComments"),
            email=call.new("NewEmail"),
            mobile=call.new("NewMobilePhone"),
        )
        name = call.text("UserName")
        changed = await users.update_user(self.platform, call.principal, name, change)
        return {"User": present.user(changed)}

    async def delete(self, call: Call) -> Json:
        """One user less."""
        await users.delete_user(self.platform, call.principal, call.text("UserName"))
        return {}

    async def listed(self, call: Call) -> Json:
        """A page of users."""
        marker, most = call.text("Marker"), call.number("MaxItems") or 100
        found, rest = await users.list_users(self.platform, call.principal, marker, most)
        return present.page("Users", "User", [present.user(one) for one in found], rest)

    async def create_login(self, call: Call) -> Json:
        """A password for one who has none."""
        _refuse_demands(call)
        name, password = call.text("UserName"), call.text("Password")
        made = await users.create_login_profile(
            self.platform, call.principal, self.hashing, name, password
        )
        return {"LoginProfile": present.login_profile(made)}

    async def get_login(self, call: Call) -> Json:
        """Since when a user has a password."""
        name = call.text("UserName")
        found = await users.get_login_profile(self.platform, call.principal, name)
        return {"LoginProfile": present.login_profile(found)}

    async def update_login(self, call: Call) -> Json:
        """Another password; without one there is nothing to change."""
        _refuse_demands(call)
        name, password = call.text("UserName"), call.text("Password")
        if password:
            await users.update_login_profile(
                self.platform, call.principal, self.hashing, name, password
            )
        else:
            await users.get_login_profile(self.platform, call.principal, name)
        return {}

    async def delete_login(self, call: Call) -> Json:
        """No password any more."""
        await users.delete_login_profile(self.platform, call.principal, call.text("UserName"))
        return {}

    async def create_key(self, call: Call) -> Json:
        """A key pair: the only answer that shows its secret."""
        made = await keys.create_access_key(self.platform, call.principal, call.text("UserName"))
        return {"AccessKey": present.access_key(made)}

    async def update_key(self, call: Call) -> Json:
        """On or off."""
        await keys.update_access_key(
            self.platform,
            call.principal,
            call.text("UserAccessKeyId"),
            call.text("UserName"),
            active=call.text("Status") == _ACTIVE,
        )
        return {}

    async def delete_key(self, call: Call) -> Json:
        """One key less."""
        key, name = call.text("UserAccessKeyId"), call.text("UserName")
        await keys.delete_access_key(self.platform, call.principal, key, name)
        return {}

    async def list_keys(self, call: Call) -> Json:
        """The keys of a user, or of who asks."""
        found = await keys.list_access_keys(self.platform, call.principal, call.text("UserName"))
        return {"AccessKeys": {"AccessKey": [present.access_key(one) for one in found]}}

    async def last_used(self, call: Call) -> Json:
        """When a key signed something last."""
        key, name = call.text("UserAccessKeyId"), call.text("UserName")
        at = await keys.last_used(self.platform, call.principal, key, name)
        return {"AccessKeyLastUsed": {"LastUsedDate": present.moment(at)}}


def _refuse_demands(call: Call) -> None:
    """What makes a login safer must not be promised and then left out."""
    if call.flag("MFABindRequired"):
        raise Unsupported("MFABindRequired", "there are no MFA devices here; leave it out.")
    if call.flag("PasswordResetRequired"):
        raise Unsupported(
            "PasswordResetRequired", "users cannot change their passwords here; leave it out."
        )
