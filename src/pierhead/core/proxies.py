"""Where a request really came from: headers tell it only if one of the operator's own proxies wrote them."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address


class Proxies:
    """The proxies that are believed: addresses or networks; none at all by default."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        """Raises ValueError: a text is no address and no network."""
        self._networks: Sequence[IPv4Network | IPv6Network] = [
            ip_network(text, strict=False) for text in texts
        ]

    def believes(self, peer: str) -> bool:
        """Is the word of this address taken?"""
        return bool(self._networks) and self._known(address_of(peer))

    def origin(self, peer: str, forwarded: Sequence[str]) -> str:
        """Who asked `peer` to ask us, by the values of X-Forwarded-For in the order they came.

        It is the nearest address that is none of ours: whatever stands before it anybody may have
        written. Where one of ours wrote no address, it is that proxy.
        """
        source = peer
        for text in reversed([part.strip() for value in forwarded for part in value.split(",")]):
            address = address_of(text)
            if address is None:
                return source
            source = str(address)
            if not self._known(address):
                return source
        return source

    def _known(self, address: Address | None) -> bool:
        return address is not None and any(address in network for network in self._networks)


NOBODY = Proxies()


@lru_cache(1024)
def address_of(text: str) -> Address | None:
    """An address, an IPv4 one in IPv6 clothes as such; None for anything else."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
