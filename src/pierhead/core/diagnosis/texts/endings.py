"""Statuses of a service that ends."""

from pierhead.core.diagnosis.wording import Entry, Text, entries

ENTRIES = entries(
    Entry(
        "Stopping",
        Text(
            ("{left} replica(s) end their requests and stop.", "The service is being stopped."),
            ("Replicas get the time of their grace to end what they have.",),
            ("Wait; what does not end within the grace is ended.",),
        ),
        Text(
            ("{left} 个副本正在完成请求并停止。", "服务正在停止。"),
            ("副本在宽限期内完成手上的请求。",),
            ("请等待；宽限期内未结束的会被终止。",),
        ),
        Text(
            ("{left} 個副本正在完成請求並停止。", "服務正在停止。"),
            ("副本在寬限期內完成手上的請求。",),
            ("請等待；寬限期內未結束的會被終止。",),
        ),
    ),
    Entry(
        "Stopped",
        Text(
            "The service is stopped.",
            ("Somebody stopped it; its configuration, name and endpoint are kept.",),
            ("Start the service to serve again (`pierhead services start`).",),
        ),
        Text(
            "服务已停止。",
            ("有人停止了它；配置、名称和访问地址都保留。",),
            ("启动服务即可再次提供服务（`pierhead services start`）。",),
        ),
        Text(
            "服務已停止。",
            ("有人停止了它；設定、名稱和存取位址都保留。",),
            ("啟動服務即可再次提供服務（`pierhead services start`）。",),
        ),
    ),
    Entry(
        "Deleting",
        Text(
            ("{left} replica(s) are still to go.", "The service is being removed."),
            ("Its replicas end their requests and leave; its record goes last.",),
            ("Wait; what does not end within the grace is ended.",),
        ),
        Text(
            ("还有 {left} 个副本需要移除。", "服务正在删除。"),
            ("副本完成请求后退出；服务记录最后删除。",),
            ("请等待；宽限期内未结束的会被终止。",),
        ),
        Text(
            ("還有 {left} 個副本需要移除。", "服務正在刪除。"),
            ("副本完成請求後退出；服務記錄最後刪除。",),
            ("請等待；寬限期內未結束的會被終止。",),
        ),
    ),
    Entry(
        "DeleteFailed",
        Text(
            "The service could not be removed yet.",
            (
                "{problem}.",
                "Something of it does not go away.",
            ),
            ("It is tried again by itself; mend what is named.",),
        ),
        Text(
            "服务尚未能删除。",
            (
                "系统报告：{problem}。",
                "它的某些部分无法移除。",
            ),
            ("会自动重试；请修复上面提到的问题。",),
        ),
        Text(
            "服務尚未能刪除。",
            (
                "系統回報：{problem}。",
                "它的某些部分無法移除。",
            ),
            ("會自動重試；請修復上面提到的問題。",),
        ),
    ),
)
