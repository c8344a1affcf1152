"""Some hollow nodes in one process, as the command line asks for them."""

import argparse
import asyncio
import ipaddress
from collections.abc import Iterator
from contextlib import suppress

import kubelet_logs
from kube_api import NodeApi
from nodes import HollowNode, Shape
from pods import Ground


async def run(options: argparse.Namespace) -> None:
    """Be these nodes until cancelled."""
    options.folder.mkdir(parents=True, exist_ok=True)
    tls = kubelet_logs.certificate(options.folder / options.name)
    default = Shape()
    shape = Shape(
        capacity={**default.capacity, **_pairs(options.capacity)},
        labels=_pairs(options.label),
        paper=options.paper,
    )
    async with NodeApi(options.kubeconfig) as api:
        nodes = [
            HollowNode(
                Ground(
                    api=api,
                    name=name,
                    ip=str(next(network.hosts())),
                    folder=options.folder / name,
                    back_off=options.back_off,
                    keep_grace=options.keep_grace,
                ),
                network,
                shape,
            )
            for name, network in _places(options)
        ]
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*(node.run(tls) for node in nodes))


def _places(options: argparse.Namespace) -> Iterator[tuple[str, ipaddress.IPv4Network]]:
    if options.count == 1:
        yield options.name, options.network
        return
    bits = max(1, (options.count - 1).bit_length())
    parts = options.network.subnets(prefixlen_diff=bits)
    for number, network in zip(range(1, options.count + 1), parts, strict=False):
        yield f"{options.name}-{number}", network


def _pairs(words: list[str]) -> dict[str, str]:
    return {name: value for name, _, value in (word.partition("=") for word in words)}
