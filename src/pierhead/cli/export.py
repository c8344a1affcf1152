"""`pierhead export SERVICE`: a service as manifests for a Kubernetes cluster."""

from typing import Annotated, Literal

import typer

from pierhead.cli.options import DataDir, Endpoint, Name
from pierhead.cli.ram_client import connect
from pierhead.cli.screen import note, plain


def export(
    *,
    name: Name,
    format_: Annotated[
        Literal["kubernetes"], typer.Option("--format", help="What is written.")
    ] = "kubernetes",
    namespace: Annotated[
        str, typer.Option(help="Namespace of the objects; else that of the hub's settings.")
    ] = "",
    image: Annotated[
        str, typer.Option(help="Image with Pierhead in it; else that of the hub's settings.")
    ] = "",
    with_secrets: Annotated[
        bool,
        typer.Option(
            "--with-secrets", help="With the secrets' values; it takes a right of its own."
        ),
    ] = False,
    data_dir: DataDir = None,
    endpoint: Endpoint = None,
) -> None:
    """Print the Kubernetes manifests of a service, whatever it runs on here.

    What it would not have there, and what you have to fill in, is told on the
    standard error output.

    \b
    Examples:
      pierhead export my_llm > my_llm.yaml
      pierhead export my_llm --image registry.example/pierhead:1 | kubectl diff -f -
      pierhead export my_llm --with-secrets | kubectl apply -f -

    \b
    Exit codes: 0 printed; 1 there is no such service, it cannot be run on a
    cluster, or no hub answers; 2 the command line is wrong.
    """
    action = "ExportServiceSecrets" if with_secrets else "ExportService"
    client = connect(data_dir, endpoint)
    found = client.own(
        action, ServiceName=name, ExportFormat=format_, Namespace=namespace, Image=image
    )
    print(found["Content"], end="")
    for warning in found["Warnings"]["Warning"]:
        note(plain(warning))
