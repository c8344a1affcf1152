"""What is told of a request that its key's owner did not sign just now: the vendor's codes."""

from collections.abc import Mapping

from pierhead.core.errors import Refused

#: Code -> (HTTP status, what it means).
CODES: dict[str, tuple[int, str]] = {
    "IncompleteSignature": (
        400,
        "A credential header or parameter is malformed, or a required one is missing or unsigned.",
    ),
    "InvalidSignatureMethod": (
        400,
        "The signature scheme is not one of ACS3-HMAC-SHA256, HMAC-SHA1 and bearer token.",
    ),
    "InvalidAccessKeyId.NotFound": (404, "The access key does not exist."),
    "InvalidAccessKeyId.Inactive": (404, "The access key is disabled."),
    "SignatureDoesNotMatch": (
        400,
        "The signature, or the hash of the body, is not the one of the request that arrived. To a "
        "session credential of the console the answer's CanonicalRequest and StringToSign tell what "
        "was made of the request here.",
    ),
    "InvalidTimeStamp.Format": (400, "The date of the request is not a date."),
    "InvalidTimeStamp.Expired": (
        400,
        "The date of the request is more than 15 minutes from the server's clock.",
    ),
    "SignatureNonceUsed": (400, "The nonce was used before: the request is a replay."),
    "ContentMD5NotMatched": (400, "Content-MD5 is not the MD5 of the body."),
    "MissingSecurityToken": (400, "The access key is temporary and came without its token."),
    "InvalidSecurityToken.Expired": (400, "The temporary access key has expired."),
    "InvalidSecurityToken.Malformed": (400, "The security token is not a token."),
    "InvalidSecurityToken.MismatchWithAccessKey": (
        400,
        "The security token belongs to another access key.",
    ),
    "InvalidBearerToken": (401, "The bearer token is unknown or has expired."),
}


#: The same of what any signed call may meet, whatever it asks for.
PLATFORM_CODES: Mapping[str, tuple[int, str]] = {
    "RequestTimeout": (408, "The body did not arrive in time."),
    "RequestEntityTooLarge": (413, "The body is larger than the limit."),
    "InternalError": (500, "A fault of the platform; its log tells more under the request id."),
    "ServiceUnavailable": (503, "A part of the platform does not answer now; try again."),
}


class SignError(Refused):
    """The request is not one that its key's owner signed just now; `code` says in which way.

    `shown`: what the server signed of it, by the name of the answer's field; no secret is in it.
    """

    def __init__(self, code: str, message: str) -> None:
        """`code` is one of CODES."""
        self.code = code
        self.shown: Mapping[str, str] = {}
        super().__init__(message)
