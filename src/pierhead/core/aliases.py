"""Every name under which policies know an object: ARNs of both dialects, and its labels."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from pierhead.core.conditions import RESOURCE_TAG
from pierhead.core.ids import fixed_id
from pierhead.core.names import ID_DIGITS
from pierhead.core.registry import ResourceType
from pierhead.core.services import Service

#: (dialect, what follows region and account): `("eas", "service/chat")`.
Noun = tuple[str, str]


@dataclass(frozen=True)
class Realm:
    """Whose objects they are, and where."""

    region: str
    account: str

    def arn(self, noun: Noun) -> str:
        """`acs:<dialect>:<region>:<account>:<noun>`; of identities the region stays empty: they have none."""
        region = "" if noun[0] == "ram" else self.region
        return f"acs:{noun[0]}:{region}:{self.account}:{noun[1]}"

    @cached_property
    def pool(self) -> str:
        """Id of the one pool of machines."""
        return f"eas-r-{fixed_id('pool', self.region)[:ID_DIGITS]}"

    def names(self, name: str) -> tuple[str, ...]:
        """The EAS ARNs of a service of which only a name is known, alone and in the pool."""
        return (
            self.arn(("eas", f"service/{name}")),
            self.arn(("eas", f"resource/{self.pool}/service/{name}")),
        )

    def service(self, service: Service) -> tuple[str, ...]:
        """All ARNs of a service: by name, `<group>.<name>` and id, and as a group of the other door."""
        id_ = service.id
        called = dict.fromkeys(
            (service.name, service.full_name, f"eas-m-{id_[:ID_DIGITS]}", id_),
        )
        lead = f":{self.region}:{self.account}:"
        inside = f"acs:eas{lead}resource/{self.pool}/service/"
        group = f"acs:zstack{lead}{ResourceType.GROUP}/"
        title = service.registration.title
        return (
            *[f"acs:eas{lead}service/{name}" for name in called],
            *[inside + name for name in called],
            *[group + name for name in dict.fromkeys((id_, service.name, title or id_))],
        )


def tags(labels: Mapping[str, str]) -> dict[str, str]:
    """Labels as the keys of conditions: `acs:ResourceTag/<key>`."""
    return {RESOURCE_TAG + key: value for key, value in labels.items()}
