"""Core errors as this wire tells them: codes, texts in English and Chinese, and plain-text refusals.

{"code", "description", "details", "elaboration", "opaque", "cause" [, "globalErrorCode", "i18nDetails"]}
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from pierhead.core import errors
from pierhead.dialects.zstack.elaborations import elaboration

#: Code -> (description in English, in Chinese).
CODES: dict[str, tuple[str, str]] = {
    "SYS.1000": ("An internal error happened", "内部错误"),
    "SYS.1002": ("The resource could not be created", "无法创建资源"),
    "SYS.1003": ("A resource was not found", "资源不存在"),
    "SYS.1006": ("The operation was refused", "操作被拒绝"),
    "SYS.1007": ("One or more API argument is invalid", "一个或多个API参数不合法"),
    "SYS.1008": ("The message is unknown", "未知的消息"),
    "SYS.1010": ("The server is not ready", "服务尚未就绪"),
    "SYS.1014": ("The operation is not implemented", "该操作未实现"),
    "ID.1000": ("Authentication failed", "认证失败"),
    "ID.1001": ("Session expired", "登录会话无效或已过期"),
    "ID.1002": ("Permission denied", "没有权限"),
    "ID.1003": ("Quota exceeded", "超出配额"),
    "ID.1006": ("Too many logins", "登录数量过多"),
    "TAG.1000": ("Duplicated tag", "标签重复"),
}
#: Codes whose English words clients look for; they stay English for everybody.
_WORDS_MATTER = frozenset({"ID.1000", "ID.1001"})
_EXPIRED = "ORG_ZSTACK_IDENTITY_10020"


class TextRefusal(errors.Refused):
    """A refusal below the dialect's envelope: an HTTP status and one line of plain text."""

    def __init__(self, status: int, text: str, allowed: Sequence[str] = ()) -> None:
        self.status, self.text = status, text
        self.allowed = tuple(allowed)  #: of 405: the methods that the path has
        super().__init__(text)


def wrong_method(method: str, allowed: Sequence[str]) -> TextRefusal:
    """405, with the methods that the path has."""
    text = f"the method {method[:20]} is not supported here: {', '.join(allowed)}"
    return TextRefusal(405, text, allowed)


class UnknownMessage(errors.Refused):
    """No API has this RPC message."""


class NotAmong(errors.Invalid):
    """A value outside the legal ones of an enumeration."""

    def __init__(self, name: str, legal: Sequence[str], found: str) -> None:
        self.legal, self.found = tuple(legal), found
        super().__init__(name, f"[{found[:80]}] is not among the legal values", ", ".join(legal))


#: The first class that fits counts.
_BY_CLASS: tuple[tuple[type[errors.PierheadError], str], ...] = (
    (UnknownMessage, "SYS.1008"),
    (TextRefusal, "SYS.1007"),  # where there is no plain text: in RPC results
    (errors.Missing, "SYS.1007"),
    (errors.Invalid, "SYS.1007"),
    (errors.NotFound, "SYS.1003"),
    (errors.Taken, "SYS.1002"),
    (errors.Duplicate, "TAG.1000"),
    (errors.Conflict, "SYS.1006"),
    (errors.Stale, "SYS.1006"),
    (errors.Unsupported, "SYS.1014"),
    (errors.Unavailable, "SYS.1010"),
    (errors.WrongLogin, "ID.1000"),
    (errors.LoginExpired, "ID.1001"),
    (errors.Forbidden, "ID.1002"),
    (errors.OverQuota, "ID.1003"),
    (errors.TooManyLogins, "ID.1006"),
    (errors.Throttled, "SYS.1006"),  # in RPC results; REST answers 429
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a refusal may refer to: the message, and its parameters as they were sent."""

    message: str = ""  #: full name of the RPC message, also for REST calls
    params: Mapping[str, Any] = field(default_factory=dict[str, Any])


def code_of(error: errors.PierheadError) -> str:
    """The wire code of an error raised on purpose."""
    return next((code for kind, code in _BY_CLASS if isinstance(error, kind)), "SYS.1000")


def body_of(
    error: errors.PierheadError, asked: Asked = Asked(), language: str = "en"
) -> dict[str, Any]:
    """The `error` object. An error whose `__cause__` is one of ours carries it as `cause`."""
    code = code_of(error)
    english, chinese = _details(error, asked)
    title = CODES[code]
    in_chinese = language.startswith("zh") and code not in _WORDS_MATTER
    root = _root(error)
    body: dict[str, Any] = {
        "code": code,
        "description": title[1 if in_chinese else 0],
        "details": english,
        "elaboration": elaboration(code, language),
        "opaque": None,
        "cause": body_of(root, asked, language) if root is not error else None,
        "i18nDetails": chinese,
    }
    if code == "ID.1001":
        body["globalErrorCode"] = _EXPIRED
    return body


def _root(error: errors.PierheadError) -> errors.PierheadError:
    """The first of our own errors in the chain of causes; the error itself when it has none."""
    root, seen = error, 0
    while isinstance(root.__cause__, errors.PierheadError) and seen < 10:
        root, seen = root.__cause__, seen + 1
    return root


def _details(error: errors.PierheadError, asked: Asked) -> tuple[str, str]:
    """In English and in Chinese; both name the field or the object."""
    of = f" of message[{asked.message}]" if asked.message else ""
    if isinstance(error, errors.Missing):
        name = error.field
        return (
            f"field[{name}]{of} is mandatory, can not be null",
            f"字段[{name}]是必填项，不能为空",
        )
    if isinstance(error, NotAmong):
        name, legal = error.field, ", ".join(error.legal)
        return (
            f"valid value for field[{name}]{of} are [{legal}], but {error.found[:80]} found",
            f"字段[{name}]的合法值为[{legal}]，实际为[{error.found[:80]}]",
        )
    if isinstance(error, errors.NotFound):
        name, where = field_of(asked.params, error.name), f"uuid:{error.name}, type:{error.kind}"
        hint = error.message.partition("] does not exist. ")[2]
        return (
            f"invalid field[{name}], resource[{where}] not found" + (f". {hint}" if hint else ""),
            f"字段[{name}]不合法，资源[{where}]不存在",
        )
    if isinstance(error, errors.Invalid):
        problem = error.message.removeprefix(f"The parameter {error.field} is not valid: ")
        return (
            f"invalid field[{error.field}]{of}: {problem}",
            f"字段[{error.field}]不合法：{problem}",
        )
    if isinstance(error, errors.LoginExpired):
        return f"Session expired: {error.message}".removesuffix(
            ": "
        ), "登录会话无效或已过期，请重新登录"
    english = error.message or CODES[code_of(error)][0]
    return english, f"{CODES[code_of(error)][1]}：{error.message}".removesuffix("：")


def field_of(params: Mapping[str, Any], value: str) -> str:
    """The parameter that carries `value`, alone or in a list; `uuid` when none does."""
    for name, given in params.items():
        inside = cast(list[Any], given) if isinstance(given, list) else [given]
        if value in inside:
            return name
    return "uuid"
