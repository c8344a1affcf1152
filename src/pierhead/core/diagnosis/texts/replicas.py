"""States of a replica, where nothing more is known."""

from pierhead.core.diagnosis.wording import Entry, Text, entries

ENTRIES = entries(
    Entry(
        "ReplicaPending",
        Text(
            "The replica is about to be launched.",
            ("Its record is written, its process is not there yet.",),
            ("Wait; it takes seconds.",),
        ),
        Text(
            "副本即将启动。",
            ("记录已写入，进程尚未出现。",),
            ("请等待，只需几秒。",),
        ),
        Text(
            "副本即將啟動。",
            ("記錄已寫入，程序尚未出現。",),
            ("請等待，只需幾秒。",),
        ),
    ),
    Entry(
        "NotReadyYet",
        Text(
            "The replica runs and is not ready yet.",
            (
                "The last probe said: {problem}.",
                "Its engine loads the weights, or the command does other things before it listens on $PORT.",
            ),
            (
                (
                    "Wait; it may take {deadline} s from its launch, more for larger weights.",
                    "Wait; a deadline that grows with the weights counts.",
                ),
            ),
        ),
        Text(
            "副本正在运行，尚未就绪。",
            (
                "最后一次探测的结果：{problem}。",
                "引擎正在加载权重，或者命令在监听 $PORT 之前还有其他工作。",
            ),
            (
                (
                    "请等待；从启动起最多允许 {deadline} 秒，权重越大期限越长。",
                    "请等待；期限随权重大小而增加。",
                ),
            ),
        ),
        Text(
            "副本正在執行，尚未就緒。",
            (
                "最後一次探測的結果：{problem}。",
                "引擎正在載入權重，或者命令在監聽 $PORT 之前還有其他工作。",
            ),
            (
                (
                    "請等待；從啟動起最多允許 {deadline} 秒，權重越大期限越長。",
                    "請等待；期限隨權重大小而增加。",
                ),
            ),
        ),
    ),
    Entry(
        "ProbeFailed",
        Text(
            "The replica was ready and does not answer its probe any more.",
            (
                "The last probe said: {problem}.",
                "The program hangs, is overloaded, or lost something that it needs.",
            ),
            (
                "It gets no requests until it answers again; read its log, and restart it if it stays.",
            ),
        ),
        Text(
            "副本曾经就绪，现在不再应答探测。",
            (
                "最后一次探测的结果：{problem}。",
                "程序卡住、过载，或失去了所需的资源。",
            ),
            ("恢复应答前它不会收到请求；查看日志，如果一直如此请重启它。",),
        ),
        Text(
            "副本曾經就緒，現在不再應答探測。",
            (
                "最後一次探測的結果：{problem}。",
                "程式卡住、過載，或失去了所需的資源。",
            ),
            ("恢復應答前它不會收到請求；檢視記錄檔，如果一直如此請重新啟動它。",),
        ),
    ),
    Entry(
        "ReplicaEjected",
        Text(
            "The replica answers its probe and fails at requests: it gets none for now.",
            ("What the gateway met: {problem}.",),
            (
                "It gets one request as a trial after 2 to 30 s, and all again once it answers that; "
                "read its log, and restart it if it stays.",
            ),
        ),
        Text(
            "副本能应答探测，但处理请求失败：暂时不会收到请求。",
            ("网关遇到的情况：{problem}。",),
            (
                "2 至 30 秒后它会收到一个试探请求，正常应答后恢复全部请求；查看日志，如果一直如此请重启它。",
            ),
        ),
        Text(
            "副本能應答探測，但處理請求失敗：暫時不會收到請求。",
            ("閘道遇到的情況：{problem}。",),
            (
                "2 至 30 秒後它會收到一個試探請求，正常應答後恢復全部請求；檢視記錄檔，如果一直如此請重新啟動它。",
            ),
        ),
    ),
    Entry(
        "Paused",
        Text(
            "It ended with the platform or the machine.",
            ("The platform was stopped, or the machine restarted.",),
            ("Nothing needs to be done: it runs again by itself.",),
        ),
        Text(
            "它随平台或机器一起结束。",
            ("平台被停止，或机器重启过。",),
            ("无需操作：它会自动再次运行。",),
        ),
        Text(
            "它隨平台或機器一起結束。",
            ("平台被停止，或機器重新啟動過。",),
            ("無需操作：它會自動再次執行。",),
        ),
    ),
    Entry(
        "ReplicaDraining",
        Text(
            "The replica gets no new requests and ends those it has.",
            ("It is replaced, or no longer wanted.",),
            ("Wait; the grace of its template bounds it.",),
        ),
        Text(
            "副本不再接收新请求，正在完成已有请求。",
            ("它正被替换，或不再需要。",),
            ("请等待；时间以模板的宽限期为限。",),
        ),
        Text(
            "副本不再接收新請求，正在完成已有請求。",
            ("它正被替換，或不再需要。",),
            ("請等待；時間以模板的寬限期為限。",),
        ),
    ),
    Entry(
        "ReplicaStopping",
        Text(
            "The replica was told to end.",
            ("It is replaced, or no longer wanted.",),
            ("Wait; what does not end within the grace is ended.",),
        ),
        Text(
            "副本已被要求结束。",
            ("它正被替换，或不再需要。",),
            ("请等待；宽限期内未结束的会被终止。",),
        ),
        Text(
            "副本已被要求結束。",
            ("它正被替換，或不再需要。",),
            ("請等待；寬限期內未結束的會被終止。",),
        ),
    ),
)
