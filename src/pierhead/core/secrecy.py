"""Which values are secret, told by their names, and how a text looks without them."""

import re
from collections.abc import Iterable, Mapping, Sequence

MASK = "******"

_NAMED = re.compile(r"KEY|TOKEN|SECRET|PASSWORD", re.IGNORECASE)
#: An option that takes a secret: `--api-key`, `--hf_token`; not `--tokenizer`, `--max-tokens`.
_OPTION = re.compile(r"--?(?:.*[-_])?(?:key|token|secret|password)", re.IGNORECASE)
_NUMBER = re.compile(r"[-+0-9.,eE]*")
#: The password of a URL, to the last `@` before its path. Clients also take one that has a `/`, `?` or `#`, which
#: is then no port with a path behind it; and who is named alone before a web address is often a token.
_IN_URL = re.compile(
    r"(?P<lead>://[^/?#\s:@]*:)(?:[^/?#\s]+|(?!\d+[/?#])\S{1,256})(?=@)"
    r"|(?P<web>https?://)[^/?#\s:@]+(?=@)",
    re.IGNORECASE,
)
#: Values that such variables hold too, and that are words of any log.
_PLAIN = frozenset({"true", "false", "none", "null", "auto", "default"})
_SHORTEST = 4  #: characters; masking less than that would only blot the text


def secrets(env: Mapping[str, str]) -> tuple[str, ...]:
    """Values of variables named like *KEY*, *TOKEN*, *SECRET*, *PASSWORD*, the longest first.

    Numbers, plain words and values of less than four characters are no secrets.
    """
    found = {value for name, value in env.items() if _NAMED.search(name) and _is_secret(value)}
    return tuple(sorted(found, key=lambda value: (-len(value), value)))


def _is_secret(value: str) -> bool:
    return (
        len(value) >= _SHORTEST
        and value.casefold() not in _PLAIN
        and _NUMBER.fullmatch(value) is None
    )


def masked(text: str, hidden: Iterable[str]) -> str:
    """`text` with each secret replaced; `hidden` as `secrets` gives it."""
    for secret in hidden:
        text = text.replace(secret, MASK)
    return text


def without_passwords(text: str) -> str:
    """`text` with the password of every URL in it replaced: `https://user:******@proxy:3128`."""
    return _IN_URL.sub(lambda found: (found["lead"] or found["web"]) + MASK, text)


def masked_command(argv: Sequence[str], hidden: Iterable[str]) -> tuple[str, ...]:
    """A command line for people: secrets, passwords of URLs, and the values of options that take one, replaced."""
    hidden = tuple(hidden)
    shown: list[str] = []
    after_option = False
    for argument in argv:
        name, equals, _value = argument.partition("=")
        if after_option and not argument.startswith("-"):
            shown.append(MASK)
        elif equals and _OPTION.fullmatch(name):
            shown.append(f"{name}={MASK}")
        else:
            shown.append(without_passwords(masked(argument, hidden)))
        after_option = not equals and _OPTION.fullmatch(argument) is not None
    return tuple(shown)
