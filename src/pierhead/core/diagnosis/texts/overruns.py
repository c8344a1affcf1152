"""States that last longer than they should."""

from pierhead.core.diagnosis.wording import Entry, Text, entries

ENTRIES = entries(
    Entry(
        "NotTakenUp",
        Text(
            (
                "The change was accepted {seconds} s ago, and the platform has not taken it up.",
                "The platform has not taken up the change.",
            ),
            ("The hub is overloaded, or its database or runtime does not answer.",),
            ("Read the hub's log and `pierhead doctor`; restarting the hub touches no replica.",),
        ),
        Text(
            ("变更在 {seconds} 秒前已被接受，平台仍未处理。", "平台尚未处理该变更。"),
            ("控制中心过载，或它的数据库、运行时没有应答。",),
            ("查看控制中心的日志和 `pierhead doctor`；重启控制中心不影响任何副本。",),
        ),
        Text(
            ("變更在 {seconds} 秒前已被接受，平台仍未處理。", "平台尚未處理該變更。"),
            ("控制中心過載，或它的資料庫、執行環境沒有應答。",),
            ("檢視控制中心的記錄檔和 `pierhead doctor`；重新啟動控制中心不影響任何副本。",),
        ),
    ),
    Entry(
        "StopOverdue",
        Text(
            (
                "{left} replica(s) should have stopped {seconds} s ago.",
                "Replicas should have stopped by now.",
            ),
            (
                "The kernel cannot end a process, often because it waits for a disk or a driver that hangs.",
            ),
            (
                "Look at the processes (state D in `ps`) and at the mounts and devices that they use.",
            ),
        ),
        Text(
            ("{left} 个副本应在 {seconds} 秒前停止。", "副本本应已经停止。"),
            ("内核无法结束某个进程，通常是因为它在等待卡住的磁盘或驱动。",),
            ("检查这些进程（`ps` 中状态为 D）以及它们使用的挂载和设备。",),
        ),
        Text(
            ("{left} 個副本應在 {seconds} 秒前停止。", "副本本應已經停止。"),
            ("核心無法結束某個程序，通常是因為它在等待卡住的磁碟或驅動。",),
            ("檢查這些程序（`ps` 中狀態為 D）以及它們使用的掛載和裝置。",),
        ),
    ),
    Entry(
        "DrainOverdue",
        Text(
            (
                "The replica still had requests when its {seconds} s to end them were over; they were cut short.",
                "The replica still had requests when its time to end them was over; they were cut short.",
            ),
            (
                "A request or a stream takes longer than the grace, or no gateway could say that all had ended.",
            ),
            (
                "Give the service a longer grace (`runtime.termination_grace_period`) than its longest request takes.",
            ),
        ),
        Text(
            (
                "副本在 {seconds} 秒的宽限期结束时仍有未完成的请求，这些请求已被中断。",
                "副本在宽限期结束时仍有未完成的请求，这些请求已被中断。",
            ),
            ("某个请求或流式输出的时间超过宽限期，或者没有网关能确认请求已全部完成。",),
            ("把服务的宽限期（`runtime.termination_grace_period`）设得比最长的请求更长。",),
        ),
        Text(
            (
                "副本在 {seconds} 秒的寬限期結束時仍有未完成的請求，這些請求已被中斷。",
                "副本在寬限期結束時仍有未完成的請求，這些請求已被中斷。",
            ),
            ("某個請求或串流輸出的時間超過寬限期，或者沒有閘道能確認請求已全部完成。",),
            ("把服務的寬限期（`runtime.termination_grace_period`）設得比最長的請求更長。",),
        ),
    ),
    Entry(
        "UnreadyOverdue",
        Text(
            (
                "A replica has not answered its probe for {seconds} s, longer than a start may take.",
                "A replica has not answered its probe for longer than a start may take.",
            ),
            ("The program hangs, and nothing tells the platform that it may be ended.",),
            (
                "Restart the service (`pierhead services restart`); give it a liveness probe, and this happens by itself.",
            ),
        ),
        Text(
            (
                "某个副本已有 {seconds} 秒没有应答探测，超过了启动允许的时间。",
                "某个副本没有应答探测的时间已超过启动允许的时间。",
            ),
            ("程序卡住，而平台没有依据可以终止它。",),
            ("重启服务（`pierhead services restart`）；为它设置存活探针后会自动重启。",),
        ),
        Text(
            (
                "某個副本已有 {seconds} 秒沒有應答探測，超過了啟動允許的時間。",
                "某個副本沒有應答探測的時間已超過啟動允許的時間。",
            ),
            ("程式卡住，而平台沒有依據可以終止它。",),
            ("重新啟動服務（`pierhead services restart`）；為它設定存活探針後會自動重新啟動。",),
        ),
    ),
    Entry(
        "DeleteOverdue",
        Text(
            (
                "The service should have been gone {seconds} s ago; {left} replica(s) are left.",
                "The service should have been gone by now.",
            ),
            ("The kernel cannot end a process, or files of a replica cannot be removed.",),
            (
                "Look at the processes (state D in `ps`) and at the disk of the data folder; it is tried again by itself.",
            ),
        ),
        Text(
            ("服务应在 {seconds} 秒前删除完毕；还剩 {left} 个副本。", "服务本应已经删除完毕。"),
            ("内核无法结束某个进程，或副本的文件无法删除。",),
            ("检查这些进程（`ps` 中状态为 D）和数据目录所在的磁盘；会自动重试。",),
        ),
        Text(
            ("服務應在 {seconds} 秒前刪除完畢；還剩 {left} 個副本。", "服務本應已經刪除完畢。"),
            ("核心無法結束某個程序，或副本的檔案無法刪除。",),
            ("檢查這些程序（`ps` 中狀態為 D）和平台資料夾所在的磁碟；會自動重試。",),
        ),
    ),
    Entry(
        "FetchOverdue",
        Text(
            (
                "The weights take {seconds} s longer than they should.",
                "The weights take longer than they should.",
            ),
            (
                (
                    "The store or the way to it is slow: {progress}.",
                    "The store or the way to it is slow.",
                ),
            ),
            (
                "Look at the rate in the message; fetch them from a nearer store, or put them on this machine by hand.",
            ),
        ),
        Text(
            ("获取权重比预期多用了 {seconds} 秒。", "获取权重的时间超过预期。"),
            (("存储或网络太慢：{progress}。", "存储或网络太慢。"),),
            ("查看消息中的速率；从更近的存储获取，或手动放到本机。",),
        ),
        Text(
            ("取得權重比預期多用了 {seconds} 秒。", "取得權重的時間超過預期。"),
            (("儲存服務或網路太慢：{progress}。", "儲存服務或網路太慢。"),),
            ("檢視訊息中的速率；從更近的儲存取得，或手動放到本機。",),
        ),
    ),
    Entry(
        "ConversionOverdue",
        Text(
            (
                "The conversion takes {seconds} s longer than it should.",
                "The conversion takes longer than it should.",
            ),
            ("The disk is slow, or the cores have other work.",),
            ("Mount weights that lie in the spec's precision already.",),
        ),
        Text(
            ("转换比预期多用了 {seconds} 秒。", "转换的时间超过预期。"),
            ("磁盘太慢，或 CPU 正忙于其他工作。",),
            ("挂载已经是规格所需精度的权重。",),
        ),
        Text(
            ("轉換比預期多用了 {seconds} 秒。", "轉換的時間超過預期。"),
            ("磁碟太慢，或 CPU 正忙於其他工作。",),
            ("掛載已經是規格所需精度的權重。",),
        ),
    ),
    Entry(
        "EnvironmentOverdue",
        Text(
            (
                "The environment takes {seconds} s longer than it should.",
                "The environment takes longer than it should.",
            ),
            ("The package index is slow, or packages are built from source.",),
            ("Name packages that come as wheels, or a nearer index.",),
        ),
        Text(
            ("构建环境比预期多用了 {seconds} 秒。", "构建环境的时间超过预期。"),
            ("软件源太慢，或软件包需要从源码编译。",),
            ("使用提供 wheel 的软件包，或更近的软件源。",),
        ),
        Text(
            ("建置環境比預期多用了 {seconds} 秒。", "建置環境的時間超過預期。"),
            ("套件來源太慢，或套件需要從原始碼編譯。",),
            ("使用提供 wheel 的套件，或更近的套件來源。",),
        ),
    ),
    Entry(
        "HeadersOverdue",
        Text(
            (
                "Reading the headers takes {seconds} s longer than it should.",
                "Reading the headers takes longer than it should.",
            ),
            ("The store or the file system of the weights hangs.",),
            ("Look at the store or the mount; it goes on by itself once it answers.",),
        ),
        Text(
            ("读取文件头比预期多用了 {seconds} 秒。", "读取文件头的时间超过预期。"),
            ("存放权重的存储或文件系统卡住。",),
            ("检查该存储或挂载；恢复应答后会自动继续。",),
        ),
        Text(
            ("讀取檔案頭比預期多用了 {seconds} 秒。", "讀取檔案頭的時間超過預期。"),
            ("存放權重的儲存服務或檔案系統卡住。",),
            ("檢查該儲存服務或掛載；恢復應答後會自動繼續。",),
        ),
    ),
    Entry(
        "WaitOverdue",
        Text(
            (
                "It has waited {seconds} s longer than usual for what others have.",
                "It has waited long for what others have.",
            ),
            ("Nobody lets go of what it needs.",),
            (
                "Stop or scale down one of those that hold it, or ask for less; it never starts otherwise.",
            ),
        ),
        Text(
            ("等待他人占用的资源已超出通常时间 {seconds} 秒。", "等待他人占用的资源已经很久。"),
            ("没有服务释放它所需的资源。",),
            ("停止或缩减占用资源的某个服务，或减少要求；否则它无法启动。",),
        ),
        Text(
            ("等待他人佔用的資源已超出通常時間 {seconds} 秒。", "等待他人佔用的資源已經很久。"),
            ("沒有服務釋放它所需的資源。",),
            ("停止或縮減佔用資源的某個服務，或減少要求；否則它無法啟動。",),
        ),
    ),
    Entry(
        "RetryOverdue",
        Text(
            (
                "What holds it up has lasted {seconds} s longer than it should.",
                "What holds it up lasts longer than it should.",
            ),
            ("Trying again does not help any more; somebody has to mend what is named first.",),
            (
                "Follow the advice of the reason that is named first; stop the service if it is not needed.",
            ),
        ),
        Text(
            ("阻塞它的问题比预期多持续了 {seconds} 秒。", "阻塞它的问题持续时间超过预期。"),
            ("重试已无济于事，需要有人修复最前面列出的问题。",),
            ("按照最前面原因的建议处理；如果不需要该服务，请停止它。",),
        ),
        Text(
            ("阻塞它的問題比預期多持續了 {seconds} 秒。", "阻塞它的問題持續時間超過預期。"),
            ("重試已無濟於事，需要有人修復最前面列出的問題。",),
            ("按照最前面原因的建議處理；如果不需要該服務，請停止它。",),
        ),
    ),
)
