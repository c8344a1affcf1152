"""How a process ended, as its exit code or signal alone tells."""

from pierhead.core.diagnosis.wording import Entry, Text, entries

ENTRIES = entries(
    Entry(
        "Crashed",
        Text(
            "The process ended by itself, and nothing known explains it.",
            (
                "The rules know neither its exit code nor what it wrote last; the evidence is all there is.",
            ),
            (
                "Read its last lines below and its log (`pierhead logs --previous`).",
                "Run the same command by hand on this machine.",
            ),
        ),
        Text(
            "进程自行退出，已知规则无法解释原因。",
            ("现有规则不认识它的退出码，也不认识它最后的输出；以下证据就是全部已知信息。",),
            (
                "查看下面的最后几行输出和它的日志（`pierhead logs --previous`）。",
                "在本机手动运行同一条命令。",
            ),
        ),
        Text(
            "程序自行退出，已知規則無法解釋原因。",
            ("現有規則不認識它的退出碼，也不認識它最後的輸出；以下證據就是全部已知資訊。",),
            (
                "檢視下面的最後幾行輸出和它的記錄檔（`pierhead logs --previous`）。",
                "在本機手動執行同一條命令。",
            ),
        ),
    ),
    Entry(
        "Exited",
        Text(
            "The command ended by itself without an error, but a server must keep running.",
            ("The command does its work and returns, or it moves to the background.",),
            ("Start the server in the foreground, as the last thing that the command does.",),
        ),
        Text(
            "命令正常结束了，但服务进程必须一直运行。",
            ("命令完成工作后就返回，或者转到了后台运行。",),
            ("让服务在前台运行，并且放在命令的最后一步。",),
        ),
        Text(
            "命令正常結束了，但服務程序必須一直執行。",
            ("命令完成工作後就結束，或者轉到了背景執行。",),
            ("讓服務在前景執行，並且放在命令的最後一步。",),
        ),
    ),
    Entry(
        "Killed",
        Text(
            "Somebody, or the kernel for want of memory, killed the process.",
            (
                "The kernel ends the largest process when the whole machine runs out of memory; its log (dmesg) says so.",
                "Else a person or a program sent SIGKILL.",
            ),
            (
                "Look for `Out of memory` in the kernel's log; if it is there, give the machine more memory or the replica a smaller limit, context or model.",
            ),
        ),
        Text(
            "进程被强制终止：可能是人为，也可能是内核因内存不足而终止。",
            (
                "整机内存耗尽时内核会终止占用最大的进程；内核日志（dmesg）会有记录。",
                "否则就是有人或某个程序发送了 SIGKILL。",
            ),
            (
                "在内核日志中查找 `Out of memory`；如果存在，请增加机器内存，或减小副本的上限、上下文或模型。",
            ),
        ),
        Text(
            "程序被強制終止：可能是人為，也可能是核心因記憶體不足而終止。",
            (
                "整機記憶體耗盡時核心會終止佔用最大的程序；核心記錄檔（dmesg）會有記錄。",
                "否則就是有人或某個程式傳送了 SIGKILL。",
            ),
            (
                "在核心記錄檔中尋找 `Out of memory`；如果存在，請增加機器記憶體，或減小副本的上限、上下文或模型。",
            ),
        ),
    ),
    Entry(
        "Terminated",
        Text(
            "Somebody outside the platform told the process to end.",
            (
                "A signal that the platform did not send asked it to end: an operator, a shutdown, another supervisor.",
            ),
            (
                "It runs again by itself; end replicas with `pierhead services stop` or `scale` instead.",
            ),
        ),
        Text(
            "平台之外的某个程序或人员让进程结束。",
            ("收到了不是平台发送的结束信号：可能来自运维人员、关机或其他管理程序。",),
            ("它会自动再次运行；要结束副本请使用 `pierhead services stop` 或 `scale`。",),
        ),
        Text(
            "平台之外的某個程式或人員讓程序結束。",
            ("收到了不是平台傳送的結束訊號：可能來自維運人員、關機或其他管理程式。",),
            ("它會自動再次執行；要結束副本請使用 `pierhead services stop` 或 `scale`。",),
        ),
    ),
    Entry(
        "IllegalInstruction",
        Text(
            "The program uses instructions that this CPU lacks.",
            ("The engine or one of its libraries was built for a newer CPU (AVX2, AVX-512, SVE).",),
            ("Install a build for this machine.",),
        ),
        Text(
            "程序使用了本机 CPU 不支持的指令。",
            ("引擎或它的某个库是为更新的 CPU（AVX2、AVX-512、SVE）编译的。",),
            ("安装适合本机的版本。",),
        ),
        Text(
            "程式使用了本機 CPU 不支援的指令。",
            ("引擎或它的某個程式庫是為更新的 CPU（AVX2、AVX-512、SVE）編譯的。",),
            ("安裝適合本機的版本。",),
        ),
    ),
    Entry(
        "Aborted",
        Text(
            "The program aborted itself.",
            (
                (
                    "A check inside it failed; its last lines name the check: {log_line}.",
                    "A check inside it failed; its last lines name the check.",
                ),
            ),
            ("See the last lines of its log; if they blame the model file, fetch that again.",),
        ),
        Text(
            "程序主动中止。",
            (
                (
                    "程序内部的检查失败，最后的输出指出了检查项：{log_line}。",
                    "程序内部的检查失败，最后的输出指出了检查项。",
                ),
            ),
            ("查看日志的最后几行；如果指向模型文件，请重新获取。",),
        ),
        Text(
            "程式主動中止。",
            (
                (
                    "程式內部的檢查失敗，最後的輸出指出了檢查項：{log_line}。",
                    "程式內部的檢查失敗，最後的輸出指出了檢查項。",
                ),
            ),
            ("檢視記錄檔的最後幾行；如果指向模型檔案，請重新取得。",),
        ),
    ),
    Entry(
        "SegmentationFault",
        Text(
            "The program crashed (SIGSEGV).",
            ("This is a fault in the engine or a damaged model file.",),
            (
                "Try another version of the engine; check the model file's digest (`pierhead cache verify`).",
            ),
        ),
        Text(
            "程序崩溃（SIGSEGV）。",
            ("这是引擎的缺陷，或者模型文件已损坏。",),
            ("尝试引擎的其他版本；校验模型文件（`pierhead cache verify`）。",),
        ),
        Text(
            "程式當機（SIGSEGV）。",
            ("這是引擎的缺陷，或者模型檔案已損壞。",),
            ("嘗試引擎的其他版本；驗證模型檔案（`pierhead cache verify`）。",),
        ),
    ),
    Entry(
        "BusError",
        Text(
            "The program read memory that has no content any more (SIGBUS).",
            ("A mapped file became shorter or its disk failed, or /dev/shm is full.",),
            (
                "Check that nobody writes to the weights, the health of their disk, and the room in /dev/shm.",
            ),
        ),
        Text(
            "程序读取的内存已没有对应内容（SIGBUS）。",
            ("被映射的文件变短了、磁盘发生故障，或者 /dev/shm 已满。",),
            ("确认没有人改写权重文件，检查磁盘健康状况和 /dev/shm 的剩余空间。",),
        ),
        Text(
            "程式讀取的記憶體已沒有對應內容（SIGBUS）。",
            ("被對映的檔案變短了、磁碟發生故障，或者 /dev/shm 已滿。",),
            ("確認沒有人改寫權重檔案，檢查磁碟健康狀況和 /dev/shm 的剩餘空間。",),
        ),
    ),
    Entry(
        "ArithmeticFault",
        Text(
            "The program crashed in a calculation (SIGFPE).",
            (
                "A division by zero inside the engine, often after numbers in the model's files that cannot be true.",
            ),
            ("Check the model's configuration; try another version of the engine.",),
        ),
        Text(
            "程序在计算时崩溃（SIGFPE）。",
            ("引擎内部除以零，常见原因是模型文件中的数值不合理。",),
            ("检查模型的配置；尝试引擎的其他版本。",),
        ),
        Text(
            "程式在計算時當機（SIGFPE）。",
            ("引擎內部除以零，常見原因是模型檔案中的數值不合理。",),
            ("檢查模型的設定；嘗試引擎的其他版本。",),
        ),
    ),
    Entry(
        "SystemCallRefused",
        Text(
            "The system refused a call of the program and ended it (SIGSYS).",
            (
                "A seccomp filter of a container or a service unit around Pierhead forbids the call.",
            ),
            ("Allow the call in that filter, or run Pierhead outside of it.",),
        ),
        Text(
            "系统拒绝了程序的一次系统调用并终止了它（SIGSYS）。",
            ("Pierhead 所在容器或服务单元的 seccomp 过滤器禁止该调用。",),
            ("在过滤器中放行该调用，或在其外运行 Pierhead。",),
        ),
        Text(
            "系統拒絕了程式的一次系統呼叫並終止了它（SIGSYS）。",
            ("Pierhead 所在容器或服務單元的 seccomp 過濾器禁止該呼叫。",),
            ("在過濾器中放行該呼叫，或在其外執行 Pierhead。",),
        ),
    ),
    Entry(
        "Lost",
        Text(
            "Nobody saw the process end.",
            ("The process beside it was killed too, or the machine restarted.",),
            (
                "Nothing needs to be done: it runs again by itself; look at the machine if this comes again.",
            ),
        ),
        Text(
            "没有人看到进程是怎样结束的。",
            ("看护它的进程也被终止了，或者机器重启过。",),
            ("无需操作：它会自动再次运行；如果反复出现，请检查机器。",),
        ),
        Text(
            "沒有人看到程序是怎樣結束的。",
            ("看護它的程序也被終止了，或者機器重新啟動過。",),
            ("無需操作：它會自動再次執行；如果反覆出現，請檢查機器。",),
        ),
    ),
)
