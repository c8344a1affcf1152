"""A finer word than the one on the wire, where what is known allows it.

The reason of a status stays one of a few words that scripts may wait for; what people read may know
more: `StorageDenied` of a key that has expired is `CredentialsExpired`.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache

from pierhead.core.causes import Cause
from pierhead.core.diagnosis.phrases import cut

_READ = 800  #: characters of a problem that are read

_DISK = (
    "DiskFull",
    r"(?<!\S)(?P<path>\S{1,255}) has (?P<free>[\d.]+ \w+) free, (?P<needed>[\d.]+ \w+) are needed"
    r"|no space left|disk is full|ENOSPC",
)
_UNREACHABLE = (
    "StoreUnreachable",
    r"name or service not known|name resolution|does not resolve|cannot be resolved|getaddrinfo|no address"
    r"|refused|unreachable|no route|nodename|mount nfs share",
)
_EGRESS = (
    "EgressRefused",
    r"--allow-private|private address|loopback|metadata address|egress|may not be called|not allowed to call",
)

_CERTIFICATE = ("CertificateRefused", r"certificate|CERTIFICATE_VERIFY")

#: What goes wrong between a store and this machine.
_STORE = (
    _CERTIFICATE,
    ("StorageHangs", r"no answer from (?P<place>nas://\S+)"),
    (
        "WeightsDamaged",
        r"checksum|digest|crc|sha256|not what is stored|damaged|is broken|wrong sum",
    ),
    ("WeightsChanged", r"chang(?:es|ed) (?:in|while|again)|was changed|another one than"),
    ("WeightsAmbiguous", r"several models|exactly one"),
    (
        "StoreBusy",
        r"\b(?:429|500|502|503)\b|slow ?down|busy|throttl|too many requests|InternalError|ServiceUnavailable",
    ),
    _UNREACHABLE,
    ("StoreTimesOut", r"timed out|time-?out|no answer|did not answer|nothing came|broke off|reset"),
)

#: What a running program answers to its probe; 503 is what one says that still loads.
_ANSWERS = (
    (
        "ListensElsewhere",
        r"; its processes listen on (?P<found>[^;]+)$|; it listens on that port, but not on (?P<address>\S+)$",
    ),
    ("ProbePathWrong", r"answered (?:404|405)\b"),
    ("ProbeDenied", r"answered (?:401|403)\b"),
    ("ProbeMeetsError", r"answered (?:5(?:00|01|02|04)|4\d\d)\b"),
    ("ProbeFindsNoHttp", r"is no HTTP/1|connection reset|server disconnected"),
    ("ProbeUnanswered", r"no answer to the \S+ probe within"),
)

#: Reason -> (finer reason, words of the problem that tell it), the first that is found.
_FINER: Mapping[str, tuple[tuple[str, str], ...]] = {
    "WeightsUnavailable": (_DISK, _EGRESS, *_STORE),
    # A fetch that is being tried again.
    "FetchingWeights": _STORE,
    "StorageDenied": (
        _CERTIFICATE,
        _EGRESS,
        ("CredentialsExpired", r"expired|SecurityToken"),
        ("ClockSkewed", r"TimeTooSkewed|skew|clock"),
        ("SecretWrong", r"SignatureDoesNotMatch|signature"),
        ("ObjectArchived", r"InvalidObjectState|is archived"),
        ("AccountDisabled", r"UserDisable|AllAccessDisabled|account is disabled"),
        ("BucketElsewhere", r"is served by another endpoint|PermanentRedirect|AuthorizationHeaderMalformed"),
        ("KeyUnknown", r"InvalidAccessKeyId|access key id|does not know the key|no such key id"),
    ),
    "WeightsMissing": (("BucketMissing", r"NoSuchBucket|bucket \[?(?P<bucket>[\w.-]+)\]? does not exist|no such bucket"),),
    "StorageNotConnected": (("HubNotAllowed", r"hubs\.online"),),
    "EnvironmentFailed": (
        _DISK,
        ("PackageNotFound", r"not found in the (?:package )?(?:registry|index)|no (?:matching|such) (?:distribution|version|package)|there is no version of|was not found|no candidates"),
        ("PythonUnavailable", r"no interpreter found|python \S+ is not on this machine|is no version of python"),
        ("DependencyConflict", r"unsatisfiable|conflict|incompatible|depend(?:s|encies)? .{0,200}and .{0,200}depends? "),
        ("PackageIndexUnreachable", r"failed to fetch|could not connect|dns|connect(?:ion)? |timed out|unreachable|network"),
    ),
    "ConversionFailed": (_DISK,),
    "CannotStart": (
        ("PodRefused", r"cluster does not admit its pods"),
        _DISK,
        ("PermissionDenied", r"permission denied"),
    ),
    "StartHeld": (
        _DISK,
        ("NoPortLeft", r"no (?:free )?port|ports? .{0,60}(?:taken|in use)"),
        ("TooManyOpenFiles", r"too many open files"),
        ("PermissionDenied", r"permission denied"),
    ),
    "StartDeadlineExceeded": (
        *_ANSWERS[1:3],
        ("WrongModelServed", r"the engine serves \[|completion probe got"),
        ("ProbeCommandFailed", r"ended with exit code|exec probe"),
        *_ANSWERS[3:],
    ),
    "NotReadyYet": _ANSWERS,
    "ProbeFailed": _ANSWERS[1:],
    "ModelFileBroken": (
        ("GitLfsPointer", r"pointer of Git LFS"),
        ("WebPageInstead", r"is a web page"),
        ("ModelFileEmpty", r"is empty"),
        ("GgufVersion", r"it has the version \d+|byte order"),
    ),
    "CommandNotFound": (
        ("WindowsLineEnds", r"Windows line ends"),
        ("InterpreterMissing", r"its interpreter (?P<interpreter>.+) does not exist"),
    ),
    "NotStarted": (_DISK,),
    "CommandNotExecutable": (("WrongProgramFormat", r"exec format error"),),
    "LibraryMissing": (("CudaMissing", r"libcuda|libcudart|libnvidia|libcublas"),),
}  # fmt: skip


@cache
def _rules(reason: str) -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Those of a reason; compiled when it is met first, as most never are."""
    return tuple(
        (finer, re.compile(words, re.IGNORECASE | re.DOTALL))
        for finer, words in _FINER.get(reason, ())
    )


def refined(cause: Cause) -> Cause:
    """The cause under the finest word that its facts allow."""
    facts = cause.facts
    untold = "" if facts else cause.message
    text = cut(facts.get("problem") or facts.get("log_line") or untold, _READ)
    for reason, words in _rules(cause.reason):
        found = words.search(text)
        if found is not None:
            more = {name: value for name, value in found.groupdict().items() if value}
            return replace(cause, reason=reason, facts={**more, **facts})
    return cause


def reasons() -> frozenset[str]:
    """Every finer word."""
    return frozenset(finer for rules in _FINER.values() for finer, _ in rules)
