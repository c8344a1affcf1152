"""Network namespaces: one for the control plane, one for each node, and one that is the switch between them.

All of them are this machine's own: nothing outside reaches them, and they reach nothing outside. Pods of a
node have addresses of a range of their own, which the other namespaces have a route to.
"""

import ctypes
import os
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

NODES = (1, 2)
SWITCH, HEAD = "pierhead-switch", "pierhead-head"
#: Address of the control plane, as the nodes see it.
HEAD_ADDRESS = "10.214.77.1"
_PLACES = Path("/run/netns")
_CLONE_NEWNET = 0x40000000


def name_of(node: int) -> str:
    """The namespace of a node, which is the node's name too."""
    return f"pierhead-node-{node}"


def address_of(node: int) -> str:
    return f"10.214.77.{node + 1}"


def pods_of(node: int) -> str:
    """The range of its pods' addresses."""
    return f"10.214.{90 + node}.0/24"


def up() -> None:
    """Make all namespaces, wired; those that are there from before must be gone (`down`)."""
    _ip("netns", "add", SWITCH)
    _ip("-n", SWITCH, "link", "add", "lan", "type", "bridge")
    _ip("-n", SWITCH, "link", "set", "lan", "up")
    _plug(HEAD, "cable-0", HEAD_ADDRESS)
    for node in NODES:
        _plug(name_of(node), f"cable-{node}", address_of(node))
    for node in NODES:
        for other in (HEAD, *(name_of(each) for each in NODES if each != node)):
            _ip("-n", other, "route", "add", pods_of(node), "via", address_of(node))


def _plug(namespace: str, cable: str, address: str) -> None:
    _ip("netns", "add", namespace)
    _ip("-n", namespace, "link", "set", "lo", "up")
    end = ("peer", "name", "eth0", "netns", namespace)
    _ip("-n", SWITCH, "link", "add", cable, "type", "veth", *end)
    _ip("-n", SWITCH, "link", "set", cable, "master", "lan", "up")
    _ip("-n", namespace, "addr", "add", f"{address}/24", "dev", "eth0")
    _ip("-n", namespace, "link", "set", "eth0", "up")


def down() -> None:
    """Remove whatever of them is there; a namespace is gone with its last process."""
    for namespace in (*(name_of(each) for each in NODES), HEAD, SWITCH):
        if (_PLACES / namespace).exists():
            _ip("netns", "del", namespace)


def there() -> bool:
    return all((_PLACES / each).exists() for each in (SWITCH, HEAD, *map(name_of, NODES)))


def cut(node: int) -> None:
    """Pull a node's cable."""
    _ip("-n", SWITCH, "link", "set", f"cable-{node}", "down")


def mend(node: int) -> None:
    _ip("-n", SWITCH, "link", "set", f"cable-{node}", "up")


@contextmanager
def inside(namespace: str) -> Generator[None]:
    """This thread, and what it starts, is on that network.

    Raises:
        OSError: there is no such namespace, or we may not enter it.
    """
    own = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        other = os.open(_PLACES / namespace, os.O_RDONLY)
        try:
            _enter(other)
            yield
        finally:
            os.close(other)
            _enter(own)
    finally:
        os.close(own)


def _enter(descriptor: int) -> None:
    # os.setns is there from Python 3.12 on.
    if ctypes.CDLL(None, use_errno=True).setns(descriptor, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "the network namespace cannot be entered")


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)
