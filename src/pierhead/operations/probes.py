"""`livez`, `readyz` and the time to start, as a template or a deployment words them. Pure."""

from urllib.parse import urlsplit

from pierhead.core.errors import Invalid
from pierhead.core.templates import Probe
from pierhead.operations.service_yaml import LONGEST_BOOT

_LONGEST = 2048


def probe(text: str, field: str) -> Probe | None:
    """A path or URL = GET its path on the primary port; `tcp` = a connection; "" = None.

    Three bad answers in a row count.

    Raises:
        Invalid: the text is neither; the message names `field`.
    """
    if not text:
        return None
    if text.lower() == "tcp":
        return Probe(kind="tcp")
    if len(text) > _LONGEST or any(letter.isspace() or not letter.isprintable() for letter in text):
        raise Invalid(field, f"[{text[:80]}] is no path", "/path, a URL, or tcp")
    return Probe(kind="http", path=_path(text, field))


def boot_seconds(given: float, field: str = "serviceBootUptime") -> float:
    """`given`, if a replica may take so many seconds to start.

    Raises:
        Invalid: it may not; the message names `field`.
    """
    if not 0 < given <= LONGEST_BOOT:
        raise Invalid(field, f"[{given:g}]", f"1 to {LONGEST_BOOT} seconds")
    return float(given)


def _path(text: str, field: str) -> str:
    if "://" not in text:
        return text if text.startswith("/") else f"/{text}"
    try:
        parts = urlsplit(text)
    except ValueError as error:
        raise Invalid(field, f"[{text[:80]}] is no URL") from error
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.path or '/'}{query}"
