"""The languages that texts for people come in, and which of them somebody wants."""

from enum import StrEnum


class Language(StrEnum):
    """By its tag."""

    EN = "en"
    ZH_CN = "zh-CN"
    ZH_TW = "zh-TW"


#: What follows `zh` where traditional characters are read.
_TRADITIONAL = ("tw", "hk", "mo", "hant")


def of_tag(tag: str) -> Language | None:
    """`zh-Hant-HK` -> ZH_TW, `zh` -> ZH_CN, `en-GB` -> EN; None for a language that we do not have."""
    first, *rest = tag.strip().casefold().replace("_", "-").split("-")
    if first == "zh":
        return Language.ZH_TW if any(part in _TRADITIONAL for part in rest) else Language.ZH_CN
    return Language.EN if first == "en" else None


def negotiated(accept: str) -> Language:
    """The language that an Accept-Language header likes best; English for all others."""
    liked: list[tuple[float, int, Language]] = []
    for place, part in enumerate(accept[:500].split(",")):
        tag, _, weight = part.partition(";")
        language = of_tag(tag)
        quality = _quality(weight)
        if language is not None and quality > 0:
            liked.append((-quality, place, language))
    return min(liked, default=(0.0, 0, Language.EN))[2]


def of_locale(name: str) -> Language:
    """The language of a locale's name such as `zh_TW.UTF-8`; English for all others."""
    return of_tag(name.partition(".")[0]) or Language.EN


def _quality(text: str) -> float:
    name, _, number = text.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        found = float(number)
    except ValueError:
        return 0.0
    return found if 0 <= found <= 1 else 0.0  # `inf` and `nan` are numbers too
