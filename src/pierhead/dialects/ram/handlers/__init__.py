"""One handler per operation: it reads the call, asks for one use case, shows what came of it."""

from collections.abc import Mapping

from pierhead.dialects.ram.calls import Handler
from pierhead.dialects.ram.handlers.attempts import Attempts
from pierhead.dialects.ram.handlers.exporting import Exporting
from pierhead.dialects.ram.handlers.figures import Figures
from pierhead.dialects.ram.handlers.groups import Groups
from pierhead.dialects.ram.handlers.infrastructure import Infrastructure
from pierhead.dialects.ram.handlers.policies import Policies
from pierhead.dialects.ram.handlers.quotas import Quotas
from pierhead.dialects.ram.handlers.roles import Roles
from pierhead.dialects.ram.handlers.simulating import Simulating
from pierhead.dialects.ram.handlers.storage import Storage
from pierhead.dialects.ram.handlers.tokens import Tokens
from pierhead.dialects.ram.handlers.traffic import Traffic
from pierhead.dialects.ram.handlers.users import Users
from pierhead.dialects.ram.handlers.workspaces import Workspaces
from pierhead.operations.accounts import Hashing
from pierhead.operations.nodes import Nodes
from pierhead.operations.permission import Permission


def table(permission: Permission, hashing: Hashing) -> Mapping[str, Handler]:
    """Operation id -> handler."""
    platform = permission.platform
    nodes = Nodes(platform)
    return {
        **Users(platform, hashing).table(),
        **Groups(platform).table(),
        **Policies(platform).table(),
        **Roles(platform, permission.authority).table(),
        **Simulating(permission).table(),
        **Quotas(platform).table(),
        **Workspaces(platform).table(),
        **Tokens(platform).table(),
        **Attempts(platform).table(),
        **Traffic(platform).table(),
        **Exporting(platform).table(),
        **Figures(nodes).table(),
        **Infrastructure(nodes).table(),
        **Storage(platform).table(),
    }
