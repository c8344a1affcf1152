"""What a program needs beside itself: modules, libraries, services elsewhere."""

from pierhead.core.diagnosis.wording import Entry, Text, entries

ENTRIES = entries(
    Entry(
        "ModuleMissing",
        Text(
            (
                "The command needs the Python module [{module}], which is not installed where it runs.",
                "The command needs a Python module that is not installed where it runs.",
            ),
            (
                "The module is not among the template's requirements, or the command runs with another Python.",
            ),
            (
                "Name it among the template's requirements, or install it for the Python that runs the command.",
            ),
        ),
        Text(
            (
                "命令需要的 Python 模块 [{module}] 没有安装在运行环境中。",
                "命令需要的某个 Python 模块没有安装在运行环境中。",
            ),
            ("模板的依赖列表中没有该模块，或者命令使用了另一个 Python。",),
            ("把它加入模板的依赖列表，或为运行命令的 Python 安装它。",),
        ),
        Text(
            (
                "命令需要的 Python 模組 [{module}] 沒有安裝在執行環境中。",
                "命令需要的某個 Python 模組沒有安裝在執行環境中。",
            ),
            ("模板的相依列表中沒有該模組，或者命令使用了另一個 Python。",),
            ("把它加入模板的相依列表，或為執行命令的 Python 安裝它。",),
        ),
    ),
    Entry(
        "ModulesDoNotFit",
        Text(
            "Installed Python modules do not fit each other.",
            (
                (
                    "One was built or written for another version of the other: {log_line}.",
                    "One was built or written for another version of the other.",
                ),
            ),
            ("Name versions in the template's requirements that belong together.",),
        ),
        Text(
            "已安装的 Python 模块互不兼容。",
            (
                (
                    "其中一个是为另一个的其他版本编译或编写的：{log_line}。",
                    "其中一个是为另一个的其他版本编译或编写的。",
                ),
            ),
            ("在模板的依赖列表中写明相互匹配的版本。",),
        ),
        Text(
            "已安裝的 Python 模組互不相容。",
            (
                (
                    "其中一個是為另一個的其他版本編譯或編寫的：{log_line}。",
                    "其中一個是為另一個的其他版本編譯或編寫的。",
                ),
            ),
            ("在模板的相依列表中寫明相互相符的版本。",),
        ),
    ),
    Entry(
        "LibraryMissing",
        Text(
            (
                "The program needs the shared library [{library}], which is not there or cannot be loaded.",
                "The program needs a shared library that is not installed where it runs.",
            ),
            (
                "The library is not installed, or its folder is not searched (LD_LIBRARY_PATH, ldconfig).",
            ),
            ("Install it on this machine, or set LD_LIBRARY_PATH in the template's environment.",),
        ),
        Text(
            (
                "程序需要的共享库 [{library}] 不存在或无法加载。",
                "程序需要的共享库没有安装在运行环境中。",
            ),
            ("没有安装该库，或者没有搜索它所在的目录（LD_LIBRARY_PATH、ldconfig）。",),
            ("在本机安装它，或在模板的环境变量中设置 LD_LIBRARY_PATH。",),
        ),
        Text(
            (
                "程式需要的共享程式庫 [{library}] 不存在或無法載入。",
                "程式需要的共享程式庫沒有安裝在執行環境中。",
            ),
            ("沒有安裝該程式庫，或者沒有搜尋它所在的資料夾（LD_LIBRARY_PATH、ldconfig）。",),
            ("在本機安裝它，或在模板的環境變數中設定 LD_LIBRARY_PATH。",),
        ),
    ),
    Entry(
        "LibraryTooOld",
        Text(
            (
                "The program needs {library}, and this system's libraries are older.",
                "The program needs newer system libraries than this machine has.",
            ),
            ("It was built on a newer Linux than this machine runs.",),
            ("Install a build for this system, or run it on a newer one.",),
        ),
        Text(
            ("程序需要 {library}，而本机的系统库版本更旧。", "程序需要比本机更新的系统库。"),
            ("它是在比本机更新的 Linux 上编译的。",),
            ("安装适合本系统的版本，或在更新的系统上运行。",),
        ),
        Text(
            (
                "程式需要 {library}，而本機的系統程式庫版本更舊。",
                "程式需要比本機更新的系統程式庫。",
            ),
            ("它是在比本機更新的 Linux 上編譯的。",),
            ("安裝適合本系統的版本，或在更新的系統上執行。",),
        ),
    ),
    Entry(
        "OutsideUnreachable",
        Text(
            (
                "The program could not reach [{host}].",
                "The program could not reach a service that it needs.",
            ),
            ("The name is unknown, nothing listens there, or this machine has no way out.",),
            (
                "Check the address from this machine; on machines without a way out give the files as a mount instead of a download at start.",
            ),
        ),
        Text(
            ("程序无法连接 [{host}]。", "程序无法连接它需要的服务。"),
            ("域名无法解析、对方没有监听，或者本机无法访问外部网络。",),
            ("在本机检查该地址；无法上网的机器请用挂载提供文件，而不要在启动时下载。",),
        ),
        Text(
            ("程式無法連線 [{host}]。", "程式無法連線它需要的服務。"),
            ("網域名稱無法解析、對方沒有監聽，或者本機無法存取外部網路。",),
            ("在本機檢查該位址；無法上網的機器請用掛載提供檔案，而不要在啟動時下載。",),
        ),
    ),
    Entry(
        "HubDenied",
        Text(
            "The model hub refused the download.",
            (
                "The model is gated or private, and the replica has no key, or one that may not read it.",
            ),
            (
                "Accept the model's terms and give the key in the template's environment, or mount the weights.",
            ),
        ),
        Text(
            "模型仓库拒绝了下载。",
            ("该模型需要授权或是私有的，而副本没有密钥，或密钥无权读取。",),
            ("接受模型的使用条款，并在模板的环境变量中提供密钥，或直接挂载权重。",),
        ),
        Text(
            "模型倉庫拒絕了下載。",
            ("該模型需要授權或是私有的，而副本沒有金鑰，或金鑰無權讀取。",),
            ("接受模型的使用條款，並在模板的環境變數中提供金鑰，或直接掛載權重。",),
        ),
    ),
)
