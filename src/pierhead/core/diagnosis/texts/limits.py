"""Limits of the machine or of the replica that were reached."""

from pierhead.core.diagnosis.wording import Entry, Text, entries

ENTRIES = entries(
    Entry(
        "OutOfMemory",
        Text(
            (
                "Memory ran out: {used} of {limit} were used.",
                "Memory ran out at the limit: {limit}.",
                "Memory ran out.",
            ),
            (
                "Weights, KV cache and program together need more than the replica may use, or than the machine has.",
            ),
            (
                "Give the replica more memory, or use a smaller model, context, precision or number of slots; `pierhead plan` does the sum.",
            ),
        ),
        Text(
            ("内存不足：上限 {limit}，已用 {used}。", "内存达到上限：{limit}。", "内存不足。"),
            ("权重、KV 缓存和程序合计所需的内存超过副本的上限或机器的容量。",),
            (
                "为副本提供更多内存，或使用更小的模型、上下文、精度或并发槽数；`pierhead plan` 可以计算。",
            ),
        ),
        Text(
            (
                "記憶體不足：上限 {limit}，已用 {used}。",
                "記憶體達到上限：{limit}。",
                "記憶體不足。",
            ),
            ("權重、KV 快取和程式合計所需的記憶體超過副本的上限或機器的容量。",),
            (
                "為副本提供更多記憶體，或使用更小的模型、上下文、精度或併發槽數；`pierhead plan` 可以計算。",
            ),
        ),
    ),
    Entry(
        "TooManyOpenFiles",
        Text(
            "The process reached its limit of open files.",
            (
                "It opens more files and connections than `ulimit -n` allows, or forgets to close them.",
            ),
            (
                "Raise the limit of open files for the user who runs Pierhead; see `pierhead doctor`.",
            ),
        ),
        Text(
            "进程达到了打开文件数的上限。",
            ("它打开的文件和连接超过 `ulimit -n` 允许的数量，或者忘记关闭。",),
            ("为运行 Pierhead 的用户提高打开文件数上限；参见 `pierhead doctor`。",),
        ),
        Text(
            "程序達到了開啟檔案數的上限。",
            ("它開啟的檔案和連線超過 `ulimit -n` 允許的數量，或者忘記關閉。",),
            ("為執行 Pierhead 的使用者提高開啟檔案數上限；參見 `pierhead doctor`。",),
        ),
    ),
    Entry(
        "ProcessLimit",
        Text(
            "The system lets it start no further process or thread.",
            ("The limit of processes of this user or of a cgroup is reached, or memory is short.",),
            ("Let the engine use fewer threads, or raise the limit (`ulimit -u`, pids.max).",),
        ),
        Text(
            "系统不再允许它启动新的进程或线程。",
            ("达到了该用户或 cgroup 的进程数上限，或者内存不足。",),
            ("让引擎使用更少的线程，或提高上限（`ulimit -u`、pids.max）。",),
        ),
        Text(
            "系統不再允許它啟動新的程序或執行緒。",
            ("達到了該使用者或 cgroup 的程序數上限，或者記憶體不足。",),
            ("讓引擎使用更少的執行緒，或提高上限（`ulimit -u`、pids.max）。",),
        ),
    ),
    Entry(
        "FileSizeLimit",
        Text(
            "The process wrote a file beyond its file size limit (SIGXFSZ).",
            ("A limit such as `ulimit -f` holds for the user who runs the replicas.",),
            ("Raise that limit, or let the program write less.",),
        ),
        Text(
            "进程写入的文件超过了文件大小上限（SIGXFSZ）。",
            ("运行副本的用户受 `ulimit -f` 之类的限制。",),
            ("提高该上限，或让程序少写数据。",),
        ),
        Text(
            "程序寫入的檔案超過了檔案大小上限（SIGXFSZ）。",
            ("執行副本的使用者受 `ulimit -f` 之類的限制。",),
            ("提高該上限，或讓程式少寫資料。",),
        ),
    ),
    Entry(
        "CpuTimeLimit",
        Text(
            "The process used up its CPU time (SIGXCPU).",
            ("A limit such as `ulimit -t` holds for the user who runs the replicas.",),
            ("Remove that limit: a server runs for ever.",),
        ),
        Text(
            "进程用完了允许的 CPU 时间（SIGXCPU）。",
            ("运行副本的用户受 `ulimit -t` 之类的限制。",),
            ("取消该限制：服务进程会一直运行。",),
        ),
        Text(
            "程序用完了允許的 CPU 時間（SIGXCPU）。",
            ("執行副本的使用者受 `ulimit -t` 之類的限制。",),
            ("取消該限制：服務程序會一直執行。",),
        ),
    ),
)
