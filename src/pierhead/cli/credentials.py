"""`pierhead credentials ...`: shows the keys of this platform and issues temporary ones."""

from typing import Annotated

import typer

from pierhead.cli.client import read_credentials
from pierhead.cli.options import AsJson, DataDir
from pierhead.cli.screen import emit, pairs, seconds_of
from pierhead.settings import Settings

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Keys and endpoints.")

Duration = Annotated[
    str, typer.Option("--duration", help="How long it is valid: 90s, 15m, 1h; at most 12h.")
]


@app.command()
def show(
    reveal: Annotated[bool, typer.Option("--reveal", help="Show the secrets too.")] = False,
    export: Annotated[
        bool, typer.Option("--export", help="Print shell lines for the official SDKs.")
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show endpoints and key; the secrets only with --reveal or --export.

    \b
    Examples:
      pierhead credentials show
      eval "$(pierhead credentials show --export)"
      pierhead credentials show --reveal --json
    """
    settings = Settings.load({"data_dir": data_dir})
    found = read_credentials(settings.credentials_file)
    if export:
        _export(
            {
                "ALIBABA_CLOUD_ACCESS_KEY_ID": found["access_key_id"],
                "ALIBABA_CLOUD_ACCESS_KEY_SECRET": found["access_key_secret"],
            }
        )
        return
    if not reveal:
        found["access_key_secret"] = "***"  # noqa: S105 - what is shown instead
        found["zstack"] = {**found.get("zstack", {}), "password": "***"}
    if as_json:
        emit(found)
        return
    endpoints = found["endpoints"]
    pairs(
        [
            ("EAS endpoint", endpoints["eas"]),
            ("Gateway", endpoints["gateway"]),
            ("Region", found["region"]),
            ("Account", found["account_id"]),
            ("Access key id", found["access_key_id"]),
            ("Access key secret", found["access_key_secret"]),
            ("File", str(settings.credentials_file)),
        ]
    )


@app.command()
def sts(
    duration: Duration = "1h",
    export: Annotated[
        bool, typer.Option("--export", help="Print shell lines for the official SDKs.")
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Issue a temporary key pair with a security token.

    \b
    Examples:
      pierhead credentials sts --duration 1h
      eval "$(pierhead credentials sts --duration 15m --export)"
    """
    from pierhead.bootstrap.credentials import issue_sts

    key = issue_sts(Settings.load({"data_dir": data_dir}), _seconds(duration))
    issued = {
        "AccessKeyId": key.id,
        "AccessKeySecret": key.secret,
        "SecurityToken": key.session_token,
    }
    if export:
        _export(
            {
                "ALIBABA_CLOUD_ACCESS_KEY_ID": key.id,
                "ALIBABA_CLOUD_ACCESS_KEY_SECRET": key.secret,
                "ALIBABA_CLOUD_SECURITY_TOKEN": key.session_token,
            }
        )
    elif as_json:
        emit(issued)
    else:
        pairs(list(issued.items()))


@app.command()
def bearer(duration: Duration = "1h", data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Issue a bearer token for the control plane.

    \b
    Examples:
      pierhead credentials bearer --duration 30m
    """
    from pierhead.bootstrap.credentials import issue_bearer

    issued = issue_bearer(Settings.load({"data_dir": data_dir}), _seconds(duration))
    if as_json:
        emit({"BearerToken": issued})
    else:
        print(issued)


def _seconds(text: str) -> float:
    try:
        return seconds_of(text)
    except ValueError as problem:
        raise typer.BadParameter(str(problem), param_hint="--duration") from problem


def _export(values: dict[str, str]) -> None:
    # Only that verb quotes for a shell.
    import shlex

    for name, value in values.items():
        print(f"export {name}={shlex.quote(value)}")
