"""Who asks, and with which key."""

from dataclasses import dataclass, field

from pierhead.core.permits import Permit

ACCOUNT, USER, ROLE = "account", "user", "assumed-role"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. The account itself may do everything; others what their policies allow."""

    account: str  #: 16 digits
    id: str  #: of an account its digits, of a user 18 digits, of a role `<role id>:<session name>`
    kind: str = ACCOUNT  #: `account`, `user`, `assumed-role`
    #: User name, or `<role>/<session name>`; "" = not known, or the account's. Not compared: names change.
    name: str = field(default="", compare=False)
    #: A role's session policy: what it may do is what both allow; "" = none.
    session_policy: str = field(default="", compare=False)
    #: What the call that they are making may touch; None: no door has asked, as in work of one's own.
    permit: Permit | None = field(default=None, compare=False, repr=False)

    @property
    def admin(self) -> bool:
        """Is it the account itself, which sees and may do everything?"""
        return self.kind == ACCOUNT

    @property
    def arn(self) -> str:
        """As policies and GetCallerIdentity name it."""
        if self.admin:
            return f"acs:ram::{self.account}:root"
        return f"acs:ram::{self.account}:{self.kind}/{self.name or self.id}"


@dataclass(frozen=True, slots=True)
class AccessKey:
    """A key pair for signing; temporary when it carries a session token."""

    id: str
    secret: str = field(repr=False)  #: "" where only the key's record was asked for
    principal: Principal
    active: bool = True
    session_token: str = field(default="", repr=False)  #: STS; "" for a permanent key
    expires: float | None = None
    created: float = 0.0
    description: str | None = None
    #: "" = the one that follows from the id. Not compared, no more than the time of a change:
    #: neither says anything about what the key opens.
    uuid: str = field(default="", compare=False)
    updated: float = field(default=0.0, compare=False)
    #: When it signed something last, a minute late at most; None = never, as far as is known.
    last_used: float | None = field(default=None, compare=False)
    #: Digest of the login that it was made for, and ends with; "" = of none.
    login: str = field(default="", compare=False, repr=False)


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
    parent: str = ""  #: digest of the login that it was made for, and ends with; does not slide
    key: str = ""  #: id of the access key that opened it, and with which it ends; "" = a password


@dataclass(frozen=True, slots=True)
class Password:
    """One way to log in: the account itself (`user_name` is empty), or a user of it."""

    account_name: str
    user_name: str
    principal: Principal
    user: str  #: uuid of the user, which of an account is the account's
    hash: str  #: argon2id of the lower-case hex SHA-512 of the password
    created: float
