"""What the documentation says of this dialect beyond the catalog: error codes and plain refusals."""

from collections.abc import Mapping, Sequence

#: Error code -> (when it comes, what to do).
WHEN: Mapping[str, tuple[str, str]] = {
    "SYS.1000": (
        "Something went wrong inside the hub.",
        "Look at the hub's log for the request, and report it.",
    ),
    "SYS.1002": (
        "`resourceUuid` names a uuid that is used already.",
        "Take another uuid, or leave it out. A repeated creation with the same uuid ends here: "
        "the object is there.",
    ),
    "SYS.1003": (
        "An object that the call names does not exist, or may not be seen by the caller.",
        "Look at `details`: it names the field and the uuid.",
    ),
    "SYS.1006": (
        "The state of things forbids it: others depend on an object that is to be deleted, a replica "
        "needs more than any node has, a lock is set.",
        "`details` names the dependents; delete them first, or send `deleteMode=Enforcing`.",
    ),
    "SYS.1007": (
        "A mandatory field is missing, or a value is out of range, too long, not one of the legal "
        "ones, or cannot be read; a query names an unknown field.",
        "`details` names the field and what is legal.",
    ),
    "SYS.1008": ("The RPC message is not known.", "Compare its name with the operations page."),
    "SYS.1010": ("A part of the platform does not answer now.", "Call again later."),
    "SYS.1014": (
        "This platform has no such thing; `details` says why.",
        "Use what `details` names instead, if it names something.",
    ),
    "ID.1000": (
        "Wrong account or password, or an access key that is unknown, disabled or signs wrongly.",
        "Send the lower-case hex SHA-512 of the password, never the password itself. "
        "Compare the signed text with the page on calling it.",
    ),
    "ID.1001": (
        "The login is unknown, has ended, or has expired. Each call moves its end on.",
        "Log in again.",
    ),
    "ID.1002": ("A policy denies it, or only an administrator may.", "Ask the administrator."),
    "ID.1003": ("A quota is used up.", "Delete something, or have the quota raised."),
    "ID.1006": (
        "The account has 500 logins that have not expired.",
        "Log out when done, or use an access key.",
    ),
    "TAG.1000": ("The object has this tag already.", "Nothing is to be done."),
}

#: HTTP status -> when a call is refused with it, in plain text, before it has a meaning.
TEXTS: Sequence[tuple[int, str]] = (
    (
        400,
        "No or another kind of `Authorization`; a body that is no JSON object; no action of the path in "
        "the body; a field of the wrong type; an unreadable query, date, job uuid or webhook.",
    ),
    (403, "The `Date` of a signed call is off by more than 15 minutes."),
    (404, "No API has this path, the API is not supported, or the job has expired."),
    (405, "The path has no API with this method."),
    (413, "The body is larger than 8 MiB."),
    (500, "Something went wrong inside the hub before the call was understood."),
)
