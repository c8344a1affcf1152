"""`pierhead services token`: what opens a service's endpoint, for whom, and how much of it was used."""

from typing import Annotated, cast

import typer

from pierhead.cli.client import EasClient, HubRefused, Json
from pierhead.cli.options import AsJson, DataDir, Endpoint, Name
from pierhead.cli.options import connect as connect_eas
from pierhead.cli.ram_client import RamClient, connect
from pierhead.cli.screen import emit, note, pairs, seconds_of, table

#: The token that every service has.
OWN = "default"
#: What --limit calls a limit -> what the API calls it.
_LIMITS = {
    "rpm": "RequestsPerMinute",
    "tpm": "TokensPerMinute",
    "concurrency": "Concurrency",
    "monthly_tokens": "MonthlyTokens",
}

Rotate = Annotated[
    bool, typer.Option("--rotate", help="Give the token another secret; no replica is touched.")
]
Overlap = Annotated[
    str, typer.Option("--overlap", help="How long the former secret opens: 90s, 15m, 1h.")
]
Add = Annotated[str, typer.Option("--add", metavar="NAME", help="Issue a further token.")]
User = Annotated[
    str, typer.Option("--user", help="With --add: whose it is; it ends with that user.")
]
Revoke = Annotated[
    str, typer.Option("--revoke", metavar="NAME", help="End a token: it opens nothing any more.")
]
Which = Annotated[
    str, typer.Option("--name", metavar="NAME", help="Which token; else the service's own.")
]
Limit = Annotated[
    str,
    typer.Option(
        "--limit",
        help="rpm=60,tpm=10000,concurrency=4,monthly_tokens=1000000; `none` takes one away.",
    ),
]


def token(
    *,
    service: Name,
    rotate: Rotate = False,
    overlap: Overlap = "0s",
    add: Add = "",
    user: User = "",
    revoke: Revoke = "",
    name: Which = "",
    limit: Limit = "",
    data_dir: DataDir = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Print a service's endpoint and token, and how to call it; or issue, rotate, limit, revoke tokens.

    \b
    Examples:
      pierhead services token my_llm
      TOKEN=$(pierhead services token my_llm --json | jq -r .AccessToken)
      pierhead services token my_llm --rotate --overlap 60s
      pierhead services token my_llm --add ci --limit rpm=60,monthly_tokens=1000000
      pierhead services token my_llm --add laptop --user alice
      pierhead services token my_llm --revoke ci
    """
    _check_flags(rotate=rotate, add=add, revoke=revoke, name=name, user=user, limit=limit)
    limits = _limits(limit)
    if not (rotate or add or revoke or limits or name):
        _show(connect_eas(data_dir, endpoint), connect(data_dir, endpoint), service, as_json)
        return
    client = connect(data_dir, endpoint)
    if revoke:
        client.own("RevokeServiceToken", ServiceName=service, TokenName=revoke)
        note(f"The token [{revoke}] of {service} opens nothing any more.")
        return
    if add:
        which, action, more = add, "AddServiceToken", {"UserName": user, **limits}
    elif rotate:
        seconds = str(int(_overlap(overlap)))
        which, action, more = name or OWN, "RotateServiceToken", {"Overlap": seconds}
    elif limits:
        which, action, more = name or OWN, "UpdateServiceToken", limits
    else:
        which, action, more = name, "GetServiceToken", {}
    answer = client.own(action, ServiceName=service, TokenName=which, **more)["Token"]
    if as_json:
        emit(answer)
    else:
        pairs(_rows(answer))


def _check_flags(*, rotate: bool, add: str, revoke: str, name: str, user: str, limit: str) -> None:
    """One deed at a time.

    Raises:
        typer.BadParameter: flags that do not go together.
    """
    if sum(map(bool, (rotate, add, revoke))) > 1:
        raise typer.BadParameter("give one of --rotate, --add and --revoke")
    if user and not add:
        raise typer.BadParameter("it goes with --add", param_hint="--user")
    if name and (add or revoke):
        raise typer.BadParameter(
            "--add and --revoke name the token themselves", param_hint="--name"
        )
    if limit and (rotate or revoke):
        raise typer.BadParameter("it goes with --add, or alone", param_hint="--limit")


def _limits(text: str) -> dict[str, str]:
    """`rpm=60,tpm=none` as parameters of the API.

    Raises:
        typer.BadParameter: it is not of this form.
    """
    found: dict[str, str] = {}
    for part in filter(None, text.split(",")):
        key, _, value = part.strip().partition("=")
        legal = value == "none" or (value.isascii() and value.isdigit() and int(value) > 0)
        if key not in _LIMITS or not legal:
            raise typer.BadParameter(
                f"[{part}]: give {', '.join(_LIMITS)} = a number above 0, or none",
                param_hint="--limit",
            )
        found[_LIMITS[key]] = value
    return found


def _overlap(text: str) -> float:
    try:
        return seconds_of(text)
    except ValueError as problem:
        raise typer.BadParameter(str(problem), param_hint="--overlap") from problem


def _show(eas: EasClient, client: RamClient, service: str, as_json: bool) -> None:
    answer = eas.of("DescribeServiceEndpoints", service, "/endpoints")
    held = _asked(client, "ListServiceTokens", "Tokens/Token", service)
    if as_json:
        emit({**answer, "Tokens": held})
        return
    opens = str(answer["AccessToken"])
    places = cast("list[dict[str, list[str]]]", answer.get("Endpoints") or [])
    for url in (url for place in places for url in place.get("InternetEndpoints") or []):
        pairs([("Endpoint", url), ("Token", opens)])
        print(_snippets(url, opens, service))
    _show_tokens(client, service, held)


def _show_tokens(client: RamClient, service: str, held: list[Json]) -> None:
    """A table of all tokens, if there is more to tell than that there is one."""
    used = _asked(client, "GetServiceUsage", "Usages/Usage", service)
    latest = max((str(item["Month"]) for item in used), default="")
    by_name = {item["TokenName"]: item for item in used if item["Month"] == latest}
    if len(held) < 2 and not by_name and not any(item["Limits"] for item in held):
        return
    print()
    table(
        ["TOKEN", "USER", "LIMITS", f"REQUESTS {latest}".rstrip(), "TOKENS READ", "WRITTEN"],
        [_line(item, by_name.get(item["TokenName"], {})) for item in held],
    )


def _asked(client: RamClient, action: str, kind: str, service: str) -> list[Json]:
    """A list that is nice to have: whoever may read the token alone gets the token alone."""
    several, one = kind.split("/")
    try:
        return cast("list[Json]", client.own(action, ServiceName=service)[several][one])
    except HubRefused:
        return []


def _line(item: Json, used: Json) -> list[str]:
    figures = ("Requests", "PromptTokens", "CompletionTokens")
    return [
        str(item["TokenName"]),
        str(item["UserName"]) or "-",
        _told(item["Limits"]) or "-",
        *(str(used.get(name, 0)) for name in figures),
    ]


def _told(limits: Json) -> str:
    return ",".join(f"{key}={limits[name]}" for key, name in _LIMITS.items() if name in limits)


def _rows(answer: Json) -> list[tuple[str, str]]:
    found = [("Name", str(answer["TokenName"])), ("User", str(answer["UserName"]))]
    found += [("Token", str(answer.get("AccessToken", ""))), ("Limits", _told(answer["Limits"]))]
    found.append(("Former secret opens until", str(answer["PreviousUntil"])))
    return [(key, value) for key, value in found if value]


def _snippets(url: str, opens: str, name: str) -> str:
    return f"""
# curl
curl {url}/v1/chat/completions -H 'Authorization: Bearer {opens}' -H 'Content-Type: application/json' \\
  -d '{{"model": "{name}", "messages": [{{"role": "user", "content": "Hello!"}}]}}'

# Python
from openai import OpenAI
client = OpenAI(base_url="{url}/v1", api_key="{opens}")
answer = client.chat.completions.create(model="{name}", messages=[{{"role": "user", "content": "Hello!"}}])
print(answer.choices[0].message.content)"""
