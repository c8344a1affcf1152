"""One handler per API of tiers 1 and 2: it reads the call, asks for one use case, shows what came of it."""

from collections.abc import Mapping

from pierhead.dialects.zstack.calls import Handler, Options
from pierhead.dialects.zstack.handlers.groups import Groups
from pierhead.dialects.zstack.handlers.identity import Identity
from pierhead.dialects.zstack.handlers.infrastructure import Infrastructure
from pierhead.dialects.zstack.handlers.registry import Registry
from pierhead.dialects.zstack.handlers.tags import Tags
from pierhead.dialects.zstack.handlers.templates import Templates
from pierhead.operations.platform import Platform


def table(platform: Platform, identity: Identity, options: Options) -> Mapping[str, Handler]:
    """API name -> handler. Polling a job is no handler's: the app answers it from the jobs."""
    return {
        **identity.table(),
        **Registry(platform).table(),
        **Templates(platform).table(),
        **Groups(platform).table(),
        **Tags(platform).table(),
        **Infrastructure(platform, options.version).table(),
    }
