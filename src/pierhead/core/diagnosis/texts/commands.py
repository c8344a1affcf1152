"""Commands that cannot be run, or not as they were given."""

from pierhead.core.diagnosis.wording import Entry, Text, entries

ENTRIES = entries(
    Entry(
        "NotStarted",
        Text(
            "Its limits, its files or its working folder could not be set up.",
            ("The machine refused: {problem}.",),
            ("The log names which of them; mend that, the replica is tried again by itself.",),
        ),
        Text(
            "无法为它设置资源限制、文件或工作目录。",
            ("系统拒绝了操作：{problem}。",),
            ("日志写明了是哪一项；修正后副本会自动重试。",),
        ),
        Text(
            "無法為它設定資源限制、檔案或工作資料夾。",
            ("系統拒絕了操作：{problem}。",),
            ("記錄檔寫明了是哪一項；修正後副本會自動重試。",),
        ),
    ),
    Entry(
        "CommandNotExecutable",
        Text(
            (
                "The command [{command}] exists but may not be executed.",
                "The command exists but may not be executed.",
            ),
            (
                "The file lacks the right to be executed, lies on a file system mounted noexec, or is a folder.",
            ),
            ("Check its mode (chmod +x) and its file system.",),
        ),
        Text(
            ("命令 [{command}] 存在，但无法执行。", "命令存在，但无法执行。"),
            ("文件没有执行权限，或位于以 noexec 挂载的文件系统，或者其实是目录。",),
            ("检查它的权限（chmod +x）和所在的文件系统。",),
        ),
        Text(
            ("命令 [{command}] 存在，但無法執行。", "命令存在，但無法執行。"),
            ("檔案沒有執行權限，或位於以 noexec 掛載的檔案系統，或者其實是資料夾。",),
            ("檢查它的權限（chmod +x）和所在的檔案系統。",),
        ),
    ),
    Entry(
        "WrongProgramFormat",
        Text(
            (
                "The program [{command}] is not of a kind that this machine runs.",
                "The program is not of a kind that this machine runs.",
            ),
            (
                "It was built for another CPU architecture, or it is a script without a first line such as `#!/bin/sh`.",
            ),
            ("Install the build for this machine, or give the script its first line.",),
        ),
        Text(
            ("本机无法运行程序 [{command}] 的格式。", "本机无法运行这种格式的程序。"),
            ("它是为其他 CPU 架构编译的，或者是缺少首行（例如 `#!/bin/sh`）的脚本。",),
            ("安装适合本机的版本，或为脚本补上首行。",),
        ),
        Text(
            ("本機無法執行程式 [{command}] 的格式。", "本機無法執行這種格式的程式。"),
            ("它是為其他 CPU 架構編譯的，或者是缺少首行（例如 `#!/bin/sh`）的指令碼。",),
            ("安裝適合本機的版本，或為指令碼補上首行。",),
        ),
    ),
    Entry(
        "CommandNotFound",
        Text(
            ("The command [{command}] does not exist.", "The command does not exist."),
            (
                "It is not installed where the replica runs, its name is wrong, or its folder is not in PATH.",
            ),
            ("Check its path and PATH; give the whole path, or install it on this machine.",),
        ),
        Text(
            ("命令 [{command}] 不存在。", "命令不存在。"),
            ("副本运行的机器上没有安装它，名称写错，或者它的目录不在 PATH 中。",),
            ("检查路径和 PATH；写出完整路径，或在本机安装它。",),
        ),
        Text(
            ("命令 [{command}] 不存在。", "命令不存在。"),
            ("副本執行的機器上沒有安裝它，名稱寫錯，或者它的資料夾不在 PATH 中。",),
            ("檢查路徑和 PATH；寫出完整路徑，或在本機安裝它。",),
        ),
    ),
    Entry(
        "CommandTooLong",
        Text(
            "The command line and its environment are more than the system takes, which is often 128 KiB for a single value.",
            ("An argument or a variable of the template carries a long text.",),
            ("Put long texts into files.",),
        ),
        Text(
            "命令行和环境变量超出系统上限，单个值的上限通常是 128 KiB。",
            ("模板的某个参数或环境变量含有很长的文本。",),
            ("把长文本放进文件。",),
        ),
        Text(
            "命令列和環境變數超出系統上限，單個值的上限通常是 128 KiB。",
            ("模板的某個參數或環境變數含有很長的文字。",),
            ("把長文字放進檔案。",),
        ),
    ),
    Entry(
        "CommandBroken",
        Text(
            "The command or its script has a syntax error.",
            ("Whoever read it stopped here: {log_line}.",),
            ("Correct the start command or the script; the line above names the place.",),
        ),
        Text(
            "命令或脚本有语法错误。",
            ("解释器停在这里：{log_line}。",),
            ("修正启动命令或脚本；上面一行指出了位置。",),
        ),
        Text(
            "命令或指令碼有語法錯誤。",
            ("直譯器停在這裡：{log_line}。",),
            ("修正啟動命令或指令碼；上面一行指出了位置。",),
        ),
    ),
    Entry(
        "BadArguments",
        Text(
            (
                "The program does not know the argument [{argument}].",
                "The program refuses its arguments.",
            ),
            ("The argument belongs to another version of the program, or is misspelt.",),
            (
                "Ask the installed version for its arguments (--help), and correct the start command.",
            ),
        ),
        Text(
            ("程序不认识参数 [{argument}]。", "程序拒绝了它的参数。"),
            ("该参数属于程序的其他版本，或者拼写错误。",),
            ("用 --help 查看已安装版本支持的参数，并修正启动命令。",),
        ),
        Text(
            ("程式不認識參數 [{argument}]。", "程式拒絕了它的參數。"),
            ("該參數屬於程式的其他版本，或者拼寫錯誤。",),
            ("用 --help 檢視已安裝版本支援的參數，並修正啟動命令。",),
        ),
    ),
    Entry(
        "PortTaken",
        Text(
            ("Port {port} was taken by another process.", "The port was taken by another process."),
            (
                "Something else bound it first, or the command binds a fixed port instead of the one it is given.",
            ),
            (
                "The next run gets another one; let the command listen on $PORT if it names a port of its own.",
            ),
        ),
        Text(
            ("端口 {port} 已被其他进程占用。", "端口已被其他进程占用。"),
            ("其他程序先绑定了它，或者命令绑定固定端口而不是分配给它的端口。",),
            ("下次运行会换一个端口；如果命令自己指定端口，请改为监听 $PORT。",),
        ),
        Text(
            ("連接埠 {port} 已被其他程序佔用。", "連接埠已被其他程序佔用。"),
            ("其他程式先繫結了它，或者命令繫結固定連接埠而不是分配給它的連接埠。",),
            ("下次執行會換一個連接埠；如果命令自己指定連接埠，請改為監聽 $PORT。",),
        ),
    ),
)
