"""Programs that run, and are not ready."""

from pierhead.core.diagnosis.wording import Entry, Text, entries

ENTRIES = entries(
    Entry(
        "NeverListened",
        Text(
            (
                "Nothing listened on port {port} within {seconds} s.",
                "Nothing listened on the port that it was given.",
            ),
            (
                (
                    "The command listens on {found} instead of the port in PORT.",
                    "The command ignores PORT, listens on another address, or needs longer to start.",
                ),
            ),
            ("Let the command listen on $PORT, declare its own port, or give it more time.",),
        ),
        Text(
            ("{seconds} 秒内没有进程监听端口 {port}。", "没有进程监听分配给它的端口。"),
            (
                (
                    "命令监听的是 {found}，而不是 PORT 指定的端口。",
                    "命令忽略了 PORT、监听其他地址，或需要更长的启动时间。",
                ),
            ),
            ("让命令监听 $PORT，声明它自己的端口，或给它更多时间。",),
        ),
        Text(
            ("{seconds} 秒內沒有程序監聽連接埠 {port}。", "沒有程序監聽分配給它的連接埠。"),
            (
                (
                    "命令監聽的是 {found}，而不是 PORT 指定的連接埠。",
                    "命令忽略了 PORT、監聽其他位址，或需要更長的啟動時間。",
                ),
            ),
            ("讓命令監聽 $PORT，宣告它自己的連接埠，或給它更多時間。",),
        ),
    ),
    Entry(
        "StartDeadlineExceeded",
        Text(
            ("It was not ready within {seconds} s.", "It was not ready in time."),
            (
                "The last probe said: {problem}.",
                "It loads longer than it may: large weights, a slow disk, or too few cores.",
            ),
            (
                "Give it more time (the template's start deadline), or mend what its probe asks for.",
            ),
        ),
        Text(
            ("它在 {seconds} 秒内没有就绪。", "它没有按时就绪。"),
            (
                "最后一次探测的结果：{problem}。",
                "加载时间超过允许值：权重太大、磁盘太慢或 CPU 核数太少。",
            ),
            ("给它更多时间（模板的启动期限），或修正探测所检查的内容。",),
        ),
        Text(
            ("它在 {seconds} 秒內沒有就緒。", "它沒有按時就緒。"),
            (
                "最後一次探測的結果：{problem}。",
                "載入時間超過允許值：權重太大、磁碟太慢或 CPU 核數太少。",
            ),
            ("給它更多時間（模板的啟動期限），或修正探測所檢查的內容。",),
        ),
    ),
    Entry(
        "ProbePathWrong",
        Text(
            (
                "It runs, but its probe asks for something that it does not have: {problem}.",
                "It runs, but its probe asks for something that it does not have.",
            ),
            ("The path of the readiness probe is not one that the program serves.",),
            (
                "Correct the path of the probe (readyz, readiness_check), or leave it out: then a connection to the port is enough.",
            ),
        ),
        Text(
            (
                "程序在运行，但探测请求的内容不存在：{problem}。",
                "程序在运行，但探测请求的内容不存在。",
            ),
            ("程序并不提供就绪探测所用的路径。",),
            ("修正探测路径（readyz、readiness_check），或者不设置：那样只要端口能连接即可。",),
        ),
        Text(
            (
                "程式在執行，但探測請求的內容不存在：{problem}。",
                "程式在執行，但探測請求的內容不存在。",
            ),
            ("程式並不提供就緒探測所用的路徑。",),
            ("修正探測路徑（readyz、readiness_check），或者不設定：那樣只要連接埠能連線即可。",),
        ),
    ),
    Entry(
        "ProbeDenied",
        Text(
            ("It runs, but refuses its probe: {problem}.", "It runs, but refuses its probe."),
            ("The program wants a key on the path that the probe asks for.",),
            ("Let the probe ask for a path that needs none.",),
        ),
        Text(
            ("程序在运行，但拒绝了探测：{problem}。", "程序在运行，但拒绝了探测。"),
            ("探测所用的路径要求提供密钥。",),
            ("让探测使用不需要密钥的路径。",),
        ),
        Text(
            ("程式在執行，但拒絕了探測：{problem}。", "程式在執行，但拒絕了探測。"),
            ("探測所用的路徑要求提供金鑰。",),
            ("讓探測使用不需要金鑰的路徑。",),
        ),
    ),
    Entry(
        "ProbeCommandFailed",
        Text(
            (
                "It runs, but the command of its probe fails: {problem}.",
                "It runs, but the command of its probe fails.",
            ),
            ("The probe's command does not exist beside the replica, or ends with an error.",),
            ("Run the probe's command by hand in the replica's folder, and correct it.",),
        ),
        Text(
            ("程序在运行，但探测命令失败：{problem}。", "程序在运行，但探测命令失败。"),
            ("副本旁没有该探测命令，或者它以错误结束。",),
            ("在副本目录中手动运行探测命令并修正它。",),
        ),
        Text(
            ("程式在執行，但探測命令失敗：{problem}。", "程式在執行，但探測命令失敗。"),
            ("副本旁沒有該探測命令，或者它以錯誤結束。",),
            ("在副本資料夾中手動執行探測命令並修正它。",),
        ),
    ),
    Entry(
        "WrongModelServed",
        Text(
            (
                "The engine answers, but not with the model that was asked for: {problem}.",
                "The engine answers, but not with the model that was asked for.",
            ),
            ("Another program answers on its port, or the command loads another model.",),
            ("Let the command serve the mounted weights under the service's name.",),
        ),
        Text(
            ("引擎有应答，但不是所要的模型：{problem}。", "引擎有应答，但不是所要的模型。"),
            ("端口上应答的是别的程序，或者命令加载了别的模型。",),
            ("让命令以服务名称提供已挂载的权重。",),
        ),
        Text(
            ("引擎有應答，但不是所要的模型：{problem}。", "引擎有應答，但不是所要的模型。"),
            ("連接埠上應答的是別的程式，或者命令載入了別的模型。",),
            ("讓命令以服務名稱提供已掛載的權重。",),
        ),
    ),
    Entry(
        "LivenessFailed",
        Text(
            (
                "It was ended, because its liveness probe failed {misses} times.",
                "It was ended, because its liveness probe failed.",
            ),
            (
                "The last probe said: {problem}.",
                "The program hangs, or its probe asks for the wrong thing.",
            ),
            ("Read what it wrote before; mend the probe, or give it more time per try.",),
        ),
        Text(
            ("存活探测连续失败 {misses} 次，因此被终止。", "存活探测失败，因此被终止。"),
            (
                "最后一次探测的结果：{problem}。",
                "程序卡住，或者探测的内容不对。",
            ),
            ("查看它之前的输出；修正探测，或延长每次探测的时间。",),
        ),
        Text(
            ("存活探測連續失敗 {misses} 次，因此被終止。", "存活探測失敗，因此被終止。"),
            (
                "最後一次探測的結果：{problem}。",
                "程式卡住，或者探測的內容不對。",
            ),
            ("檢視它之前的輸出；修正探測，或延長每次探測的時間。",),
        ),
    ),
)
