"""The process of one llama.cpp replica: parse arguments, load the model, serve until TERM.

The model is loaded before the port answers, so a port that answers is a model that is loaded.
"""

import argparse
import os
import signal
import sys
from importlib import import_module
from typing import Any

from pierhead.engines.gguf_pooling import pools

# Loaded by name: the extension module carries no types.
xllamacpp: Any = import_module("xllamacpp")


def main(argv: list[str]) -> None:
    """Serve until a signal ends the process."""
    options = _options(argv)
    # The kernel's own default answers TERM and INT, always: a Python handler would wait for the end
    # of the load (one long native call), and Python's shutdown for the server's native threads.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    server = xllamacpp.Server(_parameters(options, os.environ.pop("LLAMA_API_KEY", "")))
    print(f"serving {options.alias} at {server.listening_address}", flush=True)  # noqa: T201
    while True:
        signal.pause()


def _options(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="pierhead.engines.llama_cpp_server", description=__doc__)
    parser.add_argument("--model", required=True, help="GGUF file")
    parser.add_argument("--alias", required=True, help="model name that clients use")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 = a free one")
    parser.add_argument("--context", type=int, default=2048, help="tokens per request")
    parser.add_argument("--slots", type=int, default=4, help="requests at once")
    parser.add_argument(
        "--prompt-cache", type=int, default=0, help="MiB for prompts of past requests; 0 = none"
    )
    parser.add_argument(
        "--threads", type=int, default=1, help="never more than free cores: threads spin"
    )
    return parser.parse_args(argv)


def _parameters(options: argparse.Namespace, key: str) -> Any:
    parameters = xllamacpp.CommonParams()
    parameters.model.path = options.model
    parameters.hostnames = [options.host]
    parameters.port = options.port
    parameters.n_ctx = options.context * options.slots  # the engine shares it out over its slots
    parameters.n_parallel = options.slots
    parameters.model_alias = {options.alias}
    parameters.api_keys = [key] if key else []
    parameters.endpoint_metrics = True
    parameters.endpoint_slots = True
    parameters.use_jinja = True
    # What it would fit to a device's memory is set or is not there, and to find that out it reads the model twice.
    parameters.fit_params = False
    # Its default keeps up to 8 GiB of past prompts beside the slots: no memory limit would hold.
    parameters.cache_ram_mib = options.prompt_cache
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = options.threads
    if pools(options.model):
        # A text is pooled in one piece, so it may have as many tokens as the engine takes at once: more
        # would cost memory for each of them, which core/sizing.py knows nothing of.
        parameters.embedding = True
    return parameters


if __name__ == "__main__":
    main(sys.argv[1:])
