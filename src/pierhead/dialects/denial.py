"""What a refused caller is told besides the message: the fields of AccessDeniedDetail."""

from pierhead.core.errors import Forbidden
from pierhead.core.principals import ROLE, Principal

_TYPES = {"account": "Account", "user": "SubUser", "assumed-role": "AssumedRoleUser"}


def detail(error: Forbidden, principal: Principal | None) -> dict[str, str]:
    """Why, as far as the caller may know; `principal` is who asked."""
    kind = principal.kind if principal is not None else "account"
    return {
        "PolicyType": "AccountLevelIdentityBasedPolicy",
        "AuthAction": error.action,
        "AuthPrincipalType": _TYPES.get(kind, kind),
        "AuthPrincipalOwnerId": principal.account if principal is not None else "",
        "AuthPrincipalDisplayName": _shown(principal),
        "NoPermissionType": "ExplicitDeny" if error.explicit else "ImplicitDeny",
    }


def _shown(principal: Principal | None) -> str:
    """Who it is, as the vendor tells it: the id of an account or a user, `<role>:<session>` of a role."""
    if principal is None:
        return ""
    if principal.kind == ROLE and principal.name:
        return principal.name.replace("/", ":", 1)
    return principal.id
