"""Who asks, and with which key."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. The account itself may do everything; others need a policy (a later release)."""

    account: str  #: 16 digits
    id: str
    kind: str = "account"  #: `account`, `assumed-role`


@dataclass(frozen=True, slots=True)
class AccessKey:
    """A key pair for signing; temporary when it carries a session token."""

    id: str
    secret: str
    principal: Principal
    active: bool = True
    session_token: str = ""  #: STS; "" for a permanent key
    expires: float | None = None
    created: float = 0.0


@dataclass(frozen=True, slots=True)
class BearerToken:
    """A token for console and API calls, known by its SHA-256 only."""

    digest: str
    principal: Principal
    expires: float | None = None
