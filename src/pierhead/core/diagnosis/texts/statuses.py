"""Statuses of a service, where nothing more is known."""

from pierhead.core.diagnosis.wording import Entry, Text, entries

ENTRIES = entries(
    Entry(
        "Running",
        Text(
            "Service is now running.",
            (
                "All {wanted} replicas are ready.",
                "All replicas are ready.",
            ),
            ("Nothing needs to be done.",),
        ),
        Text(
            "服务正在运行。",
            (
                "全部 {wanted} 个副本已就绪。",
                "全部副本已就绪。",
            ),
            ("无需操作。",),
        ),
        Text(
            "服務正在執行。",
            (
                "全部 {wanted} 個副本已就緒。",
                "全部副本已就緒。",
            ),
            ("無需操作。",),
        ),
    ),
    Entry(
        "PartlyReady",
        Text(
            ("{ready} of {wanted} replicas are ready.", "Not all replicas are ready."),
            ("It serves with those that are ready, and the others have a reason of their own.",),
            (
                "See the reason of the replicas that are not ready; they are tried again by themselves.",
            ),
        ),
        Text(
            ("{wanted} 个副本中有 {ready} 个已就绪。", "并非所有副本都已就绪。"),
            ("由已就绪的副本提供服务，其余副本各有原因。",),
            ("查看未就绪副本的原因；它们会自动重试。",),
        ),
        Text(
            ("{wanted} 個副本中有 {ready} 個已就緒。", "並非所有副本都已就緒。"),
            ("由已就緒的副本提供服務，其餘副本各有原因。",),
            ("檢視未就緒副本的原因；它們會自動重試。",),
        ),
    ),
    Entry(
        "ScaledToZero",
        Text(
            "The service sleeps: no replica runs, and the next request starts one.",
            (
                "A scaler set its number of replicas to none, because nobody asked for it or because a job said so.",
            ),
            (
                "Nothing needs to be done; send a request, or scale it, to wake it.",
                "To keep a replica running, set the auto-scaler's min to 1.",
            ),
        ),
        Text(
            "服务处于休眠状态：没有副本在运行，下一个请求会将其启动。",
            ("伸缩器已将副本数设为零，因为没有请求，或者定时任务如此设定。",),
            (
                "无需操作；发送一个请求或调整副本数即可唤醒。",
                "如需始终保留一个副本，请将自动伸缩器的 min 设为 1。",
            ),
        ),
        Text(
            "服務處於休眠狀態：沒有副本在執行，下一個請求會將其啟動。",
            ("伸縮器已將副本數設為零，因為沒有請求，或者排程工作如此設定。",),
            (
                "無需操作；傳送一個請求或調整副本數即可喚醒。",
                "如需始終保留一個副本，請將自動伸縮器的 min 設為 1。",
            ),
        ),
    ),
    Entry(
        "Creating",
        Text(
            "The service is being created.",
            ("The change was accepted and is being taken up, or its replicas are being made.",),
            ("Wait; a deadline counts, and what goes wrong is told here.",),
        ),
        Text(
            "正在创建服务。",
            ("变更已被接受并正在处理，或者正在创建副本。",),
            ("请等待；有期限计时，出现问题会在这里说明。",),
        ),
        Text(
            "正在建立服務。",
            ("變更已被接受並正在處理，或者正在建立副本。",),
            ("請等待；有期限計時，出現問題會在這裡說明。",),
        ),
    ),
    Entry(
        "Cloning",
        Text(
            "The service is being made from another one.",
            ("The change was accepted and is being taken up, or its replicas are being made.",),
            ("Wait; a deadline counts, and what goes wrong is told here.",),
        ),
        Text(
            "正在根据另一个服务创建。",
            ("变更已被接受并正在处理，或者正在创建副本。",),
            ("请等待；有期限计时，出现问题会在这里说明。",),
        ),
        Text(
            "正在根據另一個服務建立。",
            ("變更已被接受並正在處理，或者正在建立副本。",),
            ("請等待；有期限計時，出現問題會在這裡說明。",),
        ),
    ),
    Entry(
        "Waiting",
        Text(
            ("{ready} of {wanted} replicas are ready.", "Replicas are starting."),
            ("Engines load their weights and are asked until they answer.",),
            ("Wait; a deadline that grows with the weights counts.",),
        ),
        Text(
            ("{wanted} 个副本中有 {ready} 个已就绪。", "副本正在启动。"),
            ("引擎正在加载权重，平台会不断探测直到它应答。",),
            ("请等待；期限随权重大小而增加。",),
        ),
        Text(
            ("{wanted} 個副本中有 {ready} 個已就緒。", "副本正在啟動。"),
            ("引擎正在載入權重，平台會不斷探測直到它應答。",),
            ("請等待；期限隨權重大小而增加。",),
        ),
    ),
    Entry(
        "Pending",
        Text(
            "The service waits for a place on a machine.",
            ("No machine has what a replica needs at the moment.",),
            ("It starts by itself when a machine has it.",),
        ),
        Text(
            "服务正在等待机器上的资源。",
            ("目前没有机器具备副本所需的资源。",),
            ("有机器满足时会自动启动。",),
        ),
        Text(
            "服務正在等待機器上的資源。",
            ("目前沒有機器具備副本所需的資源。",),
            ("有機器滿足時會自動啟動。",),
        ),
    ),
    Entry(
        "Updating",
        Text(
            (
                "A new version is being rolled out: {ready} of {wanted} replicas are ready.",
                "A new version is being rolled out.",
            ),
            ("New replicas come up before old ones leave, as the rolling strategy says.",),
            ("Wait; the old version serves until the new one does.",),
        ),
        Text(
            ("正在滚动更新：{wanted} 个副本中有 {ready} 个已就绪。", "正在滚动更新。"),
            ("按照滚动策略，新副本启动后旧副本才退出。",),
            ("请等待；新版本就绪之前由旧版本提供服务。",),
        ),
        Text(
            ("正在滾動更新：{wanted} 個副本中有 {ready} 個已就緒。", "正在滾動更新。"),
            ("按照滾動策略，新副本啟動後舊副本才退出。",),
            ("請等待；新版本就緒之前由舊版本提供服務。",),
        ),
    ),
    Entry(
        "Scaling",
        Text(
            (
                "The number of replicas is changing: {ready} of {wanted} are ready.",
                "The number of replicas is changing.",
            ),
            ("Replicas are being started, or end their requests and leave.",),
            ("Wait; it goes on by itself.",),
        ),
        Text(
            ("副本数正在变化：共 {wanted} 个，已就绪 {ready} 个。", "副本数正在变化。"),
            ("副本正在启动，或正在完成请求后退出。",),
            ("请等待，会自动继续。",),
        ),
        Text(
            ("副本數正在變化：共 {wanted} 個，已就緒 {ready} 個。", "副本數正在變化。"),
            ("副本正在啟動，或正在完成請求後退出。",),
            ("請等待，會自動繼續。",),
        ),
    ),
    Entry(
        "Starting",
        Text(
            (
                "The service is being started: {ready} of {wanted} replicas are ready.",
                "The service is being started.",
            ),
            ("Its replicas are being made again with the stored configuration.",),
            ("Wait; a deadline counts, and what goes wrong is told here.",),
        ),
        Text(
            ("服务正在启动：{wanted} 个副本中有 {ready} 个已就绪。", "服务正在启动。"),
            ("正在按照保存的配置重新创建副本。",),
            ("请等待；有期限计时，出现问题会在这里说明。",),
        ),
        Text(
            ("服務正在啟動：{wanted} 個副本中有 {ready} 個已就緒。", "服務正在啟動。"),
            ("正在按照儲存的設定重新建立副本。",),
            ("請等待；有期限計時，出現問題會在這裡說明。",),
        ),
    ),
    Entry(
        "UpdateFailed",
        Text(
            (
                "Version {version} did not come up; the one before it serves on.",
                "The new version did not come up; the one before it serves on.",
            ),
            ("The replicas of the new version have a reason of their own, which is named first.",),
            ("Mend the new version and update again, or go back to the one that serves.",),
        ),
        Text(
            (
                "版本 {version} 未能启动；之前的版本继续提供服务。",
                "新版本未能启动；之前的版本继续提供服务。",
            ),
            ("新版本的副本有各自的原因，已列在最前面。",),
            ("修正新版本后再次更新，或退回正在服务的版本。",),
        ),
        Text(
            (
                "版本 {version} 未能啟動；之前的版本繼續提供服務。",
                "新版本未能啟動；之前的版本繼續提供服務。",
            ),
            ("新版本的副本有各自的原因，已列在最前面。",),
            ("修正新版本後再次更新，或退回正在服務的版本。",),
        ),
    ),
    Entry(
        "Unknown",
        Text(
            (
                "The state [{word}] has no explanation in this release.",
                "This release has no explanation for the state.",
            ),
            (
                "{message}",
                "It was written by another release of the platform.",
            ),
            ("Read the service's events and its log.",),
        ),
        Text(
            ("本版本没有对状态 [{word}] 的解释。", "本版本没有对该状态的解释。"),
            (
                "系统报告：{message}。",
                "它由平台的其他版本写入。",
            ),
            ("查看服务的事件和日志。",),
        ),
        Text(
            ("本版本沒有對狀態 [{word}] 的解釋。", "本版本沒有對該狀態的解釋。"),
            (
                "系統回報：{message}。",
                "它由平台的其他版本寫入。",
            ),
            ("檢視服務的事件和記錄檔。",),
        ),
    ),
)
