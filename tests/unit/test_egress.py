"""Where a user's endpoint may lead to."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pierhead.core.egress import refusal
from pierhead.core.errors import Invalid

METADATA = ["169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16", "192.0.0.192"]
PRIVATE = ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "198.18.0.1"]


def forms(address: str) -> list[str]:
    """The address, and how IPv6 can carry it."""
    raw = int(IPv4Address(address))
    return [
        address,
        f"::ffff:{address}",
        str(IPv6Address((0x64FF9B << 96) | raw)),
        str(IPv6Address((0x2002 << 112) | (raw << 80) | 1)),
        str(IPv6Address(raw)),
        # Teredo carries the client's address with its bits turned round.
        str(
            IPv6Address(
                (0x20010000 << 96) | (int(IPv4Address("8.8.8.8")) << 64) | (raw ^ 0xFFFFFFFF)
            )
        ),
    ]


@pytest.mark.parametrize("address", METADATA)
def test_metadata_services_are_refused_in_every_form_even_where_private_is_allowed(
    address: str,
) -> None:
    """Law: metadata services are refused in every notation (F30)."""
    for form in forms(address):
        assert refusal(form), form
        assert refusal(form, private=True) == "an address of metadata services", form
        assert refusal(form, ["10.0.0.0/8"], private=True), form


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_refused_in_every_form(address: str) -> None:
    """Law: private addresses are refused in every notation (F30)."""
    for form in forms(address):
        assert refusal(form), form
    assert refusal(address, private=True) is None
    assert refusal(f"::ffff:{address}", private=True) is None


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("127.0.0.1", "a loopback address"),
        ("127.8.9.1", "a loopback address"),
        ("::1", "a loopback address"),
        ("::ffff:127.0.0.1", "a loopback address"),
        ("fd00::1", "a private address"),
        ("fc00::1", "a private address"),
        ("fec0::1", "a private address"),
        ("fd00:ec2::254", "an address of metadata services"),
        ("fe80::1", "an address of metadata services"),
        ("fe80::1%eth0", "an address of metadata services"),
        ("0.0.0.0", "an address that no server has"),
        ("::", "an address that no server has"),
        ("224.0.0.1", "an address that no server has"),
        ("ff02::1", "an address that no server has"),
        ("255.255.255.255", "an address that no server has"),
        ("240.0.0.1", "a private address"),
        ("oss.example", "no address"),
        ("0x7f.1", "no address"),
        ("2130706433", "no address"),
        ("", "no address"),
    ],
)
def test_what_is_no_public_server_is_refused_by_kind(address: str, kind: str) -> None:
    assert refusal(address) == kind


@pytest.mark.parametrize("address", ["8.8.8.8", "47.110.23.1", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_public_addresses_pass(address: str) -> None:
    assert refusal(address) is None


def test_the_operators_list_permits_what_it_names_and_no_more() -> None:
    """Law: an operator's list opens what it names, and no more (F30)."""
    assert refusal("10.1.2.3", ["10.1.0.0/16"]) is None
    assert refusal("::ffff:10.1.2.3", ["10.1.0.0/16"]) is None
    assert refusal("10.2.2.3", ["10.1.0.0/16"]) == "a private address"
    assert refusal("100.100.100.200", ["100.100.100.200"]) is None
    assert refusal("127.0.0.1", ["::1"]) == "a loopback address"
    with pytest.raises(Invalid, match="no address"):
        refusal("8.8.8.8", ["oss.example"])


@given(st.ip_addresses(v=4))
def test_a_carried_address_is_never_freer_than_itself(address: IPv4Address) -> None:
    plain = refusal(str(address))
    if plain is not None:
        assert all(refusal(form) for form in forms(str(address)))


@given(st.ip_addresses())
def test_what_passes_is_public(address: IPv4Address | IPv6Address) -> None:
    if refusal(str(address)) is None:
        assert address.is_global or (isinstance(address, IPv6Address) and address.ipv4_mapped)
