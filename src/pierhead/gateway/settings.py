"""What a gateway is told at its start; nothing here changes while it runs."""

from dataclasses import dataclass, field
from pathlib import Path
from ssl import SSLContext

from pierhead.gateway.workers import Worker
from pierhead.server import HttpLimits


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """Where it listens, whom it asks, and how long and how large things may get (seconds, bytes)."""

    data_dir: Path
    host: str
    port: int  #: 0 = any free port
    hub_url: str  #: e.g. `http://127.0.0.1:8080`; with commas several, of which one is active
    internal_key: str = field(repr=False)
    #: Who shows it gets the figures of each service by name; "" = nobody.
    metrics_token: str = field(default="", repr=False)
    #: `host:port` told to clients that look for endpoints; "" = the address they reached us at.
    advertise: str = ""

    body_limit: int = 64 * 1024 * 1024  #: a request body is held whole, so that it can be repeated
    body_seconds: float = 60.0  #: for a client to send its body
    head_seconds: float = (
        600.0  #: for a replica to begin its answer, unless the route says otherwise
    )
    connect_seconds: float = 5.0
    picks: int = 3  #: replicas tried for one request
    keep_alive_seconds: float = 75.0  #: an idle client connection is kept
    write_seconds: float = 60.0  #: a client that takes nothing of what is sent for so long is cut
    stop_seconds: int = 10  #: requests in flight get at the stop
    #: Requests to services at zero replicas that are held while these start: how many, how large all
    #: bodies together, how long, and how often one that asks for a stream hears how far it is.
    hold_limit: int = 1000
    hold_bytes: int = 256 * 1024 * 1024
    hold_seconds: float = 300.0
    hold_heartbeat_seconds: float = 5.0
    backlog: int = 4096  #: asyncio's 100 made 5,000 clients that connect at once wait for 45 s

    access_log: float = 50.0  #: lines in a second about requests, at most; 0 = none

    limits: HttpLimits = field(default_factory=HttpLimits)
    tls: SSLContext | None = None  #: what is served with; None = plain HTTP
    trust: SSLContext | None = (
        None  #: by which the hub is known; None = as this machine knows others
    )

    #: Longest wait for news of the route table. The word that there are none is the hub's heartbeat.
    poll_seconds: float = 3.0
    relist_seconds: float = 30.0  #: the whole table is asked for again, news or not
    report_seconds: float = 1.0

    worker: Worker | None = None  #: which of several on one port it is; None = the only one

    #: Is it compiled code that serves, in words for the log: `yes`, or `no (why)`; see `pierhead.compiled`.
    compiled: str = "no"

    @property
    def table_file(self) -> Path:
        """The last route table, by which the gateway serves while the hub is down. It is sealed."""
        return self.data_dir / "gateway" / "routes.json"
