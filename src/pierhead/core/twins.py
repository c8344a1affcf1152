"""The same deed under several names, so that no door is a way around the other.

Who lists services of the one dialect sees what the other calls groups: a Deny of either name denies
both, an Allow of either allows both. The doors say which of their actions are the same.
"""

from collections.abc import Iterable, Mapping

LIST, LOOK, LOOK_AT_GROUPS = (
    "eas:ListServices",
    "eas:DescribeService",
    "zstack:QueryModelServiceInstanceGroup",
)
CHANGE = ("eas:UpdateService", "zstack:UpdateModelServiceInstanceGroup")
#: Actions that are a part of others: who may do the latter may do them, too, and the same for Deny.
#: A group of the one dialect is shown with what the other tells of a service one by one only.
COVERED: Mapping[str, tuple[str, ...]] = {
    LOOK: (LOOK_AT_GROUPS,),
    "eas:DescribeServiceEndpoints": (LOOK_AT_GROUPS,),
    "eas:UpdateServiceLabel": ("zstack:CreateUserTag",),
    "eas:DeleteServiceLabel": ("zstack:DeleteTag",),
    "zstack:CreateAccessKey": ("ram:CreateAccessKey",),
    "zstack:DeleteAccessKey": ("ram:DeleteAccessKey",),
    "zstack:ChangeAccessKeyState": ("ram:UpdateAccessKey",),
    "zstack:QueryAccessKey": ("ram:ListAccessKeys",),
}


class Twins:
    """Which actions are asked about together."""

    def __init__(
        self,
        pairs: Iterable[tuple[str, str]] = (),
        covered: Mapping[str, tuple[str, ...]] = COVERED,
    ) -> None:
        """`pairs`: two names of the same deed; what is the same as the same is the same."""
        classes: dict[str, dict[str, None]] = {}
        for one, other in pairs:
            joined = {**classes.get(one, {one: None}), **classes.get(other, {other: None})}
            classes |= dict.fromkeys(joined, joined)
        self._known = {action: (action, *_others(action, same)) for action, same in classes.items()}
        for action, more in covered.items():
            self._known[action] = (*self._known.get(action, (action,)), *more)

    def of(self, action: str) -> tuple[str, ...]:
        """All names of a deed, the one asked for first."""
        return self._known.get(action) or (action,)

    def all_of(self, actions: Iterable[str]) -> tuple[str, ...]:
        """All names of each of these, once."""
        return tuple(dict.fromkeys(name for action in actions for name in self.of(action)))


def _others(action: str, same: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(one for one in same if one != action))
