"""What to do about an error, by its code: the `elaboration` of this wire, in three languages.

The words that clients take for an ended login are not used: they would log in and call again.
"""

from collections.abc import Mapping

#: Code -> (English, Simplified Chinese, Traditional Chinese). Codes of a refused login have none.
_ELABORATIONS: Mapping[str, tuple[str, str, str]] = {
    "SYS.1000": (
        "A fault of the platform: its log tells more; report it if it comes again.",
        "平台内部错误：日志中有详情；如果反复出现，请反馈。",
        "平台內部錯誤：記錄檔中有詳情；如果反覆出現，請反饋。",
    ),
    "SYS.1002": (
        "The identifier belongs to something else: leave it out, or choose another one.",
        "该标识已属于其他对象：不要指定，或换一个。",
        "該標識已屬於其他物件：不要指定，或換一個。",
    ),
    "SYS.1003": (
        "What is named is not there, or not yours to see: list what there is, and correct the uuid.",
        "所指定的对象不存在或你无权查看：先列出已有对象，再修正 uuid。",
        "所指定的物件不存在或你無權檢視：先列出已有物件，再修正 uuid。",
    ),
    "SYS.1006": (
        "The present state forbids it: end what the text names first, then call again.",
        "当前状态不允许：先处理文中提到的对象，再重新调用。",
        "當前狀態不允許：先處理文中提到的物件，再重新呼叫。",
    ),
    "SYS.1007": (
        "Correct the field that the text names; nothing was changed.",
        "修正文中提到的字段；没有做任何改动。",
        "修正文中提到的欄位；沒有做任何改動。",
    ),
    "SYS.1008": (
        "No API has this message: check its name, and that the path is the right one.",
        "没有 API 使用该消息：检查名称和路径。",
        "沒有 API 使用該訊息：檢查名稱和路徑。",
    ),
    "SYS.1010": (
        "A part of the platform does not answer now: the same call may work in some seconds.",
        "平台的某个部分暂时没有应答：几秒后重试同一调用即可。",
        "平台的某個部分暫時沒有應答：幾秒後重試同一呼叫即可。",
    ),
    "SYS.1014": (
        "This platform does not do that: the text says why, and what to use instead.",
        "本平台不提供该功能：文中说明了原因和替代办法。",
        "本平台不提供該功能：文中說明了原因和替代辦法。",
    ),
    "ID.1002": (
        "Ask an administrator for a policy that allows it.",
        "请管理员授予允许该操作的策略。",
        "請管理員授予允許該操作的策略。",
    ),
    "ID.1003": (
        "Ask for less, let go of something, or have the quota raised.",
        "减少请求、释放资源，或提高配额。",
        "減少請求、釋放資源，或提高配額。",
    ),
    "ID.1006": (
        "Log out elsewhere first, or wait until an older login ends.",
        "先在其他地方退出登录，或等较早的登录过期。",
        "先在其他地方退出登入，或等較早的登入過期。",
    ),
    "TAG.1000": (
        "The tag is there already: nothing needs to be done.",
        "该标签已存在：无需操作。",
        "該標籤已存在：無需操作。",
    ),
}
_PLACES = {"en": 0, "zh-CN": 1, "zh-TW": 2}


def elaboration(code: str, language: str) -> str | None:
    """Advice in a language; None where there is none."""
    found = _ELABORATIONS.get(code)
    return None if found is None else found[_PLACES.get(language, 0)]
