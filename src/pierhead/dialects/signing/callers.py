"""From a request to who asks: the key is looked up, the signature judged, the nonce burnt."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from pierhead.core.ids import Clock
from pierhead.core.principals import AccessKey, BearerToken, Principal
from pierhead.dialects.signing import sign
from pierhead.dialects.signing.codes import SignError
from pierhead.dialects.signing.signed_request import Claim, Options, SignedRequest
from pierhead.operations.lockout import Lockout

#: Refusals by which somebody who guesses would learn that the guess was wrong.
_GUESSES = frozenset(
    {
        "InvalidAccessKeyId.NotFound",
        "SignatureDoesNotMatch",
        "InvalidSecurityToken.MismatchWithAccessKey",
    }
)
#: The name under which all bearer tokens of an address are counted.
_BEARER = "bearer"

Read = Callable[[SignedRequest, Options], Claim]
#: (key id, nonce, expiry in epoch seconds) -> False when it was there already
Burn = Callable[[str, str, float], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class Callers:
    """Tells who asks. What it asks of the rest of the platform may raise core errors."""

    find_key: Callable[[str], Awaitable[AccessKey | None]]
    find_bearer: Callable[[str], Awaitable[BearerToken | None]]  #: by the token's text
    #: (key id, nonce, expiry in epoch seconds) -> False when it was there already
    record_nonce: Callable[[str, str, float], Awaitable[bool]]
    clock: Clock
    options: Options
    nonce_seconds: float  #: how long a nonce is kept
    read: Read = sign.read
    used: Callable[[str], None] = lambda _key: None  #: takes the id of a key that signed something
    guard: Lockout = field(default_factory=Lockout)  #: counts failed signatures
    try_nonce: Burn | None = None  #: `record_nonce` for calls that write nothing; None = the same

    async def of(
        self, request: SignedRequest, address: str = "", *, mock: bool = False
    ) -> Principal:
        """Who signed the request, or whose bearer token it brings; `address` is the client's.

        `mock`: the database is left alone: the nonce is burnt beside it, the use of the key is not
        noted. Such a call has to have a nonce: that it is one is no part of what is signed.

        Raises:
            SignError: nobody whom we know, or not this request, or not now, or not for the first time.
            Throttled: too many failed from there.
            Unavailable: the database does not answer.
        """
        if request.values("x-acs-bearer-token") and not request.values("authorization"):
            return await self._by_bearer(request, address)
        claim = self.read(request, self.options)
        self.guard.check(address, claim.key_id)
        key = await self.find_key(claim.key_id)
        now = self.clock()
        try:
            verified = sign.judge(request, claim, key, now, self.options)
        except SignError as error:
            if error.code in _GUESSES:
                self.guard.failed(address, claim.key_id)
            raise
        self.guard.passed(address, claim.key_id)
        if mock and verified.nonce is None:
            raise SignError("IncompleteSignature", "A mock call needs x-acs-signature-nonce.")
        if verified.nonce is not None:
            expires = now + self.nonce_seconds
            burn = (self.try_nonce if mock else None) or self.record_nonce
            if not await burn(verified.key.id, verified.nonce, expires):
                raise SignError("SignatureNonceUsed", "Specified signature nonce was used already.")
        if not mock:
            self.used(verified.key.id)
        return verified.key.principal

    async def _by_bearer(self, request: SignedRequest, address: str) -> Principal:
        token = sign.bearer(request)
        self.guard.check(address, _BEARER)
        found = await self.find_bearer(token)
        now = self.clock()
        if found is None:
            self.guard.failed(address, _BEARER)
        if found is None or (found.expires is not None and found.expires <= now):
            raise SignError("InvalidBearerToken", "The bearer token is unknown or has expired.")
        sign.check_bearer(request, now, self.options)
        return found.principal
