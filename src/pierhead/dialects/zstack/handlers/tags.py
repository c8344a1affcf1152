"""Tags on objects, and the patterns that tags can be made from."""

from collections.abc import Mapping, Sequence
from typing import Any

from pierhead.core.errors import PierheadError
from pierhead.core.registry import Tag
from pierhead.dialects.zstack import translate
from pierhead.dialects.zstack.calls import Call, Handler
from pierhead.dialects.zstack.errors import Asked, body_of
from pierhead.dialects.zstack.handlers import lists
from pierhead.dialects.zstack.handlers.lists import Answer
from pierhead.dialects.zstack.present import tags as present
from pierhead.operations import tag_patterns, tags
from pierhead.operations.platform import Platform


class Tags:
    """Handlers of tags and tag patterns over one platform."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def table(self) -> Mapping[str, Handler]:
        """API name -> handler."""
        return {
            "CreateSystemTag": self.create_system,
            "QuerySystemTag": self.query_system,
            "UpdateSystemTag": self.update_system,
            "CreateUserTag": self.create_user,
            "QueryUserTag": self.query_user,
            "DeleteTag": self.delete,
            "CreateTag": self.create_pattern,
            "QueryTag": self.query_patterns,
            "UpdateTag": self.update_pattern,
            "AttachTagToResources": self.attach,
            "DetachTagFromResources": self.detach,
        }

    async def create_system(self, call: Call) -> Answer:
        """A system tag; those that the platform knows act at once."""
        made = await self._create(call, system=True)
        return {"inventory": present.system_tag(made)}

    async def create_user(self, call: Call) -> Answer:
        """A user tag; on a group it is a label too."""
        made = await self._create(call, system=False)
        return {"inventory": present.user_tag(made)}

    async def query_system(self, call: Call) -> Answer:
        """System tags."""
        query = lists.question(call)
        found = await tags.page(self._platform, call.principal, query, system=True)
        return lists.answer(query, found, map(present.system_tag, found.rows))

    async def query_user(self, call: Call) -> Answer:
        """User tags, with the patterns that they were made from."""
        query = lists.question(call)
        found = await tags.page(self._platform, call.principal, query, system=False)
        return lists.answer(query, found, await self.shown(found.rows))

    async def update_system(self, call: Call) -> Answer:
        """Another text for a system tag."""
        changed = await tags.update(
            self._platform, call.principal, call.params["uuid"], call.params["tag"], call.also
        )
        return {"inventory": present.system_tag(changed)}

    async def delete(self, call: Call) -> Answer:
        """Remove a pattern or a tag, whichever has the uuid; success when none has."""
        given = self._platform, call.principal, call.params["uuid"], call.also
        if not await tag_patterns.delete(*given):
            await tags.delete(*given)
        return {}

    async def create_pattern(self, call: Call) -> Answer:
        """A pattern."""
        wanted = translate.pattern(call.params)
        made = await tag_patterns.create(
            self._platform, call.principal, wanted, call.extras, call.also
        )
        return {"inventory": present.pattern(made)}

    async def query_patterns(self, call: Call) -> Answer:
        """Patterns."""
        query = lists.question(call)
        found = await tag_patterns.page(self._platform, call.principal, query)
        return lists.answer(query, found, map(present.pattern, found.rows))

    async def update_pattern(self, call: Call) -> Answer:
        """Change a pattern; tags that were made from it keep their text."""
        changed = await tag_patterns.update(
            self._platform,
            call.principal,
            call.params["uuid"],
            translate.pattern_changes(call.params),
            call.also,
        )
        return {"inventory": present.pattern(changed)}

    async def attach(self, call: Call) -> Answer:
        """Put a pattern's tag on objects; each tells how it went."""
        outcomes = await tag_patterns.attach(
            self._platform,
            call.principal,
            call.params["tagUuid"],
            call.params["resourceUuids"],
            call.params.get("tokens", {}),
            call.also,
        )
        made = [outcome for _, outcome in outcomes if isinstance(outcome, Tag)]
        rows = {row["uuid"]: row for row in await self.shown(made)}
        return {
            "results": [
                _refused(call, outcome)
                if isinstance(outcome, PierheadError)
                else {"inventory": rows[outcome.uuid], "success": True}
                for _, outcome in outcomes
            ]
        }

    async def detach(self, call: Call) -> Answer:
        """Take a pattern's tag off objects; success where there is none."""
        await tag_patterns.detach(
            self._platform,
            call.principal,
            call.params["tagUuid"],
            call.params["resourceUuids"],
            call.also,
        )
        return {}

    async def shown(self, found: Sequence[Tag]) -> list[dict[str, Any]]:
        """User tags with their patterns, which are read at once."""
        wanted = [tag.pattern for tag in found if tag.pattern]
        known = await tag_patterns.many(self._platform, wanted) if wanted else []
        patterns = {pattern.uuid: pattern for pattern in known}
        return [present.user_tag(tag, patterns.get(tag.pattern or "")) for tag in found]

    async def _create(self, call: Call, *, system: bool) -> Tag:
        params = call.params
        wish = tags.Wish(
            resource_type=tags.resource_type(params["resourceType"]),
            resource=params["resourceUuid"],
            text=params["tag"],
            system=system,
        )
        return await tags.create(self._platform, call.principal, wish, call.also)


def _refused(call: Call, error: PierheadError) -> Answer:
    asked = Asked(call.api.message, call.params)
    return {"inventory": None, "success": False, "error": body_of(error, asked, call.language)}
