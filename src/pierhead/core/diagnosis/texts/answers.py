"""Programs that run and give their probe a wrong answer, or none; commands whose interpreter is not there."""

from pierhead.core.diagnosis.wording import Entry, Text, entries

ENTRIES = entries(
    Entry(
        "ListensElsewhere",
        Text(
            (
                "Nothing listens on the port that it was given; it listens on {found}.",
                "It listens elsewhere than where it was told to.",
            ),
            (
                (
                    "It listens on the port, but not on the address {address}: often on IPv6 or on another network card alone.",
                    "The command names a port or an address of its own; or it still starts, and this is for its own use.",
                ),
                "The last probe said: {problem}.",
            ),
            (
                "Let the command listen on $HOST and $PORT, or declare its own port (containers[].port).",
            ),
        ),
        Text(
            ("没有进程监听分配的端口；它监听的是 {found}。", "它监听的不是指定的位置。"),
            (
                (
                    "它监听该端口，但不在地址 {address} 上：通常只在 IPv6 或另一张网卡上监听。",
                    "命令自己指定了端口或地址；或者它仍在启动，该端口供自身使用。",
                ),
                "最后一次探测的结果：{problem}。",
            ),
            ("让命令监听 $HOST 和 $PORT，或声明它自己的端口（containers[].port）。",),
        ),
        Text(
            ("沒有程序監聽分配的連接埠；它監聽的是 {found}。", "它監聽的不是指定的位置。"),
            (
                (
                    "它監聽該連接埠，但不在位址 {address} 上：通常只在 IPv6 或另一張網路卡上監聽。",
                    "命令自己指定了連接埠或位址；或者它仍在啟動，該連接埠供自身使用。",
                ),
                "最後一次探測的結果：{problem}。",
            ),
            ("讓命令監聽 $HOST 和 $PORT，或宣告它自己的連接埠（containers[].port）。",),
        ),
    ),
    Entry(
        "ProbeFindsNoHttp",
        Text(
            "It runs, but what answers its probe does not speak plain HTTP/1.1.",
            (
                "The last probe said: {problem}.",
                "The server speaks TLS, HTTP/2 or gRPC only, or another protocol, on that port.",
            ),
            (
                "Let it serve plain HTTP there (TLS ends at the gateway), or probe the port alone (tcp_socket).",
            ),
        ),
        Text(
            "程序在运行，但应答探测的不是普通的 HTTP/1.1。",
            (
                "最后一次探测的结果：{problem}。",
                "服务器在该端口只使用 TLS、HTTP/2、gRPC 或其他协议。",
            ),
            ("让它在该端口提供普通 HTTP（TLS 由网关终止），或只探测端口（tcp_socket）。",),
        ),
        Text(
            "程式在執行，但回應探測的不是普通的 HTTP/1.1。",
            (
                "最後一次探測的結果：{problem}。",
                "伺服器在該連接埠只使用 TLS、HTTP/2、gRPC 或其他協定。",
            ),
            ("讓它在該連接埠提供普通 HTTP（TLS 由閘道終止），或只探測連接埠（tcp_socket）。",),
        ),
    ),
    Entry(
        "ProbeUnanswered",
        Text(
            "It accepts connections, but does not answer its probe in time.",
            (
                "The last probe said: {problem}.",
                "It still loads, hangs, or answers more slowly than the probe waits.",
            ),
            ("Look at its log; if it is only slow, raise timeout_seconds of the readiness check.",),
        ),
        Text(
            "它接受连接，但没有及时应答探测。",
            (
                "最后一次探测的结果：{problem}。",
                "它仍在加载、卡住，或应答比探测的等待时间更慢。",
            ),
            ("查看日志；如果只是慢，请增大就绪检查的 timeout_seconds。",),
        ),
        Text(
            "它接受連線，但沒有及時回應探測。",
            (
                "最後一次探測的結果：{problem}。",
                "它仍在載入、卡住，或回應比探測的等待時間更慢。",
            ),
            ("檢視記錄檔；如果只是慢，請增大就緒檢查的 timeout_seconds。",),
        ),
    ),
    Entry(
        "ProbeMeetsError",
        Text(
            (
                "It runs, but answers its probe with an error: {problem}.",
                "It runs, but answers its probe with an error.",
            ),
            ("The program fails while it handles the probe's path.",),
            (
                "Read its log for the error of that request, or let the probe ask for a path that does less.",
            ),
        ),
        Text(
            ("程序在运行，但对探测返回错误：{problem}。", "程序在运行，但对探测返回错误。"),
            ("程序在处理探测路径时出错。",),
            ("在日志中查找该请求的错误，或让探测使用更简单的路径。",),
        ),
        Text(
            ("程式在執行，但對探測傳回錯誤：{problem}。", "程式在執行，但對探測傳回錯誤。"),
            ("程式在處理探測路徑時出錯。",),
            ("在記錄檔中尋找該請求的錯誤，或讓探測使用更簡單的路徑。",),
        ),
    ),
    Entry(
        "InterpreterMissing",
        Text(
            (
                "The script [{command}] names an interpreter in its first line that does not exist: {interpreter}.",
                "The script names an interpreter in its first line that does not exist.",
            ),
            ("The interpreter is not installed on this machine, or lies elsewhere.",),
            (
                "Correct the first line (such as `#!/usr/bin/env python3`), or install the interpreter.",
            ),
        ),
        Text(
            (
                "脚本 [{command}] 首行指定的解释器不存在：{interpreter}。",
                "脚本首行指定的解释器不存在。",
            ),
            ("本机没有安装该解释器，或者它在别处。",),
            ("修正首行（例如 `#!/usr/bin/env python3`），或安装该解释器。",),
        ),
        Text(
            (
                "指令碼 [{command}] 首行指定的直譯器不存在：{interpreter}。",
                "指令碼首行指定的直譯器不存在。",
            ),
            ("本機沒有安裝該直譯器，或者它在別處。",),
            ("修正首行（例如 `#!/usr/bin/env python3`），或安裝該直譯器。",),
        ),
    ),
    Entry(
        "WindowsLineEnds",
        Text(
            (
                "The script [{command}] has Windows line ends, so that its first line names no interpreter.",
                "The script has Windows line ends, so that its first line names no interpreter.",
            ),
            ("It was written or checked out on Windows: each line ends with a carriage return.",),
            (
                "Convert it (`dos2unix`, or `sed -i 's/\\r$//'`), and keep Git from changing line ends.",
            ),
        ),
        Text(
            (
                "脚本 [{command}] 使用 Windows 换行符，首行因此无法指定解释器。",
                "脚本使用 Windows 换行符，首行因此无法指定解释器。",
            ),
            ("它是在 Windows 上编写或检出的：每行末尾都有回车符。",),
            ("转换换行符（`dos2unix` 或 `sed -i 's/\\r$//'`），并避免 Git 改动换行符。",),
        ),
        Text(
            (
                "指令碼 [{command}] 使用 Windows 換行字元，首行因此無法指定直譯器。",
                "指令碼使用 Windows 換行字元，首行因此無法指定直譯器。",
            ),
            ("它是在 Windows 上編寫或簽出的：每行末尾都有歸位字元。",),
            ("轉換換行字元（`dos2unix` 或 `sed -i 's/\\r$//'`），並避免 Git 改動換行字元。",),
        ),
    ),
)
