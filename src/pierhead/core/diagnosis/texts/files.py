"""Files, disks and rights that a program lacks."""

from pierhead.core.diagnosis.wording import Entry, Text, entries

ENTRIES = entries(
    Entry(
        "FileMissing",
        Text(
            (
                "The program needs the file [{path}], which does not exist.",
                "The program needs a file that does not exist.",
            ),
            ("The path is wrong, was never created, or is not visible to the replica.",),
            ("Check the path as the replica sees it; mount it, or correct the command.",),
        ),
        Text(
            ("程序需要的文件 [{path}] 不存在。", "程序需要的某个文件不存在。"),
            ("路径写错、从未创建，或者副本看不到它。",),
            ("按副本看到的路径检查；挂载它，或修正命令。",),
        ),
        Text(
            ("程式需要的檔案 [{path}] 不存在。", "程式需要的某個檔案不存在。"),
            ("路徑寫錯、從未建立，或者副本看不到它。",),
            ("按副本看到的路徑檢查；掛載它，或修正命令。",),
        ),
    ),
    Entry(
        "PermissionDenied",
        Text(
            (
                "The process may not read or write [{path}].",
                "The process may not read or write what it needs.",
            ),
            (
                "The file belongs to another user, or its mode forbids it to the user who runs the replicas.",
            ),
            ("Check owner and mode of the file and of the folders above it.",),
        ),
        Text(
            ("进程无权读写 [{path}]。", "进程无权读写它需要的内容。"),
            ("文件属于其他用户，或者权限不允许运行副本的用户访问。",),
            ("检查该文件及其上级目录的属主和权限。",),
        ),
        Text(
            ("程序無權讀寫 [{path}]。", "程序無權讀寫它需要的內容。"),
            ("檔案屬於其他使用者，或者權限不允許執行副本的使用者存取。",),
            ("檢查該檔案及其上級資料夾的擁有者和權限。",),
        ),
    ),
    Entry(
        "DiskFull",
        Text(
            ("The disk of [{path}] is full.", "A disk is full."),
            (
                "Nothing more could be written: {problem}.",
                "{needed} are needed, {free} are free.",
            ),
            (
                "Free space there (`pierhead cache prune` removes weights that nobody uses), or give it more; it goes on by itself then.",
            ),
        ),
        Text(
            ("[{path}] 所在的磁盘已满。", "磁盘已满。"),
            (
                "无法继续写入：{problem}。",
                "需要 {needed}，剩余 {free}。",
            ),
            (
                "释放空间（`pierhead cache prune` 会删除无人使用的权重），或扩大磁盘；之后会自动继续。",
            ),
        ),
        Text(
            ("[{path}] 所在的磁碟已滿。", "磁碟已滿。"),
            (
                "無法繼續寫入：{problem}。",
                "需要 {needed}，剩餘 {free}。",
            ),
            (
                "釋放空間（`pierhead cache prune` 會刪除無人使用的權重），或擴大磁碟；之後會自動繼續。",
            ),
        ),
    ),
    Entry(
        "DiskQuotaExceeded",
        Text(
            "The disk quota of the user who runs the replicas is used up.",
            (
                "The file system refuses more bytes or files to this user, although the disk may have room.",
            ),
            ("Free space of that user, or raise the quota on the file system.",),
        ),
        Text(
            "运行副本的用户的磁盘配额已用完。",
            ("即使磁盘还有空间，文件系统也不再允许该用户写入更多字节或文件。",),
            ("释放该用户占用的空间，或提高文件系统上的配额。",),
        ),
        Text(
            "執行副本的使用者的磁碟配額已用完。",
            ("即使磁碟還有空間，檔案系統也不再允許該使用者寫入更多位元組或檔案。",),
            ("釋放該使用者佔用的空間，或提高檔案系統上的配額。",),
        ),
    ),
    Entry(
        "ReadOnlyFileSystem",
        Text(
            (
                "The program writes to [{path}], which is read-only.",
                "The program writes where everything is read-only.",
            ),
            (
                "Weights and datasets are shown read-only, or the file system was mounted so after an error.",
            ),
            (
                "Let it write into its working folder or TMPDIR; look at the mount if it should be writable.",
            ),
        ),
        Text(
            ("程序要写入只读的 [{path}]。", "程序要写入的位置是只读的。"),
            ("权重和数据集以只读方式提供，或者文件系统出错后被挂载为只读。",),
            ("让它写入工作目录或 TMPDIR；如果本应可写，请检查挂载。",),
        ),
        Text(
            ("程式要寫入唯讀的 [{path}]。", "程式要寫入的位置是唯讀的。"),
            ("權重和資料集以唯讀方式提供，或者檔案系統出錯後被掛載為唯讀。",),
            ("讓它寫入工作資料夾或 TMPDIR；如果本應可寫，請檢查掛載。",),
        ),
    ),
    Entry(
        "SharedMemoryFull",
        Text(
            "The shared memory of this machine (/dev/shm) is full.",
            (
                "Engines with several processes exchange tensors there; containers often have 64 MiB of it.",
            ),
            ("Make /dev/shm larger, or let the engine use one process.",),
        ),
        Text(
            "本机的共享内存（/dev/shm）已满。",
            ("多进程引擎在那里交换张量；容器通常只有 64 MiB。",),
            ("扩大 /dev/shm，或让引擎只使用一个进程。",),
        ),
        Text(
            "本機的共享記憶體（/dev/shm）已滿。",
            ("多程序引擎在那裡交換張量；容器通常只有 64 MiB。",),
            ("擴大 /dev/shm，或讓引擎只使用一個程序。",),
        ),
    ),
)
