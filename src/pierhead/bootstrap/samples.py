"""Finds one operation in the catalogs of all dialects, for whoever writes samples of it."""

from functools import lru_cache
from importlib import import_module

from pierhead.core.errors import NotFound
from pierhead.core.reference import Operation

_RAM = "pierhead.dialects.ram.explained"
#: Product -> the module that tells its operations; imported when somebody asks.
TELLERS = {
    "eas": "pierhead.dialects.eas.explained",
    "zstack": "pierhead.dialects.zstack.explained",
    "ram": _RAM,
    "sts": _RAM,
    "pierhead": _RAM,
    "openai": "pierhead.gateway.explained",
}


def operations(product: str = "") -> tuple[Operation, ...]:
    """All operations of a product; of all products, in order, if it is "".

    Raises:
        NotFound: no such product.
    """
    known = {name.lower(): name for name in TELLERS}
    if product and product.lower() not in known:
        raise NotFound("product", product[:80], f"There are: {', '.join(TELLERS)}")
    modules = [TELLERS[product.lower()]] if product else dict.fromkeys(TELLERS.values())
    found = (one for module in modules for one in import_module(module).operations())
    return tuple(one for one in found if not product or one.product == product.lower())


@lru_cache(maxsize=16)
def find(product: str, operation: str) -> Operation:
    """The operation of a product; of any product that has one of that name if it is "".

    Names are compared without case. The few that were asked for last are kept, not the catalogs.

    Raises:
        NotFound: no such product or operation.
    """
    wanted = operation.lower()
    for one in operations(product):
        if one.id.lower() == wanted:
            return one
    raise NotFound("operation", operation[:80], "pierhead sample --list names all of them")
