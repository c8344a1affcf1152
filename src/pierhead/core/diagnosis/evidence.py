"""What speaks for a cause: facts that every reason can have, in the order in which they are told."""

from collections.abc import Mapping

from pierhead.core.causes import Facts
from pierhead.core.diagnosis.wording import told
from pierhead.core.languages import Language

_Forms = Mapping[Language, str]


def _forms(english: str, simplified: str, traditional: str) -> _Forms:
    return {Language.EN: english, Language.ZH_CN: simplified, Language.ZH_TW: traditional}


#: Fact -> how it is told.
EVIDENCE: Mapping[str, _Forms] = {
    "oom": _forms("killed: out of memory", "被内核终止：内存不足", "被核心終止：記憶體不足"),
    "signal": _forms("killed by signal {signal}", "被信号 {signal} 终止", "被訊號 {signal} 終止"),
    "code": _forms("exit code {code}", "退出码 {code}", "結束代碼 {code}"),
    "unseen": _forms("ended unseen", "结束时无人看到", "結束時無人看到"),
    "log_line": _forms("log: {log_line}", "日志：{log_line}", "記錄檔：{log_line}"),
    "last_line": _forms("last line: {last_line}", "最后一行：{last_line}", "最後一行：{last_line}"),
    "last_lines": _forms(
        "last lines: {last_lines}", "最后几行：{last_lines}", "最後幾行：{last_lines}"
    ),
    "silent_end": _forms("it wrote nothing", "没有任何输出", "沒有任何輸出"),
    "since": _forms("so since {since}", "自 {since} 起一直如此", "自 {since} 起一直如此"),
    "limits": _forms("limits: {limits}", "资源限制：{limits}", "資源限制：{limits}"),
    "crashes": _forms(
        "crashed {crashes} time(s) in a row", "连续崩溃 {crashes} 次", "連續當機 {crashes} 次"
    ),
}


def evidence(facts: Facts, language: Language) -> tuple[str, ...]:
    """What is known, a clause each."""
    known = (forms[language] for name, forms in EVIDENCE.items() if facts.get(name))
    return tuple(filter(None, (told(form, facts) for form in known)))
