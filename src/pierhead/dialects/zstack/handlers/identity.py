"""Logins, access keys and accounts."""

from collections.abc import Mapping
from typing import Any

from pierhead.core.errors import Missing
from pierhead.core.principals import AccessKey, LoginSession, Password
from pierhead.core.query import rows_of
from pierhead.dialects.zstack.calls import Call, Handler
from pierhead.dialects.zstack.handlers import lists
from pierhead.dialects.zstack.handlers.lists import Answer
from pierhead.dialects.zstack.kinds import kinds
from pierhead.dialects.zstack.times import time_text
from pierhead.operations import access_keys, accounts
from pierhead.operations.access_keys import KeyChange, KeyWish
from pierhead.operations.logins import Logins
from pierhead.operations.platform import Platform


class Identity:
    """Handlers of who asks."""

    def __init__(self, platform: Platform, logins: Logins) -> None:
        self._platform, self._logins = platform, logins

    def table(self) -> Mapping[str, Handler]:
        """API name -> handler."""
        return {
            "LogInByAccount": self.log_in,
            "LogInByUser": self.log_in_user,
            "LogOut": self.log_out,
            "ValidateSession": self.validate,
            "RenewSession": self.renew,
            "CreateAccessKey": self.create_key,
            "QueryAccessKey": self.query_keys,
            "DeleteAccessKey": self.delete_key,
            "ChangeAccessKeyState": self.change_key,
            "QueryAccount": self.query_accounts,
        }

    async def log_in(self, call: Call) -> Answer:
        """A login of an account."""
        login = await self._logins.open(call.params["password"], call.params["accountName"])
        return {"inventory": self._session(login)}

    async def log_in_user(self, call: Call) -> Answer:
        """A login of a user, whose account is named, or given by its uuid."""
        params = call.params
        name, account = params.get("accountName", ""), params.get("accountUuid", "")
        if not name and not account:
            raise Missing("accountName", "or accountUuid")
        login = await self._logins.open(
            params["password"], name, account=account, user_name=params["userName"]
        )
        return {"inventory": self._session(login)}

    async def log_out(self, call: Call) -> Answer:
        """The end of a login."""
        await self._logins.close(call.params["sessionUuid"])
        return {}

    async def validate(self, call: Call) -> Answer:
        """Whether a login lives; asking does not prolong it."""
        return {"valid": await self._logins.valid(call.params["sessionUuid"])}

    async def renew(self, call: Call) -> Answer:
        """A login that expires another time."""
        uuid, duration = call.params["sessionUuid"], call.params.get("duration")
        login = await self._logins.renew(uuid, call.principal, call.login, duration)
        return {"inventory": self._session(login)}

    async def create_key(self, call: Call) -> Answer:
        """A new key pair; the only answer with its secret."""
        params = call.params
        wish = KeyWish(
            account=params["accountUuid"],
            user=params["userUuid"],
            id=params.get("AccessKeyID", ""),
            secret=params.get("AccessKeySecret", ""),
            description=params.get("description"),
        )
        key = await access_keys.create(self._platform, call.principal, wish, call.extras, call.also)
        return {"inventory": {**self._key(key), "AccessKeySecret": key.secret}}

    async def query_keys(self, call: Call) -> Answer:
        """The keys that the caller may see, without secrets."""
        found = await access_keys.seen(self._platform, call.principal)
        return _listed(call, [self._key(key) for key in found])

    async def delete_key(self, call: Call) -> Answer:
        """A key is gone, for both dialects."""
        await access_keys.remove(self._platform, call.principal, call.params["uuid"], call.also)
        return {}

    async def change_key(self, call: Call) -> Answer:
        """A key is on or off, for both dialects."""
        change = KeyChange(call.params["uuid"], call.params["stateEvent"] == "enable")
        key = await access_keys.switch(self._platform, call.principal, change, call.also)
        return {"inventory": self._key(key)}

    async def query_accounts(self, call: Call) -> Answer:
        """The accounts that the caller may see."""
        found = await accounts.seen(self._platform, call.principal)
        return _listed(call, [self._account(one) for one in found])

    def _session(self, login: LoginSession) -> Answer:
        return {
            "uuid": login.uuid,
            "accountUuid": accounts.account_uuid(self._platform, login.principal.account),
            "userUuid": login.user,
            "userType": login.principal.kind,
            "expiredDate": time_text(login.expires),
            "createDate": time_text(login.created),
        }

    def _key(self, key: AccessKey) -> Answer:
        principal = key.principal
        return {
            "uuid": key.uuid,
            "description": key.description,
            "accountUuid": accounts.account_uuid(self._platform, principal.account),
            "userUuid": accounts.user_uuid(self._platform, principal),
            "AccessKeyID": key.id,
            "state": "Enabled" if key.active else "Disabled",
            "createDate": time_text(key.created),
            "lastOpDate": time_text(key.updated),
        }

    def _account(self, one: Password) -> Answer:
        first = one.principal.account == self._platform.account
        return {
            "uuid": accounts.account_uuid(self._platform, one.principal.account),
            "name": one.account_name,
            "description": None,
            "type": "SystemAdmin" if first else "Normal",
            "createDate": time_text(one.created),
            "lastOpDate": time_text(one.created),
        }


def _listed(call: Call, rows: list[dict[str, Any]]) -> Answer:
    query = lists.question(call)
    found = rows_of(rows, query, kinds(call.api.inventory))
    return lists.answer(query, found, found.rows)
