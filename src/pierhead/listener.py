"""Opens a listening socket the way both servers need it."""

import socket


def listen(host: str, port: int, backlog: int, *, shared: bool = False) -> socket.socket:
    """A socket that listens on `host:port`; port 0 = a free one. IPv6 when the host has a colon.

    `shared`: other processes of this user that say so too listen there as well; each connection
    goes to one of them.

    Raises:
        OSError: the address cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=backlog, reuse_port=shared)
    # Accepted connections inherit it. asyncio sets it by itself only on sockets made with an
    # explicit protocol; without it Nagle's wait meets the client's delayed ACK: 44 ms per answer.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
