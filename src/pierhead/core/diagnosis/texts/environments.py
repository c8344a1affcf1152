"""What has to be there before a start: a command, other services, a Python environment."""

from pierhead.core.diagnosis.wording import Entry, Text, entries

ENTRIES = entries(
    Entry(
        "NoCommand",
        Text(
            (
                "The template [{template}] does not say what is to be run.",
                "The template does not say what is to be run.",
            ),
            ("It has neither a start command nor a framework that brings one.",),
            (
                "Give it a start command (or a container command), or a framework that brings its own.",
            ),
        ),
        Text(
            ("模板 [{template}] 没有说明要运行什么。", "模板没有说明要运行什么。"),
            ("它既没有启动命令，也没有自带命令的框架。",),
            ("设置启动命令（或容器命令），或选择自带命令的框架。",),
        ),
        Text(
            ("模板 [{template}] 沒有說明要執行什麼。", "模板沒有說明要執行什麼。"),
            ("它既沒有啟動命令，也沒有內附命令的框架。",),
            ("設定啟動命令（或容器命令），或選擇內附命令的框架。",),
        ),
    ),
    Entry(
        "DependencyNotRunning",
        Text(
            (
                "What it depends on is not running yet: {names}.",
                "A service that it depends on is not running yet.",
            ),
            ("That service is stopped, failed, or still on its way.",),
            ("Start or mend that one (`pierhead why` on it); this one follows by itself.",),
        ),
        Text(
            ("它所依赖的服务还没有运行：{names}。", "它所依赖的某个服务还没有运行。"),
            ("该服务已停止、失败或仍在启动。",),
            ("启动或修复该服务（对它执行 `pierhead why`）；本服务会随后自动启动。",),
        ),
        Text(
            ("它所相依的服務還沒有執行：{names}。", "它所相依的某個服務還沒有執行。"),
            ("該服務已停止、失敗或仍在啟動。",),
            ("啟動或修復該服務（對它執行 `pierhead why`）；本服務會隨後自動啟動。",),
        ),
    ),
    Entry(
        "InstallingEnvironment",
        Text(
            (
                "The Python environment is on its way: {phase}, for {seconds} s.",
                "The Python environment is on its way.",
            ),
            ("Its packages are fetched and installed once; all replicas share them.",),
            ("Wait; it goes on by itself.",),
        ),
        Text(
            ("正在准备 Python 环境：{phase}，已用 {seconds} 秒。", "正在准备 Python 环境。"),
            ("软件包只下载安装一次，供所有副本共享。",),
            ("请等待，会自动继续。",),
        ),
        Text(
            ("正在準備 Python 環境：{phase}，已用 {seconds} 秒。", "正在準備 Python 環境。"),
            ("套件只下載安裝一次，供所有副本共享。",),
            ("請等待，會自動繼續。",),
        ),
    ),
    Entry(
        "EnvironmentFailed",
        Text(
            (
                "The environment ({environment}) could not be built.",
                "The Python environment could not be built.",
            ),
            ("{problem}.",),
            ("Mend the requirements or the index; a restart of the service tries it at once.",),
        ),
        Text(
            ("无法构建环境（{environment}）。", "无法构建 Python 环境。"),
            ("系统报告：{problem}。",),
            ("修正依赖列表或软件源；重启服务会立即重试。",),
        ),
        Text(
            ("無法建置環境（{environment}）。", "無法建置 Python 環境。"),
            ("系統回報：{problem}。",),
            ("修正相依列表或套件來源；重新啟動服務會立即重試。",),
        ),
    ),
    Entry(
        "DependencyConflict",
        Text(
            "The requirements of the environment contradict each other.",
            (
                (
                    "No set of versions satisfies all of them: {problem}.",
                    "No set of versions satisfies all of them.",
                ),
            ),
            ("Loosen one of the versions named above; a restart of the service tries it at once.",),
        ),
        Text(
            "环境的依赖要求相互矛盾。",
            (("没有一组版本能同时满足全部要求：{problem}。", "没有一组版本能同时满足全部要求。"),),
            ("放宽上面提到的某个版本；重启服务会立即重试。",),
        ),
        Text(
            "環境的相依要求相互矛盾。",
            (("沒有一組版本能同時滿足全部要求：{problem}。", "沒有一組版本能同時滿足全部要求。"),),
            ("放寬上面提到的某個版本；重新啟動服務會立即重試。",),
        ),
    ),
    Entry(
        "PackageNotFound",
        Text(
            "A requirement of the environment is not in the package index.",
            (
                (
                    "The name or the version does not exist there: {problem}.",
                    "The name or the version does not exist there.",
                ),
            ),
            (
                "Correct the requirement, or name the index that has it (pip index URL of the template).",
            ),
        ),
        Text(
            "软件源中没有环境所需的某个软件包。",
            (("该名称或版本在那里不存在：{problem}。", "该名称或版本在那里不存在。"),),
            ("修正依赖项，或指定拥有它的软件源（模板的 pip 源地址）。",),
        ),
        Text(
            "套件來源中沒有環境所需的某個套件。",
            (("該名稱或版本在那裡不存在：{problem}。", "該名稱或版本在那裡不存在。"),),
            ("修正相依項，或指定擁有它的套件來源（模板的 pip 源位址）。",),
        ),
    ),
    Entry(
        "PackageIndexUnreachable",
        Text(
            "The package index cannot be reached from this machine.",
            (
                (
                    "No way out, a wrong address, or a proxy that is not set: {problem}.",
                    "No way out, a wrong address, or a proxy that is not set.",
                ),
            ),
            (
                "Check the index URL and the network of this machine; machines without a way out need an index of their own.",
            ),
        ),
        Text(
            "本机无法访问软件源。",
            (
                (
                    "无法上网、地址错误，或没有设置代理：{problem}。",
                    "无法上网、地址错误，或没有设置代理。",
                ),
            ),
            ("检查软件源地址和本机网络；无法上网的机器需要自建软件源。",),
        ),
        Text(
            "本機無法存取套件來源。",
            (
                (
                    "無法上網、位址錯誤，或沒有設定代理：{problem}。",
                    "無法上網、位址錯誤，或沒有設定代理。",
                ),
            ),
            ("檢查套件來源位址和本機網路；無法上網的機器需要自建套件來源。",),
        ),
    ),
    Entry(
        "PythonUnavailable",
        Text(
            "The Python version that the environment asks for cannot be had here.",
            (
                (
                    "It is not installed, and may not or cannot be downloaded: {problem}.",
                    "It is not installed, and may not or cannot be downloaded.",
                ),
            ),
            ("Install that Python on this machine, or ask for another version.",),
        ),
        Text(
            "这里无法提供环境所要求的 Python 版本。",
            (("没有安装，也不允许或无法下载：{problem}。", "没有安装，也不允许或无法下载。"),),
            ("在本机安装该版本的 Python，或改用其他版本。",),
        ),
        Text(
            "這裡無法提供環境所要求的 Python 版本。",
            (("沒有安裝，也不允許或無法下載：{problem}。", "沒有安裝，也不允許或無法下載。"),),
            ("在本機安裝該版本的 Python，或改用其他版本。",),
        ),
    ),
)
