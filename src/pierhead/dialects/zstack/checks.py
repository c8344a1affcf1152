"""What handlers find wrong with a request before they change anything: asked for mock calls."""

from collections.abc import Mapping
from typing import Any

from pierhead.core.query import Query, understood
from pierhead.dialects.zstack import translate
from pierhead.dialects.zstack.catalog import Api, load
from pierhead.dialects.zstack.kinds import kinds
from pierhead.operations import template_shape


def check(api: Api, params: Mapping[str, Any], query: Query | None) -> None:
    """Check a call's values; what depends on objects that need not exist is not asked.

    Raises:
        PierheadError: what the handler would raise for values that it cannot use.
    """
    if query is not None and api.inventory in load().inventories:
        understood(query, kinds(api.inventory))
    if api.name == "AddModelService":
        template_shape.check(translate.template(params, ""))
