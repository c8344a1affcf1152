"""Who asks, and with which key."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. The account itself may do everything; others need a policy (a later release)."""

    account: str  #: 16 digits
    id: str
    kind: str = "account"  #: `account`, `assumed-role`

    @property
    def admin(self) -> bool:
        """Is it the account itself, which sees and may do everything?"""
        return self.kind == "account"


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
    description: str | None = None
    #: "" = the one that follows from the id. Not compared, no more than the time of a change:
    #: neither says anything about what the key opens.
    uuid: str = field(default="", compare=False)
    updated: float = field(default=0.0, compare=False)


@dataclass(frozen=True, slots=True)
class BearerToken:
    """A token for console and API calls, known by its SHA-256 only."""

    digest: str
    principal: Principal
    expires: float | None = None


@dataclass(frozen=True, slots=True)
class LoginSession:
    """What a login with a password opened. The platform knows its uuid by the SHA-256 only."""

    digest: str
    principal: Principal
    user: str  #: uuid of the user, which of an account is the account's
    created: float
    expires: float
    uuid: str = ""  #: known only to whom it was given: at the login and at a renewal


@dataclass(frozen=True, slots=True)
class Password:
    """One way to log in: the account itself (`user_name` is empty), or a user of it."""

    account_name: str
    user_name: str
    principal: Principal
    user: str  #: uuid of the user, which of an account is the account's
    hash: str  #: argon2id of the lower-case hex SHA-512 of the password
    created: float
