"""What each error code of this wire means, in Simplified and Traditional Chinese."""

from collections.abc import Mapping

from pierhead.core.languages import Language

#: Code -> (in Simplified, in Traditional Chinese).
MEANINGS: Mapping[str, tuple[str, str]] = {
    "IncompleteSignature": (
        "凭证的请求头或参数格式不对，或缺少必需的、未签名的部分。",
        "憑證的請求頭或參數格式不對，或缺少必需的、未簽名的部分。",
    ),
    "InvalidSignatureMethod": (
        "签名方式不是 ACS3-HMAC-SHA256、HMAC-SHA1 或 bearer token 之一。",
        "簽名方式不是 ACS3-HMAC-SHA256、HMAC-SHA1 或 bearer token 之一。",
    ),
    "InvalidAccessKeyId.NotFound": ("访问密钥不存在。", "存取金鑰不存在。"),
    "InvalidAccessKeyId.Inactive": ("访问密钥已停用。", "存取金鑰已停用。"),
    "SignatureDoesNotMatch": (
        "签名或正文摘要与收到的请求不符。对控制台的会话凭证，返回中的 CanonicalRequest 和 "
        "StringToSign 给出服务端据此请求得到的内容。",
        "簽名或正文摘要與收到的請求不符。對控制台的會話憑證，返回中的 CanonicalRequest 和 "
        "StringToSign 給出服務端據此請求得到的內容。",
    ),
    "InvalidTimeStamp.Format": ("请求的时间格式不对。", "請求的時間格式不對。"),
    "InvalidTimeStamp.Expired": (
        "请求的时间与服务器时钟相差超过 15 分钟。",
        "請求的時間與伺服器時鐘相差超過 15 分鐘。",
    ),
    "SignatureNonceUsed": (
        "随机数已被使用过：这是重放的请求。",
        "隨機數已被使用過：這是重放的請求。",
    ),
    "ContentMD5NotMatched": ("Content-MD5 与正文的 MD5 不符。", "Content-MD5 與正文的 MD5 不符。"),
    "MissingSecurityToken": ("临时访问密钥缺少它的安全令牌。", "臨時存取金鑰缺少它的安全權杖。"),
    "InvalidSecurityToken.Expired": ("临时访问密钥已过期。", "臨時存取金鑰已過期。"),
    "InvalidSecurityToken.Malformed": ("安全令牌的格式不对。", "安全權杖的格式不對。"),
    "InvalidSecurityToken.MismatchWithAccessKey": (
        "安全令牌属于另一个访问密钥。",
        "安全權杖屬於另一個存取金鑰。",
    ),
    "InvalidBearerToken": ("bearer token 不存在或已过期。", "bearer token 不存在或已過期。"),
    "Forbidden.RAM": (
        "没有策略允许该操作，或者有策略拒绝它。",
        "沒有策略允許該操作，或者有策略拒絕它。",
    ),
    "InvalidService.NotFound": ("服务不存在。", "服務不存在。"),
    "InvalidGroup.NotFound": ("服务组不存在。", "服務組不存在。"),
    "InvalidInstance.NotFound": ("实例（副本）不存在。", "例項（副本）不存在。"),
    "InvalidResource.NotFound": ("资源不存在。", "資源不存在。"),
    "InvalidGateway.NotFound": ("网关不存在。", "閘道器不存在。"),
    "InvalidBenchmarkTask.NotFound": ("压测任务不存在。", "壓測任務不存在。"),
    "InvalidAutoScaler.NotFound": ("该服务没有自动伸缩。", "該服務沒有自動伸縮。"),
    "InvalidCronScaler.NotFound": ("该服务没有定时伸缩。", "該服務沒有定時伸縮。"),
    "InvalidMirror.NotFound": ("该服务没有流量镜像。", "該服務沒有流量映象。"),
    "InvalidWorkspace.NotFound": (
        "工作空间不存在，而平台要求它存在（strict_ids）。",
        "工作空間不存在，而平台要求它存在（strict_ids）。",
    ),
    "InvalidQuota.NotFound": (
        "配额不存在，而平台要求它存在（strict_ids）。",
        "配額不存在，而平台要求它存在（strict_ids）。",
    ),
    "InvalidRegion.NotFound": ("地域不是本平台的地域。", "區域不是本平台的區域。"),
    "InvalidService.Conflict": (
        "服务的当前状态不允许：名称已被占用、正在删除，或同时被他人修改。",
        "服務的當前狀態不允許：名稱已被佔用、正在刪除，或同時被他人修改。",
    ),
    "InvalidService.Locked": (
        "服务已加安全锁，不允许该变更：用 UpdateServiceSafetyLock 解除。",
        "服務已加安全鎖，不允許該變更：用 UpdateServiceSafetyLock 解除。",
    ),
    "MissingParameter": ("缺少必需的参数。", "缺少必需的參數。"),
    "InvalidParameter": ("参数不合法。", "參數不合法。"),
    "UnsupportedOperation": (
        "这里不提供该操作，或不支持请求中的某个部分。",
        "這裡不提供該操作，或不支援請求中的某個部分。",
    ),
    "QuotaExceeded": ("超出配额或容量。", "超出配額或容量。"),
    "Throttling.User": (
        "失败次数过多或调用过于频繁，请稍后再试。",
        "失敗次數過多或呼叫過於頻繁，請稍後再試。",
    ),
    "InvalidAction.NotFound": ("没有操作使用该路径。", "沒有操作使用該路徑。"),
    "InvalidAction.Mismatch": (
        "x-acs-action 与路径对应的操作不一致。",
        "x-acs-action 與路徑對應的操作不一致。",
    ),
    "InvalidVersion": ("x-acs-version 不是 2021-07-01。", "x-acs-version 不是 2021-07-01。"),
    "UnsupportedHTTPMethod": ("该路径没有使用此方法的操作。", "該路徑沒有使用此方法的操作。"),
    "RequestTimeout": ("请求正文没有按时到达。", "請求正文沒有按時到達。"),
    "RequestEntityTooLarge": ("请求正文超过上限。", "請求正文超過上限。"),
    "InternalError": (
        "平台内部错误；日志中以请求 ID 记录了详情。",
        "平台內部錯誤；記錄檔中以請求 ID 記錄了詳情。",
    ),
    "ServiceUnavailable": (
        "平台的某个部分暂时没有应答，请重试。",
        "平台的某個部分暫時沒有應答，請重試。",
    ),
}


def in_chinese(code: str, english: str, language: Language) -> str:
    """The meaning of a code, and what is particular about this error in English."""
    meaning = MEANINGS.get(code)
    if meaning is None:
        return english
    said = meaning[1] if language is Language.ZH_TW else meaning[0]
    return f"{said}（{english}）" if english else said
