"""The explorer over the catalogs of all dialects; texts are read from the package when they are asked for."""

import json
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module, resources
from typing import Any

from pierhead import __version__
from pierhead.bootstrap.samples import TELLERS, operations
from pierhead.core.languages import Language
from pierhead.core.reference import Operation
from pierhead.settings import Settings
from pierhead.web.explorer import Explorer, Product, Texts

_EN, _CN, _TW = Language.EN, Language.ZH_CN, Language.ZH_TW
#: Product -> version, whose texts it shares, and what it is called.
_PRODUCTS: Mapping[str, tuple[str, str, tuple[str, str, str]]] = {
    "eas": ("2021-07-01", "eas", ("Model services (EAS)", "模型服务（EAS）", "模型服務（EAS）")),
    "zstack": (
        "v1",
        "zstack",
        ("Inference services (ZStack AIOS)", "推理服务（ZStack AIOS）", "推理服務（ZStack AIOS）"),
    ),
    "openai": (
        "v1",
        "openai",
        ("Models (OpenAI-compatible)", "模型调用（兼容 OpenAI）", "模型調用（兼容 OpenAI）"),
    ),
    "pierhead": (
        "2026-11-01",
        "pierhead",
        ("Platform (Pierhead)", "平台（Pierhead）", "平台（Pierhead）"),
    ),
    "ram": ("2015-05-01", "ram", ("Access control (RAM)", "访问控制（RAM）", "訪問控制（RAM）")),
    "sts": (
        "2015-04-01",
        "ram",
        ("Temporary credentials (STS)", "临时凭证（STS）", "臨時憑證（STS）"),
    ),
}


def explorer(settings: Settings) -> Explorer:
    """The explorer of a hub."""
    products = tuple(_product(name) for name in _PRODUCTS)
    return Explorer(products, __version__, settings.region)


def documents(hub: str, gateway: str) -> dict[str, Callable[[], dict[str, Any]]]:
    """OpenAPI documents by file name; what makes them is loaded when one is asked for."""

    def of(name: str) -> Callable[[], dict[str, Any]]:
        version, _, titles = _PRODUCTS[name]
        server = gateway if name == "openai" else hub
        return lambda: import_module("pierhead.core.openapi").document(
            titles[0], version, server, operations(name)
        )

    def of_dialect(name: str) -> Callable[[], dict[str, Any]]:
        """Of the two whose catalogs keep more than the neutral words say."""
        dialect = f"pierhead.dialects.{name}"
        return lambda: import_module(f"{dialect}.openapi").document(
            import_module(f"{dialect}.catalog").load(), hub
        )

    return {
        **{f"{name}.json": of_dialect(name) for name in ("eas", "zstack")},
        **{f"{name}.json": of(name) for name in ("openai", "pierhead", "ram", "sts")},
    }


def _product(name: str) -> Product:
    version, family, titles = _PRODUCTS[name]
    return Product(
        id=name,
        version=version,
        titles=dict(zip((_EN, _CN, _TW), titles, strict=True)),
        operations=partial(operations, name),
        find=_find(name),
        codes=_codes(TELLERS[name]),
        common=_common(name),
        texts=partial(_texts, family),
    )


def _find(name: str) -> Callable[[str], Operation | None]:
    return lambda id_: import_module(TELLERS[name]).find(name, id_)


def _codes(module: str) -> Callable[[], Mapping[str, tuple[int, str]]]:
    return lambda: import_module(module).codes()


def _common(name: str) -> Callable[[], tuple[str, ...]]:
    return lambda: getattr(import_module(TELLERS[name]), "COMMON", ())


def _texts(family: str, language: Language) -> Texts:
    """What is written of a product's operations; {} while nothing is."""
    file = resources.files("pierhead.web").joinpath("texts", f"{family}.{language.value}.json")
    if not file.is_file():
        return {}
    found: dict[str, dict[str, Any]] = json.loads(file.read_bytes())
    return found
