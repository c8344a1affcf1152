"""Which addresses a user's endpoint may lead to: the public Internet, and what the operator allows.

A user names endpoints; the platform connects to them from within the operator's network. Without
this rule a user could have it read what only the platform can reach.
"""

from collections.abc import Iterable
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from pierhead.core.errors import Invalid

Address = IPv4Address | IPv6Address

#: Services of cloud providers that hand out a machine's credentials; some have public addresses.
_METADATA = tuple(
    map(
        ip_network,
        (
            "169.254.0.0/16",
            "100.100.100.200/32",
            "168.63.129.16/32",
            "192.0.0.192/32",
            "fe80::/10",
            "fd00:ec2::/32",
            "fd20:ce::254/128",
        ),
    )
)
#: IPv6 forms that carry an IPv4 address in their last 32 bits.
_CARRIERS = (
    IPv6Network("::/96"),
    IPv6Network("64:ff9b::/96"),
    IPv6Network("64:ff9b:1::/48"),
    IPv6Network("::ffff:0:0:0/96"),
)


def refusal(address: str, allowed: Iterable[str] = (), *, private: bool = False) -> str | None:
    """Why nobody may be led to this address, such as `a private address`; None when they may.

    `allowed` are the operator's addresses and networks, which permit anything that is in them.
    `private`: the operator permits private and loopback addresses, but no metadata services.

    Raises:
        Invalid: something in `allowed` is no address and no network.
    """
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return "no address"
    forms = _forms(found)
    networks = [_network(text) for text in allowed]
    if any(form in network for form in forms for network in networks):
        return None
    for form in forms:
        kind = _kind(form, private=private)
        if kind:
            return kind
    return None


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        raise Invalid(
            "allowed", f"{text[:60]!a} is no address", "addresses and networks, as 10.0.0.0/8"
        ) from None


def _forms(address: Address) -> tuple[Address, ...]:
    """The address, and each IPv4 address that it stands for."""
    if isinstance(address, IPv4Address):
        return (address,)
    teredo = address.teredo
    carried = [
        address.ipv4_mapped,
        address.sixtofour,
        *(teredo or ()),
        *(
            IPv4Address(int(address) & 0xFFFFFFFF)
            for network in _CARRIERS
            if address in network and int(address) > 1
        ),
    ]
    inner = tuple(found for found in carried if found is not None)
    # A mapped address is that IPv4 address and nothing else; the others remain what they are, too.
    return inner if address.ipv4_mapped is not None else (address, *inner)


def _kind(address: Address, *, private: bool) -> str:
    """The rule that forbids the address; "" when none does."""
    site = isinstance(address, IPv6Address) and address.is_site_local
    local = site or address.is_private or not address.is_global
    unusable = address.is_unspecified or address.is_multicast
    rules = (
        (any(address in network for network in _METADATA), "an address of metadata services"),
        (address.is_link_local, "a link-local address"),
        (unusable or str(address) == "255.255.255.255", "an address that no server has"),
        (address.is_loopback and not private, "a loopback address"),
        (local and not private, "a private address"),
    )
    return next((kind for forbidden, kind in rules if forbidden), "")
