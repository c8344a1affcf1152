"""Runs of a service's replicas as people read them: the first and the last ones are kept."""

from pierhead.cli.client import Json
from pierhead.cli.ram_client import RamClient
from pierhead.cli.screen import emit, plain
from pierhead.core.languages import Language

_NONE = {
    Language.EN: "No such run is kept: of each replica these are the first and the last five.",
    Language.ZH_CN: "没有保留这次运行：每个副本只保留第一次和最近五次运行。",
    Language.ZH_TW: "沒有保留這次執行：每個副本只保留第一次和最近五次執行。",
}
#: Lines of one run that the hub tells at most.
MOST = 1000


def attempts(
    client: RamClient,
    name: str,
    *,
    instance: str = "",
    which: str = "",
    lines: int = 0,
    keyword: str = "",
) -> list[Json]:
    """Runs, oldest first, each with its last `lines` lines of those that contain `keyword`.

    Raises:
        HubRefused: they are not to be seen, or `which` is neither first, last nor a number.
    """
    answer = client.own(
        "ListServiceAttempts",
        ServiceName=name,
        InstanceName=instance,
        Attempt=which,
        Lines=str(MOST if keyword and lines else min(lines, MOST)),
    )
    found: list[Json] = answer["Attempts"]["Attempt"]
    for one in found:
        said = [line for line in one["Lines"]["Line"] if keyword in line]
        one["Lines"]["Line"] = said[max(0, len(said) - lines) :]
    return found


def headline(one: Json) -> str:
    """`svc-1 run 3, 2026-11-22T09:00:00Z: Exited (exit code 3)`."""
    ended = one["Reason"] or ("ended" if one["EndDate"] else "running")
    how = f"exit code {one['ExitCode']}" if "ExitCode" in one else ""
    how = f"signal {one['Signal']}" if "Signal" in one else how
    told = f"{ended} ({how})" if how else ended
    return plain(f"{one['InstanceName']} run {one['Number']}, {one['StartDate']}: {told}")


def show(found: list[Json], *, as_json: bool, language: Language = Language.EN) -> None:
    """Print each run with its lines."""
    if as_json:
        emit({"Attempts": found})
        return
    if not found:
        print(_NONE[language])
    for one in found:
        print(f"== {headline(one)}")
        for line in one["Lines"]["Line"]:
            print(plain(line))
