"""Machines that have no room, and starts that fail."""

from pierhead.core.diagnosis.wording import Entry, Text, entries

ENTRIES = entries(
    Entry(
        "InsufficientResources",
        Text(
            (
                "No node is large enough for one replica: {memory} memory and {cores} cores wanted, {node} has {node_memory} and {node_cores}.",
                "No node is large enough for one replica: {memory} memory wanted, {node} has {node_memory}.",
                "No node is large enough for one replica: {cores} cores wanted, {node} has {node_cores}.",
                "No node is large enough for one replica: {missing}.",
                "No node is large enough for one replica.",
            ),
            ("One replica asks for more cores or memory than the largest node has in all.",),
            ("Ask for less, or add a larger machine.",),
        ),
        Text(
            (
                "没有节点能容纳一个副本：需要 {memory} 内存和 {cores} 核 CPU，而 {node} 只有 {node_memory} 和 {node_cores} 核。",
                "没有节点能容纳一个副本：需要 {memory} 内存，而 {node} 只有 {node_memory}。",
                "没有节点能容纳一个副本：需要 {cores} 核 CPU，而 {node} 只有 {node_cores} 核。",
                "没有节点能容纳一个副本：{missing}。",
                "没有节点能容纳一个副本。",
            ),
            ("单个副本要求的 CPU 核数或内存超过最大节点的总量。",),
            ("减少要求，或添加更大的机器。",),
        ),
        Text(
            (
                "沒有節點能容納一個副本：需要 {memory} 記憶體和 {cores} 核 CPU，而 {node} 只有 {node_memory} 和 {node_cores} 核。",
                "沒有節點能容納一個副本：需要 {memory} 記憶體，而 {node} 只有 {node_memory}。",
                "沒有節點能容納一個副本：需要 {cores} 核 CPU，而 {node} 只有 {node_cores} 核。",
                "沒有節點能容納一個副本：{missing}。",
                "沒有節點能容納一個副本。",
            ),
            ("單個副本要求的 CPU 核數或記憶體超過最大節點的總量。",),
            ("減少要求，或新增更大的機器。",),
        ),
    ),
    Entry(
        "Unschedulable",
        Text(
            (
                "There are too few nodes for one replica: {nodes} wanted, {fitting} will do.",
                "No node meets what one replica needs: {gpus} GPU wanted, {node} has {node_gpus}.",
                "No node meets what one replica needs: {missing}.",
                "No node meets what one replica needs.",
            ),
            (
                (
                    "A replica computes on {nodes} nodes at once, and has the same on each: {missing}.",
                    "The template asks for a CPU architecture, a number or a kind of GPU that no node has.",
                ),
            ),
            (
                (
                    "It starts by itself once there are {nodes}; else deploy it over fewer nodes.",
                    "It starts by itself once such a machine is there; else change the template or the deployment.",
                ),
            ),
        ),
        Text(
            (
                "节点太少，放不下一个副本：需要 {nodes} 个，符合要求的有 {fitting} 个。",
                "没有节点满足一个副本的要求：需要 {gpus} 个 GPU，而 {node} 有 {node_gpus} 个。",
                "没有节点满足一个副本的要求：{missing}。",
                "没有节点满足一个副本的要求。",
            ),
            (
                (
                    "一个副本同时在 {nodes} 个节点上计算，对每个节点的要求相同：{missing}。",
                    "模板要求的 CPU 架构、GPU 数量或型号，任何节点都没有。",
                ),
            ),
            (
                (
                    "有了 {nodes} 个这样的节点后会自动启动；否则请部署到更少的节点上。",
                    "有了这样的机器后会自动启动；否则请修改模板或部署。",
                ),
            ),
        ),
        Text(
            (
                "節點太少，放不下一個副本：需要 {nodes} 個，符合要求的有 {fitting} 個。",
                "沒有節點滿足一個副本的要求：需要 {gpus} 個 GPU，而 {node} 有 {node_gpus} 個。",
                "沒有節點滿足一個副本的要求：{missing}。",
                "沒有節點滿足一個副本的要求。",
            ),
            (
                (
                    "一個副本同時在 {nodes} 個節點上計算，對每個節點的要求相同：{missing}。",
                    "模板要求的 CPU 架構、GPU 數量或型號，任何節點都沒有。",
                ),
            ),
            (
                (
                    "有了 {nodes} 個這樣的節點後會自動啟動；否則請部署到更少的節點上。",
                    "有了這樣的機器後會自動啟動；否則請修改模板或部署。",
                ),
            ),
        ),
    ),
    Entry(
        "WaitingForGpu",
        Text(
            (
                "A replica waits for {gpus} GPU: {free} of {fitting} that would do is free.",
                "A replica waits for a GPU: {missing}.",
                "A replica waits for a GPU.",
            ),
            (
                (
                    "Other services have the GPUs that would do: {holders}.",
                    "Other services have the GPUs that would do.",
                ),
            ),
            (
                "It starts by itself as soon as enough is released; else stop one of them, or ask for less.",
            ),
        ),
        Text(
            (
                "副本在等待 {gpus} 个 GPU：合适的 {fitting} 个中有 {free} 个空闲。",
                "副本在等待 GPU：{missing}。",
                "副本在等待 GPU。",
            ),
            (("合适的 GPU 被其他服务占用：{holders}。", "合适的 GPU 被其他服务占用。"),),
            ("释放足够后会自动启动；否则停止其中一个服务，或减少要求。",),
        ),
        Text(
            (
                "副本在等待 {gpus} 個 GPU：合適的 {fitting} 個中有 {free} 個空閒。",
                "副本在等待 GPU：{missing}。",
                "副本在等待 GPU。",
            ),
            (("合適的 GPU 被其他服務佔用：{holders}。", "合適的 GPU 被其他服務佔用。"),),
            ("釋放足夠後會自動啟動；否則停止其中一個服務，或減少要求。",),
        ),
    ),
    Entry(
        "RollingInPlace",
        Text(
            "No GPU is free for the new version beside the old one.",
            ("The devices are held by the version that is being replaced.",),
            (
                "Nothing needs to be done: old replicas leave first, as few at a time as must; fewer serve until the new ones are ready.",
            ),
        ),
        Text(
            "没有空闲的 GPU 让新版本与旧版本同时运行。",
            ("设备被正在替换的旧版本占用。",),
            ("无需操作：旧副本会先退出，每次尽可能少；新副本就绪前提供服务的副本会减少。",),
        ),
        Text(
            "沒有空閒的 GPU 讓新版本與舊版本同時執行。",
            ("裝置被正在替換的舊版本佔用。",),
            ("無需操作：舊副本會先退出，每次儘可能少；新副本就緒前提供服務的副本會減少。",),
        ),
    ),
    Entry(
        "CannotStart",
        Text(
            "A replica could not be launched.",
            (
                "{problem}.",
                "What was asked for cannot be started here, however often it is tried.",
            ),
            ("Correct what the message names, then update or restart the service.",),
        ),
        Text(
            "无法启动副本。",
            (
                "系统报告：{problem}。",
                "所要求的内容在这里无法启动，重试也没有用。",
            ),
            ("修正消息中提到的内容，然后更新或重启服务。",),
        ),
        Text(
            "無法啟動副本。",
            (
                "系統回報：{problem}。",
                "所要求的內容在這裡無法啟動，重試也沒有用。",
            ),
            ("修正訊息中提到的內容，然後更新或重新啟動服務。",),
        ),
    ),
    Entry(
        "StartHeld",
        Text(
            "A replica could not be launched now; it is tried again.",
            (
                "{problem}.",
                "A part of the machine or of the platform did not answer.",
            ),
            ("Look at the disk, the process limits and `pierhead doctor` if it stays.",),
        ),
        Text(
            "暂时无法启动副本，正在重试。",
            (
                "系统报告：{problem}。",
                "机器或平台的某个部分没有应答。",
            ),
            ("如果一直如此，请检查磁盘、进程数上限和 `pierhead doctor`。",),
        ),
        Text(
            "暫時無法啟動副本，正在重試。",
            (
                "系統回報：{problem}。",
                "機器或平台的某個部分沒有應答。",
            ),
            ("如果一直如此，請檢查磁碟、程序數上限和 `pierhead doctor`。",),
        ),
    ),
    Entry(
        "NoPortLeft",
        Text(
            "No port of the platform's range is free for a replica.",
            (
                (
                    "Other replicas or programs hold all of them: {problem}.",
                    "Other replicas or programs hold all of them.",
                ),
            ),
            ("Widen the range (the setting replica_ports), or stop what holds the ports.",),
        ),
        Text(
            "平台的端口范围内没有空闲端口可供副本使用。",
            (("全部被其他副本或程序占用：{problem}。", "全部被其他副本或程序占用。"),),
            ("扩大端口范围（设置 replica_ports），或停止占用端口的程序。",),
        ),
        Text(
            "平台的連接埠範圍內沒有空閒連接埠可供副本使用。",
            (("全部被其他副本或程式佔用：{problem}。", "全部被其他副本或程式佔用。"),),
            ("擴大連接埠範圍（設定 replica_ports），或停止佔用連接埠的程式。",),
        ),
    ),
)
