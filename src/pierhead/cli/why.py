"""`pierhead why SERVICE`: why a service is not as wanted, what may have led there, what to do."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, cast

import typer

from pierhead.cli.attempts import attempts, headline
from pierhead.cli.client import EasClient, HubRefused, Json, find_access
from pierhead.cli.options import AsJson, DataDir, Endpoint, Lang, Name, connect, language_of
from pierhead.cli.ram_client import RamClient
from pierhead.cli.screen import emit, plain
from pierhead.core.languages import Language

#: Language -> what stands before causes and advices, and what is said when nothing is wrong.
_WORDS: Mapping[Language, tuple[str, str, str]] = {
    Language.EN: ("why: ", "do: ", "Nothing is wrong: it runs as wanted."),
    Language.ZH_CN: ("原因：", "建议：", "一切正常：服务按预期运行。"),
    Language.ZH_TW: ("原因：", "建議：", "一切正常：服務按預期執行。"),
}

#: What stands before the runs that ended; only some are shown.
_KEPT: Mapping[Language, str] = {
    Language.EN: "Runs that ended, the first and the last ones; the first one's log: ",
    Language.ZH_CN: "已结束的运行（第一次和最近几次）；第一次的日志：",
    Language.ZH_TW: "已結束的執行（第一次和最近幾次）；第一次的記錄檔：",
}
_SHOWN = 2  #: of the last ones


def why(
    *,
    name: Name,
    instance: Annotated[str, typer.Option(help="Only this replica.")] = "",
    lang: Lang = "",
    data_dir: DataDir = None,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Say why a service is not as wanted: what is wrong, what led there, and what to do.

    \b
    Examples:
      pierhead why my_llm
      pierhead why my_llm --lang zh-CN
      pierhead why my_llm --json

    \b
    Exit codes: 0 it was said, whether something is wrong or not; 1 there is no
    such service or replica, or no hub answers; 2 the command line is wrong.
    """
    language = language_of(lang)
    client = connect(data_dir, endpoint, language)
    found = client.describe(name)
    diagnoses = _diagnoses(client, name, instance)
    ended = _ended(RamClient(find_access(data_dir, endpoint)), name, instance)
    if as_json:
        shown = {key: found[key] for key in ("ServiceName", "Status", "Reason", "Message")}
        emit({**shown, "DiagnosisList": diagnoses, "Attempts": ended})
        return
    reason = "" if found["Reason"] == found["Status"] else f" ({found['Reason']})"
    print(plain(f"{found['ServiceName']}: {found['Status']}{reason}"))
    for diagnosis in diagnoses:
        _show(diagnosis, language)
    if not diagnoses:
        print(_WORDS[language][2])
        return
    if ended:
        print(f"\n{_KEPT[language]}`pierhead logs {name} --attempt first`")
    for one in ended[:1] + ended[1:][-_SHOWN:]:
        print(f"  {headline(one)}")


def _ended(client: RamClient, name: str, instance: str) -> list[Json]:
    """Runs that ended of themselves; none for somebody who may not see logs."""
    try:
        found = attempts(client, name, instance=instance)
    except HubRefused as refused:
        if refused.status != HTTPStatus.FORBIDDEN:
            raise
        return []
    return [one for one in found if one["Reason"]]


def _diagnoses(client: EasClient, name: str, instance: str) -> list[Json]:
    """Of the service, or of one replica; none when nothing is wrong."""
    if not instance:
        answer = client.of("DescribeServiceDiagnosis", name, "/diagnosis")
        return cast("list[Json]", answer["DiagnosisList"])
    tail = f"/instances/{instance}/diagnosis"
    found = client.of("DescribeServiceInstanceDiagnosis", name, tail)["Diagnosis"]
    return [found] if found["Error"] else []


def _show(diagnosis: Json, language: Language) -> None:
    cause, advice, _ = _WORDS[language]
    print(f"\n{plain(diagnosis['Error'])}")
    for title, lines in ((cause, diagnosis["Causes"]), (advice, diagnosis["Advices"])):
        for line in cast("list[str]", lines):
            print(f"  {title}{plain(line)}")
